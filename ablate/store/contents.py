"""What stands in a store, listed without following a link; for checking a store and for cleaning it."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import is_temporary
from .filenames import DAMAGED, LOCK
from .run_writer import RunWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .store import Store

Entries = dict[str, os.DirEntry[str]]

STALE_SECONDS = 3600.0
"""A temporary file that no lock guards is left over when it is older; writing one takes a moment."""


def homes(store: Store) -> list[Store]:
    """Return a store and its pilot store; the latter is left out if it is a link."""
    return [home for home in (store, store.pilot) if home is store or not home.root.is_symlink()]


def run_folders(store: Store) -> list[Path]:
    """Return the folders of all runs in a store and its pilot, by name."""
    parts = [home.runs_folder for home in homes(store)]
    return [Path(entry) for part in parts for entry in entries(part).values() if entry.is_dir(follow_symlinks=False)]


@contextlib.contextmanager
def lock_run(folder: Path) -> Iterator[bool]:
    """Try to lock a run, and tell whether this process holds it; False where its lock is a link or a folder."""
    if has_odd_lock(folder):
        yield False
        return
    with RunWriter(folder).lock() as mine:
        yield mine


def entries(folder: Path) -> Entries:
    """Return what stands in a folder, by name; nothing if it is absent, a link or unreadable."""
    if folder.is_symlink():
        return {}
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        return {entry.name: entry for entry in sorted(found, key=lambda e: e.name)}
    return {}


def own_folders(home: Store) -> tuple[Path, ...]:
    """Return the folders that make up a store."""
    return (home.runs_folder, home.studies_folder, home.tuning_folder, home.root / DAMAGED, home.pilot.root)


def around_runs(home: Store) -> Iterator[os.DirEntry[str]]:
    """Yield everything in a store outside its runs' folders, except the folders that make up the store."""
    own = {str(folder) for folder in own_folders(home)}
    for folder in (home.root, home.studies_folder, home.tuning_folder, home.runs_folder):
        yield from (entry for entry in entries(folder).values() if entry.path not in own)


def is_stale(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a temporary file that nobody can still be writing."""
    with contextlib.suppress(OSError):
        status = entry.stat(follow_symlinks=False)
        return is_temporary(entry.name) and time.time() - status.st_mtime > STALE_SECONDS
    return False


def has_odd_lock(folder: Path) -> bool:
    """Tell whether something other than a file stands in the place of a run's lock."""
    lock = folder / LOCK
    return lock.is_symlink() or (lock.exists() and not lock.is_file())
