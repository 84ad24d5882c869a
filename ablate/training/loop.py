"""The training loop: flat, short, free of the registry and of files."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from ..components.contracts import BatchTransform, Steps
    from .data import Data, Images

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Ingredients:
    """All that one run trains with, built and on the device.

    order: draws the order of the training images (on the CPU, so that all devices see the same order);
    noise: one for each transform, on the images' device.
    """

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler
    steps: Steps
    transforms: Sequence[BatchTransform]
    data: Data
    batch_size: int
    order: torch.Generator
    noise: Sequence[torch.Generator]


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Return the number of optimizer steps in an epoch.

    A last batch of a single image is left out: batch normalisation has no variance to divide by.
    """
    whole, rest = divmod(images, batch_size)
    return max(1, whole + (rest > 1 or (rest == 1 and batch_size == 1)))


@dataclass
class Epoch:
    """An epoch under way: the order of its images, how many steps are done, and what they gave.

    loss is the sum over the images seen, kept on the device; lr is the learning rate of the last step;
    seconds is the time that its steps have taken so far; broke is the first step (from 0) whose loss was not
    finite, -1 while there is none, kept on the device too.
    """

    order: Tensor
    loss: Tensor
    step: int = 0
    seen: int = 0
    lr: float = math.nan
    seconds: float = 0.0
    broke: Tensor = field(default_factory=lambda: torch.tensor(-1))


def begin_epoch(run: Ingredients) -> Epoch:
    """Draw the order of an epoch's images."""
    device = run.data.train.images.device
    order = torch.randperm(len(run.data.train), generator=run.order)
    return Epoch(order.to(device), torch.zeros((), device=device), broke=torch.tensor(-1, device=device))


def train_epoch(run: Ingredients, epoch: Epoch, on_step: Callable[[Epoch], None] | None = None) -> float:
    """Train for the rest of an epoch and return its mean loss per image.

    The loss is that of the augmented images under the weights of the moment, as training saw it.
    on_step: called after each step; what it raises ends the epoch there, and `epoch` says where.
    """
    model, data = run.model.train(), run.data
    for step in range(epoch.step, steps_per_epoch(len(data.train), run.batch_size)):
        batch = epoch.order[step * run.batch_size : (step + 1) * run.batch_size]
        images = data.train.images[batch].float().div_(255)
        for transform, noise in zip(run.transforms, run.noise, strict=True):
            images = transform(images, noise)
        labels = data.train.labels[batch]
        loss = cross_entropy(model(images.sub(data.mean).div(data.std)), labels)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        epoch.lr = float(run.optimizer.param_groups[0]["lr"])
        run.optimizer.step()
        if run.steps == "batch":
            run.scheduler.step()
        # Summed on the device: reading it here would wait for the device at every step.
        summed = loss.detach() * len(batch)
        epoch.broke = torch.where((epoch.broke < 0) & ~summed.isfinite(), step, epoch.broke)
        epoch.loss += summed
        epoch.seen += len(batch)
        epoch.step = step + 1
        if on_step is not None:
            on_step(epoch)
    return epoch.loss.item() / epoch.seen


@torch.inference_mode()
def evaluate(model: nn.Module, images: Images, data: Data) -> tuple[float, float]:
    """Return the mean cross-entropy and the accuracy (a fraction) over a split, without augmentation."""
    model.eval()
    loss = torch.zeros((), device=images.images.device, dtype=torch.float32)
    right = torch.zeros((), device=images.images.device, dtype=torch.int64)
    for start in range(0, len(images), EVALUATION_BATCH):
        labels = images.labels[start : start + EVALUATION_BATCH]
        batch = images.images[start : start + EVALUATION_BATCH].float().div_(255)
        logits: Tensor = model(batch.sub_(data.mean).div_(data.std))
        loss += cross_entropy(logits, labels, reduction="sum")
        right += (logits.argmax(1) == labels).sum()
    return loss.item() / len(images), right.item() / len(images)


def check_logits(logits: object, batch: int, classes: int) -> None:
    """Raise RunError where a model's output is not logits of shape (B, classes)."""
    if not isinstance(logits, Tensor):
        raise RunError(f"the model returns {type(logits).__name__}, not a tensor of logits")
    if tuple(logits.shape) != (batch, classes):
        raise RunError(f"the model returns shape {tuple(logits.shape)}, not (batch, classes) = ({batch}, {classes})")
