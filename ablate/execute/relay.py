"""One attempt that a driver on another machine has sent here, made as on the driver's own: in a process of its own.

An engine's worker calls `relayed` and passes on what that yields. It imports no torch, and whatever happens to the
run, it lives on to say how it ended.
"""

from __future__ import annotations

import contextlib
import platform
import time
from dataclasses import dataclass, replace
from multiprocessing import connection
from typing import TYPE_CHECKING

from ..components.registry import CodeSnapshot
from ..errors import StoreError
from ..store.store import Store
from ..training.machine import software
from .attempts import GOES_ON, News, Placed, WorkerExited
from .jobs import Aborted, Failed, Stopped
from .processes import LoggedJob, kill, make_logged_run, next_news
from .server import start

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from .jobs import Job
    from .notices import Notices

ASK_SECONDS = 1.0
"""How often to look whether the driver asks the run to stop."""
EXIT_SECONDS = 10.0
"""How long a process may take to exit once its attempt has ended."""


@dataclass(frozen=True)
class Errand:
    """An attempt to be made elsewhere. Plain data. number: which it is of all that a driver has sent."""

    job: Job
    number: str
    notices: Notices
    version: str


@dataclass(frozen=True)
class Taking:
    """That the machine is about to be taken from an attempt. why: "" as long as nobody takes it.

    seconds: how long the run may take to save its state before it is killed here, without end where the engine itself
    kills it in time.
    """

    why: str = ""
    seconds: float = float("inf")


def not_taken() -> Taking:
    """Say that nobody takes this machine from the attempt."""
    return Taking()


def relayed(
    errand: Errand, place: str, version: str, taken: Callable[[], Taking] = not_taken
) -> Generator[News, None, None]:
    """Make an attempt and yield its news, the last of them once all that it started has ended.

    place: as of `Placed`. version: of ablate on this machine. taken: tells whether the machine is about to be taken
    from the attempt; the run then saves its state, and the driver begins it again elsewhere.
    The run is killed where this generator is closed before its end, or anything is raised in it.
    What it prints is appended to its log in the store.
    """
    yield Placed(place)
    if why := misplaced(errand, version):
        yield Aborted(errand.job.spec, why)
        return
    folder = Store(errand.job.store).writer(errand.job.spec.key)
    try:
        log = folder.open_log(f"attempt {errand.number} on {platform.node()}")
    except StoreError as error:
        yield Aborted(errand.job.spec, str(error))
        return
    process, pipe = start(make_logged_run, LoggedJob(errand.job, log))
    try:
        yield from _news(errand, process, pipe, taken)
    finally:
        kill(process)
        with contextlib.suppress(OSError):
            pipe.close()


def own_version() -> str:
    """Return the version of ablate on this machine, "" for one that runs from a checkout."""
    return str(software()["versions"].get("ablate-studies", ""))


def without_code(job: Job) -> Job:
    """Return a job without its plugins' code, which travels apart, once for many jobs."""
    return replace(job, code=CodeSnapshot())


def on_granted(job: Job, gpus: float) -> Job:
    """Return a job with the device that an engine grants it, where the job leaves that open. gpus: granted to it."""
    if job.machine.device != "auto":
        return job
    return replace(job, machine=replace(job.machine, device="cuda" if gpus else "cpu"))


def at_home(errand: Errand, code: CodeSnapshot) -> Errand:
    """Return an errand with the code of its job, which came apart from it."""
    return replace(errand, job=replace(errand.job, code=code))


def misplaced(errand: Errand, version: str) -> str:
    """Say why the attempt cannot be made on this machine, if that is so."""
    node = platform.node()
    if not errand.notices.are_here():
        return (
            f"{errand.job.store}: the machine {node} does not have this store, or another folder of this name\n"
            "  name a folder that all machines share (--store DIR), under the same path on each"
        )
    if version != errand.version:
        return (
            f"the machine {node} has ablate {version}, and the command {errand.version}\n"
            "  install the same version on all machines"
        )
    return ""


def _news(errand: Errand, process: BaseProcess, pipe: Connection, taken: Callable[[], Taking]) -> Iterator[News]:
    """Yield a process's news; hold the last piece back until the process has exited."""
    looked, asked, why, until = time.monotonic(), False, "", float("inf")
    while True:
        ready = connection.wait([pipe, process.sentinel], timeout=ASK_SECONDS)
        now = time.monotonic()
        if not asked and now - looked >= ASK_SECONDS:
            looked, asked, taking = now, errand.notices.asked(errand.number), taken()
            if (asked or taking.why) and not why:
                with contextlib.suppress(OSError):
                    pipe.send("stop")
            why, until = why or taking.why, min(until, now + taking.seconds)
        if now > until:
            kill(process)
        elif not ready:
            continue
        news = next_news(process, pipe)
        if not isinstance(news, GOES_ON):
            process.join(timeout=EXIT_SECONDS)
            kill(process)
            yield news if asked else _taken(errand, news, why)
            return
        yield news


def _taken(errand: Errand, news: News, why: str) -> News:
    """Return what the last news of an attempt amounts to where its machine was taken from it, `why` saying so.

    A failure is then not the run's own: Slurm's signals end what a component has forked, as those that load its data.
    """
    if not why or not isinstance(news, (Stopped, Failed, WorkerExited)):
        return news
    if isinstance(news, Failed):
        with contextlib.suppress(StoreError):
            Store(errand.job.store).writer(errand.job.spec.key).drop_failure()
    return WorkerExited(why, taken=True)
