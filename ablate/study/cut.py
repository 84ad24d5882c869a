"""How a dataset is cut, the same for every seed, and what to say of the cut: images and classes of each split."""

from __future__ import annotations

import heapq
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..components.datasets import SPLITS, LeftOut
from ..errors import counted, printable
from .folds import FoldSizes, fold_of_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from ..components.datasets import DataFacts
    from .splits import Splits

    Indices = np.ndarray[Any, np.dtype[np.int64]]

# Fixed for all studies: the split must not move with the seed, or seeds would differ in their test too.
SPLIT_SEED = 20_090_408
MOST_PLACES = 12


def cut_labels(
    labels: Mapping[str, Indices], splits: Splits, groups: Mapping[str, np.ndarray[Any, Any]] = {}
) -> dict[str, tuple[str, Indices]]:
    """Cut splits to the counted sizes of `splits`: for each, the split of the source it is of, and its rows there.

    Each cut keeps the classes in proportion (to one image), and is the same for every seed.
    A split of the source's own is only shortened; one that it lacks comes out of its training images. With groups,
    whole groups come out, as many as are nearest to the size that is asked for: the sizes that this gives, asked for,
    give the same cut. With folds, the fold of this turn is tested, and the source's own test split is left alone.
    """
    import numpy as np

    rest = np.arange(len(labels["train"]))
    cut: dict[str, tuple[str, Indices]] = {}
    for name in ("test", "validation"):
        count = abs(getattr(splits, name) or 0)
        if name == "test" and splits.folds is not None:
            fold = fold_of_each(labels["train"], splits.folds, splits.repetition, groups.get("train"))
            tested, rest = np.flatnonzero(fold == splits.fold), np.flatnonzero(fold != splits.fold)
            cut[name] = "train", tested[np.sort(_spread(labels["train"][tested])[: count or None])]
        elif name in labels:
            cut[name] = name, np.sort(_spread(labels[name])[:count])
        elif count and "train" in groups:
            taken = _whole_groups(labels["train"][rest], groups["train"][rest], count)
            cut[name], rest = ("train", rest[taken]), rest[~taken]
        elif count:
            order = _spread(labels["train"][rest])
            cut[name], rest = ("train", rest[np.sort(order[:count])]), rest[np.sort(order[count:])]
    cut["train"] = "train", rest[np.sort(_spread(labels["train"][rest])[: splits.train])]
    return {name: part for name, part in cut.items() if len(part[1])}


def _spread(labels: Indices) -> Indices:
    """Return indices in a fixed random order in which every prefix has the classes in proportion."""
    import numpy as np

    # RandomState, because numpy promises that its stream never changes (NEP 19); a Generator's may.
    shuffled = np.random.RandomState(SPLIT_SEED).permutation(len(labels))
    classes = labels[shuffled]
    order = np.argsort(classes, kind="stable")
    sizes = np.bincount(classes)
    rank = np.concatenate([np.arange(size) for size in sizes]) if len(labels) else np.zeros(0, np.int64)
    share = np.empty(len(labels))
    share[order] = (rank + 0.5) / np.repeat(sizes, sizes)
    return np.asarray(shuffled[np.argsort(share, kind="stable")], dtype=np.int64)


