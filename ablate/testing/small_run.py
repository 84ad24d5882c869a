"""A run of a few steps with the component under test and plain stand-ins for the others."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..components.contracts import Horizon, ImageShape, Kind
from ..components.registry import Entry
from ..data.images import Data, Images
from ..training.contracts import build_transform, check_module, check_optimizer, check_scheduler
from ..training.ingredients import Ingredients
from ..training.layout import USUAL
from ..training.loop import begin_epoch, evaluate, step_schedule, train_epoch
from ..training.resume_check import check_resuming
from .subject import fail, seed_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from .subject import Subject

BATCH, STEPS_PER_EPOCH, EPOCHS = 4, 3, 6


def an_interrupted_run_ends_with_the_same_bits(subject: Subject) -> None:
    """Check that a run that goes through a checkpoint takes the next steps with the same numbers."""
    run = _run(subject)
    _train(run, 1)
    if doubt := check_resuming(run, _entries(subject), partial(_run, subject), _train):
        fail(doubt)


def _linear(shape: ImageShape, classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes))


def _momentum(params: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=0.01, momentum=0.9)


def _constant(optimizer: torch.optim.Optimizer, horizon: Horizon) -> torch.optim.lr_scheduler.LRScheduler:  # noqa: ARG001
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


_STAND_INS: dict[Kind, Callable[..., Any]] = {"model": _linear, "optimizer": _momentum, "scheduler": _constant}


def _entries(subject: Subject) -> list[Entry]:
    """Return the entries of model, optimizer, scheduler and, where that is what is checked, augmentation."""
    entry = subject.entry
    parts = [
        entry if entry.kind == kind else Entry(kind, "stand-in", factory, "", Path(__file__), 1, ())
        for kind, factory in _STAND_INS.items()
    ]
    return [*parts, entry] if entry.kind == "augmentation" else parts


def _run(subject: Subject) -> Ingredients:
    """Build the run, the same each time."""
    model_of, optimizer_of, scheduler_of, *augmentations = _entries(subject)
    side = subject.entry.side_after(subject.settings)
    if side:  # images of the size that it brings them to, which it may enlarge
        subject = replace(subject, shape=subject.shape._replace(height=side, width=side))

    def build(entry: Entry, *args: Any) -> Any:
        return subject.build(*args) if entry is subject.entry else entry.build(*args, settings={})

    torch.manual_seed(0)
    model = build(model_of, subject.shape, subject.classes)
    check_module(model_of, model)
    pixels = subject.images(BATCH * STEPS_PER_EPOCH)
    half = torch.full((1, subject.shape.channels, 1, 1), 0.5)
    data = Data(Images(pixels, torch.arange(len(pixels)) % subject.classes), None, None, half, half, side)
    with torch.no_grad():
        model.eval()(torch.zeros(2, *subject.shape))  # which gives lazy modules their shapes
    optimizer = build(optimizer_of, [p for p in model.parameters() if p.requires_grad])
    check_optimizer(optimizer_of, optimizer, model)
    scheduler = build(scheduler_of, optimizer, Horizon(EPOCHS, STEPS_PER_EPOCH))
    check_scheduler(scheduler_of, scheduler, optimizer)
    transforms = [build_transform(entry, subject.settings) for entry in augmentations]
    noise = [torch.Generator().manual_seed(1) for _ in transforms]
    seed_process(2)
    return Ingredients(
        model, subject.classes, optimizer, scheduler, scheduler_of.steps, transforms, data, BATCH,
        torch.Generator().manual_seed(3), noise, layout=USUAL,
    )  # fmt: skip


def _train(run: Ingredients, number: int) -> list[float]:  # noqa: ARG001  # the form that is asked for
    """Train for an epoch, and return what came out."""
    loss = train_epoch(run, begin_epoch(run))
    if run.steps == "epoch":
        step_schedule(run, loss)
    return [loss, *evaluate(run, run.data.train)]
