"""Care of the store: what in it is damaged, left over or foreign, and moving aside what is damaged.

Checkpoints are held against their checksum; nothing is unpickled. Links are never followed.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import StoreError
from ..training.sealed import unseal
from .files import Document, read_document, store_errors
from .store import RunFolder, Store, is_identity
from .studies import damaged_studies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Harm = Literal["lost", "again", "leftover"]
Entries = dict[str, os.DirEntry[str]]

RESULT, RUN, HISTORY, FAILURE, CHECKPOINT, LOCK, OWNER = RUN_FILES = (
    "result.json",
    "run.json",
    "history.jsonl",
    "failure.json",
    "checkpoint.pt",
    "lock",
    "owner.json",
)
"""All that a run's folder holds while nothing went wrong, as `store` says."""

ASIDE = "result.damaged.json"
DAMAGED = "damaged"
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}")
"""What files are called until they are whole: `.NAME.` and eight digits of a uuid."""

STALE_SECONDS = 3600.0
"""Temporary files that no lock guards are left over when they are older; writing one takes a moment."""

_MEND = "'ablate store check --mend' moves it aside, and 'ablate run' makes the run again"
_CLEAN = "'ablate store clean' removes it"
_FOREIGN = "move it out of the store; no command of ablate touches it"


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a store.

    place: the file or folder. what: what is wrong with it. remedy: the next step.
    harm: "lost" where something that was recorded is gone, "again" where a run has to be made again, "leftover"
    where it only takes room.
    """

    place: Path
    what: str
    harm: Harm
    remedy: str


def homes(store: Store) -> list[Store]:
    """Return a store and its pilot's, which is passed over where it is a link."""
    return [home for home in (store, store.pilot) if home is store or not home.root.is_symlink()]


def run_folders(store: Store) -> list[Path]:
    """Return the folders of all runs in a store and its pilot, by name."""
    parts = [home.root / "runs" for home in homes(store)]
    return [Path(entry) for part in parts for entry in entries(part).values() if entry.is_dir(follow_symlinks=False)]


def check_store(store: Store, tell: Callable[[int], None] = lambda _: None) -> list[Fault]:
    """Verify everything in a store and its pilot; return what is wrong, by place.

    A run that another process is making is passed over. tell: called with the number of runs looked at so far.
    """
    faults = [fault for home in homes(store) for fault in _outside_runs(home)]
    for done, folder in enumerate(run_folders(store), 1):
        faults += _settled_faults(folder)
        tell(done)
    return sorted(faults, key=lambda fault: fault.place)


def mend(faults: list[Fault]) -> dict[Path, Path | None]:
    """Move damaged files of runs aside, so that the runs are made again.

    Returns, for each run folder with such a fault, the folder its files were moved to: STORE/damaged/TIME/KEY;
    None where another process holds the run, or has mended it. Raises StoreError where the store cannot be written.
    """
    folders = dict.fromkeys(f.place.parent for f in faults if f.harm == "again" and f.place.name in RUN_FILES)
    return {folder: _mend_run(folder) for folder in folders}


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold a run's folder, and tell whether it could be had; never where its lock is a link or a folder."""
    if _odd_lock(folder):
        yield False
        return
    with RunFolder(folder).lock() as mine:
        yield mine


def entries(folder: Path) -> Entries:
    """Return what stands in a folder, by name; nothing where it is absent, a link or not to be read."""
    if folder.is_symlink():
        return {}
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        return {entry.name: entry for entry in sorted(found, key=lambda e: e.name)}
    return {}


