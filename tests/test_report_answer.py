"""The first thing that a report says: what the question of its study comes to, however much of it has been run."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ablate.report.conclusion import VariantMean, conclusion
from ablate.report.conclusion_text import answer_open, answer_sentences
from ablate.stats.estimates import Estimate
from ablate.stats.results import Results
from ablate.study.comparisons import Comparing
from ablate.study.spec import Choice, Recipe, Study, Variant
from ablate.study.toml import Changes, read_study

from .planted import finals, five_phases, planted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RECIPE = Recipe(2, 8, Choice("digits"), Choice("simple-cnn"), Choice("adam", {"lr": 0.1}))


def phases(seeds: int = 3) -> Results:
    file = Path(__file__).parent.parent / "studies" / "cifar100_phases.toml"
    return planted(read_study(file, Changes((f"study.seeds={seeds}",))).done(), five_phases)


def study_of(values: Mapping[str, Sequence[float]], **changes: Any) -> Results:
    """A study whose variants all change one thing of the first."""
    names, seeds = list(values), range(max(map(len, values.values())))
    recipes = [dataclasses.replace(RECIPE, epochs=RECIPE.epochs + place) for place in range(len(names))]
    variants = [
        Variant(name, recipe, None if name == names[0] else names[0])
        for name, recipe in zip(names, recipes, strict=True)
    ]
    study = Study("s", "", tuple(variants), tuple(seeds), comparing=Comparing("paired"), **changes)
    return planted(study, finals(values))


def without(results: Results, variant: str, state: str, reason: str = "", first: int = 0) -> Results:
    runs = results.runs.copy()
    gone = (runs["variant"] == variant) & (runs["seed"] >= first)
    runs.loc[gone, "state"], runs.loc[gone, "reason"] = state, reason
    runs.loc[gone, ["test/accuracy", "test/loss"]] = math.nan
    return Results(results.study, runs, results.epochs)


def said(results: Results) -> list[str]:
    return [text.replace("\xa0", " ") for text in answer_sentences(conclusion(results))]


def left_open(results: Results) -> list[str]:
    return [text.replace("\xa0", " ") for text in answer_open(conclusion(results))]


def test_a_ladder_is_told_from_its_baseline_to_its_end_with_its_largest_steps() -> None:
    found = conclusion(phases())
    assert found.kind == "ladder"
    assert found.total
    assert (found.total.candidate, found.total.reference) == ("Phase 5", "Phase 1")
    steps = (found.gained, found.lost)
    assert [one.candidate for one in steps if one] == ["Phase 3", "Phase 4"]
    first, second = said(phases())
    assert first.startswith("From Phase 1 to Phase 5, test accuracy goes from 36.14 % to 52.43 %: +16.30 points (95 %")
    assert "3 seeds each, p < 0.001 alone)" in first
    assert "3 seeds each, p < 0.001 over 5 comparisons)" in second
    assert "the largest gain is that of Phase 3 against Phase 2, 4 changes at once: +18.40 points" in second.replace(
        "The", "the"
    )
    best = "the best mean is that of Phase 3, 54.63 % (95 % interval 54.36 to 54.90, 3 seeds), not the last step’s"
    assert best in second
    assert left_open(phases())[0].startswith("Not decided: Phase 2 against Phase 1 (+0.10 points; about ")


def test_one_seed_decides_nothing_and_the_answer_says_so() -> None:
    first, second = said(phases(1))
    assert "one seed, which gives no interval), which does not decide whether the steps together help" in first
    assert second.startswith("No single step is shown to help or to hurt")
    assert "Two seeds of each variant are the least that can decide" in left_open(phases(1))[0]


def test_runs_that_failed_are_named_with_their_reason() -> None:
    found = without(phases(5), "Phase 5", "failed", "the loss is not finite in epoch 3\nmore", first=3)
    assert left_open(found)[-1] == (
        "23 of 25 runs have a result: Phase 5 failed with seeds 3, 4 (the loss is not finite in epoch 3)."
    )


def test_a_ladder_without_its_last_step_is_told_up_to_the_last_one_with_a_result() -> None:
    first, _ = said(without(phases(), "Phase 5", "failed", "no memory"))
    assert first.startswith("From Phase 1 to Phase 4, the last step with a result of those up to Phase 5, test")


@pytest.mark.parametrize(
    ("state", "reason", "told"),
    [
        ("failed", "no memory", "a, b failed with seeds 0, 1 (no memory)."),
        ("new", "", "a, b not run yet with seeds 0, 1."),
    ],
)
def test_without_any_result_nothing_is_known(state: str, reason: str, told: str) -> None:
    found = study_of({"a": [0.1, 0.2], "b": [0.2, 0.3]})
    for name in ("a", "b"):
        found = without(found, name, state, reason)
    assert said(found) == ["Nothing is known yet: none of the 4 runs has a result."]
    assert left_open(found) == [told]


def test_a_pilot_answers_nothing() -> None:
    assert said(study_of({"a": [0.1, 0.2], "b": [0.8, 0.9]}, pilot=True)) == [
        "This is a pilot: it shows that everything runs, and answers nothing."
    ]


def test_one_variant_is_told_with_its_interval() -> None:
    told = "a reaches 51.0 % test accuracy (95 % interval 48.5 to 53.5, 3 seeds); "
    assert said(study_of({"a": [0.5, 0.51, 0.52]})) == [told + "no other variant with a result is compared with it."]


def test_two_variants_are_told_in_the_sentence_of_their_comparison_alone() -> None:
    found = study_of({"a": [0.5, 0.51, 0.52], "b": [0.6, 0.611, 0.62]})
    assert len(said(found)) == 1
    assert said(found)[0].startswith("b helped: +10.03 points in test accuracy against a (95 % interval ")
    assert left_open(found) == []


def test_what_helped_most_is_the_largest_that_is_shown_and_not_the_largest_mean() -> None:
    noisy = study_of({"a": [0.5, 0.51, 0.52], "sure": [0.55, 0.561, 0.57], "wild": [0.5, 0.9, 0.6]})
    gained = conclusion(noisy).gained
    assert gained
    assert gained.candidate == "sure"
    assert "the largest gain is that of sure against a" in said(noisy)[0]
    assert said(noisy)[1] == "Of 2 comparisons, 1 shows a gain and 1 is not decided."
    assert left_open(noisy)[0].startswith("Not decided: wild against a (+15.7 points; ")


def test_without_anything_shown_the_largest_difference_is_told_as_such() -> None:
    found = study_of({"a": [0.5, 0.51, 0.52], "b": [0.5, 0.56, 0.48], "c": [0.53, 0.49, 0.56]})
    start = "On test accuracy, no change is shown to help or to hurt; "
    assert said(found)[0].startswith(f"{start}the largest difference is that of c against a: +1.7 points")


def test_less_of_a_loss_is_a_gain() -> None:
    found = study_of({"a": [0.5, 0.51, 0.52], "b": [0.6, 0.611, 0.62], "c": [0.4, 0.41, 0.421]}, metric="test/loss")
    gained, lost, best = conclusion(found).gained, conclusion(found).lost, conclusion(found).best
    assert (gained and gained.candidate, lost and lost.candidate, best and best.variant) == ("b", "c", "b")


def test_means_in_one_sentence_share_their_decimals() -> None:
    found = conclusion(phases())
    wide, tight = (
        Estimate(mean=mean, low=mean - half, high=mean + half, n=3) for mean, half in ((0.956, 0.02), (0.9761, 0.001))
    )
    assert found.first
    assert found.last
    uneven = dataclasses.replace(
        found,
        first=VariantMean("Phase 1", wide),
        last=VariantMean("Phase 5", tight),
        best=VariantMean("Phase 3", tight),
    )
    text = " ".join(answer_sentences(uneven)).replace("\xa0", " ")
    assert "goes from 95.6 % to 97.6 %" in text or "goes from 95.60 % to 97.61 %" in text
    assert "97.6 % (" in text or "97.61 % (" in text


def test_verdicts_are_counted_in_the_singular_and_the_plural_and_what_has_no_result_apart() -> None:
    values = {"a": [0.5, 0.511, 0.52]}
    values |= {
        name: [first + 0.5 - 0.4, first + 0.511 - 0.4, first + 0.521 - 0.4] for name, first in (("b", 0.5), ("c", 0.6))
    }
    values |= {"d": [0.3, 0.311, 0.321], "e": [0.5, 0.56, 0.48], "f": [0.5, 0.5, 0.5]}
    found = without(study_of(values), "f", "failed", "no memory")
    assert said(found)[1] == (
        "Of 5 comparisons, 2 show a gain, 1 shows a loss, 1 is not decided and 1 has no result yet."
    )


def test_a_run_without_a_finite_value_has_no_result_and_is_told_as_such() -> None:
    found = study_of({"a": [0.5, 0.511, 0.52], "b": [0.6, 0.611, 0.62]})
    found.runs.loc[(found.runs["variant"] == "b") & (found.runs["seed"] == 2), "test/accuracy"] = math.inf
    assert [(gap.variant, gap.seeds, gap.state) for gap in conclusion(found).gaps] == [("b", (2,), "no finite value")]
    assert left_open(found) == ["5 of 6 runs have a result: b has no finite test accuracy with seed 2."]


def test_one_seed_of_one_side_alone_is_told_of_that_side() -> None:
    values = {"a": [0.5, 0.511, 0.52], "b": [0.6, 0.611, 0.62], "c": [0.55, 0.561, 0.57]}
    found = without(study_of(values), "c", "new", first=1)
    study = dataclasses.replace(found.study, comparing=Comparing("welch"))
    opened = left_open(Results(study, found.runs, found.epochs))
    assert opened[0].startswith("Not decided: c against a (+3.97 points; one seed of c gives no interval")
    assert not any("rest" in line for line in opened)
