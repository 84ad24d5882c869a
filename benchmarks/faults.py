"""Kill real studies at random moments, again and again, and show that nothing is lost and no bit differs.

    python benchmarks/faults.py --kills 200

A small study on real digits (and one on CIFAR-100, where it is) is made once unharmed. Then the same study is
made in new stores while its drivers and workers get SIGKILL and SIGTERM, at times with two drivers at once, and
every finished store is held against the first. Needs Linux: processes are found in /proc by a mark in their
environment. Exit code 1 if anything was lost, made twice, different, left over or unreadable.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.store.documents import read_document
from ablate.store.store import Store

if TYPE_CHECKING:
    from ablate.store.run_folder import RunFolder

MARK = "ABLATE_FAULTS"
ORPHAN_SECONDS = 10.0
"""What a driver started has to end this soon after it."""
PATIENCE_SECONDS = 300.0
STUCK = 12
"""So many drivers in a row that end unharmed, with the study not done, are one too many."""

KINDS = {"worker": 35, "driver": 30, "both": 20, "SIGTERM": 15}
"""What is killed, and how often of a hundred."""
TWO_DRIVERS = 0.25

TIMES = {"finished", "seconds", "images_per_second", "evaluation_seconds"}
TIMES |= {"seconds_per_image", "evaluation_seconds_per_image", "history"}
"""What may differ between two makings of a run; `history` is a digest of its epochs with their times."""

DIGITS = """
[study]
name = "faults-digits"
seeds = {seeds}
checkpoint_seconds = 0.5
[baseline]
epochs = {epochs}
batch_size = 8
dataset = {{ use = "digits", validation = 200 }}
model = {{ use = "simple-cnn", width = 8, hidden = 32 }}
optimizer = {{ use = "adam", lr = 1e-3 }}
[[variant]]
name = "dropout and batch norm"
set = {{ model = {{ use = "enhanced-cnn", width = 8, hidden = 32, dropout = 0.3 }} }}
[[variant]]
name = "crop and one-cycle"
set = {{ scheduler = {{ use = "one-cycle" }} }}
add = {{ augmentation = [{{ use = "random-crop", padding = 1 }}] }}
"""

CIFAR = """
[study]
name = "faults-cifar"
seeds = 1
checkpoint_seconds = 0.5
[baseline]
name = "photographs"
epochs = {epochs}
batch_size = 8
dataset = {{ use = "cifar100", train = 1000, test = 500 }}
model = {{ use = "simple-cnn", width = 8, hidden = 32 }}
optimizer = {{ use = "adam", lr = 1e-3 }}
[[variant]]
name = "photographs, flipped and cut"
add = {{ augmentation = [{{ use = "flip" }}, {{ use = "cutout", size = 8 }}] }}
"""


@dataclass
class Driver:
    """A command under way: its study, the mark that all its processes carry, and its output."""

    popen: subprocess.Popen[bytes]
    mark: str
    output: Path
    hurt: bool = False

    def processes(self) -> list[int]:
        """Return the living processes of this command, itself among them."""
        mark, found = f"{MARK}={self.mark}\0".encode(), []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):  # it ended just now, or is not ours
                if folder.name.isdigit() and mark in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
        return found

    def workers(self) -> list[int]:
        """Return its workers: the processes that have a session of their own."""
        found = []
        for pid in self.processes():
            with contextlib.suppress(OSError):
                if pid != self.popen.pid and os.getsid(pid) == pid:
                    found.append(pid)
        return found


@dataclass
class Tally:
    """What is counted. Everything in `wrong` has to stay at nothing."""

    kills: Counter[str] = field(default_factory=Counter)
    finished: int = 0
    stores: int = 0
    slowest_end: float = 0.0
    wrong: dict[str, list[str]] = field(
        default_factory=lambda: {
            "runs lost": [],
            "runs trained twice to the end": [],
            "results that differ in any bit": [],
            "orphans": [],
            "unreadable files": [],
            "files left over by finished runs": [],
            "odd endings of the command": [],
        }
    )

    def add(self, what: str, note: str) -> None:
        """Count something that must not be."""
        self.wrong[what].append(note)


class Suite:
    """Studies that are made in one store after another while their processes are killed."""

    def __init__(self, folder: Path, studies: list[Path], jobs: int, data_dir: Path | None, seed: int) -> None:
        self.folder, self._studies, self._jobs, self._data_dir = folder, studies, jobs, data_dir
        self._draw = random.Random(seed)  # noqa: S311  # no secrets here
        self._started = 0
        self.tally = Tally()
        self._drivers: list[Driver] = []
        self._wanted: dict[Path, dict[str, Any]] = {}
        self._open_store("unharmed")

    def unharmed(self) -> float:
        """Make every study once, keep what each run gave, and return about the seconds of a start and a run."""
        began = time.monotonic()
        for study in self._studies:
            before = {run.path for run in self._runs()}
            driver = self._start(study)
            if driver.popen.wait(PATIENCE_SECONDS) != 0:
                sys.exit(f"the unharmed study failed:\n{driver.output.read_text()}")
            self._wanted[study] = {run.path.name: bits(run) for run in self._runs() if run.path not in before}
        self._look()
        self._check()
        self.tally.finished = self.tally.stores = 0
        runs = sum(map(len, self._wanted.values()))
        return 2 + self._jobs * (time.monotonic() - began) / runs

    def harm(self, kills: int, longest: float, seconds: float) -> None:
        """Kill until all kills or seconds are used, then let the last store be finished."""
        self._open_store("killed-1")
        began = told = time.monotonic()
        unharmed = done = 0
        while done < kills and time.monotonic() - began < seconds:
            self._begin()
            self._wait(self._draw.uniform(0.2, longest))
            kind = self._kill()
            done, unharmed = done + bool(kind), 0 if kind else unharmed + 1
            if time.monotonic() - told > 5 and kind:
                told = time.monotonic()
                stored = self.tally.finished + sum(self._stored(study) for study in self._studies)
                print(f"kill {done} of {kills}: {kind}; {stored} runs, {told - began:.0f} s", file=sys.stderr)
            if not self._look_and_go_on(unharmed):
                return
        unharmed = 0
        while self._left() or self._drivers:
            self._begin()
            self._wait(PATIENCE_SECONDS)
            unharmed += 1
            if not self._look_and_go_on(unharmed, last=True):
                return

    def _look_and_go_on(self, unharmed: int, last: bool = False) -> bool:
        """Look at what ended; close a store that is done and open the next. False if no end is in sight."""
        self._look()
        if unharmed > STUCK:
            self._check()
            return False
        if not self._left():
            self._wait(PATIENCE_SECONDS)
            self._look()
            self._check()
            if not last:
                self._open_store(f"killed-{self.tally.stores + 1}")
        return True

    def end(self) -> None:
        """End every process that is still there."""
        for driver in self._drivers:
            for pid in driver.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            driver.popen.wait()

    def _open_store(self, name: str) -> None:
        self._store = Store(self.folder / name)
        self._results: dict[str, tuple[int, int]] = {}
        self._trained: Counter[str] = Counter()

    def _runs(self) -> list[RunFolder]:
        return [self._store.run(path.name) for path in sorted((self._store.root / "runs").glob("*"))]

    def _stored(self, study: Path) -> int:
        return sum(self._store.run(key).result() is not None for key in self._wanted[study])

    def _left(self) -> list[Path]:
        """Return the studies that are not done."""
        return [study for study in self._studies if self._stored(study) < len(self._wanted[study])]

    def _begin(self) -> None:
        """Start a driver where none lives, now and then two of the same study."""
        left = self._left()
        if not self._drivers and left:
            study = self._draw.choice(left)
            for _ in range(1 + (self._draw.random() < TWO_DRIVERS)):
                self._drivers.append(self._start(study))

    def _start(self, study: Path) -> Driver:
        self._started += 1
        output = self.folder / "output" / f"{self._started}.txt"
        mark = f"{self.folder}#{self._started}"
        command = [sys.executable, "-m", "ablate", "run", str(study), "--store", str(self._store.root)]
        command += ["--jobs", str(self._jobs), "--device", "cpu", "--retry-failed"]
        command += ["--data-dir", str(self._data_dir)] if self._data_dir else []
        with output.open("wb") as file:
            popen = subprocess.Popen(  # noqa: S603  # the command is ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=self.folder,
                env={**os.environ, MARK: mark},
                start_new_session=True,
            )
        return Driver(popen, mark, output)

    def _wait(self, seconds: float) -> None:
        """Wait, or until no driver lives."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and any(driver.popen.poll() is None for driver in self._drivers):
            time.sleep(0.02)

    def _kill(self) -> str:
        """Kill something, and return what, or nothing where there was nothing to kill."""
        alive = [driver for driver in self._drivers if driver.popen.poll() is None]
        if not alive:
            return ""
        driver = self._draw.choice(alive)
        kind = self._draw.choices(list(KINDS), list(KINDS.values()))[0]
        workers = driver.workers()
        if not workers and kind in ("worker", "both"):
            kind = "driver"
        if kind in ("worker", "both"):
            with contextlib.suppress(ProcessLookupError):  # it ended in the moment between
                os.kill(self._draw.choice(workers), signal.SIGKILL)
        if kind != "worker":
            driver.popen.send_signal(signal.SIGTERM if kind == "SIGTERM" else signal.SIGKILL)
            self._await_end(driver)
        for one in alive:  # a run that another command's worker lost may be told by this one
            one.hurt = True
        self.tally.kills[kind + (", of two commands" if len(alive) > 1 else "")] += 1
        return kind

    def _await_end(self, driver: Driver) -> None:
        """Wait until a driver that got a signal has ended."""
        try:
            driver.popen.wait(60)
        except subprocess.TimeoutExpired:
            self.tally.add("odd endings of the command", f"{driver.output}: not within 60 s after a signal")
            driver.popen.kill()
            driver.popen.wait()

    def _look(self) -> None:
        """See which results are new, that none was written again, and what the drivers that ended left and said."""
        for keys in self._wanted.values():
            for key in keys:
                self._look_at(key)
        for driver in [driver for driver in self._drivers if driver.popen.poll() is not None]:
            self._drivers.remove(driver)
            self._count_orphans(driver)
            self._hear(driver)

    def _look_at(self, key: str) -> None:
        folder = self._store.run(key)
        if folder.result() is not None:
            stat = (folder.path / "result.json").stat()
            found = (stat.st_ino, stat.st_mtime_ns)
            if self._results.setdefault(key, found) != found:
                self.tally.add("runs trained twice to the end", f"{folder.path}: result.json was written again")
                self._results[key] = found

    def _count_orphans(self, driver: Driver) -> None:
        began = time.monotonic()
        while (left := driver.processes()) and time.monotonic() - began < ORPHAN_SECONDS:
            time.sleep(0.05)
        self.tally.slowest_end = max(self.tally.slowest_end, time.monotonic() - began)
        for pid in left:
            self.tally.add("orphans", f"process {pid} of {driver.output}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _hear(self, driver: Driver) -> None:
        """Count what a driver that ended says it trained from a start to the end, and note how it ended."""
        said = driver.output.read_text()
        began = set()
        for line in said.splitlines():
            if found := re.match(r"start   (.+, seed \d+): ", line):
                began.add(found[1])
            elif found := re.match(r"(?:lost|busy|kept) +(.+, seed \d+): ", line):
                began.discard(found[1])
            elif (found := re.match(r"\[\d+/\d+\] done    (.+, seed \d+): ", line)) and found[1] in began:
                self._trained[found[1]] += 1
                if self._trained[found[1]] > 1:
                    self.tally.add("runs trained twice to the end", f"{found[1]}: {driver.output}")
        code = driver.popen.returncode
        if code not in ((0, 1, 2, 143, -signal.SIGKILL, -signal.SIGTERM) if driver.hurt else (0,)):
            self.tally.add("odd endings of the command", f"{driver.output}: exit code {code}")
        if "Traceback" in said:
            self.tally.add("odd endings of the command", f"{driver.output}: a traceback")

    def _check(self) -> None:
        """Hold a finished store against the unharmed one."""
        self.tally.stores += 1
        for key, wanted in ((key, w) for keys in self._wanted.values() for key, w in keys.items()):
            folder = self._store.run(key)
            if folder.result() is None:
                self.tally.add("runs lost", str(folder.path))
                continue
            self.tally.finished += 1
            if bits(folder) != wanted:
                self.tally.add("results that differ in any bit", str(folder.path))
            for file in folder.path.iterdir():
                if file.name.startswith(".") or file == folder.checkpoint:
                    self.tally.add("files left over by finished runs", str(file))
        for file in sorted(self._store.root.rglob("*.json*")):
            if not readable(file):
                self.tally.add("unreadable files", str(file))


def bits(folder: RunFolder) -> Any:
    """Return all that a run gave except for times; its epochs must be 1, 2, ... to the last."""
    result, history = folder.result() or {}, folder.history()
    lines = (folder.path / "history.jsonl").read_text(encoding="utf-8").splitlines()
    whole = len(lines) == len(history) == result.get("epochs")
    return whole, [{k: v for k, v in part.items() if k not in TIMES} for part in (result, *history)]


def readable(file: Path) -> bool:
    """Tell whether a file of a store can be read; what was moved aside as damaged could not."""
    if file.name.startswith("."):
        return True  # half written when its process was killed; counted where it should not be
    if file.suffix == ".jsonl":
        try:
            return all(isinstance(json.loads(line), dict) for line in file.read_text(encoding="utf-8").splitlines())
        except ValueError:
            return False
    return read_document(file) is not None and not file.name.endswith(".damaged.json")


def write_studies(folder: Path, epochs: int, seeds: int, data_dir: Path | None) -> list[Path]:
    """Write the studies' files: digits, and photographs where they are."""
    (folder / "studies").mkdir()
    (folder / "output").mkdir()
    texts = {"digits": DIGITS}
    if data_dir and (data_dir / "cifar-100-python" / "train").is_file():
        texts["cifar"] = CIFAR
    for name, text in texts.items():
        (folder / "studies" / f"{name}.toml").write_text(text.format(epochs=epochs, seeds=seeds))
    return [folder / "studies" / f"{name}.toml" for name in texts]


def table(tally: Tally, studies: list[Path], seconds: float) -> str:
    """Write the table, and under it what should not be there."""
    kinds = "; ".join(f"{kind} {count}" for kind, count in sorted(tally.kills.items()))
    rows = [
        ("kills", f"{tally.kills.total()}  ({kinds})"),
        ("runs finished", f"{tally.finished}, in {tally.stores} stores  ({', '.join(s.stem for s in studies)})"),
        *((what, str(len(notes))) for what, notes in tally.wrong.items()),
        ("slowest end after its driver", f"{tally.slowest_end:.1f} s"),
        ("wall time", f"{seconds:.0f} s"),
        ("versions", f"ablate {version('ablate-studies')}, torch {version('torch')}, {platform.python_version()}"),
    ]
    notes = [f"{what}: {note}" for what, found in tally.wrong.items() for note in found]
    return "\n".join([*(f"{name:<34}{value}" for name, value in rows), *notes])


def main() -> int:
    """Run the suite and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, of each command")
    parser.add_argument("--seed", type=int, default=0, help="of when and what is killed")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no more kills after so many")
    parser.add_argument("--epochs", type=int, default=4, help="of each run")
    parser.add_argument("--seeds", type=int, default=2, help="of the study on digits")
    parser.add_argument("--workdir", type=Path, help="a folder to make and keep; else a temporary one")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("ABLATE_DATA_DIR"))
    args = parser.parse_args()
    began = time.monotonic()
    if args.workdir:
        args.workdir.mkdir(parents=True)
    folder = (args.workdir or Path(tempfile.mkdtemp(prefix="ablate-faults-"))).resolve()
    data_dir = args.data_dir.resolve() if args.data_dir else None
    studies = write_studies(folder, args.epochs, args.seeds, data_dir)
    suite = Suite(folder, studies, args.jobs, data_dir, args.seed)
    try:
        suite.harm(args.kills, suite.unharmed(), args.seconds)
    finally:
        suite.end()
    print(table(suite.tally, studies, time.monotonic() - began))
    wrong = any(suite.tally.wrong.values())
    if not wrong and not args.workdir:
        shutil.rmtree(folder)
    else:
        print(f"kept: {folder}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
