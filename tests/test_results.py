from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablate.errors import InputError
from ablate.metrics import metric
from ablate.stats.comparison import turned
from ablate.stats.estimates import Estimate, estimate
from ablate.stats.results import Results
from ablate.study.comparisons import Comparing
from ablate.study.spec import Choice, Recipe, Study, Variant

if TYPE_CHECKING:
    from ablate.stats.comparison import Comparison

METRIC = "test/accuracy"


RECIPE = Recipe(1, 8, Choice("tiny"), Choice("mlp"), Choice("sgd"))


def results(**values: dict[int, float]) -> Results:
    """Stored runs with these test accuracies, of variants in this order, each changing the one before it."""
    names = list(values)
    variants = tuple(Variant(name, RECIPE, names[place - 1] if place else None) for place, name in enumerate(names))
    rows = [
        {"variant": variant, "seed": seed, "state": "stored", METRIC: value, "test/loss": 2 - value}
        for variant, seeds in values.items()
        for seed, value in seeds.items()
    ]
    study = Study("s", "S", variants, (0, 1, 2), comparing=Comparing("paired"))
    return Results(study, pd.DataFrame(rows), pd.DataFrame())


def compared(**values: dict[int, float]) -> Comparison:
    return results(**values).comparison("a", "b")


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_the_interval_is_the_one_that_scipy_gives(n: int, confidence: float) -> None:
    values = np.random.default_rng(n).normal(0.5, 0.02, n)
    found = estimate(values, confidence)
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(confidence)
    assert (found.mean, found.low, found.high) == pytest.approx((values.mean(), low, high))
    assert found.n == n
    assert found.half_width == pytest.approx((high - low) / 2)


def test_one_value_has_a_mean_and_no_interval() -> None:
    assert estimate([0.36]) == Estimate(mean=0.36, low=None, high=None, n=1)
    assert estimate([0.36]).half_width is None


@pytest.mark.parametrize(("values", "finite"), [([], 0), ([math.nan], 0), ([0.3, math.nan], 1), ([1.0, math.inf], 1)])
def test_what_is_not_finite_is_neither_dropped_nor_averaged(values: list[float], finite: int) -> None:
    found = estimate(values)
    assert math.isnan(found.mean)
    assert (found.low, found.high, found.n) == (None, None, finite)


def test_equal_values_have_an_interval_of_no_width() -> None:
    found = estimate([0.25, 0.25, 0.25])
    assert (found.low, found.high) == (0.25, 0.25)


def test_an_interval_ends_at_the_bounds_of_what_it_is_of() -> None:
    found = estimate([0.99, 1.0, 0.9], bounds=metric("test/accuracy").bounds)
    free = estimate([0.99, 1.0, 0.9])
    assert (found.low, found.high, found.cut) == (free.low, 1.0, True)
    assert free.high is not None
    assert (free.high > 1, free.cut) == (True, False)
    low = estimate([0.01, 0.3], bounds=metric("test/loss").bounds)
    assert (low.low, low.cut) == (0.0, True)
    assert estimate([1.0, 1.0], bounds=(0.0, 1.0)) == Estimate(mean=1.0, low=1.0, high=1.0, n=2)


def test_an_interval_of_which_a_little_is_missing_is_cut() -> None:
    free = estimate([0.97, 0.98, 0.99])
    assert free.high is not None
    assert estimate([0.97, 0.98, 0.99], bounds=(0.0, free.high - 0.001)).cut


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (3.0, 4.0)])
def test_a_mean_beyond_the_bounds_lies_in_its_interval_all_the_same(bounds: tuple[float, float]) -> None:
    found = estimate([2.0, 2.1, 1.9], bounds=bounds)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.mean <= found.high


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_outside_zero_to_one_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        estimate([1.0, 2.0], confidence)


def test_a_paired_difference_has_the_interval_of_the_paired_t_test() -> None:
    random = np.random.default_rng(7)
    ours, theirs = random.normal(0.5, 0.1, 6), random.normal(0.4, 0.1, 6)
    found = compared(a=dict(enumerate(ours)), b=dict(enumerate(theirs)))
    low, high = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.per_seed == pytest.approx(ours - theirs)
    assert (found.candidate, found.reference, found.seeds) == ("a", "b", (0, 1, 2, 3, 4, 5))
    assert found.metric is metric(METRIC)


def test_pairs_are_made_by_seed_and_not_by_row() -> None:
    found = compared(a={2: 0.52, 0: 0.50, 1: 0.51}, b={0: 0.40, 1: 0.41, 2: 0.42})
    assert found.per_seed == pytest.approx((0.1, 0.1, 0.1))