def _whole_groups(labels: Indices, groups: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which images are of the groups that are taken: about `count`, at least one group and never all.

    The groups stand in a fixed random order in which every prefix has the classes about in proportion, each group
    counted as its most frequent class. None are taken where all images are of one group.
    """
    import numpy as np

    names, of = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return np.zeros(len(labels), bool)
    sizes = np.bincount(of)
    classes = int(labels.max()) + 1
    pairs, images = np.unique(of * classes + labels, return_counts=True)
    by_frequency = np.lexsort((-pairs, images, pairs // classes))
    last = np.cumsum(np.bincount(pairs // classes)) - 1
    main = pairs[by_frequency[last]] % classes
    shuffled = np.random.RandomState(SPLIT_SEED).permutation(len(names))
    by_class = shuffled[np.argsort(main[shuffled], kind="stable")]
    ends = np.cumsum(sizes[by_class])
    totals = np.bincount(main, sizes)
    before = (np.cumsum(totals) - totals)[main[by_class]]
    share = np.empty(len(names))
    share[by_class] = (ends - sizes[by_class] / 2 - before) / totals[main[by_class]]
    order = shuffled[np.argsort(share[shuffled], kind="stable")]
    taken = 1 + int(np.argmin(np.abs(np.cumsum(sizes[order])[:-1] - count)))
    return np.isin(of, order[:taken])


@dataclass(frozen=True)
class Cut:
    """What a variant's dataset holds once it is cut.

    sizes: images by split. present: how many of the `classes` have images there; empty where the dataset does not
    count its classes. without: the classes that surely have none: where the dataset does not give each image's class,
    chance decides which of several goes first, and `present` may be one off. left_out: what lies in the dataset's
    folder and is not used. groups: how many groups the images of each split are of, where the dataset has groups.
    folds: of cross-validation, None without; then all else is of the first fold.
    """

    sizes: Mapping[str, int]
    classes: int
    present: Mapping[str, int] = field(default_factory=dict)
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    groups: Mapping[str, int] = field(default_factory=dict)
    folds: FoldSizes | None = None

    @classmethod
    def of(cls, facts: DataFacts, splits: Splits, folds: FoldSizes | None = None) -> Cut:
        """Return what a dataset holds that is cut to these counted sizes. folds: those that it is the first one of."""
        sizes = {name: size for name in SPLITS if (size := abs(int(getattr(splits, name) or 0)))}
        present, without = {}, {}
        for name, (taken, sure) in (_counted if _has_labels(facts) else _estimated)(facts, splits).items():
            present[name] = sum(count > 0 for count in taken)
            without[name] = tuple(facts.names[i] if facts.names else f"class {i}" for i in sure)
        without = {name: who for name, who in without.items() if who}
        return cls(sizes, facts.classes, present, without, facts.left_out, _groups(facts, splits), folds)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Cut:
        """Return what was recorded as `document`; a damaged one may raise anything."""
        sizes, present = ({n: int(document[part][n]) for n in document[part]} for part in ("sizes", "present"))
        without = {name: tuple(map(str, who)) for name, who in document["without"].items()}
        left_out = tuple(LeftOut(str(place), str(why), int(files)) for place, why, files in document["left_out"])
        groups = {str(name): int(count) for name, count in (document.get("groups") or {}).items()}
        folds = FoldSizes.read(document["folds"]) if document.get("folds") else None
        return cls(sizes, int(document["classes"]), present, without, left_out, groups, folds)

    def document(self) -> dict[str, Any]:
        """Return it as plain values; folds only where there are any."""
        return {name: value for name, value in asdict(self).items() if name != "folds" or value}

    @property
    def text(self) -> str:
        """Say what there is, and what is left out."""
        return f"{self.images}; left out: {self.unused}" if self.left_out else self.images

    @property
    def images(self) -> str:
        """Say how many images each split has, of how many classes and how many groups."""
        if not self.groups:
            return self._by_class
        of = ", as in the first fold" if self.folds else ""
        return f"{self._by_class}; groups{of}: {', '.join(f'{name} {count:,}' for name, count in self.groups.items())}"

    @property
    def _by_class(self) -> str:
        if all(self.present.get(name, self.classes) == self.classes for name in self.sizes):
            if self.folds:
                return f"{self.folds.text} images of {self.classes:,} classes"
            sizes = ", ".join(f"{name} {size:,}" for name, size in self.sizes.items())
            return f"{sizes} images of {self.classes:,} classes"
        parts = []
        for name, size in self.sizes.items():
            classes = self.present.get(name, self.classes)
            some = f"{classes:,} of {self.classes:,}" if classes < self.classes else f"{classes:,}"
            parts.append(f"{name} {counted(size, 'image')} of {some} classes")
        said = ", ".join(parts)
        return f"{self.folds.text} images; of the first: {said}" if self.folds else said

    @property
    def unused(self) -> str:
        """Say what is left out and why, by class; empty where nothing is."""
        places: dict[str, list[str]] = {}
        for place, why, files in self.left_out:
            places.setdefault(place, []).append(f"{files:,} {why}")
        lines = [f"{place}: {', '.join(why)}" for place, why in places.items()]
        more = [f"… ({len(lines) - MOST_PLACES} more)"] * (len(lines) > MOST_PLACES)
        return printable("; ".join([*lines[:MOST_PLACES], *more]))


def _has_labels(facts: DataFacts) -> bool:
    """Tell whether the class of each image is known; wrong labels are reported where they are checked."""
    return facts.labels.keys() == facts.sizes.keys() and all(
        each.dtype.kind == "i" and each.ndim == 1 and 0 <= each.min() <= each.max() < facts.classes
        for each in facts.labels.values()
    )


def _counted(facts: DataFacts, splits: Splits) -> dict[str, tuple[list[int], list[int]]]:
    """Return the images of each class by split, and which classes have none."""
    import numpy as np

    rows = cut_labels(facts.labels, splits, facts.groups)
    found = {
        n: np.bincount(facts.labels[of][rows[n][1]], minlength=facts.classes).tolist() for n, (of, _) in rows.items()
    }
    return {name: (found[name], [i for i, n in enumerate(found[name]) if n == 0]) for name in SPLITS if name in found}


def _groups(facts: DataFacts, splits: Splits) -> dict[str, int]:
    """Return how many groups the images of each split are of."""
    import numpy as np

    if not facts.groups:
        return {}
    rows = cut_labels(facts.labels, splits, facts.groups)
    return {name: len(np.unique(facts.groups[rows[name][0]][rows[name][1]])) for name in SPLITS if name in rows}


def _estimated(facts: DataFacts, splits: Splits) -> dict[str, tuple[list[int], list[int]]]:
    """Return the same from the images of each class alone, with the classes that surely have none."""
    if {name: sum(counts) for name, counts in facts.counts.items()} != facts.sizes or any(
        len(counts) != facts.classes for counts in facts.counts.values()
    ):
        return {}  # a dataset that does not count its classes, or gets them wrong
    rest = [int(count) for count in facts.counts["train"]]
    found = {}
    by_chance = False
    for name in ("test", "validation", "train"):
        own = name != "train" and name in facts.counts and not (name == "test" and splits.folds)
        there = list(facts.counts[name]) if own else rest
        size = abs(int(getattr(splits, name) or 0))
        if size:
            taken, last = _first(there, size)
            empty = [i for i, c in enumerate(there) if taken[i] == 0 and (c == 0 or 0.5 / c > last)]
            found[name] = taken, [] if by_chance else empty
            if not own:
                # Another of the images that were due with the last one may be the one that was taken.
                by_chance |= splits.folds is not None or any(
                    n < c and (n + 0.5) / c == last for n, c in zip(taken, there, strict=True)
                )
                rest = [count - gone for count, gone in zip(rest, taken, strict=True)]
    return {name: found[name] for name in SPLITS if name in found}


def _first(counts: Sequence[int], size: int) -> tuple[list[int], float]:
    """Take this many images with classes in proportion; return how many of each class, and when the last was due.

    Image r of a class of c is due at (r + 1/2) / c of the way; among those that are due together, chance decides.
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
    return taken, max(((n - 0.5) / c for n, c in zip(taken, counts, strict=True) if n), default=0.0)
