"""A rehearsal proves that a run can be interrupted, and names the component with which it cannot."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from ablate.errors import RunError
from ablate.training.python_state import python_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.training.rehearsal import Rehearsal

RAMP = """@augmentation("mine")
def mine():
    seen = 0
    def apply(images, generator):
        nonlocal seen
        seen += 1
        return (images * (1 - {amount})).clamp(0, 1)
    return apply
"""
OWN = """@augmentation("mine")
def mine():
    rng = np.random.default_rng(0)
    def apply(images, generator):
        noise = torch.from_numpy(rng.random(images.shape, dtype=np.float32))
        return (images + 0.1 * noise).clamp(0, 1)
    return apply
"""
GLOBAL = """SEEN = [0]
@augmentation("mine")
def mine():
    def apply(images, generator):
        SEEN[0] += images.is_contiguous()  # something that is in no object
        return images * (1 - 1e-6 * SEEN[0])
    return apply
"""
COUNTING = """@model("mine")
def mine(shape, classes):
    class Counting(nn.Linear):
        calls = 0
        def forward(self, x):
            self.calls += 1
            return super().forward(x.flatten(1)) * {scale}
    return Counting(64, classes)
"""
KEPT_BY_HAND = """@model("mine")
def mine(shape, classes):
    class Counting(nn.Linear):
        calls = 0
        def forward(self, x):
            self.calls += 1
            return super().forward(x.flatten(1)) * (1 + 0.1 * self.calls)
        def get_extra_state(self):
            return {"calls": self.calls}
        def set_extra_state(self, state):
            self.calls = state["calls"]
    return Counting(64, classes)
"""
BUFFER = """@model("mine")
def mine(shape, classes):
    class Warm(nn.Linear):
        def __init__(self):
            super().__init__(64, classes)
            self.register_buffer("t", torch.zeros(()), persistent=False)
        def forward(self, x):
            if self.training:
                self.t += 0.1
            return super().forward(x.flatten(1)) * (1 + self.t)
    return Warm()
"""
STEPS = """@optimizer("mine")
def mine(params, *, lr: float):
    class Slowing(torch.optim.SGD):
        taken = 0
        def step(self):
            self.taken += 1
            for group in self.param_groups:
                for p in group["params"]:
                    p.data.sub_(p.grad, alpha=group["lr"] / self.taken)
    return Slowing(params, lr=lr)
"""
BY_NUMPY = """@scheduler("mine", steps="epoch")
def mine(optimizer, horizon):
    class Line(torch.optim.lr_scheduler.LRScheduler):
        def __init__(self, optimizer):
            self.factors = np.linspace(1.0, 0.1, horizon.epochs + 1)
            super().__init__(optimizer)
        def get_lr(self):
            return [base * self.factors[self.last_epoch] for base in self.base_lrs]
    return Line(optimizer)
"""
LAMBDA = BY_NUMPY.replace("np.linspace(1.0, 0.1, horizon.epochs + 1)", "{'at': lambda epoch: 0.5}").replace(
    "self.factors[self.last_epoch]", "self.factors['at'](self.last_epoch)"
)
FORGETFUL = BY_NUMPY + '    Line.state_dict = lambda self: {"last_epoch": 0}\n    return Line(optimizer)\n'
FORGETFUL = FORGETFUL.replace("    return Line(optimizer)\n    Line", "    Line")


@pytest.mark.parametrize(
    ("kind", "code", "text"),
    [
        ("augmentation", RAMP.format(amount="0.1 * min(1, seen / 50)"), "(seen): a run that is interrupted would end"),
        ("augmentation", OWN, "(rng): a run that is interrupted would end with other numbers; return an object with"),
        ("model", COUNTING.format(scale="(1 + 0.1 * self.calls)"), "(calls): a run that is interrupted would end"),
        ("optimizer", STEPS, "(taken): a run that is interrupted would end with other numbers; keep it in its state"),
        ("scheduler", FORGETFUL, "(last_epoch"),
    ],
)
def test_state_that_no_checkpoint_holds_is_refused_by_name(
    tried: Callable[..., Rehearsal], kind: str, code: str, text: str
) -> None:
    more = {"lr": "0.1"} if kind == "optimizer" else {}
    place = f"{kind} 'mine' (plugins/mine.py:8) keeps state that no checkpoint holds "
    with pytest.raises(RunError, match=re.escape(place + text)):
        tried(code, kind, **more)


def test_a_state_that_cannot_be_written_is_refused_by_name(tried: Callable[..., Rehearsal]) -> None:
    text = (
        "scheduler 'mine' (plugins/mine.py:8) has a state that cannot be kept: 'factors.at' is of type function. Leave"
    )
    with pytest.raises(RunError, match=re.escape(text)):
        tried(LAMBDA, "scheduler")


@pytest.mark.parametrize(
    ("kind", "code"),
    [("model", KEPT_BY_HAND), ("model", BUFFER), ("scheduler", BY_NUMPY), ("augmentation", "kept")],
)
def test_state_that_a_checkpoint_holds_is_welcome(tried: Callable[..., Rehearsal], kind: str, code: str) -> None:
    kept = """@augmentation("mine")
