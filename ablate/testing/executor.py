"""The tests that every executor passes, for whoever writes one: inherit `ExecutorContract` and let pytest run it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from ..components.discover import discover
from ..errors import DeviceError, InputError, StoreError
from ..execute.jobs import (
    Busy,
    EpochDone,
    EpochProgress,
    Event,
    Executor,
    Failed,
    Finished,
    Job,
    Started,
    Stopped,
    WorkerDied,
    never,
)
from ..execute.placement import Resources
from ..store.store import Store
from ..study.plan import run_specs
from ..study.resolve import resolve_study
from ..study.spec import Limits, parts
from ..study.toml import Changes, read_study
from ..training.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..execute.jobs import Stopping

_PLUGIN = r'''
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from ablate import Source, Split, augmentation, dataset


@dataset("stripes")
def stripes(folder: Path, *, images: int = 64) -> Source:
    """Stripes, upright or lying, 8x8."""

    def load():
        draw = np.random.RandomState(0)
        labels = draw.randint(0, 2, images).astype(np.int64)
        lines = np.where(np.arange(8) % 4 < 2, 60, 190)
        pixels = np.where(labels[:, None, None] == 1, lines[:, None], lines[None, :])
        pixels = (pixels + draw.normal(0, 30, pixels.shape)).clip(0, 255).astype(np.uint8)[:, None]
        return {"train": Split(pixels, labels), "test": Split(pixels[:16], labels[:16])}

    return Source.of(load)


@augmentation("misbehaves")
def misbehaves(*, how: str, after: int = 2, once: str = ""):
    """Do something wrong after some batches; only where a file is missing, which is then there."""
    calls = []

    def transform(images, generator):
        calls.append(1)
        if how == "shape":
            return images[:, :, :4]
        if how != "sleep in a run" and len(calls) > after and not (once and Path(once).exists()):
            if once:
                Path(once).touch()
            if how == "raise":
                raise ValueError("no more")
            if how == "exit":
                os._exit(3)
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "segfault":
                ctypes.string_at(0)
            if how == "fork":
                child = os.fork()
                if not child:
                    time.sleep(300)
                Path(once).write_text(str(child))
                os._exit(4)
            if how == "sleep":
                time.sleep(300)
        if how == "sleep in a run" and once and not Path(once).exists():
            if any(Path(once).parent.glob("store/runs/*/history.jsonl")):  # no rehearsal
                Path(once).touch()
                time.sleep(300)
        if how == "shout":
            sys.stdout.write("\x1b]0;owned\x07\x1b[2J" + "x" * 10_000)
            os.write(1, bytes(range(256)))
            os.write(2, b"\xff\xfe" + b"\0" * 1000 + b"\x1b[31m\r\n")
        return images

    return transform
'''
_STUDY = """
[study]
name = "contract"
seeds = 2
[baseline]
epochs = 2
batch_size = 16
dataset = { use = "stripes", validation = 16 }
model = { use = "simple-cnn", width = 4, hidden = 8 }
optimizer = { use = "adam", lr = 1e-2 }
[[variant]]
name = "flipped"
add = { augmentation = [{ use = "flip" }] }
"""
_LONG = ("baseline.epochs=100000",)


@dataclass(frozen=True)
class Bench:
    """A tiny study in a folder, whose runs an executor is tried on."""

    folder: Path
    device: str

    def study(self) -> Path:
        """Write the study, with the plugin that it needs beside it, and return its file."""
        study = self.folder / "studies" / "contract.toml"
        for file, text in ((study, _STUDY), (self.folder / "plugins" / "contract.py", _PLUGIN)):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return study

    def jobs(self, *settings: str, store: str = "store") -> list[Job]:
        """Return the study's four jobs, two seeds of two variants. settings: as of `ablate run --set`."""
        study = self.study()
        reading, registry, data = read_study(study, Changes(settings)), discover(study), self.folder / "data"
        specs = run_specs(resolve_study(reading, registry, data, {}), reading.study.seeds)
        code = registry.snapshot({(kind, choice.use) for spec in specs for kind, choice in parts(spec.recipe)})
        home = Store(self.folder / store)
        home.make_writable()
        return [Job(spec, home.root, Machine(data, self.device, 1), code) for spec in specs]

    def misbehaving(self, how: str, **settings: str | int) -> Job:
        """Return the job of one run that trains with the augmentation `misbehaves`."""
        given = "".join(f", {name} = {value!r}" for name, value in settings.items())
        return self.jobs(f"flipped.augmentation=[{{ use = 'misbehaves', how = '{how}'{given} }}]")[1]


