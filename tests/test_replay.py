"""Steps that are recorded and replayed. Here the processor plays the GPU: it repeats the kernels of a step at the
addresses that they had, without Python, as a CUDA graph does. Some tests run on a real one, too, where there is one."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from packaging.version import Version
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from ablate import Mixed
from ablate.commands import doctor_gpu as checks_gpu
from ablate.commands.doctor_gpu import LEAVE, recording_check
from ablate.components.discover import discover
from ablate.errors import StudyError
from ablate.study.plan import run_specs
from ablate.study.resolve import resolve_study
from ablate.study.spec import Limits
from ablate.study.toml import Changes, read_study
from ablate.training import replay
from ablate.training.build import build, load
from ablate.training.loop import begin_epoch, train_epoch
from ablate.training.replay import Replay, record, with_replay
from ablate.training.replay_cache import Measured
from ablate.training.run import may_replay

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ablate.study.spec import RunSpec
    from ablate.training.ingredients import Ingredients

    Work = Callable[[], Tensor]

CUDA = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here"))
DEVICES = ["cpu", CUDA]
LONG = ("baseline.epochs=400",)  # enough for it to be worth a try


def built(study: Path, *settings: str, device: str = "cpu") -> tuple[Ingredients, RunSpec]:
    reading = read_study(study, Changes((*LONG, *settings)))
    registry = discover(study)
    spec = run_specs(resolve_study(reading, registry, study.parent / "data", {}), (0,))[0]
    return build(spec, registry, load(spec, registry, study.parent / "data", torch.device(device))), spec


class Kernels(TorchDispatchMode):
    """Takes down every kernel with its tensors; a value that Python waits for cannot be recorded."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.log: list[Any] = []

    def __torch_dispatch__(self, kernel: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if kernel is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        result = kernel(*args, **(kwargs or {}))
        self.log.append((kernel, args, kwargs or {}, result))
        return result


def recorded(work: Work) -> tuple[Tensor, Callable[[], None]]:
    """Record on the CPU as a GPU does: kernels with the addresses they had, and nothing of Python."""
    for _ in range(3):
        work()
    with Kernels() as kernels:
        loss = work()
    places: dict[int, tuple[Tensor, Tensor]] = {}

    def fixed(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if id(value) not in places:  # the first of the two is kept, so that its id stays its own
            place = torch.empty(0, dtype=value.dtype)
            place.set_(value.untyped_storage(), value.storage_offset(), value.size(), value.stride())
            places[id(value)] = (value, place)
        return places[id(value)][1]

    steps = [(kernel, *(tree_map(fixed, part) for part in parts)) for kernel, *parts in kernels.log]

    def again() -> None:
        with torch.no_grad():
            for kernel, args, kwargs, result in steps:
                for old, new in zip(tree_leaves(result), tree_leaves(kernel(*args, **kwargs)), strict=True):
                    if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)

    return loss, again


def epochs(run: Ingredients, count: int = 2) -> tuple[list[float], list[Tensor]]:
    losses = [train_epoch(run, begin_epoch(run)) for _ in range(count)]
    return losses, [t.detach().clone() for t in run.model.state_dict().values()]


def same(run: Ingredients, plain: Ingredients) -> None:
    """Train both, and see that they end alike."""
    ends = []
    for one in (plain, run):
        torch.manual_seed(1)  # dropout
        ends.append(epochs(one))
    (wanted, weights), (found, others) = ends
    assert found == pytest.approx(wanted, rel=1e-4)
    for a, b in zip(others, weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def with_layer(study: Path, layer: Callable[[], nn.Module]) -> tuple[Ingredients, Ingredients, RunSpec]:
    """Build a run twice, each with a layer of its own before the model."""
    (one, spec), (other, _) = built(study), built(study)
    runs = [replace(run, model=nn.Sequential(layer(), run.model)) for run in (one, other)]
    return runs[0], runs[1], spec


def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a replayed step measured to take a tenth of a plain one's time, in turn."""
    seconds = iter([1.0, 0.1] * 100)
    monkeypatch.setattr(replay, "_seconds", lambda *_: next(seconds))


def refused(folder: Path) -> str:
    (file,) = folder.iterdir()
    reason: str = json.loads(file.read_text())["refused"]
    return reason


MIXED = 'baseline.augmentation=[{ use = "flip" }, { use = "mixup" }]'


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "settings",
    [
        (),
        (MIXED, "baseline.label_smoothing=0.1"),
        ("baseline.batch_size=10", "baseline.clip_norm=0.1"),  # 48 images: the last batch is smaller
        ("baseline.ema=0.9", 'baseline.model={ use = "timm:test_resnet" }', "baseline.precision=bf16"),
    ],
    ids=["plain", "mixed", "rest", "averaged"],
)
def test_a_run_of_replayed_steps_is_the_run_as_it_is(
    study: Path, monkeypatch: pytest.MonkeyPatch, settings: tuple[str, ...], device: str
) -> None:
    faster(monkeypatch)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    plain, _ = built(study, *settings, device=device)
    run, spec = built(study, *settings, device=device)
    run = with_replay(run, spec, study.parent / "replays", None if device == "cuda" else recorded)
    assert run.replay is not None, refused(study.parent / "replays")
    same(run, plain)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here")
def test_on_a_gpu_dropout_is_drawn_anew_in_each_replay(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch)
    # A bias before batch normalisation has no gradient but rounding, and Adam makes whole steps of it.
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    settings = ('baseline.model={ use = "enhanced-cnn", width = 8, dropout = 0.5 }',)
    plain, _ = built(study, *settings, device="cuda")
    run, spec = built(study, *settings, device="cuda")
    run = with_replay(run, spec, study.parent / "replays")
    assert run.replay is not None
    same(run, plain)


@pytest.fixture
def file(study: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of what was measured of the study's run: that replaying pays."""
    faster(monkeypatch)
    run, spec = built(study)
    with_replay(run, spec, study.parent / "replays", recorded)
    (found,) = (study.parent / "replays").iterdir()
    return found


def test_what_was_measured_is_remembered_for_a_model_and_batch(
    study: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = json.loads(file.read_text())
    assert (measured["step_seconds"], measured["replayed_seconds"], measured["refused"]) == (1.0, 0.1, "")
    monkeypatch.setattr(replay, "try_out", None)  # not tried again
    again, spec = built(study, "study.seeds=1")
    assert with_replay(again, spec, file.parent, recorded).replay is not None
    file.write_text(json.dumps({**measured, "replayed_seconds": 1.5}))
    assert with_replay(again, spec, file.parent, recorded).replay is None


def test_what_was_measured_a_while_ago_is_measured_again(study: Path, file: Path) -> None:
    run, spec = built(study)
    file.write_text(json.dumps({"refused": "long ago"}))
    assert with_replay(run, spec, file.parent, recorded).replay is None
    os.utime(file, (0, 0))
    assert with_replay(run, spec, file.parent, recorded).replay is not None


def test_another_batch_size_is_measured_for_itself(study: Path) -> None:
    for size in (16, 10):
        run, spec = built(study, f"baseline.batch_size={size}")
        with_replay(run, spec, study.parent / "replays", recorded)
    assert len(list((study.parent / "replays").iterdir())) == 2


def test_a_recording_pays_where_its_own_time_is_saved() -> None:
    measured = Measured(step_seconds=0.003, replayed_seconds=0.002, recording_seconds=0.5)
    assert not measured.pays(499)
    assert measured.pays(501)
    assert not Measured(step_seconds=0.002, replayed_seconds=0.002).pays(10**9)
    assert not replace(measured, refused="why").pays(10**9)


def test_a_short_run_is_not_worth_a_try(study: Path) -> None:
    run, spec = built(study, "baseline.epochs=10")
    assert with_replay(run, spec, study.parent / "replays", recorded).replay is None
    assert not (study.parent / "replays").exists()


def test_a_batch_in_parts_is_not_replayed(study: Path) -> None:
    run, spec = built(study, "baseline.accumulate=2")
    assert with_replay(run, spec, study.parent / "replays", recorded).replay is None
    assert not (study.parent / "replays").exists()


def test_a_batch_of_another_shape_is_not_replayed(study: Path) -> None:
    run, _ = built(study)
    batch = next(replay._batches(run))
    made = record(run, batch, recorded)
    assert made(*batch) is not None
    assert made(batch[0][:3], batch[1][:3]) is None
    assert made(batch[0], nn.functional.one_hot(batch[1], 2).float()) is None


class Drawing(nn.Module):
    """Draws in Python, which a recording would repeat."""

    def forward(self, images: Tensor) -> Tensor:
        return images * (1 if random.random() < 0.5 else 2)


class Counting(nn.Module):
    """Counts its steps."""

    steps = 0

    def forward(self, images: Tensor) -> Tensor:
        self.steps += self.training
        return images


class CountingInAList(nn.Module):
    """Counts its steps where no attribute changes."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = [0]

    def forward(self, images: Tensor) -> Tensor:
        self.steps[0] += self.training
        return images


class OwnDraws(nn.Module):
    """Draws from a generator of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.draw = random.Random(0)

    def forward(self, images: Tensor) -> Tensor:
        return images * (0.5 + self.draw.random())


class Replacing(nn.Module):
    """Keeps a running mean as textbooks have it: as a new tensor each time."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * images.mean().detach()
            return images
        return images - self.mean


@pytest.mark.parametrize("layer", [Drawing, OwnDraws, Counting, CountingInAList, nn.Dropout, Replacing])
def test_what_a_model_does_in_python_is_not_recorded(study: Path, layer: type[nn.Module]) -> None:
    run, _, spec = with_layer(study, layer)
    assert with_replay(run, spec, study.parent / "replays", recorded).replay is None
    assert "draws, counts or replaces tensors in Python" in refused(study.parent / "replays")


class Lazy(nn.Module):
    """Makes a mask in its first step, and keeps it."""

    mask: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        if self.mask is None or len(self.mask) != len(images):
            self.mask = torch.linspace(0.5, 1.5, len(images)).view(-1, 1, 1, 1)
        return images * self.mask


def test_what_a_model_makes_in_its_first_step_stays(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch)
    run, plain, spec = with_layer(study, Lazy)
    run = with_replay(run, spec, study.parent / "replays", recorded)
    assert isinstance(run.replay, Replay)
    assert [t.shape for t, _ in run.replay.read if t.dim() == 4 and t.shape[1:] == (1, 1, 1) and len(t) == 16]
    same(run, plain)


class Sharing(nn.Module):
    """Keeps its mask in a dict that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.masks: dict[int, Tensor] = {}

    def forward(self, images: Tensor) -> Tensor:
        mask = self.masks.setdefault(len(images), torch.linspace(0.5, 1.5, len(images)).view(-1, 1, 1, 1))
        return images * mask


def test_what_a_model_keeps_in_a_dict_stays_the_same_dict(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch)
    run, plain, spec = with_layer(study, Sharing)
    masks = run.model.get_submodule("0").masks
    run = with_replay(run, spec, study.parent / "replays", recorded)
    assert isinstance(run.replay, Replay)
    assert run.model.get_submodule("0").masks is masks
    assert masks == {}  # as if it had not been tried
    assert any(isinstance(held, dict) and 16 in held for held in run.replay.held)
    same(run, plain)


class Waiting(nn.Module):
    """Waits for a value of the device."""

    def forward(self, images: Tensor) -> Tensor:
        return images * (1.0 if images.sum().item() > 0 else 2.0)


def test_what_cannot_be_recorded_trains_as_it_is(study: Path) -> None:
    run, plain, spec = with_layer(study, Waiting)
    run = with_replay(run, spec, study.parent / "replays", recorded)
    assert run.replay is None
    reason = refused(study.parent / "replays")
    assert reason == "RuntimeError: operation not permitted when stream is capturing"
    same(run, plain)


def test_a_recording_with_other_gradients_is_refused(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch)
    run, spec = built(study)

    def stale(work: Work) -> tuple[Tensor, Callable[[], None]]:
        return work(), lambda: None  # gives the first batch's gradients for every one

    assert with_replay(run, spec, study.parent / "replays", stale).replay is None
    assert refused(study.parent / "replays") == "a recorded step has other gradients or leaves other buffers"


def test_a_recording_that_leaves_other_buffers_is_refused(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch)
    run, spec = built(study, 'baseline.model={ use = "enhanced-cnn", width = 4, dropout = 0.0 }')
    buffers = list(run.model.buffers())
    assert buffers

    def forgets(work: Work) -> tuple[Tensor, Callable[[], None]]:
        loss, again = recorded(work)

        def without() -> None:
            before = [b.clone() for b in buffers]
            again()
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)

        return loss, without

    assert with_replay(run, spec, study.parent / "whole", recorded).replay is not None
    assert with_replay(run, spec, study.parent / "replays", forgets).replay is None
    assert refused(study.parent / "replays") == "a recorded step has other gradients or leaves other buffers"


def test_batches_that_differ_in_form_are_not_recorded(study: Path) -> None:
    run, spec = built(study)
    calls = iter(range(100))

    def now_and_then(images: Tensor, generator: torch.Generator) -> Any:
        del generator
        if next(calls) % 2:
            return images
        return Mixed(images, torch.arange(len(images)), torch.ones(len(images)))

    run = replace(run, transforms=[now_and_then], noise=[torch.Generator()])
    assert with_replay(run, spec, study.parent / "replays", recorded).replay is None
    assert refused(study.parent / "replays") == "RuntimeError: batches differ in shape or type"


class Moving(torch.optim.SGD):
    """Puts new weights in the place of the old ones, instead of changing those."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                p.data = p.data - group["lr"] * p.grad
        return closure


def test_weights_that_an_optimizer_moves_are_not_lost(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch)
    (run, spec), (plain, _) = built(study), built(study)
    run, plain = (replace(one, optimizer=Moving(one.model.parameters(), lr=0.1)) for one in (run, plain))
    run = with_replay(run, spec, study.parent / "replays", recorded)
    assert run.replay is not None
    same(run, plain)


def test_a_scheduler_that_holds_another_keeps_it(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch)
    run, spec = built(study)
    inner = torch.optim.lr_scheduler.StepLR(run.optimizer, 1)

    class Outer(torch.optim.lr_scheduler.LRScheduler):
        def __init__(self) -> None:
            self.inner = inner
            super().__init__(run.optimizer)

        def get_lr(self) -> list[float | Tensor]:
            return [group["lr"] for group in self.optimizer.param_groups]

    run = replace(run, scheduler=Outer())
    assert with_replay(run, spec, study.parent / "replays", recorded).replay is not None
    assert vars(run.scheduler)["inner"] is inner
    assert inner.optimizer is run.optimizer


def test_a_recording_that_fails_later_costs_no_run(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch)
    folder = study.parent / "replays"
    (run, spec), (plain, _) = built(study), built(study)
    assert with_replay(run, spec, folder, recorded).replay is not None

    def broken(work: Work) -> Any:
        work()
        raise RuntimeError("no resources for a graph")

    run = with_replay(run, spec, folder, broken)
    assert run.replay is None
    same(run, plain)


def test_a_process_that_dies_while_it_records_does_so_twice_at_most(study: Path) -> None:
    run, spec = built(study)

    def dies(work: Work) -> Any:
        raise SystemExit(work())

    for _ in range(2):
        with pytest.raises(SystemExit):
            with_replay(run, spec, study.parent / "replays", dies)
    assert with_replay(run, spec, study.parent / "replays", dies).replay is None


def test_a_lack_of_memory_is_nothing_to_remember(study: Path) -> None:
    (run, spec), (plain, _) = built(study), built(study)

    def full(work: Work) -> Any:
        work()
        raise torch.OutOfMemoryError("CUDA out of memory")

    run = with_replay(run, spec, study.parent / "replays", full)
    assert run.replay is None
    assert not list((study.parent / "replays").iterdir())
    same(run, plain)


def test_a_cache_that_cannot_be_written_or_read_is_done_without(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch)
    (study.parent / "file").write_text("")
    run, spec = built(study)
    assert with_replay(run, spec, study.parent / "file" / "replays", recorded).replay is not None
    folder = study.parent / "replays"
    with_replay(run, spec, folder, recorded)
    (file,) = folder.iterdir()
    for text in ("", "[]", '{"other": 1}'):
        file.write_text(text)
        assert with_replay(run, spec, folder, recorded).replay is not None


MINE = '''
import torch

from ablate import augmentation, model, optimizer


@augmentation("mine")
def mine_too():
    """An augmentation of the user's own."""
    return lambda images, generator: images


@model("mine")
def mine(shape, classes):
    """A model of the user's own."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(classes))


@optimizer("my-sgd")
def my_sgd(params, *, lr: float):
    """An optimizer of the user's own."""
    return torch.optim.SGD(params, lr=lr)
'''


@pytest.mark.parametrize(
    ("settings", "graphs", "wanted"),
    [
        ((), "auto", True),
        (('baseline.model={ use = "timm:test_resnet" }',), "auto", True),
        (('baseline.optimizer={ use = "torch:SGD", lr = 0.1 }',), "auto", True),
        (('baseline.model={ use = "mine" }',), "auto", False),
        (('baseline.optimizer={ use = "my-sgd", lr = 0.1 }',), "auto", False),
        (('baseline.augmentation=[{ use = "mine" }]',), "auto", False),
        (('baseline.augmentation=[{ use = "flip" }]',), "auto", True),
        (('baseline.model={ use = "mine" }',), "all", True),
        ((), "none", False),
    ],
)
def test_what_a_user_wrote_is_recorded_only_where_the_study_says_so(
    study: Path,
    write: Callable[[str, str], Path],
    monkeypatch: pytest.MonkeyPatch,
    settings: tuple[str, ...],
    graphs: str,
    wanted: bool,
) -> None:
    monkeypatch.setattr("ablate.training.run.RECORDING_SINCE", Version("2.0"))
    write("plugins/mine.py", MINE)
    _, spec = built(study, *settings)
    limits = Limits(cuda_graphs=graphs)
    assert may_replay(spec, discover(study), torch.device("cuda"), limits) == wanted
    assert not may_replay(spec, discover(study), torch.device("cpu"), limits)


def test_a_study_says_auto_all_or_none(study: Path) -> None:
    assert read_study(study).study.limits.cuda_graphs == Limits().cuda_graphs == "none"
    assert read_study(study, Changes(('study.cuda_graphs="auto"',))).study.limits.cuda_graphs == "auto"
    with pytest.raises(StudyError, match='cuda_graphs  true is not "auto"'):
        built(study, "study.cuda_graphs=true")


@pytest.fixture
def undropped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the doctor train little, without dropout, which only a GPU draws again; and replaying be measured to pay.

    Nothing is recorded on a GPU, so any version of torch will do.
    """
    monkeypatch.setattr("ablate.training.run.RECORDING_SINCE", Version("2.0"))
    small = checks_gpu._STUDY.replace('"digits"', '"digits", train = 96').replace("width = 16", "width = 4")
    monkeypatch.setattr(checks_gpu, "_STUDY", small)
    monkeypatch.setattr(checks_gpu, "DROPOUT", 0.0)
    faster(monkeypatch)


@pytest.mark.usefixtures("undropped")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_doctor_trains_both_ways_and_says_what_to_switch_on(precision: str) -> None:
    found = recording_check(precision, "cpu", recorded)
    assert (found.name, found.state) == (f"steps {precision}", "ok"), found
    assert "9 steps recorded and as they are: the same losses, gradients and weights" in found.found
    assert "10.0 times as fast" in found.found
    assert found.remedy == 'cuda_graphs = "auto" under [study] switches it on'


@pytest.mark.usefixtures("undropped")
def test_the_doctor_finds_a_recording_that_goes_wrong_later() -> None:
    """What a comparison of two batches does not show."""

    def worn_out(work: Work) -> tuple[Tensor, Callable[[], None]]:
        loss, again = recorded(work)
        times = iter(range(1000))
        return loss, lambda: again() if next(times) < 8 else None

    found = recording_check("fp32", "cpu", worn_out)
    assert (found.state, found.found) == ("problem", "trained with recorded steps, a network ends with other weights")
    assert found.remedy == LEAVE


@pytest.mark.usefixtures("undropped")
def test_the_doctor_tells_what_cannot_be_recorded_or_does_not_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    def idle(work: Work) -> tuple[Tensor, Callable[[], None]]:
        return work(), lambda: None

    found = recording_check("fp32", "cpu", idle)
    assert found.state == "problem"
    assert found.found.startswith("cannot be recorded: a recorded step has other gradients")
    monkeypatch.setattr(replay, "_seconds", lambda *_: 1.0)
    found = recording_check("fp32", "cpu", recorded)
    assert (found.state, found.remedy) == ("ok", f"not worth it: {LEAVE}")
    monkeypatch.setattr("ablate.training.run.RECORDING_SINCE", Version("99"))
    assert recording_check("fp32", "cpu", recorded).state == "warning"
