from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablate.metrics import metric
from ablate.stats.summary import Estimate, estimate, paired

METRIC = "test/accuracy"


def frame(**values: dict[int, float]) -> pd.DataFrame:
    rows = [(variant, seed, value) for variant, seeds in values.items() for seed, value in seeds.items()]
    return pd.DataFrame(rows, columns=["variant", "seed", METRIC])


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
    assert estimate([0.36]) == Estimate(0.36, None, None, 1)
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
    assert estimate([1.0, 1.0], bounds=(0.0, 1.0)) == Estimate(1.0, 1.0, 1.0, 2)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_outside_zero_to_one_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        estimate([1.0, 2.0], confidence)


def test_a_paired_difference_has_the_interval_of_the_paired_t_test() -> None:
    random = np.random.default_rng(7)
    ours, theirs = random.normal(0.5, 0.1, 6), random.normal(0.4, 0.1, 6)
    found = paired(frame(a=dict(enumerate(ours)), b=dict(enumerate(theirs))), METRIC, "a", "b")
    low, high = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((low, high))
    assert found.per_seed == pytest.approx(ours - theirs)
    assert (found.candidate, found.reference, found.seeds) == ("a", "b", (0, 1, 2, 3, 4, 5))


def test_pairs_are_made_by_seed_and_not_by_row() -> None:
    found = paired(frame(a={2: 0.52, 0: 0.50, 1: 0.51}, b={0: 0.40, 1: 0.41, 2: 0.42}), METRIC, "a", "b")
    assert found.per_seed == pytest.approx((0.1, 0.1, 0.1))


def test_seeds_that_only_one_of_the_two_has_are_left_out_and_named() -> None:
    found = paired(frame(a={0: 0.5, 1: 0.6, 4: math.nan}, b={1: 0.4, 2: 0.4, 4: 0.3}), METRIC, "a", "b")
    assert (found.seeds, found.left_out, found.estimate.n) == ((1,), (0, 2, 4), 1)
    assert found.estimate.mean == pytest.approx(0.2)
    assert found.estimate.low is None


def test_no_common_seed_gives_no_difference() -> None:
    found = paired(frame(a={0: 0.5}, b={1: 0.4}), METRIC, "a", "b")
    assert math.isnan(found.estimate.mean)
    assert (found.seeds, found.per_seed, found.estimate.n) == ((), (), 0)


def test_a_seed_that_comes_twice_is_refused() -> None:
    doubled = pd.concat([frame(a={0: 0.5}), frame(a={0: 0.6}, b={0: 0.4})])
    with pytest.raises(ValueError, match="'a' has a seed more than once"):
        paired(doubled, METRIC, "a", "b")
