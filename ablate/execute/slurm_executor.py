"""Runs on a Slurm cluster: a job for each attempt, several that are ready at once as one array.

Slurm places jobs and ends them; it carries no news. Attempts tell theirs through the store (`mailbox`), and one call of
squeue for all of them notices those that ended without a word. Everything else is as on one machine: the attempt is
made in a process of its own (`relay`), and `Attempts` decides what follows.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..errors import AblateError, DeviceError, InputError, StoreError
from ..training.machine import on_nvidia
from . import slurm_queue as queue
from .attempts import Attempts
from .jobs import OnEvent, Stopping, never
from .mailbox import Mailbox
from .notices import Notices
from .packing import Packing
from .placement import Placement, Resources
from .relay import Errand, on_granted, own_version, without_code
from .slurm_sender import LOOK_SECONDS, NEWS_SECONDS, SETTLE_SECONDS, SlurmSender, never_starts
from .slurm_submission import Submission, last_words, returned
from .slurm_tasks import rehearsals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import submitit

    from .jobs import Job, RehearsalReport
    from .slurm_options import SlurmOptions


class SlurmExecutor:
    """Trains runs on the Slurm cluster that this machine submits to."""

    def __init__(self, options: SlurmOptions) -> None:
        self._options, self._gpus, self._at_a_time = options, int(options.gpus_per_run or 0), options.max_parallel

    @property
    def _flags(self) -> dict[str, Any]:
        return self._options.flags(self._gpus)

    def check(self, resources: Resources) -> Placement:
        """Have Slurm say whether it could ever place a run, and say how many there are at a time.

        Raises InputError where it could not, and where nothing can be submitted from this machine.
        """
        device = resources.device
        if device not in ("auto", "cpu", "cuda"):
            raise InputError(
                f"--executor slurm and --device {device}: Slurm gives each run its GPU\n  give --device cuda"
            )
        gpus = self._options.gpus_per_run
        self._gpus = int(on_nvidia(device)) if gpus is None else int(gpus)
        queue.check(self._flags)
        self._at_a_time = resources.jobs or min(self._options.max_parallel, max(1, resources.runs))
        return Placement(self._at_a_time, resources.runs, cpus=self._options.cpus_per_run, where=self._options.where)

    def rehearse(self, jobs: Sequence[Job]) -> RehearsalReport:
        """Rehearse each job's run (`training.rehearsal`) in a job of Slurm, as a run would be made."""
        with Mailbox.posted(jobs[0].store) as box, Notices.posted(box.folder) as notices:
            errand = Errand(without_code(jobs[0]), "rehearsal", notices, own_version())
            call = (rehearsals, ([on_granted(job, self._gpus) for job in jobs], errand))
            submission = Submission(box.folder, self._flags, 1)
            for tried in (1, 2):
                (job,) = submission.submit([call])
                found, seen = _awaited(job)
                if found is not None or not (seen.taken and tried == 1):
                    break
        if found is None or found[0] == "error":
            why = last_words(job) if found is None else found[1].strip().rpartition("\n")[2]
            raise AblateError(f"the rehearsals cannot be made on Slurm: their job {job.job_id} {seen.words}; {why}")
        report: RehearsalReport | DeviceError | str = found[1]
        if isinstance(report, DeviceError):
            raise report
        if isinstance(report, str):
            raise StoreError(report)
        return report

    def run(self, jobs: Iterable[Job], on_event: OnEvent, stopping: Stopping = never) -> None:
        """Train all runs, in order of their start (see `Attempts`), so many at a time, waiting ones included."""
        sender = SlurmSender(self._flags, self._at_a_time, self._gpus)
        Attempts(sender, Packing(self._at_a_time), on_event).run(jobs, stopping)

    def close(self) -> None:
        """Do nothing: nothing is held."""


def _awaited(job: submitit.Job[Any]) -> tuple[tuple[str, Any] | None, queue.Seen]:
    """Wait until a job has ended; return what it returned, and how it ended. It is cancelled where this is left."""
    try:
        return _watched(job)
    except BaseException:
        queue.cancel([job.job_id])
        raise


def _watched(job: submitit.Job[Any]) -> tuple[tuple[str, Any] | None, queue.Seen]:
    looked, seen = time.monotonic(), queue.Seen()
    while (found := returned(job)) is None:
        time.sleep(NEWS_SECONDS)
        if time.monotonic() - looked < LOOK_SECONDS:
            continue
        looked, here = time.monotonic(), queue.look()
        if here is None:
            continue
        seen = here.get(job.job_id, queue.Seen())
        if seen.never:
            raise AblateError(never_starts(job.job_id, seen))
        if seen.ended:
            time.sleep(SETTLE_SECONDS)
            return returned(job), seen
    return found, seen
