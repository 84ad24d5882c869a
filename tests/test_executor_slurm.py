"""Runs on a real Slurm, in a network namespace of its own: the contract of executors, and what is Slurm's alone."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

pytest.importorskip("submitit", reason="submitit is not installed: pip install 'ablate-studies[slurm]'")

from ablate.commands.run import run_study
from ablate.commands.tune import TuneOptions, tune_study
from ablate.errors import InputError, StoreError
from ablate.execute.attempts import Attempts
from ablate.execute.builtin import slurm_executor
from ablate.execute.inline import Inline
from ablate.execute.jobs import EpochDone, Event, Finished, Started, Stopped, WorkerDied
from ablate.execute.local import LocalProcesses
from ablate.execute.packing import Packing
from ablate.execute.placement import Resources
from ablate.execute.slurm_sender import SlurmSender
from ablate.launch.make import RunOptions
from ablate.store.documents import read_document
from ablate.store.store import Store
from ablate.testing.executor import Bench, ProcessExecutorContract
from tests.clusters import Listening, digits, maker, parents, weights
from tests.slurm import Slurm, slurm
from tests.support import options as options_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ablate.execute.jobs import Executor, Job


PAUSES = '''
import time
from ablate import augmentation


@augmentation("pauses")
def pauses(*, seconds: float = 0.05):
    """Wait with each batch: a run that takes a while, and no core."""

    def transform(images, generator):
        time.sleep(seconds)
        return images

    return transform
'''


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[Slurm]:
    """The Slurm that all tests here share; its commands come first in PATH."""
    with slurm() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{running.bin}{os.pathsep}{os.environ['PATH']}")
        yield running


@pytest.fixture
def bench(folder: Path) -> Bench:
    return Bench(folder, "cpu")


def made(runs: int, at_a_time: int, stop_before: int = 90, **options: str | int) -> Executor:
    """Return an executor on the cluster."""
    executor = slurm_executor(stop_before=stop_before, options=options)
    executor.check(Resources(runs, "cpu", at_a_time))
    return executor


def process_of(job: Job) -> int:
    """Return the process that makes a run."""
    return int((read_document(job.store / "runs" / job.spec.key / "owner.json") or {})["pid"])


def job_of(process: int) -> str:
    """Return the Slurm job that a process belongs to, as scancel knows it."""
    lines = Path(f"/proc/{process}/environ").read_text().split("\0")
    set_ = dict(line.partition("=")[::2] for line in lines)
    if "SLURM_ARRAY_JOB_ID" in set_:
        return f"{set_['SLURM_ARRAY_JOB_ID']}_{set_['SLURM_ARRAY_TASK_ID']}"
    return set_["SLURM_JOB_ID"]


def leader_of(process: int) -> int:
    """Return the process that Slurm started, above one that makes a run."""
    return next(one for one in parents(process) if b"_submit" in Path(f"/proc/{one}/cmdline").read_bytes())


def left(cluster: Slurm) -> list[str]:
    """Return the jobs that are still in the queue, once those that end have had a moment."""
    until = time.monotonic() + 20
    while (jobs := cluster.jobs("PENDING", "RUNNING", "COMPLETING")) and time.monotonic() < until:
        time.sleep(0.2)
    return jobs


@pytest.mark.slow
def test_runs_that_lose_their_jobs_to_scancel_and_to_kill_are_made_again_with_the_same_bits(
    cluster: Slurm, bench: Bench
) -> None:
    asleep = bench.folder / "asleep"
    sleeping = bench.misbehaving("sleep in a run", once=str(asleep))
    (bench.folder / "plugins" / "pauses.py").write_text(PAUSES)
    cancelled = bench.jobs("baseline.epochs=40", "baseline.augmentation=[{ use = 'pauses' }]")[0]
    events: list[Event] = []
    done: set[str] = set()

    def on_event(event: Event) -> None:
        events.append(event)
        if asleep.exists() and "kill" not in done:
            done.add("kill")
            os.kill(leader_of(process_of(sleeping)), signal.SIGKILL)
        if isinstance(event, EpochDone) and event.spec == cancelled.spec and "scancel" not in done:
            done.add("scancel")
            cluster.ask("scancel", job_of(process_of(cancelled)))

    made(2, 2).run([cancelled, sleeping], on_event)
    died = {event.spec.key: event for event in events if isinstance(event, WorkerDied)}
    assert "Slurm asked its job to end" in died[cancelled.spec.key].reason
    assert died[cancelled.spec.key].tries_left == 3, "a run that got further pays with a try for a lost place"
    assert "ended as FAILED" in died[sleeping.spec.key].reason
    assert died[sleeping.spec.key].tries_left == 2
    resumed = [event.done for event in events if isinstance(event, Started) and event.spec == cancelled.spec]
    assert resumed[0] == 0 < resumed[1]
    finished = {event.spec.key: event.result["weights"] for event in events if isinstance(event, Finished)}
    whole = bench.jobs(store="whole")[0].store
    events.clear()
    Inline().run([replace(job, store=whole) for job in (cancelled, sleeping)], events.append)
    assert finished == {event.spec.key: event.result["weights"] for event in events if isinstance(event, Finished)}
    assert len(finished) == 2
    assert not left(cluster)
    assert not list(cancelled.store.glob(".*")), "what the driver needed is left in the store"


@pytest.mark.long
@pytest.mark.timeout(1800)
class TestSlurm(ProcessExecutorContract):
    at_a_time = 1
    epochs_until_heard = 400
    options: ClassVar[tuple[str, ...]] = ("--executor", "slurm", "--slurm", "partition=main,time=00:30:00")

    def executor(self) -> Executor:
        return made(4, self.at_a_time)

    def impossible(self) -> tuple[Executor, Resources]:
        return slurm_executor(cpus_per_run=1000), Resources(4, "cpu")

    def test_what_a_run_prints_goes_into_its_folder_and_not_to_the_driver(
        self, bench: Bench, capfd: pytest.CaptureFixture[str]
    ) -> None:
        job = bench.misbehaving("shout")
        self.run([job])
        assert capfd.readouterr() == ("", "")
        printed = (job.store / "runs" / job.spec.key / "output.log").read_bytes()
        assert printed.startswith(b"--- ")
        assert bytes(range(256)) in printed

    def test_attempts_that_wait_in_the_queue_are_taken_out_when_all_are_to_stop(
        self, cluster: Slurm, bench: Bench
    ) -> None:
        events: list[Event] = []
        jobs = [job for epochs in (100000, 100001) for job in bench.jobs(f"baseline.epochs={epochs}")]
        made(8, 8).run(jobs, events.append, lambda: any(isinstance(e, EpochDone) for e in events))
        started = {event.spec.key for event in events if isinstance(event, Started)}
        waited = {event.spec.key for event in events if isinstance(event, Stopped) and not event.saved}
        assert len(waited) >= 4
        assert not started & waited
        assert all(Store(job.store).run(job.spec.key).failure() is None for job in jobs)
        assert not left(cluster)

    def test_a_study_is_tuned_with_optuna_on_the_driver_alone(self, study: Path) -> None:
        how = TuneOptions(trials=3, jobs=2)
        assert tune_study(options_of(study, only=("baseline",)), how, slurm_executor(), json=True) == 0
        trials = json.loads((options_of(study).home.tuning_folder / "tiny.json").read_text())["variants"][0]["trials"]
        assert [trial["state"] for trial in trials] == ["done"] * 3


@pytest.mark.long
@pytest.mark.parametrize(
    ("how", "why"), [("time limit", "its time limit in Slurm was near"), ("preempted", "Slurm asked its job to end")]
)
def test_a_run_whose_place_is_taken_saves_its_state_and_goes_on_without_losing_a_try(
    cluster: Slurm, bench: Bench, how: str, why: str
) -> None:
    job = bench.jobs("baseline.epochs=100000")[0]
    events: list[Event] = []

    def on_event(event: Event) -> bool:
        events.append(event)
        epochs = sum(isinstance(one, EpochDone) for one in events)
        if how == "preempted" and isinstance(event, EpochDone) and epochs == 1:
            cluster.ask("sbatch", "--partition=urgent", "--cpus-per-task=4", "--wrap=true", "--output=/dev/null")
        return sum(isinstance(one, Started) for one in events) == 2

    executor = made(1, 1, stop_before=30, time=1) if how == "time limit" else made(1, 1)
    executor.run([job], on_event)
    (died,) = [event for event in events if isinstance(event, WorkerDied)]
    assert died == WorkerDied(job.spec, why, tries_left=3)
    saved = sum(isinstance(event, EpochDone) for event in events[: events.index(died)])
    assert [event.done for event in events if isinstance(event, Started)] == [0, saved]
    assert events[-1] == Stopped(job.spec)


@pytest.mark.long
def test_what_slurm_takes_and_can_never_start_ends_the_command_with_one_error(cluster: Slurm, bench: Bench) -> None:
    with pytest.raises(InputError, match=r"time=02:00:00 is longer than partition main \(1:00:00\) allows"):
        made(1, 1, time="02:00:00")
    events: list[Event] = []
    sender = SlurmSender({"time": "02:00:00", "signal": "B:USR2@90"}, 1, 0)
    with pytest.raises(StoreError, match=r"never start job \d+: PartitionTimeLimit"):
        Attempts(sender, Packing(1), events.append).run(bench.jobs()[:1])
    assert not left(cluster)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_an_array_of_digits_loses_jobs_and_nothing_else(
    cluster: Slurm, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, here = folder / "there", folder / "here"
    lost: list[str] = []

    def lose(event: Event) -> None:
        process = maker(there / "runs" / event.spec.key) if isinstance(event, EpochDone) else None
        if process is None or len(lost) == 2 or event.spec.key in lost:
            return
        if lost:
            os.kill(leader_of(process), signal.SIGKILL)
        else:
            cluster.ask("scancel", job_of(process))
        lost.append(event.spec.key)

    makes = Listening(slurm_executor(max_parallel=3), also=lose)
    assert run_study(digits(there, seeds=(0,)), RunOptions(), makes) == 0
    died = {event.spec.key: event.tries_left for event in makes.events if isinstance(event, WorkerDied)}
    assert died == dict(zip(lost, (3, 2), strict=True))
    finished = [event.spec.key for event in makes.events if isinstance(event, Finished)]
    assert len(finished) == len(set(finished)) == 5
    assert run_study(digits(here, seeds=(0,)), RunOptions(jobs=os.cpu_count()), LocalProcesses()) == 0
    assert weights(there) == weights(here)
    capsys.readouterr()
    assert not left(cluster)
