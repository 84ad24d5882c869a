from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.power import TTestIndPower, TTestPower

from ablate.metrics import metric
from ablate.stats.family import How, compare_all
from ablate.stats.power import smallest_detectable


@pytest.mark.parametrize("n", [3, 5, 8, 20])
def test_one_pooled_comparison_is_the_t_test_of_the_textbook(n: int) -> None:
    theirs = TTestIndPower().solve_power(nobs1=n, alpha=0.05, power=0.8)
    assert smallest_detectable(0.02, n, 1, "pooled") == pytest.approx(0.02 * theirs, rel=0.01)


@pytest.mark.parametrize("n", [3, 5, 8, 20])
def test_paired_seeds_are_the_t_test_of_one_sample(n: int) -> None:
    theirs = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8) * 2**0.5
    assert smallest_detectable(1.0, n, 1, "paired") == pytest.approx(theirs, rel=0.02)


def test_a_family_is_paid_for_as_holm_does_at_its_first_step() -> None:
    theirs = TTestPower().solve_power(nobs=5, alpha=0.05 / 4, power=0.8) * 2**0.5
    assert smallest_detectable(1.0, 5, 4, "paired") == pytest.approx(theirs, rel=0.02)


def test_four_of_five_studies_find_it() -> None:
    draw, found = np.random.default_rng(2), []
    pairs = [(f"v{place}", "base") for place in range(4)]
    size = smallest_detectable(0.01, 4, 4)
    for _ in range(400):
        samples = {name: dict(enumerate(draw.normal(0.5, 0.01, 4))) for name in ["base", *(c for c, _ in pairs)]}
        samples["v0"] = {seed: value + size for seed, value in samples["v0"].items()}
        found.append(compare_all(samples, pairs, How(metric("test/accuracy")))[0].verdict == "helped")
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def test_more_seeds_and_fewer_comparisons_find_less() -> None:
    for method in ("paired", "welch", "pooled", "moderated", None):
        sizes = [smallest_detectable(1.0, n, 4, method) for n in (2, 3, 5, 8, 20, 1000)]
        assert sizes == sorted(sizes, reverse=True)
        assert smallest_detectable(1.0, 5, 1, method) < smallest_detectable(1.0, 5, 10, method)
