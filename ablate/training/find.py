"""The learning-rate range test of a run: a few steps of training at a growing learning rate, then all is as before."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from typing import TYPE_CHECKING, Any

import torch

from ..errors import RunError
from .checkpoint import capture, restore
from .loop import begin_epoch, train_step
from .rates import SMOOTHING, WORSE, Curve, Found, smooth, suggest, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from ..study.spec import Finder
    from .loop import Ingredients


def find_lr(run: Ingredients, finder: Finder, seed: int, on_step: Callable[[], None] = lambda: None) -> Found:
    """Test a range of learning rates and read the curve. Raises RunError where the loss falls nowhere."""
    found = suggest(range_test(run, finder.low, finder.high, finder.steps, on_step), finder.rule, seed)
    if found.lr is None:
        steps = len(found.curve.lrs)
        seen = f"in {steps} steps from {finder.low:g} to {found.curve.lrs[-1]:g}" if steps else f"at {finder.low:g}"
        what = "the loss falls nowhere" if steps else "the loss is not finite"
        raise RunError(
            f"no learning rate found: {what} {seen}; widen low and high, take more steps, or give lr a number"
        )
    return found


def range_test(
    run: Ingredients, low: float, high: float, steps: int, on_step: Callable[[], None] = lambda: None
) -> Curve:
    """Train for some steps, the learning rate growing from `low` to `high` by the same factor each step.

    Each is a step as training takes it: augmented batches in the run's own order, its precision, its clipping. Ends
    early where the smoothed loss exceeds WORSE times its best, or the loss is not finite. Where the optimizer has
    groups with learning rates of their own, the first has the one that is tested, and the others keep their ratio.

    Leaves no trace, also where it raises: weights, buffers, gradients, optimizer, schedule, average and every random
    state have the bits they had. on_step: called before each step; what it raises ends the test.
    """
    began = time.perf_counter()
    lrs = sweep(low, high, steps)
    losses: list[float] = []
    images, best, average = 0, math.inf, 0.0
    with _no_trace(run):
        run.model.train()
        ratios = _ratios(run)
        batches = _batches(run)
        for step, lr in enumerate(lrs, 1):
            on_step()
            for group, ratio in zip(run.optimizer.param_groups, ratios, strict=True):
                group["lr"] = lr * ratio
            batch = next(batches)
            loss = float(train_step(run, batch))  # waits for the device: the test may end here
            images += len(batch)
            if not math.isfinite(loss):
                break
            losses.append(loss)
            average = SMOOTHING * average + (1 - SMOOTHING) * loss
            smoothed = average / (1 - SMOOTHING**step)
            best = min(best, smoothed)
            if smoothed > WORSE * best:
                break
    seconds = time.perf_counter() - began
    return Curve(tuple(lrs[: len(losses)]), tuple(losses), tuple(smooth(losses)), seconds, images)


def _ratios(run: Ingredients) -> list[float]:
    """Return each group's learning rate as a multiple of the first's."""
    rates = [float(group.get("initial_lr", group["lr"])) for group in run.optimizer.param_groups]
    return [rate / rates[0] if rates[0] else 1.0 for rate in rates]


def _batches(run: Ingredients) -> Iterator[Tensor]:
    """Yield the batches of one epoch after another."""
    while True:
        epoch = begin_epoch(run)
        for step in range(len(epoch.losses)):
            yield epoch.order[step * run.batch_size : (step + 1) * run.batch_size]


@contextlib.contextmanager
def _no_trace(run: Ingredients) -> Iterator[None]:
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
