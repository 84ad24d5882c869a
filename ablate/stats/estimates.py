"""A mean and how sure it is.

The interval is Student's t. With three or five seeds it is the one that keeps its promise: a percentile bootstrap or
1.96 standard errors of so few values are too narrow. It knows no bounds, so what lies outside
those of the metric is cut off: the true mean is not there, and the coverage stays what it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit  # scipy.stats has the same quantile, and takes 0.7 s to import

from ..metrics import UNBOUNDED

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

SPARSE = {"sparse": True}
"""Metadata of a field that JSON has only where it is not None."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean and how sure it is.

    mean: nan where there is no value, or where any value is not finite: a mean of the rest would
        be a mean of the runs that went well.
    low, high: ends of the t interval of the mean; None where it does not exist (`n` below 2, mean nan).
    n: how many values are finite. cut: the interval would reach beyond what the mean can be, and ends there.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    cut: bool = False

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval; None where there is none."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def estimate(
    values: ArrayLike, confidence: float = 0.95, bounds: tuple[float, float] = UNBOUNDED, overlap: float = 0.0
) -> Estimate:
    """Return the mean of values with its t interval.

    values: one number a run, any shape, independent but for the overlap. confidence: coverage of the interval, between
    0 and 1. bounds: of the values, which the interval does not leave. overlap: as of `methods.overlap`.
    A value that is not finite is neither dropped nor averaged: the mean is nan then, without an interval.
    One value gives a mean without an interval. ValueError for a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is between 0 and 1, not {confidence}")
    numbers = np.asarray(values, dtype=float).ravel()
    n = int(np.isfinite(numbers).sum())
    if n == 0 or n < numbers.size:
        return Estimate(mean=math.nan, low=None, high=None, n=n)
    mean = float(numbers.mean())
    if n == 1:
        return Estimate(mean=mean, low=None, high=None, n=n)
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * float(numbers.std(ddof=1)) * math.sqrt(1 / n + overlap)
    low, high, cut = ends(mean, half, bounds)
    return Estimate(mean=mean, low=low, high=high, n=n, cut=cut)


def ends(mean: float, half: float, bounds: tuple[float, float]) -> tuple[float, float, bool]:
    """Return the ends of an interval of this half width, cut off at the bounds, and whether anything was cut off."""
    low, high = max(mean - half, min(bounds[0], mean)), min(mean + half, max(bounds[1], mean))
    return low, high, high - low < 2 * half * (1 - 1e-9)
