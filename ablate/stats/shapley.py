"""Each factor's share of the total gain, whatever the order; and how much a ladder's answer depends on its order.

A ladder credits a factor with what it adds to those before it, so that the answer depends on the order. The Shapley
value is the mean of what it adds over all orders: the shares of all factors sum to the total gain, that of all of them
against none. It is a weighted sum of the cells' means, so each seed gives its own value of it.
Source: Shapley 1953, "A value for n-person games"; the weight of a set of s of the other k - 1 factors is
s! (k - 1 - s)! / k!.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING

from .contrasts import CellValues, Contrast, Missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..metrics import Metric
    from ..study.cells import Cell

MOST_FACTORS = 6
"""More would be a study of 128 variants."""


@dataclass(frozen=True, kw_only=True)
class Gain(Contrast):
    """What a factor adds to a cell that lacks it. to: the factors that are on there."""

    to: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Share(Contrast):
    """A factor's Shapley value: what it adds, on the mean over all orders.

    as_written: what it adds in a ladder of the factors' own order. least, most: the smallest and the largest gain over
    all orders. Both are picked for being so, and so lie further out than the true ones.
    """

    factor: str
    as_written: Gain
    least: Gain
    most: Gain

    @property
    def spread(self) -> float:
        """Return how far apart the largest and the smallest gain are: what the order of a ladder can change."""
        return self.most.mean - self.least.mean


@dataclass(frozen=True, repr=False)
class ShapleyShares:
    """The shares of all factors, in their order, and the total gain, which they sum to."""

    metric: Metric
    total: Contrast
    shares: tuple[Share, ...]
    seeds: tuple[int, ...]
    missing: tuple[Missing, ...]

    def __repr__(self) -> str:
        each = ", ".join(f"{share.factor} {share.mean:+.4g}" for share in self.shares)
        return f"<shares of {self.total.mean:+.4g} on {self.metric.name}: {each}>"


def shapley(values: CellValues, factors: Sequence[str]) -> ShapleyShares:
    """Return each factor's share of the total gain. values: of all cells of a full factorial of these factors."""
    every, none = frozenset(factors), frozenset[str]()
    total = values.contrast({every: 1.0, none: -1.0})
    shares = tuple(_share(values, factors, factor) for factor in factors)
    return ShapleyShares(values.how.metric, total, shares, values.seeds, values.missing)


def _share(values: CellValues, factors: Sequence[str], factor: str) -> Share:
    others = [other for other in factors if other != factor]
    weights: dict[Cell, float] = {}
    gains: dict[Cell, Gain] = {}
    for size in range(len(factors)):
        weight = factorial(size) * factorial(len(others) - size) / factorial(len(factors))
        for on in combinations(others, size):
            without = frozenset(on)
            weights |= {without | {factor}: weight, without: -weight}
            found = values.contrast({without | {factor}: 1.0, without: -1.0})
            gains[without] = Gain(**vars(found), to=on)
    ordered = sorted(gains.values(), key=lambda gain: gain.mean)
    before = frozenset(factors[: list(factors).index(factor)])
    return Share(
        **vars(values.contrast(weights)),
        factor=factor,
        as_written=gains[before],
        least=ordered[0],
        most=ordered[-1],
    )
