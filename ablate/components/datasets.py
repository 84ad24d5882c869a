"""What a dataset is: its source, its facts, its images; and what is wrong with one, in words.

Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ComponentError, listing
from .contracts import ImageShape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

SPLITS = ("train", "validation", "test")
HASHED = 1 << 25
"""About so many bytes of images are hashed at a time."""


@dataclass(frozen=True)
class Split:
    """Images (N, C, H, W) as uint8 and labels (N,) as int64, both numpy arrays.

    groups: what each image is of (N,), int64 or text, such as a patient; images of one group are never in two splits.
    """

    images: np.ndarray[Any, np.dtype[np.uint8]]
    labels: np.ndarray[Any, np.dtype[np.int64]]
    groups: np.ndarray[Any, Any] | None = None


class LeftOut(NamedTuple):
    """Files of a dataset's folder that are not used: where they are, such as `train/cat`, why, and how many."""

    place: str
    why: str
    files: int


@dataclass(frozen=True)
class DataFacts:
    """What is known of a dataset without training on it.

    `fingerprint` names the exact pixels and labels and is part of every run's key;
    `train`, `validation` and `test` are numbers of images as the source has them. The others are for messages alone:
    `counts` has the images of each class by split, `names` the classes' names, `left_out` files in the dataset's folder
    that are not used. Without `counts`, a class without images is not noticed. With `labels`, of every image by split,
    `plan` knows for sure which classes a cut leaves without images. `groups`, of every image by split, have to be given
    where a `Split` has them, and need `labels`.
    """

    fingerprint: str
    shape: ImageShape
    classes: int
    train: int
    test: int
    validation: int = 0
    counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    labels: Mapping[str, np.ndarray[Any, np.dtype[np.int64]]] = field(default_factory=dict, compare=False, repr=False)
    groups: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def sizes(self) -> dict[str, int]:
        """Return the number of images of each split that the source has."""
        return {name: size for name in SPLITS if (size := getattr(self, name))}


@dataclass(frozen=True)
class Source:
    """A dataset: facts at once, pixels on demand.

    facts: returns `DataFacts`; called while planning, so it must be quick. Called again once `load` has returned:
        a run trains on nothing but the data that it was planned with.
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
    """Read the facts off loaded splits. Raises ComponentError where they are not what a dataset has to load."""
    fingerprint = fingerprint_of(splits)
    train = splits["train"]
    channels, height, width = train.images.shape[1:]
    if wrong := wrong_labels(splits):
        raise ComponentError(wrong)
    classes = 1 + max(int(split.labels.max(initial=0)) for split in splits.values())
    found = {name: Counter(split.labels.tolist()) for name, split in splits.items()}
    return DataFacts(
        fingerprint=fingerprint,
        shape=ImageShape(channels, height, width),
        classes=classes,
        train=len(train.labels),
        test=len(splits["test"].labels) if "test" in splits else 0,
        validation=len(splits["validation"].labels) if "validation" in splits else 0,
        counts={name: tuple(of[label] for label in range(classes)) for name, of in found.items()},
        labels={name: split.labels for name, split in splits.items()},
        groups=groups_of(splits),
    )


def groups_of(splits: Mapping[str, Split]) -> dict[str, np.ndarray[Any, Any]]:
    """Return the groups of each split's images; empty where a dataset has none."""
    return {name: split.groups for name, split in splits.items() if split.groups is not None}


def fingerprint_of(splits: Mapping[str, Split]) -> str:
    """Return a hash of every pixel, label and group. Raises ComponentError where a dataset may not load such splits."""
    import numpy as np

    if wrong := wrong_splits(splits):
        raise ComponentError(wrong)
    digest = hashlib.sha256()
    for name in sorted(splits):
        split = splits[name]
        digest.update(f"{name} {split.images.shape} {split.labels.shape}".encode())
        # In parts, which are copied only where their bytes do not lie in order: they may be larger than memory.
        for start in range(0, len(split.images), step := max(1, HASHED // (split.images[:1].nbytes or 1))):
            digest.update(np.ascontiguousarray(split.images[start : start + step]).data)
        digest.update(split.labels.astype("<i8").tobytes())
        if split.groups is not None:  # they decide how the images are cut
            text = json.dumps(split.groups.tolist(), separators=(",", ":"))
            digest.update(f"groups {text}".encode())
    return digest.hexdigest()[:32]


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
    if wrong := _wrong_groups({name: split.groups for name, split in loaded.items()}):
        return wrong
    return "" if len(loaded["train"].labels) else "loads no training images"


def _wrong_groups(groups: Mapping[str, np.ndarray[Any, Any] | None]) -> str:
    """Say what is wrong with the groups of all splits together, whose shapes are right."""
    without = [name for name, each in groups.items() if each is None]
    if without and len(without) < len(groups):
        return f"has no groups for {listing(without)}; give the groups of every split, or of none"
    if len({each.dtype.kind for each in groups.values() if each is not None}) > 1:
        return "has numbers as the groups of one split and texts as those of another"
    return ""


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
    return "" if split.groups is None else _wrong_group(split.groups, len(labels))


def _wrong_group(groups: object, images: int) -> str:
    import numpy as np

    if not isinstance(groups, np.ndarray):
        return f"groups are {type(groups).__name__}, not a numpy array"
    if (groups.dtype != np.int64 and groups.dtype.kind != "U") or groups.shape != (images,):
        return f"groups are {groups.dtype} {groups.shape}, not int64 or text ({images},)"
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
    return wrong_shape(shape) or _wrong_facts_of_groups(facts)


def _wrong_facts_of_groups(facts: DataFacts) -> str:
    """Say whether the groups in its facts are none that images can be cut by."""
    if not facts.groups:
        return ""
    for name, size in facts.sizes.items():
        for what, given in (("groups", facts.groups), ("labels", facts.labels)):
            if name not in given:
                return f"gives groups in its facts and no {what} for {name}; images are cut by both"
            if len(given[name]) != size:
                return f"gives {len(given[name]):,} {what} for the {size:,} images of {name} in its facts"
        if wrong := _wrong_group(facts.groups[name], size):
            return f"gives in its facts for {name}: {wrong}"
    return _wrong_groups(facts.groups)
