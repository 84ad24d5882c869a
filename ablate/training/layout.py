"""The memory layout of a network: channels last, which CPUs convolve faster, except where it gives wrong results.

oneDNN's gradient of a 1x1 convolution of stride 2 or more by its weight, on fewer channels than a register holds
(8 with AVX2, 16 with AVX-512), is wrong in that layout, or crashes, or hangs, depending on the number of threads and
the size. Such layers run in torch's usual layout. Source: https://github.com/uxlfoundation/oneDNN/issues/6035 and
`benchmarks/layouts.py`, whose table is in docs/decisions/011-memory-layout.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator

USUAL = torch.contiguous_format
NARROW = 16
"""Fewer input channels per group than this do not fill a register of some CPU; one limit for all of them."""


def layout_for(usual: str) -> torch.memory_format:
    """Return the layout of a model: torch's usual one if there is a reason for it, `usual`, else channels last."""
    return USUAL if usual else torch.channels_last


def lay_out(model: nn.Module, device: torch.device, layout: torch.memory_format) -> None:
    """Put a model's weights into a layout; on CPUs, layers that channels last is wrong for keep the usual one."""
    model.to(memory_format=layout)
    if layout != torch.channels_last or device.type != "cpu":
        return
    for conv in narrow_strided(model):
        weight = conv._parameters.get("weight")  # noqa: SLF001  # absent if it is computed from others
        if weight is not None:
            weight.data = as_usual(weight.data)
        conv.register_forward_pre_hook(_enter)
        conv.register_forward_hook(_leave)


def narrow_strided(model: nn.Module) -> Iterator[nn.Conv2d]:
    """Yield the 1x1 convolutions of stride 2 or more on few channels."""
    for module in model.modules():
        if (
            isinstance(module, nn.Conv2d)
            and tuple(module.kernel_size) == (1, 1)
            and max(module.stride) > 1
            and module.in_channels // module.groups < NARROW
        ):
            yield module


def as_usual(tensor: Tensor) -> Tensor:
    """Return a tensor in the usual layout, even if one of its sides is 1, where `contiguous` sees no difference."""
    return tensor.flatten(1).view(tensor.shape)


def _enter(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    images, *rest = given
    return as_usual(images), *rest


def _leave(_: nn.Module, __: tuple[Any, ...], made: Tensor) -> Tensor:
    return made.contiguous(memory_format=torch.channels_last) if made.dim() == 4 else made
