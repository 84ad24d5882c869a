"""Runs on this machine, each in a process and a process group of its own.

Processes are forked from a server that has torch loaded, so that a run starts in a fraction of a
second. A run that crashes, is killed or calls `os._exit` costs only itself; a run whose driver is gone
ends by itself.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from multiprocessing import connection
from typing import TYPE_CHECKING

from ..errors import StoreError
from ..store.store import Store
from ..training.machine import on_cpu
from .jobs import (
    BUSY_SECONDS,
    Busy,
    Crowded,
    Damaged,
    EpochDone,
    Event,
    Failed,
    Fewer,
    Finished,
    Halted,
    Job,
    Lost,
    Rehearsed,
    Started,
    Stopped,
    Stopping,
    Tell,
    UnderWay,
    never,
)
from .packing import Packing
from .processes import died, kill, make_run
from .rehearsals import rehearse
from .server import start

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from .gpu import Reading

TRIES = 3
"""How often a run is begun, or gone on with, whose process ends without a word."""

STOP_SECONDS = 20.0
WAIT_SECONDS = 0.25
"""How long to wait for news before looking whether to stop, and whether a run is overdue."""


@dataclass
class _Try:
    """A job with the process that makes it, how often that was tried, and when it was asked to stop (0 if never).

    beside: others ran at the same time. alone: it is to be made with none, which have left it too little memory.
    """

    job: Job
    process: BaseProcess | None = None
    began: float = 0.0
    lives: int = TRIES
    ended: str = ""
    busy: bool = False
    not_before: float = 0.0
    asked: float = 0.0
    beside: bool = False
    alone: bool = False

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

    def wait_again(self, last: Busy | Lost | Crowded, waiting: list[_Try]) -> None:
        """Join those that wait for their next try."""
        self.not_before = time.monotonic() + (BUSY_SECONDS if isinstance(last, Busy) else 0.0)
        self.beside, self.ended = False, ""
        if isinstance(
            last, Crowded
        ):  # of some that ran out of memory together, one shows whether room is what they lack
            self.alone = not any(other.alone for other in waiting)
        elif isinstance(last, Busy):
            self.alone = False
        waiting.append(self)

    def crowded(self) -> Event:
        """Take back that the run failed: it was out of memory beside others."""
        try:
            Store(self.job.store).run(self.job.spec.key).forgive()
        except StoreError as error:
            return Halted(self.job.spec, str(error))
        return Crowded(self.job.spec)


STOPPED = "did not stop in time"


class LocalProcesses:
    """Makes runs in up to `jobs` processes at a time; on the CPU one that has told its last may still be ending.

    read: reads the GPU that the runs are on. With it there are as many at a time as that has time and memory for.
    """

    def __init__(self, jobs: int = 1, read: Callable[[], Reading] | None = None) -> None:
        self._jobs, self._read = jobs, read

    def rehearse(self, jobs: Sequence[Job]) -> Rehearsed:
        """Build each job's run and take one step, in a process of its own."""
        return rehearse(jobs)

    def run(self, jobs: Iterable[Job], tell: Tell, stopping: Stopping = never) -> None:
        """Make all runs, in order of their start. On an exception every process is ended first.

        A run whose process is lost is tried again from its checkpoint, up to TRIES times in all. One that is
        asked to stop and does not within STOP_SECONDS is ended; it goes on from its last checkpoint. One that runs
        out of memory beside others is made alone, and if that goes well, there is one fewer at a time from then on.
        """
        packing = Packing(self._jobs, self._read)
        new = (_Try(job) for job in jobs)
        waiting: list[_Try] = []
        running: dict[Connection, _Try] = {}
        leaving: list[tuple[Connection, BaseProcess]] = []
        halted = ""

        def over() -> bool:
            return bool(halted) or stopping()

        with _ending(running, leaving):
            while True:
                while packing.room(len(running)) and not over():
                    one = _next(waiting, new, running.values())
                    if one is None:
                        break
                    one.process, ours = start(make_run, one.job)
                    one.began = time.monotonic()
                    running[ours] = one
                    _note_company(running.values())
                    packing.began(one.job.spec.key)
                _see_off(leaving)  # once the next are under way: a process takes some time to end
                if not running and (over() or not waiting):
                    break
                if over():
                    _ask_to_stop(running)
                _end_overdue(running.values())
                for ours, last in self._news(running, tell, packing):
                    one = running.pop(ours)
                    _let_go(ours, one, last, leaving)
                    halted = halted or (last.reason if isinstance(last, Halted) else "")
                    if isinstance(last, (Busy, Lost, Crowded)):
                        one.wait_again(last, waiting)
        if halted:
            raise StoreError(halted)

    def _news(
        self, running: Mapping[Connection, _Try], tell: Tell, packing: Packing
    ) -> Iterator[tuple[Connection, Event]]:
        """Pass on what processes tell, and yield those that told their last."""
        for ours in _ready(running):
            last = self._tell_next(ours, running[ours], tell, packing)
            if last is not None:
                yield ours, last

    def _tell_next(self, ours: Connection, one: _Try, tell: Tell, packing: Packing) -> Event | None:
        """Pass on what a run's process tells next; return it if it is the last."""
        event: Event
        try:
            # Nothing to read, and ready all the same: the process has ended, though a child of it may live on.
            event = ours.recv() if ours.poll() else one.lost()
        except (EOFError, OSError):
            event = one.lost()
        if isinstance(event, Failed) and event.of_memory:
            if one.alone:
                packing.too_large.add(event.spec.variant)
            elif one.beside and event.spec.variant not in packing.too_large:
                event = one.crowded()
        under_way = isinstance(event, (Started, UnderWay, EpochDone, Damaged))
        if not isinstance(event, (Started, Damaged)):
            packing.heard(event.spec.key)
        unwanted = not (isinstance(event, Busy) and one.busy) and tell(event)  # busy is told once
        one.busy = isinstance(event, Busy)
        if isinstance(event, Finished) and one.alone:  # so the others were too many
            packing.fewer()
            tell(Fewer(event.spec, packing.level))
        if under_way:
            if unwanted:
                _ask_to_stop({ours: one})
            return None
        return event


