from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from ablate.metrics import metric
from ablate.stats.comparison import verdict
from ablate.stats.family import How, compare_all, superiority
from ablate.stats.multiplicity import holm

ACCURACY, LOSS = metric("test/accuracy"), metric("test/loss")


def seeds(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def test_holm_is_that_of_statsmodels() -> None:
    alone = [0.01, 0.04, 0.03, 0.005, 0.5]
    assert holm(alone) == pytest.approx(multipletests(alone, method="holm")[1].tolist(), abs=1e-12)


def test_holm_leaves_out_what_has_no_p() -> None:
    assert holm([0.01, None, 0.02]) == [0.02, None, 0.02]


def test_superiority_is_mann_whitneys_u_as_a_share_of_all_pairs() -> None:
    ours, theirs = [0.3, 0.5, 0.5, 0.9], [0.5, 0.2, 0.4]
    u = stats.mannwhitneyu(ours, theirs).statistic
    assert superiority(ours, theirs, higher=True) == pytest.approx(u / 12)
    assert superiority(ours, theirs, higher=False) == pytest.approx(1 - u / 12)


def test_a_comparison_is_the_paired_t_test() -> None:
    samples = {"a": seeds(0.52, 0.55, 0.53, 0.56), "base": seeds(0.50, 0.51, 0.52, 0.53)}
    (found,) = compare_all(samples, [("a", "base")], How(ACCURACY, "paired"))
    theirs = stats.ttest_rel(list(samples["a"].values()), list(samples["base"].values()))
    assert found.p == found.p_alone == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval()), abs=1e-12)


@pytest.mark.parametrize(
    ("interval", "p", "margin", "expected"),
    [
        ((0.01, 0.03), 0.001, 0.005, "helped"),
        ((0.001, 0.003), 0.001, 0.005, "no practical difference"),  # sure, and too small to matter
        ((-0.004, 0.004), 0.9, 0.005, "no practical difference"),
        ((-0.004, 0.004), 0.9, None, "not decided"),
        ((0.001, 0.03), 0.08, 0.005, "not decided"),  # clear alone, but one of many
    ],
)
def test_verdicts(interval: tuple[float, float], p: float, margin: float | None, expected: str) -> None:
    assert verdict(sum(interval) / 2, interval, p, margin, higher=True) == expected


def test_less_of_a_loss_helps() -> None:
    assert verdict(-0.2, (-0.3, -0.1), 0.001, None, higher=False) == "helped"
    assert verdict(-0.2, (-0.3, -0.1), 0.001, None, higher=True) == "hurt"


def test_one_seed_gives_a_difference_and_decides_nothing() -> None:
    (found,) = compare_all({"a": seeds(0.6), "base": seeds(0.5)}, [("a", "base")], How(ACCURACY, margin=0.005))
    assert found.difference == pytest.approx(0.1)
    assert (found.low, found.high, found.p, found.verdict) == (None, None, None, "not decided")


def test_seeds_that_a_comparison_cannot_use_are_named() -> None:
    samples = {"a": {0: 1.2, 1: math.nan, 2: 1.1, 5: 1.3}, "base": seeds(1.5, 1.4, 1.6)}
    (found,) = compare_all(samples, [("a", "base")], How(LOSS, "paired"))
    assert (found.seeds, found.left_out, found.one_sided) == ((0, 2), (1, 5), (1, 5))


def test_p_is_adjusted_over_all_comparisons() -> None:
    samples = {"a": seeds(0.52, 0.55, 0.53), "b": seeds(0.51, 0.53, 0.53), "base": seeds(0.50, 0.51, 0.52)}
    found = compare_all(samples, [("a", "base"), ("b", "base")], How(ACCURACY, "paired"))
    assert [one.family for one in found] == [2, 2]
    alone = [one.p_alone for one in found]
    assert [one.p for one in found] == holm(alone)


def test_a_look_that_may_spend_less_asks_for_a_smaller_p_and_shows_a_wider_interval() -> None:
    samples = {"a": seeds(0.52, 0.55, 0.53, 0.56), "base": seeds(0.50, 0.51, 0.52, 0.53)}
    how = How(ACCURACY, "paired", margin=None, level=0.01, confidence=0.99, look=4)
    (usual,) = compare_all(samples, [("a", "base")], How(ACCURACY, "paired"))
    (found,) = compare_all(samples, [("a", "base")], how)
    theirs = stats.ttest_rel(list(samples["a"].values()), list(samples["base"].values()))
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval(0.99)), abs=1e-12)
    assert found.p == usual.p
    assert (usual.verdict, usual.level, usual.look) == ("helped", 0.05, None)
    assert (found.verdict, found.level, found.look) == ("not decided", 0.01, 4)


def test_the_p_of_equivalence_is_that_of_statsmodels() -> None:
    ours, theirs = [0.912, 0.915, 0.909, 0.913], [0.911, 0.916, 0.910, 0.908]
    samples = {"a": seeds(*ours), "base": seeds(*theirs)}
    (welch,) = compare_all(samples, [("a", "base")], How(ACCURACY, "welch", margin=0.005))
    (paired,) = compare_all(samples, [("a", "base")], How(ACCURACY, "paired", margin=0.005))
    independent = ttost_ind(np.array(ours), np.array(theirs), -0.005, 0.005, usevar="unequal")[0]
    related = ttost_paired(np.array(ours), np.array(theirs), -0.005, 0.005)[0]
    assert welch.p_equivalence == pytest.approx(independent, rel=1e-9)
    assert paired.p_equivalence == pytest.approx(related, rel=1e-9)
