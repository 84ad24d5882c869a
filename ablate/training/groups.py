"""Parameters in groups: a learning rate that falls from layer to layer, and no weight decay on norms and biases."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from torch import nn

from ..errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch.optim import Optimizer


def grouped(model: nn.Module, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parameters that are trained as groups of an optimizer.

    asked: `layer_decay`, by which each layer's learning rate is less than the next one's; `decay_norms`, whether
    vectors (norms, biases) and what the model itself exempts get weight decay. `lr_scale` of a group is what
    `scale_rates` multiplies its learning rate by.
    """
    layers = layers_of(model)
    last = max(layers.values(), default=0)
    says: Any = getattr(model, "no_weight_decay", None)
    exempt = says() if callable(says) else ()
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        vector = parameter.ndim < 2 or name.endswith(".bias")
        # Names or, as some of timm's models give them, patterns.
        decays = asked["decay_norms"] or not (vector or any(fnmatch(name, one) for one in exempt))
        layer = layers.get(name, last) if asked["layer_decay"] < 1 else last
        scale = asked["layer_decay"] ** (last - layer)
        group = groups.setdefault((-layer, not decays), {"params": [], "lr_scale": scale})
        if not decays:
            group["weight_decay"] = 0.0
        group["params"].append(parameter)
    # The last layer first: what is recorded as a run's learning rate is that of the first group.
    return [groups[key] for key in sorted(groups)]


def layers_of(model: nn.Module) -> dict[str, int]:
    """Return the layer of each parameter, from 0 at the input.

    A model of timm says what its layers are. In others a layer is what stands in the outermost list of modules, or
    outside of one; what has vectors alone, as a norm, belongs to the layer before it.
    """
    matcher: Any = getattr(model, "group_matcher", None)
    if callable(matcher):
        from timm.models import group_parameters

        found: dict[str, int] = group_parameters(model, matcher(coarse=False), reverse=True)
        return found
    lists = [name for name, module in model.named_modules() if isinstance(module, (nn.Sequential, nn.ModuleList))]
    layers: dict[str, int] = {}
    number, before = -1, None
    for name, parameter in model.named_parameters():
        outermost = next((one for one in lists if name.startswith(f"{one}." if one else "")), None)
        below = name[len(outermost) + 1 if outermost else 0 :]
        block = name[: len(name) - len(below)] + below.partition(".")[0] if outermost is not None else _owner(name)
        if block != before and (parameter.ndim > 1 or number < 0):
            number, before = number + 1, block
        layers[name] = number
    return layers


def _owner(name: str) -> str:
    return name.rpartition(".")[0]


def scale_rates(optimizer: Optimizer) -> None:
    """Have an optimizer take each step with the learning rates of its groups times their `lr_scale`.

    Schedulers set a rate for all groups, some of them the same one: what differs is put in for the step alone.
    Raises RunError for an optimizer whose step calls no hooks: one that wraps another, and leaves out torch's __init__.
    """
    if any(group.get("lr_scale", 1.0) != 1.0 for group in optimizer.param_groups):
        if not getattr(type(optimizer).step, "hooked", False):  # torch's own mark
            raise RunError(
                f"groups: layer_decay has no effect on {type(optimizer).__name__}, which steps without torch's hooks\n"
                "  leave layer_decay out, or have its __init__ call that of torch.optim.Optimizer"
            )
        optimizer.register_step_pre_hook(_scaled)
        optimizer.register_step_post_hook(_restored)


def _scaled(optimizer: Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        group["scheduled_lr"] = group["lr"]
        group["lr"] *= group.get("lr_scale", 1.0)


def _restored(optimizer: Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group.pop("scheduled_lr")