def is_stale(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a temporary file that nobody can be writing any more."""
    with contextlib.suppress(OSError):
        status = entry.stat(follow_symlinks=False)
        return bool(TEMPORARY.fullmatch(entry.name)) and time.time() - status.st_mtime > STALE_SECONDS
    return False


def _odd_lock(folder: Path) -> bool:
    lock = folder / LOCK
    return lock.is_symlink() or (lock.exists() and not lock.is_file())


def _outside_runs(home: Store) -> Iterator[Fault]:
    """Look at everything but the folders of runs."""
    for file in damaged_studies(home):
        again = "'ablate run' of the study records it anew; its finished runs stay"
        yield Fault(file, "this study's record does not read", "lost", again)
    for name in ("last.json", "known.json", "store.json", "index.json"):
        file = home.root / name
        if os.path.lexists(file) and read_document(file) is None:
            yield Fault(file, "does not read", "leftover", "remove it; 'ablate run' writes it anew")
    for folder in (home.root, home.studies_folder, home.root / "runs"):
        found = entries(folder).values()
        yield from (Fault(Path(e), "a temporary file", "leftover", _CLEAN) for e in found if is_stale(e))
    for folder in (home.root / "runs", home.studies_folder, home.root / DAMAGED, home.pilot.root):
        if folder.is_symlink():
            yield Fault(folder, "a link: nothing behind it was looked at", "lost", "put the folder itself there")
    for entry in entries(home.root / "runs").values():
        if not entry.is_dir(follow_symlinks=False) and not TEMPORARY.fullmatch(entry.name):
            what = "a link: not followed" if entry.is_symlink() else "not a run's folder"
            yield Fault(Path(entry), what, "leftover", _FOREIGN)


def _settled_faults(folder: Path) -> list[Fault]:
    """Return what is wrong with a run that nobody is making: its files change under a reader's eyes."""
    faults = list(_faults(folder))
    if not faults or LOCK not in entries(folder):
        return faults
    try:
        with held(folder) as mine:
            return list(_faults(folder)) if mine or _odd_lock(folder) else []
    except StoreError:  # nothing can be written here, so nobody is making the run
        return faults


def _faults(folder: Path) -> Iterator[Fault]:
    found = entries(folder)
    known = {name for name in RUN_FILES if name in found}
    if not os.access(folder, os.R_OK | os.X_OK):
        yield Fault(folder, "may not be read", "again", "give yourself the right to read it")
    elif not known - {LOCK, OWNER}:
        empty = not set(found) - {LOCK, OWNER}
        yield Fault(folder, "empty" if empty else "not a run's folder", "leftover", _CLEAN if empty else _FOREIGN)
    else:
        run = RunFolder(folder)
        result = run.result()
        if RESULT in known and result is None:
            yield _damage(folder, RESULT, "it does not read, or its checksum does not fit")
        yield from _documents(folder, known, result)
        yield from _epochs(run, known, result)
        if CHECKPOINT in known:
            yield from _checkpoint(folder)
        yield from _strangers(found)


def _damage(folder: Path, name: str, what: str) -> Fault:
    return Fault(folder / name, what, "again", _MEND)


def _documents(folder: Path, known: set[str], result: Document | None) -> Iterator[Fault]:
    document = read_document(folder / RUN)
    if RUN not in known:
        if result is not None:
            yield _damage(folder, RUN, "missing: it said what this run is")
    elif document is None:
        yield _damage(folder, RUN, "does not read")
    elif document.get("key") != folder.name:
        yield _damage(folder, RUN, "its key is not the folder's name")
    elif not is_identity(document.get("identity"), folder.name):
        yield _damage(folder, RUN, "what it says of the run is not what its key was made of")
    if FAILURE in known and read_document(folder / FAILURE) is None:
        yield _damage(folder, FAILURE, "does not read: why the run failed is not known")


def _epochs(run: RunFolder, known: set[str], result: Mapping[str, Any] | None) -> Iterator[Fault]:
    """Hold the history against the result; without one, a last line that was cut off is in order."""
    if HISTORY not in known:
        if result is not None:
            yield _damage(run.path, HISTORY, "missing")
        return
    lines, epochs = run.history_lines(), len(run.history())
    wanted = epochs if result is None else result.get("epochs", epochs)
    cut_off = result is None and lines and not lines[-1].endswith("\n")
    if len(lines) - bool(cut_off) > epochs or (result is not None and not lines):
        yield _damage(run.path, HISTORY, f"line {epochs + 1} is not the record of epoch {epochs + 1}")
    elif epochs != wanted:
        yield _damage(run.path, HISTORY, f"has {epochs} epochs, and the result is of {wanted}")
    elif result is not None and result.get("history", run.history_digest()) != run.history_digest():
        yield _damage(run.path, HISTORY, "is not what the result was committed with")


def _checkpoint(folder: Path) -> Iterator[Fault]:
    try:
        sound = unseal(folder / CHECKPOINT) is not None
    except OSError:
        sound = False
    if not sound:
        yield _damage(
            folder, CHECKPOINT, "damaged: a run that is not done begins anew, and the weights of one that is are lost"
        )


def _strangers(found: Entries) -> Iterator[Fault]:
    for name, entry in found.items():
        place = Path(entry)
        if entry.is_symlink():
            yield Fault(place, "a link: the store keeps plain files", "leftover", "put the file itself there")
        elif TEMPORARY.fullmatch(name):
            yield Fault(place, "a temporary file", "leftover", _CLEAN)
        elif name == ASIDE:
            yield Fault(place, "a damaged result; its run began anew", "leftover", _CLEAN)
        elif name not in RUN_FILES:
            yield Fault(place, "not a file of ablate's", "leftover", _FOREIGN)
        elif name == LOCK and not entry.is_file():
            yield Fault(place, "not a file: nobody can make this run", "leftover", _FOREIGN)
        elif not entry.is_file():
            yield _damage(place.parent, name, "not a file")


def _mend_run(folder: Path) -> Path | None:
    with held(folder) as mine:
        bad = {f.place.name for f in _faults(folder) if f.harm == "again"} & set(RUN_FILES)
        if not mine or not bad:
            return None
        found = entries(folder)
        if RESULT in found and bad & {RESULT, RUN, HISTORY}:
            bad |= {RESULT, RUN, HISTORY}  # a run is made again from its beginning, or from a sound checkpoint
        home = folder.parent.parent
        aside = _new_folder(home, folder.name)
        with store_errors(home.joinpath(DAMAGED)):
            for name in sorted(bad & set(found)):
                (folder / name).replace(aside / name)
        _leave(folder)
        return aside


def _leave(folder: Path) -> None:
    """Remove a run's folder that is held and holds nothing but its lock."""
    with contextlib.suppress(OSError):
        if not set(entries(folder)) - {LOCK}:
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()


def _new_folder(home: Path, key: str) -> Path:
    """Make STORE/damaged/TIME/KEY, with a number behind it where that was made in the same second."""
    damaged = home / DAMAGED
    if damaged.is_symlink():
        raise StoreError(f"{damaged}: is a link, and nothing is written behind one\n  put a folder there, or remove it")
    folder = damaged / time.strftime("%Y%m%dT%H%M%S") / key
    with store_errors(damaged):
        folder.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while os.path.lexists(folder):
            number += 1
            folder = folder.with_name(f"{key}-{number}")
        folder.mkdir()
    return folder
