"""The optimizers that ship, and all of PyTorch's and timm's behind `torch:` and `timm:`."""

from __future__ import annotations

import inspect
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Interval

from ablate import Borrowed, NonNegative, Positive, Share, library, optimizer, settings_of_library
from ablate.errors import InputError

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.optimizer import ParamsT

# A decay rate of a moving average: at 1 the average would never move.
Beta = Annotated[float, Interval(ge=0, lt=1)]

# What is not for a study to set: the parameters, the sign of the objective, and how a step is executed.
_OURS = frozenset({"params", "maximize", "foreach", "fused", "capturable", "differentiable"})

_UNUSABLE = {
    "LBFGS": "evaluates the loss several times a step, through a closure",
    "SparseAdam": "takes sparse gradients only, which no image classifier has",
    "Muon": "takes matrices only, and every classifier has vectors (biases); timm:muon takes both",
}


@optimizer("sgd")
def sgd(
    params: ParamsT,
    *,
    lr: Positive,
    momentum: Share = 0.9,
    weight_decay: NonNegative = 0.0,
    nesterov: bool = False,
) -> Optimizer:
    """Stochastic gradient descent with momentum.

    lr: learning rate. momentum: share of the last step kept. weight_decay: L2 penalty, added to the gradient.
    nesterov: look ahead by the momentum; needs momentum above 0.
    Source: torch.optim.SGD; Sutskever et al. 2013, "On the importance of initialization and momentum".
    """
    from torch.optim import SGD

    if nesterov and momentum == 0:
        raise InputError("sgd: nesterov = true needs a momentum above 0")
    return SGD(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)


@optimizer("adam")
def adam(
    params: ParamsT,
    *,
    lr: Positive,
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.0,
) -> Optimizer:
    """Adam: steps scaled by running averages of the gradient and of its square.

    lr: learning rate. betas: decay of the two averages. eps: added to the divisor.
    weight_decay: L2 penalty, added to the gradient (see adamw for decay apart from it).
    Source: torch.optim.Adam; Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization".
    """
    from torch.optim import Adam

    return Adam(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


@optimizer("adamw")
def adamw(
    params: ParamsT,
    *,
    lr: Positive,
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Positive = 1e-8,
    weight_decay: NonNegative = 0.01,
) -> Optimizer:
    """Adam with weight decay apart from the gradient.

    lr: learning rate. betas: decay of the two averages. eps: added to the divisor.
    weight_decay: share of each weight, times lr, taken off at each step.
    Source: torch.optim.AdamW; Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization".
    """
    from torch.optim import AdamW

    return AdamW(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


@library("optimizer", "torch")
class TorchOptimizers:
    """Any optimizer of torch.optim by its class name, such as torch:AdamW."""

    def names(self) -> list[str]:
        """Return the class names in torch.optim, without those that cannot train an image classifier."""
        import torch

        found = {
            name
            for name, thing in vars(torch.optim).items()
            if inspect.isclass(thing)
            and issubclass(thing, torch.optim.Optimizer)
            and thing is not torch.optim.Optimizer
        }
        return sorted(found - _UNUSABLE.keys())

    def component(self, name: str) -> Borrowed:
        """Return the optimizer class of this name, or raise KeyError."""
        import torch

        if name not in self.names():
            raise KeyError(name)
        cls = getattr(torch.optim, name)
        return Borrowed(cls, settings_of_library(cls, _OURS), f"torch.optim.{name}")


@library("optimizer", "timm")
class TimmOptimizers:
    """Any optimizer of timm by its name there, such as timm:lion or timm:lamb.

    Defaults are the class's own and what timm registers for the name. As everywhere in timm, momentum
    is 0.9 unless set. Weight decay is the class's default, not timm's script's.
    """

    def names(self) -> list[str]:
        """Return timm's names, without second-order optimizers and those of packages that are not installed."""
        timm_optim = _timm_optim()
        return [n for n in timm_optim.list_optimizers() if _is_usable(timm_optim.get_optimizer_info(n))]

    def component(self, name: str) -> Borrowed:
        """Return timm's optimizer of this name, or raise KeyError."""
        if name not in self.names():
            raise KeyError(name)
        info = _timm_optim().get_optimizer_info(name)
        cls = _timm_optim().get_optimizer_class(name, bind_defaults=False)
        defaults = dict(info.defaults or {})
        if info.has_momentum:
            defaults.setdefault("momentum", 0.9)
        shown = dict(defaults)
        if not isinstance(inspect.signature(cls).parameters["lr"].default, (int, float, type(None))):
            shown["lr"] = inspect.Parameter.empty  # SGDP marks it as required by an object of its own

        def build(params: ParamsT, **settings: Any) -> Optimizer:
            made: Optimizer = cls(params, **{**defaults, **settings})
            return made

        return Borrowed(build, settings_of_library(cls, _OURS, shown), info.description or f"timm's {name}")


def _timm_optim() -> Any:
    """Return timm.optim, whose names its type information does not export."""
    import timm.optim

    return timm.optim


def _is_usable(info: Any) -> bool:
    """Say whether plain first-order training can use this optimizer of timm's (an OptimInfo)."""
    if info.second_order:
        return False
    # Classes of other packages (apex, bitsandbytes) stand there as text.
    return not isinstance(info.opt_class, str) or find_spec(info.opt_class.partition(".")[0]) is not None
