"""Steps that are recorded and replayed. Here the processor plays the GPU: a recording does the same work again, in the
same places; the tests marked `cuda` need the real one."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from ablate.components.discover import discover
from ablate.study.plan import run_specs
from ablate.study.settle import settle
from ablate.study.toml import Changes, read_study
from ablate.training import replay
from ablate.training.build import build, load
from ablate.training.loop import Ingredients, begin_epoch, train_epoch
from ablate.training.replay import Measured, cuda_graph, record, with_replay

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ablate.study.spec import RunSpec

    Work = Callable[[], Tensor]

CUDA = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here"))
DEVICES = ["cpu", CUDA]
PLAIN = ("baseline.epochs=40",)


def built(study: Path, *settings: str, device: str = "cpu") -> tuple[Ingredients, RunSpec]:
    reading = read_study(study, Changes((*PLAIN, *settings)))
    registry = discover(study)
    spec = run_specs(settle(reading, registry, study.parent / "data", {}), (0,))[0]
    return build(spec, registry, load(spec, registry, study.parent / "data", torch.device(device))), spec


def in_place(run: Ingredients) -> Callable[[Work], tuple[Tensor, Callable[[], None]]]:
    """Record as a GPU does: what comes out keeps its place, loss and gradients alike."""

    def capture(work: Work) -> tuple[Tensor, Callable[[], None]]:
        for _ in range(3):
            work()
        loss = work()
        places = [(p, p.grad) for p in run.model.parameters() if p.grad is not None]

        def again() -> None:
            loss.copy_(work())
            for parameter, place in places:
                assert parameter.grad is not None
                place.copy_(parameter.grad)
                parameter.grad = None

        return loss, again

    return capture


def recorder(run: Ingredients) -> Callable[[Work], tuple[Tensor, Callable[[], None]]]:
    return cuda_graph if run.data.mean.is_cuda else in_place(run)


def epochs(run: Ingredients, count: int = 2) -> tuple[list[float], list[Tensor]]:
    losses = [train_epoch(run, begin_epoch(run)) for _ in range(count)]
    return losses, [t.detach().clone() for t in run.model.state_dict().values()]


def faster(monkeypatch: pytest.MonkeyPatch, times: float = 10.0) -> None:
    """Have a replayed step measured to take a tenth of a plain one's time, in turn."""
    seconds = iter([1.0, 1.0 / times] * 100)
    monkeypatch.setattr(replay, "_seconds", lambda *_: next(seconds))


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
def test_a_run_of_replayed_steps_ends_with_the_same_bits(
    study: Path, monkeypatch: pytest.MonkeyPatch, settings: tuple[str, ...], device: str
) -> None:
    faster(monkeypatch)
    plain, _ = built(study, *settings, device=device)
    run, spec = built(study, *settings, device=device)
    run = with_replay(run, spec, study.parent / "replays", recorder(run))
    assert run.replay is not None
    wanted, found = epochs(plain), epochs(run)
    assert found[0] == wanted[0]
    assert all(torch.equal(a, b) for a, b in zip(found[1], wanted[1], strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here")
def test_on_a_gpu_dropout_is_drawn_anew_in_each_replay(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch)
    settings = ('baseline.model={ use = "enhanced-cnn", width = 8, dropout = 0.5 }',)
    plain, _ = built(study, *settings, device="cuda")
    run, spec = built(study, *settings, device="cuda")
    run = with_replay(run, spec, study.parent / "replays")
    assert run.replay is not None
    for found, wanted in zip(epochs(run)[0], epochs(plain)[0], strict=True):
        assert found == pytest.approx(wanted, rel=1e-3)


def test_what_was_measured_is_remembered_for_a_model_and_batch(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch)
    folder = study.parent / "replays"
    run, spec = built(study)
    with_replay(run, spec, folder, in_place(run))
    (file,) = folder.iterdir()
    measured = json.loads(file.read_text())
    assert (measured["step_seconds"], measured["replayed_seconds"], measured["refused"]) == (1.0, 0.1, "")
    monkeypatch.setattr(replay, "_try_out", None)  # not tried again
    again, spec = built(study, "study.seeds=1")
    assert with_replay(again, spec, folder, in_place(again)).replay is not None
    file.write_text(json.dumps({**measured, "replayed_seconds": 1.5}))
    assert with_replay(again, spec, folder, in_place(again)).replay is None


def test_another_batch_size_is_measured_for_itself(study: Path) -> None:
    for size in (16, 24):
        run, spec = built(study, f"baseline.batch_size={size}")
        with_replay(run, spec, study.parent / "replays", in_place(run))
    assert len(list((study.parent / "replays").iterdir())) == 2


def test_a_recording_pays_where_its_own_time_is_saved() -> None:
    measured = Measured(step_seconds=0.003, replayed_seconds=0.002, recording_seconds=0.5)
    assert not measured.pays(499)
    assert measured.pays(501)
    assert not Measured(step_seconds=0.002, replayed_seconds=0.002).pays(10**9)
    assert not replace(measured, refused="why").pays(10**9)


class Drawing(nn.Module):
    """Draws in Python, which a recording would repeat."""

    def forward(self, images: Tensor) -> Tensor:
        return images * (1 if random.random() < 0.5 else 2)


class Counting(nn.Module):
    """Counts its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def forward(self, images: Tensor) -> Tensor:
        self.steps += self.training
        return images


@pytest.mark.parametrize("layer", [Drawing(), Counting(), nn.Dropout(0.5)], ids=["draws", "counts", "torch"])
def test_what_a_model_does_in_python_is_not_recorded(study: Path, layer: nn.Module) -> None:
    run, spec = built(study)
    run = replace(run, model=nn.Sequential(layer, run.model))
    folder = study.parent / "replays"
    assert with_replay(run, spec, folder, in_place(run)).replay is None
    (file,) = folder.iterdir()
    assert "draws or counts in Python" in json.loads(file.read_text())["refused"]


def test_a_recording_with_other_gradients_is_refused(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch)
    run, spec = built(study)

    def stale(work: Work) -> tuple[Tensor, Callable[[], None]]:
        return work(), lambda: None  # gives the first batch's gradients for every one

    assert with_replay(run, spec, study.parent / "replays", stale).replay is None
    (file,) = (study.parent / "replays").iterdir()
    assert json.loads(file.read_text())["refused"] == "a recorded step has other gradients"


def test_what_cannot_be_recorded_trains_as_it_is(study: Path) -> None:
    run, spec = built(study)

    def broken(work: Work) -> Any:
        work()
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    found = with_replay(run, spec, study.parent / "replays", broken)
    assert found.replay is None
    (file,) = (study.parent / "replays").iterdir()
    assert json.loads(file.read_text())["refused"] == "operation not permitted when stream is capturing"
    plain, _ = built(study)
    assert epochs(found)[0] == epochs(plain)[0]


def test_a_process_that_dies_while_it_records_does_not_do_so_twice(study: Path) -> None:
    run, spec = built(study)

    def dies(work: Work) -> Any:
        raise SystemExit(work())

    with pytest.raises(SystemExit):
        with_replay(run, spec, study.parent / "replays", dies)
    assert with_replay(run, spec, study.parent / "replays", dies).replay is None


def test_a_lack_of_memory_is_nothing_to_remember(study: Path) -> None:
    run, spec = built(study)

    def full(work: Work) -> Any:
        work()
        raise torch.OutOfMemoryError("CUDA out of memory")

    found = with_replay(run, spec, study.parent / "replays", full)
    assert found.replay is None
    assert not list((study.parent / "replays").iterdir())
    plain, _ = built(study)
    assert epochs(found)[0] == epochs(plain)[0]


def test_a_batch_in_parts_is_not_replayed(study: Path) -> None:
    run, spec = built(study, "baseline.accumulate=2")
    assert with_replay(run, spec, study.parent / "replays", in_place(run)).replay is None
    assert not (study.parent / "replays").exists()


def test_a_cache_that_cannot_be_written_or_read_is_done_without(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faster(monkeypatch)
    (study.parent / "file").write_text("")
    run, spec = built(study)
    assert with_replay(run, spec, study.parent / "file" / "replays", in_place(run)).replay is not None
    folder = study.parent / "replays"
    with_replay(run, spec, folder, in_place(run))
    (file,) = folder.iterdir()
    for text in ("", "[]", '{"other": 1}'):
        file.write_text(text)
        assert with_replay(run, spec, folder, in_place(run)).replay is not None


def test_a_batch_of_another_shape_is_not_replayed(study: Path) -> None:
    run, _ = built(study)
    batch = next(replay._batches(run))
    made = record(run, batch, in_place(run))
    assert made(*batch) is not None
    assert made(batch[0][:3], batch[1][:3]) is None
    assert made(batch[0], nn.functional.one_hot(batch[1], 2).float()) is None
