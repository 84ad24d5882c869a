"""Whether what components return keeps the contract of their kind, checked before a run trains with it.

A component that breaks it is a `RunError` that names it, with file and line.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from ..components.contracts import Mixed
from ..errors import RunError, listing
from .augment import in_floats, takes_uint8
from .randomness import drawn_from, preserved_random, process_random

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..components.registry import Entry

    Outcome = tuple[Tensor, Tensor | None, Tensor | None]

ROUNDING = 1e-3
"""How far outside of [0, 1] a pixel may be: interpolation rounds."""
LEVELS_APART = 0.01
"""How far apart pixels may be that should be the same: they may have been rounded to one of 256 levels."""
NOT_REPEATED = "makes other pixels of the same images with the same generator: a seed does not repeat"
OTHER_FOR_UINT8 = "is marked takes_uint8, and makes other pixels of uint8 than of float32"


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
    """Check that a model's function returned a module."""
    if not isinstance(model, torch.nn.Module):
        _refuse(entry, f"returns {type(model).__name__}, not a torch.nn.Module")


def check_logits(entry: Entry, logits: object, batch: int, classes: int) -> None:
    """Check what a model gives: logits of shape (B, classes)."""
    if not isinstance(logits, Tensor):
        _refuse(entry, f"gives {type(logits).__name__}, not a tensor of logits")
    if tuple(logits.shape) != (batch, classes):
        _refuse(entry, f"gives shape {tuple(logits.shape)}, not (batch, classes) = ({batch}, {classes})")
    if not logits.is_floating_point():
        _refuse(entry, f"gives logits of type {_got(logits).split()[0]}, not floats")
    if logits.isnan().any():
        _refuse(entry, "gives logits that are nan before any training")


def check_optimizer(entry: Entry, optimizer: object, model: torch.nn.Module) -> None:
    """Check that an optimizer steps all the parameters that it was given and no others, by a plain `step()`."""
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
    if any(group.get("lr") is None for group in optimizer.param_groups):
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
    """Check that a scheduler is an LRScheduler of the optimizer that it was given."""
    if not isinstance(scheduler, LRScheduler):
        _refuse(entry, f"returns {type(scheduler).__name__}, not a torch.optim.lr_scheduler.LRScheduler")
    if getattr(scheduler, "optimizer", None) is not optimizer:
        _refuse(entry, "schedules another optimizer than the one it was given")
    if isinstance(scheduler, ReduceLROnPlateau) and entry.steps == "batch":
        _refuse(entry, 'watches a loss, which is known after each epoch: register it with steps="epoch"')


def check_loss(entry: Entry, loss: object, logits: Tensor) -> None:
    """Check what a loss gives of logits (B, classes): a finite number for each image, with a gradient."""
    if not isinstance(loss, Tensor) or tuple(loss.shape) != (len(logits),) or not loss.is_floating_point():
        _refuse(entry, f"gives {_got(loss)}, not the loss of each image: float32 ({len(logits)},)")
    if not loss.isfinite().all():
        _refuse(entry, "gives a loss that is not finite of small logits")
    if not loss.requires_grad:
        _refuse(entry, "gives a loss that has no gradient: it may not detach or round the logits")
    (gradient,) = torch.autograd.grad(loss.mean(), logits)
    if not gradient.isfinite().all() or not gradient.any():
        _refuse(entry, f"gives gradients that are {'not finite' if gradient.any() else 'all 0'}")


def check_transform(entry: Entry, settings: Mapping[str, Any], images: Tensor, tries: int = 1) -> None:
    """Call an augmentation on uint8 images (B, C, H, W), `tries` times, and check what it returns.

    It is built for this check alone, since the one that trains must not have been called before; and twice, because the
    same seed has to give the same pixels. The process's random states are restored afterwards.
    """
    side = entry.side_after(settings)
    with preserved_random():
        one, two, levels = (build_transform(entry, settings) for _ in range(3))
        for seed in range(tries):
            whole = in_floats(images)
            if seed % 2:
                whole = whole.contiguous(memory_format=torch.channels_last)
            found = _checked(entry, one, whole, seed, side)
            if apart(found, _checked(entry, two, whole, seed, side)):
                _refuse(entry, NOT_REPEATED)
            if takes_uint8(one) and apart(found, _checked(entry, levels, images, seed, side)):
                _refuse(entry, OTHER_FOR_UINT8)


def build_transform(entry: Entry, settings: Mapping[str, Any]) -> Any:
    """Build a transform; each time with the same random states, which a factory may draw a fixed pattern from."""
    with preserved_random():
        transform = entry.build(settings=settings)
    if not callable(transform):
        _refuse(entry, f"returns {type(transform).__name__}, not a function of images and generator")
    for name, other in (("state_dict", "load_state_dict"), ("load_state_dict", "state_dict")):
        if callable(getattr(transform, name, None)) and not callable(getattr(transform, other, None)):
            _refuse(entry, f"has {name}() without {other}(): a checkpoint needs both")
    return transform


