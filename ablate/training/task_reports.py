"""What a task reports, read: metrics as plain numbers, and what it predicted."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..components.tasks import wrong_name
from ..errors import RunError, one_line
from .predictions import halved, predicted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..data.predictions import Predictions

ARRAYS = ("predictions", "labels")
"""What a task may return beside numbers: logits (N, classes) of the test split, and the labels (N,)."""
CLASSES = "classes"
"""What goes with them: a name for each class."""
BESIDE_NUMBERS = (*ARRAYS, CLASSES)


def numbers_of(given: object, where: str, beside: Sequence[str]) -> dict[str, float]:
    """Return metrics as plain numbers. Raises RunError for a name or a value that is none."""
    if not isinstance(given, Mapping):
        raise RunError(f"{where}: metrics are {type(given).__name__}, not numbers by name")
    found = {}
    for name, value in given.items():
        if name not in beside and (wrong := wrong_name(name)):
            raise RunError(f"{where}: {wrong}")
        number = None
        if not isinstance(value, (str, bytes, bool, np.bool_)):
            with contextlib.suppress(TypeError, ValueError, OverflowError, RuntimeError):
                number = float(value)
        if number is None:
            raise RunError(f"{where}: {name} is {one_line(repr(value), 80)}, not a number")
        found[str(name)] = number
    return found


def predictions_of(returned: Mapping[str, Any]) -> Predictions:
    """Return what a task says that it predicted of the test split; nothing where it says nothing."""
    arrays = [returned.get(name) for name in ARRAYS]
    if all(array is None for array in arrays):
        return {}
    if any(array is None for array in arrays):
        raise RunError("the task's return: predictions and labels come together, or not at all")
    logits, labels = np.asarray(arrays[0], dtype=np.float32), np.asarray(arrays[1])
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or labels.dtype.kind not in "iu" or not len(labels):
        shapes = f"predictions {logits.shape} and labels {labels.dtype} {labels.shape}"
        raise RunError(f"the task's return: {shapes} are not logits (N, classes) and whole numbers (N,)")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise RunError(
            f"the task's return: labels run from {labels.min()} to {labels.max()}, of {logits.shape[1]} classes"
        )
    whole = torch.from_numpy(labels.astype(np.int64))
    return {"test": predicted([halved(torch.from_numpy(logits))], whole, logits.shape[1])}


def class_names(returned: Mapping[str, Any], number: int) -> dict[str, list[str]]:
    """Return the names that a task gives its classes, for its result; nothing where it gives none."""
    given = returned.get(CLASSES)
    if given is None:
        return {}
    names = [given] if isinstance(given, str) else list(given)
    if len(names) != number or not all(isinstance(name, str) and name and name.isprintable() for name in names):
        raise RunError(f"the task's return: classes are {one_line(repr(names), 120)}, not a name for each of {number}")
    return {CLASSES: names}
