"""How much the runs of one variant differ from seed to seed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

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
