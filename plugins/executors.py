"""Where runs are made: what `ablate run --executor NAME` names."""

from __future__ import annotations

from ablate import (
    Count,
    Executor,
    Natural,
    NonNegative,
    executor,
    inline_executor,
    local_executor,
    ray_executor,
    slurm_executor,
)


@executor("local")
def local(*, devices: tuple[Natural, ...] = ()) -> Executor:
    """Make runs on this machine, each in a process of its own.

    `devices` are the numbers of the GPUs that runs are spread over, one at a time on each; none names all.
    """
    return local_executor(devices)


@executor("inline")
def inline() -> Executor:
    """Make runs in the command's own process, one after the other: for a debugger.

    A crash there takes the command with it, and no run can be timed out.
    """
    return inline_executor()


@executor("ray")
def ray(
    *,
    address: str = "",
    cpus_per_run: Count = 1,
    gpus_per_run: NonNegative | None = None,
    resources: dict[str, NonNegative] = {},  # noqa: B006  # read only
    grows: bool = False,
) -> Executor:
    """Make runs on a Ray cluster: the one at `address`, the one that Ray finds, or one of its own on this machine.

    `gpus_per_run` may be a part of one, as 0.25, which several runs then share; without it a run has one where the
    command's device is a GPU. `resources` are others that each run takes, by the names that the cluster has for them.
    `grows`: the cluster adds nodes when they are needed, so that what no node has now is waited for.
    """
    return ray_executor(
        address=address, cpus_per_run=cpus_per_run, gpus_per_run=gpus_per_run, resources=resources, grows=grows
    )


@executor("slurm")
def slurm(  # noqa: PLR0913  # what clusters ask of their users
    *,
    partition: str = "",
    account: str = "",
    qos: str = "",
    time: str | int = "",
    mem: str | int = "",
    constraint: str = "",
    cpus_per_run: Count = 1,
    gpus_per_run: NonNegative | None = None,
    max_parallel: Count = 32,
    stop_before: Count = 90,
    options: dict[str, str | int | float | bool] = {},  # noqa: B006  # read only
) -> Executor:
    """Make runs on the Slurm cluster that this machine submits to, a job each, several as one array.

    `partition`, `account`, `qos`, `time`, `mem` and `constraint` are those of `sbatch`, `options` any others, by their
    long names. `max_parallel` is how many runs there are at a time, those that wait in the queue included.
    `gpus_per_run`: without it a run has one where the command's device is a GPU. `stop_before`: seconds before its time
    limit at which a run saves its state, to go on in another job.
    """
    named = {"partition": partition, "account": account, "qos": qos, "time": time, "mem": mem, "constraint": constraint}
    return slurm_executor(
        cpus_per_run=cpus_per_run,
        gpus_per_run=gpus_per_run,
        max_parallel=max_parallel,
        stop_before=stop_before,
        options={**named, **options},
    )
