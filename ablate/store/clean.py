"""Cleaning the store: what can go, how much that is, and removing it run by run, none that somebody is making.

Nothing outside the store is touched: links are removed as links, and never followed. Files that are not ablate's stay.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import StoreError
from ..paths import shown
from .care import (
    ASIDE,
    CHECKPOINT,
    DAMAGED,
    FAILURE,
    LOCK,
    OWNER,
    RESULT,
    RUN_FILES,
    TEMPORARY,
    Entries,
    entries,
    held,
    homes,
    is_stale,
    run_folders,
)
from .files import read_document, store_errors
from .store import RunFolder, Store
from .studies import damaged_studies, list_studies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Kind = Literal["failed", "unused", "checkpoints", "kept", "leftovers"]
KINDS: tuple[Kind, ...] = ("failed", "unused", "checkpoints", "kept", "leftovers")
ASKED_FOR: tuple[Kind, ...] = ("unused", "kept")
"""What is removed only where it is asked for: results, and the trained weights that a study wanted kept."""

FRESH_SECONDS = 60.0
"""An empty run folder that is younger may be that of a run about to begin."""


@dataclass(frozen=True)
class Waste:
    """A file that can go, or a folder with all that is in it: why, its run's folder if it has one, and its size."""

    kind: Kind
    place: Path
    bytes: int
    folder: Path | None = None


class Cleaner:
    """Finds and removes what a store can do without. kinds: what to look for.

    Raises StoreError where unused runs are asked for and a study's record, which may name them, does not read.
    """

    def __init__(self, store: Store, kinds: Iterable[Kind]) -> None:
        self._store, self._kinds = store, frozenset(kinds)
        self._used = _used(store) if "unused" in self._kinds else {}

    def find(self, tell: Callable[[int], None] = lambda _: None) -> list[Waste]:
        """Return what can go; tell: called with the number of runs looked at so far."""
        found: list[Waste] = []
        for done, folder in enumerate(run_folders(self._store), 1):
            found += self._of_run(folder)
            tell(done)
        return [*found, *self._outside_runs()]

    def remove(self, found: Iterable[Waste], tell: Callable[[int], None] = lambda _: None) -> tuple[list[Waste], int]:
        """Remove what was found; return what is gone, and how many runs were passed over as somebody makes them.

        Each run is looked at again while it is held: what changed since stays. Raises StoreError.
        """
        gone: list[Waste] = []
        passed = 0
        by_folder: dict[Path | None, list[Waste]] = {}
        for waste in found:
            by_folder.setdefault(waste.folder, []).append(waste)
        for done, (folder, wastes) in enumerate(by_folder.items(), 1):
            removed = self._clean_run(folder) if folder else _remove(wastes)
            passed += removed is None
            gone += removed or []
            tell(done)
        return gone, passed

    def _clean_run(self, folder: Path) -> list[Waste] | None:
        """Remove what can go of a run; None where another process holds it."""
        locked_before = LOCK in entries(folder)
        with held(folder) as mine:
            if not mine:
                return None
            # The lock is the last to go: until then it keeps others away.
            gone = _remove(sorted(self._of_run(folder), key=lambda waste: waste.place.name == LOCK))
            if not locked_before:
                (folder / LOCK).unlink(missing_ok=True)
                gone = [waste for waste in gone if waste.place.name != LOCK]
            with contextlib.suppress(OSError):  # it holds something else
                folder.rmdir()
            return gone

    def _of_run(self, folder: Path) -> Iterator[Waste]:
        found = entries(folder)
        if not found and "leftovers" in self._kinds and time.time() - folder.lstat().st_mtime > FRESH_SECONDS:
            yield Waste("leftovers", folder, 0, folder)
        whole = self._whole(folder, found)
        for name, entry in found.items():
            kind = whole if whole and (name in RUN_FILES or _is_left_over(name)) else _part(folder, found, name)
            if kind in self._kinds and not entry.is_dir(follow_symlinks=False):
                yield Waste(kind, Path(entry), _size(Path(entry)), folder)

    def _whole(self, folder: Path, found: Entries) -> Kind | None:
        """Return why the whole run can go."""
        if FAILURE in found and RESULT not in found and "failed" in self._kinds:
            return "failed"
        if RESULT in found and "unused" in self._kinds and folder.name not in self._used[folder.parent.parent]:
            return "unused"
        return None

    def _outside_runs(self) -> Iterator[Waste]:
        if "leftovers" not in self._kinds:
            return
        for home in homes(self._store):
            for folder in (home.root, home.studies_folder, home.root / "runs"):
                yield from (
                    Waste("leftovers", Path(e), _size(Path(e))) for e in entries(folder).values() if is_stale(e)
                )
            damaged = entries(home.root).get(DAMAGED)
            if damaged is not None:
                yield Waste("leftovers", Path(damaged), _size(Path(damaged)))


def _part(folder: Path, found: Entries, name: str) -> Kind | None:
    """Return why one file of a run can go."""
    if _is_left_over(name) or (name in (LOCK, OWNER) and (RESULT in found or not found.keys() - {LOCK, OWNER})):
        return "leftovers"
    if name != CHECKPOINT:
        return None
    # A result that is damaged is no result: its run is made again, from the checkpoint if there is one.
    result = RunFolder(folder).result()
    if result is not None:
        return "kept" if result.get("checkpoint_kept") else "checkpoints"
    return "checkpoints" if FAILURE in found and RESULT not in found else None


def _is_left_over(name: str) -> bool:
    return name == ASIDE or bool(TEMPORARY.fullmatch(name))


def _used(store: Store) -> dict[Path, set[str]]:
    """Return the keys that the studies of each store, the real one and the pilot's, name."""
    for home in homes(store):
        for file in damaged_studies(home):
            raise StoreError(
                f"{shown(file)}: this study's record does not read, so which runs are unused cannot be told\n"
                "  'ablate run' of the study records it anew; or leave out --unused"
            )
    used = {home.root: {row.key for record in list_studies(home) for row in record.rows} for home in homes(store)}
    for home in homes(store):
        for file in home.tuning_folder.glob("*.json"):
            used[home.root] |= _tuned(file)
    return used


def _tuned(file: Path) -> set[str]:
    """Return the keys of the trials that tuning recorded in a file."""
    variants = (read_document(file) or {}).get("variants")
    trials = [t for v in variants or () if isinstance(v, dict) for t in v.get("trials") or () if isinstance(t, dict)]
    return {str(trial.get("key")) for trial in trials}


def _size(place: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; a link has those of its own."""
    parts = [Path(folder, name) for folder, _, names in os.walk(place) for name in names] or [place]
    return sum(part.lstat().st_size for part in parts if not part.is_dir() or part.is_symlink())


def _remove(wastes: Iterable[Waste]) -> list[Waste]:
    gone = []
    for waste in wastes:
        with store_errors(waste.place):
            if waste.place.is_dir() and not waste.place.is_symlink():
                shutil.rmtree(waste.place)
            else:
                waste.place.unlink(missing_ok=True)
        gone.append(waste)
    return gone