def mine():
    return Ramp()
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
"""
    assert tried(kept if code == "kept" else code, kind).warning == ""


def test_a_counter_without_effect_so_far_is_doubtful(tried: Callable[..., Rehearsal]) -> None:
    found = tried(RAMP.format(amount="0.1 * (seen > 1000)"), "augmentation")
    assert (
        found.warning == "no checkpoint keeps seen of augmentation 'mine' (plugins/mine.py:8), and training changes it"
    )
    assert "no checkpoint keeps calls" in tried(COUNTING.format(scale="1"), "model").warning


def test_a_cache_that_is_filled_is_not_doubtful(tried: Callable[..., Rehearsal]) -> None:
    code = """@augmentation("mine")
def mine():
    cache = {}
    def apply(images, generator):
        return images * cache.setdefault(images.shape, 0.5)
    return apply
"""
    assert tried(code, "augmentation").warning == ""


def test_half_a_state_is_refused(tried: Callable[..., Rehearsal]) -> None:
    code = """@augmentation("mine")
def mine():
    class Half:
        def __call__(self, images, generator): return images
        def state_dict(self): return {}
    return Half()
"""
    with pytest.raises(
        RunError, match=re.escape("mine.py:8) has state_dict() without load_state_dict(): a checkpoint")
    ):
        tried(code, "augmentation")


def test_state_in_a_global_is_noticed(tried: Callable[..., Rehearsal]) -> None:
    with pytest.raises(RunError, match=r"mine.py:9\) makes other pixels of the same images"):
        tried(GLOBAL.replace("1e-6", "0.1"), "augmentation")
    assert tried(GLOBAL, "augmentation").warning.startswith("the same steps taken twice give other numbers")


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_schedule_is_not_stepped_beyond_its_run(tried: Callable[..., Rehearsal], epochs: int) -> None:
    code = BY_NUMPY.replace("self.factors[self.last_epoch]", f"self.factors[self.last_epoch] * (1 / ({epochs} >= 0))")
    assert tried(code, "scheduler").warning == ""


def test_what_is_held_in_python_is_found_by_path() -> None:
    class Thing:
        __slots__ = ("count", "deep")

        def __init__(self) -> None:
            self.count, self.deep = 1, [rng, {"a": torch.ones(2)}]

    rng, total = np.random.default_rng(0), 2.5
    thing = Thing()

    def apply() -> object:
        return thing, total

    before = python_values(apply)
    assert set(before) == {"thing.count", "thing.deep.0", "thing.deep.1.a", "total"}
    rng.random()
    assert {path for path, found in python_values(apply).items() if found != before[path]} == {"thing.deep.0"}


def test_parameters_and_buffers_are_no_state_in_python() -> None:
    layer = nn.BatchNorm2d(3)
    assert not {"weight", "running_mean", "num_batches_tracked"} & python_values(layer).keys()
