"""The network of a run that is done, made again from its checkpoint; and the images that it was evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import InputError, did_you_mean, listing
from ..study.seen import seen_shape
from .build import average_of, build_model, load
from .checkpoint import NoCheckpointError, restore_buffers, weights_digest
from .isolation import isolated_torch
from .layout import layout_for
from .loop import evaluated, evaluation_batch, loss_and_accuracy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn

    from ..components.registry import Registry
    from ..data.images import Data, Images
    from ..study.spec import RunSpec
    from .checkpoint import State

Places = int | slice | list[int] | list[bool] | NDArray[Any] | Tensor
"""What chooses images: a place, a slice, several places, or a mask."""
_ACCEPTED = "images are chosen by a whole number, a slice, a list, array or tensor of whole numbers, or a mask"


def trained_model(spec: RunSpec, registry: Registry, state: State, digest: str) -> nn.Module:
    """Return the network that a run evaluated last, on the CPU and in evaluation mode.

    Where the run keeps an average of its weights (`ema`), that is what it evaluated, and what is returned.
    state: the run's checkpoint. digest: of the weights that the run ended with.
    Raises NoCheckpointError where the checkpoint does not fit the model, or is not of the run's end.
    """
    with isolated_torch():
        images = torch.zeros(2, *seen_shape(spec, registry))
        model = build_model(spec, registry, images, layout_for(state.get("usual_layout", "")))
        average = average_of(model, spec.recipe.ema)
    try:
        model.load_state_dict(state["model"])
        if average is not None:
            average.load_state_dict(state["average"])
        for part, buffers in zip([model, average], state["buffers"], strict=False):
            if part is not None:
                restore_buffers(part, buffers)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:  # a library was upgraded, say
        raise NoCheckpointError(f"it does not fit the model ({type(error).__name__}: {error})") from error
    if weights_digest(model) != digest:
        raise NoCheckpointError("its weights are not those that the run ended with")
    evaluated: nn.Module = model if average is None else average.module
    return evaluated.eval()


@dataclass(frozen=True)
class EvaluationImages(Dataset[tuple[Tensor, Tensor]]):
    """One split of a run's data as the run evaluates it: in the dataset's order, without augmentation, on the CPU.

    `[place]` gives one image as `(input, label)`, the input normalised as the run's model takes it; a slice, a list,
    array or tensor of places, or a mask of booleans gives a batch. A `DataLoader` takes it as it is.
    precision: "fp32" or "bf16", in which the run computes.
    """

    precision: str

    _split: Images
    _data: Data
    _size: int
    _layout: torch.memory_format

    def __len__(self) -> int:
        return len(self._split)

    def __repr__(self) -> str:
        return f"<{len(self):,} images of {'x'.join(map(str, self._split.images.shape[1:]))}>"

    def __getitem__(self, places: Places) -> tuple[Tensor, Tensor]:
        """Return the input and label at one place, (C, H, W) and (), or those at several, (B, C, H, W) and (B,).

        Negative places count from the end. Raises IndexError for a place that is not there or a mask of another
        length, TypeError for what names no places.
        """
        rows = torch.arange(len(self))[_places(places)]
        inputs, labels = self._inputs(rows.reshape(-1))
        return (inputs, labels) if rows.ndim else (inputs[0], labels[0])

    @property
    def labels(self) -> Tensor:
        """Return all labels, (N,) int64: a copy."""
        return self._split.labels.clone()

    @property
    def mean(self) -> Tensor:
        """Return the mean of each channel of the run's training images in [0, 1], (1, C, 1, 1)."""
        return self._data.mean.clone()

    @property
    def std(self) -> Tensor:
        """Return the deviation of each channel of the run's training images, (1, C, 1, 1)."""
        return self._data.std.clone()

    @property
    def images(self) -> Tensor:
        """Return all images, (N, C, H, W) uint8, as the dataset has them: a copy."""
        return self._split.take(torch.arange(len(self)))[0]

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Return a model's `loss` (mean cross-entropy) and `accuracy` (a fraction), measured as the run measures them.

        At the run's precision; the model is left in evaluation mode. Of a run that was made on the CPU these are the
        numbers that are stored, on the same kind of machine to the last bit.
        """
        loss, accuracy = loss_and_accuracy(model, self.batches(), self.precision, torch.device("cpu"))
        return {"loss": loss, "accuracy": accuracy}

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield `(inputs, labels)` in the batches that the run evaluates."""
        return map(self._inputs, torch.arange(len(self)).split(self._size))  # type: ignore[no-untyped-call]

    def _inputs(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = self._split.take(rows)
        return evaluated(images, self._data, self._layout), labels


def _places(given: Places) -> slice | Tensor:
    """Return places as a slice, or as a tensor: of one (0-d), of several (1-d), or a mask."""
    if isinstance(given, slice):
        return given
    if isinstance(given, Tensor):
        found = given.detach().cpu()
    elif isinstance(given, int | list) or hasattr(given, "__array__"):  # numpy's numbers and arrays, pandas' columns
        found = torch.tensor(_array(given))
    else:
        raise TypeError(f"{_ACCEPTED}, not {type(given).__name__}")
    if found.dtype == torch.bool and found.ndim == 1:
        return found
    if found.numel() == 0 and found.ndim == 1:
        return found.long()
    if found.dtype == torch.bool or found.is_floating_point() or found.is_complex() or found.ndim > 1:
        raise TypeError(f"{_ACCEPTED}, not {str(found.dtype).removeprefix('torch.')} of shape {tuple(found.shape)}")
    return found.long()


def _array(given: Any) -> np.ndarray[Any, Any]:
    """Return a list or an array as one that torch takes."""
    try:
        found = np.asarray(given)
    except ValueError:  # a list of lists of different lengths
        found = np.empty(0, dtype=object)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{_ACCEPTED}, not {type(given).__name__} of {found.dtype}")
    return found.astype(np.int64) if found.dtype.kind in "iu" else found


def evaluation_images(
    spec: RunSpec, registry: Registry, data_dir: Path, split: str, usual_layout: str
) -> EvaluationImages:
    """Load a split ("train", "validation" or "test") of a run's data, as the run evaluates it.

    usual_layout: why the run's weights are in torch's usual layout, "" where they are not.
    Raises InputError where the run has no such split, DataError where the dataset is not what the run was made with.
    """
    recipe = spec.recipe
    data = load(spec, registry, data_dir, torch.device("cpu"))
    parts: dict[str, Images | None] = {"train": data.train, "validation": data.validation, "test": data.test}
    found = parts.get(split)
    if found is None:
        there = [name for name, part in parts.items() if part is not None]
        raise InputError(
            f"'{spec.variant}' has no split '{split}'{did_you_mean(split, there)}; it has {listing(there)}"
        )
    size = evaluation_batch(recipe.batch_size, recipe.accumulate, data.pixels)
    return EvaluationImages(recipe.precision, found, data, size, layout_for(usual_layout))
