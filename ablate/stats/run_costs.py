"""What a run of a variant costs: the median over its runs, which one run on a disturbed machine does not move."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FAR_OFF = 2
"""A run that took so many times as long as the median, or as many times less, was disturbed or met another machine:
runs of some seconds stay within 1.7 times (the digits example), and longer ones are closer."""


@dataclass(frozen=True)
class RunCost:
    """A cost of a variant's runs: their median, the lowest and the highest."""

    median: float
    low: float
    high: float

    @property
    def uneven(self) -> bool:
        """Tell whether any run is far off the others, so that the range has to be told."""
        return self.high >= FAR_OFF * self.median > 0 or self.median >= FAR_OFF * self.low > 0


def run_cost(values: Iterable[float]) -> RunCost | None:
    """Return what runs cost, by the values that are known: finite, and no negative time. None where none is."""
    known = [float(one) for one in values if math.isfinite(one) and one >= 0]
    return RunCost(median(known), min(known), max(known)) if known else None


def cost_of(runs: Iterable[Mapping[str, Any]], column: str) -> RunCost | None:
    """Return what runs cost by a column of theirs."""
    return run_cost(float(run.get(column, math.nan)) for run in runs)
