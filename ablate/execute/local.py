"""Runs on this machine, each in a process and a process group of its own.

Processes are forked from a server that has torch loaded, so that a run starts in a fraction of a
second. A run that crashes, is killed or calls `os._exit` costs only itself; a run whose driver is gone
ends by itself.
"""

from __future__ import annotations

import contextlib
import signal
import time
from dataclasses import dataclass
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

from ..errors import AblateError, StoreError
from ..store.store import Store
from ..training.machine import on_cpu
from .jobs import (
    BUSY_SECONDS,
    Busy,
    Damaged,
    EpochDone,
    Event,
    Failed,
    Halted,
    Job,
    Lost,
    Rehearsed,
    Started,
    Stopped,
    Stopping,
    Tell,
    Tryout,
    UnderWay,
    never,
    rehearsed,
)
from .processes import died, kill, make_rehearsals, make_run
from .server import context, starting, warm_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess


TRIES = 3
"""How often a run is begun, or gone on with, whose process ends without a word."""

STOP_SECONDS = 20.0
REHEARSAL_SECONDS = 900.0
WAIT_SECONDS = 0.25
"""How long to wait for news before looking whether to stop, and whether a run is overdue."""


@dataclass
class _Try:
    """A job with the process that makes it, how often that was tried, and when it was asked to stop (0 if never)."""

    job: Job
    process: BaseProcess | None = None
    began: float = 0.0
    lives: int = TRIES
    ended: str = ""
    busy: bool = False
    not_before: float = 0.0
    asked: float = 0.0

    def end(self, reason: str) -> None:
        """End the process for a reason of ours."""
        if self.process is not None and not self.ended:
            self.ended = reason
            kill(self.process)

    def lost(self) -> Event:
        """Record that the process ended without a word; a reason of ours is final, any other has further tries."""
        spec = self.job.spec
        if self.ended == STOPPED:
            return Stopped(spec, kept=False)
        assert self.process is not None  # it was started
        self.process.join()
        reason = self.ended or died(self.process.exitcode)
        self.lives -= 1
        if self.lives > 0 and not self.ended:
            return Lost(spec, reason, self.lives)
        reason += "" if self.ended else f", each of {TRIES} times"
        try:
            Store(self.job.store).run(spec.key).fail("timed out" if self.ended else "lost", reason)
        except StoreError as error:
            return Halted(spec, str(error))
        return Failed(spec, reason)


STOPPED = "did not stop in time"


class LocalProcesses:
    """Makes runs in up to `jobs` processes at a time; on the CPU one that has told its last may still be ending."""

    def __init__(self, jobs: int = 1) -> None:
        self._most = jobs
        self._context = context()

    def rehearse(self, jobs: Sequence[Job]) -> Rehearsed:
        """Build each job's run and take one step, in a process of its own."""
        told: list[Tryout] = []
        left = {job.spec.variant: job for job in jobs}
        killed: set[str] = set()
        while left:
            process, ours = self._start(make_rehearsals, list(left.values()))
            one = _Try(next(iter(left.values())), process)
            with _ending({ours: one}):
                reason = _hear(process, ours, told, one.job.limits.run_timeout)
            kill(process)  # with whatever it has left running
            ours.close()
            if not reason:
                break
            # It died in the middle of one variant, and the others still have their turn; or it could not begin.
            begun = told[-1].variant if told and told[-1].begun else ""
            left = {name: job for name, job in left.items() if name not in {trial.variant for trial in told}}
            if (
                begun
                and begun not in killed
                and process.exitcode == -signal.SIGKILL
                and reason == died(-signal.SIGKILL)
            ):
                killed.add(begun)  # from outside, it may be: once more
                left[begun] = next(job for job in jobs if job.spec.variant == begun)
                told.pop()
                continue
            told += [Tryout(variant, reason) for variant in ([begun] if begun else left)]
            if not begun:
                break
        return rehearsed(told)

    def run(self, jobs: Iterable[Job], tell: Tell, stopping: Stopping = never) -> None:
        """Make all runs, in order of their start. On an exception every process is ended first.

        A run whose process is lost is tried again from its checkpoint, up to TRIES times in all. One that is
        asked to stop and does not within STOP_SECONDS is ended; it goes on from its last checkpoint.
        """
        new = (_Try(job) for job in jobs)
        waiting: list[_Try] = []
        running: dict[Connection, _Try] = {}
        leaving: list[tuple[Connection, BaseProcess]] = []
        halted = ""

        def over() -> bool:
            return bool(halted) or stopping()

        with _ending(running, leaving):
            while True:
                while len(running) < self._most and not over():
                    # Those that others make are looked at last: the others are at work.
                    one = _next(waiting, busy=False) or next(new, None) or _next(waiting, busy=True)
                    if one is None:
                        break
                    one.process, ours = self._start(make_run, one.job)
                    one.began = time.monotonic()
                    running[ours] = one
                _see_off(leaving)  # once the next are under way: a process takes some time to end
                if not running and (over() or not waiting):
                    break
                if over():
                    _ask_to_stop(running)
                _end_overdue(running.values())
                for ours, last in self._news(running, tell):
                    one = running.pop(ours)
                    _let_go(ours, one, last, leaving)
                    halted = halted or (last.reason if isinstance(last, Halted) else "")
                    if isinstance(last, (Busy, Lost)):
                        one.not_before = time.monotonic() + (BUSY_SECONDS if isinstance(last, Busy) else 0.0)
                        waiting.append(one)
        if halted:
            raise StoreError(halted)

    def _news(self, running: Mapping[Connection, _Try], tell: Tell) -> Iterator[tuple[Connection, Event]]:
        """Pass on what processes tell, and yield those that told their last."""
        for ours in _ready(running):
            last = self._tell_next(ours, running[ours], tell)
            if last is not None:
                yield ours, last

    def _tell_next(self, ours: Connection, one: _Try, tell: Tell) -> Event | None:
        """Pass on what a run's process tells next; return it if it is the last."""
        event: Event
        try:
            # Nothing to read, and ready all the same: the process has ended, though a child of it may live on.
            event = ours.recv() if ours.poll() else one.lost()
        except (EOFError, OSError):
            event = one.lost()
        unwanted = not (isinstance(event, Busy) and one.busy) and tell(event)  # busy is told once
        one.busy = isinstance(event, Busy)
        if isinstance(event, (Started, UnderWay, EpochDone, Damaged)):
            if unwanted:
                _ask_to_stop({ours: one})
            return None
        return event

    def _start(self, target: Callable[..., None], argument: Any) -> tuple[BaseProcess, Connection]:
        try:
            warm_up()
            ours, theirs = self._context.Pipe()
            process: BaseProcess = self._context.Process(target=target, args=(argument, theirs))
            with starting():
                process.start()
        except (OSError, EOFError) as error:
            raise AblateError(
                f"a process for a run cannot be started: {getattr(error, 'strerror', None) or 'its server has ended'}\n"
                "  'ablate doctor' says what this machine grants; what is stored stays, and the same command goes on"
            ) from error
        theirs.close()
        return process, ours


