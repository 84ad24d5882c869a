"""The store: one folder for each run, by key. This module alone names its paths.

STORE/runs/KEY/                one folder for each run:
    run.json                   spec and environment, written when the run starts
    lr_find.json               the learning rate that the run found before it trained, where it does; committed
    history.jsonl              a line for each epoch
    result.json                committed last: a run is done when it stands
    failure.json               why the last try ended without a result
    checkpoint.pt              the state to go on from; gone with the result, unless the study keeps it
    lock                       held by the one process that makes the run
    owner.json                 which process that is, touched every few seconds (see `owner`)
STORE/studies/NAME.json        what was run under a study's name (see `studies`)
STORE/tuning/NAME.json         what tuning found for a study (see `tune.records`)
STORE/tuning/journal.log       Optuna's trials, unless another storage is named
STORE/last.json                the study run last
STORE/known.json               library components that were checked before
STORE/index.json               results that were read before and found sound
STORE/pilot/                   a store of its own for pilot runs
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from ..errors import InputError
from ..paths import shown
from ..study.plan import key_of
from .files import (
    Document,
    can_be_read,
    commit_document,
    dumps,
    read_committed,
    read_document,
    store_errors,
    write_document,
)
from .owner import Owner, live_owner, owning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

FORMAT = 1
State = Literal["new", "stored", "failed", "unfinished"]
Ending = Literal["failed", "diverged", "lost", "timed out", "out of memory"]
"""How a run ended without a result; `lost` is a process that was killed or crashed, every time it was tried."""


class Store:
    """A folder of runs. Reading never fails on what one run's folder holds; writing raises StoreError."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def pilot(self) -> Store:
        """Return the store of pilot runs, which no real result is ever mixed with."""
        return Store(self.root / "pilot")

    @property
    def last_file(self) -> Path:
        """Return the file that names the study run last."""
        return self.root / "last.json"

    @property
    def known_file(self) -> Path:
        """Return the file of library components that were checked before."""
        return self.root / "known.json"

    @property
    def studies_folder(self) -> Path:
        """Return the folder of study records."""
        return self.root / "studies"

    @property
    def tuning_folder(self) -> Path:
        """Return the folder of what tuning found, and of Optuna's own journal."""
        return self.root / "tuning"

    @property
    def index_file(self) -> Path:
        """Return the cache of results that were found sound (see `index`)."""
        return self.root / "index.json"

    def run(self, key: str) -> RunFolder:
        """Return the folder of one run, which may not exist yet."""
        return RunFolder(self.root / "runs" / key)

    def stamp(self, key: str) -> list[int] | None:
        """Return size and time of change of a run's result, or None where there is none."""
        try:
            # Plain strings: making 100,000 paths takes seconds.
            found = os.stat(f"{self.root}/runs/{key}/result.json")  # noqa: PTH116
        except OSError:
            return None
        return [found.st_size, found.st_mtime_ns]

    def state(self, key: str) -> State:
        """Tell where a run stands."""
        return self.run(key).state()

    def free_bytes(self) -> int:
        """Return how much room there is where the store is, or will be; 0 where that cannot be seen."""
        try:
            return shutil.disk_usage(self._nearest()).free
        except OSError:
            return 0

    def make_writable(self) -> None:
        """Create the store where it is missing and prove that it can be written; raises StoreError.

        InputError where a file stands in its place.
        """
        nearest = self._nearest()
        if not nearest.is_dir():
            raise InputError(
                f"{shown(nearest)}: is a file, and the store has to be a folder\n"
                "  name another: --store DIR or ABLATE_STORE"
            )
        with store_errors(self.root):
            for folder in (self.root / "runs", self.studies_folder):
                folder.mkdir(parents=True, exist_ok=True)
        made = (read_document(self.root / "store.json") or {}).get("format", FORMAT)
        if made != FORMAT:
            raise InputError(
                f"{shown(self.root)}: made by another version of ablate (format {made!r}, and this one has {FORMAT})\n"
                "  use that version, or another store: --store DIR or ABLATE_STORE"
            )
        write_document(self.root / "store.json", {"format": FORMAT})

    def _nearest(self) -> Path:
        """Return the store's folder, or the nearest one above it that is there."""
        return next(p for p in (self.root, *self.root.parents) if p.exists() or p == p.parent)


