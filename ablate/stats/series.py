"""One quantity of a variant by epoch: its mean and its range over the seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Series:
    """One quantity of one variant by epoch, in the unit of data (a fraction for accuracies).

    epochs: from 1, those at which every seed has a finite value. mean, low, high: over the seeds, at each of `epochs`;
    low and high are the lowest and the highest seed. seeds: their numbers. values: a row for each seed.
    """

    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    seeds: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]


def series_of(epochs: Sequence[int], seeds: Sequence[int], values: NDArray[np.float64]) -> Series:
    """Gather values with a row per epoch and a column per seed."""
    known = np.flatnonzero(np.isfinite(values).all(axis=1)).tolist() if seeds else []
    rows = values[known]
    if not known:
        return Series((), (), (), (), tuple(seeds), ())
    return Series(
        epochs=tuple(epochs[place] for place in known),
        mean=tuple(rows.mean(axis=1).tolist()),
        low=tuple(rows.min(axis=1).tolist()),
        high=tuple(rows.max(axis=1).tolist()),
        seeds=tuple(seeds),
        values=tuple(tuple(seed) for seed in rows.T.tolist()),
    )
