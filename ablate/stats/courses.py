"""What the curves of a variant show, as numbers: how its loss falls, where it is best, a dip and the rate then.

All functions take means over the seeds of a variant after each epoch, so that one seed's bad epoch is no finding, and
return None where there is nothing to tell. Each threshold has its reason. Nothing here says why: curves do not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .run_costs import run_cost

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..metrics import Metric

Line = tuple[Sequence[int], Sequence[float]]
"""A curve: epochs, and a finite value at each."""

FLAT = 0.02
"""A training loss is flat that falls by less than this share.

The slowest run of the digits study, at a hundredth of its learning rate, falls by 3 % in two epochs.
"""
FLAT_EPOCHS = 3
"""Fewer epochs than this have no shape."""
GAP, TIMES = 0.5, 1.5
"""Training and test are far apart where the test loss is higher by so many nats and so many times.

Half a nat is 1.6 times less probability for the right class. Without the second, a hard task with a large loss on
both sides would be one.
"""
DIP = 0.05
"""A dip loses so much accuracy over at least two epochs, and wins half of it back: a single epoch is noise of training,
which at a high learning rate is some points."""
FAR = 0.02
"""The end is far from the best epoch at this much accuracy: four times what a practical difference is by default."""
RISE = 0.05
"""A test loss rises again by at least this share of its lowest: the means of three seeds at a constant rate move by up
to 3 % from epoch to epoch late in training (digits, five phases)."""
LEVEL = 0.02
"""A training loss levels off where this share of its whole fall is left."""
LATE = 2 / 3
"""A loss that levels off in the last third is what any annealed run does; one that has two thirds of its epochs left is
worth a sentence."""


@dataclass(frozen=True)
class Fall:
    """A loss from its first epoch to its last. level: the epoch from which it falls no more, in the first third."""

    metric: Metric
    epochs: int
    first: float
    last: float
    flat: bool = False
    level: int | None = None


@dataclass(frozen=True)
class Peak:
    """The best epoch of a metric that does not end with it. epoch, best: where and what; last: at the end."""

    metric: Metric
    epoch: int
    epochs: int
    best: float
    last: float


@dataclass(frozen=True)
class Dip:
    """A fall of the accuracy by at least two epochs, half of which is won back.

    top, low: the epochs, and before, lowest, after: the accuracies, at its top, its bottom and the best one later.
    rate_before, rate_lowest: the learning rate at top and bottom, as shares of the highest of the run; None where that
    is not known.
    """

    metric: Metric
    top: int
    low: int
    before: float
    lowest: float
    recovered: int
    after: float
    rate_before: float | None = None
    rate_lowest: float | None = None

    @property
    def restart(self) -> bool:
        """Tell whether the learning rate rose meanwhile, to more than 1.5 times what it was."""
        known = self.rate_before is not None and self.rate_lowest is not None
        return known and self.rate_lowest > 1.5 * self.rate_before  # type: ignore[operator]


@dataclass(frozen=True)
class Lead:
    """A variant's curve against that of the one it is compared with, on the study's metric.

    common: the last epoch that both have, and there: the difference at it. final: that after the last epoch of each.
    half: the epoch from which on it keeps at least half of `final`, where both train for as long; else None.
    half_width: of the interval of their comparison, which says how many digits a difference has; None without one.
    """

    reference: str
    metric: Metric
    common: int
    there: float
    final: float
    same_length: bool
    half: int | None = None
    half_width: float | None = None


@dataclass(frozen=True)
class Pace:
    """How long a run trains, in seconds: the median, and how many times as long as that of a reference.

    low, high: the shortest and the longest run. uneven: any of them is far off the median, so that these are told.
    times: None where the runs of both overlap, so that their times may be those of a busy machine.
    """

    seconds: float
    low: float
    high: float
    epochs: int
    reference: str = ""
    times: float | None = None
    uneven: bool = False


@dataclass(frozen=True)
class Course:
    """What a variant's curves show. seeds: how many they are means of. diverged: seeds that did, with what was said."""

    seeds: int = 0
    falls: tuple[Fall, ...] = ()
    peak: Peak | None = None
    overfit: Peak | None = None
    dip: Dip | None = None
    apart: tuple[float, float] | None = None
    lead: Lead | None = None
    pace: Pace | None = None
    diverged: tuple[tuple[int, str], ...] = ()


def noise(accuracy: float, images: int) -> float:
    """Return the standard error of an accuracy that so many images give it; 0 where their number is not known."""
    return float(np.sqrt(max(accuracy * (1 - accuracy), 0) / images)) if images else 0.0


def fall(line: Line, metric: Metric) -> Fall | None:
    """Return how a loss goes from its first epoch to its last; None of a single epoch."""
    epochs, values = line
    if len(values) < 2:
        return None
    flat = len(values) >= FLAT_EPOCHS and is_flat(values)
    level = None if flat else _level(epochs, values)
    return Fall(metric, int(epochs[-1]), float(values[0]), float(values[-1]), flat, level)


def is_flat(values: Sequence[float]) -> bool:
    """Tell whether a training loss does not fall."""
    known = np.asarray(values, dtype=float)
    return bool(np.isfinite(known).all() and known.min() > (1 - FLAT) * known[0])


