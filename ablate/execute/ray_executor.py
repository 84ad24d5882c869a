"""Runs on a Ray cluster: a task for each attempt, with what Ray calls streaming for its news.

Ray places tasks, notices dead workers and nodes, and carries news. Everything else is as on one machine: the attempt is
made in a process of its own (`relay`), what a run may write it writes into the store, and `Attempts` decides what
follows. What only the driver knows travels with each task: the job, without its plugins' code, which goes to Ray's
object store once.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError

from ..errors import AblateError, DeviceError, InputError, StoreError, one_line
from ..training.machine import on_nvidia
from .attempts import GOES_ON, Attempts, News, WorkerExited
from .jobs import Aborted, Job, OnEvent, RehearsalReport, Stopping, never
from .notices import Notices
from .placement import Placement, Resources
from .ray_cluster import Cluster, Need, quiet
from .ray_packing import ClusterRoom
from .ray_tasks import attempt, rehearsals
from .relay import Errand, on_granted, own_version, without_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..components.registry import CodeSnapshot

KILL_SECONDS = 10.0
"""How long Ray may take to end a task that was cancelled before its worker is killed."""
WAIT_SECONDS = 0.5
_LOST = ("NodeDiedError", "LocalRayletDiedError", "OwnerDiedError")


@dataclass(frozen=True)
class RayOptions:
    """How runs are placed on a cluster.

    gpus_per_run: None for one where the command's device is a GPU, else none. resources: others that nodes have.
    grows: the cluster adds nodes when they are needed, so that what no node has now is not refused.
    """

    address: str = ""
    cpus_per_run: int = 1
    gpus_per_run: float | None = None
    resources: dict[str, float] = field(default_factory=dict)
    grows: bool = False


class RayExecutor:
    """Trains runs on a Ray cluster: the one at an address, the one that Ray finds, or one of its own here."""

    def __init__(self, options: RayOptions) -> None:
        self._options, self._cluster = options, Cluster(options.address)
        self._silence = contextlib.ExitStack()
        self._need = Need(options.cpus_per_run, options.gpus_per_run or 0.0, options.resources)
        self._jobs: int | None = None

    def check(self, resources: Resources) -> Placement:
        """Join the cluster, and say how many runs it has room for.

        Raises InputError where no node has what a run needs, and where the cluster cannot be joined.
        """
        device = resources.device
        if device not in ("auto", "cpu", "cuda"):
            raise InputError(f"--executor ray and --device {device}: Ray gives each run its GPU\n  give --device cuda")
        gpus = self._options.gpus_per_run
        if gpus is None:
            gpus = 1.0 if on_nvidia(device) else 0.0
        if gpus > 1 and gpus != int(gpus):
            raise InputError(f"--gpus-per-run {gpus:g}: Ray gives a part of one GPU, or whole ones")
        self._need = replace(self._need, gpus=gpus)
        self._join()
        slots = self._cluster.slots(self._need)
        if not slots and not self._options.grows:
            raise InputError(self._cluster.refusal(self._need))
        self._jobs = resources.jobs or None
        at_a_time = self._jobs or max(1, slots)
        return Placement(at_a_time, resources.runs, cpus=self._options.cpus_per_run, where=self._cluster.name)

    def _join(self) -> None:
        if not ray.is_initialized():
            self._silence.enter_context(quiet())
        self._cluster.join()

    def rehearse(self, jobs: Sequence[Job]) -> RehearsalReport:
        """Rehearse each job's run (`training.rehearsal`) on a node that a run could be on."""
        self._join()
        with Notices.posted(jobs[0].store) as notices:
            errand = Errand(without_code(jobs[0]), "rehearsal", notices, own_version())
            for tried in (1, 2):
                try:
                    found = self._rehearsed([on_granted(job, self._need.gpus) for job in jobs], errand)
                    break
                except RayError as error:  # its node may be gone
                    if tried == 2 or isinstance(error, RayTaskError):
                        raise AblateError(
                            f"the rehearsals cannot be made on Ray: {one_line(str(error), 300)}"
                        ) from None
        if isinstance(found, DeviceError):
            raise found
        if isinstance(found, str):
            raise StoreError(found)
        return found

    def _rehearsed(self, jobs: Sequence[Job], errand: Errand) -> RehearsalReport | DeviceError | str:
        asked = rehearsals.options(**self._options_of_task()).remote(jobs, errand)
        try:
            while not ray.wait([asked], timeout=WAIT_SECONDS)[0]:  # where a Ctrl-C comes through
                pass
            found: RehearsalReport | DeviceError | str = ray.get(asked)
        except BaseException:
            ray.cancel(asked, force=True)
            raise
        return found

    def run(self, jobs: Iterable[Job], on_event: OnEvent, stopping: Stopping = never) -> None:
        """Train all runs, in order of their start (see `Attempts`), as many at a time as the cluster has room for."""
        self._join()
        room = ClusterRoom(lambda: self._cluster.slots(self._need), self._jobs)
        sender = RaySender(self._options_of_task(), self._need.gpus)
        Attempts(sender, room, on_event).run(jobs, stopping)

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._cluster.leave()
        self._silence.close()

    def _options_of_task(self) -> dict[str, Any]:
        return {"num_cpus": self._need.cpus, "num_gpus": self._need.gpus, "resources": dict(self._need.others)}


