"""To train a few steps for a measurement, and leave no trace of it."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any

import torch

from .checkpoint import capture, restore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from .loop import Ingredients


@contextlib.contextmanager
def no_trace(run: Ingredients) -> Iterator[None]:
    """Put a run back, bit for bit, into the state it had."""
    state = copy.deepcopy(capture(run, 1, None, []))
    # What a checkpoint does not hold: gradients, buffers that are not persistent, modes, plain attributes of modules.
    gradients = [(p, p.grad) for p in run.model.parameters()]
    modules = [(module, _shallow(vars(module))) for module in run.model.modules()]
    # Tensors made in inference mode, as by a model that was tried out, cannot be changed in place.
    tensors = [(t, t.detach().clone()) for m in run.model.modules() for t in _tensors(m) if not t.is_inference()]
    stepped = vars(run.optimizer).get("_opt_called")
    try:
        yield
    finally:
        for module, attributes in modules:
            vars(module).clear()
            vars(module).update(attributes)
        with torch.no_grad():
            for tensor, kept in tensors:
                tensor.copy_(kept)
        for parameter, gradient in gradients:
            parameter.grad = gradient
        restore(run, state)
        if stepped is None:
            vars(run.optimizer).pop("_opt_called", None)
        else:
            vars(run.optimizer)["_opt_called"] = stepped


def _shallow(attributes: dict[str, Any]) -> dict[str, Any]:
    """Copy a module's attributes, and of them those that name its parameters, buffers and parts."""
    return {name: dict(value) if type(value) is dict else value for name, value in attributes.items()}


def _tensors(module: torch.nn.Module) -> Iterator[Tensor]:
    """Yield a module's own parameters, buffers and tensors that are plain attributes."""
    yield from module.parameters(recurse=False)
    yield from module.buffers(recurse=False)
    yield from (value for value in vars(module).values() if isinstance(value, torch.Tensor))
