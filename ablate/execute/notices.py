"""What a driver tells attempts on other machines, through the store that they share: a file for each driver.

That the file is there shows an attempt that its store is the driver's, and not a folder of the same name on another
machine. It is there from the start and only grows, in place: on NFS what was closed on one machine is seen by whoever
opens the file on another one afterwards, while a file that was not there before may stay unseen for a minute.
Its name is that of a temporary file: what a killed driver leaves, `ablate store clean` removes.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..files import append_plain, new_file, open_plain, read_plain
from ..store.documents import store_errors
from ..store.owner import DEAD_SECONDS, touched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Notices:
    """A driver's file of notices. Plain data: the attempts get it with their jobs."""

    path: Path

    @classmethod
    @contextlib.contextmanager
    def posted(cls, folder: Path) -> Iterator[Notices]:
        """Have a driver's file in a folder of a store while this lasts, and touch it regularly. Raises StoreError."""
        path = folder / f".notices.{uuid.uuid4().hex[:8]}"
        with store_errors(path), new_file(path):
            pass
        try:
            with touched(path):
                yield cls(path)
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    def ask_to_stop(self, attempt: str) -> None:
        """Ask an attempt to save its state and stop; a store that cannot be written any more asks nobody."""
        with contextlib.suppress(OSError):
            append_plain(self.path, f"{attempt}\n")

    def are_here(self) -> bool:
        """Tell whether the file is there: whether this machine has the driver's store."""
        return self.path.exists()

    def asked(self, attempt: str) -> bool:
        """Tell whether an attempt was asked to stop. A file that is gone asks nothing: its driver has ended."""
        try:
            return attempt.encode() in read_plain(self.path).split()
        except OSError:
            return False


class Silence:
    """Tells whether a driver has shown no sign of life for a minute: it was killed, and nobody waits for its attempts.

    clock: this machine's, by which a change of the file's time is noticed; what that time says does not matter.
    """

    def __init__(self, notices: Notices, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = notices.path, clock
        self._seen, self._since = self._touched(), clock()

    def lasts(self) -> bool:
        """Look once more."""
        now = self._touched()
        if now is not None and now != self._seen:
            self._seen, self._since = now, self._clock()
        return self._clock() - self._since > DEAD_SECONDS

    def _touched(self) -> int | None:
        """Return when the file was touched, None if it is gone. It is opened, or NFS would answer from its cache."""
        try:
            descriptor = open_plain(self._path, os.O_RDONLY)
        except OSError:
            return None
        try:
            return os.fstat(descriptor).st_mtime_ns
        finally:
            os.close(descriptor)
