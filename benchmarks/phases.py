"""The five phases of studies/cifar100_phases.toml in one command on a GPU: minutes, and how busy the GPU was.

    ABLATE_DATA_DIR=... python benchmarks/phases.py --seeds 5

The GPU is read twice a second, from the start of the command to its end. More at a time by --jobs shows what the
command's own choice is worth.
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
import torch

from ablate.execute.gpu import gauge
from ablate.paths import shipped
from ablate.store.store import Store
from ablate.training.machine import gpu_uuid


def made(
    study: Path, seeds: int, jobs: int, device: str, store: Path, settings: list[str]
) -> tuple[float, list[float]]:
    """Make a study's runs; return the seconds that this took, and how busy the GPU was each half second."""
    command = [sys.executable, "-m", "ablate", "run", str(study), "--seeds", str(seeds), "--jobs", str(jobs)]
    command += ["--device", device, "--store", str(store), *(f"--set={setting}" for setting in settings)]
    read, busy = gauge(gpu_uuid(device)), []
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603  # the command is ours
    while process.poll() is None:
        if read:
            busy.append(read().busy)
        time.sleep(0.5)
    if process.returncode:
        sys.exit("the runs failed")
    return time.perf_counter() - began, busy


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, nargs="+", default=[0, 1], help="runs at a time; 0 for ablate's own choice")
    parser.add_argument("--study", type=Path, default=shipped("studies") / "cifar100_phases.toml")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--set", action="append", default=[], help="as of ablate run")
    args = parser.parse_args()
    print(peers.versions())
    print(f"{'at a time':<12}{'runs':>6}{'minutes':>10}{'GPU busy':>10}{'one run':>10}")
    for jobs in args.jobs:
        with tempfile.TemporaryDirectory() as folder:
            seconds, busy = made(args.study, args.seeds, jobs, args.device, Path(folder), args.set)
            results = [Store(Path(folder)).run(run.name).result() or {} for run in (Path(folder) / "runs").iterdir()]
        share = f"{statistics.mean(busy):>10.0%}" if busy else f"{'unknown':>10}"
        each = statistics.median(result["seconds"] for result in results)
        print(f"{jobs or 'its own':<12}{len(results):>6}{seconds / 60:>10.1f}{share}{each:>8.1f} s", flush=True)


if __name__ == "__main__":
    main()