@dataclass(frozen=True)
class TransformCall:
    """One call of a transform.

    given: the images, and before: a copy of them from before the call. made: what came out. drawn: the process's own
    generators that were drawn from or seeded. side: to how many pixels a side it says that it brings images, or 0.
    """

    given: Tensor
    before: Tensor
    made: Any
    drawn: Sequence[str]
    side: int = 0

    @property
    def images(self) -> Any:
        """Return the images that came out."""
        return self.made.images if isinstance(self.made, Mixed) else self.made

    @property
    def outcome(self) -> Outcome:
        """Return the images that came out, as floats, and where they were mixed, partners and shares."""
        mixed = isinstance(self.made, Mixed)
        return in_floats(self.images), self.made.partner if mixed else None, self.made.share if mixed else None


def call_transform(transform: Any, images: Tensor, seed: int, side: int = 0) -> TransformCall:
    """Call a transform on images with a generator of this seed. side: as in `TransformCall`."""
    # A copy that repeats no memory, so that it stays as it is.
    copy, before = images.clone(memory_format=torch.contiguous_format), process_random()
    made = transform(images, torch.Generator(images.device).manual_seed(seed))
    return TransformCall(images, copy, made, drawn_from(before), side)


def wrong_randomness(call: TransformCall) -> str:
    """Say whether a transform drew from anything but the generator that it was given."""
    if not call.drawn:
        return ""
    return (
        f"draws from the process's own generator ({listing(call.drawn)}), or seeds it; draw from the generator that it "
        "is given, or a seed does not repeat"
    )


def wrong_input(call: TransformCall) -> str:
    """Say whether a transform changed the images that it was given."""
    same = torch.equal(call.given, call.before)
    return "" if same else "changes the images that it is given in place; leave them, and return others"


def wrong_form(call: TransformCall) -> str:
    """Say whether a transform returned images of another type than it was given, or of another shape than it says."""
    found, given = call.images, call.given
    wanted = given[..., :1, :1].expand(*given.shape[:2], call.side, call.side) if call.side else given
    # Of uint8 it may make floats, as a change of size does; their range is checked as that of others.
    forms = (wanted, wanted.float())
    right = isinstance(found, Tensor) and _got(found) in map(_got, forms)
    why = "as its setting says" if call.side else "as given"
    return "" if right else f"returns {_got(found)}, not {_got(wanted)} {why}"


def wrong_pixels(call: TransformCall) -> str:
    """Say whether pixels are not finite or out of range."""
    images = call.images
    if not (images.is_floating_point() and images.numel()):
        return ""
    if not images.isfinite().all():
        return "makes pixels that are not finite"
    low, high = (float(edge) for edge in images.aminmax())
    if low >= -ROUNDING and high <= 1 + ROUNDING:
        return ""
    return f"makes pixels from {low:.3g} to {high:.3g}; they have to stay in [0, 1], as with .clamp(0, 1)"


def wrong_mix(call: TransformCall) -> str:
    """Say what is wrong with the partners and shares of mixed images."""
    made = call.made
    if not isinstance(made, Mixed):
        return ""
    batch, device = len(made.images), made.images.device
    for what, found, dtype in (("partner", made.partner, torch.int64), ("share", made.share, torch.float32)):
        form = (found.dtype, tuple(found.shape), found.device) if isinstance(found, Tensor) else None
        if form != (dtype, (batch,), device):
            wanted = f"{str(dtype).removeprefix('torch.')} ({batch},) on {device}"
            return f"mixes {batch} images with a {what} that is {_got(found)}, not {wanted}"
    if batch and not 0 <= int(made.partner.min()) <= int(made.partner.max()) < batch:
        first, last = int(made.partner.min()), int(made.partner.max())
        return f"mixes with partners from {first} to {last}; in a batch of {batch} they are from 0 to {batch - 1}"
    if batch and not ((made.share >= 0) & (made.share <= 1)).all():
        low, high = float(made.share.min()), float(made.share.max())
        return f"mixes with shares from {low:.3g} to {high:.3g}; they have to lie in [0, 1]"
    return ""


def _checked(entry: Entry, transform: Any, images: Tensor, seed: int, side: int) -> Outcome:
    """Call a transform and return its outcome; refuse it if something is wrong with it."""
    call = call_transform(transform, images, seed, side)
    for check in (wrong_randomness, wrong_input, wrong_form, wrong_pixels, wrong_mix):
        if wrong := check(call):
            _refuse(entry, wrong)
    return call.outcome


def apart(one: Outcome, two: Outcome) -> bool:
    """Tell whether two outcomes of a transform differ by more than rounding to levels."""
    return any(
        a is not b and (a is None or b is None or bool(((a - b).abs() > LEVELS_APART).any()))
        for a, b in zip(one, two, strict=True)
    )
