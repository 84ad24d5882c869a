"""Two drivers on one real PostgreSQL, one of them killed; a database that goes away and comes back."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from ablate.store.store import Store
from ablate.tune.records import load_tunings
from ablate.tune.storage import open_storage

if TYPE_CHECKING:
    import optuna

pytestmark = pytest.mark.slow
TRIALS = 6
PATIENCE_SECONDS = 240.0
STUDY = """
[study]
name = "shared"
seeds = 1
[baseline]
epochs = 3
batch_size = 16
dataset = { use = "digits", train = 300, validation = 100 }
model = { use = "simple-cnn", width = 4, hidden = 8 }
optimizer = { use = "adam", lr = 1e-2 }
[[variant]]
name = "shifted"
add = { augmentation = [{ use = "random-crop", padding = 1 }] }
"""


def programs() -> Path | None:
    """The folder that has PostgreSQL's programs: Debian keeps them out of PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((f for f in folders if all((f / name).exists() for name in ("initdb", "pg_ctl", "postgres"))), None)


@dataclass
class Postgres:
    """A cluster of its own on the loopback, run by a user without privileges, which PostgreSQL insists on."""

    folder: Path
    programs: Path
    port: int
    user: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def call(self, name: str, *arguments: str) -> None:
        command = [str(self.programs / name), "-D", str(self.data), *arguments]
        log = self.folder / f"{name}.txt"
        with log.open("ab") as output:  # a pipe would be held open by the server
            done = subprocess.run(command, stdout=output, stderr=output, cwd=self.folder, timeout=60, **self.user)
        assert done.returncode == 0, log.read_text()

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k '' -c fsync=off"
        self.call("pg_ctl", "-w", "-l", str(self.folder / "server.txt"), "-o", options, "start")

    def stop(self) -> None:
        self.call("pg_ctl", "-w", "-m", "fast", "stop")

    def database(self, name: str) -> str:
        """The URL of a new, empty database."""
        import psycopg

        with psycopg.connect(host="127.0.0.1", port=self.port, user="ablate", dbname="postgres", autocommit=True) as to:
            to.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql://ablate@127.0.0.1:{self.port}/{name}"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    where = programs()
    if where is None:
        pytest.skip("there is no PostgreSQL here: apt-get install postgresql")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    folder = Path(tempfile.mkdtemp(prefix="ablate-postgres-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Postgres(folder, where, free.getsockname()[1])
    if os.getuid() == 0:
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        user = known.get("postgres") or known["nobody"]
        os.chown(folder, user.pw_uid, user.pw_gid)
        server.user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    try:
        server.call("initdb", "--username=ablate", "--auth=trust", "--encoding=UTF8", "--no-sync", "--locale=C")
        server.start()
        yield server
    finally:
        if (server.data / "postmaster.pid").exists():
            with contextlib.suppress(AssertionError):
                server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Command:
    """`ablate tune` under way, and what it said."""

    popen: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text()

    def told(self) -> list[str]:
        """The trials that it told the end of, by variant and number."""
        return re.findall(r"^\[\d+/\d+\] \w+ +(.+, trial \d+): ", self.said, re.MULTILINE)


Begin = Callable[[str, str], Command]


@pytest.fixture
def begin(folder: Path, write: Callable[[str, str], Path]) -> Iterator[Begin]:
    """Start a driver with a store on a storage; whatever still runs at the end is ended."""
    study = write("studies/shared.toml", STUDY)
    begun: list[Command] = []

    def start(store: str, url: str) -> Command:
        output = folder / f"output-{len(begun)}.txt"
        command = [sys.executable, "-m", "ablate", "tune", str(study), "--trials", str(TRIALS), "--storage", url]
        command += ["--store", store, "--jobs", "1", "--device", "cpu"]
        with output.open("wb") as file:
            popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=folder)
        begun.append(Command(popen, output))
        return begun[-1]

    yield start
    for one in begun:
        one.popen.kill()
        one.popen.wait()


def until(what: Callable[[], object], *commands: Command) -> None:
    """Wait until something is so; one of the commands has to be at work meanwhile."""
    began = time.monotonic()
    while not what():
        said = "\n".join(command.said for command in commands)
        assert any(command.popen.poll() is None for command in commands), said
        assert time.monotonic() - began < PATIENCE_SECONDS, said
        time.sleep(0.02)


def trials(url: str) -> dict[str, list[optuna.trial.FrozenTrial]]:
    """All trials in a database, by the title of their study."""
    storage = RDBStorage(url.replace("postgresql:", "postgresql+psycopg:"))
    found = {study.study_name: storage.get_all_trials(study._study_id) for study in storage.get_all_studies()}
    storage.engine.dispose()
    return found


def check(url: str, stores: list[Path], commands: list[Command]) -> None:
    """Hold what is in the database against what the stores have of the runs."""
    by_study = trials(url)
    assert len(by_study) == 2
    for found in by_study.values():
        assert [trial.number for trial in found] == list(range(TRIALS))
        assert {trial.state for trial in found} <= {TrialState.COMPLETE, TrialState.PRUNED}
    told = Counter(name for command in commands for name in command.told())
    assert told
    assert max(told.values()) == 1
    for tuning in load_tunings(Store(stores[-1]), "shared"):
        assert [trial.number for trial in tuning.trials] == list(range(TRIALS))
        best = {}
        for trial in tuning.trials:
            runs = [Store(store).run(trial.key) for store in stores]
            curves = [[record["validation/accuracy"] for record in run.history()] for run in runs]
            assert list(trial.curve) in curves
            if trial.state == "done":
                results = [run.result() for run in runs]
                assert trial.values[0] in [result["validation/accuracy"] for result in results if result]
                assert trial.values[0] == trial.curve[-1]
                best[trial.number] = trial.values[0]
        assert tuning.best is not None
        assert tuning.best.number == max(best, key=lambda number: (best[number], -number))


@pytest.mark.parametrize(
    "shared", [True, pytest.param(False, marks=pytest.mark.long)], ids=["one store", "a store each"]
)
def test_a_driver_goes_on_with_the_trials_of_one_that_was_killed(
    postgres: Postgres, begin: Begin, folder: Path, shared: bool
) -> None:
    url = postgres.database(f"killed{shared}")
    stores = [folder / "first", folder / ("first" if shared else "second")]
    killed, other = (begin(str(store), url) for store in stores)  # at once, and the database has no tables yet
    until(lambda: len(killed.told()) >= 2, killed, other)

    def under_way() -> bool:
        everything = [trial for found in trials(url).values() for trial in found]
        owners = [t.user_attrs.get("owner", {}) for t in everything if t.state == TrialState.RUNNING]
        return any(owner.get("pid") == killed.popen.pid for owner in owners)

    until(under_way, killed)
    killed.popen.send_signal(signal.SIGKILL)
    killed.popen.wait()
    assert other.popen.wait(PATIENCE_SECONDS) == 0, other.said
    check(url, stores, [killed, other])
    again = begin(str(stores[1]), url)
    assert again.popen.wait(PATIENCE_SECONDS) == 0, again.said
    assert "nothing to make" in again.said
    check(url, stores, [killed, other, again])


@pytest.mark.long
def test_a_database_that_goes_away_is_one_clear_error_and_the_same_command_goes_on(
    postgres: Postgres, begin: Begin, folder: Path
) -> None:
    url = postgres.database("gone")
    first = begin("store", url)
    until(lambda: len(first.told()) >= 3, first)
    postgres.stop()
    try:
        assert first.popen.wait(PATIENCE_SECONDS) == 1
    finally:
        postgres.start()
    assert "Traceback" not in first.said
    (error,) = re.findall(r"^error: .*$", first.said, re.MULTILINE)
    assert "the storage of trials failed" in error
    assert "run the same command again to continue" in first.said
    second = begin("store", url)
    assert second.popen.wait(PATIENCE_SECONDS) == 0, second.said
    check(url, [folder / "store"], [first, second])


def test_drivers_that_begin_at_once_make_the_tables_of_an_empty_database_together(postgres: Postgres) -> None:
    for number in range(3):
        url, together = postgres.database(f"empty{number}"), Barrier(4)

        def opened(_: int, url: str = url, together: Barrier = together) -> int:
            together.wait()
            storage = open_storage(Store(Path("none")), url)
            assert isinstance(storage, RDBStorage)
            found = len(storage.get_all_studies())
            storage.engine.dispose()
            return found

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(opened, range(4))) == [0, 0, 0, 0]


def test_a_database_that_is_not_there_is_an_error_before_any_trial(
    postgres: Postgres, begin: Begin, folder: Path
) -> None:
    found = begin("store", f"postgresql://ablate:secret@127.0.0.1:{postgres.port}/nowhere")
    assert found.popen.wait(PATIENCE_SECONDS) == 2
    assert "error: --storage postgresql" in found.said
    assert '"nowhere" does not exist' in found.said
    assert "secret" not in found.said
    assert "Traceback" not in found.said
    assert not list((folder / "store" / "runs").glob("*"))
