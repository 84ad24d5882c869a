"""The executors that ship, each made by a function that imports what it needs only when it is called."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .jobs import Executor

PARTS = ("check", "rehearse", "run", "close")
"""The methods of an executor."""


def lacking(made: object) -> list[str]:
    """Return the methods of an executor that something lacks, which then is none."""
    return [part for part in PARTS if isinstance(made, type) or not callable(getattr(made, part, None))]


def inline_executor() -> Executor:
    """Make all runs in the calling process, one after the other, for a debugger: a crash takes the caller with it."""
    from .inline import Inline

    return Inline()


def local_executor(devices: Sequence[int] = ()) -> Executor:
    """Make runs on this machine, each in a process of its own.

    devices: the numbers of the GPUs that runs are spread over; empty for all of them.
    """
    from .local import LocalProcesses

    return LocalProcesses(devices=devices)


def ray_executor(
    *,
    address: str = "",
    cpus_per_run: int = 1,
    gpus_per_run: float | None = None,
    resources: Mapping[str, float] | None = None,
    grows: bool = False,
) -> Executor:
    """Make runs on a Ray cluster, one task each.

    address: HOST:PORT of its head, "local" for one that is started here and ends with the command; without one Ray's
    own rule: RAY_ADDRESS, a cluster that `ray start` has made on this machine, or else one of its own.
    gpus_per_run: a part of one, as 0.25, lets several runs share it; None for one where the device is a GPU.
    resources: others that each run takes, by Ray's names. grows: the cluster adds nodes when they are needed.

    Raises InputError where Ray is not installed.
    """
    needs_extra("ray", "ray")
    from .ray_executor import RayExecutor, RayOptions

    return RayExecutor(RayOptions(address, cpus_per_run, gpus_per_run, dict(resources or {}), grows))


def slurm_executor(
    *,
    cpus_per_run: int = 1,
    gpus_per_run: float | None = None,
    max_parallel: int = 32,
    stop_before: int = 90,
    options: Mapping[str, str | int | float | bool] | None = None,
) -> Executor:
    """Make runs on the Slurm cluster that this machine submits to, a job each, several as one array.

    gpus_per_run: None for one where the device is a GPU. max_parallel: how many runs at a time, waiting ones included.
    stop_before: seconds before its time limit at which a run saves its state, to go on in another job.
    options: of sbatch, by their long names, as partition, account, qos, time, mem and constraint.

    Raises InputError where submitit is not installed, and for options that cannot be given.
    """
    needs_extra("submitit", "slurm")
    from .slurm_executor import SlurmExecutor
    from .slurm_options import SlurmOptions

    return SlurmExecutor(SlurmOptions(cpus_per_run, gpus_per_run, max_parallel, stop_before, dict(options or {})))


def needs_extra(module: str, extra: str) -> None:
    """Raise InputError, with the line that installs it, where what an executor needs is not installed."""
    if find_spec(module) is None:
        raise InputError(f'--executor {extra}: {module} is not installed\n  pip install "ablate-studies[{extra}]"')
