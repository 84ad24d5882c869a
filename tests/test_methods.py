from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma, polygamma, stdtr

from ablate.metrics import metric
from ablate.report import verdict_text
from ablate.stats.family import How, compare_all
from ablate.stats.methods import Layout, moderated, moderation, trigamma_inverse
from ablate.stats.methods_shrinkage import caution, shrinkage, strength
from ablate.stats.multiplicity import dunnett, holm, holm_array

if TYPE_CHECKING:
    from ablate.stats.comparison import Comparison
    from ablate.study.comparisons import Method

METRIC = metric("test/loss")
# Blood counts of animals without and with one of two drugs, from Dunnett 1955
COUNTS = {
    "control": [7.40, 8.50, 7.20, 8.24, 9.84, 8.32],
    "drug a": [9.76, 8.80, 7.68, 9.36],
    "drug b": [12.80, 9.68, 12.16, 9.20, 10.55],
}
DRUGS = [("drug a", "control"), ("drug b", "control")]


def compared(samples: dict[str, list[float]], pairs: list[tuple[str, str]], method: Method) -> list[Comparison]:
    numbered = {name: dict(enumerate(values)) for name, values in samples.items()}
    return compare_all(numbered, pairs, How(METRIC, method))


def one_of(samples: dict[str, list[float]], method: Method) -> Comparison:
    (found,) = compared(samples, [("drug a", "control")], method)
    return found


def test_welch_is_that_of_scipy() -> None:
    found = one_of(COUNTS, "welch")
    theirs = stats.ttest_ind(COUNTS["drug a"], COUNTS["control"], equal_var=False)
    assert found.p_alone == pytest.approx(theirs.pvalue, rel=1e-9)
    assert found.df == pytest.approx(theirs.df, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval()), rel=1e-9)


def test_pooled_of_two_variants_is_students_test() -> None:
    two = {name: COUNTS[name] for name in ("drug a", "control")}
    found = one_of(two, "pooled")
    theirs = stats.ttest_ind(two["drug a"], two["control"])
    assert (found.p, found.p_alone) == pytest.approx((theirs.pvalue, theirs.pvalue), rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval()), rel=1e-9)


def test_pooled_is_dunnetts_test_on_his_own_example() -> None:
    found = compared(COUNTS, DRUGS, "pooled")
    theirs = stats.dunnett(*(COUNTS[name] for name, _ in DRUGS), control=COUNTS["control"], random_state=0)
    assert [one.difference / (one.standard_error or 0) for one in found] == pytest.approx(theirs.statistic, rel=1e-9)
    assert [one.p for one in found] == pytest.approx(theirs.pvalue, abs=2e-4)  # scipy integrates by drawing


@pytest.mark.parametrize(("comparisons", "df", "critical"), [(2, 10, 2.57), (4, 10, 2.89), (4, 20, 2.65)])
def test_dunnett_has_the_critical_values_of_his_tables(comparisons: int, df: int, critical: float) -> None:
    layout = Layout(np.full(comparisons + 1, 3), np.arange(1, comparisons + 1), np.zeros(comparisons, dtype=int))
    at = dunnett(np.array([critical - 0.006, critical + 0.006]), df, layout)
    assert at[1] < 0.05 < at[0]


def test_pooled_comparisons_without_a_common_reference_are_adjusted_by_holm() -> None:
    found = compared(COUNTS, [("drug a", "control"), ("drug b", "drug a")], "pooled")
    low, high = sorted(one.p_alone or 0 for one in found)
    assert sorted(one.p or 0 for one in found) == pytest.approx([2 * low, max(2 * low, high)], rel=1e-12)


def test_the_inverse_of_the_trigamma_function() -> None:
    assert trigamma_inverse(np.array([np.pi**2 / 6, np.pi**2 / 2])) == pytest.approx([1.0, 0.5], rel=1e-12)


