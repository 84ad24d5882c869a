"""How long things take to begin: commands, and a run from its process to its first step.

    python benchmarks/startup.py

Commands are timed as whole processes. A run's start is that of small runs on digits, one after the other from one
driver: from the moment its process is started to the end of its first step, and to its end without training.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers

from ablate.execute.jobs import EpochDone, Event, Finished, Job
from ablate.execute.local import LocalProcesses
from ablate.execute.server import warm_up
from ablate.launch.study import Options, open_study
from ablate.paths import data_dir, shipped
from ablate.study.toml import Changes
from ablate.training.machine import Machine


def command(*arguments: str, folder: str) -> float:
    """Return the seconds that a command takes."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "ablate", *arguments], check=True, capture_output=True, cwd=folder)  # noqa: S603
    return time.perf_counter() - began


def runs(folder: Path, count: int) -> tuple[list[float], list[float], float, float]:
    """Make small runs; return seconds to the first step and of the whole for each, of all, and of training alone."""
    settings = ("baseline.epochs=1", "baseline.dataset.train=64", "baseline.batch_size=64")
    changes = Changes(settings, tuple(range(count)))
    options = Options(shipped("studies") / "digits.toml", folder / "store", data_dir(), changes, ("baseline",))
    prepared = open_study(options)
    prepared.home.make_writable()
    place = (prepared.home.root, Machine(data_dir(), "cpu", 1))
    jobs = [Job(spec, *place, prepared.code(spec.recipe)) for spec in prepared.asked]
    executor = LocalProcesses(1)
    warm_up()
    ended = began = time.perf_counter()
    first: list[float] = []
    whole: list[float] = []
    trained = 0.0

    def tell(event: Event) -> None:
        nonlocal ended, trained
        now = time.perf_counter()
        if isinstance(event, EpochDone):
            first.append(now - ended)
            trained += event.record["seconds"] + event.record["evaluation_seconds"]
        elif isinstance(event, Finished):
            whole.append(now - ended)
            ended = now

    executor.run(jobs, tell)
    return first, whole, time.perf_counter() - began, trained


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=10)
    args = parser.parse_args()
    print(peers.versions())
    with tempfile.TemporaryDirectory() as folder:
        study = str(shipped("studies") / "digits.toml")
        for arguments in (["--help"], ["status"], ["plan", study]):
            times = [command(*arguments, folder=folder) for _ in range(args.rounds + 1)][1:]
            name = "ablate " + " ".join(Path(a).name for a in arguments)
            print(f"{name:<44}{statistics.median(times):>8.2f} s  ({min(times):.2f} to {max(times):.2f})")
        first, whole, _, _ = runs(Path(folder), args.runs)
        print(f"{'first run to the end of its one step':<44}{first[0]:>8.2f} s  (the fork server starts)")
        for name, times in (("the next ones to the end of their one step", first[1:]), ("... and whole", whole[1:])):
            print(f"{name:<44}{statistics.median(times):>8.2f} s  ({min(times):.2f} to {max(times):.2f})")


if __name__ == "__main__":
    main()
