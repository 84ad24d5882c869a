"""The range test of a run: it leaves no trace, and a run trains with what it found."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from ablate.errors import RunError, StoppedError
from ablate.study.spec import Limits, RangeTest, RunSpec
from ablate.training.build import build, load
from ablate.training.checkpoint import capture
from ablate.training.learning_rates import RangeTestResult
from ablate.training.loop import begin_epoch, train_epoch
from ablate.training.machine import Machine
from ablate.training.range_test import find_lr, range_test
from ablate.training.rehearsal import rehearse
from ablate.training.run import train_run
from tests.support import first_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.components.registry import Registry
    from ablate.data.predictions import Predictions
    from ablate.training.checkpoint import State
    from ablate.training.ingredients import Ingredients

    Write = Callable[[str, str], Path]

ODD = '''
import random

import numpy as np
import torch
from torch import nn

from ablate import model, optimizer


class Odd(nn.Module):
    """Keeps state in every place that a module has, and draws from every global stream."""

    def __init__(self, inputs, classes):
        super().__init__()
        self.linear = nn.Linear(inputs, classes)
        self.norm = nn.BatchNorm1d(inputs)
        self.register_buffer("hidden", torch.zeros(inputs), persistent=False)
        self.loose = torch.zeros(3)
        self.passes = 0

    def forward(self, images):
        self.passes += 1
        self.loose += 1
        flat = self.norm(images.flatten(1))
        self.hidden = 0.9 * self.hidden + flat.mean(0).detach()
        return self.linear(nn.functional.dropout(flat, 0.3, self.training) + self.hidden)


@model("odd")
def odd(shape, classes):
    return Odd(shape.channels * shape.height * shape.width, classes)


class Random(nn.Linear):
    def forward(self, images):
        return super().forward(images.flatten(1)) * (0.5 + 0.25 * random.random() + 0.25 * np.random.rand())


@model("random")
def random_noise(shape, classes):
    return Random(shape.channels * shape.height * shape.width, classes)


@optimizer("two-rates")
def two_rates(params, *, lr: float):
    first, *rest = params
    return torch.optim.SGD([{"params": [first]}, {"params": rest, "lr": 10 * lr}], lr=lr, momentum=0.9)
'''

RECIPES = [
    'baseline.model={ use = "enhanced-cnn", width = 4, hidden = 8, dropout = 0.5 }',
    'baseline.model={ use = "odd" }',
    'baseline.model={ use = "timm:test_resnet" }',
    'baseline.optimizer={ use = "sgd", lr = 0.01, momentum = 0.9, nesterov = true }',
    'baseline.optimizer={ use = "torch:Adagrad", lr = 0.01 }',
    'baseline.optimizer={ use = "timm:lion", lr = 0.01 }',
    'baseline.optimizer={ use = "two-rates", lr = 0.01 }',
    'baseline.augmentation=[{ use = "mixup" }, { use = "random-crop", padding = 1 }, { use = "random-erasing" }]',
    'baseline.model={ use = "random" }',
    'baseline.scheduler={ use = "one-cycle" }',
    'baseline.scheduler={ use = "warmup-cosine" }',
    "baseline.ema=0.9",
    "baseline.precision=bf16",
    "baseline.accumulate=3",
    "baseline.clip_norm=0.1",
]


@pytest.fixture
def odd_study(study: Path, write: Write) -> Path:
    write("plugins/odd.py", ODD)
    return study


def built(study: Path, *settings: str) -> Ingredients:
    spec, registry = first_run(study, *settings)
    return build(spec, registry, load(spec, registry, Path("data"), torch.device("cpu")))


def bits(value: Any) -> Any:
    """Return a nest of tensors and plain values as something that is equal only where all bits are."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.detach().reshape(-1).view(torch.uint8).tolist()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): bits(inner) for key, inner in value.items()}
    return [bits(inner) for inner in value] if isinstance(value, (list, tuple)) else repr(value)


def everything(run: Ingredients) -> Any:
    """Return all of a run that a step of training can change."""
    modules = [
        {
            "mode": module.training,
            "attributes": {k: v for k, v in vars(module).items() if isinstance(v, (int, float, torch.Tensor))},
            "parameters": dict(module.named_parameters(recurse=False)),
            "buffers": dict(module.named_buffers(recurse=False)),
        }
        for module in run.model.modules()
    ]
    gradients = [p.grad for p in run.model.parameters()]
    called = vars(run.optimizer).get("_opt_called")
    return bits([capture(run, 1, None, []), modules, gradients, called])


