"""Comparisons over datasets: against scipy, and by simulation of whole studies."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from ablate.errors import InputError
from ablate.metrics import METRICS
from ablate.stats import iqm, ranks
from ablate.stats.family import How, compare_all
from ablate.stats.over_datasets import FEWEST_FOR_RANKS, Over, fewest_for_ranks, over
from ablate.stats.results import Results
from ablate.study.toml import Changes, parse_study
from tests.over import drawn, text
from tests.planted import planted


def studied(count: int, seeds: int = 3, metric: str = "test/accuracy") -> Over:
    """Return planted results of a study over so many datasets."""
    content = text(count, seeds, metric=f'"{metric}"')
    names = [f"d{place}" for place in range(count)]
    studies = {name: parse_study(content, Path("s.toml"), Changes(dataset=name)).done() for name in names}
    return over({name: planted(one, drawn(place)) for place, (name, one) in enumerate(studies.items())})


def only(found: Over, *names: str) -> Over:
    """Return results on some of the datasets alone."""
    return over({name: found.parts[name] for name in names})


def test_the_mean_over_datasets_is_scipys_t_test_of_the_differences_on_each() -> None:
    found = studied(5)
    for one in found.comparisons:
        each = [of.mean for of in one.on.values()]
        assert one.mean is not None
        expected = scipy.stats.ttest_1samp(each, 0)
        low, high = expected.confidence_interval(0.95)
        assert (one.mean.mean, one.mean.low, one.mean.high) == pytest.approx((np.mean(each), low, high))
        assert one.mean.p_alone == pytest.approx(expected.pvalue)
        assert one.mean.n == 5
    alone, adjusted = (min(float(getattr(one.mean, name)) for one in found.comparisons) for name in ("p_alone", "p"))
    assert adjusted == pytest.approx(3 * alone)  # Holm's, of three


def test_what_helps_everywhere_helps_and_what_turns_round_is_not_decided() -> None:
    by_name = {one.candidate: one for one in studied(6, seeds=5).comparisons}
    assert {name: one.verdict for name, one in by_name.items()} == {
        "good": "helped", "bad": "hurt", "mixed": "not decided",
    }  # fmt: skip
    assert (by_name["good"].better, by_name["bad"].worse, by_name["mixed"].better) == (6, 6, 3)
    assert {of.verdict for of in by_name["mixed"].on.values()} == {"helped", "hurt"}


def test_a_dataset_without_a_result_on_both_sides_is_left_out_and_named() -> None:
    found = studied(3)
    last = found.parts["d2"]
    runs = last.runs.assign(state=["new" if v == "good" else "stored" for v in last.runs["variant"]])
    part = over({**found.parts, "d2": Results(last.study, runs, last.epochs)}, ("d0", "d1", "d2", "d3"))
    good, bad = part.comparisons[0], part.comparisons[1]
    assert (good.datasets, good.without) == (("d0", "d1"), ("d2",))
    assert (good.mean and good.mean.n, bad.mean and bad.mean.n) == (2, 3)


def test_one_dataset_gives_a_mean_without_an_interval() -> None:
    (good, *_) = only(studied(2), "d0").comparisons
    assert good.mean is not None
    assert (good.mean.low, good.mean.p, good.verdict) == (None, None, "not decided")


def test_losses_are_not_averaged_and_the_sign_test_decides() -> None:
    found = studied(8, metric="test/loss")
    assert not found.one_scale
    assert not found.iqms
    by_name = {one.candidate: one for one in found.comparisons}
    good = by_name["good"]
    assert (good.mean, good.p_ranks, good.better) == (None, None, 8)  # a lower loss is better
    assert good.p_signs == pytest.approx(3 * scipy.stats.binomtest(8, 8).pvalue)
    assert [by_name[name].verdict for name in ("good", "bad", "mixed")] == ["helped", "hurt", "not decided"]
    assert found.ranks is not None
    assert found.ranks.variants[int(np.argmin(found.ranks.mean))] in ("good", "mixed")


def test_ranks_are_given_from_the_number_of_datasets_at_which_they_can_decide() -> None:
    few, enough = studied(FEWEST_FOR_RANKS - 1), studied(FEWEST_FOR_RANKS)
    assert few.ranks is None
    assert {(one.p_signs, one.p_ranks) for one in few.comparisons} == {(None, None)}
    assert enough.ranks is not None
    for comparisons in (1, 2, 3, 4, 10):
        least = fewest_for_ranks(comparisons)
        assert comparisons * 2 / 2 ** (least - 1) >= 0.05 > comparisons * 2 / 2**least
    assert enough.comparisons[0].p_ranks == pytest.approx(3 * 2 / 2**FEWEST_FOR_RANKS)


def test_friedman_and_average_ranks_are_scipys_in_imans_form_with_and_without_ties() -> None:
    draw = np.random.default_rng(0)
    for values in (draw.normal(size=(9, 4)), draw.integers(0, 5, (8, 5)).astype(float)):
        count, k = values.shape
        found = ranks.rank(values, tuple("abcde"[:k]), tuple(map(str, range(count))), higher=True)
        expected = scipy.stats.rankdata(-values, axis=1)
        assert found.mean == pytest.approx(expected.mean(0))
        chi = scipy.stats.friedmanchisquare(*values.T).statistic
        f = (count - 1) * chi / (count * (k - 1) - chi)
        assert (found.f, found.p) == pytest.approx((f, scipy.stats.f.sf(f, *found.df)))
    # Demsar 2006, of 4 classifiers on 14 datasets: 2.569 sqrt(4 * 5 / (6 * 14)) = 1.25.
    assert ranks.critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


def test_variants_within_the_critical_difference_are_one_group() -> None:
    values = np.array([[4.0, 3, 2, 1]] * 8)
    found = ranks.rank(values, ("a", "b", "c", "d"), tuple("12345678"), higher=True)
    assert (found.f, found.p) == (math.inf, 0.0)
    assert 1 < found.critical_difference < 2
    assert found.alike == (("a", "b"), ("b", "c"), ("c", "d"))


@pytest.mark.parametrize("ties", [False, True])
def test_the_signed_rank_test_is_exact(ties: bool) -> None:
    draw = np.random.default_rng(1)
    for n in range(2, 11):
        values = draw.integers(-3, 4, n).astype(float) if ties else draw.normal(0.3, 1, n)
        kept = values[values != 0]
        if not len(kept):
            continue
        if ties:  # every way to give the ranks signs, counted
            of = scipy.stats.rankdata(np.abs(kept))
            signs = (np.arange(2 ** len(kept))[:, None] >> np.arange(len(kept))) & 1
            far = np.abs(of[kept > 0].sum() - of.sum() / 2)
            expected = float((np.abs(signs @ of - of.sum() / 2) >= far - 1e-9).mean())
        else:
            expected = scipy.stats.wilcoxon(values, method="exact").pvalue
        assert ranks.signed_rank(values) == pytest.approx(expected)
    many = draw.normal(0.2, 1, 80)
    assert ranks.signed_rank(many) == pytest.approx(
        scipy.stats.wilcoxon(many, correction=True, method="approx").pvalue, rel=1e-6
    )


def test_the_interquartile_mean_is_scipys_trimmed_mean_and_the_same_every_time() -> None:
    runs = np.random.default_rng(2).normal(0.7, 0.1, (6, 3)).tolist()
    found = iqm.iqm(runs, (0.0, 1.0))
    assert found.mean == pytest.approx(scipy.stats.trim_mean(np.ravel(runs), 0.25))
    assert found.low < found.mean < found.high
    assert found == iqm.iqm(runs, (0.0, 1.0))


def test_intervals_of_interquartile_means_cover_what_they_say_of_few_runs() -> None:
    draw, hits, plain = np.random.default_rng(3), [], []
    places = np.linspace(0, 3, 8)
    true = float(iqm.middle_mean((places[:, None] + draw.normal(size=(8, 30_000))).ravel()))
    for _ in range(400):
        runs = places[:, None] + draw.normal(size=(8, 3))
        found = iqm.iqm(runs.tolist(), (-math.inf, math.inf), draws=400)
        hits.append(found.low <= true <= found.high)
        whole = np.take_along_axis(runs[None], draw.integers(0, 3, (400, 8, 3)), 2).reshape(400, -1)
        low, high = np.quantile(iqm.middle_mean(whole), (0.025, 0.975))
        plain.append(low <= true <= high)
    assert 0.89 < np.mean(hits) < 0.97
    assert np.mean(plain) < np.mean(hits)  # of as many runs as there are: too narrow


def _simulated(count: int, between: float, noise: float, effect: float, studies: int) -> tuple[float, float]:
    """Return how often intervals over datasets hold the effect, and how many studies call anything.

    Differences of three variants that share a baseline, on each dataset with an effect of its own.
    """
    draw, one = np.random.default_rng(4), METRICS["test/accuracy"]
    held, alarms = [], []
    for _ in range(studies):
        base = draw.normal(0, noise, count)
        of = effect + draw.normal(0, between, (3, count)) + draw.normal(0, noise, (3, count)) - base
        samples = {f"{v}": dict(enumerate(map(float, values))) for v, values in enumerate(of)}
        samples |= {f"{v} reference": dict.fromkeys(range(count), 0.0) for v in range(3)}
        found = compare_all(samples, [(f"{v}", f"{v} reference") for v in range(3)], How(one, "paired"))
        held += [one.low <= effect <= one.high for one in found if one.low is not None and one.high is not None]
        alarms.append(any(one.verdict in ("helped", "hurt") for one in found))
    return float(np.mean(held)), float(np.mean(alarms))


@pytest.mark.parametrize("count", [3, 8])
def test_intervals_over_datasets_cover_and_false_alarms_are_five_per_cent_of_studies(count: int) -> None:
    held, alarms = _simulated(count, between=0.01, noise=0.005, effect=0.0, studies=700)
    assert held == pytest.approx(0.95, abs=0.015)
    assert alarms < 0.065


def test_friedmans_test_of_few_datasets_calls_no_more_than_it_may() -> None:
    draw = np.random.default_rng(5)
    called = [ranks.friedman(ranks.ranked(draw.normal(size=(FEWEST_FOR_RANKS, 4))))[2] < 0.05 for _ in range(4000)]
    assert 0.045 < np.mean(called) < 0.072  # 5.9 % in 40,000 studies of this size, the most of any size


def test_studies_on_different_metrics_are_refused() -> None:
    with pytest.raises(InputError, match="different metrics: test/accuracy, test/loss"):
        over({"a": studied(2).first, "b": studied(2, metric="test/loss").first})


def test_runs_that_stand_for_two_datasets_and_another_direction_are_refused() -> None:
    found = studied(2)
    with pytest.raises(InputError, match="'again' and 'd0' are the same runs"):
        over({**found.parts, "again": found.parts["d0"]})
    losses = studied(2, metric="test/loss")
    turned = replace(METRICS["test/loss"], quantity=replace(METRICS["test/loss"].quantity, higher_is_better=True))
    other = replace(losses.parts["d1"], study=replace(losses.parts["d1"].study, reported=(turned,)))
    with pytest.raises(InputError, match="test/loss is not the same metric in these studies"):
        over({"d0": losses.first, "d1": other})


def test_variants_that_train_otherwise_on_some_dataset_are_told() -> None:
    found = studied(3)
    assert found.unlike == ()
    later = found.parts["d2"]
    longer = replace(later.study.variants[0], recipe=replace(later.study.variants[0].recipe, epochs=9))
    edited = replace(later, study=replace(later.study, variants=(longer, *later.study.variants[1:])))
    (one,) = over({**found.parts, "d2": edited}).unlike
    assert (one.variant, one.factor, one.usual, one.others) == ("baseline", "epochs", "1", {"9": ("d2",)})
    in_folds = replace(later.study, variants=tuple(
        replace(each, recipe=each.recipe.in_folds(3)) for each in later.study.variants))  # fmt: skip
    assert {each.factor for each in over({**found.parts, "d2": replace(later, study=in_folds)}).unlike} == {"folds"}
