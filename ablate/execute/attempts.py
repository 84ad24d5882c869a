"""What becomes of each run of a command: when it is attempted, how often, and what follows from how an attempt ended.

This is the same wherever runs are trained. A `Sender` gets an attempt there: `local` sends it to a process, `inline`
trains it on the spot, and one for a cluster would submit it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from ..errors import StoreError
from ..store.store import Store
from .jobs import (
    BUSY_SECONDS,
    Aborted,
    Busy,
    Damaged,
    EpochDone,
    EpochProgress,
    Event,
    Failed,
    Finished,
    Job,
    JobsReduced,
    MemoryContention,
    OnEvent,
    Started,
    Stopped,
    Stopping,
    WorkerDied,
    never,
)

if TYPE_CHECKING:
    from .packing import Packing

TRIES = 3
"""How often a run is attempted if its worker keeps ending without saying how the run ended."""
STOP_SECONDS = 20.0
"""How long a run that was asked to stop may take to save its state."""
POLL_SECONDS = 0.25
"""How long to wait for news before checking whether to stop, and whether an attempt takes too long."""
NOT_STOPPED = "did not stop in time"

Handle = TypeVar("Handle", bound=Hashable)


@dataclass(frozen=True)
class Placed:
    """An attempt has left the queue, where there is one: its process begins, and its time limit counts from now on.

    place: what it shares memory with others in, as a GPU; "" for one place where all are.
    """

    place: str = ""


@dataclass(frozen=True)
class WorkerExited:
    """A worker ended without saying how its run ended. reason: in words, as a signal, an exit code, a lost node.

    taken: its machine was taken from it (preempted, lost, at the end of its time in a queue), and the run is not to
    blame. It is then tried again however often, as long as it gets further each time.
    """

    reason: str
    taken: bool = False


News = Event | Placed | WorkerExited
GOES_ON = (Placed, Started, EpochProgress, EpochDone, Damaged)
"""The events after which an attempt goes on; any other ends it."""


class Sender(AbstractContextManager[None], Protocol[Handle]):
    """Carries attempts to where runs are trained, and brings their events back.

    An attempt is one call of `worker.work(job, on_event, stopping)` in a process that sees the job's store and its
    data folder. Jobs and events can be pickled. `work` does everything else: it reads what is stored, resumes from a
    checkpoint, locks the run, and records its result or failure. On another machine `relay.relayed` makes it in a
    process of its own and passes on its news, and `notices` tell it what the driver asks (see `ray`).
    A process that makes several attempts wraps each in `training.isolation.isolated()`.

    A sender decides nothing: it tries nothing again and knows no time limit. All methods are called from one thread.
    It is entered before its first attempt. When it is left by an exception, it kills all attempts; otherwise none is
    running any more. Either way it then frees what it holds.
    """

    def start(self, job: Job) -> Handle:
        """Start an attempt, or submit it to a queue, without waiting for it; return what stands for it.

        Raises AblateError where no attempt can be started at all.
        """
        ...

    def poll(self, seconds: float, hear: Callable[[Handle, News], None]) -> None:
        """Wait up to so many seconds for news of any attempt, and pass each piece to `hear`.

        The first of an attempt is `Placed`, once its process begins: it may have waited in a queue until then. Its
        events come in the order in which its worker sent them. One that is not in `GOES_ON` is the last, and the sender
        forgets the attempt. Where a worker ends without such an event, `WorkerExited` takes its
        place, once, and not before everything that the worker started has ended: the run is tried again then.
        `hear` may call `ask_to_stop` and `kill`.
        """
        ...

    def ask_to_stop(self, handle: Handle) -> None:
        """Have the worker's `stopping` return true from now on; do not wait for what it does.

        An attempt that still waits in a queue is taken out of it, and ends as one whose worker has exited.
        """
        ...

    def kill(self, handle: Handle) -> None:
        """End an attempt now, with everything that it started. `poll` then reports it as any that ended."""
        ...


@dataclass(eq=False)
class _Run:
    """A job, and the state of its attempts.

    alone: to be trained with no other run beside it, since others left it too little memory. busy: another process was
    training it at the last look. began: when its process began; None while it waits in a queue. place: as of `Placed`.
    shared: others have run beside this attempt in its place. further: it has trained. killed_for: why we ended it.
    """

    job: Job
    tries_left: int = TRIES
    alone: bool = False
    busy: bool = False
    not_before: float = 0.0
    began: float | None = None
    place: str = ""
    shared: bool = False
    further: bool = False
    asked_at: float | None = None
    killed_for: str = ""

    def begin(self) -> None:
        """Begin another attempt."""
        self.began, self.place, self.shared, self.further = None, "", False, False
        self.asked_at, self.killed_for = None, ""

    def overdue(self, now: float) -> str:
        """Return why the attempt has to end now, "" if it may go on."""
        limit = self.job.limits.run_timeout
        if limit is not None and self.began is not None and now - self.began > limit:
            return f"timed out after {limit:g} s (run_timeout)"
        return NOT_STOPPED if self.asked_at is not None and now - self.asked_at > STOP_SECONDS else ""


class Attempts(Generic[Handle]):
    """Attempts runs until each has ended or all are to stop.

    A run whose worker dies is tried again from its checkpoint, TRIES times in all. One that takes longer
    than its study's `run_timeout` has failed. One that runs out of memory beside others is tried again alone; if that
    succeeds, one run fewer goes on at a time from then on. One that another process is training is looked at again
    later. One that does not stop when asked is killed; the next command resumes it from its last checkpoint.
    """

    def __init__(
        self, sender: Sender[Handle], packing: Packing, on_event: OnEvent, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sender, self._packing, self._on_event, self._clock = sender, packing, on_event, clock
        self._running: dict[Handle, _Run] = {}
        self._waiting: list[_Run] = []
        self._too_large: set[str] = set()  # variants that were out of memory alone
        self._aborted = ""

    def run(self, jobs: Iterable[Job], stopping: Stopping = never) -> None:
        """Attempt all jobs, as `Executor.run` does."""
        new = (_Run(job) for job in jobs)

        def over() -> bool:
            return bool(self._aborted) or stopping()

        with self._sender:
            while True:
                while self._packing.room(len(self._running)) and not over() and (run := self._next(new)):
                    self._start(run)
                if not self._running and (over() or not self._waiting):
                    break
                if over():
                    for handle in self._running:
                        self._ask_to_stop(handle)
                self._kill_overdue()
                self._sender.poll(POLL_SECONDS, self._hear)
        if self._aborted:
            raise StoreError(self._aborted)

    def _next(self, new: Iterator[_Run]) -> _Run | None:
        """Take the run to begin next; None where there is none for now, or where one has to be alone."""
        if any(run.alone for run in self._running.values()):
            return None
        alone = [run for run in self._waiting if run.alone]
        if alone:
            return None if self._running else self._taken(alone)
        due = [run for run in self._waiting if run.not_before <= self._clock()]
        # Those that others train are looked at last: the others are at work.
        return self._taken([run for run in due if not run.busy]) or next(new, None) or self._taken(due)

    def _taken(self, some: list[_Run]) -> _Run | None:
        """Take the first of some of those that wait."""
        if not some:
            return None
        self._waiting.remove(some[0])
        return some[0]

    def _start(self, run: _Run) -> None:
        run.begin()
        self._running[self._sender.start(run.job)] = run
        self._packing.started(run.job.spec.key)

    def _placed(self, run: _Run, place: str) -> None:
        """Take note that an attempt's process begins, and of those that it shares memory with."""
        run.began, run.place = self._clock(), place
        here = [one for one in self._running.values() if one.began is not None and one.place == place]
        for one in here:
            one.shared = one.shared or len(here) > 1

    def _ask_to_stop(self, handle: Handle) -> None:
        """Ask a run to save its state and stop, once."""
        if self._running[handle].asked_at is None:
            self._running[handle].asked_at = self._clock()
            self._sender.ask_to_stop(handle)

    def _kill_overdue(self) -> None:
        for handle, run in self._running.items():
            if not run.killed_for and (reason := run.overdue(self._clock())):
                run.killed_for = reason
                self._sender.kill(handle)

    def _hear(self, handle: Handle, news: News) -> None:
        """Take news of an attempt, and pass on what it means for the run."""
        run = self._running[handle]
        if isinstance(news, Placed):
            self._placed(run, news.place)
            return
        run.further = run.further or isinstance(news, (EpochProgress, EpochDone))
        event = self._understood(run, news)
        goes_on = isinstance(event, GOES_ON)
        if not isinstance(event, (Started, Damaged)):
            self._packing.heard(event.spec.key)
        unwanted = not (isinstance(event, Busy) and run.busy) and self._on_event(event)  # which is reported once
        run.busy = isinstance(event, Busy)
        if goes_on:
            if unwanted:
                self._ask_to_stop(handle)
            return
        del self._running[handle]
        if isinstance(event, Aborted):
            self._aborted = self._aborted or event.reason
        elif isinstance(event, Finished) and run.alone:  # so the others were too many
            self._packing.reduce()
            self._on_event(JobsReduced(event.spec, self._packing.level))
        elif isinstance(event, (Busy, WorkerDied, MemoryContention)):
            self._wait(run, event)

    def _understood(self, run: _Run, news: Event | WorkerExited) -> Event:
        """Return the event that news of an attempt amounts to."""
        if isinstance(news, WorkerExited):
            return self._exited(run, news)
        if isinstance(news, Failed) and news.out_of_memory:
            if run.alone:
                self._too_large.add(news.spec.variant)
            elif run.shared and news.spec.variant not in self._too_large:
                return self._crowded_out(run)
        return news

    def _exited(self, run: _Run, news: WorkerExited) -> Event:
        """Return what becomes of a run whose worker has ended: it is stopped, tried again, or has failed."""
        reason = news.reason
        spec, timed_out = run.job.spec, run.killed_for not in ("", NOT_STOPPED)
        if run.asked_at is not None and not timed_out:
            return Stopped(spec, saved=False)
        run.tries_left -= not (news.taken and run.further)
        if run.tries_left > 0 and not timed_out:
            return WorkerDied(spec, reason, run.tries_left)
        reason = run.killed_for or f"{reason}, each of {TRIES} times"
        try:
            Store(run.job.store).writer(spec.key).record_failure("timed out" if timed_out else "lost", reason)
        except StoreError as error:
            return Aborted(spec, str(error))
        return Failed(spec, reason)

    def _crowded_out(self, run: _Run) -> Event:
        """Drop the recorded failure of a run that was out of memory beside others."""
        try:
            Store(run.job.store).writer(run.job.spec.key).drop_failure()
        except StoreError as error:
            return Aborted(run.job.spec, str(error))
        return MemoryContention(run.job.spec)

    def _wait(self, run: _Run, event: Busy | WorkerDied | MemoryContention) -> None:
        """Have a run wait for its next attempt."""
        run.not_before = self._clock() + (BUSY_SECONDS if isinstance(event, Busy) else 0.0)
        if isinstance(event, MemoryContention):
            # Of those that ran out of memory together, one alone shows whether the others left it too little.
            run.alone = not any(other.alone for other in self._waiting)
        elif isinstance(event, Busy):
            run.alone = False
        self._waiting.append(run)
