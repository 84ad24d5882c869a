"""What a study compares with what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.study.comparisons import PlannedComparison
from ablate.study.toml import Changes, parse_study

if TYPE_CHECKING:
    from ablate.study.spec import Study

TEXT = """
[study]
name = "s"
ladder = %s
[baseline]
name = "base"
epochs = 1
batch_size = 8
dataset = { use = "d" }
model = { use = "m" }
optimizer = { use = "o", lr = 0.1 }
[[variant]]
name = "a"
set = { epochs = 2 }
[[variant]]
name = "b"
set = { epochs = 3 }
"""


def study(*tuned: str, ladder: bool = False) -> Study:
    found: Any = tuple((name, {"optimizer.lr": 0.5}) for name in tuned)
    return parse_study(TEXT % str(ladder).lower(), Path("s.toml"), Changes(tuned=found)).done()


def pairs(study: Study) -> list[tuple[str, str]]:
    return [(comparison.candidate, comparison.reference) for comparison in study.comparisons]


def test_each_variant_is_compared_with_the_one_it_comes_from() -> None:
    assert study().comparisons == (PlannedComparison("a", "base", "change"), PlannedComparison("b", "base", "change"))
    assert pairs(study(ladder=True)) == [("a", "base"), ("b", "a")]


def test_a_tuned_baseline_is_compared_with_the_baseline_alone() -> None:
    assert study("base").comparisons[2:] == (PlannedComparison("base (tuned)", "base", "tuning"),)


def test_a_tuned_variant_is_also_compared_with_the_tuned_side_of_what_it_changes() -> None:
    assert study("base", "a").comparisons[3:] == (
        PlannedComparison("a (tuned)", "base (tuned)", "tuned change"),
        PlannedComparison("a (tuned)", "a", "tuning"),
    )


def test_what_was_not_tuned_is_a_fair_reference_only_with_its_own_settings_the_best() -> None:
    assert study("a").comparisons[2:] == (
        PlannedComparison("a (tuned)", "base", "tuned change", if_own_best=True),
        PlannedComparison("a (tuned)", "a", "tuning"),
    )


def test_comparisons_are_those_of_the_variants_that_a_study_has() -> None:
    whole = study()
    assert pairs(whole) == [("a", "base"), ("b", "base")]
    assert pairs(replace(whole, variants=whole.variants[:2])) == [("a", "base")]
