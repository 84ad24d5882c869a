"""The comparison table beside our means: the words for what is new, gaps to reported numbers, the baseline, costs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ablate.report import filters
from ablate.report.content import Records, report
from ablate.report.wording import enhancements, wording
from ablate.study.spec import Choice, Recipe, Study, Variant
from ablate.study.toml import parse_study, read_study

from .test_report_answer import phases

FIRST = Recipe(5, 128, Choice("cifar100"), Choice("simple-cnn"), Choice("adam", {"lr": 0.001}))
SHIPPED = sorted((Path(__file__).parent.parent / "studies").glob("*.toml"))


def said(words: tuple[str, ...], **changes: Any) -> list[str]:
    changed = dataclasses.replace(FIRST, **changes)
    study = Study("s", "", (Variant("a", FIRST), Variant("b", changed, "a", enhancements=words)), (0,))
    found = wording(study, study.variants[1])
    return [*found.silent, *(f"{one}: {factor}" for one, factor in found.unfounded)]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_the_words_of_shipped_studies_fit_what_changes(file: Path) -> None:
    study = read_study(file).done()
    assert not any(wording(study, variant).apart for variant in study.variants)


def test_a_setting_that_is_set_alone_is_the_one_enhancement() -> None:
    text = (Path(__file__).parent.parent / "studies" / "digits.toml").read_text()
    text += '[[variant]]\nname = "fast"\nfrom = "baseline"\nset = { "optimizer.lr" = 0.5 }\n'
    study = parse_study(text, Path("s.toml")).done()
    assert enhancements(study, study.variant("fast")) == ("optimizer lr 0.001 → 0.5",)


def test_a_change_that_no_word_speaks_of_is_named() -> None:
    assert said(("30 epochs",), epochs=30, batch_size=256) == ["batch size 256"]
    assert said(("a deeper network",), model=Choice("resnet")) == []
    both = {"model": Choice("resnet"), "optimizer": Choice("sgd")}
    assert said(("a deeper network",), **both) == ["optimizer sgd"]
    assert said(("a new way of stepping",), optimizer=Choice("lion")) == []  # words that we do not know: not judged


def test_words_for_a_factor_that_did_not_change_are_named() -> None:
    assert said(("Cutout", "30 epochs"), epochs=30) == ["Cutout: augmentation"]
    assert said(("more of everything", "30 epochs"), epochs=30) == []  # of no factor that is known: not judged


def test_a_number_of_epochs_has_to_be_the_right_one() -> None:
    assert said(("20 epochs",), epochs=30) == ["20 epochs: epochs: 30"]


@pytest.mark.parametrize(
    "words",
    ["larger kernels", "CLIP backbone", "smooth activation", "a higher drop rate", "a softmax temperature",
     "moving average of batches", "restarts every 10 epochs", "a cosine classifier", "a temporal shift module"],
)  # fmt: skip
def test_words_that_may_speak_of_a_model_contradict_nothing(words: str) -> None:
    assert said((words,), model=Choice("resnet")) == []


def test_words_of_a_learning_rate_may_speak_of_its_schedule() -> None:
    assert said(("a learning rate that decays",), scheduler=Choice("cosine")) == []


def test_a_warm_up_of_some_epochs_is_no_number_of_epochs_in_all() -> None:
    assert said(("warm-up of 2 epochs",), scheduler=Choice("one-cycle")) == []


def test_words_of_ours_for_tuned_settings_are_not_judged() -> None:
    tuned = Variant(
        "a (tuned)", dataclasses.replace(FIRST, batch_size=64), "a", tuned={"batch_size": 64}, enhancements=("tuned",)
    )
    study = Study("s", "", (Variant("a", FIRST), tuned), (0,))
    assert not wording(study, tuned).apart


def test_words_may_sum_up_what_changed_since_the_baseline() -> None:
    longer = dataclasses.replace(FIRST, epochs=30)
    cut = dataclasses.replace(longer, augmentation=(Choice("cutout"),))
    last = Variant("c", cut, "b", enhancements=("longer", "Cutout"))
    variants = (Variant("a", FIRST), Variant("b", longer, "a"), last)
    assert not wording(Study("s", "", variants, (0,)), variants[2]).apart


def test_a_row_has_the_difference_to_the_baseline_the_gap_and_the_costs() -> None:
    results = phases()
    results.runs["parameters"], results.runs["seconds"] = 11_220_132.0, 480.0
    made = report(Records(results))
    first, *_, last = made.table.rows
    column = next(one for one in made.table.columns if one.kind == "reported" and one.metric.name == "test/accuracy")
    assert made.table.baseline == "Phase 1"
    assert first.to_baseline is None
    assert last.to_baseline
    assert last.compared
    assert (last.compared.reference, last.to_baseline.reference) == ("Phase 4", "Phase 1")
    assert filters.reported_gap(last, column) == "ours is 0.19\xa0points lower"
    assert (filters.parameters(last), filters.run_time(last)) == ("11.2\xa0M", "8\xa0min")
    assert any("“Alone” marks a verdict against Phase 1 that the study does not plan" in n for n in made.table.notes)
    assert [filters.to_baseline_verdict(row) for row in made.table.rows] == [
        "",
        "not decided",
        "helped, alone",
        "helped, alone",
        "helped, alone",
    ]


def test_where_all_are_compared_with_the_baseline_it_has_no_column_of_its_own() -> None:
    results = phases()
    study = dataclasses.replace(results.study, variants=results.study.variants[:2], claims=())
    short = results.runs[results.runs["variant"].isin(["Phase 1", "Phase 2"])]
    assert report(Records(dataclasses.replace(results, study=study, runs=short))).table.baseline == ""