def _level(epochs: Sequence[int], values: Sequence[float]) -> int | None:
    known = np.asarray(values, dtype=float)
    whole = known[0] - known[-1]
    if len(known) < 2 * FLAT_EPOCHS or whole <= 0:
        return None
    outside = np.flatnonzero(np.abs(known - known[-1]) > LEVEL * whole)
    start = int(outside[-1]) + 1 if len(outside) else 0
    return int(epochs[start]) if len(known) - 1 - start >= LATE * len(known) else None


def peak(line: Line, metric: Metric, images: int = 0) -> Peak | None:
    """Return the best epoch of an accuracy whose end is far from it.

    The highest of many epochs is higher by chance: by about two standard errors of thirty.
    """
    epochs, values = line
    if len(values) < FLAT_EPOCHS:
        return None
    best = int(np.argmax(values))
    most, last = float(values[best]), float(values[-1])
    far = most - last >= max(FAR, 3 * noise(most, images))
    return Peak(metric, int(epochs[best]), int(epochs[-1]), most, last) if far else None


def overfit(tested: Line, trained: Line, metric: Metric) -> Peak | None:
    """Return the lowest epoch of a test loss that rises again while the training loss goes on falling."""
    epochs, values = tested
    if len(values) < FLAT_EPOCHS or list(epochs) != list(trained[0]):
        return None
    best = int(np.argmin(values))
    lowest, last = float(values[best]), float(values[-1])
    falls = trained[1][-1] < (1 - RISE) * trained[1][best]
    # At the end for some epochs, not in the last one alone: half of the rise is there one epoch before.
    stays = best < len(values) - 2 and values[-2] - lowest >= (last - lowest) / 2
    rises = last - lowest >= RISE * lowest and stays and falls
    return Peak(metric, int(epochs[best]), int(epochs[-1]), lowest, last) if rises else None


def dip(line: Line, metric: Metric, rates: Mapping[int, float], images: int = 0) -> Dip | None:
    """Return the deepest dip of an accuracy. rates: the learning rate of each epoch that has one."""
    epochs, values = line[0], np.asarray(line[1], dtype=float)
    found = deepest(without_spikes(values)) if len(values) >= FLAT_EPOCHS else None
    if found is None:
        return None
    # Found in a curve without spikes, and told of the epochs themselves.
    near = [range(max(place - 1, 0), min(place + 2, len(values))) for place in found]
    top, low = max(near[0], key=values.__getitem__), min(near[1], key=values.__getitem__)
    before, lowest = float(values[top]), float(values[low])
    if before - lowest < max(DIP, 4 * noise(before, images)):
        return None
    later = low + int(values[low:].argmax())
    most = max(rates.values(), default=0.0)
    shares = [rates[epochs[place]] / most if most > 0 and epochs[place] in rates else None for place in (top, low)]
    return Dip(
        metric, int(epochs[top]), int(epochs[low]), before, lowest, int(epochs[later]), float(values[later]), *shares
    )


def without_spikes(values: NDArray[Any]) -> NDArray[Any]:
    """Return a curve with each value replaced by the median of it and its neighbours."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    middle: NDArray[Any] = np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
    return middle


def deepest(values: NDArray[Any]) -> tuple[int, int] | None:
    """Return the places of the deepest dip, of its top and its bottom, where half of it is won back; None if none."""
    if not np.isfinite(values).all():
        return None
    tops = np.maximum.accumulate(values)
    later = np.maximum.accumulate(values[::-1])[::-1]
    depth = np.minimum(tops - values, 2 * (later - values))
    low = int(depth.argmax())
    return (int(values[: low + 1].argmax()), low) if depth[low] > 0 else None


def apart(trained: Line, tested: Line) -> tuple[float, float] | None:
    """Return the last training and test loss where they are far apart."""
    if not trained[1] or not tested[1]:
        return None
    ours, theirs = float(trained[1][-1]), float(tested[1][-1])
    return (ours, theirs) if theirs > ours + GAP and theirs > TIMES * ours else None


def lead(own: Line, other: Line, metric: Metric, reference: str) -> Lead | None:
    """Return where a difference between two curves comes from; for one that is decided, others are noise."""
    ours, theirs = dict(zip(*own, strict=True)), dict(zip(*other, strict=True))
    common = sorted(ours.keys() & theirs.keys())
    if len(common) < FLAT_EPOCHS:
        return None
    final = own[1][-1] - other[1][-1]
    same = max(ours) == max(theirs)
    shares = [(ours[epoch] - theirs[epoch]) / final if final else math.nan for epoch in common]
    below = [place for place, share in enumerate(shares) if share < 0.5]
    half = common[below[-1] + 1] if below and below[-1] + 1 < len(common) else common[0] if not below else None
    last = common[-1]
    return Lead(reference, metric, last, ours[last] - theirs[last], final, same, half if same else None)


def pace(seconds: Sequence[float], epochs: int, reference: str = "", others: Sequence[float] = ()) -> Pace | None:
    """Return how long runs train, against those of a reference."""
    own, other = run_cost(one for one in seconds if one > 0), run_cost(one for one in others if one > 0)
    if own is None:
        return None
    differ = other is not None and (own.low > other.high or own.high < other.low)
    times = own.median / other.median if other and differ else None
    return Pace(own.median, own.low, own.high, epochs, reference if differ else "", times, own.uneven)