class ExecutorContract:
    """Every job ends in one result or failure, and nothing is trained twice.

    Inherit it in a test module and say how an executor is made:

        class TestMine(ExecutorContract):
            def executor(self) -> Executor:
                return MyExecutor(jobs=1)

    Needs pytest. Override the fixture `folder` where workers do not see pytest's temporary folder.
    """

    at_a_time = 1
    """How many runs the executor trains at a time."""
    epochs_until_heard = 30
    """More epochs, of a few milliseconds each, than a run trains before it hears that it is to stop."""
    device = "cpu"

    def executor(self) -> Executor:
        """Return the executor to test, as its user would make it."""
        raise NotImplementedError

    def impossible(self) -> tuple[Executor, Resources] | None:
        """Return an executor and what it can never have; None where there is no such thing."""
        return None

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Return an empty folder that workers see, which is the working folder during the test."""
        monkeypatch.chdir(tmp_path)
        return tmp_path

    @pytest.fixture
    def bench(self, folder: Path) -> Bench:
        """Return the study to try the executor on."""
        return Bench(folder, self.device)

    def run(self, jobs: Sequence[Job], stopping: Stopping = never) -> list[Event]:
        """Return the events of these jobs."""
        events: list[Event] = []
        self.executor().run(jobs, events.append, stopping)
        return events

    def test_it_says_how_runs_are_placed_before_any_is_made(self, bench: Bench) -> None:
        executor = self.executor()
        with contextlib.closing(executor):
            placement = executor.check(Resources(4, self.device, self.at_a_time))
        assert (placement.jobs, placement.threads >= 1) == (self.at_a_time, True)
        assert not (bench.folder / "store").exists()

    def test_what_can_never_be_had_is_refused_before_anything_is_submitted(self) -> None:
        if (asked := self.impossible()) is None:
            pytest.skip("nothing that it could never have")
        executor, resources = asked
        with contextlib.closing(executor), pytest.raises(InputError):
            executor.check(resources)

    def test_a_run_that_writes_what_it_likes_to_its_output_is_stored(self, bench: Bench) -> None:
        assert [type(event) for event in _ends(self.run([bench.misbehaving("shout")]))] == [Finished]

    def test_every_run_starts_trains_and_is_stored(self, bench: Bench) -> None:
        jobs = bench.jobs()
        events = self.run(jobs)
        for job in jobs:
            told = [type(e) for e in events if e.spec == job.spec and not isinstance(e, EpochProgress)]
            assert told == [Started, EpochDone, EpochDone, Finished]
            assert Store(job.store).state(job.spec.key) == "stored"

    def test_a_run_has_the_same_bits_again_and_inline(self, bench: Bench) -> None:
        from ..execute.inline import Inline

        weights = []
        for number, executor in enumerate((self.executor(), self.executor(), Inline())):
            events: list[Event] = []
            executor.run(bench.jobs(store=f"store-{number}"), events.append)
            weights.append({e.spec.key: e.result["weights"] for e in events if isinstance(e, Finished)})
        assert len(weights[0]) == 4
        assert weights[0] == weights[1] == weights[2]

    def test_a_stored_run_is_not_trained_again(self, bench: Bench) -> None:
        jobs = bench.jobs()[:1]
        (first,) = _ends(self.run(jobs))
        assert [type(event) for event in self.run(jobs)] == [Finished]
        assert isinstance(first, Finished)

    def test_jobs_are_taken_as_there_is_room_for_them(self, bench: Bench) -> None:
        ended: list[Event] = []
        ahead: list[int] = []

        def one_by_one() -> Iterator[Job]:
            for number, job in enumerate(bench.jobs("baseline.epochs=1")):
                ahead.append(number - len(ended))
                yield job

        self.executor().run(one_by_one(), lambda event: ended.extend(_ends([event])))
        assert len(ended) == 4
        assert max(ahead) < self.at_a_time

    def test_a_run_that_raises_costs_only_itself(self, bench: Bench) -> None:
        bad, good = bench.misbehaving("raise"), bench.jobs()[0]
        ends = {event.spec.key: event for event in _ends(self.run([bad, good]))}
        assert isinstance(ends[good.spec.key], Finished)
        failed = ends[bad.spec.key]
        assert isinstance(failed, Failed)
        assert failed.reason.startswith("ValueError: no more")
        recorded = Store(bad.store).run(bad.spec.key).failure() or {}
        assert (recorded["kind"], recorded["reason"]) == ("failed", failed.reason)

    def test_a_run_that_failed_before_is_trained_again_only_where_that_is_asked(self, bench: Bench) -> None:
        job = bench.jobs()[0]
        Store(job.store).writer(job.spec.key).record_failure("failed", "broke before")
        assert self.run([job]) == [Failed(job.spec, "broke before")]
        assert isinstance(self.run([replace(job, retry=True)])[-1], Finished)
        assert Store(job.store).run(job.spec.key).failure() is None

    def test_runs_that_are_asked_to_stop_save_their_state_and_none_begins(self, bench: Bench) -> None:
        jobs = bench.jobs(*_LONG)
        events: list[Event] = []
        self.executor().run(jobs, events.append, lambda: any(isinstance(e, EpochDone) for e in events))
        assert sum(isinstance(event, Started) for event in events) <= self.at_a_time
        assert [event.saved for event in events if isinstance(event, Stopped)].count(False) == 0
        assert not _ends(events)
        for spec in (event.spec for event in events if isinstance(event, Stopped)):
            folder = Store(jobs[0].store).run(spec.key)
            assert (folder.state(), folder.checkpoint.exists()) == ("unfinished", True)

    def test_a_run_that_was_stopped_resumes_and_ends_with_the_same_bits(self, bench: Bench) -> None:
        settings = (f"baseline.epochs={self.epochs_until_heard}", "baseline.dataset.images=300")
        job, whole = (bench.jobs(*settings, store=store)[0] for store in ("store", "whole"))
        events: list[Event] = []
        self.executor().run([job], events.append, lambda: any(isinstance(e, EpochDone) for e in events))
        assert isinstance(events[-1], Stopped)
        resumed, (undisturbed,) = self.run([job]), _ends(self.run([whole]))
        assert isinstance(resumed[0], Started)
        assert resumed[0].done == sum(isinstance(event, EpochDone) for event in events)
        assert isinstance(resumed[-1], Finished)
        assert isinstance(undisturbed, Finished)
        assert resumed[-1].result["weights"] == undisturbed.result["weights"]

    def test_true_in_answer_to_an_event_stops_that_run_alone(self, bench: Bench) -> None:
        long, other = bench.jobs(*_LONG)[0], bench.jobs()[1]
        events: list[Event] = []

        def on_event(event: Event) -> bool:
            events.append(event)
            return event.spec == long.spec and isinstance(event, EpochDone)

        self.executor().run([long, other], on_event)
        assert [event.spec for event in events if isinstance(event, Stopped)] == [long.spec]
        assert [type(event) for event in _ends(events)] == [Finished]

    def test_an_exception_of_on_event_ends_all_runs_and_is_raised(self, bench: Bench) -> None:
        jobs = bench.jobs(*_LONG)
        events: list[Event] = []

        def on_event(event: Event) -> None:
            events.append(event)
            if isinstance(event, EpochDone):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            self.executor().run(jobs, on_event)
        assert isinstance(events[-1], EpochDone), "on_event was called again after it had raised"
        for job in jobs:
            assert Store(job.store).state(job.spec.key) in ("new", "unfinished")
            with Store(job.store).writer(job.spec.key).lock() as free:
                assert free, "a run is still being trained"

    def test_a_run_that_another_process_trains_is_left_to_it(self, bench: Bench) -> None:
        job = bench.jobs()[0]
        with contextlib.ExitStack() as held:
            assert held.enter_context(Store(job.store).writer(job.spec.key).lock())
            events: list[Event] = []

            def on_event(event: Event) -> None:
                events.append(event)
                if isinstance(event, Busy):
                    held.close()

            self.executor().run([job], on_event)
        told = [type(event) for event in events if not isinstance(event, EpochProgress)]
        assert told == [Busy, Started, EpochDone, EpochDone, Finished]

    def test_a_store_that_is_gone_ends_the_study_with_one_error(self, bench: Bench) -> None:
        jobs = bench.jobs()
        jobs[0].store.rename(bench.folder / "elsewhere")
        events: list[Event] = []
        with pytest.raises(StoreError):
            self.executor().run(jobs, events.append)
        assert not _ends(events)
        assert not jobs[0].store.exists()

    def test_a_rehearsal_names_each_variant_that_cannot_be_trained_and_stores_nothing(self, bench: Bench) -> None:
        good, bad = bench.jobs()[0], bench.misbehaving("shape")
        found = self.executor().rehearse([good, bad])
        assert list(found.failed) == ["flipped"]
        assert "misbehaves" in found.failed["flipped"]
        assert found.state_bytes["baseline"] > 0
        assert not list((good.store / "runs").iterdir())

    def test_a_rehearsal_on_a_device_that_is_not_there_says_so(self, bench: Bench) -> None:
        job = bench.jobs()[0]
        with pytest.raises(DeviceError, match="cuda:99"):
            self.executor().rehearse([replace(job, machine=replace(job.machine, device="cuda:99"))])


class ProcessExecutorContract(ExecutorContract):
    """The same, where each run has a process of its own: a crash costs only that run, and it can be timed out.

    options: those with which `ablate run` takes this executor, as ("--executor", "mine"); without them one test is
    skipped.
    """

    options: ClassVar[tuple[str, ...]] = ()

    @pytest.mark.parametrize(("how", "word"), [("kill", "SIGKILL"), ("segfault", "SIGSEGV")])
    def test_a_run_that_is_ended_by_a_signal_resumes_and_the_signal_is_named(
        self, bench: Bench, how: str, word: str
    ) -> None:
        events = self.run([bench.misbehaving(how, after=4, once=str(bench.folder / "ended"))])
        (died,) = [event for event in events if isinstance(event, WorkerDied)]
        assert word in died.reason
        assert isinstance(events[-1], Finished)

    def test_what_a_run_has_started_ends_with_it(self, bench: Bench) -> None:
        child = bench.folder / "child"
        assert isinstance(self.run([bench.misbehaving("fork", once=str(child))])[-1], Finished)
        until = time.monotonic() + 10
        while not _ended(int(child.read_text())):
            assert time.monotonic() < until, "a child of a run lives on"
            time.sleep(0.1)

    def test_a_run_that_does_not_stop_when_asked_is_killed_and_has_not_failed(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ablate.execute.attempts.STOP_SECONDS", 2.0)
        asleep = bench.folder / "asleep"
        job = bench.misbehaving("sleep", once=str(asleep))
        events: list[Event] = []
        self.executor().run([job], events.append, asleep.exists)
        assert events[-1] == Stopped(job.spec, saved=False)
        assert Store(job.store).run(job.spec.key).failure() is None

    def test_a_driver_that_is_killed_can_be_started_again(self, bench: Bench) -> None:
        if not self.options:
            pytest.skip("the test class names no options of a command")
        study, store, asleep = bench.study(), bench.folder / "store", bench.folder / "asleep"
        use = f"{{ use = 'misbehaves', how = 'sleep in a run', once = '{asleep}' }}"
        command = [sys.executable, "-m", "ablate", "run", str(study), "--no-report", "--store", str(store)]
        command += ["--data-dir", str(bench.folder / "data"), "--device", self.device, *self.options]
        command += ["--seeds", "1", "--only", "flipped", "--set", f"flipped.augmentation=[{use}]"]
        with (bench.folder / "said").open("wb") as said:
            driver = subprocess.Popen(command, stderr=said, stdout=said)  # noqa: S603
        until = time.monotonic() + 120
        while not asleep.exists():
            why = (bench.folder / "said").read_text()
            assert driver.poll() is None, f"the command ended before its run began: {why}"
            assert time.monotonic() < until, f"no run has begun: {why}"
            time.sleep(0.1)
        driver.kill()
        driver.wait()
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)  # noqa: S603
        assert done.returncode == 0, done.stderr
        (history,) = store.glob("runs/*/history.jsonl")
        assert len(history.read_text().splitlines()) == 2

    def test_a_rehearsal_that_crashes_costs_only_its_variant(self, bench: Bench) -> None:
        found = self.executor().rehearse([bench.misbehaving("exit", after=0), bench.jobs()[0]])
        assert list(found.failed) == ["flipped"]
        assert list(found.state_bytes) == ["baseline"]

    def test_a_run_whose_process_dies_once_resumes(self, bench: Bench) -> None:
        job = bench.misbehaving("exit", after=4, once=str(bench.folder / "died"))
        events = self.run([replace(job, limits=Limits(checkpoint_seconds=0.0))])
        (died,) = [event for event in events if isinstance(event, WorkerDied)]
        assert died.tries_left == 2
        assert isinstance(events[-1], Finished)
        assert [event.record["epoch"] for event in events if isinstance(event, EpochDone)] == [1, 2]

    def test_a_run_whose_process_dies_each_time_has_failed_and_the_others_go_on(self, bench: Bench) -> None:
        bad, good = bench.misbehaving("exit"), bench.jobs()[0]
        events = self.run([bad, good])
        assert sum(isinstance(event, WorkerDied) for event in events) == 2
        assert {event.spec.key: type(event) for event in _ends(events)} == {
            bad.spec.key: Failed,
            good.spec.key: Finished,
        }
        assert (Store(bad.store).run(bad.spec.key).failure() or {})["kind"] == "lost"

    def test_a_run_that_takes_too_long_is_ended_and_has_failed(self, bench: Bench) -> None:
        job = replace(bench.misbehaving("sleep"), limits=Limits(run_timeout=3))
        events = self.run([job])
        assert events[-1] == Failed(job.spec, "timed out after 3 s (run_timeout)")
        assert (Store(job.store).run(job.spec.key).failure() or {})["kind"] == "timed out"


def _ended(process: int) -> bool:
    """Tell whether a process of this machine has ended, one that nobody has reaped included."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def _ends(events: Sequence[Event]) -> list[Finished | Failed]:
    """Return how runs ended for good."""
    return [event for event in events if isinstance(event, (Finished, Failed))]