def _next(waiting: list[_Try], new: Iterator[_Try], running: Collection[_Try]) -> _Try | None:
    """Take the run to begin next beside those under way; None where there is none, or where one is to be alone."""
    if any(one.alone for one in running):
        return None
    alone = [one for one in waiting if one.alone]
    if alone:
        return None if running else _taken(waiting, alone)
    now = time.monotonic()
    due = [one for one in waiting if one.not_before <= now]
    # Those that others make are looked at last: the others are at work.
    return _taken(waiting, [one for one in due if not one.busy]) or next(new, None) or _taken(waiting, due)


def _note_company(running: Collection[_Try]) -> None:
    """Note on runs under way that they are not alone, where they are not."""
    for one in running:
        one.beside = one.beside or len(running) > 1


def _taken(waiting: list[_Try], some: Sequence[_Try]) -> _Try | None:
    """Take the first of some of those that wait."""
    if not some:
        return None
    waiting.remove(some[0])
    return some[0]


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
def _ending(running: Mapping[Connection, _Try], leaving: Sequence[tuple[Connection, BaseProcess]]) -> Iterator[None]:
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
    if isinstance(last, (Lost, Crowded)) or not on_cpu(one.job.machine.device):
        _see_off(leaving)


def _see_off(leaving: list[tuple[Connection, BaseProcess]]) -> None:
    """Wait for processes that have told their last, and end what they have left running."""
    while leaving:
        ours, process = leaving[-1]
        process.join(timeout=10)
        kill(process)
        ours.close()  # not before: to the process that would be its driver's death
        leaving.pop()
