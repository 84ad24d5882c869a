"""What the question of a study comes to: the first thing that a report says, as numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from .gaps import Gap, gaps, with_value
from .ladders import ladder
from .sections import changes_at_once

if TYPE_CHECKING:
    from ..metrics import Metric
    from ..stats.comparison import Comparison
    from ..stats.estimates import Estimate
    from ..stats.results import Results

Kind = Literal["pilot", "nothing", "alone", "ladder", "changes"]
"""What there is to conclude from: a pilot; no result at all; results of variants that nothing is compared with; steps
that each build on the one before; or changes that are compared with something."""


@dataclass(frozen=True)
class VariantMean:
    """A variant with its mean."""

    variant: str
    mean: Estimate


@dataclass(frozen=True)
class Conclusion:
    """What a study comes to on its metric.

    done, planned: runs with a finite value of the metric, and all. gaps: those without one. compared: all comparisons
    that the study makes of its changes (not those of claims alone), in its order; changes: in how many factors the
    sides of each differ. first, last: of a ladder, its lowest step with a result and its highest; of a study without
    comparisons, `first` is the variant with the best mean. total: the last step against the first one. end: the step
    that the ladder ends with, with a result or without.
    best: the variant with the best mean; None where fewer than two have one. It is chosen for being best, so that its
    own interval does not speak of the choice.
    """

    kind: Kind
    metric: Metric
    done: int
    planned: int
    gaps: tuple[Gap, ...] = ()
    compared: tuple[Comparison, ...] = ()
    changes: tuple[int, ...] = ()
    first: VariantMean | None = None
    last: VariantMean | None = None
    total: Comparison | None = None
    end: str = ""
    best: VariantMean | None = None

    @property
    def gained(self) -> Comparison | None:
        """Return the comparison that helped most, by its mean; None where none is shown to help."""
        return self._largest("helped")

    @property
    def lost(self) -> Comparison | None:
        """Return the comparison that hurt most, by its mean; None where none is shown to hurt."""
        return self._largest("hurt")

    @property
    def open(self) -> tuple[Comparison, ...]:
        """Return the comparisons that results of both sides do not decide."""
        return tuple(one for one in self.compared if one.verdict == "not decided" and not math.isnan(one.mean))

    def _largest(self, verdict: str) -> Comparison | None:
        found = [one for one in self.compared if one.verdict == verdict]
        return max(found, key=lambda one: abs(one.mean), default=None)


def conclusion(results: Results) -> Conclusion:
    """Return what a study comes to, whatever of it has been run."""
    study, without = results.study, gaps(results)
    metric, done, planned = study.compared, int(with_value(results).sum()), len(results.runs)
    means = [VariantMean(name, mean) for name, mean in results.estimates().items() if not math.isnan(mean.mean)]
    sign = 1 if metric.higher_is_better else -1
    best = max(means, key=lambda one: sign * one.mean.mean, default=None)
    if study.pilot or not means:
        return Conclusion("pilot" if study.pilot else "nothing", metric, done, planned, without)
    kinds = {(one.candidate, one.reference) for one in results.planned if one.kind != "claim"}
    compared = tuple(one for one in results.comparisons if (one.candidate, one.reference) in kinds)
    changes = tuple(changes_at_once(study, one) for one in compared)
    if not compared:
        return Conclusion("alone", metric, done, planned, without, first=best)
    best = best if len(means) > 1 else None
    steps = ladder(study)
    if not steps or any(results.reference(name) != before for before, name in pairwise(steps)):
        return Conclusion("changes", metric, done, planned, without, compared, changes, best=best)
    own = [one for one in means if one.variant in steps]
    first, last = (own[0], own[-1]) if len(own) > 1 else (None, None)
    total = results.comparison(last.variant, first.variant) if first and last else None
    return Conclusion("ladder", metric, done, planned, without, compared, changes, first, last, total, steps[-1], best)
