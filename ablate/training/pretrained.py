"""Weights that a model begins with: read from a file, fitted to the model, and frozen where that is asked for."""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..errors import RunError, did_you_mean, listing
from ..files import is_checked, read_checked
from ..study.added import WEIGHTS_FILE
from .checkpoint import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..study.spec import Choice

_INSIDE = ("average", "state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")
"""What files of weights call them where they hold more than these; averaged ones first, which are those measured."""


def begin_with(model: nn.Module, choice: Choice, classes: int, call: Callable[[], object]) -> None:
    """Give a model the weights that its study asks for, and freeze what is to stay.

    The layer that gives the logits keeps its first weights where the file has others for it, or none. call: calls the
    model once. Raises RunError where the file is not what the run was planned with, or does not fit.
    """
    asked = choice.added.get("pretrained")
    if not asked:
        return
    heads = heads_of(model, classes, call)
    file = choice.added.get(WEIGHTS_FILE)
    if file is not None:  # none where the weights of a run that is done take their place
        _load(model, Path(file), asked["weights"], choice.use, heads)
    if asked["freeze"]:
        freeze(model, heads, asked["freeze"])


def _load(model: nn.Module, file: Path, digest: str, use: str, heads: Sequence[str]) -> None:
    content = _read(file, digest)
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if convert is not None and use.startswith("timm:"):  # old names of tensors; positions for another size of images
        content = convert(content, model)
    own = model.state_dict()
    found, wrong = dict(own), []
    for name, tensor in own.items():
        given = _fitted(content.get(name), tensor)
        if given is not None:
            found[name] = given
        elif not _inside(name, heads) and not name.endswith("num_batches_tracked"):
            shape = tuple(content[name].shape) if name in content else "none"
            wrong.append(f"{name} {tuple(tensor.shape)}, in the file {shape}")
    if wrong:
        raise RunError(
            f"the weights of {file} do not fit {use}: {len(wrong)} of its {len(own)} tensors are others "
            f"({listing(wrong, 3)})"
        )
    model.load_state_dict(found)


def _read(file: Path, digest: str) -> Mapping[str, Tensor]:
    """Return the tensors of a file by name."""
    try:
        with file.open("rb") as opened:
            changed = hashlib.file_digest(opened, "sha256").hexdigest()[:24] != digest
        content = None if changed else _loaded(file)
    except Exception as error:
        first = str(error).partition("\n")[0]
        if isinstance(error, pickle.UnpicklingError):  # torch then advises to execute what is in the file
            first = "it was not written by torch, or holds more than tensors"
        raise RunError(
            f"{file}: cannot be read as weights: {first}; torch.save(model.state_dict(), FILE) saves those of a model"
        ) from error
    if changed:
        raise RunError(f"{file}: has changed since the run was planned; plan it again")
    for name in _INSIDE:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
            break
    tensors = {
        str(name).removeprefix("module.").removeprefix("_orig_mod."): tensor
        for name, tensor in (content.items() if isinstance(content, dict) else ())
        if isinstance(tensor, Tensor)
    }
    if not tensors:
        raise RunError(f"{file}: holds no weights by name; save them with torch.save(model.state_dict(), FILE)")
    return tensors


def _loaded(file: Path) -> Any:
    """Return what is in a file of safetensors, in a checkpoint of ablate's, or in one that torch wrote."""
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    if not is_checked(file):
        return torch.load(file, map_location="cpu", weights_only=True)
    content = read_checked(file.resolve())
    if content is None:
        raise ValueError("its checksum does not match")
    return unpacked(io.BytesIO(content))


def _fitted(given: Tensor | None, own: Tensor) -> Tensor | None:
    """Return a tensor of a file as a model takes it; None where it is none of its shape.

    A convolution of other channels gets the mean over those of the file, so that an image of equal channels gives
    what it gave: of photos in colour, the sum for images in grey.
    """
    if given is None or given.shape == own.shape:
        return given
    shape = tuple(own.shape)
    if given.ndim == own.ndim == 4 and given.shape[1] == 3 and (*given.shape[:1], *given.shape[2:]) == (
        *shape[:1], *shape[2:]
    ):  # fmt: skip
        return given.mean(1, keepdim=True).repeat(1, shape[1], 1, 1) * (3 / shape[1])
    return None


def heads_of(model: nn.Module, classes: int, call: Callable[[], object]) -> list[str]:
    """Return the names of the layers that give the logits: of timm's models what they say, of which some have two.

    Of others it is the layer with so many outputs that is called last. call: calls the model once.
    """
    said = getattr(model, "pretrained_cfg", None)
    classifier = said.get("classifier") if isinstance(said, dict) else None
    if classifier:
        return [classifier] if isinstance(classifier, str) else [*classifier]
    called: list[str] = []

    def noted(name: str) -> Any:
        return lambda *_: called.append(name)

    hooks = [
        module.register_forward_hook(noted(name))
        for name, module in model.named_modules()
        if isinstance(weight := getattr(module, "weight", None), nn.Parameter)
        and weight.ndim > 1
        and weight.shape[0] == classes
    ]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return called[-1:]


def _inside(name: str, modules: Iterable[str]) -> bool:
    return any(name.startswith(f"{module}.") for module in modules)


def freeze(model: nn.Module, heads: Sequence[str], asked: bool | Iterable[str]) -> None:
    """Keep parts of a model as they are: their weights, and batch statistics and dropout as in evaluation.

    asked: names of modules or parameters, as `model.named_parameters()` has them; True for all but the heads.
    Raises RunError for a name that the model has not, and where nothing is left to train.
    """
    named = dict(model.named_parameters())
    if asked is True:
        chosen = [name for name in named if not _inside(name, heads)]
    else:
        chosen = []
        for part in asked if not isinstance(asked, bool) else ():
            inside = [name for name in named if name == part or name.startswith(f"{part}.")]
            if not inside:
                known = [name for name, module in model.named_modules() if name and [*module.parameters()]]
                raise RunError(f"freeze: the model has no '{part}'{did_you_mean(part, known)}; it has {listing(known)}")
            chosen += inside
    if len(set(chosen)) == len(named):
        raise RunError("freeze: nothing is left to train; leave out the layer that gives the logits")
    for name in chosen:
        named[name].requires_grad_(False)  # torch takes it by position alone
    _keep_still(model, all_but_head=asked is True)


def _keep_still(module: nn.Module, *, all_but_head: bool) -> None:
    """Have the outermost modules whose parameters are all frozen stay in evaluation mode.

    all_but_head: also those that have statistics alone, which no name of a parameter could freeze.
    """
    for child in module.children():
        own = [*child.parameters(), *(child.buffers() if all_but_head else ())]
        if own and not any(tensor.requires_grad for tensor in own):
            child.register_forward_pre_hook(_evaluating)
        else:
            _keep_still(child, all_but_head=all_but_head)


def _evaluating(module: nn.Module, _: Any) -> None:
    module.eval()


class Resized:
    """What a model does first that takes images of another size: bilinear, with antialiasing where they shrink."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:  # noqa: ARG002
        """Return what the model is called with: images (B, C, H, W) of its size. The form is a hook's."""
        images, *others = inputs
        shrinks = min(images.shape[-2:]) > self._size
        made = interpolate(images, (self._size, self._size), mode="bilinear", align_corners=False, antialias=shrinks)
        return (made, *others)
