"""A study's comparisons on one metric, computed together: as one family they share what false alarms may cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr, stdtrit  # scipy.stats has the same, and takes 0.7 s to import

from .comparison import ALPHA, Comparison, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..metrics import Metric
    from ..study.comparisons import ComparisonKind, Method
    from ..study.spec import Study

Samples = Mapping[str, Mapping[int, float]]
"""The value of each run, by variant and seed."""
Pair = tuple[str, str]
"""Candidate and reference, by name."""
CONFIDENCE = 0.95
DEFAULT: Method = "paired"
"""What compares where nobody names a method."""


@dataclass(frozen=True)
class Tested:
    """One comparison by one method: the difference, how sure it is, and how likely it is without any effect."""

    difference: float
    standard_error: float
    df: float

    def half(self, confidence: float = CONFIDENCE) -> float:
        """Return half the width of the interval."""
        return float(stdtrit(self.df, (1 + confidence) / 2)) * self.standard_error

    def p(self, distance: float = 0.0) -> float:
        """Return the two-sided p of a true difference of `distance`."""
        off = abs(self.difference - distance)
        if self.standard_error == 0:
            return 1.0 if off == 0 else 0.0
        return 2 * float(stdtr(self.df, -off / self.standard_error))

    def p_equivalence(self, margin: float) -> float:
        """Return the larger p of the two one-sided tests of a difference beyond the margin."""
        if self.standard_error == 0:
            return 0.0 if abs(self.difference) < margin else 1.0
        return max(
            float(stdtr(self.df, -(self.difference + margin) / self.standard_error)),
            float(stdtr(self.df, (self.difference - margin) / self.standard_error)),
        )


@dataclass(frozen=True)
class How:
    """How comparisons are made: by which method, which margin, on which metric.

    level: what p, adjusted over the family, has to be below. confidence: of the interval of one comparison alone.
    look: as of `Comparison`.
    """

    metric: Metric
    method: Method = DEFAULT
    margin: float | None = None
    level: float = ALPHA
    confidence: float = CONFIDENCE
    look: int | None = None


def how_of(study: Study, metric: Metric) -> How:
    """Return how a study compares its variants on a metric; the margin that it states is of its own metric."""
    stated = study.comparing.margin if metric.name == study.metric else None
    return How(metric, study.comparing.method or DEFAULT, metric.quantity.margin if stated is None else stated)


def compare_all(
    samples: Samples,
    pairs: Sequence[Pair],
    how: How,
    kinds: Mapping[Pair, ComparisonKind] | None = None,
) -> list[Comparison]:
    """Return each pair's comparison, with p adjusted over all of them.

    samples: of every variant of the study, by seed, in the unit of data; also of those in no pair, since a method may
    learn how much runs spread from all of them. A value that is not finite is left out and named.
    """
    finite = {name: {s: value for s, value in of.items() if math.isfinite(value)} for name, of in samples.items()}
    tested = [METHODS[how.method](finite, pair) for pair in pairs]
    adjusted = holm([None if one is None else one.p() for one in tested])
    family = sum(one is not None for one in tested)
    found = []
    for pair, one, p in zip(pairs, tested, adjusted, strict=True):
        record = replace(_alone(samples, finite, pair, how), kind=(kinds or {}).get(pair, ""), family=family)
        found.append(record if one is None or p is None else _with_interval(record, one, p, how.confidence))
    return found


def holm(alone: Sequence[float | None]) -> list[float | None]:
    """Return p adjusted by Holm's method, those that are absent as they are.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    known = sorted((p, place) for place, p in enumerate(alone) if p is not None)
    found: list[float | None] = list(alone)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        found[place] = highest
    return found


def paired(samples: Samples, pair: Pair) -> Tested | None:
    """Compare by the differences of the seeds that both have."""
    ours, theirs = (samples[name] for name in pair)
    found = np.array([ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())])
    if found.size < 2:
        return None
    return Tested(float(found.mean()), float(found.std(ddof=1)) / math.sqrt(found.size), found.size - 1)


METHODS: Mapping[Method, Callable[[Samples, Pair], Tested | None]] = {"paired": paired}


def _alone(samples: Samples, finite: Samples, pair: Pair, how: How) -> Comparison:
    """Return what is known of a comparison without any method: the runs and their difference."""
    candidate, reference = pair
    ours, theirs = finite[candidate], finite[reference]
    seeds = tuple(sorted(ours.keys() & theirs.keys()))
    per_seed = tuple(ours[seed] - theirs[seed] for seed in seeds)
    return Comparison(
        mean=float(np.mean(per_seed)) if per_seed else math.nan,
        low=None,
        high=None,
        n=len(seeds),
        metric=how.metric,
        candidate=candidate,
        reference=reference,
        n_candidate=len(seeds),
        n_reference=len(seeds),
        seeds=seeds,
        per_seed=per_seed,
        left_out=tuple(sorted((samples[candidate].keys() | samples[reference].keys()) - set(seeds))),
        one_sided=tuple(sorted(ours.keys() ^ theirs.keys())),
        method=how.method,
        margin=how.margin,
        level=how.level,
        look=how.look,
        superiority=superiority(list(ours.values()), list(theirs.values()), how.metric.higher_is_better),
    )


def _with_interval(record: Comparison, one: Tested, p: float, confidence: float) -> Comparison:
    """Add what a method says: interval, p and verdict."""
    low, high, cut = _within(one.difference, one.half(confidence), record.metric.difference_bounds)
    return replace(
        record,
        mean=one.difference,
        low=low,
        high=high,
        cut=cut,
        standard_error=one.standard_error,
        df=one.df,
        p=p,
        p_alone=one.p(),
        p_equivalence=None if record.margin is None else one.p_equivalence(record.margin),
        verdict=verdict(one.difference, (low, high), p, record.margin, record.metric.higher_is_better, record.level),
    )


def superiority(ours: Sequence[float], theirs: Sequence[float], higher: bool) -> float | None:
    """Return the share of pairs of runs, one of each side, in which ours is better; ties count half."""
    if not ours or not theirs:
        return None
    sign = np.sign(np.subtract.outer(np.asarray(ours), np.asarray(theirs))) * (1 if higher else -1)
    return float((sign.mean() + 1) / 2)


def _within(mean: float, half: float, bounds: tuple[float, float]) -> tuple[float, float, bool]:
    low, high = max(mean - half, min(bounds[0], mean)), min(mean + half, max(bounds[1], mean))
    return low, high, high - low < 2 * half * (1 - 1e-9)
