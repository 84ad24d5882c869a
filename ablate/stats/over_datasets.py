"""The same comparisons on several datasets: what they come to over all of them. The datasets are the sample.

A difference over all is the mean of the differences on each dataset, all of one weight, with a t interval from how much
these differ between datasets: it is of datasets like these, and knows of seeds only what they add to that spread.

Sources: Demsar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets"; Wilcoxon 1945.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betainc

from ..errors import InputError, listing
from ..study.differences import differences
from .comparison import ALPHA, Comparison, verdict
from .family import How, compare_all
from .iqm import FEWEST_RUNS, IqmEstimate, iqm
from .multiplicity import holm
from .ranks import Ranks, rank, signed_rank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..metrics import Metric
    from ..study.comparisons import ComparisonKind
    from ..study.spec import Recipe
    from .comparison import Verdict
    from .results import Results

FEWEST_FOR_IQM = 5
"""From so many datasets on a mean without the lower and the upper quarter of runs leaves more than one dataset out."""


def fewest_for_ranks(comparisons: int) -> int:
    """Return from how many datasets on p of ranks and signs can be below ALPHA, adjusted over so many comparisons.

    Where all n datasets agree, p alone is 2 / 2^n: 0.0625 of five.
    """
    return math.floor(math.log2(2 * comparisons / ALPHA)) + 1


FEWEST_FOR_RANKS = fewest_for_ranks(1)
"""From so many datasets on there are ranks: a comparison alone can be decided by them."""


@dataclass(frozen=True)
class OverDatasets:
    """One comparison on every dataset, and over all.

    on: by dataset, of those where the study plans it. mean: the mean difference over the datasets on which both sides
    have a result, whose `seeds` are their places among the study's and whose `n` is how many they are; without a mean
    where the metric has no common scale. better, worse, same: on how many datasets the candidate is.
    p_signs, p_ranks: of the sign test and of the signed-rank test over datasets, adjusted over `family` comparisons;
    None below FEWEST_FOR_RANKS datasets, and of ranks without a common scale.
    verdict: by the mean's interval and p; without a common scale by the sign test.
    """

    candidate: str
    reference: str
    kind: ComparisonKind
    on: Mapping[str, Comparison]
    metric: Metric
    better: int
    worse: int
    same: int
    mean: Comparison | None
    p_signs: float | None
    p_ranks: float | None
    verdict: Verdict
    family: int = 1

    @property
    def datasets(self) -> tuple[str, ...]:
        """Return the datasets on which both sides have a result."""
        return tuple(name for name, one in self.on.items() if math.isfinite(one.mean))

    @property
    def without(self) -> tuple[str, ...]:
        """Return the datasets on which a side has none."""
        return tuple(name for name, one in self.on.items() if not math.isfinite(one.mean))


@dataclass(frozen=True)
class Unlike:
    """A part of a variant's recipe that is not the same on all datasets, in words.

    usual: what it is on the first one. others: the datasets on which it is another, by what it is there.
    """

    variant: str
    factor: str
    usual: str
    others: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Over:
    """The results of a study on each of its datasets, and over all. What is computed is computed once.

    parts: by dataset, in the order of the study, of those that have been run. datasets: all of the study.
    """

    parts: Mapping[str, Results]
    datasets: tuple[str, ...]

    @property
    def first(self) -> Results:
        """Return the results of the first dataset that was run."""
        return next(iter(self.parts.values()))

    @property
    def metric(self) -> Metric:
        """Return what is compared."""
        return self.first.study.compared

    @property
    def one_scale(self) -> bool:
        """Tell whether values on different datasets are on one scale, so that their mean says something.

        A fraction of images is; a loss depends on the number of classes, and an error in the units of its data.
        """
        return all(math.isfinite(end) for end in self.metric.bounds)

    @cached_property
    def variants(self) -> tuple[str, ...]:
        """Return the names of all variants, in the order of the study; tuned ones may be on some datasets alone."""
        return tuple(dict.fromkeys(v.name for results in self.parts.values() for v in results.study.variants))

    @cached_property
    def comparisons(self) -> tuple[OverDatasets, ...]:
        """Return all comparisons that the study plans, in its order, with p adjusted over all of them."""
        kinds: dict[tuple[str, str], ComparisonKind] = {}
        for results in self.parts.values():
            for one in results.planned:
                kinds.setdefault((one.candidate, one.reference), one.kind)
        on = {pair: self._on(pair) for pair in kinds}
        means = self._means(on, kinds) if self.one_scale else dict.fromkeys(kinds)
        signs = dict(zip(kinds, holm([_signs(self._gains(on[pair])) for pair in kinds]), strict=True))
        of_ranks = [_ranks(self._gains(on[pair])) if self.one_scale else None for pair in kinds]
        ranks = dict(zip(kinds, holm(of_ranks), strict=True))
        found, family = [], max(1, sum(p is not None for p in signs.values()))
        for pair, kind in kinds.items():
            gains, mean = self._gains(on[pair]), means[pair]
            said = mean.verdict if mean else _by_signs(gains, signs[pair])
            better, worse = int((gains > 0).sum()), int((gains < 0).sum())
            counts = (better, worse, len(gains) - better - worse)
            found.append(
                OverDatasets(*pair, kind, on[pair], self.metric, *counts, mean, signs[pair], ranks[pair], said, family)
            )
        return tuple(found)

    @cached_property
    def means(self) -> dict[str, dict[str, float]]:
        """Return the mean of each variant on each dataset where all its runs have a value, by variant and dataset."""
        found: dict[str, dict[str, float]] = {name: {} for name in self.variants}
        for dataset, results in self.parts.items():
            for name, one in results.estimates().items():
                if math.isfinite(one.mean):
                    found[name][dataset] = one.mean
        return found

    @cached_property
    def ranks(self) -> Ranks | None:
        """Return the average ranks of the variants; None where there are too few datasets or variants for them."""
        ranked = [name for name in self.variants if self.means[name]]
        common = [d for d in self.parts if all(d in self.means[name] for name in ranked)]
        if self._pilot or len(ranked) < 3 or len(common) < FEWEST_FOR_RANKS:
            return None
        values = np.array([[self.means[name][d] for name in ranked] for d in common])
        return rank(values, tuple(ranked), tuple(common), self.metric.higher_is_better)

    @cached_property
    def iqms(self) -> Mapping[str, IqmEstimate]:
        """Return the interquartile mean of each variant's runs on all datasets; none where there are too few.

        Of the variants that have FEWEST_RUNS runs on each of the same datasets; none of folds, whose runs share images,
        so that drawing them anew says too little of how much they vary.
        """
        if self._pilot or any(one.study.folds for one in self.parts.values()) or not self.one_scale:
            return {}
        samples = {d: results.samples(self.metric) for d, results in self.parts.items()}
        runs = {
            name: {d: [v for v in of.get(name, {}).values() if math.isfinite(v)] for d, of in samples.items()}
            for name in self.variants
        }
        shown = {name: of for name, of in runs.items() if any(of.values())}
        common = [d for d in self.parts if all(len(of[d]) >= FEWEST_RUNS for of in shown.values())]
        if len(common) < FEWEST_FOR_IQM:
            return {}
        return {name: iqm([of[d] for d in common], self.metric.bounds) for name, of in shown.items()}

    @property
    def _pilot(self) -> bool:
        """Tell whether any of the results are a pilot's."""
        return any(results.study.pilot for results in self.parts.values())

    @cached_property
    def unlike(self) -> tuple[Unlike, ...]:
        """Return what variants of one name train otherwise on some dataset than on the first, as after an edit.

        The settings of other tasks than image classification are left out: some of them are the dataset.
        """
        recipes: dict[str, dict[str, Recipe]] = {name: {} for name in self.variants}
        for dataset, results in self.parts.items():
            for variant in results.study.variants:
                recipes[variant.name][dataset] = variant.recipe
        found: dict[tuple[str, str, str], dict[str, list[str]]] = {}
        for name, of in recipes.items():
            first, *others = of
            for other in others:
                folds = [str(recipe.splits.folds or "none") for recipe in (of[first], of[other])]
                cut = [("folds", *folds)] if folds[0] != folds[1] else []
                for factor, before, after in [*differences(of[first], of[other]), *cut]:
                    if factor.partition(".")[0] not in ("dataset", "task"):
                        found.setdefault((name, factor, before), {}).setdefault(after, []).append(other)
        return tuple(
            Unlike(name, factor, before, {value: tuple(on) for value, on in others.items()})
            for (name, factor, before), others in found.items()
        )

    def _on(self, pair: tuple[str, str]) -> dict[str, Comparison]:
        """Return a comparison on each dataset where the study plans it."""
        return {
            dataset: results.comparison(*pair)
            for dataset, results in self.parts.items()
            if any((one.candidate, one.reference) == pair for one in results.planned)
        }

    def _gains(self, on: Mapping[str, Comparison]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return the difference on each dataset, positive where the candidate is better."""
        sign = 1 if self.metric.higher_is_better else -1
        return np.array([sign * one.mean for one in on.values() if math.isfinite(one.mean)], dtype=np.float64)

    def _means(
        self, on: Mapping[tuple[str, str], Mapping[str, Comparison]], kinds: Mapping[tuple[str, str], ComparisonKind]
    ) -> dict[tuple[str, str], Comparison | None]:
        """Return the mean of each comparison over its datasets: a paired comparison whose pairs are the datasets."""
        study = self.first.study
        how = How(self.metric, "paired", study.margin_on(self.metric))
        samples: dict[str, dict[int, float]] = {}
        for place, of in enumerate(on.values()):
            known = {self.datasets.index(d): one.mean for d, one in of.items() if math.isfinite(one.mean)}
            samples |= {f"{place} candidate": known, f"{place} reference": dict.fromkeys(known, 0.0)}
        pairs = [(f"{place} candidate", f"{place} reference") for place in range(len(on))]
        found = compare_all(samples, pairs, how)
        return {
            pair: replace(one, candidate=pair[0], reference=pair[1], kind=kinds[pair])
            for pair, one in zip(on, found, strict=True)
        }


def over(parts: Mapping[str, Results], datasets: Sequence[str] = ()) -> Over:
    """Return results on several datasets as one. datasets: all that the study has, where some were not run.

    Raises InputError where they are not compared on the same metric, where two are the same runs, or where there are
    none.
    """
    if not parts:
        raise InputError("there are no results to compare over datasets")
    compared = {results.study.metric: None for results in parts.values()}
    if len(compared) > 1:
        raise InputError(f"these studies are compared on different metrics: {listing(compared)}; name one for all")
    if len({(one.higher_is_better, one.bounds) for one in (results.study.compared for results in parts.values())}) > 1:
        raise InputError(
            f"{listing(compared)} is not the same metric in these studies: give it one direction and one unit in all"
        )
    _check_apart(parts)
    return Over(parts, tuple(datasets) or tuple(parts))


def _check_apart(parts: Mapping[str, Results]) -> None:
    """Raise InputError where runs stand for two datasets: each would count as one of the sample."""
    dataset_of: dict[str, str] = {}
    for name, results in parts.items():
        for key in results.runs["key"]:
            if (other := dataset_of.setdefault(key, name)) != name:
                raise InputError(
                    f"'{name}' and '{other}' are the same runs, and so no two datasets\n  leave one of them out"
                )


def _signs(gains: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float | None:
    """Return the two-sided p of the sign test; datasets without a difference count for neither side."""
    better, worse = int((gains > 0).sum()), int((gains < 0).sum())
    if len(gains) < FEWEST_FOR_RANKS:
        return None
    n, most = better + worse, max(better, worse)
    # The probability of `most` and more of n: the regularised incomplete beta function.
    return min(1.0, 2 * float(betainc(most, n - most + 1, 0.5))) if n else 1.0


def _ranks(gains: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float | None:
    return signed_rank(gains) if len(gains) >= FEWEST_FOR_RANKS else None


def _by_signs(gains: np.ndarray[tuple[int], np.dtype[np.float64]], p: float | None) -> Verdict:
    """Return the verdict where nothing but the number of datasets on which the candidate is better can decide."""
    if p is None or p >= ALPHA:
        return "not decided"
    return verdict(float(np.sign(gains).sum()), (-math.inf, math.inf), p, None, higher=True)
