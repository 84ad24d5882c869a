"""Runs on this machine, each in a process and a process group of its own.

Processes are forked from a server that has torch loaded, so that a run starts in a fraction of a
second. A run that crashes, is killed or calls `os._exit` costs only itself; a run whose driver is gone
ends by itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing import connection
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from ..store.store import Store
from .jobs import BUSY_SECONDS, Busy, Event, Failed, Finished, Job, Tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess


class LocalProcesses:
    """Makes runs in up to `jobs` processes at a time."""

    def __init__(self, jobs: int = 1) -> None:
        self._most = jobs
        # Elsewhere than on Linux, forking a process that has loaded a GPU's libraries is known to crash.
        linux = sys.platform == "linux"
        self._context: Any = multiprocessing.get_context("forkserver" if linux else "spawn")
        if linux:
            self._context.set_forkserver_preload(["ablate.execute.worker"])

    def warm_up(self) -> None:
        """Start loading torch in the background; worth it as soon as a run is sure to come."""
        # Threads that spin while they wait are fastest on an idle machine and ruinous on a busy one
        # (measured: 5x slower beside one other process), and an ablation is seldom alone.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if self._context.get_start_method() == "forkserver":
            from multiprocessing import forkserver

            # The server inherits this: Ctrl-C in the terminal is the driver's business alone.
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                with _without_main():
                    forkserver.ensure_running()
            finally:
                signal.signal(signal.SIGINT, before)

    def rehearse(self, jobs: Sequence[Job]) -> dict[str, str]:
        """Build each job's run and take one step, in a process of its own; return what failed, by variant."""
        failed: dict[str, str] = {}
        left = list(jobs)
        while left:
            process, ours = self._start(_rehearse, left)
            begun = ""
            with _ending({ours: process}), contextlib.suppress(EOFError, OSError):
                while True:
                    variant, reason = ours.recv()
                    begun = variant
                    if reason is not None:
                        failed[variant] = reason
                    left = [job for job in left if job.spec.variant != variant]
            process.join()
            if process.exitcode != 0:
                # It died in the middle of one variant, and the others still have their turn; or it could not begin.
                failed |= dict.fromkeys(
                    [begun] if begun else [job.spec.variant for job in left], died(process.exitcode)
                )
            if not begun:
                break
        return failed

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        """Make all runs, in order of their start. On an exception (Ctrl-C) every process is ended first."""
        waiting = list(reversed(jobs))
        running: dict[Connection, BaseProcess] = {}
        mine: dict[Connection, Job] = {}
        with _ending(running):
            while waiting or running:
                while waiting and len(running) < self._most:
                    job = waiting.pop()
                    process, ours = self._start(_work, job)
                    running[ours], mine[ours] = process, job
                for ours in _ready(running):
                    last = self._tell_next(ours, running[ours], mine[ours], tell)
                    if last is not None:
                        ours.close()
                        del running[ours]
                    if isinstance(last, Busy):
                        waiting.insert(0, mine[ours])
                        if not running:
                            time.sleep(BUSY_SECONDS)

    def _tell_next(self, ours: Connection, process: BaseProcess, job: Job, tell: Tell) -> Event | None:
        """Pass on what a run's process tells next; return it if it is the last."""
        event: Event
        try:
            # Nothing to read, and ready all the same: the process has ended, though a child of it may live on.
            event = ours.recv() if ours.poll() else _lost(process, job)
        except (EOFError, OSError):
            event = _lost(process, job)
        if not isinstance(event, Busy):
            tell(event)
        if not isinstance(event, (Busy, Finished, Failed)):
            return None
        process.join(timeout=10)
        _kill(process)
        return event

    def _start(self, target: Callable[..., None], argument: Any) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._context.Pipe()
        process: BaseProcess = self._context.Process(target=target, args=(argument, theirs))
        with _without_main():
            process.start()
        theirs.close()
        return process, ours


def _ready(running: Mapping[Connection, BaseProcess]) -> list[Connection]:
    """Wait until a process has told something or ended, and return the connections of those."""
    ready = set(connection.wait([*running, *(process.sentinel for process in running.values())]))
    return [ours for ours, process in running.items() if ours in ready or process.sentinel in ready]


def _lost(process: BaseProcess, job: Job) -> Failed:
    """Record that a run's process ended without a word."""
    process.join()
    reason = died(process.exitcode)
    with contextlib.suppress(StoreError):
        Store(job.store).run(job.spec.key).fail(reason)
    return Failed(job.spec, reason)


def died(exitcode: int | None) -> str:
    """Say how a process ended that told nothing of it."""
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = "; the system may have run out of memory" if name == "SIGKILL" else ""
        return f"the run's process was ended by {name}{hint}"
    return f"the run's process ended by itself with exit code {exitcode}"


def _work(job: Job, theirs: Connection) -> None:
    from .worker import work

    _settle_in(theirs)
    work(job, theirs.send)


def _rehearse(jobs: Sequence[Job], theirs: Connection) -> None:
    from .worker import rehearse_all

    _settle_in(theirs)
    rehearse_all(jobs, theirs.send)


def _settle_in(theirs: Connection) -> None:
    """Leave the driver's process group, and end with the driver: its end of the pipe closes when it dies."""
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        with contextlib.suppress(EOFError, OSError):
            theirs.recv()
        if hasattr(os, "killpg"):
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _kill(process: BaseProcess) -> None:
    """End a process with everything it started."""
    if process.pid is not None and hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


@contextlib.contextmanager
def _ending(running: Mapping[Connection, BaseProcess]) -> Iterator[None]:
    """End every process that is still running when its driver is interrupted or fails."""
    try:
        yield
    except BaseException:
        for process in running.values():
            _kill(process)
        raise


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module while a process starts.

    multiprocessing would import it again in each child: slow for a command, and for a user's script
    without a main guard a loop. Our children need nothing from it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