class RunFolder:
    """One run's folder: its reader, and the recorder that its one writer uses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._run = path / "run.json"
        self._history = path / "history.jsonl"
        self._result = path / "result.json"
        self._found = path / "lr_find.json"
        self._failure = path / "failure.json"
        self._owner = path / "owner.json"
        self.checkpoint = path / "checkpoint.pt"

    def state(self) -> State:
        """Tell where the run stands; a result whose checksum does not fit does not count."""
        if self.result() is not None:
            return "stored"
        if self._failure.exists():
            return "failed"
        return "unfinished" if self._run.exists() else "new"

    def result(self) -> Document | None:
        """Return the committed result, or None where there is none or it is not this run's."""
        found = read_committed(self._result)
        return found if found is not None and found.get("key") == self.path.name else None

    def damage(self) -> str:
        """Return "" where there is no result or a sound one, else what is wrong with it.

        Raises StoreError where one is there and cannot be read now: it may be sound, and must not be made again.
        """
        can_be_read(self._result)
        damaged = self._result.exists() and self.result() is None
        return f"{shown(self._result)}: damaged; moved aside, and the run is made again" if damaged else ""

    def history_fits(self, result: Mapping[str, Any]) -> bool:
        """Tell whether the epochs are those that a result was committed with."""
        return result.get("history") == self.history_digest()

    def spec(self) -> Document | None:
        """Return what was written when the run started: `identity`, `variant`, `seed`, `environment`.

        Without `identity` where that is not what the run's key was made of.
        """
        found = read_document(self._run)
        if found is not None and not is_identity(found.get("identity"), self.path.name):
            found.pop("identity", None)
        return found

    def failure(self) -> Document | None:
        """Return why the last try failed (`kind`, an Ending, `reason`, `traceback`), or None."""
        return read_document(self._failure)

    def found(self) -> Document | None:
        """Return what the run found of its learning rate before it trained, or None."""
        body = read_committed(self._found)
        return body if body is not None and body.get("key") == self.path.name else None

    def history(self) -> list[Document]:
        """Return the epochs recorded so far, up to the first line that is not the next epoch."""
        records: list[Document] = []
        for line in self.history_lines():
            record = _record(line)
            if record is None or record.get("epoch") != len(records) + 1:
                break
            records.append(record)
        return records

    def history_lines(self) -> list[str]:
        """Return the lines of the history as they stand, with their ends; bytes that are no text are replaced."""
        try:
            return self._history.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        except OSError:
            return []

    def history_digest(self) -> str:
        """Return a hash of the history, which the result is committed with."""
        return hashlib.sha256("".join(self.history_lines()).encode()).hexdigest()

    def owner(self) -> Owner | None:
        """Return the process that makes the run at this moment, or None."""
        return live_owner(self._owner)

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the run, and tell whether it could be had; the system lets go of it when its owner dies.

        Where the system's lock can be had though a process on another machine is at work, it is not had either.
        """
        held = FileLock(self.path / "lock")
        with store_errors(self.path):
            self.path.mkdir(exist_ok=True)
            mine = _had(held) and not self._made_elsewhere()
        try:
            yield mine
        finally:
            held.release()

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Say while this lasts that this process makes the run; the lock has to be held."""
        with owning(self._owner):
            yield

    def _made_elsewhere(self) -> bool:
        if not self._owner.exists():
            return False
        lock = self.path / "lock"
        lock.touch()  # by the file server's clock, as the heartbeat is
        owner = live_owner(self._owner, lock.stat().st_mtime)
        return owner is not None and not owner.here

    def start(self, spec: Mapping[str, Any], records: Sequence[Mapping[str, Any]] = ()) -> None:
        """Begin a run, or go on with it: the history is set to the epochs that are done, failures are dropped.

        A result that cannot be read is moved aside, or it would stand in the new one's way.
        """
        with store_errors(self.path):
            self.path.mkdir(exist_ok=True)
            if self._result.exists():
                self._result.replace(self.path / "result.damaged.json")
            self._failure.unlink(missing_ok=True)
            for left in self.path.glob(".*.????????"):  # half written when a process before was killed
                left.unlink(missing_ok=True)
            self._history.write_text("".join(dumps(record) + "\n" for record in records), encoding="utf-8")
        write_document(self._run, spec)

    def find(self, found: Mapping[str, Any]) -> None:
        """Commit what the run found of its learning rate; what stands there and does not read gives way."""
        with store_errors(self.path):
            self._found.unlink(missing_ok=True)
        commit_document(self._found, {"key": self.path.name, **found})

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Append an epoch."""
        with store_errors(self._history), self._history.open("a", encoding="utf-8") as file:
            file.write(dumps(record) + "\n")

    def finish(self, result: Mapping[str, Any]) -> bool:
        """Commit the result; False where one already stood."""
        about = {"key": self.path.name, "history": self.history_digest(), "finished": _now()}
        return commit_document(self._result, {**result, **about})

    def checkpoint_bytes(self) -> int:
        """Return the size of the checkpoint, 0 where there is none."""
        try:
            return self.checkpoint.stat().st_size
        except OSError:
            return 0

    def drop_checkpoint(self) -> None:
        """Remove the checkpoint, where there is one."""
        with store_errors(self.path):
            self.checkpoint.unlink(missing_ok=True)

    def fail(self, kind: Ending, reason: str, traceback: str = "") -> None:
        """Record why a try ended without a result."""
        with store_errors(self.path):
            self.path.mkdir(exist_ok=True)
        write_document(self._failure, {"kind": kind, "reason": reason, "traceback": traceback, "time": _now()})


def _record(line: str) -> Document | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def is_identity(found: Any, key: str) -> bool:
    """Tell whether a run's key was made of this."""
    try:
        return isinstance(found, dict) and key_of(found) == key
    except RecursionError:  # too deep a nest, though it could be read
        return False


def _had(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
