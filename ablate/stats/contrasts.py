"""The values of a factorial, and what a weighted sum of its cells' means says.

What a seed does to all cells alike is taken out, as in a randomised block design. What is left is the own spread of
each cell, which need not be equal: the standard error of a sum comes of all of them, with the degrees of freedom of
Satterthwaite.
docs/decisions/022 has the coverage of this and of the alternatives.
Sources: Satterthwaite 1946, "An approximate distribution of estimates of variance components"; Grubbs 1948, "On
estimating precision of measuring instruments and product variability", for the spread of each cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .estimates import Estimate, ends
from .methods import overlap
from .tested import Tested

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..metrics import Metric
    from ..study.cells import Cell
    from .family import How

    Floats = np.ndarray[Any, np.dtype[np.float64]]

NO_SPREAD = 1e-12
"""What values differ by when only rounding is different."""


@dataclass(frozen=True, kw_only=True)
class Contrast(Estimate):
    """A weighted sum of cells' means on one metric, in the unit of data.

    seeds: those that it is computed of. per_seed: its value with each.
    standard_error, df, p_alone (of a true value of 0, two-sided): None without an interval, which one seed and runs
    without any spread do not give.
    """

    metric: Metric
    seeds: tuple[int, ...]
    per_seed: tuple[float, ...]
    standard_error: float | None = None
    df: float | None = None
    p_alone: float | None = None


@dataclass(frozen=True)
class Missing:
    """A seed without a finite value for some cells, by variant: it is left out of all of them."""

    seed: int
    variants: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CellValues:
    """The values of a design's cells.

    how: the metric that they are of, what does not matter of it, and how sure to be.
    variants: of each cell, by name; two or more. samples: the value of each run, by variant and seed.
    """

    how: How
    variants: Mapping[Cell, str]
    samples: Mapping[str, Mapping[int, float]]

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Return the cells in order."""
        return tuple(self.variants)

    @cached_property
    def missing(self) -> tuple[Missing, ...]:
        """Return the seeds that are left out, ascending, each with the variants that lack it."""
        every = sorted({seed for name in self.variants.values() for seed in self.samples.get(name, {})})
        found = [Missing(s, tuple(n for n in self.variants.values() if not self._has(n, s))) for s in every]
        return tuple(one for one in found if one.variants)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Return the seeds that every cell has a finite value for, ascending."""
        left_out = {one.seed for one in self.missing}
        some = self.samples.get(next(iter(self.variants.values())), {})
        return tuple(sorted(seed for seed in some if seed not in left_out))

    @cached_property
    def values(self) -> Floats:
        """Return the value of each seed (row) and cell (column)."""
        rows = [[self.samples[name][seed] for name in self.variants.values()] for seed in self.seeds]
        return np.array(rows, dtype=float).reshape(len(self.seeds), len(self.cells))

    @cached_property
    def variances(self) -> Floats:
        """Return each cell's variance over seeds, without what a seed does to all cells alike; of two seeds or more.

        They sum to the unbiased estimate of their total, which the residuals of a randomised block design give.
        """
        seeds, cells = self.values.shape
        left = self.values - self.values.mean(0) - self.values.mean(1, keepdims=True) + self.values.mean()
        squares: Floats = (left**2).sum(0) / (seeds - 1)
        total = squares.sum() * cells / (cells - 1)
        if cells == 2 or total == 0:
            return np.full(cells, total / cells)
        own = np.maximum((squares - total / cells**2) / (1 - 2 / cells), 0.0)  # each residual has a part of all cells
        scaled: Floats = own * (total / own.sum())
        return scaled

    def contrast(self, weights: Mapping[Cell, float]) -> Contrast:
        """Return the sum of the cells' means, each times its weight; cells that are not named have none."""
        share = np.array([weights.get(cell, 0.0) for cell in self.cells])
        per_seed = self.values @ share
        count = len(self.seeds)
        mean = float(per_seed.mean()) if count else math.nan
        record = Contrast(
            mean=mean,
            low=None,
            high=None,
            n=count,
            metric=self.how.metric,
            seeds=self.seeds,
            per_seed=tuple(map(float, per_seed)),
        )
        parts = share**2 * self.variances / count if count > 1 else np.zeros(1)
        if self.how.folds and count > 1:
            # Cells of one fold share its test images, which do more than move all alike: the sum of each is one value.
            parts = np.array([per_seed.var(ddof=1) * (1 / count + overlap(self.how.folds))])
        # Runs without any spread say nothing of how sure a difference is.
        return self._with_interval(record, parts) if float(parts.sum()) > NO_SPREAD**2 else record

    def _with_interval(self, record: Contrast, parts: Floats) -> Contrast:
        """Add interval and p. parts: what each cell adds to the variance of the sum."""
        total = float(parts.sum())
        least, most = record.n - 1, (1 if self.how.folds else len(self.cells) - 1) * (record.n - 1)
        df = min(max(total**2 / float((parts**2).sum() / least), least), most)
        tested = Tested(record.mean, math.sqrt(total), df)
        half = tested.half(self.how.confidence)
        low, high, cut = ends(record.mean, half, self.how.metric.difference_bounds)
        more = {"low": low, "high": high, "cut": cut, "standard_error": tested.standard_error, "df": df}
        return Contrast(**{**vars(record), **more, "p_alone": tested.p()})

    def signs(self, factors: Sequence[str]) -> tuple[int, ...]:
        """Return, for each cell, the product of the factors' levels: -1 without and +1 with."""
        return tuple((-1) ** sum(factor not in cell for factor in factors) for cell in self.cells)

    def _has(self, variant: str, seed: int) -> bool:
        return math.isfinite(self.samples.get(variant, {}).get(seed, math.nan))
