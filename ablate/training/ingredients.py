"""The records of a run under way: all that it trains with, and the epoch that it is in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler
    from torch.optim.swa_utils import AveragedModel

    from ..components.contracts import BatchTransform, MixingTransform, Steps
    from ..data.images import Data


@dataclass(frozen=True)
class Ingredients:
    """Everything that one run trains with, built and on the device.

    loss: the mean loss of logits (B, classes) with labels (B,) or shares of classes (B, classes).
    order: draws the order of the training images (on the CPU, so that all devices see the same order);
    noise: a generator for each transform, on the images' device. average: of the weights, evaluated in their place;
    layout: of images and weights in memory. The other numbers are those of a `Recipe`.
    replay: replaces `descend` for batches of the usual shape; returns None for any other.
    """

    model: nn.Module
    classes: int
    optimizer: Optimizer
    scheduler: LRScheduler
    steps: Steps
    transforms: Sequence[BatchTransform | MixingTransform]
    data: Data
    batch_size: int
    order: torch.Generator
    noise: Sequence[torch.Generator]
    average: AveragedModel | None = None
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy
    clip_norm: float = 0.0
    accumulate: int = 1
    precision: str = "fp32"
    replay: Callable[[Tensor, Tensor], Tensor | None] | None = None
    layout: torch.memory_format = torch.channels_last


@dataclass
class Epoch:
    """An epoch under way: the order of its images, how many steps are done, and what they gave.

    losses: each step's mean loss, on the device. lr: the learning rate of the last step. seconds: the time that the
    steps have taken so far.
    """

    order: Tensor
    losses: Tensor
    step: int = 0
    lr: float = math.nan
    seconds: float = 0.0

    def mean_loss(self, batch_size: int) -> float:
        """Return the mean loss of the images seen so far; waits for the device."""
        sizes = [min(batch_size, len(self.order) - step * batch_size) for step in range(self.step)]
        losses: list[float] = self.losses[: self.step].tolist()
        return sum(size * loss for size, loss in zip(sizes, losses, strict=True)) / sum(sizes)

    def diverged_at(self) -> int:
        """Return the first step (from 1) whose loss is not finite, 0 if there is none; waits for the device."""
        losses = self.losses[: self.step].tolist()
        return next((step for step, loss in enumerate(losses, 1) if not math.isfinite(loss)), 0)
