"""One run in a store, as the process that makes it writes it. Everything here raises StoreError."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any, Literal

from ..errors import TakenOverError
from ..files import append_plain, checksum, is_temporary, open_plain, refuse_link, replace_file
from ..paths import shown
from .documents import (
    check_readable,
    commit_document,
    dumps,
    folder_in_store,
    local_time,
    lock_in_store,
    store_errors,
    write_document,
    write_text,
)
from .filenames import (
    DAMAGED_RESULT,
    FAILURE,
    HISTORY,
    LOCK,
    LOG,
    OWN_FILES_OF_RUN,
    OWNER,
    PREDICTIONS,
    RANGE_TEST,
    RESULT,
    RUN,
)
from .owner import live_owner, owning
from .predictions import packed
from .run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from filelock import FileLock

    from ..data.predictions import Predictions

Ending = Literal["failed", "diverged", "lost", "timed out", "out of memory"]
"""How a run ended without a result; `lost` is a process that was killed or crashed, every time it was tried."""


class RunWriter(RunFolder):
    """One run's folder, as its one writer uses it: who begins the run holds its lock until it has ended."""

    _named: Callable[[], bool] | None = None  # tells whether this process is still named as the run's writer

    def refuse_links(self) -> None:
        """Raise StoreError if a link, or a file in the place of the lock, stands in the way of making the run."""
        for folder in (self.path.parent, self.path):
            with store_errors(folder):
                refuse_link(folder)
        lock_in_store(self.path / LOCK)

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Try to hold the run, and tell whether this process does; the system releases it when the process dies.

        Also False where the system grants the lock, but a process on another machine is at work on the run.
        """
        self.refuse_links()
        folder_in_store(self.path)
        lock = lock_in_store(self.path / LOCK)
        try:
            with store_errors(self.path):
                mine = _acquired(lock) and not self._is_made_elsewhere()
            yield mine
        finally:
            lock.release()

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Name this process as the one that makes the run while this lasts; the lock has to be held.

        Everything that it then writes it writes only as long as the name stands: see `check_owner`.
        """
        with owning(self.path / OWNER) as named:
            self._named = named
            try:
                yield
            finally:
                self._named = None

    def check_owner(self) -> None:
        """Raise TakenOverError if another process has taken the run over since this one began it.

        On a file system whose locks are seen on one machine only, a process that was cut off for a minute, or
        suspended, may find that it is no longer the run's one writer.
        """
        if self._named is not None and not self._named():
            raise TakenOverError(f"{shown(self.path)}: another process has taken this run over")

    def open_log(self, head: str) -> Path:
        """Begin an attempt in the log of what the run prints, with a line that says which; return the log's file."""
        folder_in_store(self.path)
        log = self.path / LOG
        with store_errors(log):
            os.close(open_plain(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
            append_plain(log, f"--- {local_time()} {head}\n")
        return log

    def damage(self) -> str:
        """Return what is wrong with the result; "" if it is sound or there is none.

        Raises StoreError if the system does not let us read it: it may be sound, and must not be made again.
        """
        check_readable(self.path / RESULT)
        damaged = self.has_damaged_result()
        return f"{shown(self.path / RESULT)}: damaged; moved aside, and the run is made again" if damaged else ""

    def begin(self, spec: Mapping[str, Any], records: Sequence[Mapping[str, Any]] = ()) -> None:
        """Begin the run, or go on with it: the history becomes the epochs that are done, a failure is dropped.

        A result that cannot be read is moved aside, or it would stand in the way of the new one.
        """
        folder_in_store(self.path)
        with store_errors(self.path):
            if os.path.lexists(self.path / RESULT):
                (self.path / RESULT).replace(self.path / DAMAGED_RESULT)
            (self.path / FAILURE).unlink(missing_ok=True)
            (self.path / PREDICTIONS).unlink(missing_ok=True)
            for file in self.path.iterdir():
                if is_temporary(file.name):  # half written when an earlier process was killed
                    file.unlink(missing_ok=True)
        write_text(self.path / HISTORY, "".join(dumps(record) + "\n" for record in records))
        write_document(self.path / RUN, spec)

    def commit_range_test(self, test: Mapping[str, Any]) -> None:
        """Commit the range test that the run began with, replacing one that does not read."""
        self.check_owner()
        with store_errors(self.path):
            (self.path / RANGE_TEST).unlink(missing_ok=True)
        commit_document(self.path / RANGE_TEST, {"key": self.path.name, **test})

    def append_epoch(self, record: Mapping[str, Any]) -> None:
        """Append an epoch to the history."""
        self.check_owner()
        with store_errors(self.path / HISTORY):
            append_plain(self.path / HISTORY, dumps(record) + "\n")

    def write_predictions(self, predictions: Predictions) -> str:
        """Write what the run predicted, over what an earlier try wrote; return its checksum, for the result."""
        self.check_owner()
        content = packed(predictions)
        with store_errors(self.path / PREDICTIONS):
            replace_file(self.path / PREDICTIONS, content)
        return checksum(content)

    def commit_result(self, result: Mapping[str, Any]) -> bool:
        """Commit the result; return False if there already was one."""
        self.check_owner()
        about = {"key": self.path.name, "history": self.history_checksum(), "finished": local_time()}
        return commit_document(self.path / RESULT, {**result, **about})

    def record_failure(self, kind: Ending, reason: str, traceback: str = "") -> None:
        """Record why a try ended without a result."""
        self.check_owner()
        folder_in_store(self.path)
        failure = {"kind": kind, "reason": reason, "traceback": traceback, "time": local_time()}
        write_document(self.path / FAILURE, failure)

    def drop_failure(self) -> None:
        """Remove the record of why the last try failed."""
        self._drop(FAILURE)

    def drop_checkpoint(self) -> None:
        """Remove the checkpoint, where there is one."""
        self._drop(self.checkpoint.name)

    def own_files(self, fresh: bool) -> Path:
        """Return the folder for files of the run's task. fresh: without what an earlier try wrote."""
        self.check_owner()
        place = self.path / OWN_FILES_OF_RUN
        folder_in_store(self.path)
        with store_errors(place):
            refuse_link(place)
            if fresh and place.exists():
                shutil.rmtree(place)
            place.mkdir(exist_ok=True)
        return place.resolve()

    def _drop(self, name: str) -> None:
        with store_errors(self.path):
            (self.path / name).unlink(missing_ok=True)

    def _is_made_elsewhere(self) -> bool:
        """Tell whether a process on another machine makes the run; the lock has to be held."""
        if not (self.path / OWNER).exists():
            return False
        lock = self.path / LOCK
        lock.touch()  # by the file server's clock, as the heartbeat is
        owner = live_owner(self.path / OWNER, lock.stat().st_mtime)
        return owner is not None and not owner.here


def _acquired(lock: FileLock) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True
