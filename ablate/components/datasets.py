"""What a dataset returns, held to its contract: what is wrong with it in words, or an empty string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import listing
from .contracts import SPLITS, DataFacts, Source, Split

if TYPE_CHECKING:
    from collections.abc import Sequence


def wrong_source(source: object) -> str:
    """Say what is wrong with what a dataset's factory returned."""
    if isinstance(source, Source):
        return ""
    return f"returns {type(source).__name__}, not a Source; write 'return Source.of(load)', as docs/components.md shows"


def wrong_splits(loaded: object) -> str:
    """Say what is wrong with what a source's `load` returned, apart from which labels there are."""
    if not isinstance(loaded, Mapping):
        return f"loads {type(loaded).__name__}, not a dict such as {{'train': Split(...), 'test': Split(...)}}"
    if "train" not in loaded or set(loaded) - set(SPLITS):
        named = listing(map(str, loaded)) or "none"
        return f"loads the splits {named}; it needs 'train', and may have 'validation' and 'test'"
    for name, split in loaded.items():
        if not isinstance(split, Split):
            return f"loads {type(split).__name__} as '{name}', not a Split(images, labels)"
        wrong = _wrong_split(split)
        if not wrong and split.images.shape[1:] != loaded["train"].images.shape[1:]:
            wrong = f"images are {split.images.shape[1:]}, and those of train {loaded['train'].images.shape[1:]}"
        if wrong:
            return f"{name}: {wrong}"
    return "" if len(loaded["train"].labels) else "loads no training images"


def _wrong_split(split: Split) -> str:
    import numpy as np

    images, labels = split.images, split.labels
    for what, array in (("images", images), ("labels", labels)):
        if not isinstance(array, np.ndarray):
            return f"{what} are {type(array).__name__}, not a numpy array"
    if images.dtype != np.uint8 or images.ndim != 4:
        return f"images are {images.dtype} {images.shape}, not uint8 (N, C, H, W)"
    if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        return f"labels are {labels.dtype} {labels.shape}, not int64 ({len(images)},)"
    if len(labels) and labels.min() < 0:
        return f"labels begin at {labels.min()}; the first class is 0"
    return ""


def wrong_labels(splits: Mapping[str, Split]) -> str:
    """Say which classes below the last one no image of any split is of."""
    found = sorted({int(label) for split in splits.values() for label in set(split.labels.tolist())})
    empty = sorted(set(range(found[-1])) - set(found))
    if not empty:
        return ""
    return (
        f"labels run from {found[0]} to {found[-1]}, and none is "
        f"{listing(map(str, empty), 5)}; classes are numbered from 0 without gaps, as by "
        "numpy.unique(labels, return_inverse=True)[1]"
    )


def wrong_shape(shape: Sequence[int]) -> str:
    """Say whether a shape (C, H, W) reads as that of images whose channels come last."""
    channels, height, width = shape
    last = width in (3, 4) and min(channels, height) > 4
    grey = width == 1 and channels == height > 4
    if not (last or grey):
        return ""
    return (
        f"images of shape ({channels}, {height}, {width}) would have {channels} channels of {height}x{width} pixels; "
        "channels come first: images.transpose(0, 3, 1, 2)"
    )


def wrong_facts(facts: object) -> str:
    """Say what is wrong with what a source's `facts` returned."""
    if not isinstance(facts, DataFacts):
        return f"gives its facts as {type(facts).__name__}, not as DataFacts"
    if not isinstance(facts.fingerprint, str) or not facts.fingerprint:
        return f"has the fingerprint {facts.fingerprint!r}; it has to be a text that names the exact pixels and labels"
    numbers = {"classes": facts.classes, "train": facts.train, "validation": facts.validation, "test": facts.test}
    for name, value in numbers.items():
        if not isinstance(value, int) or value < (name in ("classes", "train")):
            what = "classes" if name == "classes" else "images"
            return f"gives {name} = {value!r} in its facts, which is not a number of {what}"
    shape = facts.shape
    if len(shape) != 3 or not all(isinstance(side, int) and side > 0 for side in shape):
        return f"gives the shape {tuple(shape)} in its facts, not (channels, height, width)"
    return wrong_shape(shape)
