"""What a dataset holds once it is cut: images of each split, and classes that have none in one. Told, and no more."""

from __future__ import annotations

import heapq
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..components.contracts import LeftOut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..components.contracts import DataFacts
    from .spec import Splits, Study

MOST_PLACES = 12
_ORDER = ("train", "validation", "test")


@dataclass(frozen=True)
class Cut:
    """What a variant's dataset holds once it is cut.

    sizes: images by split. present: how many of the `classes` have images there; empty where the dataset does not
    count its classes. without: the classes that surely have none; of classes of one size, chance decides which is the
    first to go. left_out: what lies in the dataset's folder and is not used.
    """

    sizes: Mapping[str, int]
    classes: int
    present: Mapping[str, int] = field(default_factory=dict)
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()

    @classmethod
    def of(cls, facts: DataFacts, splits: Splits) -> Cut:
        """Return what a dataset holds that is cut to these counted sizes."""
        sizes = {name: size for name in _ORDER if (size := abs(int(getattr(splits, name) or 0)))}
        present, without = {}, {}
        for name, (taken, sure) in _counts(facts, sizes).items():
            present[name] = sum(count > 0 for count in taken)
            without[name] = tuple(facts.names[i] if facts.names else f"class {i}" for i in sure)
        return cls(sizes, facts.classes, present, {name: who for name, who in without.items() if who}, facts.left_out)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Cut:
        """Return what was recorded as `document`; raises whatever a damaged one does."""
        sizes, present = ({n: int(document[part][n]) for n in document[part]} for part in ("sizes", "present"))
        without = {name: tuple(map(str, who)) for name, who in document["without"].items()}
        left_out = tuple(LeftOut(str(place), str(why), int(files)) for place, why, files in document["left_out"])
        return cls(sizes, int(document["classes"]), present, without, left_out)

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @property
    def text(self) -> str:
        """Say what there is, and what is left out."""
        return f"{self.images}; left out: {self.unused}" if self.left_out else self.images

    @property
    def images(self) -> str:
        """Say how many images each split has, and of how many classes."""
        parts = []
        for name, size in self.sizes.items():
            classes = self.present.get(name, self.classes)
            some = f"{classes:,} of {self.classes:,}" if classes < self.classes else f"{classes:,}"
            parts.append(f"{name} {size:,} image{'s' * (size != 1)} of {some} classes")
        return ", ".join(parts)

    @property
    def unused(self) -> str:
        """Say what is left out and why, by class; empty where nothing is."""
        places: dict[str, list[str]] = {}
        for place, why, files in self.left_out:
            places.setdefault(place, []).append(f"{files:,} {why}")
        lines = [f"{place}: {', '.join(why)}" for place, why in places.items()]
        more = [f"… ({len(lines) - MOST_PLACES} more)"] * (len(lines) > MOST_PLACES)
        return "; ".join([*lines[:MOST_PLACES], *more])


def told(study: Study) -> dict[str, list[str]]:
    """Return what there is to say of the data that a study's variants train on, each with these variants."""
    found: dict[str, list[str]] = {}
    for variant in study.variants:
        if variant.data:
            found.setdefault(f"{variant.recipe.dataset.use}: {variant.data.text}", []).append(variant.name)
    return found


def _counts(facts: DataFacts, sizes: Mapping[str, int]) -> dict[str, tuple[list[int], list[int]]]:
    """Return the images of each class by split, and which classes surely have none, as `training.data` cuts them."""
    told = {name: sum(counts) for name, counts in facts.counts.items()}
    if told != facts.sizes or any(len(counts) != facts.classes for counts in facts.counts.values()):
        return {}  # a dataset that does not count its classes, or not rightly
    rest = [int(count) for count in facts.counts["train"]]
    found = {}
    for name in ("test", "validation", "train"):
        own = name != "train" and name in facts.counts
        there = list(facts.counts[name]) if own else rest
        if sizes.get(name):
            taken, sure = _first(there, sizes[name])
            found[name] = taken, sure
            rest = rest if own else [count - gone for count, gone in zip(rest, taken, strict=True)]
    return {name: found[name] for name in _ORDER if name in found}


def _first(counts: Sequence[int], size: int) -> tuple[list[int], list[int]]:
    """Take so many images so that classes stay in proportion; return those of each class, and surely empty classes.

    The image number r of c is due at (r + 1/2) / c of the way; of those that are due at once, chance takes some.
    """
    total = sum(counts)
    taken = [min(c, (2 * c * size + total) // (2 * total)) if total else 0 for c in counts]
    lacking = size - sum(taken)
    step = 1 if lacking > 0 else -1

    def due(index: int) -> float:
        return (taken[index] + step / 2) / counts[index]

    heap = [(step * due(i), i) for i, c in enumerate(counts) if (taken[i] < c if step > 0 else taken[i] > 0)]
    heapq.heapify(heap)
    for _ in range(min(abs(lacking), total)):
        _, index = heapq.heappop(heap)
        taken[index] += step
        if 0 < taken[index] < counts[index]:
            heapq.heappush(heap, (step * due(index), index))
    last = max(((n - 0.5) / c for n, c in zip(taken, counts, strict=True) if n), default=0.0)
    return taken, [i for i, c in enumerate(counts) if taken[i] == 0 and (c == 0 or 0.5 / c > last)]
