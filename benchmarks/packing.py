"""Many small runs: how much of the wall time is training, how it goes with more at a time, and what memory each takes.

    python benchmarks/packing.py --runs 100

Runs of the digits study are made by `ablate run` itself, with one at a time, with one for each core, and with more.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import peers

from ablate.host import cores
from ablate.paths import shipped
from ablate.store.store import Store

MARK = "ABLATE_PACKING"


def private_megabytes(mark: str) -> list[float]:
    """Return the megabytes that each run's process has to itself (Linux): what it does not share with others."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                if os.getsid(int(folder.name)) != int(folder.name):  # the driver and the server are no runs
                    continue
                lines = (folder / "smaps_rollup").read_text().splitlines()
                kilobytes = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
                found.append(kilobytes / 1e3)
        except OSError:  # it has ended, or is not ours
            continue
    return found


def packed(
    study: Path, seeds: int, jobs: int, folder: Path, device: str, settings: list[str]
) -> tuple[float, float, float]:
    """Make a study's runs; return seconds of all, of training and evaluation in all, and most megabytes of one run."""
    mark, store = f"{os.getpid()}-{jobs}", folder / f"store-{jobs}"
    command = [sys.executable, "-m", "ablate", "run", str(study), "--seeds", str(seeds), "--jobs", str(jobs)]
    command += ["--device", device, "--store", str(store)]
    for setting in settings:
        command += ["--set", setting]
    most = [0.0]
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603  # the command is ours
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, MARK: mark},
        start_new_session=False,
    )  # fmt: skip

    def watch() -> None:
        while process.poll() is None:
            most.append(max(private_megabytes(mark), default=0.0))
            time.sleep(1.0)

    thread = threading.Thread(target=watch)
    thread.start()
    if process.wait() != 0:
        sys.exit("the runs failed")
    seconds = time.perf_counter() - began
    thread.join()
    trained = 0.0
    for run in (store / "runs").iterdir():
        for record in Store(store).run(run.name).history():
            trained += record["seconds"] + record["evaluation_seconds"]
    return seconds, trained, max(most)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, cores(), 2 * cores()])
    parser.add_argument("--study", type=Path, default=shipped("studies") / "digits.toml")
    parser.add_argument(
        "--device", default="cpu", help="as of ablate run; how many runs fit on a GPU shows in the wall time"
    )
    parser.add_argument("--set", action="append", default=[], help="as of ablate run")
    args = parser.parse_args()
    print(peers.versions())
    print(f"{'at a time':<12}{'runs':>6}{'wall':>10}{'training':>11}{'share':>8}{'one run has to itself':>24}")
    with tempfile.TemporaryDirectory() as folder:
        variants = len(json.loads(_planned(args.study, folder)))
        seeds = max(1, args.runs // variants)
        for jobs in args.jobs:
            seconds, trained, most = packed(args.study, seeds, jobs, Path(folder), args.device, args.set)
            share = trained / seconds / min(jobs, cores())
            print(
                f"{jobs:<12}{seeds * variants:>6}{seconds:>8.1f} s{trained:>9.1f} s{share:>8.0%}{most:>21.0f} MB",
                flush=True,
            )


def _planned(study: Path, folder: str) -> str:
    command = [sys.executable, "-m", "ablate", "plan", str(study), "--seeds", "1", "--json"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)  # noqa: S603
    return json.dumps(json.loads(found.stdout)["runs"])


if __name__ == "__main__":
    main()
