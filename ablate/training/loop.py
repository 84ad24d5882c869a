"""The training loop: flat, short, free of the registry and of files."""

from __future__ import annotations

from dataclasses import dataclass
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
    noise: draws the augmentations, on the images' device.
    """

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler
    steps: Steps
    transforms: Sequence[BatchTransform]
    data: Data
    batch_size: int
    order: torch.Generator
    noise: torch.Generator


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Return the number of optimizer steps in an epoch.

    A last batch of a single image is left out: batch normalisation has no variance to divide by.
    """
    whole, rest = divmod(images, batch_size)
    return max(1, whole + (rest > 1 or (rest == 1 and batch_size == 1)))


def train_epoch(run: Ingredients, on_step: Callable[[int], None] | None = None) -> tuple[float, float]:
    """Train for one epoch and return the mean loss per image and the learning rate of its last step.

    The loss is that of the augmented images under the weights of the moment, as training saw it.
    """
    model, data = run.model.train(), run.data
    order = torch.randperm(len(data.train), generator=run.order).to(data.train.images.device)
    total = torch.zeros((), device=data.train.images.device)
    seen, lr = 0, float("nan")
    for step in range(steps_per_epoch(len(data.train), run.batch_size)):
        batch = order[step * run.batch_size : (step + 1) * run.batch_size]
        images = data.train.images[batch].float().div_(255)
        for transform in run.transforms:
            images = transform(images, run.noise)
        labels = data.train.labels[batch]
        loss = cross_entropy(model(images.sub(data.mean).div(data.std)), labels)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        lr = float(run.optimizer.param_groups[0]["lr"])
        run.optimizer.step()
        if run.steps == "batch":
            run.scheduler.step()
        # Summed on the device: reading it here would wait for the device at every step.
        total += loss.detach() * len(batch)
        seen += len(batch)
        if on_step is not None:
            on_step(step)
    return total.item() / seen, lr


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
