"""What components return, held to the contract of their kind before a run trains with it.

Each refusal is a `RunError` that names the component, with file and line.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from ..components.contracts import Mixed
from ..errors import RunError, listing
from .augment import in_floats, takes_uint8
from .randomness import drawn_from, process_random, process_random_untouched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..components.registry import Entry

ROUNDING = 1e-3
"""So far outside of [0, 1] a pixel may be: interpolation rounds."""
LEVELS_APART = 0.01
"""So far apart pixels may be that should be the same: they may have been rounded to one of 256 levels."""


def named(entry: Entry) -> str:
    """Return a component as messages name it: kind, name, file and line."""
    return f"{entry.kind} '{entry.name}' ({entry.place})"


def _refuse(entry: Entry, what: str) -> NoReturn:
    raise RunError(f"{named(entry)} {what}")


def _got(thing: object) -> str:
    """Describe what was returned in a tensor's place."""
    if isinstance(thing, Tensor):
        return f"{str(thing.dtype).removeprefix('torch.')} {tuple(thing.shape)} on {thing.device}"
    return type(thing).__name__


def check_module(entry: Entry, model: object) -> None:
    """Hold a model's type to its contract."""
    if not isinstance(model, torch.nn.Module):
        _refuse(entry, f"returns {type(model).__name__}, not a torch.nn.Module")


def check_logits(entry: Entry, logits: object, batch: int, classes: int) -> None:
    """Hold a model's output to its contract: logits of shape (B, classes)."""
    if not isinstance(logits, Tensor):
        _refuse(entry, f"gives {type(logits).__name__}, not a tensor of logits")
    if tuple(logits.shape) != (batch, classes):
        _refuse(entry, f"gives shape {tuple(logits.shape)}, not (batch, classes) = ({batch}, {classes})")
    if not logits.is_floating_point():
        _refuse(entry, f"gives logits of type {_got(logits).split()[0]}, not floats")
    if logits.isnan().any():
        _refuse(entry, "gives logits that are nan before any training")


