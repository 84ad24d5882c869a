"""A study's runs made, stage by stage: what `ablate run` and `ablate.run` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..console.text import about
from ..errors import counted, listing
from ..execute.server import warm_up
from ..execute.signals import Interrupts
from ..paths import shown
from .announce import announce_data, announce_findings
from .costs import expected_seconds, measured_costs, total_seconds
from .jobs import jobs_of
from .last import typed_again
from .placement import Placement, placed
from .ready import get_ready
from .record import make_writable, record
from .room import check_links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..console.reporter import Reporter
    from ..execute.jobs import Executor
    from ..study.spec import RunSpec
    from .plan import Plan
    from .study import LoadedStudy, Note


@dataclass(frozen=True)
class RunOptions:
    """How runs are made.

    jobs: how many at a time; 0 for as many as fit, None for what is usual on the device.
    retry_failed: whether those that failed before are tried again.
    """

    jobs: int | None = None
    retry_failed: bool = False


@dataclass(frozen=True)
class Begun:
    """Runs about to be made: which, how many at a time, and the seconds that each is expected to take, by key."""

    specs: Sequence[RunSpec]
    placement: Placement
    expected: Mapping[str, float | None]


def begin(study: LoadedStudy, plan: Plan, how: RunOptions, reporter: Reporter, executor: Executor | None) -> Begun:
    """Say what is going to happen, and do what can be done before the variants are tried out.

    executor: what makes the runs, None for processes of this machine.
    Raises StoreError where the store cannot take them.
    """
    make_writable(study)
    specs = plan.todo(how.retry_failed)
    placement = placed(how.jobs, study.options.device, len(plan.runs))
    expected = expected_seconds(specs, measured_costs(study.options.store, study.name))
    begun = Begun(specs, placement, expected)
    _announce(study, plan, begun, reporter.note)
    check_links(study.home, specs)
    if specs and executor is None:
        warm_up()
    return begun


@dataclass(frozen=True)
class Made:
    """Runs that were made. stopped: the signal that stopped them, or None. notes: as in `Ready`."""

    stopped: int | None = None
    notes: Sequence[str] = ()


def make(study: LoadedStudy, plan: Plan, begun: Begun, reporter: Reporter, executor: Executor | None) -> Made:
    """Make the runs, trying each variant out first.

    Raises InputError where a variant cannot be trained, StoreError where the store cannot take the runs.
    """
    specs = begun.specs
    if not specs:
        record(study)
        return Made()
    ready = get_ready(study, specs, begun.placement, executor, reporter.note)
    stop_text = "stopping: runs under way save their state; press again to stop at once"
    with (
        Interrupts(lambda: reporter.note(stop_text)) as interrupts,
        reporter.runs(specs, lambda spec: begun.expected.get(spec.key)) as on_event,
    ):
        jobs = jobs_of(study, specs, ready.at_a_time, ready.usual_layout, {spec.key for spec in plan.failed})
        ready.executor.run(jobs, on_event, interrupts.stopping)
    note_changed_code(study, specs, reporter.note)
    return Made(interrupts.signal, ready.notes)


def note_changed_code(study: LoadedStudy, specs: Sequence[RunSpec], note: Note) -> None:
    """Say which plugins changed while runs were under way; the runs used the code as it was at the start."""
    changed = study.changed_code(specs)
    if changed:
        note(
            f"changed since the start: {listing(map(shown, changed))}; these runs used the code as it was then\n"
            f"  which runs are new: {typed_again('plan', study.options)}"
        )


def _announce(study: LoadedStudy, plan: Plan, begun: Begun, note: Note) -> None:
    """Say what is going to happen, with the warnings about the study."""
    stored = sum(run.state == "stored" for run in plan.runs)
    pilot, count = study.study.pilot, len(begun.specs)
    head = f"{study.name}{' (pilot)' if pilot else ''}: {counted(len(plan.runs), 'run')}"
    at_once = f", {begun.placement.at_a_time}" if begun.placement.jobs > 1 else ""
    made = {spec.key for spec in begun.specs}
    left_out = sum(spec.key not in made for spec in plan.failed)
    failed = f", {left_out} failed before" if left_out else ""
    when = "" if pilot else f" ({about(total_seconds(begun.expected, begun.placement.surely))})"
    rest = f"{count} to make{at_once}{when}" if count else "nothing to make"
    note(f"{head}, {stored} stored{failed}, {rest}")
    if count:
        announce_data(study.study, note)
    if count and not pilot:
        announce_findings(study, note)
