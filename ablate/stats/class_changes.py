"""What moved most between two variants: the classes that one recognises better, and what is taken for what.

How sure a class's change is: its differences by seed, on the same test images, against how much they spread. Three
seeds are too few for a spread of each class's own. But it is made of its images: how often each is right with one seed
and wrong with another says how much their sum would vary if each went its own way, and one factor, learned from all
classes at once, how far they go together. p is Student's t, adjusted over the classes by Holm. Seeds alone vary: other
test images of a class would move it too. Where nothing differs, a class is called in at most one of twenty studies
(`tests/test_report_classes.py` simulates it).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtr

from .classes import confusion_of, name_of
from .comparison import ALPHA
from .estimates import SPARSE
from .multiplicity import holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ..study.spec import Noun
    from .images import Right
    from .predicted import Labels
    from .results import Results

    Floats = NDArray[np.float64]

MOST = 5
"""So many classes and confusions are named, of each direction."""
LEAST = 1
"""A confusion that moves by fewer images, on average over the seeds, is neither told nor drawn."""


@dataclass(frozen=True)
class ClassChange:
    """One class in two variants. images: of it. before, after, change: accuracies, fractions, means over the seeds.

    p: of no change, adjusted over all classes; None with fewer than two seeds.
    """

    label: int
    name: str
    images: int
    before: float
    after: float
    change: float
    p: float | None

    @property
    def shown(self) -> bool:
        """Tell whether it is shown to have changed."""
        return self.p is not None and self.p < ALPHA


@dataclass(frozen=True)
class ConfusionChange:
    """Images of a class that are taken for another one: how many, before and after, on average over the seeds.

    every_seed: the number moves the same way with every seed.
    """

    label: int
    name: str
    taken_for: int
    taken_for_name: str
    images: int
    before: float
    after: float
    every_seed: bool

    @property
    def counts(self) -> bool:
        """Tell whether it moves by an image or more."""
        return abs(self.after - self.before) >= LEAST


@dataclass(frozen=True)
class ClassComparison:
    """What moved most from the reference to the candidate, over the seeds that both kept predictions for.

    better, worse: the classes with the largest change, largest first. tested: how many classes there are with images.
    shown_better, shown_worse: how many of all classes are shown to have changed. rarer, commoner: the confusions whose
    number fell and rose most. noun: what one of its images is called. folds: of cross-validation, whose repetitions
    then stand for seeds.
    """

    candidate: str
    reference: str
    split: str
    seeds: tuple[int, ...]
    images: int
    tested: int
    better: tuple[ClassChange, ...]
    worse: tuple[ClassChange, ...]
    shown_better: int
    shown_worse: int
    rarer: tuple[ConfusionChange, ...]
    commoner: tuple[ConfusionChange, ...]
    noun: Noun = "image"
    folds: int | None = field(default=None, metadata=SPARSE)


def class_comparison(results: Results, candidate: str, reference: str) -> ClassComparison | None:
    """Compare two variants class by class; None without a common seed with predictions, or with other images."""
    sides = results.predicted.taken(candidate, reference)
    if sides is None:
        return None
    labels, ours, theirs = sides
    seeds = tuple(sorted(ours.keys() & theirs.keys()))
    classes = results.predicted.classes(candidate)
    if not seeds or classes != results.predicted.classes(reference):
        return None
    names = [name_of(results, label, classes) for label in range(classes)]
    after, before = (
        np.stack([confusion_of(labels, side[seed], classes) for seed in seeds]).astype(np.float64)
        for side in (ours, theirs)
    )
    right = [np.stack([side[seed] == labels for seed in seeds]) for side in (ours, theirs)]
    changes = class_changes(labels, right[0], right[1], names)
    moved = after.mean(0) - before.mean(0)
    np.fill_diagonal(moved, 0.0)
    better = sorted((one for one in changes if one.change > 0), key=lambda one: -one.change)
    worse = sorted((one for one in changes if one.change < 0), key=lambda one: one.change)
    return ClassComparison(
        candidate=candidate,
        reference=reference,
        split=results.study.compared.split or "test",
        seeds=seeds,
        images=len(labels),
        noun=results.study.noun,
        tested=len(changes),
        better=tuple(better[:MOST]),
        worse=tuple(worse[:MOST]),
        shown_better=sum(one.shown for one in better),
        shown_worse=sum(one.shown for one in worse),
        rarer=_confusions(after, before, -moved, names),
        commoner=_confusions(after, before, moved, names),
        folds=results.study.folds,
    )


def class_changes(labels: Labels, after: Right, before: Right, names: Sequence[str]) -> list[ClassChange]:
    """Compare the accuracies of classes. after, before: which images are recognised, shape (seeds, N)."""
    known = np.bincount(labels, minlength=len(names))
    there = np.flatnonzero(known)
    images = known[there].astype(np.float64)
    new, old = (_by_class(side, labels)[:, there] / images for side in (after, before))
    changes = new - old
    spread = None
    if len(after) > 1:
        apart = after.var(0, ddof=1) + before.var(0, ddof=1)
        # As if each class had one more image in each variant that chance decides: one without any spread has some too.
        spread = np.sqrt(_by_class(apart[None], labels)[0, there] + 0.5) / images
    adjusted = holm(_alone(changes, spread))
    return [
        ClassChange(label, names[label], int(known[label]), float(was), float(now), float(change), p)
        for label, was, now, change, p in zip(
            there.tolist(), old.mean(0), new.mean(0), changes.mean(0), adjusted, strict=True
        )
    ]


def _by_class(values: NDArray[Any], labels: Labels) -> Floats:
    """Return the sum of values (rows, N) over the images of each class."""
    return np.stack([np.bincount(labels, weights=row) for row in values.astype(np.float64)])


def _alone(changes: Floats, spread: Floats | None) -> list[float | None]:
    """Return the p of each class's changes (seeds, classes). spread: of each class, if its images were independent."""
    seeds, classes = changes.shape
    if spread is None:
        return [None] * classes
    factor = math.sqrt(float((changes / spread).var(0, ddof=1).mean()))
    if not factor:
        return [None] * classes
    t = np.abs(changes.mean(0)) / (factor * spread / math.sqrt(seeds))
    return [float(one) for one in 2 * stdtr(classes * (seeds - 1), -t)]


def _confusions(after: Floats, before: Floats, moved: Floats, names: Sequence[str]) -> tuple[ConfusionChange, ...]:
    """Return the confusions that moved most in one direction, the largest first."""
    order = np.argsort(-moved, axis=None, kind="stable")[:MOST]
    found = []
    for label, other in zip(*np.unravel_index(order, moved.shape), strict=True):
        if moved[label, other] <= 0:
            break
        by_seed = after[:, label, other] - before[:, label, other]
        found.append(
            ConfusionChange(
                int(label), names[label], int(other), names[other], int(after[0, label].sum()),
                float(before[:, label, other].mean()), float(after[:, label, other].mean()),
                bool((by_seed > 0).all() or (by_seed < 0).all()),
            )
        )  # fmt: skip
    return tuple(found)


def always_apart(labels: Labels, ours: Mapping[int, Labels], theirs: Mapping[int, Labels]) -> tuple[Labels, Labels]:
    """Return the places of images that only one of two variants recognises, with every common seed: gained, lost."""
    seeds = sorted(ours.keys() & theirs.keys())
    one, other = (np.stack([side[seed] == labels for seed in seeds]) for side in (ours, theirs))
    gained, lost = one.all(0) & ~other.any(0), other.all(0) & ~one.any(0)
    return np.flatnonzero(gained), np.flatnonzero(lost)
