"""What a study's runs gave: every estimate and every comparison, computed once, from tidy frames."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .. import metrics
from ..errors import InputError, did_you_mean, listing, quoted
from .claims import JudgedClaim, judge
from .comparison import turned
from .contrasts import CellValues
from .effects import FactorialEffects, effects
from .estimates import Estimate, estimate
from .family import how_of
from .looks import aside, compared_at, look_at_all, looks_at
from .methods import overlap
from .predicted import PredictedRuns
from .shapley import MOST_FACTORS, ShapleyShares, shapley
from .tunings import fair_comparisons

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from ..data.predictions import Predictions
    from ..metrics import Metric, Unmeasured
    from ..study.comparisons import ComparisonKind, PlannedComparison
    from ..study.spec import Study
    from ..tune.records import VariantTuning
    from .comparison import Comparison
    from .images import ImageComparison
    from .looks import Look


@dataclass(frozen=True, eq=False)
class Results:
    """What the runs of a study gave. What is computed of them is computed when it is asked for, and once.

    runs: a row per planned run, with its `variant`, `seed`, `key`, `state` (a `RunState`), `reason`, `weights` (a
        digest of those that it ended with), `parameters`, `dead_weights`, `seconds`, and a column for each metric
        after the last epoch (nan where absent).
    epochs: a row per stored run and epoch, with `variant`, `seed`, `epoch`, `lr`, the metrics, `seconds` and
        `images_per_second`.
    tunings: what tuning found for the study's variants.
    unmeasured: the metrics that the study names and that some or all runs have no value of.
    load: returns what a run, by its key, predicted on each split; nothing where that was not kept.
    class_names: of the classes that predictions tell apart, by label; empty where they are not known.
    looked: the looks that asked for the runs, where `study` is compared on another metric than then; else None.
    """

    study: Study
    runs: pd.DataFrame
    epochs: pd.DataFrame
    tunings: tuple[VariantTuning, ...] = ()
    unmeasured: tuple[Unmeasured, ...] = ()
    load: Callable[[str], Predictions] = lambda _: {}
    looked: tuple[Look, ...] | None = None
    class_names: tuple[str, ...] = ()
    _estimates: dict[tuple[str, str], Estimate] = field(default_factory=dict, init=False, repr=False)
    _families: dict[str, dict[tuple[str, str], Comparison]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def stored(self) -> pd.DataFrame:
        """Return the runs that have a result: no other one enters a mean."""
        return self.runs[self.runs["state"] == "stored"]

    @cached_property
    def states(self) -> Mapping[str, Counter[str]]:
        """Return how many runs each variant has in each state."""
        found: dict[str, Counter[str]] = {variant.name: Counter() for variant in self.study.variants}
        for variant, state in zip(self.runs["variant"], self.runs["state"], strict=True):
            found[variant][state] += 1
        return found

    def place(self, variant: str) -> int:
        """Return a variant's place in the study, which decides its colour and where its section stands."""
        return self._places[variant]

    def stored_of(self, variant: str) -> Mapping[int, Mapping[str, Any]]:
        """Return a variant's stored runs by seed, each by the columns of `runs`. InputError for an unknown variant."""
        if variant not in self._by_variant:
            names = [known.name for known in self.study.variants]
            raise InputError(
                f"there is no variant '{variant}'{did_you_mean(variant, names)}\n  accepts {listing(quoted(names), 20)}"
            )
        return self._by_variant[variant]

    def estimate(self, variant: str, metric: str | None = None) -> Estimate:
        """Return a variant's mean of a metric, by default the study's, with its interval.

        InputError for an unknown variant or metric.
        """
        one = metrics.metric(metric or self.study.metric, self.study.measures)
        if (variant, one.name) not in self._estimates:
            values = [run.get(one.name, math.nan) for run in self.stored_of(variant).values()]
            self._estimates[variant, one.name] = estimate(values, bounds=one.bounds, overlap=overlap(self.study.folds))
        return self._estimates[variant, one.name]

    def estimates(self, metric: str | None = None) -> dict[str, Estimate]:
        """Return each variant's mean of a metric, by default the study's, with its interval."""
        return {variant.name: self.estimate(variant.name, metric) for variant in self.study.variants}

    def comparison(self, candidate: str, reference: str, metric: str | None = None) -> Comparison:
        """Compare two variants on a metric, by default the study's.

        Its p is adjusted over the study's comparisons on the metric; that of a pair which the study plans neither way
        round is not. Without a run on one of the sides the mean is nan and n is 0.
        InputError for an unknown variant or metric.
        """
        one = metrics.metric(metric or self.study.metric, self.study.measures)
        self.stored_of(candidate), self.stored_of(reference)  # InputError for names that are none
        pair = (candidate, reference)
        if one.name in self._families and pair in self._families[one.name]:
            return self._families[one.name][pair]
        samples, how = self.samples(one), how_of(self.study, one)
        if one.name not in self._families:
            self._families[one.name] = compared_at(self.looks, samples, list(self._kinds), how, self._kinds)
        family = self._families[one.name]
        if (back := (reference, candidate)) in family:
            family.setdefault(pair, turned(family[back]))
        elif pair not in family:
            family |= compared_at(aside(self.looks, pair), samples, [pair], how)
        return family[pair]

    @cached_property
    def looks(self) -> tuple[Look, ...]:
        """Return the looks at a study whose seeds are added as they are needed, the one to come among them."""
        if self.looked is not None:
            return self.looked
        one, over = self.study.compared, self.runs[self.runs["state"].isin(("stored", "failed"))]
        ended = {variant.name: set(over["seed"][over["variant"] == variant.name]) for variant in self.study.variants}
        how, pairs = how_of(self.study, one), list(self._kinds)
        return tuple(looks_at(self.study.looks, pairs, self.samples(one), ended, how)) if self.study.looks else ()

    @cached_property
    def predicted(self) -> PredictedRuns:
        """Return what the stored runs predicted on the split that the study compares on."""
        return PredictedRuns(self.study.compared.split, self.stored_of, self.load, self.study.folds)

    def image_comparison(self, candidate: str, reference: str) -> ImageComparison | None:
        """Compare two variants image by image (see `PredictedRuns.compared`). InputError for an unknown variant."""
        found = self.predicted.compared(candidate, reference)
        return found and replace(found, noun=self.study.noun)

    @cached_property
    def planned(self) -> tuple[PlannedComparison, ...]:
        """Return which variants the study compares, what weighs most first, without what tuning made unfair.

        Of a pilot none: its numbers mean nothing.
        """
        return () if self.study.pilot else fair_comparisons(self.study, self.tunings)

    def reference(self, candidate: str) -> str | None:
        """Return what a variant is compared with first, by name: on the page, in tables and in notebooks."""
        found = (p.reference for p in self.planned if p.candidate == candidate and p.kind != "claim")
        return next(found, None)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Return all comparisons of the study on its metric."""
        return tuple(self.comparison(planned.candidate, planned.reference) for planned in self.planned)

    @cached_property
    def effects(self) -> FactorialEffects | None:
        """Return the effects of the study's factors on its metric; None where it has no factorial."""
        values, design = self._factorial, self.study.design
        return effects(values, design.factors) if values and design else None

    @cached_property
    def shapley(self) -> ShapleyShares | None:
        """Return the factors' shares of the total gain; None without a full factorial, or one of too many factors."""
        values, design = self._factorial, self.study.design
        if not values or not design or design.generators or len(design.factors) > MOST_FACTORS:
            return None
        return shapley(values, design.factors)

    @cached_property
    def _factorial(self) -> CellValues | None:
        design = self.study.design
        if design is None or "factorial" not in design.kinds or self.study.pilot:
            return None
        one = self.study.compared
        variants = {cell: (design.variants or {})[cell] for cell in design.cells("factorial")}
        how, samples = how_of(self.study, one), self.samples(one)
        if self.looks:
            look = look_at_all(self.looks, variants.values())
            how, samples = look.how(how), look.of(samples)
        return CellValues(how, variants, samples)

    @cached_property
    def claims(self) -> tuple[JudgedClaim, ...]:
        """Return what the results say of each claim of the study, in its order; those of a pilot say nothing."""
        found = []
        for claim in () if self.study.pilot else self.study.claims:
            there = (claim.variant, claim.against)
            back = (claim.against, claim.variant)
            pair = back if back in self._kinds and there not in self._kinds else there
            found.append(judge(claim, self.comparison(*pair), self.study))
        return tuple(found)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {variant.name: place for place, variant in enumerate(self.study.variants)}

    @cached_property
    def _kinds(self) -> Mapping[tuple[str, str], ComparisonKind]:
        return {(planned.candidate, planned.reference): planned.kind for planned in self.planned}

    @cached_property
    def _by_variant(self) -> dict[str, dict[int, dict[str, Any]]]:
        found: dict[str, dict[int, dict[str, Any]]] = {variant.name: {} for variant in self.study.variants}
        for row in self.stored.to_dict("records"):
            variant, seed = str(row["variant"]), int(row["seed"])
            if seed in found[variant]:
                raise ValueError(f"variant {variant!r} has seed {seed} more than once")
            found[variant][seed] = {str(name): value for name, value in row.items()}
        return found

    def samples(self, one: Metric) -> dict[str, dict[int, float]]:
        """Return the value of each stored run on a metric, by variant and seed; nan where it has none."""
        return {
            name: {seed: float(run.get(one.name, math.nan)) for seed, run in runs.items()}
            for name, runs in self._by_variant.items()
        }
