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
from multiprocessing import connection
from multiprocessing.connection import Connection
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from ..store.store import Store
from .jobs import Failed, Finished, Job, Tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from multiprocessing.process import BaseProcess


class LocalProcesses:
    """Makes runs in up to `jobs` processes at a time."""

    def __init__(self, jobs: int = 1) -> None:
        self._most = jobs
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        if "forkserver" in methods:
            self._context.set_forkserver_preload(["ablate.execute.worker"])

    def warm_up(self) -> None:
        """Start loading torch in the background; worth it as soon as a run is sure to come."""
        # Threads that spin while they wait are fastest on an idle machine and ruinous on a busy one
        # (measured: 5x slower beside one other process), and an ablation is seldom alone.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if self._context.get_start_method() == "forkserver":
            from multiprocessing import forkserver

            with _without_main():
                forkserver.ensure_running()

    def rehearse(self, jobs: Sequence[Job]) -> dict[str, str]:
        """Build each job's run and take one step, in a process of its own; return what failed, by variant."""
        failed: dict[str, str] = {}
        left = list(jobs)
        while left:
            process, ours = self._start(_rehearse, left)
            begun = ""
            with contextlib.suppress(EOFError), _ending({ours: process}):
                while True:
                    variant, reason = ours.recv()
                    begun = variant
                    if reason is not None:
                        failed[variant] = reason
                    left = [job for job in left if job.spec.variant != variant]
            process.join()
            if process.exitcode == 0:
                break
            # The process died in the middle of one variant; the others still have their turn.
            failed[begun] = died(process.exitcode)
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
                for ready in connection.wait(list(running)):
                    assert isinstance(ready, Connection)  # only connections are waited for
                    if self._tell_next(ready, running[ready], mine[ready], tell):
                        ready.close()
                        del running[ready]

    def _tell_next(self, ours: Connection, process: BaseProcess, job: Job, tell: Tell) -> bool:
        """Pass on one event; True when the run has ended."""
        try:
            event = ours.recv()
        except (EOFError, OSError):
            process.join()
            reason = died(process.exitcode)
            with contextlib.suppress(StoreError):
                Store(job.store).run(job.spec.key).fail(reason)
            tell(Failed(job.spec, reason))
            return True
        tell(event)
        if isinstance(event, (Finished, Failed)):
            process.join(timeout=10)
            _kill(process)
            return True
        return False

    def _start(self, target: Callable[..., None], argument: Any) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._context.Pipe()
        process: BaseProcess = self._context.Process(target=target, args=(argument, theirs))
        with _without_main():
            process.start()
        theirs.close()
        return process, ours


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
    if process.pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


@contextlib.contextmanager
def _ending(running: Mapping[Connection, BaseProcess]) -> Iterator[None]:
    """End every process that is still running when its driver is interrupted or fails."""
    try:
        yield
    except EOFError:  # a process ended by itself
        raise
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
