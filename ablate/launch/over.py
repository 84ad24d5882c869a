"""Which study a command that reads results means: an ordinary one, or one over several datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError
from ..store.over import StudyOver, find_over, over_of
from ..store.studies import find_study
from .last import study_run_last

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..store.store import Store
    from ..store.studies import StudyRecord


def study_meant(
    store: Store, named: str | None, command: str, pilot: bool | None, datasets: Sequence[str] = ()
) -> StudyOver | tuple[Store, StudyRecord]:
    """Return the study over datasets that is meant, or the store and the record of an ordinary one.

    named: a file or a name; None for the study run last. command: as in "ablate report". datasets: of a study over
    several, these alone; of one, the ordinary study on it. Raises InputError where there is none.
    """
    last = study_run_last(store, command, pilot) if named is None else None
    over = find_over(store, named, pilot) if named is not None else None
    if last and last[1].over:
        over = over_of(*last)
    if over is None:
        home, record = last or find_study(store, str(named), pilot)
        if datasets:
            raise InputError(f"--dataset: '{record.name}' is no study over several datasets")
        return home, record
    over = over.narrowed(datasets)
    if len(datasets) == 1:
        return find_study(over.home, over.name, False, datasets[0])
    return over