@dataclass(eq=False)
class _Task:
    """An attempt under way. ended_at: when it was cancelled. asked: to stop."""

    job: Job
    number: str
    stream: Any
    placed: bool = False
    ended_at: float | None = None
    forced: bool = False


class RaySender:
    """Sends attempts to Ray (a `Sender`). options: of each task. gpus: that Ray grants to each."""

    def __init__(self, options: dict[str, Any], gpus: float) -> None:
        self._options, self._gpus = options, gpus
        self._running: dict[Any, _Task] = {}
        self._codes: list[tuple[CodeSnapshot, Any]] = []
        self._notices: Notices | None = None
        self._held = contextlib.ExitStack()
        self._id = uuid.uuid4().hex[:6]
        self._count = 0

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is not None:
                self._end_all()
        finally:
            self._held.close()
            self._codes.clear()

    def start(self, job: Job) -> _Task:
        """Submit a task that makes an attempt."""
        if self._notices is None:
            self._notices = self._held.enter_context(Notices.posted(job.store))
        self._count += 1
        number = f"{self._id}-{self._count}"
        errand = Errand(without_code(on_granted(job, self._gpus)), number, self._notices, own_version())
        stream = attempt.options(**self._options, name=f"{job.spec.variant} seed {job.spec.seed}").remote(
            errand, self._code(job.code)
        )
        task = _Task(job, number, stream)
        self._running[stream] = task
        return task

    def _code(self, code: CodeSnapshot) -> Any:
        """Return what Ray knows a snapshot by; it is put there once."""
        for known, reference in self._codes:
            if known is code:
                return reference
        reference = ray.put(code)
        self._codes.append((code, reference))
        return reference

    def poll(self, seconds: float, hear: Callable[[_Task, News], None]) -> None:
        """Wait for news of tasks, and pass on the next of each."""
        self._force()
        if not self._running:
            time.sleep(seconds)
            return
        streams = list(self._running)
        ready, _ = ray.wait(streams, num_returns=1, timeout=seconds, fetch_local=False)
        if ready:
            ready, _ = ray.wait(streams, num_returns=len(streams), timeout=0, fetch_local=False)
        for stream in ready:
            task = self._running[stream]
            news = _next_news(task)
            if not isinstance(news, GOES_ON):
                del self._running[stream]
            task.placed = True
            hear(task, news)

    def ask_to_stop(self, task: _Task) -> None:
        """Write it into the notices; a task that waits in Ray's queue is cancelled."""
        if task.placed:
            assert self._notices is not None  # posted with the first attempt
            self._notices.ask_to_stop(task.number)
        else:
            ray.cancel(task.stream, force=True)

    def kill(self, task: _Task) -> None:
        """Cancel the task, which ends its process with all that it started."""
        task.ended_at = time.monotonic()
        ray.cancel(task.stream)

    def _force(self) -> None:
        """Kill the workers of tasks that did not end when they were cancelled."""
        for task in self._running.values():
            if task.ended_at is not None and not task.forced and time.monotonic() - task.ended_at > KILL_SECONDS:
                task.forced = True
                ray.cancel(task.stream, force=True)

    def _end_all(self) -> None:
        """End all tasks, and wait for them to have ended."""
        with contextlib.suppress(RayError):
            for task in self._running.values():
                self.kill(task)
            until = time.monotonic() + 2 * KILL_SECONDS
            while self._running and time.monotonic() < until:
                self.poll(WAIT_SECONDS, lambda *_: None)


def _next_news(task: _Task) -> News:
    """Return the next news of a task, or how its worker ended."""
    try:
        news: News = ray.get(next(task.stream))
    except StopIteration:
        return WorkerExited("its worker on Ray ended without a word")
    except TaskCancelledError:
        return WorkerExited("its task on Ray was cancelled")
    except RayTaskError as error:
        return Aborted(
            task.job.spec, f"a machine of the Ray cluster cannot make runs: {one_line(str(error.cause), 500)}"
        )
    except RayError as error:
        lost = type(error).__name__ in _LOST
        return WorkerExited(_words(error), taken=lost)
    return news


def _words(error: RayError) -> str:
    """Say how a worker ended, in short."""
    first = one_line(str(error).strip().partition(". ")[0], 200)
    return f"its worker on Ray ended: {first or type(error).__name__}"
