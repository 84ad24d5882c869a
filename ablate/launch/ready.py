"""The last steps before runs are made: data fetched, each variant tried out, room checked, the study recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..console.findings import in_brief
from .jobs import Ready
from .record import record
from .rehearsal import fetch_data, notes_on, rehearse
from .room import check_space

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..execute.jobs import Executor
    from ..execute.placement import Placement
    from ..study.spec import RunSpec
    from .study import LoadedStudy, Note


def get_ready(
    study: LoadedStudy,
    specs: Sequence[RunSpec],
    placement: Placement,
    executor: Executor,
    note: Note,
    trials: int = 1,
) -> Ready:
    """Return what makes runs, once nothing that can be known beforehand stands in their way, and record the study.

    specs: runs of all variants concerned. trials: how many runs are made for each of them.
    Raises InputError where a variant cannot be trained, StoreError where the store has no room.
    """
    fetch_data(study.sources(specs))
    before = study.findings
    found = rehearse(study, executor, specs, placement.threads, note)
    for line in in_brief([finding for finding in study.findings if finding not in before]):
        note(f"  {line}")
    check_space(study.home, found.state_bytes, [*specs] * trials, placement.jobs, study.written.limits)
    record(study)
    placement = found.placement or placement
    if found.moved:
        note(f"{placement.at_a_time}: {found.moved}")
    return Ready(executor, placement.threads, found.usual_layout, notes_on(found))
