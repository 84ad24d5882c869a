"""What an executor is given and what it tells: jobs, events, and the protocol between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..study.spec import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from ..study.spec import RunSpec
    from ..training.machine import Machine


@dataclass(frozen=True)
class Job:
    """One run to make, with all that another process needs for it. Plain data: it can be sent anywhere.

    study and plugins say where the run's plugins are found again; store is the folder to record in.
    retry: the run is to be made although it failed before; otherwise a failure that is found is another process's.
    """

    spec: RunSpec
    store: Path
    machine: Machine
    study: Path | None = None
    plugins: tuple[Path, ...] = ()
    limits: Limits = field(default_factory=Limits)
    retry: bool = False


@dataclass(frozen=True)
class Started:
    """A run's process has begun. done: epochs that it has behind it."""

    spec: RunSpec
    done: int = 0


@dataclass(frozen=True)
class UnderWay:
    """A run has trained this share of an epoch."""

    spec: RunSpec
    epoch: int
    share: float


@dataclass(frozen=True)
class EpochDone:
    """A run finished an epoch; `record` is its line of the history."""

    spec: RunSpec
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Busy:
    """Another process is making this run; it is looked at again later. owner: which process, where that is known."""

    spec: RunSpec
    owner: str = ""


@dataclass(frozen=True)
class Lost:
    """A run's process ended without a word; the run is tried again from its last checkpoint."""

    spec: RunSpec
    reason: str
    tries_left: int


@dataclass(frozen=True)
class Crowded:
    """A run was out of memory beside others; it is made again, with fewer beside it."""

    spec: RunSpec


@dataclass(frozen=True)
class Fewer:
    """A run that was out of memory beside others is made, alone: from now on there are this many at a time at most."""

    spec: RunSpec
    at_a_time: int


@dataclass(frozen=True)
class Damaged:
    """Something that was stored of a run does not read or does not fit, and is made anew."""

    spec: RunSpec
    what: str


@dataclass(frozen=True)
class Halted:
    """The store or the machine gave way (a full disk, too many open files); nothing is wrong with the run."""

    spec: RunSpec
    reason: str


@dataclass(frozen=True)
class Stopped:
    """A run was asked to stop; whether it kept its state, or goes on from its checkpoint before."""

    spec: RunSpec
    kept: bool = True


@dataclass(frozen=True)
class Finished:
    """A run's result is stored."""

    spec: RunSpec
    result: Mapping[str, Any]


@dataclass(frozen=True)
class Failed:
    """A run ended without a result, for a reason that is recorded in its folder. of_memory: for lack of memory."""

    spec: RunSpec
    reason: str
    of_memory: bool = False


Event = Started | UnderWay | EpochDone | Busy | Lost | Crowded | Fewer | Damaged | Halted | Stopped | Finished | Failed
BUSY_SECONDS = 2.0
"""How long to wait before looking again at a run that another process makes."""

Tell = Callable[[Event], bool | None]
"""Told of each event; True in answer to one of a run under way has that run keep its state and stop."""
Stopping = Callable[[], bool]
"""Asked again and again: whether to begin no more runs, and to let those under way keep their state and stop."""


@dataclass(frozen=True)
class Rehearsed:
    """What rehearsals found, by variant: why one failed, and how large the state of one that did not is, in bytes.

    gpu: the UUID of the NVIDIA GPU that they were on, "" where that was none.
    """

    failed: Mapping[str, str]
    state_bytes: Mapping[str, int]
    gpu: str = ""


@dataclass(frozen=True)
class Tryout:
    """One variant's rehearsal: why it failed, or how large its state is and on which GPU; begun, while neither is."""

    variant: str
    reason: str = ""
    state_bytes: int | None = None
    gpu: str = ""

    @property
    def begun(self) -> bool:
        """Tell whether it is under way."""
        return not self.reason and self.state_bytes is None


def rehearsed(told: Iterable[Tryout]) -> Rehearsed:
    """Sum up what rehearsals told."""
    told = list(told)
    return Rehearsed(
        {trial.variant: trial.reason for trial in told if trial.reason},
        {trial.variant: trial.state_bytes for trial in told if trial.state_bytes is not None},
        next((trial.gpu for trial in told if trial.gpu), ""),
    )


def never() -> bool:
    """Say that nobody asked to stop."""
    return False


class Executor(Protocol):
    """Somewhere to run jobs. Every job that is not stopped ends in one `Finished` or `Failed`, in any order."""

    def rehearse(self, jobs: Sequence[Job]) -> Rehearsed:
        """Build each job's run and take one step."""
        ...

    def run(self, jobs: Iterable[Job], tell: Tell, stopping: Stopping = never) -> None:
        """Make all runs, telling of each as it goes; once `stopping` is true, save those under way and begin none.

        jobs: taken one by one, each when there is room for it, so that it may depend on what was told before.

        Raises StoreError where the store or the machine gave way, once no run is under way any more.
        """
        ...
