"""Kill one tuning's driver again and again, then let it finish, and show that no trial is lost, made twice or changed.

    python benchmarks/tune_faults.py --kills 20 --trials 30

Two variants of a tiny study on real digits are tuned by `ablate tune` itself, which gets SIGKILL at random moments:
some while it starts, most while trials are under way. Then the same command runs to its end, and every trial is held
against the runs in the store. Needs Linux: processes are found in /proc by a mark in their environment. Exit code 1 if
a trial is missing, told twice, changed, still running, or if the best is not what the runs say.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faults
import peers

from ablate.store.store import Store
from ablate.tune.records import load_tunings
from ablate.tune.storage import open_storage

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

PATIENCE_SECONDS = 600.0
WHILE_STARTING = 4
"""One kill in so many comes before any trial."""

STUDY = """
[study]
name = "tune-faults"
seeds = 1
checkpoint_seconds = 0.5
[baseline]
epochs = 6
batch_size = 8
dataset = { use = "digits", train = 500, validation = 200 }
model = { use = "simple-cnn", width = 4, hidden = 16 }
optimizer = { use = "adam", lr = 1e-3 }
[[variant]]
name = "batch norm"
set = { model = { use = "enhanced-cnn", width = 4, hidden = 16, dropout = 0.1 } }
"""


@dataclass
class Suite:
    """One tuning that is killed: what was told of each trial, and what must not be."""

    folder: Path
    trials: int
    jobs: int
    draw: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    known: dict[tuple[str, int], Any] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(
        default_factory=lambda: {
            "trials missing or too many": [],
            "trials told twice": [],
            "trials changed after they ended": [],
            "trials still running": [],
            "trials that differ from their run": [],
            "a best that its history does not say": [],
            "processes left": [],
            "odd endings of the command": [],
        }
    )
    drivers: list[faults.Driver] = field(default_factory=list)

    @property
    def store(self) -> Store:
        """Return the one store."""
        return Store(self.folder / "store")

    def start(self) -> faults.Driver:
        """Start the command."""
        number = len(self.drivers) + 1
        output, mark = self.folder / f"{number}.txt", f"{self.folder}#{number}"
        command = [sys.executable, "-m", "ablate", "tune", str(self.folder / "study.toml")]
        command += ["--trials", str(self.trials), "--jobs", str(self.jobs), "--device", "cpu"]
        command += ["--store", str(self.store.root)]
        with output.open("wb") as file:
            popen = subprocess.Popen(  # noqa: S603  # the command is ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=self.folder,
                env={**os.environ, faults.MARK: mark},
                start_new_session=True,
            )
        self.drivers.append(faults.Driver(popen, mark, output))
        return self.drivers[-1]

    def kill_one(self) -> bool:
        """Start the command and kill it at a random moment; tell whether it was still there."""
        driver = self.start()
        kind = "while it starts" if len(self.drivers) % WHILE_STARTING == 0 else "while trials are made"
        until = time.monotonic() + PATIENCE_SECONDS
        while kind != "while it starts" and "trials each" not in driver.output.read_text():
            if driver.popen.poll() is not None or time.monotonic() > until:
                break
            time.sleep(0.02)
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.popen.wait(self.draw.uniform(0, 2 if kind == "while it starts" else 6))
        alive = driver.popen.poll() is None
        if alive:
            driver.popen.kill()
            driver.popen.wait()
            self.kills[kind] += 1
        self.look(driver, 0 if not alive else None)
        return alive

    def finish(self) -> None:
        """Let the command run to its end."""
        driver = self.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.popen.wait(PATIENCE_SECONDS)
        if driver.popen.poll() is None:
            driver.popen.kill()
            driver.popen.wait()
        self.look(driver, 0)
        self.check()

    def look(self, driver: faults.Driver, code: int | None) -> None:
        """Take down what an ended driver said and left, and whether a trial that had ended has changed."""
        said = driver.output.read_text()
        self.told.update(re.findall(r"^\[\d+/\d+\] \w+ +(.+, trial \d+): ", said, re.MULTILINE))
        if (code is not None and driver.popen.returncode != code) or "Traceback" in said or "error: " in said:
            self.wrong["odd endings of the command"].append(f"{driver.output}: exit code {driver.popen.returncode}")
        until = time.monotonic() + faults.ORPHAN_SECONDS
        while (left := driver.processes()) and time.monotonic() < until:
            time.sleep(0.05)
        self.wrong["processes left"] += [f"process {pid} of {driver.output}" for pid in left]
        for name, trials in self.stored().items():
            for trial in trials:
                if trial.state.is_finished():
                    now = (trial.state, trial.values, trial.params, trial.datetime_complete)
                    if self.known.setdefault((name, trial.number), now) != now:
                        self.wrong["trials changed after they ended"].append(f"{name}, trial {trial.number}")

    def stored(self) -> dict[str, list[FrozenTrial]]:
        """Return all trials as Optuna keeps them, by the title of their study."""
        if not (self.store.root / "tuning").exists():
            return {}
        storage = open_storage(self.store)
        return {s.study_name: storage.get_all_trials(s._study_id) for s in storage.get_all_studies()}  # noqa: SLF001

    def check(self) -> None:
        """Hold the trials against what there should be, and against their runs."""
        self.wrong["trials told twice"] += [name for name, times in self.told.items() if times > 1]
        stored = self.stored()
        if len(stored) != 2:
            self.wrong["trials missing or too many"].append(f"{len(stored)} variants")
        for name, trials in stored.items():
            if [trial.number for trial in trials] != list(range(self.trials)):
                self.wrong["trials missing or too many"].append(f"{name}: {len(trials)}")
            running = [trial for trial in trials if not trial.state.is_finished()]
            self.wrong["trials still running"] += [f"{name}, trial {trial.number}" for trial in running]
        for tuning in load_tunings(self.store, "tune-faults"):
            values = {}
            for trial in tuning.trials:
                run = self.store.run(trial.key)
                result = run.result()
                curve = tuple(record["validation/accuracy"] for record in run.history())
                same = trial.curve == curve and (trial.state == "done") == (result is not None)
                if result is not None:
                    values[trial.number] = result["validation/accuracy"]
                    same = same and trial.values == (values[trial.number],)
                if not same:
                    self.wrong["trials that differ from their run"].append(f"{tuning.variant}, trial {trial.number}")
            best = max(values, key=lambda number: (values[number], -number))
            if tuning.best is None or (tuning.best.number, tuning.best.values) != (best, (values[best],)):
                self.wrong["a best that its history does not say"].append(f"{tuning.variant}: trial {best}")

    def end(self) -> None:
        """End every process that is still there."""
        for driver in self.drivers:
            for pid in driver.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
            driver.popen.wait()


def table(suite: Suite, seconds: float) -> str:
    """Write the table, and under it what should not be there."""
    kinds = "; ".join(f"{kind} {count}" for kind, count in sorted(suite.kills.items()))
    states = Counter(t.state for one in load_tunings(suite.store, "tune-faults") for t in one.trials)
    rows = [
        ("kills", f"{suite.kills.total()}  ({kinds})"),
        ("trials", f"{states.total()} of 2 x {suite.trials}  ({', '.join(f'{s} {n}' for s, n in states.items())})"),
        *((what, str(len(notes))) for what, notes in suite.wrong.items()),
        ("wall time", f"{seconds:.0f} s"),
        ("versions", peers.versions()),
    ]
    notes = [f"{what}: {note}" for what, found in suite.wrong.items() for note in found]
    return "\n".join([*(f"{name:<40}{value}" for name, value in rows), *notes])


def main() -> int:
    """Run the suite and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=30, help="of each of the two variants")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--seed", type=int, default=0, help="of when it is killed")
    parser.add_argument("--workdir", type=Path, help="a folder to make and keep; else a temporary one")
    args = parser.parse_args()
    began = time.monotonic()
    if args.workdir:
        args.workdir.mkdir(parents=True)
    folder = (args.workdir or Path(tempfile.mkdtemp(prefix="ablate-tune-faults-"))).resolve()
    (folder / "study.toml").write_text(STUDY)
    suite = Suite(folder, args.trials, args.jobs, random.Random(args.seed))  # noqa: S311  # nothing secret
    try:
        while suite.kills.total() < args.kills and suite.kill_one():
            pass  # it ends unharmed once all trials are made
        suite.finish()
    finally:
        suite.end()
    print(table(suite, time.monotonic() - began))
    wrong = any(suite.wrong.values())
    if wrong or args.workdir:
        print(f"kept: {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
