"""How far values lie apart: the runs of one variant from seed to seed, or the trials of a tuning."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


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


def spread_within_folds(variants: Iterable[Mapping[int, float]]) -> tuple[float, int] | None:
    """Return the same of cross-validation, without what a fold does to all variants alike: what comparing is up to.

    variants: the values of each variant's runs by seed, which names the fold. Folds that not all variants with several
    runs have a finite value of are left out. None for a single variant, and for fewer than two folds.
    """
    known = [{s: v for s, v in of.items() if math.isfinite(v)} for of in variants]
    known = [of for of in known if len(of) > 1]
    seeds = sorted(set.intersection(*(set(of) for of in known))) if len(known) > 1 else []
    if len(seeds) < 2:
        return None
    values = np.array([[of[seed] for seed in seeds] for of in known])
    left = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    df = (len(known) - 1) * (len(seeds) - 1)
    return math.sqrt(float((left**2).sum()) / df), df


def quartiles(values: Sequence[float]) -> tuple[float, float, float] | None:
    """Return the lower quartile, the median and the upper quartile; None without a value."""
    if not values:
        return None
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return low, middle, high
