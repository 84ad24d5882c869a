"""How many runs at a time, and on what, where the user leaves that open."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..execute.gpu import gauge
from ..execute.local import LocalProcesses
from ..host import cores
from ..training.machine import MOST_ON_A_GPU, default_jobs, on_nvidia


@dataclass(frozen=True)
class Placement:
    """How many runs are made at a time.

    runs: how many there are in all. packed: on a GPU, as many as that has time and memory for, and `jobs` at most.
    for_gpu: `jobs` were chosen for an NVIDIA GPU, which torch may turn out not to have.
    """

    jobs: int
    runs: int
    packed: bool = False
    for_gpu: bool = False

    @property
    def surely(self) -> int:
        """Return how many runs at a time can be counted on."""
        return 1 if self.packed else self.jobs

    @property
    def at_a_time(self) -> str:
        """Say how many at a time."""
        return f"{'at most ' if self.packed else ''}{self.jobs} at a time"


def placed(jobs: int | None, device: str, runs: int) -> Placement:
    """Return how many of so many runs are made at a time.

    jobs: as asked for; 0 for as many as fit, None where the user leaves it open: then one at a time on a GPU.
    """
    if jobs:
        return Placement(jobs, runs)
    gpu = on_nvidia(device)
    packed = jobs == 0 and gpu and runs > 1
    most = min(runs, cores(), MOST_ON_A_GPU) if packed else default_jobs(device, runs)
    return Placement(most, runs, packed, gpu)


def local(placement: Placement, gpu: str) -> tuple[Placement, LocalProcesses, str]:
    """Return the placement of runs on this machine, what makes them, and why the placement had to change.

    gpu: the UUID of the one that a rehearsal was on, "" for none.
    """
    read, why = gauge(gpu) if placement.packed else None, ""
    if placement.for_gpu and not gpu:
        placement, why = (
            replace(placement, packed=False, jobs=default_jobs("cpu", placement.runs)),
            "torch has no GPU here",
        )
    elif placement.packed and read is None:
        placement, why = replace(placement, packed=False, jobs=1), "this GPU does not say how busy it is"
    return placement, LocalProcesses(placement.jobs, read), why
