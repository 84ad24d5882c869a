"""A run's process: what it does first, how it hears of its driver and its driver's death, and how it is ended."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from .server import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from .jobs import Job


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
    gc.enable()  # which the fork server does without
    if hasattr(os, "setsid"):
        os.setsid()
    # Who is asked to stop is the driver; schedulers signal every process of a job.
    for number in SIGNALS:
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
