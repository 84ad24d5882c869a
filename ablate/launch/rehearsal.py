"""Each variant tried out before any run starts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..components.no_exit import no_exit
from ..errors import InputError, counted
from .jobs import jobs_of
from .probes import keep_probe, known_probe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..components.datasets import Source
    from ..execute.jobs import Executor, RehearsalReport
    from ..study.spec import RunSpec
    from .study import LoadedStudy, Note


def fetch_data(sources: Sequence[Source]) -> None:
    """Download and decode datasets, so that no run has to wait for them."""
    for source in sources:
        with no_exit():
            source.prepare()


def rehearse(
    study: LoadedStudy, executor: Executor, specs: Sequence[RunSpec], threads: int, note: Note
) -> RehearsalReport:
    """Try out each variant of these runs, as `training.rehearsal` does; return what was found.

    Raises InputError with all that fails, DeviceError if the device cannot be used.
    """
    first: dict[str, RunSpec] = {}
    for spec in specs:
        first.setdefault(spec.variant, spec)
    note(f"trying out {counted(len(first), 'variant')}: each is built and takes a few steps")
    jobs = jobs_of(study, list(first.values()), threads)
    own = set() if study.study.pilot else {spec.key for spec in study.specs}
    found = executor.rehearse(
        [
            replace(job, probe=job.spec.recipe.images and job.spec.key in own and known_probe(job.spec) is None)
            for job in jobs
        ]
    )
    if found.failed:
        raise InputError(_refusal(study.reading.source, len(study.written.variants), found))
    for variant, probe in found.probes.items():
        keep_probe(first[variant], probe)
    for line in notes_on(found):
        note(f"  {line}")
    return found


def notes_on(found: RehearsalReport) -> list[str]:
    """Say what rehearsals found that stops no variant."""
    warnings = [f"warning: {variant}: {warning}" for variant, warning in found.warnings.items()]
    slower = "it is trained in torch's usual layout, which is slower"
    return warnings + [f"{variant}: {why}; {slower}" for variant, why in found.usual_layout.items()]


def _refusal(source: str, variants: int, found: RehearsalReport) -> str:
    """Say which variants cannot be trained, and why."""
    failed, reasons = found.failed, set(found.failed.values())
    # One reason for all is the machine's fault, or the baseline's, so it is given once.
    same = 1 < len(failed) == variants and len(reasons) == 1
    lines = [f"  {'all' if same else variant}: {reason}" for variant, reason in failed.items()]
    lines = lines[:1] if same else lines
    count = counted(len(failed), "variant")
    return "\n".join([f"{source}: {count} cannot be trained; nothing was started", *lines])
