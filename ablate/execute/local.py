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
from dataclasses import dataclass
from multiprocessing import connection
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from ..store.store import Store
from .jobs import BUSY_SECONDS, Busy, Event, Failed, Finished, Job, Lost, Stopped, Stopping, Tell, never

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess


TRIES = 3
"""How often a run is begun, or gone on with, whose process ends without a word."""

STOP_SECONDS = 20.0
WAIT_SECONDS = 0.25
"""How long to wait for news before looking whether to stop, and whether a run is overdue."""


@dataclass
class _Try:
    """A job with the process that makes it, and how often that was tried."""

    job: Job
    process: BaseProcess | None = None
    began: float = 0.0
    lives: int = TRIES
    ended: str = ""
    busy: bool = False

    def end(self, reason: str) -> None:
        """End the process for a reason of ours."""
        if self.process is not None and not self.ended:
            self.ended = reason
            _kill(self.process)

    def lost(self) -> Event:
        """Record that the process ended without a word; a reason of ours is final, any other has further tries."""
        spec = self.job.spec
        if self.ended == STOPPED:
            return Stopped(spec)
        assert self.process is not None  # it was started
        self.process.join()
        reason = self.ended or died(self.process.exitcode)
        self.lives -= 1
        if self.lives > 0 and not self.ended:
            return Lost(spec, reason, self.lives)
        with contextlib.suppress(StoreError):
            Store(self.job.store).run(spec.key).fail(reason)
        return Failed(spec, reason)


STOPPED = "did not stop in time"


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
            with _ending({ours: _Try(left[0], process)}), contextlib.suppress(EOFError, OSError):
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

    def run(self, jobs: Sequence[Job], tell: Tell, stopping: Stopping = never) -> None:
        """Make all runs, in order of their start. On an exception every process is ended first.

        A run whose process is lost is tried again from its checkpoint, up to TRIES times in all. One that is
        asked to stop and does not within STOP_SECONDS is ended; it goes on from its last checkpoint.
        """
        waiting = [_Try(job) for job in reversed(jobs)]
        running: dict[Connection, _Try] = {}
        asked = 0.0
        with _ending(running):
            while running or (waiting and not stopping()):
                while waiting and len(running) < self._most and not stopping():
                    one = waiting.pop()
                    one.process, ours = self._start(_work, one.job)
                    one.began = time.monotonic()
                    running[ours] = one
                if stopping() and not asked:
                    asked = time.monotonic()
                    for ours in running:
                        with contextlib.suppress(OSError):
                            ours.send("stop")
                _end_overdue(running.values(), asked)
                for ours in _ready(running):
                    last = self._tell_next(ours, running[ours], tell)
                    if last is None:
                        continue
                    ours.close()
                    one = running.pop(ours)
                    if isinstance(last, (Busy, Lost)):
                        waiting.insert(0 if isinstance(last, Busy) else len(waiting), one)
                    if isinstance(last, Busy) and not running:
                        time.sleep(BUSY_SECONDS)

    def _tell_next(self, ours: Connection, one: _Try, tell: Tell) -> Event | None:
        """Pass on what a run's process tells next; return it if it is the last."""
        event: Event
        try:
            # Nothing to read, and ready all the same: the process has ended, though a child of it may live on.
            event = ours.recv() if ours.poll() else one.lost()
        except (EOFError, OSError):
            event = one.lost()
        if not (isinstance(event, Busy) and one.busy):  # told once, however often it is looked at again
            tell(event)
        one.busy = isinstance(event, Busy)
        if not isinstance(event, (Busy, Lost, Stopped, Finished, Failed)):
            return None
        assert one.process is not None  # it has just told something
        one.process.join(timeout=10)
        _kill(one.process)
        return event

    def _start(self, target: Callable[..., None], argument: Any) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._context.Pipe()
        process: BaseProcess = self._context.Process(target=target, args=(argument, theirs))
        with _without_main():
            process.start()
        theirs.close()
        return process, ours


def _ready(running: Mapping[Connection, _Try]) -> list[Connection]:
    """Wait a moment until a process has told something or ended, and return the connections of those."""
    ends = {ours: one.process.sentinel for ours, one in running.items() if one.process is not None}
    ready = set(connection.wait([*ends, *ends.values()], timeout=WAIT_SECONDS))
    return [ours for ours, end in ends.items() if ours in ready or end in ready]


def _end_overdue(running: Iterable[_Try], asked: float) -> None:
    """End runs that take longer than they may, and those that were asked to stop (at `asked`) and did not."""
    now = time.monotonic()
    for one in running:
        limit = one.job.limits.run_timeout
        if limit is not None and now - one.began > limit:
            one.end(f"timed out after {limit:g} s (run_timeout)")
        if asked and now - asked > STOP_SECONDS:
            one.end(STOPPED)


def died(exitcode: int | None) -> str:
    """Say how a process ended that told nothing of it."""
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = "; the system may have run out of memory" if name == "SIGKILL" else ""
        return f"the run's process was ended by {name}{hint}"
    return f"the run's process ended by itself with exit code {exitcode}"


def _work(job: Job, theirs: Connection) -> None:
    from .worker import work

    asked = _settle_in(theirs)
    work(job, _teller(theirs), asked.is_set)


def _rehearse(jobs: Sequence[Job], theirs: Connection) -> None:
    from .worker import rehearse_all

    _settle_in(theirs)
    rehearse_all(jobs, _teller(theirs))


def _settle_in(theirs: Connection) -> threading.Event:
    """Leave the driver's process group, and listen to it: return what is set when it asks to stop.

    When the driver dies, its end of the pipe closes, and this process ends with all that it started.
    """
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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


def _kill(process: BaseProcess) -> None:
    """End a process with everything it started."""
    if process.pid is not None and hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


@contextlib.contextmanager
def _ending(running: Mapping[Connection, _Try]) -> Iterator[None]:
    """End every process that is still running when its driver is interrupted or fails."""
    try:
        yield
    except BaseException:
        for one in running.values():
            if one.process is not None:
                _kill(one.process)
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
