"""What a model's forward pass costs, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..components.registry import Registry
    from ..study.spec import RunSpec


def forward_flops(spec: RunSpec, registry: Registry) -> int:
    """Count the floating-point operations of a run's model for one image, a multiplication and an addition as two."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from ..study.seen import seen_shape
    from .build import first_model

    model = first_model(spec, registry).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, *seen_shape(spec, registry)))
    return int(counter.get_total_flops())
