"""What a run minimises: the mean of its loss over a batch, as one function of logits and targets."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..components.contracts import USUAL_LOSS
from ..components.schema import arguments
from ..errors import RunError
from .augment import one_hot
from .contracts import check_loss, named
from .randomness import preserved_random

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ..components.registry import Entry

TRIED = 4
"""How many images' logits a loss is tried on."""


def mean_loss(
    entry: Entry, settings: Mapping[str, Any], classes: int, label_smoothing: float
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function of logits (B, classes) and labels (B,) or shares of classes (B, classes): their mean loss.

    label_smoothing: share of each label that is spread over all classes. Raises RunError where the loss of a few
    logits is no loss of each image; the function does for shares where the loss takes none.
    """
    if entry.name == USUAL_LOSS:
        # One kernel, and the last bits of all runs before there were other losses.
        return partial(cross_entropy, label_smoothing=label_smoothing)
    _try(entry, settings, classes)
    chosen, takes_shares = arguments(entry.settings, settings), entry.shares

    def mean(logits: Tensor, targets: Tensor) -> Tensor:
        if takes_shares:
            targets = one_hot(targets, classes) if targets.ndim == 1 else targets
            targets = targets * (1 - label_smoothing) + label_smoothing / classes if label_smoothing else targets
        elif targets.ndim > 1:
            raise RunError(f"{named(entry)} takes labels, and an augmentation mixes them into shares of classes")
        loss: Tensor = entry.factory(logits, targets, **chosen).mean()
        return loss

    return mean


def _try(entry: Entry, settings: Mapping[str, Any], classes: int) -> None:
    """Try a loss on a few logits."""
    logits = torch.linspace(-2, 2, TRIED * classes).reshape(TRIED, classes).requires_grad_()
    labels = torch.arange(TRIED) % classes
    with preserved_random():
        loss = entry.build(logits, one_hot(labels, classes) if entry.shares else labels, settings=settings)
    check_loss(entry, loss, logits)
