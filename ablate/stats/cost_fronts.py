"""What accuracy costs: which variants no other one beats in both the study's metric and a cost.

The metric is the mean over the seeds, a cost the median over the runs (`run_costs`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..metrics import PARAMETERS, SECONDS, Metric
from .run_costs import cost_of

if TYPE_CHECKING:
    from .results import Results

COSTS = (Metric(SECONDS.name, SECONDS), Metric(PARAMETERS.name, PARAMETERS))
ALIKE = 0.02
"""Costs that differ by less than this share are the same: times of one run differ by as much on a quiet machine."""


@dataclass(frozen=True)
class CostPoint:
    """A variant's mean and the median cost of its runs; beaten_by: one that is as good or better and costs no more."""

    variant: str
    index: int
    mean: float
    cost: float
    beaten_by: str = ""


@dataclass(frozen=True)
class CostFront:
    """All variants with a mean and a cost, the cheapest first."""

    metric: Metric
    cost: Metric
    points: tuple[CostPoint, ...]

    @property
    def front(self) -> tuple[CostPoint, ...]:
        """Return the points that none beats."""
        return tuple(point for point in self.points if not point.beaten_by)


def cost_fronts(results: Results) -> tuple[CostFront, ...]:
    """Return the metric against each cost that differs between variants; of a pilot none."""
    fronts = (_front(results, cost) for cost in COSTS)
    return () if results.study.pilot else tuple(front for front in fronts if front is not None)


def _front(results: Results, cost: Metric) -> CostFront | None:
    metric = results.study.compared
    sign = 1 if metric.higher_is_better else -1
    points = []
    for index, variant in enumerate(results.study.variants):
        mean = results.estimate(variant.name).mean
        known = cost_of(results.stored_of(variant.name).values(), cost.name)
        if known and known.median > 0 and math.isfinite(mean):
            points.append(CostPoint(variant.name, index, mean, known.median))
    points.sort(key=lambda point: (point.cost, -sign * point.mean))
    if len(points) < 2 or points[-1].cost <= (1 + ALIKE) * points[0].cost:
        return None
    made = []
    for point in points:
        better = [other for other in points if _beats(other, point, sign)]
        best = max(better, key=lambda other: sign * other.mean, default=None)
        made.append(CostPoint(point.variant, point.index, point.mean, point.cost, best.variant if best else ""))
    return CostFront(metric, cost, tuple(made))


def _beats(other: CostPoint, one: CostPoint, sign: int) -> bool:
    """Tell whether a point is better at no more cost, or as good and clearly cheaper."""
    if sign * other.mean > sign * one.mean:
        return other.cost <= one.cost * (1 + ALIKE)
    return other.mean == one.mean and other.cost * (1 + ALIKE) < one.cost
