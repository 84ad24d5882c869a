"""A run's process: what it does first, how it hears of its driver and its driver's death, and how it is ended."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from .jobs import Job

DRIVER = "ABLATE_DRIVER"
"""The environment variable that names the driver's process while another one starts."""

# What a run's process is started with, unless the user says otherwise.
SETTINGS = {
    # GNU's malloc gives the large arrays of each step back to the system and has them again, page by page: a fifth of
    # the time of a small network's step. So it keeps them, on huge pages where those are for the asking.
    "GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184:glibc.malloc.hugetlb=1",
}


def died(exitcode: int | None) -> str:
    """Say how a process ended that told nothing of it."""
    if exitcode is not None and exitcode < 0:
        try:
            name = signal.Signals(-exitcode).name
        except ValueError:  # a real-time signal has no name
            name = f"signal {-exitcode}"
        hint = "; the system may have run out of memory" if name == "SIGKILL" else ""
        return f"the run's process was ended by {name}{hint}"
    return f"the run's process ended by itself with exit code {exitcode}"


def make_run(job: Job, theirs: Connection) -> None:
    """Make one run, in the process that this is called in."""
    asked = _settle_in(theirs)  # first, so that a driver's death is noticed while torch is loaded
    from .worker import work

    work(job, _teller(theirs), asked.is_set)


def make_rehearsals(jobs: Sequence[Job], theirs: Connection) -> None:
    """Rehearse jobs, in the process that this is called in."""
    _settle_in(theirs)
    from .worker import rehearse_all

    tell = _teller(theirs)
    rehearse_all(jobs, tell)
    tell(None)


def _settle_in(theirs: Connection) -> threading.Event:
    """Leave the driver's process group, and listen to it: return what is set when it asks to stop.

    When the driver dies, its end of the pipe closes, and this process ends with all that it started.
    """
    if hasattr(os, "setsid"):
        os.setsid()
    # Who is asked to stop is the driver; schedulers signal every process of a job.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    asked = threading.Event()

    def watch() -> None:
        with contextlib.suppress(EOFError, OSError):
            while theirs.recv() == "stop":
                asked.set()
        _end_all()

    threading.Thread(target=watch, daemon=True).start()
    return asked


def _teller(theirs: Connection) -> Callable[[Any], None]:
    """Return what tells the driver. Where it is gone, that ends this process without a traceback."""

    def tell(event: Any) -> None:
        try:
            theirs.send(event)
        except (BrokenPipeError, ConnectionResetError):
            _end_all()

    return tell


def _end_all() -> None:
    """End this process with all that it started: its driver is gone."""
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def kill(process: BaseProcess) -> None:
    """End a process with everything it started."""
    if process.pid is not None and hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Give what starts now the driver's name and our settings, and hide the main module from it.

    multiprocessing would import it again in each child: slow for a command, and for a user's script
    without a main guard a loop. Our children need nothing from it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    ours = {name: value for name, value in SETTINGS.items() if name not in os.environ}
    if threading.current_thread() is threading.main_thread():  # what another one starts would end with that thread
        ours[DRIVER] = str(os.getpid())
    os.environ.update(ours)
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name in ours:
            os.environ.pop(name, None)
