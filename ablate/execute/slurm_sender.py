"""Attempts as jobs of Slurm: submitted, heard through the mailbox, and looked after in the queue."""

from __future__ import annotations

import contextlib
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import AblateError, StoreError
from ..store.store import Store
from . import slurm_queue as queue
from .attempts import GOES_ON, Placed, WorkerExited
from .jobs import Aborted, Busy
from .mailbox import Letters, Mailbox
from .notices import Notices
from .relay import Errand, on_granted, own_version, without_code
from .slurm_submission import Call, Submission, forget, last_words
from .slurm_tasks import attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    import submitit

    from .attempts import News
    from .jobs import Job

NEWS_SECONDS = 1.0
"""How often the files of attempts are read."""
LOOK_SECONDS = 10.0
"""How often Slurm is asked for its queue."""
SETTLE_SECONDS = 3.0
"""How long to wait for the last words of a job that has ended: a file system may show them late."""
AGAIN_SECONDS = 30.0
"""When to ask again where Slurm did not answer, or took no job."""
REFUSED_SECONDS = 600.0
"""How long Slurm may take no job, with none of ours under way, before the command gives up."""
KILL_SECONDS = 120.0
"""How long to wait for jobs that were cancelled: Slurm gives them half a minute by default, then kills them."""
LEAVE_SECONDS = 10.0
"""How long to wait for jobs that have told how they ended."""


def never_starts(job: str, seen: queue.Seen) -> str:
    """Say that a job waits for what cannot come."""
    return (
        f"Slurm would never start job {job}: {seen.reason}\n"
        "  'scontrol show job' says what it asked for; ask for less, or name another partition: --slurm partition=NAME"
    )


@dataclass(eq=False)
class Attempt:
    """An attempt under way. letters: its news, and sent: its job, once it was submitted.

    ended: when its job was seen to have ended, and how.
    """

    job: Job
    number: str
    letters: Letters | None = None
    sent: submitit.Job[Any] | None = None
    placed: bool = False
    ended: tuple[float, queue.Seen] | None = None


