"""How long `ablate report` takes by the number of variants: the whole command, in its default formats.

    python benchmarks/report.py

The stores are synthetic: run folders as the store's own writer leaves them, with drawn numbers, and no training.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers

from ablate.launch.record import make_writable, record
from ablate.launch.study import Options, open_study
from ablate.paths import data_dir

HEAD = """
[study]
name = "many"
seeds = {seeds}
[baseline]
epochs = {epochs}
batch_size = 64
dataset = {{ use = "digits", validation = 200 }}
model = {{ use = "simple-cnn" }}
optimizer = {{ use = "adam", lr = 1e-3 }}
"""
VARIANT = """
[[variant]]
name = "lr {place}"
set = {{ optimizer = {{ use = "adam", lr = {lr} }} }}
"""


def make_store(folder: Path, variants: int, seeds: int, epochs: int) -> None:
    """Write a study with so many variants, the baseline among them, and a finished run for each of its seeds."""
    text = HEAD.format(seeds=seeds, epochs=epochs)
    text += "".join(VARIANT.format(place=place, lr=1e-3 + place * 1e-5) for place in range(1, variants))
    file = folder / "many.toml"
    file.write_text(text, encoding="utf-8")
    study = open_study(Options(file, folder / "ablate-store", data_dir()))
    make_writable(study)
    record(study)
    draw = random.Random(0)  # noqa: S311  # for numbers that nobody keeps secret
    environment = {"device": "cpu", "device_name": "synthetic", "threads": 1, "python": "3", "versions": {"torch": "2"}}
    for spec in study.specs:
        top = draw.gauss(0.9, 0.02)
        lines = []
        for epoch in range(1, epochs + 1):
            accuracy = min(1.0, top * (1 - math.exp(-epoch / 3)) + draw.gauss(0, 0.01))
            loss = 2.3 * math.exp(-epoch / 4) + draw.uniform(0.1, 0.2)
            metrics = {"train/loss": loss, "validation/loss": 1.1 * loss, "validation/accuracy": accuracy}
            metrics |= {"test/loss": 1.2 * loss, "test/accuracy": accuracy - 0.01}
            lines.append({"epoch": epoch, "lr": 1e-3, **metrics, "seconds": 1.0, "images_per_second": 1000.0})
        folder_of_run = study.home.writer(spec.key)
        about = {"key": spec.key, "variant": spec.variant, "seed": spec.seed, "identity": spec.identity}
        folder_of_run.begin({**about, "environment": environment}, lines)
        digest = f"{draw.getrandbits(128):032x}"
        costs = {"parameters": 30_000, "dead_weights": 0, "weights": digest, "seconds": 1.0 * epochs}
        folder_of_run.commit_result({**metrics, "epochs": epochs, **costs})


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", type=int, nargs="+", default=[25, 50, 100, 200])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the seconds to this file too")
    args = parser.parse_args()
    print(peers.versions())
    print(f"{'variants':>8}{'runs':>8}{'seconds':>10}   (fastest to slowest of {args.rounds})")
    found = {}
    for variants in args.variants:
        with tempfile.TemporaryDirectory() as folder:
            make_store(Path(folder), variants, args.seeds, args.epochs)
            times = []
            for _ in range(args.rounds + 1):
                began = time.perf_counter()
                subprocess.run([sys.executable, "-m", "ablate", "report"], check=True, capture_output=True, cwd=folder)
                times.append(time.perf_counter() - began)
            times = times[1:]  # the first one also compiles, and fills the caches of the system
        found[variants] = statistics.median(times)
        print(
            f"{variants:>8}{variants * args.seeds:>8}{found[variants]:>10.2f}   ({min(times):.2f} to {max(times):.2f})"
        )
    if args.json:
        args.json.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
