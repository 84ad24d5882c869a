"""Whether a run has diverged: the largest of scores that are nan is that of class 0, which is right for some images."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

    from .ingredients import Ingredients


@torch.no_grad()
def finite_tensors(model: nn.Module) -> frozenset[str]:
    """Return the names of a model's weights and buffers whose values are all finite; those of a mask may not be."""
    return frozenset(name for name, tensor in _named(model) if bool(torch.isfinite(tensor).all()))


def divergence(record: Mapping[str, Any], not_finite: str) -> str:
    """Say what is no longer finite after an epoch: a loss, or a tensor of the model; "" if everything is."""
    for split in ("train", "validation", "test"):
        loss = record.get(f"{split}/loss", 0.0)
        if not math.isfinite(loss):
            return f"the {'training' if split == 'train' else split} loss is {loss} in epoch {record['epoch']}"
    return f"the model's {not_finite} is not finite after epoch {record['epoch']}" if not_finite else ""


@torch.no_grad()
def first_not_finite(run: Ingredients, were_finite: frozenset[str]) -> str:
    """Name a weight or buffer of the evaluated network that was finite and no longer is; "" if there is none.

    Infinite batch statistics make all scores equal, and so leave the loss finite. Waits for the device.
    """
    network = run.model if run.average is None else run.average.module
    found = {name: torch.isfinite(tensor).all() for name, tensor in _named(network) if name in were_finite}
    device = run.data.mean.device
    if not found or bool(torch.stack([whole.to(device) for whole in found.values()]).all()):
        return ""
    return next(name for name, whole in found.items() if not whole)


def _named(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return chain(model.named_parameters(), model.named_buffers())
