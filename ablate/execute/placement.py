"""How many runs at a time, and on what, where the user leaves that open."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, counted
from ..host import cores
from ..training.machine import MOST_ON_A_GPU, default_jobs, on_nvidia
from .gpu import gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .gpu import GpuUse


@dataclass(frozen=True)
class Resources:
    """What is asked of an executor: so many runs, each on a device of this name.

    jobs: how many at a time; 0 for as many as fit, None where the user leaves it open.
    """

    runs: int
    device: str
    jobs: int | None = None


@dataclass(frozen=True)
class Placement:
    """How many runs are made at a time.

    runs: how many there are in all. packed: on a GPU, as many as that has time and memory for, and `jobs` at most.
    for_gpu: `jobs` were chosen for an NVIDIA GPU, which torch may turn out not to have. devices: names of those that
    runs are spread over; empty where each has the one that its job names. cpus: of each run, where it is not its share
    of this machine's cores. where: in words, where it is not this machine.
    """

    jobs: int
    runs: int
    packed: bool = False
    for_gpu: bool = False
    devices: tuple[str, ...] = ()
    cpus: int | None = None
    where: str = ""

    @property
    def surely(self) -> int:
        """Return how many runs at a time can be counted on."""
        return 1 if self.packed else self.jobs

    @property
    def at_a_time(self) -> str:
        """Say how many at a time."""
        on = f" on {counted(len(self.devices), 'GPU')}" if len(self.devices) > 1 else self.where and f" on {self.where}"
        return f"{'at most ' if self.packed else ''}{self.jobs} at a time{on}"

    @property
    def threads(self) -> int:
        """Return how many threads each run has. They are part of what decides its last bits."""
        return self.cpus or max(1, cores() // self.jobs)


def placed(jobs: int | None, device: str, runs: int, devices: Sequence[str] = ()) -> Placement:
    """Return how many of so many runs are made at a time.

    jobs: as asked for; 0 for as many as fit, None where the user leaves it open: then one at a time on each GPU.
    devices: the GPUs to spread them over, where there are several.
    """
    if devices:
        return Placement(jobs or max(1, min(runs, len(devices))), runs, for_gpu=not jobs, devices=tuple(devices))
    if jobs:
        return Placement(jobs, runs)
    gpu = on_nvidia(device)
    packed = jobs == 0 and gpu and runs > 1
    most = min(runs, cores(), MOST_ON_A_GPU) if packed else default_jobs(device, runs)
    return Placement(most, runs, packed, gpu)


def narrowed(placement: Placement, gpu: str) -> tuple[Placement, Callable[[], GpuUse] | None, str]:
    """Return the placement of runs on this machine, what reads its GPU, and why the placement had to change.

    gpu: the UUID of the one that a rehearsal was on, "" for none.
    """
    read, why = gauge(gpu) if placement.packed else None, ""
    if placement.for_gpu and not gpu:
        placement, why = (
            replace(placement, packed=False, jobs=default_jobs("cpu", placement.runs), devices=()),
            "torch has no GPU here",
        )
    elif placement.packed and read is None:
        placement, why = replace(placement, packed=False, jobs=1), "this GPU does not say how busy it is"
    return placement, read, why


def count_gpus(devices: Path = Path("/dev")) -> int:
    """Return how many NVIDIA GPUs this process may use, without the seconds that asking torch takes.

    devices: the folder of the system's devices.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    there = sum(bool(re.fullmatch(r"nvidia\d+", file.name)) for file in devices.glob("nvidia*"))
    if visible is None:
        return there
    named = [part.strip() for part in visible.split(",")]
    wrong = next((at for at, part in enumerate(named) if part in ("", "-1")), len(named))  # CUDA stops there, too
    return min(there, wrong)


def on_this_machine(resources: Resources, numbers: Sequence[int] = (), gpus: int | None = None) -> Placement:
    """Return how runs are placed on this machine. Raises InputError as `spread_over`, whose arguments these are."""
    spread = spread_over(numbers, resources, count_gpus() if gpus is None else gpus)
    return placed(resources.jobs, resources.device, resources.runs, spread)


def spread_over(numbers: Sequence[int], resources: Resources, gpus: int) -> tuple[str, ...]:
    """Return the names of the GPUs that runs are spread over; empty where each has the one that its job names.

    numbers: of those that the user names, empty for all. gpus: how many there are.
    Raises InputError where such runs can have none of them.
    """
    open_to_all = resources.device in ("auto", "cuda")
    if not numbers:
        spread = open_to_all and resources.jobs is None and gpus > 1 and on_nvidia(resources.device)
        return tuple(f"cuda:{number}" for number in range(gpus)) if spread else ()
    named = ",".join(map(str, numbers))
    if not open_to_all:
        raise InputError(f"--devices {named} and --device {resources.device}: only one of them can be meant")
    if resources.jobs == 0:
        raise InputError(f"--devices {named} and --jobs 0: only one GPU is packed\n  give a number of runs, or none")
    absent = [number for number in numbers if number >= gpus]
    if absent or len(set(numbers)) != len(numbers):
        found = f"there is no GPU {absent[0]}" if absent else "a GPU is named twice"
        have = f"this machine has {counted(gpus, 'GPU')}" + (f", 0 to {gpus - 1}" if gpus > 1 else "")
        raise InputError(f"--devices {named}: {found}\n  {have}; 'ablate doctor' lists them")
    return tuple(f"cuda:{number}" for number in numbers)
