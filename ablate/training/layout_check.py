"""A model's first gradients in channels-last layout, compared with those in the usual one: kernels can be wrong."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from .build import build
from .layout import USUAL
from .loop import at_once, descend, middle
from .preserved import preserved_model

if TYPE_CHECKING:
    from torch import Tensor

    from ..components.registry import Registry
    from ..data.images import Data
    from ..study.spec import RunSpec
    from .ingredients import Ingredients

PROVEN_ON = 16
"""At most this many images, and no more than a training step takes at once."""
ROUNDING = 0.01
"""How far apart two layouts may be, as a share of a gradient's length. Wrong ones were off by half or more."""
AS_EXACT = 10
"""In a network that amplifies rounding, channels last may be this many times as far from float64 as usual."""


def layout_doubt(spec: RunSpec, registry: Registry, data: Data) -> str:
    """Return why a run's model cannot be trained in channels-last layout on this CPU, "" if it can.

    data: both layouts are tried on images of its test split. Takes the time of a few small steps.
    """
    last, usual = (build(spec, registry, data, layout=layout) for layout in (torch.channels_last, USUAL))
    ours, wanted = _gradients(last), _gradients(usual)
    if _apart(ours, wanted) <= ROUNDING:
        return ""
    if _apart(_gradients(usual), wanted):
        return ""  # the model draws random numbers, and cannot be compared
    try:
        exact = _gradients(_in_float64(usual))
        limit = max(ROUNDING, AS_EXACT * _apart(wanted, exact))
        fits = _apart(ours, exact) <= limit
    except RuntimeError:  # a model that is written for float32
        fits = False
    return "" if fits else "its first gradients in channels-last layout are wrong on this machine"


def _in_float64(run: Ingredients) -> Ingredients:
    run.model.double()
    return replace(run, data=replace(run.data, mean=run.data.mean.double(), std=run.data.std.double()))


def _gradients(run: Ingredients) -> list[Tensor]:
    """Return the gradients of a first step, in full precision, without augmentation; the model stays unchanged."""
    split = run.data.test or run.data.train
    count = min(PROVEN_ON, at_once(run.batch_size, run.accumulate), len(split))
    rows = torch.arange(count, device=split.place)
    images, labels = split.take(rows)
    with preserved_model(run):
        torch.manual_seed(0)
        run.model.train()
        run.optimizer.zero_grad(set_to_none=True)
        descend(replace(run, precision="fp32"), middle(images, run.data.side).to(run.data.mean.dtype) / 255, labels)
        return [p.grad.double() for p in run.model.parameters() if p.grad is not None]


def _apart(found: list[Tensor], wanted: list[Tensor]) -> float:
    """Return the largest distance between gradients, each as a share of its own length; inf if one is nan.

    A gradient that is zero up to rounding has no scale of its own: its length counts as a thousandth of the longest.
    """
    if len(found) != len(wanted):
        return math.inf
    least = 1e-3 * max((float(w.norm()) for w in wanted), default=0.0)
    shares = [float((f - w).norm()) / (max(float(w.norm()), least) or 1.0) for f, w in zip(found, wanted, strict=True)]
    return max((math.inf if math.isnan(share) else share for share in shares), default=0.0)
