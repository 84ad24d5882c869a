"""Convolve with the live part of a kernel only: on small maps, most taps of a kernel never meet a pixel.

A 3x3 kernel with padding 1 uses one tap of nine on a 1x1 map, and with stride 2 on a 2x2 map four. The rest of the
weight is multiplied by padding alone and its gradient is exactly zero, yet it is read, laid out anew and
differentiated at every step. Left out, nothing changes but the time: the parameters stay whole, and so do their
initialisation, weight decay, gradients (zeros included) and checkpoints. Where a single output position remains,
the convolution is a matrix product, which is much faster computed as one.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, pad

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Axis:
    """What of a kernel meets pixels along one axis.

    live: the taps that ever touch a pixel; start, stop: the smallest range that covers them, the whole kernel where
    there are none; before, after: the padding with which that range gives what the whole kernel gives, negative
    where pixels are left out; outputs: the number of output positions.
    """

    live: tuple[int, ...]
    start: int
    stop: int
    before: int
    after: int
    outputs: int


def live_taps(size: int, kernel: int, stride: int, padding: int | tuple[int, int] | str, dilation: int) -> Axis:
    """Return which taps of a kernel ever touch a pixel along one axis, and how to convolve with these alone.

    size: pixels along the axis; padding: zeros on either side, (before, after), "valid" for none, or "same" for an
    output at every stride-th pixel (as torch has it for stride 1, and TensorFlow for any).
    """
    reach = dilation * (kernel - 1) + 1
    if padding == "same":
        total = max((size - 1) // stride * stride + reach - size, 0)
        before, after = total // 2, total - total // 2
    elif isinstance(padding, str):
        before = after = 0
    else:
        before, after = (padding, padding) if isinstance(padding, int) else padding
    outputs = max((size + before + after - reach) // stride + 1, 0)
    corners = range(-before, outputs * stride - before, stride)
    live = tuple(t for t in range(kernel) if any(0 <= corner + t * dilation < size for corner in corners))
    if not live:
        return Axis((), 0, kernel, before, after, outputs)
    start, stop = live[0], live[-1] + 1
    before -= start * dilation
    least = (outputs - 1) * stride + dilation * (stop - start - 1) + 1 - size - before
    # Up to stride - 1 more leave the outputs as they are: as many as before, if that will do, since conv2d pads so.
    after = min(max(before, least), least + stride - 1)
    return Axis(live, start, stop, before, after, outputs)


def use_live_taps(model: nn.Module) -> None:
    """Make a model's convolutions leave out the taps that meet no pixel, from now on and at any image size.

    Reaches each nn.Conv2d that pads with zeros and convolves as nn.Conv2d does; a subclass that convolves in a way
    of its own is left as it is. Outputs and gradients are equal up to rounding. Parameters, state_dict, hooks,
    classes and repr stay as they were, and copies of the model are prepared as it is. A layer is held to the stride,
    padding and dilation it has now. `use_all_taps` undoes it, which torch.jit.script needs.
    """
    for conv in model.modules():
        if (
            isinstance(conv, nn.Conv2d)
            and type(conv)._conv_forward is nn.Conv2d._conv_forward  # noqa: SLF001
            and conv.padding_mode == "zeros"
        ):
            # On the instance it shadows the method; it knows the layer's numbers and not the layer, so that a model
            # is still freed at once when it is let go.
            vars(conv)["_conv_forward"] = _LiveConvolution(conv)


def use_all_taps(model: nn.Module) -> None:
    """Undo `use_live_taps`."""
    for module in model.modules():
        if isinstance(vars(module).get("_conv_forward"), _LiveConvolution):
            del vars(module)["_conv_forward"]


def dead_weights(model: nn.Module, shape: Sequence[int]) -> tuple[int, int]:
    """Count the weights that never meet a pixel of an image, and all parameters of the model.

    shape: channels, height and width of an image. The model sees one blank image in evaluation mode, on its own
    device (which may be "meta"); its modes, statistics and the random state are afterwards what they were.
    Only weights that are parameters themselves are counted: where a weight is computed from a parameter, as in
    weight standardisation, all of the parameter matters.
    """
    same = getattr(sys.modules.get("timm.layers"), "Conv2dSame", ())  # no timm imported, none of its layers here
    live: dict[Tensor, set[tuple[int, int]]] = {}

    def look(conv: nn.Conv2d, inputs: tuple[Tensor, ...]) -> None:
        whole = _Whole(conv.stride, "same" if isinstance(conv, same) else conv.padding, conv.dilation, conv.groups)
        rows, columns = _axes(whole, conv.kernel_size, inputs[0].shape[-2:])
        live.setdefault(conv.weight, set()).update(product(rows.live, columns.live))

    some = next(model.parameters(), torch.empty(0))
    image = torch.zeros(1, *shape, device=some.device, dtype=some.dtype)
    modes = {module: module.training for module in model.modules()}
    hooks = [
        module.register_forward_pre_hook(look)
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
        and module.padding_mode == "zeros"
        and (type(module).forward is nn.Conv2d.forward or isinstance(module, same))
        and "weight" in dict(module.named_parameters(recurse=False))
    ]
    try:
        with torch.random.fork_rng([some.device] if some.is_cuda else []), torch.no_grad():
            model.eval()(image)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    dead = sum(weight.numel() - weight[:, :, 0, 0].numel() * len(taps) for weight, taps in live.items())
    return dead, sum(p.numel() for p in model.parameters())


@dataclass(frozen=True)
class _Whole:
    """A convolution with all of its weight, as a layer does it."""

    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def __call__(self, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return conv2d(images, weight, bias, self.stride, self.padding, self.dilation, self.groups)


@dataclass(frozen=True)
class _Cut:
    """A convolution with what is left of the weight, on images that are padded where conv2d cannot pad so itself.

    images, weight: for `pad`, zeros to add to the left, right, top and bottom, or less than none. The gradient of
    `pad` fills with zeros once, that of a slice along each axis twice.
    """

    images: tuple[int, ...]
    weight: tuple[int, ...]
    convolve: _Whole

    def __call__(self, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.convolve(pad(images, self.images) if any(self.images) else images, pad(weight, self.weight), bias)


@dataclass(frozen=True)
class _Product:
    """A convolution with one output position: a matrix product of what is left of the weight and what it sees."""

    rows: slice
    columns: slice
    weight: tuple[int, ...]

    def __call__(self, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # In the weight's own order in memory: in another one its gradient would have to be copied, all of it.
        order = (0, 2, 3, 1) if weight.stride(1) < weight.stride(3) else (0, 1, 2, 3)
        seen = images[:, :, self.rows, self.columns].permute(order).flatten(1)
        left = (pad(weight, self.weight) if any(self.weight) else weight).permute(order).flatten(1)
        outputs = linear(seen, left, bias)
        return outputs[:, None, None].permute(0, 3, 1, 2) if order[1] == 2 else outputs[:, :, None, None]


class _LiveConvolution:
    """Stands in for the `_conv_forward` of one layer: makes a plan for each size of map that it meets."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self._whole = _Whole(conv.stride, conv.padding, conv.dilation, conv.groups)
        self._plans: dict[tuple[int, ...], _Whole | _Cut | _Product] = {}

    def __call__(self, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        size = tuple(images.shape[2:])
        if size not in self._plans:
            # An image without a batch has one axis less.
            self._plans[size] = _plan(self._whole, weight.shape[2:], size) if len(size) == 2 else self._whole
        return self._plans[size](images, weight, bias)


def _plan(whole: _Whole, kernel: Sequence[int], size: Sequence[int]) -> _Whole | _Cut | _Product:
    axes = _axes(whole, kernel, size)
    weight = _for_pad([(-axis.start, axis.stop - taps) for axis, taps in zip(axes, kernel, strict=True)])
    if not all(axis.live for axis in axes):
        return whole
    if whole.groups == axes[0].outputs == axes[1].outputs == 1:
        rows, columns = (
            slice(-axis.before, step * (len(axis.live) - 1) + 1 - axis.before, step)
            for axis, step in zip(axes, whole.dilation, strict=True)
        )
        return _Product(rows, columns, weight)
    if not any(weight):
        return whole
    even = [axis.before == axis.after >= 0 for axis in axes]
    images = [(0, 0) if same else (axis.before, axis.after) for axis, same in zip(axes, even, strict=True)]
    padding = tuple(axis.before if same else 0 for axis, same in zip(axes, even, strict=True))
    return _Cut(_for_pad(images), weight, replace(whole, padding=padding))


def _axes(whole: _Whole, kernel: Sequence[int], size: Sequence[int]) -> list[Axis]:
    given = whole.padding
    padding: Sequence[int | str] = (given, given) if isinstance(given, str) else given
    numbers = zip(size, kernel, whole.stride, padding, whole.dilation, strict=True)
    return [live_taps(*of_axis) for of_axis in numbers]


def _for_pad(amounts: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Order (before, after) of rows and columns as `pad` wants it: the last axis first."""
    rows, columns = amounts
    return (*columns, *rows)
