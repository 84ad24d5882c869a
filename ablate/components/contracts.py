"""The records and protocols that a component receives and returns.

Nothing here imports torch, so that listing components, checking a study and reporting stay fast.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Protocol, TypeVar

from annotated_types import Ge, Gt, Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from torch import Generator, Tensor

    from .schema import Setting

Kind = Literal["dataset", "model", "augmentation", "optimizer", "scheduler"]
KINDS: tuple[Kind, ...] = ("dataset", "model", "augmentation", "optimizer", "scheduler")
Steps = Literal["epoch", "batch"]
T = TypeVar("T", bound="Callable[..., Any]")

# Annotations for settings: a value outside the range is an error before anything runs.
Count = Annotated[int, Gt(0)]
Natural = Annotated[int, Ge(0)]
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Interval(ge=0, le=1)]


class ImageShape(NamedTuple):
    """Channels, height and width of one image."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Horizon:
    """How long a run will train, for schedulers."""

    epochs: int
    steps_per_epoch: int

    @property
    def steps(self) -> int:
        """Return the number of optimizer steps of the whole run."""
        return self.epochs * self.steps_per_epoch


class BatchTransform(Protocol):
    """An augmentation: float32 images (B, C, H, W) in [0, 1] in, the same shape out.

    It draws all its randomness from `generator`, which lives on the images' device, and draws for
    each image of the batch on its own. It leaves its input as it was, takes any memory format, and does
    not wait for the device (no `.item()`, no indexing by a mask). Normalisation comes after it.
    """

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Return the augmented images."""
        ...


class Mixed(NamedTuple):
    """What an augmentation returns that mixes each image with another one of its batch.

    images: (B, C, H, W). partner: (B,) int64, the index of the image mixed in. share: (B,) float32 in
    [0, 1], the weight of an image's own label; its partner's label has the rest.
    """

    images: Tensor
    partner: Tensor
    share: Tensor


class MixingTransform(Protocol):
    """An augmentation that mixes images and so their labels; in all else a `BatchTransform`."""

    def __call__(self, images: Tensor, generator: Generator) -> Mixed:
        """Return the mixed images, and how to mix their labels."""
        ...


def takes_uint8(transform: T) -> T:
    """Mark a transform that also takes uint8 images (0 to 255), and then returns uint8.

    Augmentations get a batch as the dataset has it, in a quarter of the bytes, up to the first that lacks
    this mark. Both ways have to give the same pixels, also where a setting such as a fill falls between two
    of the 256 levels. Usable as a decorator.
    """
    vars(transform)["takes_uint8"] = True
    return transform


@dataclass(frozen=True)
class Split:
    """Images (N, C, H, W) as uint8 and labels (N,) as int64, both numpy arrays."""

    images: np.ndarray[Any, np.dtype[np.uint8]]
    labels: np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class DataFacts:
    """What is known of a dataset without training on it.

    `fingerprint` names the exact pixels and labels and is part of every run's key;
    `train`, `validation` and `test` are numbers of images as the source has them.
    """

    fingerprint: str
    shape: ImageShape
    classes: int
    train: int
    test: int
    validation: int = 0


@dataclass(frozen=True)
class Source:
    """A dataset: facts at once, pixels on demand.

    facts: returns `DataFacts`; called while planning, so it must be quick.
    load: returns `{"train": Split, "test": Split}` and, where the source has one, `"validation"`.
    prepare: makes `load` possible (downloads, decodes) and shows its progress; called once before any
        run starts, safe to call again and from several processes.
    pending: says what `prepare` would have to do, or returns an empty string.
    """

    facts: Callable[[], DataFacts]
    load: Callable[[], Mapping[str, Split]]
    prepare: Callable[[], None] = lambda: None
    pending: Callable[[], str] = lambda: ""

    @classmethod
    def of(cls, load: Callable[[], Mapping[str, Split]]) -> Source:
        """Make a source from its loader alone; the facts are read off the arrays, which are loaded once."""
        kept: dict[str, Mapping[str, Split]] = {}

        def once() -> Mapping[str, Split]:
            if "splits" not in kept:
                kept["splits"] = load()
            return kept["splits"]

        return cls(facts=lambda: facts_of(once()), load=once)


def facts_of(splits: Mapping[str, Split]) -> DataFacts:
    """Read the facts off loaded splits; the fingerprint is a hash of every pixel and label."""
    digest = hashlib.sha256()
    for name in sorted(splits):
        split = splits[name]
        digest.update(f"{name} {split.images.shape} {split.labels.shape}".encode())
        digest.update(split.images.tobytes())
        digest.update(split.labels.astype("<i8").tobytes())
    train = splits["train"]
    channels, height, width = train.images.shape[1:]
    return DataFacts(
        fingerprint=digest.hexdigest()[:32],
        shape=ImageShape(channels, height, width),
        classes=1 + max(int(split.labels.max(initial=0)) for split in splits.values()),
        train=len(train.labels),
        test=len(splits["test"].labels) if "test" in splits else 0,
        validation=len(splits["validation"].labels) if "validation" in splits else 0,
    )


@dataclass(frozen=True)
class Borrowed:
    """One component of a library, as `Library.component` returns it.

    build: called like a component's factory of the same kind, with checked settings as keywords.
    settings: what a study may set, read from the library's own signature.
    """

    build: Callable[..., Any]
    settings: tuple[Setting, ...]
    summary: str
    steps: Steps = "epoch"


class Library(Protocol):
    """All components of one kind that a library offers behind a prefix, resolved on use.

    It may also have `caution(name) -> str`: what a plan says of a component, as in "works image by image,
    which is slow", told without importing the library.
    """

    def names(self) -> list[str]:
        """Return every name that `component` accepts."""
        ...

    def component(self, name: str) -> Borrowed:
        """Return the component of this name, or raise KeyError."""
        ...
