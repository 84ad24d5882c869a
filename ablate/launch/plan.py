"""The plan of a study: each of its runs looked up in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..study.plan import PlannedRun, plan_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..study.spec import RunSpec
    from .study import LoadedStudy


@dataclass(frozen=True)
class Plan:
    """The runs that were asked for, in order, each new, stored, failed or unfinished."""

    runs: tuple[PlannedRun, ...]

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
    """Look up each run that was asked for, and say why where it is new."""
    home, record = study.home, study.record

    def before(spec: RunSpec) -> Mapping[str, object] | None:
        key = record.last_key(spec.variant, spec.seed) if record else None
        return (home.run(key).spec() or {}).get("identity") if key else None

    return Plan(tuple(plan_runs(study.asked, home.state, before)))
