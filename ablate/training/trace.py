"""To take a few steps for a measurement, and leave no trace of it."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any

import torch

from .checkpoint import capture, random_states, restore, restore_random

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from .loop import Ingredients


@contextlib.contextmanager
def no_trace(run: Ingredients) -> Iterator[None]:
    """Put a run back, bit for bit, into the state it had."""
    state = copy.deepcopy(capture(run, 1, None, []))
    stepped = vars(run.optimizer).get("_opt_called")
    try:
        with model_untouched(run):
            yield
    finally:
        restore(run, state)
        if stepped is None:
            vars(run.optimizer).pop("_opt_called", None)
        else:
            vars(run.optimizer)["_opt_called"] = stepped


@contextlib.contextmanager
def model_untouched(run: Ingredients) -> Iterator[None]:
    """Put a model, its gradients and every random state back, bit for bit, where no optimizer steps in between."""
    drawn = copy.deepcopy(random_states(run))
    gradients = [(p, p.grad) for p in run.model.parameters()]
    modules = [(module, _shallow(vars(module))) for module in run.model.modules()]
    # Tensors made in inference mode, as by a model that was tried out, cannot be changed in place.
    kept = [(t, t.detach().clone()) for t in tensors(run.model) if not t.is_inference()]
    try:
        yield
    finally:
        for module, attributes in modules:
            vars(module).clear()
            vars(module).update(attributes)
        with torch.no_grad():
            for tensor, before in kept:
                tensor.copy_(before)
        for parameter, gradient in gradients:
            parameter.grad = gradient
        restore_random(run, drawn)


def tensors(model: torch.nn.Module) -> Iterator[Tensor]:
    """Yield a model's parameters, its buffers, also those that no checkpoint holds, and tensors that are attributes."""
    for module in model.modules():
        yield from module.parameters(recurse=False)
        yield from module.buffers(recurse=False)
        yield from (value for value in vars(module).values() if isinstance(value, torch.Tensor))


def _shallow(attributes: dict[str, Any]) -> dict[str, Any]:
    """Copy a module's attributes, and of them those that name its parameters, buffers and parts."""
    return {name: dict(value) if type(value) is dict else value for name, value in attributes.items()}
