"""Whether what a report of a study is made of has changed, without reading it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .filenames import FAILURE, RESULT
from .studies import file_name

if TYPE_CHECKING:
    from pathlib import Path

    from .store import Store
    from .studies import StudyRecord

Stamp = tuple[tuple[int, int] | None, ...]
"""The size and the time of change of each file, None where there is none."""


def study_stamp(store: Store, record: StudyRecord) -> Stamp:
    """Return what changes when the study is run anew, edited or tuned, and when one of its runs ends."""
    document = f"{file_name(record.name)}.json"
    runs = str(store.runs_folder)  # plain strings: of many runs, making paths is what takes the time
    ends = (
        f"{runs}/{key}/{name}" for key in dict.fromkeys(row.key for row in record.rows) for name in (RESULT, FAILURE)
    )
    about = (store.studies_folder / document, store.tuning_folder / document, record.path)
    return (*map(_stamp, about), *map(_stamp, ends))


def _stamp(place: Path | str) -> tuple[int, int] | None:
    try:
        found = os.lstat(place)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
