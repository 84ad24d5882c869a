"""A study's comparisons on one metric, computed together: as one family they share what false alarms may cost."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .comparison import ALPHA, Comparison, verdict
from .estimates import ends
from .power import Planned, further_seeds
from .tested import CONFIDENCE, DEFAULT, SEED_BY_SEED, adjusted, method_of, tests_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..metrics import Metric
    from ..study.comparisons import ComparisonKind, UsedMethod
    from ..study.spec import Study
    from .tested import Pair, Samples, Tested

GROWING_PAIR: UsedMethod = "welch"
"""What compares the only two variants of a study whose seeds are added: no others steady their spreads, and first looks
ask for a p so small that the default one, made for 0.05, would be too easily below it (`benchmarks/looks.py`)."""


@dataclass(frozen=True)
class How:
    """How comparisons are made: by which method, which margin, on which metric.

    level: what p, adjusted over the family, has to be below. confidence: of the interval of one comparison alone.
    look: as of `Comparison`. folds: of cross-validation, None without.
    """

    metric: Metric
    method: UsedMethod = DEFAULT
    margin: float | None = None
    level: float = ALPHA
    confidence: float = CONFIDENCE
    look: int | None = None
    folds: int | None = None


def how_of(study: Study, metric: Metric) -> How:
    """Return how a study compares its variants on a metric."""
    if study.folds:
        return How(metric, "corrected", study.margin_on(metric), folds=study.folds)
    usual = GROWING_PAIR if study.looks and len(study.comparisons) == 1 else DEFAULT
    return How(metric, study.comparing.method or usual, study.margin_on(metric))


def planned_of(study: Study, metric: Metric, level: float = ALPHA) -> Planned:
    """Return what decides, beside the spread, how much a study's seeds show on a metric. level: as of `How`."""
    family, shared = len(study.comparisons), len({one.reference for one in study.comparisons}) == 1
    return Planned(how_of(study, metric).method, len(study.variants), family, level, shared, study.folds)


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
    how = replace(how, method=method_of(how.method, finite))
    tested = tests_of(finite, pairs, how.method, how.folds)
    family = sum(one is not None for one in tested)
    shared = len({reference for _, reference in pairs}) == 1
    planned = Planned(how.method, len(samples), max(family, 1), how.level, shared, how.folds)
    found = []
    for pair, one, p in zip(pairs, tested, adjusted(tested, finite, pairs, how.method), strict=True):
        record = replace(_alone(samples, finite, pair, how), kind=(kinds or {}).get(pair, ""), family=family)
        if one is not None and p is not None:
            record = _with_further(_with_interval(record, one, p, how.confidence), one, planned)
        found.append(record)
    return found


def _alone(samples: Samples, finite: Samples, pair: Pair, how: How) -> Comparison:
    """Return what is known of a comparison without any method: the runs and their difference."""
    candidate, reference = pair
    ours, theirs = finite[candidate], finite[reference]
    every = samples[candidate].keys() | samples[reference].keys()
    seeds = tuple(sorted(ours.keys() & theirs.keys()))
    per_seed = tuple(ours[seed] - theirs[seed] for seed in seeds)
    if how.method in SEED_BY_SEED:
        mean, runs = float(np.mean(per_seed)) if per_seed else math.nan, (len(seeds), len(seeds))
        left_out = every - set(seeds)
    else:
        mean, runs = _mean(ours) - _mean(theirs), (len(ours), len(theirs))
        left_out = {seed for side in pair for seed in samples[side].keys() - finite[side].keys()}
    return Comparison(
        mean=mean,
        low=None,
        high=None,
        n=len(seeds),
        metric=how.metric,
        candidate=candidate,
        reference=reference,
        n_candidate=runs[0],
        n_reference=runs[1],
        seeds=seeds,
        per_seed=per_seed,
        left_out=tuple(sorted(left_out)),
        one_sided=tuple(sorted(ours.keys() ^ theirs.keys())),
        method=how.method,
        margin=how.margin,
        level=how.level,
        look=how.look,
        superiority=superiority(list(ours.values()), list(theirs.values()), how.metric.higher_is_better),
    )


def _mean(runs: Mapping[int, float]) -> float:
    return float(np.mean(list(runs.values()))) if runs else math.nan


def _with_interval(record: Comparison, one: Tested, p: float, confidence: float) -> Comparison:
    """Add what a method says: interval, p and verdict."""
    low, high, cut = ends(one.difference, one.half(confidence), record.metric.difference_bounds)
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


def _with_further(record: Comparison, one: Tested, planned: Planned) -> Comparison:
    """Add how many seeds would decide what is not decided. variants: those with two runs or more."""
    if record.verdict != "not decided":
        return record
    runs = min(record.n_candidate, record.n_reference)
    spread = one.spread(record.n_candidate, record.n_reference, planned.folds)
    return replace(record, further_seeds=further_seeds(one.difference, spread, runs, planned, record.margin))


def superiority(ours: Sequence[float], theirs: Sequence[float], higher: bool) -> float | None:
    """Return the share of pairs of runs, one of each side, in which ours is better; ties count half."""
    if not ours or not theirs:
        return None
    ranked = np.sort(theirs)  # counted by rank: of 100,000 runs a side there are too many pairs to look at
    above = sum(int(np.searchsorted(ranked, ours, side).sum()) for side in ("left", "right"))
    share = above / (2 * len(ours) * len(theirs))
    return share if higher else 1 - share
