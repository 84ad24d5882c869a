"""What a number of seeds can show: power, the smallest difference that would be found, and the seeds that one takes.

Power is that of the comparison's own method at the level that Holm's method asks of the smallest p of a family, for
variants that all spread alike. Where a method's standard error is a plain t test's, it comes from the noncentral t
distribution, else from the method itself on drawn spreads, which are the same on every call.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import nctdtr, ndtr, stdtrit  # scipy.stats has the same, and takes 0.7 s to import

from .comparison import ALPHA
from .methods import Floats, Layout, overlap
from .methods_shrinkage import caution
from .tested import SEED_BY_SEED, UNPAIRED, by_design

if TYPE_CHECKING:
    from ..study.comparisons import UsedMethod

ENOUGH = 0.8
"""The power that is asked for: a true difference is found in four studies of five."""
MOST_FURTHER = 100
"""More seeds than that are not counted."""
ENDLESS = 10**6
"""So many runs are as good as any number of them."""
DRAWS = 256


@dataclass(frozen=True)
class Planned:
    """What decides how much a number of seeds shows, beside the spread.

    method: that compares. variants: how many the study has. family: how many comparisons share the false alarms.
    level: what the adjusted p has to be below. shared: all have the same reference, unlike a ladder's. folds: of
    cross-validation, whose runs they are; None without.
    """

    method: UsedMethod
    variants: int
    family: int = 1
    level: float = ALPHA
    shared: bool = True
    folds: int | None = None

    def method_at(self, runs: int) -> UsedMethod:
        """Return the method that compares so many runs of each variant."""
        return by_design(self.method, self.variants, runs)

    def tail(self, runs: int) -> float:
        """Return what the p of one comparison has to be below, where it is the smallest of the family."""
        more = caution(runs, self.family, self.shared) if self.method_at(runs) == "shrinkage" else 1.0
        return self.level / self.family / more


def power(difference: float, spread: float, runs: int, planned: Planned) -> float:
    """Return how often a true difference is found.

    difference, spread: in one unit; spread is the standard deviation of the runs of a variant, above 0. runs: of each
    side, two or more.
    """
    return _power(abs(difference) / spread, runs, planned)


def smallest_detectable(spread: float, runs: int, planned: Planned, enough: float = ENOUGH) -> float | None:
    """Return the true difference that is found with that power, in the unit of the spread; None below two runs."""
    if runs < 2:
        return None
    return spread * _smallest(runs, planned, enough)


def further_seeds(
    difference: float, spread: float, runs: int, planned: Planned, margin: float | None = None
) -> int | None:
    """Return how many more seeds of each side would find a difference with 80 % power.

    difference: the seen one; of one within the margin, the margin is asked for instead. spread: the seen one, as of
    `power`. runs: of the smaller side. None where there is nothing to find or no spread; MOST_FURTHER + 1 for more.
    With folds, those of whole repetitions; 0 where no number of them would be enough, since they share the images.
    """
    target = max(abs(difference), margin or 0.0)
    if not (target > 0 and spread > 0 and math.isfinite(target / spread)):
        return None
    size = target / spread
    if planned.folds:
        return _further_folds(size, runs, planned, planned.folds)
    low, high = max(runs, 1), max(runs, 1) + MOST_FURTHER
    if _power(size, high, planned) < ENOUGH:
        return MOST_FURTHER + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(size, middle, planned) >= ENOUGH else (middle, high)
    return high - runs


def _further_folds(size: float, runs: int, planned: Planned, folds: int) -> int:
    if _power(size, ENDLESS, planned) < ENOUGH:
        return 0
    more = range(folds, MOST_FURTHER + folds, folds)
    return next((n for n in more if _power(size, runs + n, planned) >= ENOUGH), MOST_FURTHER + 1)


def _power(size: float, runs: int, planned: Planned) -> float:
    """Return the power for a difference of so many spreads."""
    off = size / math.sqrt(2 / runs + 2 * overlap(planned.folds))
    method = planned.method_at(runs)
    if method in ("pooled", *SEED_BY_SEED):
        df = (planned.variants if method == "pooled" else 1) * (runs - 1)
        critical = float(stdtrit(df, 1 - planned.tail(runs) / 2))
        return 1 - _below(df, off, critical) + _below(df, off, -critical)
    halves = _halves(runs, planned)
    return float((ndtr(off - halves) + ndtr(-off - halves)).mean())


def _below(df: float, off: float, t: float) -> float:
    """Return the noncentral t distribution's share below t; far in its tails, where scipy has nan, the normal's."""
    found = float(nctdtr(df, off, t))
    return float(ndtr(t - off)) if math.isnan(found) else found


@lru_cache(maxsize=1024)
def _smallest(runs: int, planned: Planned, enough: float) -> float:
    low, high = 0.0, 1.0
    while _power(high, runs, planned) < enough:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if _power(middle, runs, planned) >= enough else (middle, high)
    return high


@lru_cache(maxsize=1024)
def _halves(runs: int, planned: Planned) -> Floats:
    """Return how far from 0 a difference has to be, in its own true standard errors, with drawn spreads."""
    count = max(planned.variants, 2)
    variances = np.random.default_rng(0).chisquare(runs - 1, (DRAWS, count)) / (runs - 1)
    layout = Layout(np.full(count, runs), np.array([1]), np.array([0]))
    error, df = UNPAIRED[planned.method](variances, layout)
    halves: Floats = (stdtrit(df, 1 - planned.tail(runs) / 2) * error / math.sqrt(2 / runs))[:, 0]
    return halves
