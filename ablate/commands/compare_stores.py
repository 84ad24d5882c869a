"""Two stores or studies compared, variant by variant: as before and after a library was upgraded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..api.records import read_records
from ..api.sides import GivenSide, compared
from ..errors import InputError, listing, quoted
from ..launch.study import silent
from ..paths import shown
from ..store.store import Store
from ..store.studies import find_study, list_studies

if TYPE_CHECKING:
    from pathlib import Path

    from ..api.compare import Asked, Comparisons
    from ..launch.study import Note
    from ..store.studies import StudyRecord


@dataclass(frozen=True)
class Side:
    """One of the two: a store's folder, or a study's file or name. store: where a study is. study: which of a store."""

    source: Path
    store: Path
    study: str | None = None

    @property
    def name(self) -> str:
        """Return what messages and variants call it."""
        return shown(self.source)

    def records(self) -> tuple[Store, list[StudyRecord]]:
        """Return the studies that it may be. Raises InputError where there is none."""
        if self.source.is_file() and self.source.suffix != ".toml":
            raise InputError(
                f"{self.name}: is a file; ablate compare takes one, with all runs in it\n"
                "  to compare several, write their rows below one header"
            )
        if not self.source.is_dir():
            home, record = find_study(Store(self.store), str(self.source), None)
            return home, [record]
        store = Store(self.source.resolve())
        if not store.studies_folder.is_dir():
            raise InputError(
                f"{self.name}: is a folder and no store: it has no studies in it\n"
                "  accepts a file of runs, or two stores or studies"
            )
        records = [record for record in list_studies(store) if self.study in (None, record.name)]
        if not records:
            raise InputError(
                f"{self.name}: no study {f'called {self.study!r} ' if self.study else ''}has been run in this store\n"
                f"  it has: {listing(record.name for record in list_studies(store)) or 'nothing yet'}"
            )
        return store, records


def compare_sides(reference: Side, candidate: Side, asked: Asked) -> Comparisons:
    """Compare each variant of the candidate with that of the same name of the reference; baselines where none is.

    Raises InputError for a side that is no store or study, and where it is not clear which study is meant.
    """
    if asked.columns.variant or asked.columns.seed or asked.reference:
        raise InputError("--variant, --seed and --reference are for a file of runs; of two stores or studies the first "
                         "is the reference")  # fmt: skip
    if asked.lower_is_better is not None:
        raise InputError("--lower-is-better and --higher-is-better are for a file of runs; a study's metrics say it")
    return compared(*chosen(reference, candidate), asked)


def _same_place(home: Store, other: Store) -> bool:
    """Tell whether two stores are one, by whatever names."""
    try:
        return home.root.samefile(other.root)
    except OSError:
        return False


def chosen(reference: Side, candidate: Side, note: Note = silent) -> tuple[GivenSide, GivenSide]:
    """Return what is stored of both sides: of the one study that each has, or of the one of the same name.

    Raises InputError for a side that is no store or study, or both are the same, or it is not clear which is meant.
    """
    if reference.source == candidate.source:
        raise InputError(f"{reference.name}: stands on both sides; name two")
    (home, ours), (other_home, theirs) = reference.records(), candidate.records()
    both = [(a, b) for a in ours for b in theirs if a.name == b.name]
    if len(ours) == len(theirs) == 1:
        both = [(ours[0], theirs[0])]
    if len(both) != 1:
        names = [[record.name for record in records] for records in (ours, theirs)]
        raise InputError(
            f"{reference.name} and {candidate.name}: it is not clear which studies are meant; name one: --study NAME\n"
            f"  {reference.name} has {listing(quoted(names[0]))}; {candidate.name} has {listing(quoted(names[1]))}"
        )
    before, after = both[0]
    if _same_place(home, other_home) and before.name == after.name:
        raise InputError(
            f"{reference.name} and {candidate.name}: are one and the same, the study '{before.name}' in the store "
            f"{shown(home.root)}; name two"
        )
    return (
        GivenSide(reference.name, home, read_records(home, before, note)),
        GivenSide(candidate.name, other_home, read_records(other_home, after, note)),
    )
