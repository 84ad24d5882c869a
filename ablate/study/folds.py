"""Cross-validation: which of the training images each fold tests. A repetition's folds are the same everywhere.

A seed names a fold: with k folds, seed s is fold s % k of repetition s // k, so that all variants of a seed test the
same images, and a repetition tests each image once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InputError, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np

    from ..components.datasets import DataFacts
    from .splits import Splits

    Indices = np.ndarray[Any, np.dtype[np.int64]]

FOLD_SEED = 20_031_010
"""Of the first repetition; each further one has the next."""


def seed_text(seed: int, folds: int | None) -> str:
    """Write a seed, with the fold that it names: "7 (fold 2)", or "7 (fold 2, repetition 1)"."""
    if folds is None:
        return str(seed)
    repetition = f", repetition {seed // folds}" if seed >= folds else ""
    return f"{seed} (fold {seed % folds}{repetition})"


def fold_of_each(labels: Indices, folds: int, repetition: int, groups: np.ndarray[Any, Any] | None = None) -> Indices:
    """Return which fold, from 0, tests each image (N,).

    Each fold has as many images of each class as any other one, to one image, and as many in all. With groups, whole
    groups go where the classes lack most, large ones first.
    """
    import numpy as np

    # RandomState, because numpy promises that its stream never changes (NEP 19); a Generator's may.
    draw = np.random.RandomState(FOLD_SEED + repetition)
    if groups is not None:
        return _of_groups(labels, groups, folds, draw)
    shuffled = draw.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold = np.empty(len(labels), np.int64)
    fold[by_class] = np.arange(len(labels)) % folds
    return fold


def _of_groups(labels: Indices, groups: np.ndarray[Any, Any], folds: int, draw: np.random.RandomState) -> Indices:
    """Return which fold each image is of where groups stay whole: each group goes where its classes are rarest."""
    import numpy as np

    names, of = np.unique(groups, return_inverse=True)
    shuffled = draw.permutation(len(names))
    order = shuffled[np.argsort(-np.bincount(of)[shuffled], kind="stable")]
    totals = np.bincount(labels).tolist()
    classes = len(totals)
    pairs, images = np.unique(of * classes + labels, return_counts=True)
    held: list[list[tuple[int, int]]] = [[] for _ in names]
    for pair, count in zip(pairs.tolist(), images.tolist(), strict=True):
        held[pair // classes].append((pair % classes, count))
    there = [[0] * classes for _ in range(folds)]
    fold = np.empty(len(names), np.int64)
    for group in order.tolist():
        # fsum rounds once, so that no machine's order of sums decides.
        crowded = [math.fsum(own[label] * count / totals[label] for label, count in held[group]) for own in there]
        fold[group] = place = min(range(folds), key=lambda at: (crowded[at], sum(there[at]), at))
        for label, count in held[group]:
            there[place][label] += count
    return np.asarray(fold[of])


def check_folds(facts: DataFacts, folds: int) -> None:
    """Raise InputError where a dataset's training images cannot be cut into so many folds."""
    import numpy as np

    if folds > facts.train:
        raise InputError(
            f"folds = {folds:,} is more than the {counted(facts.train, 'training image')}\ntake at most {facts.train:,}"
        )
    known = np.bincount(facts.labels["train"]).tolist() if "train" in facts.labels else facts.counts.get("train", ())
    rare = min((label for label, count in enumerate(known) if count), key=lambda label: known[label], default=None)
    if rare is not None and folds > known[rare]:
        name = facts.names[rare] if facts.names else f"class {rare}"
        text = (
            f"folds = {folds:,} is more than the {counted(known[rare], 'image')} of {name}: some fold would test none"
        )
        raise InputError(f"{text}\ntake at most {known[rare]:,}, add images of it, or leave the class out")
    if "train" in facts.groups and folds > (groups := len(np.unique(facts.groups["train"]))):
        text = f"folds = {folds:,} is more than the {counted(groups, 'group')}, which stay whole"
        raise InputError(f"{text}\ntake at most {groups:,}, or leave groups out")


@dataclass(frozen=True)
class FoldSizes:
    """How many images the splits of a study's folds hold.

    folds: how many there are. images: that they cut. own_test: in the source's own test set, which is not used. least,
    most: images by split, over all folds that the study has.
    """

    folds: int
    images: int
    own_test: int
    least: Mapping[str, int]
    most: Mapping[str, int]

    @classmethod
    def of(cls, facts: DataFacts, folds: int, turns: Iterable[Splits]) -> FoldSizes:
        """Return those of counted splits."""
        sizes = [{name: int(getattr(one, name) or 0) for name in ("train", "validation", "test")} for one in turns]
        least, most = ({name: pick(one[name] for one in sizes) for name in sizes[0]} for pick in (min, max))
        return cls(folds, facts.train, facts.test, least, most)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> FoldSizes:
        """Return what was recorded as `document`; a damaged one may raise anything."""
        least, most = ({str(name): int(size) for name, size in document[part].items()} for part in ("least", "most"))
        return cls(int(document["folds"]), int(document["images"]), int(document["own_test"]), least, most)

    @property
    def text(self) -> str:
        """Say what is cut into how many folds, and what of each is trained on and tested."""
        each = ", ".join(f"{name} {self._span(name)}" for name, size in self.most.items() if size)
        unused = f"; its own test set of {counted(self.own_test, 'image')} is not used" if self.own_test else ""
        return f"{self.folds} folds of the {counted(self.images, 'training image')}{unused}; each: {each}"

    def _span(self, name: str) -> str:
        least, most = self.least[name], self.most[name]
        return f"{most:,}" if least == most else f"{least:,} to {most:,}"
