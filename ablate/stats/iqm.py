"""The interquartile mean of runs on several datasets, with a stratified bootstrap interval.

Source: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice". Runs are drawn anew
within each dataset, so the interval is of these datasets and other seeds, not of other datasets. Of n runs n - 1 are
drawn (Rao and Wu 1988): with n, intervals of three runs are a fifth too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .methods import Floats

FEWEST_RUNS = 3
"""Of a dataset: of fewer, drawing one less leaves one."""
DRAWS = 5000
SEED = 0


@dataclass(frozen=True)
class IqmEstimate:
    """A mean of the middle half of all runs, with the 95 % interval (percentiles) of other seeds on these datasets."""

    mean: float
    low: float
    high: float
    runs: int
    datasets: int


def middle_mean(values: Floats) -> Floats:
    """Return the mean over the last axis without a quarter (rounded down) of the values at either end."""
    cut = values.shape[-1] // 4
    kept: Floats = np.sort(values, -1)[..., cut : values.shape[-1] - cut].mean(-1)
    return kept


def iqm(runs: Sequence[Sequence[float]], bounds: tuple[float, float], draws: int = DRAWS) -> IqmEstimate:
    """Return the interquartile mean of runs, by dataset, each of FEWEST_RUNS or more. The same runs give the same."""
    generator = np.random.default_rng(SEED)
    drawn = [np.asarray(of)[generator.integers(0, len(of), (draws, len(of) - 1))] for of in runs]
    low, high = np.quantile(middle_mean(np.concatenate(drawn, 1)), (0.025, 0.975))
    every = np.concatenate([np.asarray(of, dtype=float) for of in runs])
    mean = float(middle_mean(every))
    ends = max(min(float(low), mean), bounds[0]), min(max(float(high), mean), bounds[1])
    return IqmEstimate(mean, *ends, len(every), len(runs))
