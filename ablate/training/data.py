"""A dataset as a run trains on it: uint8, split once and for all seeds alike.

On the CPU the pixels stay in a file that all runs of a machine share (see `arrays`); each split knows its rows.
On another device each split is copied there once; where one does not fit, its batches are copied as they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..components.contracts import ImageShape, Split
    from ..study.spec import Splits

# Fixed for all studies: the split must not move with the seed, or seeds would differ in their test too.
SPLIT_SEED = 20_090_408

# The rest is for the model, and for other runs.
MOST_OF_A_DEVICE = 0.4

Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Images:
    """One split: uint8 images (N, C, H, W), int64 labels (n,), and which of the images are its own.

    rows: (n,) int64, the images of the split in its order; None for all of them. batches_to: the device that batches
    are copied to, where it is another one.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor | None = None
    batches_to: torch.device | None = None

    @property
    def place(self) -> torch.device:
        """Return the device that the split is on, which is where `take` wants to be told what to take."""
        return self.labels.device

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images (B, C, H, W) and labels (B,) at these places of the split."""
        rows = chosen if self.rows is None else self.rows[chosen]
        # index_select copies whole images, several times as fast as indexing does.
        images, labels = self.images.index_select(0, rows), self.labels[chosen]
        if self.batches_to is None:
            return images, labels
        return self._moved(images), self._moved(labels)

    def _moved(self, part: Tensor) -> Tensor:
        """Copy a part of a batch; from pinned memory that goes on while the device still computes the step before."""
        pinned = part.pin_memory() if self.batches_to is not None and self.batches_to.type == "cuda" else part
        return pinned.to(self.batches_to, non_blocking=True)


@dataclass(frozen=True)
class Data:
    """The splits of one run, and the channel statistics (1, C, 1, 1) of its training images in [0, 1].

    `validation` is None where the study has none, `test` where a run may not see it: while a study is tuned.
    """

    train: Images
    validation: Images | None
    test: Images | None
    mean: Tensor
    std: Tensor


def load_data(
    loaded: Mapping[str, Split], shape: ImageShape, classes: int, splits: Splits, device: torch.device
) -> Data:
    """Cut a loaded dataset; raises DataError where it is not of the promised shape and classes."""
    _check(loaded, shape, classes)
    cut = cut_rows(loaded, splits)
    mean, std = channel_statistics(loaded["train"].images, cut["train"][1])
    parts = {name: _images(loaded[source], rows, device) for name, (source, rows) in cut.items()}
    return Data(
        parts["train"], parts.get("validation"), parts.get("test"),
        torch.tensor(mean, device=device).view(1, -1, 1, 1), torch.tensor(std, device=device).view(1, -1, 1, 1),
    )  # fmt: skip


def _images(split: Split, rows: Indices, device: torch.device) -> Images:
    labels = torch.from_numpy(split.labels[rows])
    whole = len(rows) == len(split.labels)
    if device.type == "cpu" or not _fits(len(rows) * split.images[0].nbytes, device):
        there = None if device.type == "cpu" else device
        return Images(torch.from_numpy(split.images), labels, None if whole else torch.from_numpy(rows), there)
    return Images(torch.from_numpy(split.images if whole else split.images[rows]).to(device), labels.to(device))


def _fits(size: int, device: torch.device) -> bool:
    """Tell whether so many bytes leave a device most of its free memory; only CUDA says how much that is."""
    return device.type != "cuda" or size < MOST_OF_A_DEVICE * torch.cuda.mem_get_info(device)[0]


def channel_statistics(images: np.ndarray[Any, np.dtype[np.uint8]], rows: Indices) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel of these images, in [0, 1].

    Counted, not summed: exact, and the images are never held as floats.
    """
    counts = np.zeros((images.shape[1], 256), np.int64)
    for start in range(0, len(rows), 1000):
        block = images[rows[start : start + 1000]]
        for channel in range(images.shape[1]):
            counts[channel] += np.bincount(block[:, channel].ravel(), minlength=256)
    values, total = np.arange(256) / 255, counts.sum(axis=1)
    mean = counts @ values / total
    variance = (counts * (values - mean[:, None]) ** 2).sum(axis=1) / total
    return mean.tolist(), np.maximum(np.sqrt(variance), 1e-6).tolist()


def cut_rows(loaded: Mapping[str, Split], splits: Splits) -> dict[str, tuple[str, Indices]]:
    """Cut loaded splits to the counted sizes of `splits`: for each, the loaded split it is of, and its rows there.

    Each cut keeps the classes in proportion (to one image), and is the same for every seed.
    A split of the source's own is only shortened; one that it lacks comes out of its training images.
    """
    rest = np.arange(len(loaded["train"].labels))
    cut: dict[str, tuple[str, Indices]] = {}
    for name in ("test", "validation"):
        count = getattr(splits, name) or 0
        if name in loaded:
            cut[name] = name, np.sort(_spread(loaded[name].labels)[:count])
        elif count:
            order = _spread(loaded["train"].labels[rest])
            cut[name], rest = ("train", rest[np.sort(order[:count])]), rest[np.sort(order[count:])]
    cut["train"] = "train", rest[np.sort(_spread(loaded["train"].labels[rest])[: splits.train])]
    return {name: part for name, part in cut.items() if len(part[1])}


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
