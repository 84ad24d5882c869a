"""How far values lie apart: the runs of one variant from seed to seed, or the trials of a tuning."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def pooled_spread(variants: Iterable[Sequence[float]]) -> tuple[float, int] | None:
    """Return the standard deviation of runs around their own variant's mean, and its degrees of freedom.

    variants: the values of each variant's runs; those that are not finite are left out. None where no variant has two.
    """
    squares, df = 0.0, 0
    for given in variants:
        values = [value for value in given if math.isfinite(value)]
        if len(values) > 1:
            mean = math.fsum(values) / len(values)
            squares += math.fsum((value - mean) ** 2 for value in values)
            df += len(values) - 1
    return (math.sqrt(squares / df), df) if df else None


def quartiles(values: Sequence[float]) -> tuple[float, float, float] | None:
    """Return the lower quartile, the median and the upper quartile; None without a value."""
    if not values:
        return None
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return low, middle, high
