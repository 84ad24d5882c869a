"""How many runs a GPU gets at a time, on a GPU that is simulated; and runs that run out of memory beside others."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from ablate.cli import app
from ablate.errors import InputError
from ablate.execute.attempts import GOES_ON, News, Placed
from ablate.execute.gpu import GONE, GpuUse, gauge
from ablate.execute.jobs import Event, Failed, Finished, Job, JobsReduced, MemoryContention, Started
from ablate.execute.local import LocalProcesses, Processes, Worker
from ablate.execute.packing import Packing
from ablate.execute.placement import Placement, Resources, count_gpus, narrowed, placed
from ablate.training.machine import MOST_ON_A_GPU, default_jobs
from tests.support import jobs, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


GB = 2**30


@dataclass
class Gpu:
    """A GPU on which each run computes for some share of the time, and takes turns where that is more than all of it.

    starting: seconds that a run takes to begin; share: of the time that it then computes, where it is alone; limit: of
    what all compute; each: bytes that a run takes.
    """

    share: float
    starting: float = 3.0
    each: float = 1 * GB
    total: float = 80 * GB
    limit: float = 1.0
    others: float = 0.5 * GB
    now: float = 0.0
    runs: dict[str, float] = field(default_factory=dict)
    done: dict[str, float] = field(default_factory=dict)

    def pass_by(self, seconds: float) -> None:
        """Have runs compute, in turns."""
        self.now += seconds
        at_work = [key for key, began in self.runs.items() if self.now - began >= self.starting]
        for key in at_work:
            rate = min(self.share, self.limit / len(at_work)) / self.share
            self.done[key] = self.done.get(key, 0.0) + seconds * rate

    def clock(self) -> float:
        return self.now

    def read(self) -> GpuUse:
        at_work = sum(self.now - began >= self.starting for began in self.runs.values())
        used = self.others + self.each * len(self.runs)
        return GpuUse(min(self.limit, self.share * at_work), int(used), int(self.total - used))


def levels(gpu: Gpu, most: int = 8, seconds: float = 400.0, lasting: Sequence[float] = (1e9,)) -> list[int]:
    """Drive a GPU as an executor does, and return how many runs there are, second by second.

    lasting: seconds that runs train where they are alone, in turn.
    """
    packing = Packing(most, gpu.read, gpu.clock)
    found, number = [], 0
    while gpu.now < seconds:
        for key in gpu.done.keys() & gpu.runs.keys():
            packing.heard(key)
            if gpu.done[key] >= lasting[int(key) % len(lasting)]:
                del gpu.runs[key]
        while packing.room(len(gpu.runs)):
            number += 1
            gpu.runs[str(number)] = gpu.now
            packing.started(str(number))
        if gpu.now % 1 == 0:
            found.append(len(gpu.runs))
        gpu.pass_by(0.25)
    return found


@pytest.mark.parametrize(("share", "wanted"), [(1.0, 1), (0.97, 1), (0.6, 2), (0.4, 3), (0.24, 4), (0.05, 8)])
def test_runs_are_added_until_the_gpu_is_never_idle(share: float, wanted: int) -> None:
    found = levels(Gpu(share))
    assert found[0] == 1
    assert found[-1] == wanted
    assert all(after - before in (0, 1) for before, after in pairwise(found))  # one by one


@pytest.mark.parametrize("starting", [1.0, 4.0, 15.0])
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("lasting", [(1.0,), (4.0,), (4.0, 60.0, 1.0), (30.0, 5.0)])
def test_runs_fill_each_others_starts(starting: float, share: float, lasting: tuple[float, ...]) -> None:
    """However short they are, alike or not: the GPU computes for most of the time, or there are as many as may be."""
    gpu = Gpu(share, starting=starting)
    found = levels(gpu, seconds=600.0, lasting=lasting)
    computed = share * sum(gpu.done.values()) / gpu.now
    assert found[-1] >= 7 or computed > 0.75


def test_memory_sets_the_limit() -> None:
    found = levels(Gpu(0.05, each=10 * GB, total=48 * GB))
    assert max(found) == 4  # 40 of 47.5 GB, and less than 13 are free
    assert levels(Gpu(0.05, each=30 * GB, total=48 * GB))[-1] == 1


def test_memory_of_others_is_not_counted_as_a_runs() -> None:
    assert levels(Gpu(0.3, others=20 * GB))[-1] == 4


def test_a_number_that_was_given_holds() -> None:
    packing = Packing(3)
    assert [packing.room(n) for n in range(5)] == [True, True, True, False, False]
    packing.reduce()
    assert not packing.room(2)
    packing.reduce()
    packing.reduce()
    assert packing.room(0)
    assert not packing.room(1)


def test_one_run_begins_whatever_the_gpu_says() -> None:
    full = Packing(4, lambda: GpuUse(1.0, 80 * GB, 0))
    assert full.room(0)
    assert not full.room(1)


def test_where_the_user_leaves_it_open_a_gpu_has_one_run_at_a_time() -> None:
    how = placed(None, "cuda", 100)
    assert (how.jobs, how.packed, how.surely, how.at_a_time) == (1, False, 1, "1 at a time")


def test_runs_share_a_gpu_where_the_user_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.execute.placement.cores", lambda: 16)
    how = placed(0, "cuda", 100)
    assert (how.jobs, how.packed, how.surely) == (MOST_ON_A_GPU, True, 1)
    assert how.at_a_time == f"at most {MOST_ON_A_GPU} at a time"
    assert placed(0, "cuda", 3).jobs == 3
    given = placed(2, "cuda", 100)
    assert (given.jobs, given.packed, given.surely) == (2, False, 2)
    on_cpu = placed(0, "cpu", 100)
    assert (on_cpu.jobs, on_cpu.packed) == (default_jobs("cpu", 100), False)
    monkeypatch.setattr("ablate.execute.placement.cores", lambda: 2)
    assert placed(0, "cuda", 100).jobs == 2  # each needs a core that launches its kernels


@pytest.mark.parametrize(("given", "jobs"), [((), None), (("--jobs", "0"), 0), (("--jobs", "3"), 3)])
@pytest.mark.parametrize(("command", "spine"), [("run", "run_over.run_study"), ("tune", "tune.tune_study")])
def test_nought_jobs_asks_for_as_many_as_fit(
    study: Path, monkeypatch: pytest.MonkeyPatch, command: str, spine: str, given: tuple[str, ...], jobs: int | None
) -> None:
    asked: list[Any] = []

    def note(_: object, how: Any, **__: object) -> int:
        asked.append(how.jobs)
        return 0

    monkeypatch.setattr(f"ablate.commands.{spine}", note)
    assert CliRunner().invoke(app, [command, str(study), *given]).exit_code == 0
    assert asked == [jobs]


@pytest.mark.parametrize("uuid", ["", "00000000-0000-0000-0000-000000000000"])
def test_without_such_a_gpu_there_is_nothing_to_read(uuid: str) -> None:
    assert gauge(uuid) is None


CROWDED = '''
import os
import time
from pathlib import Path

import torch

from ablate import augmentation


@augmentation("hungry")
def hungry(*, folder: str, room: int = 1, seconds: float = 0.3):
    """Run out of memory where more than `room` runs are at it at once."""
    mine = Path(folder) / str(os.getpid())

    def transform(images, generator):
        if images.shape[0] > 8:  # a batch to train on, not one that it is tried on
            mine.touch()
            time.sleep(seconds)
            others = [int(f.name) for f in Path(folder).iterdir() if Path("/proc", f.name).exists()]
            if len(others) > room:
                raise torch.OutOfMemoryError("no memory left")
        return images

    return transform
'''


@pytest.fixture
def hungry(study: Path, write: Callable[[str, str], Path]) -> Callable[[int], list[Job]]:
    """Return what makes a study's four jobs, of which only so many have the memory for it at a time."""
    write("plugins/hungry.py", CROWDED)
    folder = study.parent / "at-it"
    folder.mkdir()

    def made(room: int) -> list[Job]:
        use = f'{{ use = "hungry", folder = "{folder}", room = {room} }}'
        return jobs(study, f"baseline.augmentation=[{use}]", "baseline.epochs=1")

    return made


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a GPU judged at every look."""
    for name in ("WINDOW_SECONDS", "READ_SECONDS"):
        monkeypatch.setattr(f"ablate.execute.packing.{name}", 0.0)


@pytest.mark.parametrize("read", [None, lambda: GpuUse(0.0, 0, 80 * GB)], ids=["given", "packed"])
def test_a_run_that_lacks_memory_beside_others_is_made_alone(
    hungry: Callable[[int], list[Job]], read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(monkeypatch)
    events = run(LocalProcesses(3, read), hungry(1))
    assert sum(isinstance(e, Finished) for e in events) == 4
    assert not [e for e in events if isinstance(e, Failed)]
    assert [e for e in events if isinstance(e, MemoryContention)]
    learnt = [e.jobs for e in events if isinstance(e, JobsReduced)]
    assert learnt == sorted(learnt, reverse=True)
    # One fewer each time that runs were out of memory together, however many they were.
    assert set(learnt) <= {1, 2}
    assert learnt[0] == 2 or read
    assert len(learnt) <= 2


def test_a_gpu_with_time_gets_more_runs_at_a_time(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)
    todo = jobs(study, "study.seeds=6")
    assert most_at_once(run(LocalProcesses(3, lambda: GpuUse(0.5, GB, 79 * GB)), todo)) == 3
    todo = jobs(study, "study.seeds=6", "baseline.epochs=3")
    assert most_at_once(run(LocalProcesses(3, lambda: GpuUse(0.99, GB, 79 * GB)), todo)) == 1


def test_where_the_gpu_cannot_be_read_there_is_one_run_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = Placement(8, 100, packed=True, for_gpu=True)
    how, _, why = narrowed(packed, "a GPU without a driver")
    assert (how.jobs, how.packed, why) == (1, False, "this GPU does not say how busy it is")
    how, _, why = narrowed(packed, "")  # the runs are on the CPU after all
    assert (how.jobs, how.packed, why) == (default_jobs("cpu", 100), False, "torch has no GPU here")
    how, _, _ = narrowed(Placement(1, 100, for_gpu=True), "")  # one was for a GPU
    assert how.jobs == default_jobs("cpu", 100)
    monkeypatch.setattr("ablate.execute.placement.gauge", lambda _: lambda: GONE)
    assert narrowed(packed, "a GPU")[0] == packed


def test_each_gpu_of_the_machine_has_one_run_where_the_user_leaves_it_open() -> None:
    how = LocalProcesses(gpus=lambda: 4).check(Resources(100, "cuda"))
    assert (how.jobs, how.devices) == (4, ("cuda:0", "cuda:1", "cuda:2", "cuda:3"))
    assert how.at_a_time == "4 at a time on 4 GPUs"
    for named in (Resources(100, "cuda:1"), Resources(100, "cuda", jobs=2), Resources(100, "cuda", jobs=0)):
        assert LocalProcesses(gpus=lambda: 4).check(named).devices == ()
    assert LocalProcesses(gpus=lambda: 1).check(Resources(100, "cuda")) == placed(None, "cuda", 100)
    assert LocalProcesses(gpus=lambda: 4).check(Resources(100, "cpu")) == placed(None, "cpu", 100)


def test_runs_are_spread_over_the_gpus_that_are_named() -> None:
    executor = LocalProcesses(devices=(0, 2), gpus=lambda: 4)
    assert executor.check(Resources(100, "auto")).devices == ("cuda:0", "cuda:2")
    assert executor.check(Resources(100, "cuda", jobs=4)).at_a_time == "4 at a time on 2 GPUs"
    assert executor.check(Resources(1, "cuda")).jobs == 1


@pytest.mark.parametrize(
    ("devices", "device", "jobs", "why"),
    [
        ((0, 4), "auto", None, r"there is no GPU 4\n  this machine has 4 GPUs, 0 to 3"),
        ((1, 1), "auto", None, "named twice"),
        ((0,), "cpu", None, "only one of them can be meant"),
        ((0, 1), "auto", 0, "only one GPU is packed"),
    ],
)
def test_gpus_that_runs_can_never_have_are_refused(
    devices: tuple[int, ...], device: str, jobs: int | None, why: str
) -> None:
    with pytest.raises(InputError, match=why):
        LocalProcesses(devices=devices, gpus=lambda: 4).check(Resources(9, device, jobs))


def test_a_run_goes_to_the_device_that_has_the_fewest(study: Path) -> None:
    sender, where = Processes(("cpu", "auto")), list[str]()  # which stand for two GPUs here

    def hear(worker: Worker, news: News) -> None:
        where.extend([news.place] if isinstance(news, Placed) else [])
        ended.extend([] if isinstance(news, GOES_ON) else [worker])

    with sender:
        for job in jobs(study, "baseline.epochs=1"):
            ended: list[Worker] = []
            sender.start(job)
            first = sender.start(replace(job, retry=True))
            while len(ended) < 2:
                sender.poll(1.0, hear)
            assert first.device == "auto"
    assert where == ["cpu", "auto"] * 4


@pytest.mark.parametrize(("visible", "count"), [("0,2", 2), ("2", 1), ("", 0), ("0,-1,1", 1), (None, 3)])
def test_the_gpus_that_a_process_may_use_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, count: int
) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert count_gpus(tmp_path) == count


def most_at_once(events: list[Event]) -> int:
    under_way, most = 0, 0
    for event in events:
        under_way += isinstance(event, Started) - isinstance(event, Finished)
        most = max(most, under_way)
    return most


def test_a_gpu_that_no_longer_answers_gets_no_more_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    class Memory:
        used, free = GB, 79 * GB

    answers = [Memory(), Memory()]

    def memory(_: object) -> Memory:
        if not answers:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return answers.pop()

    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", lambda uuid: uuid)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", lambda _: type("Rates", (), {"gpu": 40}))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", memory)
    read = gauge("0a1b")
    assert read is not None
    assert read() == GpuUse(0.4, GB, 79 * GB)
    assert read() == GONE
    packing = Packing(4, lambda: GONE)
    assert packing.room(0)
    assert not packing.room(1)