class Memory:
    """A recorder that keeps what a range test found, and the last state."""

    def __init__(self, state: State | None = None, found: RangeTestResult | None = None) -> None:
        self.state, self.range_test, self.tests = state, found, 0
        self.stops = False

    def resume(self) -> State | None:
        return self.state

    def stopping(self) -> bool:
        return self.stops

    def keep(self, state: State) -> None:
        self.state = state

    def unusable(self, why: str) -> None:
        raise AssertionError(why)

    def kept_range_test(self) -> RangeTestResult | None:
        return self.range_test

    def keep_range_test(self, result: RangeTestResult) -> None:
        self.range_test = result
        self.tests += 1

    def keep_predictions(self, predictions: Predictions) -> None:
        pass

    def started(self, environment: Any, records: Any) -> None:
        pass

    def under_way(self, epoch: int, share: float) -> None:
        pass

    def epoch(self, record: Any) -> None:
        pass


def trained(spec: RunSpec, registry: Registry, memory: Memory | None = None) -> dict[str, Any]:
    return train_run(spec, registry, Machine(Path("data"), "cpu", 1), memory or Memory(), Limits())


FIND = "baseline.optimizer.lr={ find = true, high = 1.0, steps = 60 }"


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_range_test_leaves_no_trace_in_any_bit(odd_study: Path, recipe: str) -> None:
    run = built(odd_study, recipe)
    before, weights = everything(run), list(run.model.parameters())
    curve = range_test(run, 1e-5, 1.0, 20)
    assert len(curve.lrs) > 3
    assert everything(run) == before
    assert all(p is q for p, q in zip(run.model.parameters(), weights, strict=True))  # those the optimizer has


@pytest.mark.parametrize("recipe", RECIPES)
def test_training_after_a_range_test_has_the_same_bits_as_without(odd_study: Path, recipe: str) -> None:
    tested = built(odd_study, recipe)
    range_test(tested, 1e-5, 1.0, 20)
    train_epoch(tested, begin_epoch(tested))
    after = everything(tested)  # before the other is built, which seeds the global streams again
    plain = built(odd_study, recipe)
    train_epoch(plain, begin_epoch(plain))
    assert everything(plain) == after


def test_a_range_test_in_the_middle_of_training_leaves_no_trace(odd_study: Path) -> None:
    run = built(odd_study, 'baseline.optimizer={ use = "adam", lr = 0.01 }', "baseline.ema=0.9")
    train_epoch(run, begin_epoch(run))
    before = everything(run)
    range_test(run, 1e-5, 1.0, 20)
    assert everything(run) == before


@pytest.mark.parametrize("recipe", ['baseline.model={ use = "odd" }', "baseline.ema=0.9"])
def test_a_range_test_that_raises_leaves_no_trace(odd_study: Path, recipe: str) -> None:
    run = built(odd_study, recipe)
    before, steps = everything(run), iter(range(5))
    with pytest.raises(StopIteration):
        range_test(run, 1e-5, 1.0, 20, lambda: (next(steps), None)[1])
    assert everything(run) == before


def test_the_learning_rate_grows_and_groups_keep_their_ratio(odd_study: Path) -> None:
    run = built(odd_study, 'baseline.optimizer={ use = "two-rates", lr = 0.01 }')
    seen: list[list[float]] = []
    curve = range_test(run, 1e-5, 1e-3, 20, lambda: seen.append([g["lr"] for g in run.optimizer.param_groups]))
    assert [first for first, _ in seen[1:]] == pytest.approx(curve.lrs[:-1])
    assert all(second == pytest.approx(10 * first) for first, second in seen)


def test_a_step_of_a_range_test_is_a_step_of_training(odd_study: Path) -> None:
    settings = ("baseline.label_smoothing=0.1", "baseline.accumulate=2", "baseline.clip_norm=0.5")
    run = built(odd_study, "baseline.optimizer.lr=0.01", *settings)
    curve = range_test(run, 0.01, 0.01 * (1 + 1e-9), 3)
    epoch = begin_epoch(run)
    train_epoch(run, epoch)
    assert list(curve.losses) == pytest.approx(epoch.losses.tolist(), rel=1e-5)


def test_a_range_test_longer_than_an_epoch_goes_on_with_the_next(study: Path) -> None:
    curve = range_test(built(study), 1e-6, 1e-5, 7)
    assert (len(curve.lrs), curve.images) == (7, 7 * 16)


def test_a_range_test_ends_where_the_loss_is_much_worse_than_its_best(study: Path) -> None:
    curve = range_test(built(study, 'baseline.optimizer={ use = "sgd", lr = 0.1 }'), 1e-4, 1000.0, 60)
    assert len(curve.lrs) < 60
    assert all(loss <= 4 * min(curve.smoothed[: step + 1]) for step, loss in enumerate(curve.smoothed[:-1]))
    assert np.isfinite(curve.losses).all()


def test_a_loss_that_falls_nowhere_fails_with_the_range_and_a_way_out(study: Path) -> None:
    with pytest.raises(RunError, match=r"falls nowhere in 20 steps from 1e-12 to 1e-11; widen low and high"):
        find_lr(built(study), RangeTest(low=1e-12, high=1e-11, steps=20), 0)