@dataclass
class _Desk:
    """Where a sender hands in attempts, from the first one on. gpus: that Slurm grants to each.

    most: how many at once. again_at: not before. refused: since when Slurm has taken none.
    """

    box: Mailbox
    notices: Notices
    submission: Submission
    gpus: int
    most: int
    again_at: float = 0.0
    refused: float | None = None

    def hand_in(self, new: list[Attempt], *, others: bool) -> None:
        """Submit what is new as one array, and take it off the list; fewer at once later where Slurm does not take it.

        others: some of ours are under way. Raises AblateError where Slurm has taken none for long, and none is.
        """
        now, some = time.monotonic(), new[: self.most]
        if not some or now < self.again_at:
            return
        try:
            jobs = self.submission.submit([self._call(one) for one in some])
        except StoreError:
            raise
        except AblateError:  # as a limit on how many jobs a user may have
            self.refused = self.refused or now
            if now - self.refused > REFUSED_SECONDS and not others:
                raise
            self.most, self.again_at = max(1, len(some) // 2), now + AGAIN_SECONDS
            return
        self.refused = None
        del new[: len(some)]
        for one, job in zip(some, jobs, strict=True):
            one.sent = job

    def _call(self, one: Attempt) -> Call:
        job = without_code(on_granted(one.job, self.gpus))
        errand = Errand(job, one.number, self.notices, own_version())
        one.letters = one.letters or Letters(self.box.letters(one.number), job.spec)
        return attempt, (errand, self.box.code(one.job.code), one.letters.path)


class SlurmSender:
    """Sends attempts to Slurm (a `Sender`). flags: of sbatch. gpus: that Slurm grants to each."""

    def __init__(self, flags: dict[str, Any], at_a_time: int, gpus: int) -> None:
        self._flags, self._at_a_time, self._gpus = flags, at_a_time, gpus
        self._held = contextlib.ExitStack()
        self._desk: _Desk | None = None
        self._running: list[Attempt] = []
        self._new: list[Attempt] = []  # of those, what is to be submitted
        self._to_cancel: list[Attempt] = []
        self._known: list[tuple[Attempt, News]] = []  # what is known without Slurm
        self._leaving: list[submitit.Job[Any]] = []  # what has told how it ended, and is about to end
        self._id, self._count = uuid.uuid4().hex[:6], 0
        self._read_at = self._look_at = time.monotonic()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is not None:
                self._end_all()
            until = time.monotonic() + LEAVE_SECONDS
            while self._let_go() and time.monotonic() < until:
                time.sleep(NEWS_SECONDS / 4)
        finally:
            self._held.close()

    def start(self, job: Job) -> Attempt:
        """Take an attempt; the next poll submits all that there are by then.

        One that another process makes is not submitted: it would wait in the queue, load torch, and find that out.
        """
        if self._desk is None:
            self._open(job)
        self._count += 1
        taken = Attempt(job, f"{self._id}-{self._count}")
        self._running.append(taken)
        if owner := Store(job.store).run(job.spec.key).owner():
            self._known += [(taken, Placed()), (taken, Busy(job.spec, str(owner)))]
        else:
            self._new.append(taken)
        return taken

    def _open(self, job: Job) -> None:
        box = self._held.enter_context(Mailbox.posted(job.store))
        notices = self._held.enter_context(Notices.posted(box.folder))
        submission = Submission(box.folder, self._flags, self._at_a_time)
        self._desk = _Desk(box, notices, submission, self._gpus, self._at_a_time)

    def poll(self, seconds: float, hear: Callable[[Attempt, News], None]) -> None:
        """Submit and cancel what is to be, and pass on what is new: of the files each second, of the queue at times."""
        if self._desk is not None:
            self._desk.hand_in(self._new, others=len(self._new) < len(self._running))
        self._cancel()
        known, self._known = self._known, []
        for one, news in known:
            self._pass_on(one, news, hear)
        if not known:
            time.sleep(seconds)
        now = time.monotonic()
        if now - self._read_at >= NEWS_SECONDS:
            self._read_at = now
            for one in list(self._running):
                self._read(one, hear)
            self._let_go()
        if now >= self._look_at and any(one.sent for one in self._running):
            self._look(now)
        for one in list(self._running):
            if one.ended and now - one.ended[0] >= SETTLE_SECONDS:
                self._read(one, hear, _exited(one))

    def ask_to_stop(self, one: Attempt) -> None:
        """Write it into the notices; a job that waits in the queue is cancelled."""
        if one.placed:
            assert self._desk is not None  # since the first attempt
            self._desk.notices.ask_to_stop(one.number)
        else:
            self.kill(one)

    def kill(self, one: Attempt) -> None:
        """Have Slurm cancel the job, which ends its process with all that it started."""
        if one in self._new:
            self._new.remove(one)
            self._known.append((one, WorkerExited("it was not submitted yet")))
        elif one.sent is not None:
            self._to_cancel.append(one)

    def _cancel(self) -> None:
        """Cancel jobs, all with one call."""
        if self._to_cancel:
            queue.cancel(one.sent.job_id for one in self._to_cancel if one.sent)
            self._to_cancel.clear()
            self._look_at = time.monotonic() + NEWS_SECONDS

    def _read(self, one: Attempt, hear: Callable[[Attempt, News], None], *last: News) -> None:
        """Pass on what an attempt's file says anew, and what is last where it does not say how the attempt ended."""
        for news in (*(one.letters.new() if one.letters else ()), *last):
            self._pass_on(one, news, hear)

    def _pass_on(self, one: Attempt, news: News, hear: Callable[[Attempt, News], None]) -> None:
        """Pass on news of an attempt, unless that has ended."""
        if one not in self._running:
            return
        one.placed = True
        if not isinstance(news, GOES_ON):
            self._running.remove(one)
            if one.letters:
                one.letters.close()
            if one.sent is not None and one.ended:
                forget(one.sent)
            elif one.sent is not None:
                self._leaving.append(one.sent)
        hear(one, news)

    def _look(self, now: float) -> None:
        """See in Slurm's queue which jobs have ended, and which can never begin."""
        seen = queue.look()
        self._look_at = now + (AGAIN_SECONDS if seen is None else LOOK_SECONDS)
        if seen is None:
            return
        for one in self._running:
            if one.sent is None or one.ended:
                continue
            here = seen.get(one.sent.job_id, queue.Seen())
            if here.ended or here.never:
                one.ended = now, here
            if here.never:
                self.kill(one)
                self._known.append((one, Aborted(one.job.spec, never_starts(one.sent.job_id, here))))

    def _let_go(self) -> bool:
        """Remove the files of jobs that have ended; tell whether some are still about to."""
        ended = [job for job in self._leaving if job.paths.result_pickle.exists()]
        for job in ended:
            forget(job)
        self._leaving = [job for job in self._leaving if job not in ended]
        return bool(self._leaving)

    def _end_all(self) -> None:
        """Cancel all jobs, and wait for them to have ended."""
        jobs = [one.sent.job_id for one in self._running if one.sent] + [job.job_id for job in self._leaving]
        queue.cancel(jobs)
        until = time.monotonic() + KILL_SECONDS
        while jobs and time.monotonic() < until:
            time.sleep(NEWS_SECONDS)
            seen = queue.look()
            if seen is not None:
                jobs = [job for job in jobs if not seen.get(job, queue.Seen()).ended]
        self._leaving.clear()


def _exited(one: Attempt) -> WorkerExited:
    """Return how a job ended that did not tell how its run did."""
    assert one.sent is not None  # what Slurm ends was submitted
    assert one.ended is not None  # by `_look`
    seen = one.ended[1]
    said = "" if seen.taken else last_words(one.sent)
    return WorkerExited(f"its Slurm job {one.sent.job_id} {seen.words}{said and f': {said}'}", seen.taken)
