"""The contract of a metric: each function checks one fact, and says what breaks it."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from .subject import fail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..metrics import Quantity
    from .subject import Subject

    Logits = NDArray[np.float32]
    Labels = NDArray[np.int64]

IMAGES = 200
SAME = 1e-5
"""How far apart two values may be that should be the same, relative to the larger: float32 rounds."""


def it_returns_a_finite_number(subject: Subject) -> None:
    """Check that it gives a number, and a finite one, for predictions of several kinds."""
    logits, labels = predictions(subject)
    _value(subject, logits, labels, "")
    _value(subject, logits * 1000, labels, " of very sure predictions")
    _value(subject, _lowest(logits), labels, " where most classes have the probability 0")


def it_stays_within_its_bounds(subject: Subject) -> None:
    """Check that no value is outside of what it says are the lowest and the highest."""
    low, high = _quantity(subject).bounds
    for right in (0.0, 0.5, 1.0):
        value = _value(subject, *predictions(subject, right=right), "")
        if not low - SAME <= value <= high + SAME:
            fail(f"is {value:g}, and says that it lies between {low:g} and {high:g}", "give its decorator other bounds")


def better_predictions_are_better(subject: Subject) -> None:
    """Check that sure predictions that are all right are better than those all wrong, in the direction that it says."""
    made = (predictions(subject, right=share) for share in (0.0, 1.0))
    wrong, right = (_value(subject, logits * 20, labels, "") for logits, labels in made)
    higher = _quantity(subject).higher_is_better
    if (right > wrong) is not higher or right == wrong:
        fail(
            f"is {right:g} where all is predicted right and {wrong:g} where all is wrong, "
            f"and says that {'higher' if higher else 'lower'} is better",
            f"write higher_is_better={right > wrong}, or turn its sign" if right != wrong else "it measures nothing",
        )


def the_same_predictions_have_the_same_value(subject: Subject) -> None:
    """Check that it draws nothing: a value is computed once and then remembered."""
    logits, labels = predictions(subject)
    if _value(subject, logits, labels, "") != _value(subject, logits, labels, ""):
        fail("has another value the second time", "compute it from the logits and labels alone, without drawing")


def the_order_of_the_images_does_not_matter(subject: Subject) -> None:
    """Check that images in another order have the same value."""
    logits, labels = predictions(subject)
    order = np.random.default_rng(1).permutation(len(labels))
    one, other = _value(subject, logits, labels, ""), _value(subject, logits[order], labels[order], "")
    if not math.isclose(one, other, rel_tol=SAME, abs_tol=SAME):
        fail(f"is {one:g}, and {other:g} with the images in another order", "treat all images alike")


def it_leaves_its_input(subject: Subject) -> None:
    """Check that the logits and labels are as they were."""
    logits, labels = predictions(subject)
    before = logits.copy(), labels.copy()
    subject.build(logits, labels)
    if not (np.array_equal(before[0], logits) and np.array_equal(before[1], labels)):
        fail("changes the logits or labels that it is given", "work on a copy: logits.copy()")


def it_takes_a_class_without_images(subject: Subject) -> None:
    """Check that it gives a number where a class has no image and is never predicted."""
    logits, labels = predictions(subject)
    logits[:, -1] = -60.0
    labels[labels == subject.classes - 1] = 0
    _value(subject, logits, labels, " where a class has no image")


def predictions(subject: Subject, right: float = 0.6) -> tuple[Logits, Labels]:
    """Return logits (N, classes), each row less its largest, and labels (N,). right: the share that is."""
    draw = np.random.default_rng(0)
    labels = np.arange(IMAGES) % subject.classes
    logits = draw.normal(0, 1, (IMAGES, subject.classes)).astype(np.float32)
    wanted = np.where(np.arange(IMAGES) < right * IMAGES, labels, (labels + 1) % subject.classes)
    logits[np.arange(IMAGES), wanted] = logits.max(1) + 1
    return logits - logits.max(1, keepdims=True), labels.astype(np.int64)


def _lowest(logits: Logits) -> Logits:
    """Return logits of which all but the largest are as low as they are kept."""
    return np.where(logits < 0, np.float32(-65504), np.float32(0))


def _value(subject: Subject, logits: Logits, labels: Labels, what: str) -> float:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # as where its values are computed
        found = subject.build(logits.copy(), labels.copy())
    try:
        value = float(found)
    except (TypeError, ValueError):
        fail(f"returns {type(found).__name__}{what}, not a number", "return a float")
    if not math.isfinite(value):
        fail(f"returns {value}{what}", "return a finite number; leave out what it is not defined for")
    return value


def _quantity(subject: Subject) -> Quantity:
    quantity = subject.entry.quantity
    assert quantity is not None  # a metric without one is refused when it registers
    return quantity


CHECKS = (
    it_returns_a_finite_number,
    it_stays_within_its_bounds,
    better_predictions_are_better,
    the_same_predictions_have_the_same_value,
    the_order_of_the_images_does_not_matter,
    it_leaves_its_input,
    it_takes_a_class_without_images,
)
