"""The schedulers that ship, and all of PyTorch's behind `torch:`.

Each starts from the optimizer's learning rate. The training loop steps it after each epoch or each
batch, as registered, and hands ReduceLROnPlateau the loss.
"""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Interval

from ablate import Borrowed, library, scheduler, settings_of_library
from ablate.components.contracts import Count, NonNegative, Positive

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from ablate import Horizon

OpenShare = Annotated[float, Interval(gt=0, lt=1)]

# PyTorch documents these two as stepped after every batch, the others after every epoch.
_BY_BATCH = frozenset({"OneCycleLR", "CyclicLR"})
# `mode` is "min" for ReduceLROnPlateau, which is given a loss; CyclicLR's own `mode` stays.
_OURS = frozenset({"optimizer", "last_epoch", "verbose"})


@scheduler("constant", steps="epoch")
def constant(optimizer: Optimizer, horizon: Horizon) -> LRScheduler:  # noqa: ARG001  # the contract of the kind
    """Keep the learning rate as it is."""
    from torch.optim.lr_scheduler import ConstantLR

    return ConstantLR(optimizer, factor=1.0, total_iters=0)


@scheduler("cosine", steps="epoch")
def cosine(
    optimizer: Optimizer, horizon: Horizon, *, t_max: Count | None = None, eta_min: NonNegative = 0.0
) -> LRScheduler:
    """Lower the learning rate along half a cosine, epoch by epoch.

    t_max: epochs from the full rate down to the lowest; the whole run when left out. In a run longer than
        t_max the rate climbs back over the next t_max epochs, and so on, as in PyTorch.
    eta_min: the lowest rate.
    Source: torch.optim.lr_scheduler.CosineAnnealingLR; Loshchilov & Hutter 2017, "SGDR".
    """
    from torch.optim.lr_scheduler import CosineAnnealingLR

    return CosineAnnealingLR(optimizer, T_max=t_max or horizon.epochs, eta_min=eta_min)


@scheduler("step", steps="epoch")
def step(
    optimizer: Optimizer,
    horizon: Horizon,  # noqa: ARG001  # the contract of the kind
    *,
    step_size: Count = 10,
    gamma: Positive = 0.1,
) -> LRScheduler:
    """Multiply the learning rate by gamma after every step_size epochs.

    Source: torch.optim.lr_scheduler.StepLR.
    """
    from torch.optim.lr_scheduler import StepLR

    return StepLR(optimizer, step_size=step_size, gamma=gamma)


@scheduler("one-cycle", steps="batch")
def one_cycle(
    optimizer: Optimizer,
    horizon: Horizon,
    *,
    pct_start: OpenShare = 0.3,
    div_factor: Positive = 25.0,
    final_div_factor: Positive = 1e4,
    cycle_momentum: bool = True,
) -> LRScheduler:
    """Raise the learning rate to the optimizer's, then lower it to almost nothing, batch by batch over the run.

    pct_start: share of the run spent rising.
    div_factor: the first rate is the optimizer's divided by this.
    final_div_factor: the last rate is the first divided by this.
    cycle_momentum: move momentum (or Adam's first beta) from 0.95 to 0.85 and back, against the rate; without
        effect for an optimizer that has none or whose momentum is 0.
    Source: torch.optim.lr_scheduler.OneCycleLR; Smith & Topin 2018, "Super-Convergence".
    """
    from torch.optim.lr_scheduler import OneCycleLR

    # Where the rise would end on the very first step, PyTorch divides by zero; a hair less means "no rise".
    rise = pct_start * (1 - 1e-9) if pct_start * horizon.steps == 1 else pct_start
    return OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=horizon.steps,
        pct_start=rise,
        div_factor=div_factor,
        final_div_factor=final_div_factor,
        cycle_momentum=cycle_momentum and _has_momentum(optimizer),
    )


@scheduler("warmup-cosine", steps="batch")
def warmup_cosine(
    optimizer: Optimizer, horizon: Horizon, *, warmup: NonNegative = 1.0, eta_min: NonNegative = 0.0
) -> LRScheduler:
    """Raise the learning rate in a straight line, then lower it along half a cosine, batch by batch over the run.

    warmup: epochs until the full rate is reached; may be a part of one. In a run that is no longer, the
        rate rises to the end.
    eta_min: the rate of the last step.
    Source: Goyal et al. 2017, "Accurate, Large Minibatch SGD", section 2.2 (warmup); "SGDR" (cosine).
    """
    from torch.optim.lr_scheduler import LambdaLR

    rising = round(warmup * horizon.steps_per_epoch)
    falling = max(1, horizon.steps - 1 - rising)

    def factor(lr: float) -> Callable[[int], float]:
        lowest = eta_min / lr

        def at(step: int) -> float:
            if step < rising:
                return (step + 1) / (rising + 1)
            done = min(1.0, (step - rising) / falling)
            return lowest + (1 - lowest) * (1 + math.cos(math.pi * done)) / 2

        return at

    # Plain functions, not objects: LambdaLR then keeps them out of its state_dict, which stays plain numbers.
    return LambdaLR(optimizer, [factor(float(group["lr"])) for group in optimizer.param_groups])


@library("scheduler", "torch")
class TorchSchedulers:
    """Any scheduler of torch.optim.lr_scheduler by its class name, such as torch:MultiStepLR.

    OneCycleLR and CyclicLR step after each batch, all others after each epoch. OneCycleLR covers the whole
    run unless told otherwise. Those that take functions or other schedulers are left out.
    """

    def names(self) -> list[str]:
        """Return the class names whose every required parameter a study file can give."""
        from torch.optim import lr_scheduler

        found = {
            name: thing
            for name, thing in vars(lr_scheduler).items()
            if inspect.isclass(thing) and issubclass(thing, lr_scheduler.LRScheduler) and not name.startswith("_")
        }
        del found["LRScheduler"]
        return sorted(n for n, cls in found.items() if all(s.adapter for s in settings_of_library(cls, _OURS)))

    def component(self, name: str) -> Borrowed:
        """Return the scheduler class of this name, or raise KeyError."""
        from torch.optim import lr_scheduler

        if name not in self.names():
            raise KeyError(name)
        cls = getattr(lr_scheduler, name)
        skip = _OURS | {"mode"} if name == "ReduceLROnPlateau" else _OURS
        steps: Literal["epoch", "batch"] = "batch" if name in _BY_BATCH else "epoch"

        def build(optimizer: Optimizer, horizon: Horizon, **settings: Any) -> LRScheduler:
            if name == "OneCycleLR" and not {"total_steps", "epochs"} & settings.keys():
                settings["total_steps"] = horizon.steps
            if name in _BY_BATCH:
                settings["cycle_momentum"] = settings.get("cycle_momentum", True) and _has_momentum(optimizer)
            made: LRScheduler = cls(optimizer, **settings)
            return made

        return Borrowed(build, settings_of_library(cls, skip), f"torch.optim.lr_scheduler.{name}", steps)


def _has_momentum(optimizer: Optimizer) -> bool:
    """Say whether there is a momentum to cycle; without it PyTorch refuses, or switches SGD's momentum on."""
    return "betas" in optimizer.defaults or bool(optimizer.defaults.get("momentum"))