def test_seeds_that_only_one_of_the_two_has_are_left_out_and_named() -> None:
    found = compared(a={0: 0.5, 1: 0.6, 4: math.nan}, b={1: 0.4, 2: 0.4, 4: 0.3})
    assert (found.seeds, found.left_out, found.n) == ((1,), (0, 2, 4), 1)
    assert found.mean == pytest.approx(0.2)
    assert found.low is None


def test_no_common_seed_gives_no_difference() -> None:
    found = compared(a={0: 0.5}, b={1: 0.4})
    assert math.isnan(found.mean)
    assert (found.seeds, found.per_seed, found.n, found.clear) == ((), (), 0, False)


def test_a_difference_is_clear_where_its_interval_does_not_hold_0() -> None:
    assert compared(a={0: 0.5, 1: 0.51, 2: 0.52}, b={0: 0.4, 1: 0.41, 2: 0.41}).clear
    assert not compared(a={0: 0.5, 1: 0.3, 2: 0.6}, b={0: 0.4, 1: 0.4, 2: 0.4}).clear
    assert not compared(a={0: 0.5, 1: 0.3}, b={0: 0.5, 1: 0.3}).clear  # an interval from 0 to 0


def test_a_seed_that_comes_twice_is_refused() -> None:
    made = results(a={0: 0.5}, b={0: 0.4})
    doubled = Results(made.study, pd.concat([made.runs, made.runs]), made.epochs)
    with pytest.raises(ValueError, match="'a' has seed 0 more than once"):
        doubled.comparison("a", "b")


def test_only_stored_runs_count() -> None:
    made = results(a={0: 0.5, 1: 0.7}, b={0: 0.4})
    made.runs.loc[1, "state"] = "failed"
    assert made.estimate("a") == Estimate(mean=0.5, low=None, high=None, n=1)
    assert made.states == {"a": {"stored": 1, "failed": 1}, "b": {"stored": 1}}
    assert made.stored["seed"].tolist() == [0, 0]


def test_each_estimate_and_each_comparison_is_computed_once() -> None:
    made = results(a={0: 0.5, 1: 0.7}, b={0: 0.4, 1: 0.5})
    assert made.estimate("a") is made.estimates()["a"] is made.estimates(METRIC)["a"]
    assert made.comparison("b", "a") is made.comparisons[0] is made.comparison("b", "a", METRIC)


def test_another_metric_than_the_studys_can_be_compared() -> None:
    made = results(a={0: 0.5, 1: 0.7}, b={0: 0.4, 1: 0.6})
    assert made.estimate("a", "test/loss").mean == pytest.approx(1.4)
    found = made.comparison("b", "a", "test/loss")
    assert (found.metric.name, found.kind) == ("test/loss", "change")
    assert found.mean == pytest.approx(0.1)


def test_the_family_is_what_the_study_compares_in_its_order() -> None:
    made = results(a={0: 0.5}, b={0: 0.4}, c={0: 0.6})
    assert [(found.candidate, found.reference) for found in made.comparisons] == [("b", "a"), ("c", "b")]
    assert made.comparison("c", "a").kind == ""


def test_a_pair_of_the_family_is_the_same_evidence_the_other_way_round() -> None:
    made = results(a={0: 0.5, 1: 0.7}, b={0: 0.61, 1: 0.82}, c={0: 0.6, 1: 0.9})
    there, back = made.comparison("b", "a"), made.comparison("a", "b")
    assert (back.p, back.family, back.kind) == (there.p, 2, "")
    assert there.low is not None
    assert there.high is not None
    assert (back.mean, back.low, back.high) == (-there.mean, -there.high, -there.low)
    assert (there.superiority, back.superiority) == (0.75, 0.25)
    assert (back.candidate, back.reference, back.per_seed) == ("a", "b", tuple(-one for one in there.per_seed))
    helped, hurt = replace(there, verdict="helped"), replace(there, verdict="hurt")
    assert (turned(helped).verdict, turned(hurt).verdict) == ("hurt", "helped")
    assert turned(turned(helped)) == replace(helped, kind="")


def test_an_unknown_variant_or_metric_is_told_with_the_nearest_name() -> None:
    made = results(first={0: 0.5}, second={0: 0.4})
    with pytest.raises(InputError, match="there is no variant 'fist'; did you mean 'first'"):
        made.comparison("fist", "second")
    with pytest.raises(InputError, match="there is no metric 'test/acc'"):
        made.estimate("first", "test/acc")
