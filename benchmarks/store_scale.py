"""Make a store of many runs, none of them trained, and time the commands that read it.

    python benchmarks/store_scale.py --runs 100000

Studies of 500 runs each are planned as ever, and their runs' files written with made-up numbers through the store's
own code. Then `status`, `plan` and `report` of one study are timed as whole processes, with the most memory each took.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from unittest import mock

from ablate.launch.record import record
from ablate.launch.study import LoadedStudy, Options, open_study

VARIANTS, SEEDS, EPOCHS = 5, 100, 5

STUDY = """
[study]
name = "scale-{number}"
seeds = {seeds}
[baseline]
epochs = {epochs}
batch_size = 64
dataset = {{ use = "digits", validation = 200 }}
model = {{ use = "simple-cnn" }}
optimizer = {{ use = "adam", lr = {lr} }}
"""
VARIANT = """
[[variant]]
name = "width {width}"
from = "baseline"
set = {{ model = {{ use = "simple-cnn", width = {width} }} }}
"""


def make_runs(prepared: LoadedStudy, draw: random.Random) -> None:
    """Write the files of a study's runs."""
    environment = {"device": "cpu", "device_name": "made up", "threads": 1, "python": "3", "versions": {}}
    for spec in prepared.specs:
        folder = prepared.home.writer(spec.key)
        given = {"key": spec.key, "variant": spec.variant, "seed": spec.seed, "identity": spec.identity}
        folder.begin({**given, "environment": environment})
        gave: dict[str, float] = {}
        for epoch in range(1, EPOCHS + 1):
            gave = {f"{split}/accuracy": draw.uniform(0.9, 1.0) for split in ("validation", "test")}
            gave |= {f"{split}/loss": draw.uniform(0.1, 0.5) for split in ("train", "validation", "test")}
            folder.append_epoch({"epoch": epoch, "lr": 1e-3, **gave, "seconds": 1.0, "images_per_second": 1000.0})
        costs = {"seconds_per_image": 1e-4, "evaluation_seconds_per_image": 1e-5, "state_bytes": 100_000}
        folder.commit_result({**gave, **costs, "epochs": EPOCHS, "parameters": 1000, "seconds": 5.0})


def make_store(folder: Path, studies: int) -> Path:
    """Make the store, and return the file of its first study."""
    draw = random.Random(0)  # noqa: S311  # no secrets here
    store = folder / "store"
    began = told = time.monotonic()
    # What is flushed to disk decides nothing here, and would take an hour.
    with mock.patch("os.fsync"):
        for number in range(studies):
            text = STUDY.format(number=number, seeds=SEEDS, epochs=EPOCHS, lr=1e-3 * (1 + number))
            text += "".join(VARIANT.format(width=7 * n) for n in range(1, VARIANTS))
            study = folder / f"scale-{number}.toml"
            study.write_text(text)
            prepared = open_study(Options(study, store, folder / "data"))
            prepared.home.make_writable()
            make_runs(prepared, draw)
            record(prepared)
            if time.monotonic() - told > 5:
                told = time.monotonic()
                print(f"{number + 1} of {studies} studies made, {told - began:.0f} s", file=sys.stderr)
    return folder / "scale-0.toml"


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Run a command and return its seconds and the megabytes it took at most."""
    began = time.monotonic()
    process = subprocess.Popen(  # noqa: S603  # the command is ours
        [sys.executable, "-m", "ablate", *command, "--store", "store"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"ablate {' '.join(command)} ended with exit code {process.returncode}")
    return time.monotonic() - began, usage.ru_maxrss / 1e3


def main() -> None:
    """Make the store, time the commands and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=3, help="how often each command is timed")
    args = parser.parse_args()
    studies = max(1, args.runs // (VARIANTS * SEEDS))
    folder = Path(tempfile.mkdtemp(prefix="ablate-scale-"))
    try:
        study = make_store(folder, studies)
        print(f"{studies * VARIANTS * SEEDS:,} runs in {studies} studies")
        print(f"{'command':<34}{'first':>9}{'median of the next':>20}{'memory':>10}")
        for command in (["status"], ["status", "scale-0"], ["plan", study.name], ["report", "scale-0"]):
            (first, memory), *rest = [timed(command, folder) for _ in range(args.times + 1)]
            again = median(seconds for seconds, _ in rest)
            memory = max([memory, *(used for _, used in rest)])
            print(f"{'ablate ' + ' '.join(command):<34}{first:>7.1f} s{again:>18.1f} s{memory:>7.0f} MB")
        print(f"ablate {version('ablate-studies')}, Python {platform.python_version()}, {os.cpu_count()} cores")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