def check_optimizer(entry: Entry, optimizer: object, model: torch.nn.Module) -> None:
    """Hold an optimizer to its contract: it steps, by itself, all the parameters that it was given and no others."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        _refuse(entry, f"returns {type(optimizer).__name__}, not a torch.optim.Optimizer")
    given = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if strange := len(held - given.keys()):
        _refuse(
            entry, f"steps {strange} tensors that are none of the parameters it was given, so the model never learns"
        )
    if left := [name for number, name in given.items() if number not in held]:
        _refuse(
            entry,
            f"leaves out {len(left)} of the {len(given)} parameters it was given ({listing(left, 3)}); "
            "what is not to be trained gets requires_grad = False in the model",
        )
    if not all("lr" in group for group in optimizer.param_groups):
        _refuse(entry, "has no learning rate: each group of its parameters needs an 'lr', which schedulers set")
    wanted = [p.name for p in inspect.signature(optimizer.step).parameters.values() if _required(p)]
    if wanted:
        _refuse(entry, f"has a step that takes {listing(wanted)}; ablate calls step() alone, once for each batch")


def _required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind not in (
        parameter.VAR_POSITIONAL,
        parameter.VAR_KEYWORD,
    )


def check_scheduler(entry: Entry, scheduler: object, optimizer: torch.optim.Optimizer) -> None:
    """Hold a scheduler to its contract: an LRScheduler of the optimizer that it was given."""
    if not isinstance(scheduler, LRScheduler):
        _refuse(entry, f"returns {type(scheduler).__name__}, not a torch.optim.lr_scheduler.LRScheduler")
    if getattr(scheduler, "optimizer", None) is not optimizer:
        _refuse(entry, "schedules another optimizer than the one it was given")
    if isinstance(scheduler, ReduceLROnPlateau) and entry.steps == "batch":
        _refuse(entry, 'watches a loss, which is known after each epoch: register it with steps="epoch"')


def check_transform(entry: Entry, settings: Mapping[str, Any], images: Tensor, tries: int = 1) -> None:
    """Try an augmentation on uint8 images (B, C, H, W), so many times, and hold it to its contract.

    It is built anew for that, so that what trains was never called before, and twice, because the same seed has to
    give the same pixels. The process's random states are afterwards what they were.
    """
    with process_random_untouched():
        one, two, levels = (_built(entry, settings) for _ in range(3))
        for seed in range(tries):
            whole = in_floats(images)
            if seed % 2:
                whole = whole.contiguous(memory_format=torch.channels_last)
            found = _made(entry, one, whole, seed)
            if _apart(found, _made(entry, two, whole, seed)):
                _refuse(entry, "makes other pixels of the same images with the same generator: a seed does not repeat")
            if takes_uint8(one) and _apart(found, _made(entry, levels, images, seed)):
                _refuse(entry, "is marked takes_uint8, and makes other pixels of uint8 than of float32")


def _built(entry: Entry, settings: Mapping[str, Any]) -> Any:
    """Build a transform; each time with the same random states, which a factory may draw a fixed pattern from."""
    with process_random_untouched():
        transform = entry.build(settings=settings)
    if not callable(transform):
        _refuse(entry, f"returns {type(transform).__name__}, not a function of images and generator")
    for name, other in (("state_dict", "load_state_dict"), ("load_state_dict", "state_dict")):
        if callable(getattr(transform, name, None)) and not callable(getattr(transform, other, None)):
            _refuse(entry, f"has {name}() without {other}(): a checkpoint needs both")
    return transform


def _made(entry: Entry, transform: Any, images: Tensor, seed: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Call a transform and return what it made: images as floats, partners and shares."""
    given, before = images.clone(), process_random()
    made = transform(images, torch.Generator(images.device).manual_seed(seed))
    if drawn := drawn_from(before):
        _refuse(
            entry,
            f"draws from the process's own generator ({listing(drawn)}), or seeds it; draw from the generator that it "
            "is given, or a seed does not repeat",
        )
    if not torch.equal(images, given):
        _refuse(entry, "changes the images that it is given in place; leave them, and return others")
    after = made.images if isinstance(made, Mixed) else made
    if not isinstance(after, Tensor) or _got(after) != _got(images):
        _refuse(entry, f"returns {_got(after)}, not {_got(images)} as given")
    if after.is_floating_point() and after.numel():
        if not after.isfinite().all():
            _refuse(entry, "makes pixels that are not finite")
        low, high = (float(edge) for edge in after.aminmax())
        if low < -ROUNDING or high > 1 + ROUNDING:
            _refuse(
                entry, f"makes pixels from {low:.3g} to {high:.3g}; they have to stay in [0, 1], as with .clamp(0, 1)"
            )
    if not isinstance(made, Mixed):
        return in_floats(after), None, None
    _check_mix(entry, made)
    return in_floats(after), made.partner, made.share


def _check_mix(entry: Entry, made: Mixed) -> None:
    """Hold what a transform says of a mix to its contract."""
    batch, device = len(made.images), made.images.device
    for what, found, dtype in (("partner", made.partner, torch.int64), ("share", made.share, torch.float32)):
        wanted = f"{str(dtype).removeprefix('torch.')} ({batch},) on {device}"
        if not isinstance(found, Tensor) or (found.dtype, tuple(found.shape), found.device) != (
            dtype,
            (batch,),
            device,
        ):
            _refuse(entry, f"mixes {batch} images with a {what} that is {_got(found)}, not {wanted}")
    if batch and not 0 <= int(made.partner.min()) <= int(made.partner.max()) < batch:
        first, last = int(made.partner.min()), int(made.partner.max())
        _refuse(
            entry, f"mixes with partners from {first} to {last}; in a batch of {batch} they are from 0 to {batch - 1}"
        )
    if batch and not ((made.share >= 0) & (made.share <= 1)).all():
        low, high = float(made.share.min()), float(made.share.max())
        _refuse(entry, f"mixes with shares from {low:.3g} to {high:.3g}; they have to lie in [0, 1]")


def _apart(one: tuple[Tensor | None, ...], two: tuple[Tensor | None, ...]) -> bool:
    """Tell whether two outcomes of a transform differ by more than rounding to levels."""
    return any(
        a is not b and (a is None or b is None or bool(((a - b).abs() > LEVELS_APART).any()))
        for a, b in zip(one, two, strict=True)
    )
