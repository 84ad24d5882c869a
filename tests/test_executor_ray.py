"""Runs on Ray, started here with two cores: the contract of executors, and what is Ray's alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, ClassVar

import pytest

from ablate.commands.tune import TuneOptions, tune_study
from ablate.errors import InputError
from ablate.execute.jobs import EpochDone, Event, Started, Stopped
from ablate.execute.placement import Resources
from ablate.host import cores
from ablate.store.store import Store
from ablate.testing.executor import Bench, ProcessExecutorContract
from tests.support import options as options_of

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ablate-studies[ray]'")

from ablate.execute.ray_cluster import Cluster, quiet
from ablate.execute.ray_executor import RayExecutor, RayOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ablate.execute.jobs import Executor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),  # two workers would start a Ray each
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[Cluster]:
    """Ray on this machine, which all tests here share."""
    started = Cluster("local")
    with quiet():
        started.join()
        yield started
        started.leave()


class TestRay(ProcessExecutorContract):
    at_a_time = 1
    epochs_until_heard = 200
    options: ClassVar[tuple[str, ...]] = ("--executor", "ray", "--with", "address=local")

    def executor(self) -> Executor:
        made = RayExecutor(RayOptions())
        made.check(Resources(4, "cpu", self.at_a_time))
        return made

    def impossible(self) -> tuple[Executor, Resources]:
        return RayExecutor(RayOptions(cpus_per_run=1000)), Resources(4, "cpu")

    def test_what_a_run_prints_goes_into_its_folder_and_not_to_the_driver(
        self, bench: Bench, capfd: pytest.CaptureFixture[str]
    ) -> None:
        job = bench.misbehaving("shout")
        self.run([job])
        assert capfd.readouterr() == ("", "")
        printed = (job.store / "runs" / job.spec.key / "output.log").read_bytes()
        assert printed.startswith(b"--- ")
        assert bytes(range(256)) in printed

    def test_attempts_that_wait_in_the_queue_are_taken_out_when_all_are_to_stop(self, bench: Bench) -> None:
        executor, events = self.executor(), list[Event]()
        executor.check(Resources(8, "cpu", jobs=cores() + 2))
        jobs = [*bench.jobs("baseline.epochs=100000"), *bench.jobs("baseline.epochs=100001")]
        executor.run(jobs, events.append, lambda: any(isinstance(e, EpochDone) for e in events))
        started = {event.spec.key for event in events if isinstance(event, Started)}
        waited = {event.spec.key for event in events if isinstance(event, Stopped) and not event.saved}
        assert waited
        assert not started & waited
        assert all(Store(job.store).run(job.spec.key).failure() is None for job in jobs)

    def test_what_no_node_has_is_refused_with_what_nodes_have(self) -> None:
        with pytest.raises(InputError, match=r"needs 1 CPU, 1 tpu, .*wait for ever\n  .*: \d+ CPU, 0 GPU"):
            RayExecutor(RayOptions(resources={"tpu": 1})).check(Resources(4, "cpu"))
        grown = RayExecutor(RayOptions(resources={"tpu": 1}, grows=True)).check(Resources(4, "cpu"))
        assert grown.jobs == 1

    def test_a_study_is_tuned_with_optuna_on_the_driver_alone(self, study: Path) -> None:
        how = TuneOptions(trials=3, jobs=2)
        assert tune_study(options_of(study, only=("baseline",)), how, RayExecutor(RayOptions()), json=True) == 0
        trials = json.loads((options_of(study).home.tuning_folder / "tiny.json").read_text())["variants"][0]["trials"]
        assert [trial["state"] for trial in trials] == ["done"] * 3


def test_ray_started_by_a_command_leaves_no_token_and_keeps_standard_output_clean(study: Path, tmp_path: Path) -> None:
    """Beside it runs another Ray, that of this module, which it has nothing to do with."""
    home = tmp_path / "home"
    command = [sys.executable, "-m", "ablate", "run", str(study), "--executor", "ray", "--json"]
    command += ["--seeds", "1", "--device", "cpu", "--set", "baseline.epochs=1", "--no-report"]
    environment = {**os.environ, "HOME": str(home)}
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ADDRESS"):
        environment.pop(name, None)
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [run["state"] for run in json.loads(done.stdout)["runs"]] == ["stored", "stored"]
    assert "on Ray, started here" in done.stderr
    assert not (home / ".ray").exists()


def test_an_address_of_ray_client_is_refused_with_the_other_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(
        InputError, match=r"does not go through Ray Client\n.*HOST:PORT of its head.*\n  ray job submit"
    ):
        Cluster("ray://head:10001").join()