def _hear(process: BaseProcess, ours: Connection, told: list[Tryout], limit: float | None) -> str:
    """Take down what a process tells of rehearsals; return why it ended before they were done, or "".

    limit: seconds that one rehearsal may take; REHEARSAL_SECONDS at most.
    """
    seconds = min(limit or REHEARSAL_SECONDS, REHEARSAL_SECONDS)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        connection.wait([ours, process.sentinel], timeout=WAIT_SECONDS)
        try:
            if ours.poll():
                trial = ours.recv()
                if trial is None:
                    return ""
                told.append(trial)
                until = time.monotonic() + seconds
                continue
        except (EOFError, OSError):
            process.join(timeout=10)
        if process.exitcode is not None:
            return died(process.exitcode)
    return f"its rehearsal, one step, took longer than {seconds:g} s"


def _next(waiting: list[_Try], *, busy: bool) -> _Try | None:
    """Take the next run whose time has come, of those that another process makes or of the others; None if none."""
    now = time.monotonic()
    found = next((one for one in waiting if one.busy == busy and one.not_before <= now), None)
    if found is not None:
        waiting.remove(found)
    return found


def _ready(running: Mapping[Connection, _Try]) -> list[Connection]:
    """Wait a moment until a process has told something or ended, and return the connections of those."""
    if not running:  # all that is left is made by others
        time.sleep(WAIT_SECONDS)
    ends = {ours: one.process.sentinel for ours, one in running.items() if one.process is not None}
    ready = set(connection.wait([*ends, *ends.values()], timeout=WAIT_SECONDS)) if ends else set()
    return [ours for ours, end in ends.items() if ours in ready or end in ready]


def _ask_to_stop(running: Mapping[Connection, _Try]) -> None:
    """Ask runs to keep their state and stop, each once."""
    for ours, one in running.items():
        if not one.asked:
            one.asked = time.monotonic()
            with contextlib.suppress(OSError):
                ours.send("stop")


def _end_overdue(running: Iterable[_Try]) -> None:
    """End runs that take longer than they may, and those that were asked to stop and did not."""
    now = time.monotonic()
    for one in running:
        limit = one.job.limits.run_timeout
        if limit is not None and now - one.began > limit:
            one.end(f"timed out after {limit:g} s (run_timeout)")
        if one.asked and now - one.asked > STOP_SECONDS:
            one.end(STOPPED)


@contextlib.contextmanager
def _ending(
    running: Mapping[Connection, _Try], leaving: Sequence[tuple[Connection, BaseProcess]] = ()
) -> Iterator[None]:
    """End every process that is still running when its driver is interrupted or fails."""
    try:
        yield
    except BaseException:
        for process in (*(one.process for one in running.values()), *(process for _, process in leaving)):
            if process is not None:
                kill(process)
        raise


def _let_go(ours: Connection, one: _Try, last: Event, leaving: list[tuple[Connection, BaseProcess]]) -> None:
    """Have a process that told its last seen off: at once where the next needs the run's folder or the GPU's memory."""
    assert one.process is not None  # it has just told its last
    leaving.append((ours, one.process))
    if isinstance(last, Lost) or not on_cpu(one.job.machine.device):
        _see_off(leaving)


def _see_off(leaving: list[tuple[Connection, BaseProcess]]) -> None:
    """Wait for processes that have told their last, and end what they have left running."""
    while leaving:
        ours, process = leaving[-1]
        process.join(timeout=10)
        kill(process)
        ours.close()  # not before: to the process that would be its driver's death
        leaving.pop()
