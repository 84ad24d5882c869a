"""Arrays as people save them, checked and brought into the form of a `Split`: images, labels, groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import DataError, listing, printable
from .listed import classes_in_order

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

Channels = Literal["auto", "first", "last"]
_CHANNELS = (1, 3, 4)
_LOOKED_AT = 1000
"""Messages tell the range of so many images: all of a large file would take long."""


def checked_images(where: str, images: Array, channels: Channels) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return images as uint8 (N, C, H, W), as they lie in memory or in a file. where: what messages call the array.

    Raises DataError if they are no images.
    """
    if images.dtype != np.uint8:
        found = f"{images.dtype} {images.shape}{_range(images)}"
        raise DataError(f"{where} is {found}, not uint8 (0 to 255)\n  {_as_uint8(images)}")
    if images.ndim not in (3, 4) or not all(images.shape):
        forms = "(N, H, W), (N, C, H, W) or (N, H, W, C)"
        raise DataError(f"{where} has the shape {images.shape}, which is not images {forms}")
    if images.ndim == 3:
        images = images[:, None]
    elif _channels_last(where, images.shape, channels):
        images = images.transpose(0, 3, 1, 2)
    return images


def _channels_last(where: str, shape: tuple[int, ...], channels: Channels) -> bool:
    if channels != "auto":
        return channels == "last"
    first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
    if first == last:
        raise DataError(
            f"{where} has the shape {shape}, and whether its channels come first or last is not known\n"
            '  say so with the dataset\'s setting: channels = "first" or channels = "last"'
        )
    return last


def checked_labels(
    where: str, labels: Array, images: int, names: tuple[str, ...]
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], tuple[str, ...]]:
    """Return labels as int64 (N,), and the names of the classes if labels are texts.

    images: how many there are. names: of the classes, where they are known from the training labels. Raises DataError.
    """
    labels = _column(labels)
    if labels.ndim == 2 and len(labels) == images:
        shape = f"{where} has the shape {labels.shape}"
        raise DataError(f"{shape}, and there is one label to an image\n  of one-hot labels, save labels.argmax(1)")
    _check_length(where, labels, images, "label")
    if labels.dtype.kind == "U":
        texts = labels.tolist()
        known = names or classes_in_order(texts)
        strange = sorted(set(texts) - set(known))
        if strange:
            lacking = f"{where} has classes that train lacks: {printable(listing(strange))}"
            raise DataError(f"{lacking}\n  train has {printable(listing(known))}")
        place = {text: label for label, text in enumerate(known)}
        return np.array([place[text] for text in texts], np.int64), known
    if labels.dtype.kind not in "iu" or names:
        lost = int(np.isnan(labels).sum()) if labels.dtype.kind == "f" else 0
        hint = f"{lost:,} of its {images:,} labels are nan" if lost else "save whole numbers from 0, or texts"
        raise DataError(f"{where} is {labels.dtype}, not {'texts as in train' if names else 'labels'}\n  {hint}")
    if labels.min() < 0 or labels.max() >= 2**31:
        raise DataError(f"{where} runs from {labels.min()} to {labels.max()}; classes are numbered from 0 without gaps")
    return np.array(labels, np.int64, subok=False), ()


def checked_groups(where: str, groups: Array, images: int) -> Array:
    """Return groups as int64 or text (N,). Raises DataError if they are none of so many images."""
    groups = _column(groups)
    _check_length(where, groups, images, "group")
    if groups.dtype.kind not in "iuU":
        raise DataError(f"{where} is {groups.dtype}, and groups are whole numbers or texts")
    return np.array(groups, np.str_ if groups.dtype.kind == "U" else np.int64, subok=False)


def _column(array: Array) -> Array:
    """Take the one column of a table, as some save labels."""
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _check_length(where: str, array: Array, images: int, what: str) -> None:
    if array.shape != (images,):
        raise DataError(f"{where} has the shape {array.shape}, and each of {images:,} images has one {what}")


def _range(images: Array) -> str:
    """Say which values there are."""
    some = images[:_LOOKED_AT]
    if images.dtype.kind not in "fiub" or not some.size:
        return ""
    return " with nan" if np.isnan(some).any() else f" from {some.min():g} to {some.max():g}"


def _as_uint8(images: Array) -> str:
    """Say how such images become uint8."""
    some = images[:_LOOKED_AT]
    if images.dtype.kind == "f" and some.size and some.min() >= 0 and some.max() <= 1:
        return "save numpy.rint(images * 255).astype(numpy.uint8)"
    return "save them as numpy.uint8, with black at 0 and white at 255"