def test_moderation_on_two_variances_by_hand() -> None:
    """Two variances of 2 degrees of freedom: log(s2) has mean (log 1 + log 100) / 2 and variance (log 100)^2 / 2.

    digamma(1) = -0.5772, trigamma(1) = pi^2 / 6, so trigamma(d / 2) = 10.6038 - 1.6449 = 8.9589, whose d is 0.7133,
    and the common variance is exp(2.3026 + 0.5772 + digamma(0.3566) - log(0.3566)).
    """
    weight, common = moderation(np.array([1.0, 100.0]), np.array([2.0, 2.0]))
    half = weight[0] / 2
    assert polygamma(1, half) == pytest.approx(np.log(100) ** 2 / 2 - np.pi**2 / 6, rel=1e-9)
    assert np.log(common[0]) == pytest.approx(np.log(10) + np.euler_gamma + digamma(half) - np.log(half), rel=1e-9)


def test_spreads_that_are_alike_are_moderated_to_one() -> None:
    layout = Layout(np.array([3, 3, 3]), np.array([1, 2]), np.array([0, 0]))
    error, df = moderated(np.array([1.0, 1.1, 0.9]), layout)
    assert error[0] == error[1]
    assert df.tolist() == [12.0, 12.0]


def test_a_prior_of_moderation_may_be_given() -> None:
    layout = Layout(np.array([3, 3]), np.array([1]), np.array([0]))
    error, df = moderated(np.array([1.0, 4.0]), layout, prior=(2.0, 2.0))
    assert error[0] ** 2 == pytest.approx((1.5 + 3.0) / 3)  # each halfway to 2
    assert df[0] == pytest.approx(4.5**2 / (1.5**2 / 4 + 3.0**2 / 4))


def test_the_default_borrows_spread_where_variants_agree_and_stands_alone_where_they_do_not() -> None:
    layout = Layout(np.full(5, 3), np.array([1, 2]), np.array([0, 0]))
    alike, differ = np.full(5, 1.0), np.array([1.0, 400.0, 1.0, 1.0, 1.0])
    agreed, apart = shrinkage(alike, layout), shrinkage(differ, layout)
    factor = strength(3, 5).factor
    assert agreed.df[0] > 8
    assert apart.df[0] == pytest.approx(2, abs=0.3)
    assert apart.standard_error[0] == pytest.approx(factor * np.sqrt(401 / 3), rel=0.1)
    assert apart.df[1] > 8


def test_the_default_says_the_same_in_any_unit() -> None:
    samples = {"control": [0.50, 0.52, 0.51], "drug a": [0.53, 0.55, 0.56], "other": [0.4, 0.42, 0.44]}
    for scale in (1e-9, 1e9):
        scaled = {name: [scale * value for value in values] for name, values in samples.items()}
        found, usual = one_of(scaled, "shrinkage"), one_of(samples, "shrinkage")
        assert found.p == pytest.approx(usual.p, rel=1e-9)


@pytest.mark.parametrize("method", ["paired", "welch", "pooled", "moderated", "shrinkage"])
def test_runs_that_do_not_spread_at_all_decide_nothing(method: Method) -> None:
    found = one_of({"control": [0.1, 0.1, 0.1], "drug a": [0.3, 0.3, 0.3]}, method)
    assert found.difference == pytest.approx(0.2)
    assert (found.low, found.p, found.verdict) == (None, None, "not decided")
    assert found.without_spread
    assert verdict_text.remark(found) == "no seed differs from another: how sure this is cannot be said"


@pytest.mark.parametrize("method", ["welch", "pooled", "moderated", "shrinkage"])
def test_methods_that_do_not_pair_use_every_run(method: Method) -> None:
    found = one_of(COUNTS, method)
    assert (found.n_candidate, found.n_reference, found.left_out) == (4, 6, ())
    assert found.difference == pytest.approx(np.mean(COUNTS["drug a"]) - np.mean(COUNTS["control"]))


