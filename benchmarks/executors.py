"""What each executor adds to a run, beside joblib and plain Ray tasks, and what the driver's memory grows by.

    python benchmarks/executors.py                    # local, inline, Ray, joblib; Slurm where there is one
    python benchmarks/executors.py --runs 1000 --only ray

An empty run is one whose result is stored: it is sent, its process starts, locks the run, reads the result and says so.
A real one is a small network on digits for one epoch; what its training and evaluation took is taken off. All go
through the whole executor, as many at a time as there are cores. A peer's task returns at once, and imports nothing.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peers

from ablate.execute.builtin import inline_executor, local_executor, ray_executor, slurm_executor
from ablate.execute.jobs import EpochDone, Event, Finished, Job
from ablate.execute.placement import Resources
from ablate.host import cores
from ablate.launch.study import Options, open_study
from ablate.paths import data_dir, shipped
from ablate.study.toml import Changes
from ablate.training.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.execute.jobs import Executor

EXECUTORS: dict[str, Callable[[], Executor]] = {
    "inline": inline_executor,
    "local": local_executor,
    "ray": lambda: ray_executor(address="local"),
    "slurm": slurm_executor,
}


MOST_WORKERS = 40
"""Plain tasks that start a worker each: they take a second, so that few are enough."""


@dataclass(frozen=True)
class Cost:
    """Seconds of all runs together, from the first job to the last result, and what of them was training."""

    runs: int
    seconds: float
    trained: float
    driver_mb: float

    def each(self, at_a_time: int) -> float:
        """Return what one run costs beside its training, with so many at a time."""
        return (self.seconds * at_a_time - self.trained) / self.runs


def small_jobs(folder: Path, count: int) -> list[Job]:
    """Return jobs of the smallest real run, one for each seed."""
    settings = ("baseline.epochs=1", "baseline.dataset.train=64", "baseline.batch_size=64")
    changes = Changes(settings, tuple(range(count)))
    options = Options(shipped("studies") / "digits.toml", folder / "store", data_dir(), changes, ("baseline",), "cpu")
    prepared = open_study(options)
    prepared.home.make_writable()
    place = (prepared.home.root, Machine(data_dir(), "cpu", 1))
    return [Job(spec, *place, prepared.code(spec.recipe)) for spec in prepared.asked]


def memory() -> float:
    """Return the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def made(executor: Executor, jobs: list[Job]) -> Cost:
    """Make runs and return what that took."""
    trained, finished, before, began = 0.0, 0, memory(), time.perf_counter()

    def tell(event: Event) -> None:
        nonlocal trained, finished
        if isinstance(event, EpochDone):
            trained += event.record["seconds"] + event.record["evaluation_seconds"]
        finished += isinstance(event, Finished)

    executor.run(jobs, tell)
    assert finished == len(jobs)
    return Cost(finished, time.perf_counter() - began, trained, memory() - before)


def stored(jobs: list[Job], count: int) -> list[Job]:
    """Return so many jobs of runs that are stored, again and again the same."""
    return [jobs[number % len(jobs)] for number in range(count)]


def nothing(number: int) -> int:
    """Do nothing."""
    return number


def joblib_seconds(count: int) -> float:
    """Return the seconds of as many tasks that do nothing, in joblib's processes, which it keeps."""
    import joblib

    with joblib.Parallel(n_jobs=cores()) as pool:
        pool(joblib.delayed(nothing)(number) for number in range(cores()))
        began = time.perf_counter()
        pool(joblib.delayed(nothing)(number) for number in range(count))
        return time.perf_counter() - began


def ray_seconds(count: int, **options: Any) -> float:
    """Return the seconds of as many plain Ray tasks that do nothing."""
    import ray

    task = ray.remote(num_cpus=1, **options)(nothing)
    ray.get([task.remote(number) for number in range(cores())])
    began = time.perf_counter()
    ray.get([task.remote(number) for number in range(count)])
    return time.perf_counter() - began


def main() -> None:
    """Measure and print one table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--runs", type=int, default=20, help="empty runs of each executor")
    asked.add_argument("--real", type=int, default=6, help="real runs of each executor")
    asked.add_argument("--only", action="append", choices=list(EXECUTORS), help="only this executor")
    given = asked.parse_args()
    print(
        peers.versions("ray", "joblib"), f"\n{given.runs} empty and {given.real} real runs of each, {cores()} at a time"
    )
    print(f"{'':<26}{'empty run':>12}{'real run':>12}{'start':>10}{'driver':>14}")
    with tempfile.TemporaryDirectory() as folder:
        for name in given.only or [name for name in EXECUTORS if name != "slurm" or shutil.which("sbatch")]:
            jobs = small_jobs(Path(folder) / name, given.real + 1)
            executor, at_a_time = EXECUTORS[name](), 1 if name == "inline" else cores()
            began = time.perf_counter()
            executor.check(Resources(given.runs, "cpu", at_a_time))
            start = time.perf_counter() - began
            made(executor, jobs[:1])  # data is decoded
            start += made(executor, stored(jobs, 2 * at_a_time)).seconds  # servers start, on Ray one for each slot
            real = made(executor, jobs[1:])
            empty = made(executor, stored(jobs, given.runs))
            growth = f"{empty.driver_mb / given.runs * 1024:,.0f} KB/run"
            print(
                f"{name:<26}{empty.each(at_a_time):>10.3f} s{real.each(at_a_time):>10.3f} s{start:>8.1f} s{growth:>14}"
            )
            if name == "ray":
                for words, options, count in (
                    ("plain Ray task", {}, given.runs),
                    ("plain, max_calls=1", {"max_calls": 1}, min(given.runs, MOST_WORKERS)),
                ):
                    print(f"{words:<26}{ray_seconds(count, **options) * cores() / count:>10.3f} s")
            executor.close()
        print(f"{'joblib (loky) task':<26}{joblib_seconds(given.runs) * cores() / given.runs:>10.4f} s")


if __name__ == "__main__":
    main()
