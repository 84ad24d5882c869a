"""A run that is interrupted anywhere, and goes on from its checkpoint, ends with the same bits."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ablate.files import write_checked
from ablate.study.spec import Limits
from ablate.training.checkpoint import NoCheckpointError, State, read_checkpoint, write_checkpoint
from ablate.training.machine import Machine
from ablate.training.run import train_run
from tests.support import first_run

if TYPE_CHECKING:
    from ablate.components.registry import Registry
    from ablate.data.predictions import Predictions
    from ablate.study.spec import RunSpec
    from ablate.training.learning_rates import RangeTestResult

TIMES = ("seconds", "images_per_second", "evaluation_seconds")

RANDOM = '''
import random

import numpy as np
import torch
from torch import nn

from ablate import augmentation, model, scheduler


class Ramp:
    def __init__(self):
        self.seen, self.rng = 0, np.random.default_rng(0)

    def __call__(self, images, generator):
        self.seen += 1
        return images * (1 - 0.1 * float(self.rng.random()) * min(1, self.seen / 50))

    def state_dict(self):
        return {"seen": self.seen, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state):
        self.seen, self.rng.bit_generator.state = state["seen"], state["rng"]


@augmentation("ramp")
def ramp():
    """Has a counter and a generator of its own."""
    return Ramp()


class Warm(nn.Linear):
    def __init__(self, inputs, classes):
        super().__init__(inputs, classes)
        self.register_buffer("warmth", torch.zeros(()), persistent=False)
        self.calls = 0

    def forward(self, images):
        self.calls += self.training
        if self.training:
            self.warmth += 0.01
        return super().forward(images.flatten(1)) * (1 + self.warmth) * (1 + 0.01 * self.calls)

    def get_extra_state(self):
        return {"calls": self.calls}

    def set_extra_state(self, state):
        self.calls = state["calls"]


@model("warm")
def warm(shape, classes):
    """Has a buffer that is not persistent, and extra state."""
    return Warm(shape.channels * shape.height * shape.width, classes)


@scheduler("line", steps="epoch")
def line(optimizer, horizon):
    """Computes with NumPy, and keeps its arrays."""

    class Line(torch.optim.lr_scheduler.LRScheduler):
        def __init__(self, optimizer):
            self.factors = np.linspace(1.0, 0.1, horizon.epochs + 1)
            super().__init__(optimizer)

        def get_lr(self):
            return [base * self.factors[self.last_epoch] for base in self.base_lrs]

    return Line(optimizer)


class Random(nn.Linear):
    def forward(self, images):
        drawn = random.random() + np.random.rand() if self.training else 1
        return nn.functional.dropout(super().forward(images.flatten(1)), 0.1, self.training) * drawn


@model("random")
def random_noise(shape, classes):
    """Draw from every global stream, as a model may."""
    return Random(shape.channels * shape.height * shape.width, classes)
'''


class KilledError(Exception):
    """Stands for SIGKILL."""


class Disk:
    """A recorder that keeps states on disk, and dies after some of them."""

    def __init__(self, file: Path, dies_after: int | None = None) -> None:
        self.file, self.left = file, dies_after
        self.records: list[dict[str, Any]] = []
        self.range_test: RangeTestResult | None = None
        self.predictions: Predictions = {}

    def resume(self) -> State | None:
        try:
            return read_checkpoint(self.file, "key")
        except NoCheckpointError:
            return None

    def unusable(self, why: str) -> None:
        raise AssertionError(why)

    def kept_range_test(self) -> RangeTestResult | None:
        return self.range_test

    def keep_range_test(self, result: RangeTestResult) -> None:
        self.range_test = result

    def keep_predictions(self, predictions: Predictions) -> None:
        self.predictions = predictions

    def started(self, environment: Any, records: Any) -> None:
        self.records = list(records)

    def under_way(self, epoch: int, share: float) -> None:
        pass

    def epoch(self, record: dict[str, Any]) -> None:
        self.records.append(record)

    def stopping(self) -> bool:
        return False

    def keep(self, state: State) -> None:
        if self.left == 0:
            raise KilledError
        write_checkpoint(self.file, "key", state)
        if self.left is not None:
            self.left -= 1


def bits(disk: Disk, result: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    return result["weights"], [{k: v for k, v in r.items() if k not in TIMES} for r in disk.records]


def train(spec: RunSpec, registry: Registry, disk: Disk, threads: int = 1) -> dict[str, Any]:
    return train_run(spec, registry, Machine(Path("data"), "cpu", threads), disk, Limits(checkpoint_seconds=0.0))


SHIPPED = [
    'baseline.augmentation=[{ use = "mixup" }, { use = "rand-augment" }, { use = "random-erasing" }]',
    'baseline.augmentation=[{ use = "cutmix" }, { use = "color-jitter", hue = 0.1 }, { use = "affine", degrees = 10 }]',
    'baseline.augmentation=[{ use = "torchvision:RandomRotation", degrees = 20 }, { use = "auto-augment" }]',
    "baseline.precision=bf16",
    "baseline.ema=0.9",
    "baseline.accumulate=3",
    "baseline.clip_norm=0.1",
    "baseline.label_smoothing=0.1",
    "baseline.crop_kernels=false",
    "baseline.model.use=simple-cnn",
    'baseline.model={ use = "enhanced-cnn", width = 4, dropout = 0.5 }',
    "baseline.model.use=timm:test_resnet",
    "baseline.model.use=torchvision:shufflenet_v2_x0_5",
    "baseline.optimizer.use=sgd",
    "baseline.optimizer.use=adamw",
    "baseline.optimizer.use=torch:RMSprop",
    "baseline.optimizer.use=timm:lion",
    "baseline.scheduler.use=cosine",
    "baseline.scheduler.use=step",
    "baseline.scheduler.use=one-cycle",
    "baseline.scheduler.use=warmup-cosine",
    'baseline.scheduler={ use = "torch:CyclicLR", base_lr = 1e-3, max_lr = 1e-2, cycle_momentum = false }',
    "baseline.scheduler.use=torch:ReduceLROnPlateau",
    'baseline.augmentation=[{ use = "random-crop" }, { use = "flip" }, { use = "cutout", size = 4 }]',
    'baseline.model={ use = "random" }',
    'baseline.model={ use = "warm" }',
    'baseline.augmentation=[{ use = "ramp" }]',
    "baseline.scheduler.use=line",
]


@pytest.mark.parametrize("setting", SHIPPED)
def test_a_run_killed_many_times_ends_with_the_same_bits(setting: str, study: Path, folder: Path) -> None:
    (folder / "plugins" / "drawing.py").write_text(RANDOM)
    settings = [setting, "baseline.epochs=3", "baseline.dataset.images=40"]
    if "optimizer" in setting:
        settings.append("baseline.optimizer.lr=1e-2")
    spec, registry = first_run(study, *settings)
    whole = Disk(folder / "whole.pt")
    unkilled = bits(whole, train(spec, registry, whole))
    disk = Disk(folder / "killed.pt")
    for lives in (0, 1, 1, 2, 1):
        disk = Disk(folder / "killed.pt", lives)
        with pytest.raises(KilledError):
            train(spec, registry, disk)
    disk = Disk(folder / "killed.pt")
    assert bits(disk, train(spec, registry, disk)) == unkilled


def test_a_run_goes_on_with_the_threads_it_began_with(study: Path, folder: Path) -> None:
    spec, registry = first_run(study)
    with pytest.raises(KilledError):
        train(spec, registry, Disk(folder / "c.pt", 1), threads=1)
    train(spec, registry, Disk(folder / "c.pt"), threads=2)
    assert torch.get_num_threads() == 1


def test_the_epochs_before_are_reported_again_when_a_run_goes_on(study: Path, folder: Path) -> None:
    spec, registry = first_run(study)
    with pytest.raises(KilledError):
        train(spec, registry, Disk(folder / "c.pt", 3))
    disk = Disk(folder / "c.pt")
    train(spec, registry, disk)
    assert [record["epoch"] for record in disk.records] == [1, 2]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nothing", None])
def test_a_damaged_checkpoint_is_none(damage: bytes | None, folder: Path) -> None:
    file = folder / "c.pt"
    write_checkpoint(file, "key", {"a": torch.zeros(1000)})
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(NoCheckpointError, match="its checksum does not match"):
        read_checkpoint(file, "key")


def test_one_changed_bit_of_a_checkpoint_is_noticed(folder: Path) -> None:
    file = folder / "c.pt"
    write_checkpoint(file, "key", {"a": torch.zeros(1000)})
    whole = file.read_bytes()
    for place in range(0, len(whole), 61):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(NoCheckpointError):
            read_checkpoint(file, "key")


def test_where_there_is_no_checkpoint_a_run_begins(folder: Path) -> None:
    assert read_checkpoint(folder / "c.pt", "key") is None


def test_a_checkpoint_of_another_run_is_none(folder: Path) -> None:
    write_checkpoint(folder / "c.pt", "key", {})
    with pytest.raises(NoCheckpointError, match="not this run's"):
        read_checkpoint(folder / "c.pt", "other")


def test_the_checkpoint_of_another_version_is_not_gone_on_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "checkpoint.pt"
    with monkeypatch.context() as older:
        older.setattr("ablate.training.checkpoint.FORMAT", 2)
        write_checkpoint(file, "key", {"threads": 1})
    with pytest.raises(NoCheckpointError, match="another version of ablate wrote it"):
        read_checkpoint(file, "key")


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("hacked"),))


def test_a_hostile_checkpoint_runs_nothing(folder: Path) -> None:
    content = io.BytesIO()
    torch.save({"format": 2, "key": "key", "model": Hostile()}, content, pickle_module=pickle)
    write_checked(folder / "c.pt", content.getvalue())
    with pytest.raises(NoCheckpointError, match="cannot be read"):
        read_checkpoint(folder / "c.pt", "key")
    assert not Path("hacked").exists()


def test_short_epochs_share_a_checkpoint(study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec, registry = first_run(study, "baseline.epochs=4")
    kept = []
    monkeypatch.setattr(Disk, "keep", lambda _, state: kept.append(state["epoch"]))
    for least, most in ((0.0, 3), (1000.0, 0)):
        kept.clear()
        monkeypatch.setattr("ablate.training.run.KEEP_SECONDS", least)
        train_run(spec, registry, Machine(Path("data"), "cpu", 1), Disk(tmp_path / "state"), Limits())
        assert len(kept) == most
