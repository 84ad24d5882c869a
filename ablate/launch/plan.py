"""The plan of a study: each run that it asks for looked up in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..components.setting_text import value_text
from ..errors import InputError, did_you_mean, listing
from ..paths import shown
from ..study.plan import PlannedRun, plan_runs
from .asked import asked_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..stats.looks import Look
    from ..study.spec import RunSpec
    from .study import LoadedStudy


@dataclass(frozen=True)
class Plan:
    """The runs that were asked for, in order, each new, stored, failed or unfinished.

    looks: at a study whose seeds are added as they are needed. later: the runs that they may ask for yet.
    """

    runs: tuple[PlannedRun, ...]
    looks: tuple[Look, ...] = ()
    later: tuple[RunSpec, ...] = ()

    @property
    def failed(self) -> list[RunSpec]:
        """Return the runs that failed when they were last tried."""
        return [run.spec for run in self.runs if run.state == "failed"]

    def todo(self, retry_failed: bool = False) -> list[RunSpec]:
        """Return the runs to make: new and unfinished ones, with retry_failed also those that failed."""
        states = ("new", "unfinished", "failed") if retry_failed else ("new", "unfinished")
        specs = [run.spec for run in self.runs if run.state in states]
        # In a pilot, variants that differ only in their epochs are one run.
        return list({spec.key: spec for spec in reversed(specs)}.values())[::-1]


def plan(study: LoadedStudy) -> Plan:
    """Look up each run that is asked for, and say why where it is new."""
    home, record = study.home, study.record

    def before(spec: RunSpec) -> Mapping[str, object] | None:
        key = record.last_key(spec.variant, spec.seed) if record else None
        return (home.run(key).spec() or {}).get("identity") if key else None

    wanted, looks = asked_for(home, study.study, {(spec.variant, spec.seed): spec.key for spec in study.specs})
    now = [spec for spec in study.asked if (spec.variant, spec.seed) in wanted]
    still = {name for pair in looks[-1].undecided for name in pair} if looks else set()
    later = [spec for spec in study.asked if spec.variant in still and (spec.variant, spec.seed) not in wanted]
    planned = plan_runs(now, home.state, before)
    _check_reported(study, planned)
    return Plan(tuple(planned), looks, tuple(later))


def _check_reported(study: LoadedStudy, planned: Sequence[PlannedRun]) -> None:
    """Raise InputError where a stored run of a task has no value to compare: it would look as if it had failed."""
    wanted = "" if study.study.images else study.study.metric
    stored = {run.spec.variant: run.spec for run in planned if run.state == "stored" and wanted}
    for spec in stored.values():
        found = [name for name in study.home.run(spec.key).result() or {} if "/" in name]
        if found and wanted not in found:
            raise InputError(
                f"{shown(study.options.study)}: metric = {value_text(wanted)}: {spec.variant}, seed {spec.seed}, is "
                f"stored and did not report it{did_you_mean(wanted, found)}\n"
                f"  it reported {listing(found, 20)}; compare one of these, or have the task report more: "
                "that changes its source, and runs are made again"
            )
