"""A study over several datasets as it was last run: the records of its parts, each an ordinary study."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import AblateError, InputError, did_you_mean, listing
from .studies import StudyRecord, find_study, list_studies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .store import Store


@dataclass(frozen=True)
class StudyOver:
    """A study over several datasets. home: the store that it is in, the pilot's for a pilot.

    datasets: their names, in the order of the study. records: of those that were run, by name.
    """

    name: str
    home: Store
    datasets: tuple[str, ...]
    records: Mapping[str, StudyRecord] = field(default_factory=dict)

    @property
    def newest(self) -> StudyRecord:
        """Return the record of the dataset that was run last."""
        return max(self.records.values(), key=lambda record: record.time)

    @property
    def pilot(self) -> bool:
        """Tell whether it is a pilot."""
        return self.newest.changes.pilot

    def narrowed(self, wanted: Sequence[str]) -> StudyOver:
        """Return it with some of its datasets alone; InputError for one that it does not have."""
        for name in wanted:
            if name not in self.datasets:
                raise InputError(
                    f"{self.name}: '{name}' is none of its datasets{did_you_mean(name, self.datasets)}\n"
                    f"  accepts {listing(self.datasets, 20)}"
                )
        kept = tuple(name for name in self.datasets if name in wanted) if wanted else self.datasets
        return StudyOver(self.name, self.home, kept, {n: r for n, r in self.records.items() if n in kept})


def find_over(store: Store, named: str, pilot: bool | None) -> StudyOver | None:
    """Return the study over datasets of this name or file, as far as it was run; None where there is none.

    pilot: the pilot, in place of results. Where an ordinary study has the name or the file too, that which was run last
    is meant.
    """
    home = store.pilot if pilot else store
    records, wanted = list_studies(home), Path(named).resolve()
    parts = [one for one in records if one.over and (one.over == named or one.path == wanted)]
    if not parts:
        return None
    newest = max(parts, key=lambda one: one.time)
    with contextlib.suppress(InputError):
        if find_study(home, named, pilot=False)[1].time > newest.time:
            return None
    return _whole(home, newest, records)


def over_of(home: Store, part: StudyRecord) -> StudyOver:
    """Return the study over datasets that a record is a part of."""
    return _whole(home, part, list_studies(home))


def _whole(home: Store, part: StudyRecord, records: Sequence[StudyRecord]) -> StudyOver:
    """Return the study that a record is a part of, with its datasets as its file lists them now, if it still does."""
    found = {one.changes.dataset: one for one in records if one.over == part.over and one.path == part.path}
    listed: tuple[str, ...] = ()
    for read in (part.reading, part.as_run):
        with contextlib.suppress(AblateError):
            listed = listed or read().datasets
    listed = listed or tuple(found)
    return StudyOver(part.over, home, listed, {name: found[name] for name in listed if name in found})
