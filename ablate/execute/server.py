"""How processes for runs start: on Linux forked from a server that has torch loaded, so that it takes 20 ms.

A command starts the server as soon as a run is sure to come, and gets ready while that loads.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

DRIVER = "ABLATE_DRIVER"
"""The environment variable that names the driver's process while another one starts."""

# What a run's process is started with, unless the user says otherwise.
SETTINGS = {
    # GNU's malloc gives the large arrays of each step back to the system and has them again, page by page: a fifth of
    # the time of a small network's step. So it keeps them, on huge pages where those are for the asking.
    "GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184:glibc.malloc.hugetlb=1",
}

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C in the terminal, and a scheduler's signal to every process of a job: the driver's business alone."""


def context() -> Any:
    """Return what starts processes.

    Elsewhere than on Linux each is started afresh: forking a process that has loaded a GPU's libraries is known to
    crash.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([f"ablate.execute.{name}" for name in ("leash", "worker", "warm")])
    return found


def warm_up() -> None:
    """Start the server in the background, where there is one; it ends with this process."""
    if context().get_start_method() != "forkserver":
        return
    from multiprocessing import forkserver, resource_tracker

    resource_tracker.ensure_running()  # before: it unblocks signals
    # A Ctrl-C is not for the server, which inherits what is blocked until `leash` is there to ignore it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with starting():
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