@pytest.mark.parametrize("method", ["paired", "welch", "pooled", "moderated", "shrinkage"])
def test_one_run_on_a_side_has_no_interval_whatever_the_others_have(method: Method) -> None:
    found = one_of({**COUNTS, "drug a": [9.0]}, method)
    assert (found.low, found.p, found.verdict) == (None, None, "not decided")


def test_two_runs_of_two_variants_are_paired() -> None:
    two = {"control": [0.5, 0.52], "drug a": [0.55, 0.56]}
    assert one_of(two, "shrinkage") == one_of(two, "paired")
    assert one_of({**two, "other": [0.4, 0.43]}, "shrinkage").method == "shrinkage"


def test_adjusted_p_of_the_default_allow_for_few_runs() -> None:
    samples = {"a": [0.50, 0.52, 0.51], "b": [0.53, 0.55, 0.56], "c": [0.40, 0.42, 0.44], "d": [0.47, 0.49, 0.46]}
    for pairs, common in (([("b", "a"), ("c", "a")], True), ([("b", "a"), ("c", "b")], False)):
        found = compared(samples, pairs, "shrinkage")
        by_holm = holm([one.p_alone for one in found])
        more = caution(3, 2, common)
        assert more > 1
        assert [one.p for one in found] == pytest.approx([more * (p or 0) for p in by_holm], rel=1e-12)
        (alone,) = compared(samples, pairs[:1], "shrinkage")
        assert alone.p == alone.p_alone


def test_intervals_and_false_alarms_of_the_default_keep_their_promise() -> None:
    draw = np.random.default_rng(5)
    for spreads in ([1, 1, 1, 1, 1], [3, 1, 1, 1, 1], [10, 1, 1, 1, 1], [1, 3, 1, 1, 1]):
        values = draw.standard_normal((20_000, 5, 3)) * np.array(spreads, dtype=float)[:, None]
        layout = Layout(np.full(5, 3), np.arange(1, 5), np.zeros(4, dtype=int))
        error, df = shrinkage(values.var(-1, ddof=1), layout)
        means = values.mean(-1)
        p = 2 * stdtr(df, -np.abs(means[:, 1:] - means[:, :1]) / error)
        assert (p >= 0.05).mean(0).min() > 0.927
        assert (caution(3, 4, True) * holm_array(p).min(-1) < 0.05).mean() < 0.057


@pytest.mark.long
@pytest.mark.parametrize("layout", ["baseline", "ladder"])
@pytest.mark.parametrize("runs", [3, 5])
def test_a_change_without_effect_is_called_in_few_studies_whatever_the_layout(layout: str, runs: int) -> None:
    draw, names = np.random.default_rng(runs), ["base", "a", "b", "c", "d"]
    pairs = list(zip(names[1:], names if layout == "ladder" else ["base"] * 4, strict=False))
    called = 0
    for _ in range(1500):
        samples = {name: dict(enumerate(draw.normal(0.5, 0.01, runs))) for name in names}
        found = compare_all(samples, pairs, How(METRIC))
        called += any(one.verdict in ("helped", "hurt") for one in found)
    assert called / 1500 < 0.055 + 0.01  # twice what 1500 studies vary by


@pytest.mark.parametrize(("runs", "variants"), [(2, 5), (3, 2), (3, 5), (5, 11)])
def test_the_default_has_no_more_degrees_of_freedom_than_all_runs_and_promises_no_tiny_p_for_nothing(
    runs: int, variants: int
) -> None:
    rng = np.random.default_rng(20)
    values = rng.standard_normal((20_000, variants, runs))
    others = np.arange(1, variants)
    found = shrinkage(values.var(-1, ddof=1), Layout(np.full(variants, runs), others, np.zeros_like(others)))
    assert found.df.max() <= variants * (runs - 1)
    means = values.mean(-1)
    p = 2 * stdtr(found.df, -np.abs(means[:, 1:] - means[:, :1]) / found.standard_error)
    assert (p < 0.001).mean() < 0.0015
