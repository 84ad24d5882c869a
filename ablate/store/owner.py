"""Who makes a run: named beside its lock, in a file that is touched while the run is made.

The lock itself is the system's, and goes when its owner dies. Some network file systems keep locks to one machine;
there the file tells that another machine is at work, until its heartbeat has stopped for a while.
"""

from __future__ import annotations

import contextlib
import os
import platform
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .files import read_document, write_document

if TYPE_CHECKING:
    from collections.abc import Iterator

BEAT_SECONDS = 5.0
DEAD_SECONDS = 60.0
"""An owner on another machine that has not touched its file for so long is taken for dead."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Owner:
    """A process that makes a run: its machine's name, what tells that machine's system from others, and its pid."""

    host: str
    boot: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"

    @property
    def here(self) -> bool:
        """Tell whether it is on this machine, where the system's lock says all."""
        return self.boot == _boot()


def _named(file: Path) -> Owner | None:
    """Return whom a file names, dead or alive, or None."""
    found = read_document(file) or {}
    try:
        return Owner(str(found["host"]), str(found["boot"]), int(found["pid"]), str(found["since"]))
    except (KeyError, TypeError, ValueError):
        return None


def live_owner(file: Path, now: float | None = None) -> Owner | None:
    """Return the owner that a file names while its heart beats.

    now: the time by the clock that sets the file's times, which is the file server's; this machine's where not given.
    """
    owner = _named(file)
    try:
        age = (time.time() if now is None else now) - file.stat().st_mtime
    except OSError:
        return None
    return owner if abs(age) < DEAD_SECONDS and not (owner and owner.here and _ended(owner)) else None


@contextlib.contextmanager
def owning(file: Path) -> Iterator[None]:
    """Name this process in a file and keep it fresh, until this ends. Raises StoreError."""
    write_document(file, vars(_this_process()))
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(file)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        with contextlib.suppress(OSError):
            file.unlink()


def _this_process() -> Owner:
    return Owner(platform.node(), _boot(), os.getpid(), time.strftime("%Y-%m-%dT%H:%M:%S%z"))


def _boot() -> str:
    """Return what tells this system's run from any other machine's; its name where there is nothing better."""
    with contextlib.suppress(OSError):
        return _BOOT_ID.read_text(encoding="ascii").strip()
    return platform.node()


def _ended(owner: Owner) -> bool:
    """Tell whether a process of this machine is gone; one in another container cannot be seen from here."""
    if os.name == "posix" and owner.host == platform.node():
        try:
            os.kill(owner.pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):  # it lives and is not ours, or was never a process
            pass
    return False