def test_a_loss_that_is_never_finite_fails_saying_so(study: Path) -> None:
    run = built(study)
    with torch.no_grad():
        next(run.model.parameters()).fill_(float("nan"))
    with pytest.raises(RunError, match="the loss is not finite at 1e-06"):
        find_lr(run, RangeTest(), 0)


def test_a_run_that_finds_its_rate_has_the_bits_of_one_that_was_given_it(study: Path) -> None:
    spec, registry = first_run(study, FIND)
    memory = Memory()
    result = trained(spec, registry, memory)
    assert memory.range_test is not None
    assert result["found_lr"] == memory.range_test.lr == memory.range_test.valley
    given = trained(*first_run(study, f"baseline.optimizer.lr={result['found_lr']!r}"))
    assert given["weights"] == result["weights"]
    assert "found_lr" not in given


def test_the_rule_of_the_study_decides(study: Path) -> None:
    spec, registry = first_run(study, FIND.replace("find = true", 'find = true, rule = "steepest"'))
    memory = Memory()
    result = trained(spec, registry, memory)
    assert memory.range_test is not None
    assert result["found_lr"] == memory.range_test.steepest


def test_the_same_seed_finds_the_same_rate_and_another_has_another_curve(study: Path) -> None:
    spec, registry = first_run(study, FIND)
    memories = [Memory() for _ in range(3)]
    for memory, seed in zip(memories, (0, 0, 1), strict=True):
        trained(replace(spec, seed=seed), registry, memory)
    first, again, other = (memory.range_test for memory in memories)
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.curve.losses == again.curve.losses
    assert first.lr == again.lr
    assert first.curve.losses != other.curve.losses
    assert (first.seed, other.seed) == (0, 1)


def test_a_run_that_goes_on_uses_what_it_recorded_and_ends_with_the_same_bits(study: Path) -> None:
    spec, registry = first_run(study, FIND, "baseline.epochs=4")
    whole = Memory()
    result = trained(spec, registry, whole)

    class Dies(Memory):
        def epoch(self, record: Any) -> None:
            if record["epoch"] == 3:
                raise KeyboardInterrupt

    half = Dies()
    limits = Limits(checkpoint_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        train_run(spec, registry, Machine(Path("data"), "cpu", 1), half, limits)
    assert half.state is not None
    rest = Memory(half.state, half.range_test)
    again = trained(spec, registry, rest)
    assert rest.tests == 0
    assert again["weights"] == result["weights"]
    assert again["found_lr"] == result["found_lr"]


def test_a_recorded_rate_counts_before_the_first_checkpoint_too(study: Path) -> None:
    spec, registry = first_run(study, FIND)
    memory = Memory()
    trained(spec, registry, memory)
    assert memory.range_test is not None
    recorded = Memory(found=replace(memory.range_test, valley=0.123))
    assert trained(spec, registry, recorded)["found_lr"] == 0.123
    assert recorded.tests == 0


def test_the_seconds_of_a_range_test_of_an_earlier_try_count(study: Path) -> None:
    spec, registry = first_run(study, FIND)
    memory = Memory()
    trained(spec, registry, memory)
    assert memory.range_test is not None
    curve = replace(memory.range_test.curve, seconds=5000.0)
    result = trained(spec, registry, Memory(found=replace(memory.range_test, curve=curve)))
    assert result["seconds"] > 5000


def test_a_run_stops_in_its_range_test_when_asked(study: Path) -> None:
    memory = Memory()
    memory.stops = True
    with pytest.raises(StoppedError, match="begins this run again"):
        trained(*first_run(study, FIND), memory)
    assert memory.range_test is None


def test_a_rehearsal_needs_no_range_test(study: Path) -> None:
    spec, registry = first_run(study, FIND)
    assert rehearse(spec, registry, Machine(Path("data"), "cpu", 1)).state_bytes > 0


def test_global_random_streams_are_as_before(study: Path) -> None:
    run = built(study)
    before = random.getstate(), torch.get_rng_state().tolist()
    range_test(run, 1e-5, 1.0, 10)
    assert (random.getstate(), torch.get_rng_state().tolist()) == before


@pytest.mark.parametrize("make", [nn.Dropout, nn.Identity])
def test_hooks_of_a_module_stay(study: Path, make: type[nn.Module]) -> None:
    run = built(study)
    calls: list[int] = []
    run.model.register_forward_hook(lambda *_: calls.append(1))
    run.model.add_module("extra", make())
    range_test(run, 1e-5, 1e-3, 3)
    run.model(torch.zeros(2, 1, 8, 8))
    assert len(calls) == 4
    assert isinstance(run.model.extra, make)


def test_what_was_found_is_plain_json(study: Path) -> None:
    found = find_lr(built(study), RangeTest(high=1.0, steps=60), 0)
    assert RangeTestResult.of(json.loads(json.dumps(found.document()))) == found
