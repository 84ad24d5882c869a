from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import stdtrit
from statsmodels.stats.power import TTestIndPower, TTestPower

from ablate.metrics import metric
from ablate.stats.family import How, compare_all
from ablate.stats.methods import Layout
from ablate.stats.power import MOST_FURTHER, Planned, further_seeds, power, smallest_detectable
from ablate.stats.tested import DEFAULT, UNPAIRED

if TYPE_CHECKING:
    from ablate.study.comparisons import Method

STUDENT = Planned("pooled", variants=2)


@pytest.mark.parametrize("runs", [3, 5, 20])
@pytest.mark.parametrize("size", [0.3, 1.0, 2.0])
def test_power_is_that_of_statsmodels(runs: int, size: float) -> None:
    both = TTestIndPower().power(size, nobs1=runs, alpha=0.05)
    assert power(0.01 * size, 0.01, runs, STUDENT) == pytest.approx(both, abs=1e-6)
    pairs = TTestPower().power(size / np.sqrt(2), nobs=runs, alpha=0.05)
    assert power(0.01 * size, 0.01, runs, Planned("paired", variants=2)) == pytest.approx(pairs, abs=1e-6)


def test_the_smallest_difference_that_is_found_is_that_of_statsmodels() -> None:
    size = TTestIndPower().solve_power(nobs1=5, alpha=0.05 / 4, power=0.8)
    found = smallest_detectable(0.01, 5, Planned("pooled", variants=2, family=4))
    assert found == pytest.approx(0.01 * size, rel=1e-6)


def test_further_seeds_are_those_of_statsmodels() -> None:
    needed = int(np.ceil(TTestIndPower().solve_power(1.2, alpha=0.05, power=0.8)))
    assert further_seeds(-0.012, 0.01, 3, STUDENT) == needed - 3


def test_a_difference_within_the_margin_asks_for_the_margin() -> None:
    assert further_seeds(0.001, 0.01, 3, STUDENT, 0.01) == further_seeds(0.01, 0.01, 3, STUDENT, 0.005)


def test_what_takes_very_many_seeds_is_more_than_the_most_that_are_counted() -> None:
    assert further_seeds(0.0001, 0.01, 3, STUDENT) == MOST_FURTHER + 1


@pytest.mark.parametrize(("difference", "spread"), [(0.0, 0.01), (0.01, 0.0), (float("nan"), 0.01)])
def test_without_a_difference_or_a_spread_nothing_is_said(difference: float, spread: float) -> None:
    assert further_seeds(difference, spread, 3, STUDENT) is None


def test_one_run_detects_nothing() -> None:
    assert smallest_detectable(0.01, 1, STUDENT) is None


@pytest.mark.parametrize("runs", [3, 5])
def test_power_of_the_default_is_that_of_a_simulation(runs: int) -> None:
    planned, random = Planned(DEFAULT, 5, 4), np.random.default_rng(1)
    values = random.standard_normal((20_000, 5, runs))
    values[:, 1] += 3
    layout = Layout(np.full(5, runs), np.array([1]), np.array([0]))
    error, df = UNPAIRED[DEFAULT](values.var(-1, ddof=1), layout)
    difference = values[:, 1].mean(-1) - values[:, 0].mean(-1)
    far = np.abs(difference) > (stdtrit(df, 1 - planned.tail(runs) / 2) * error)[:, 0]
    assert power(3.0, 1.0, runs, planned) == pytest.approx(far.mean(), abs=0.03)


@pytest.mark.long
def test_four_of_five_studies_find_the_smallest_difference() -> None:
    draw, found = np.random.default_rng(2), []
    pairs = [(f"v{place}", "base") for place in range(4)]
    size = smallest_detectable(0.01, 4, Planned(DEFAULT, 5, 4))
    assert size is not None
    for _ in range(400):
        samples = {name: dict(enumerate(draw.normal(0.5, 0.01, 4))) for name in ["base", *(c for c, _ in pairs)]}
        samples["v0"] = {seed: value + size for seed, value in samples["v0"].items()}
        found.append(compare_all(samples, pairs, How(metric("test/accuracy")))[0].verdict == "helped")
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("method", ["paired", "welch", "pooled", "moderated", "shrinkage"])
def test_more_seeds_and_fewer_comparisons_find_less(method: Method) -> None:
    sizes = [smallest_detectable(1.0, n, Planned(method, 5, 4)) or 0 for n in (2, 3, 5, 8, 20, 1000)]
    assert sizes == sorted(sizes, reverse=True)
    one, ten = (smallest_detectable(1.0, 5, Planned(method, 5, family)) or 0 for family in (1, 10))
    assert one < ten


def test_a_ladder_asks_for_more_than_comparisons_with_one_reference() -> None:
    shared, ladder = (smallest_detectable(1.0, 3, Planned(DEFAULT, 5, 4, shared=one)) or 0 for one in (True, False))
    assert shared < ladder


def test_planning_takes_a_few_milliseconds() -> None:
    begun = time.perf_counter()
    for runs in range(2, 22):
        smallest_detectable(0.01, runs, Planned(DEFAULT, 6, 5))
    assert time.perf_counter() - begun < 1.0
