"""A dataset in memory: uint8 on the device, split once and for all seeds alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..components.contracts import ImageShape, Source, Split
from ..errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..study.spec import Splits

# Fixed for all studies: the split must not move with the seed, or seeds would differ in their test too.
SPLIT_SEED = 20_090_408

Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Images:
    """One split on the device: uint8 images (N, C, H, W) and int64 labels (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Data:
    """The splits of one run, and the channel statistics (1, C, 1, 1) of its training images in [0, 1].

    `validation` is None where the study has none.
    """

    train: Images
    validation: Images | None
    test: Images
    mean: Tensor
    std: Tensor


def load_data(source: Source, shape: ImageShape, classes: int, splits: Splits, device: torch.device) -> Data:
    """Load a dataset and cut it; raises DataError where it is not of the promised shape and classes."""
    loaded = source.load()
    _check(loaded, shape, classes)
    cut = cut_splits(loaded, splits)
    train = cut["train"].images
    mean = [float(train[:, c].mean(dtype=np.float64)) / 255 for c in range(train.shape[1])]
    std = [max(float(train[:, c].std(dtype=np.float64)) / 255, 1e-6) for c in range(train.shape[1])]
    on_device = {
        name: Images(torch.from_numpy(s.images).to(device), torch.from_numpy(s.labels).to(device))
        for name, s in cut.items()
    }
    return Data(
        on_device["train"], on_device.get("validation"), on_device["test"],
        torch.tensor(mean, device=device).view(1, -1, 1, 1), torch.tensor(std, device=device).view(1, -1, 1, 1),
    )  # fmt: skip


def cut_splits(loaded: Mapping[str, Split], splits: Splits) -> dict[str, Split]:
    """Cut loaded splits to the counted sizes of `splits`.

    Each cut keeps the classes in proportion (to one image), and is the same for every seed.
    A split of the source's own is only shortened; one that it lacks comes out of its training images.
    """
    rest = loaded["train"]
    cut: dict[str, Split] = {}
    for name in ("test", "validation"):
        count = getattr(splits, name) or 0
        if name in loaded:
            cut[name] = _take(loaded[name], _spread(loaded[name].labels)[:count])
        elif count:
            order = _spread(rest.labels)
            cut[name], rest = _take(rest, order[:count]), _take(rest, np.sort(order[count:]))
    cut["train"] = _take(rest, _spread(rest.labels)[: splits.train])
    return {name: split for name, split in cut.items() if len(split.labels)}


def _spread(labels: Indices) -> Indices:
    """Return indices in a fixed random order in which every prefix has the classes in proportion."""
    # RandomState, because numpy promises that its stream never changes (NEP 19); a Generator's may.
    shuffled = np.random.RandomState(SPLIT_SEED).permutation(len(labels))
    classes = labels[shuffled]
    order = np.argsort(classes, kind="stable")
    sizes = np.bincount(classes)
    rank = np.concatenate([np.arange(size) for size in sizes]) if len(labels) else np.zeros(0, np.int64)
    share = np.empty(len(labels))
    share[order] = (rank + 0.5) / np.repeat(sizes, sizes)
    return np.asarray(shuffled[np.argsort(share, kind="stable")], dtype=np.int64)


def _take(split: Split, indices: Indices) -> Split:
    if len(indices) == len(split.labels):
        return split
    chosen = np.sort(indices)
    return Split(np.ascontiguousarray(split.images[chosen]), split.labels[chosen])


def _check(loaded: Mapping[str, Split], shape: ImageShape, classes: int) -> None:
    for name, split in loaded.items():
        images, labels = split.images, split.labels
        wrong = ""
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != tuple(shape):
            wrong = f"images are {images.dtype} {images.shape}, not uint8 (N, {', '.join(map(str, shape))})"
        elif labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            wrong = f"labels are {labels.dtype} {labels.shape}, not int64 ({len(images)},)"
        elif len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            wrong = f"labels run from {labels.min()} to {labels.max()}, and there are {classes} classes"
        if wrong:
            raise DataError(f"the dataset's {name} split is not usable: {wrong}")
