from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from ablate.checks.tuning import edges, tuning_findings
from ablate.commands.report import ReportOptions, write_report
from ablate.commands.run import run_study
from ablate.components.contracts import Range, Values
from ablate.execute.inline import Inline
from ablate.launch.make import RunOptions
from ablate.launch.study import Options
from ablate.report import (
    drawing,
    figures_budget,
    figures_settings,
    figures_trade_offs,
    figures_tuning,
    filters,
    verdict_text,
)
from ablate.report.content import Records, report
from ablate.report.render import render
from ablate.stats.results import Results
from ablate.store.store import Store
from ablate.study.comparisons import Comparing
from ablate.study.spec import Choice, Recipe, Study, Variant
from ablate.study.toml import Changes
from ablate.tune.records import TrialRecord, TrialState, VariantTuning, load_tunings, save_tunings
from tests.planted import framed
from tests.worded import worded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ablate.report.tuning import TuningPart

SPACE = {"optimizer.lr": Range(1e-4, 1.0, log=True), "optimizer.weight_decay": Range(1e-6, 1e-1, log=True)}
RECIPE = Recipe(10, 128, Choice("cifar100"), Choice("simple-cnn"), Choice("sgd", {"lr": 0.1, "weight_decay": 0.0}))
METRICS = ("train/loss", "validation/loss", "validation/accuracy", "test/loss", "test/accuracy")


def trial(
    number: int, value: float | None = None, lr: float = 0.01, decay: float = 1e-4, **changes: Any
) -> TrialRecord:
    """One trial, done where it has a value and pruned elsewhere; the first one is the default."""
    made = TrialRecord(
        number,
        "pruned" if value is None else "done",
        {"optimizer.lr": lr, "optimizer.weight_decay": decay},
        () if value is None else (value,),
        epochs=5,
        seconds=60.0,
        key=f"key{number}",
        default=number == 0,
    )
    return dataclasses.replace(made, **changes)


def tuning(variant: str, values: Sequence[float | None] | None = None, **changes: Any) -> VariantTuning:
    """Trials with these values, the rates spread over the space."""
    values = [0.4 + 0.01 * (i % 5) for i in range(12)] if values is None else values
    trials = tuple(trial(i, value, lr=10 ** (-3.5 + 3 * (i % 11) / 10)) for i, value in enumerate(values))
    made = VariantTuning(
        variant, "d", ("validation/accuracy",), SPACE, len(trials), 1000, 5, 10, "tpe", "none", trials,
        {"optimizer.lr": 0.8, "optimizer.weight_decay": 0.2},
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def searched(variant: str, place: int, trials: int = 50, **changes: Any) -> VariantTuning:
    """A search as a sampler that learns makes it: it comes nearer to the best settings; some trials end early."""
    draw = np.random.default_rng(place)
    best_lr, best_decay, top = -1.6 - 0.35 * place, -3.2 - 0.2 * place, 0.56 + 0.008 * place
    made = []
    for number in range(trials):
        near = min(number / trials * 1.6, 1.0)
        lr = np.clip(near * best_lr + (1 - near) * draw.uniform(-4, 0) + draw.normal(0, 0.25), -4, 0)
        decay = np.clip(near * best_decay + (1 - near) * draw.uniform(-6, -1) + draw.normal(0, 0.5), -6, -1)
        settings = {"optimizer.lr": float(10**lr), "optimizer.weight_decay": float(10**decay)}
        if number == 0:
            lr, decay, settings = -1.0, -6.0, {"optimizer.lr": 0.1, "optimizer.weight_decay": 0.0}
        value = (
            top
            - 0.02 * (1 + place) * (lr - best_lr) ** 2
            - 0.008 * (decay - best_decay) ** 2
            + draw.normal(0, 0.004 + 0.004 * place)
        )
        state: TrialState = (
            "diverged" if lr > -0.45 else "pruned" if number > 5 and value < top - 0.03 * (1 + place) else "done"
        )
        done = state == "done"
        reason = {"diverged": "the loss is nan", "pruned": "worse than the median"}.get(state, "")
        values = (max(float(value), 0.01),) if done else ()
        kept = TrialRecord(number, state, settings, values, epochs=5 if done else 2, seconds=40.0, reason=reason)
        made.append(dataclasses.replace(kept, key=f"{place}-{number}", default=number == 0))
    importances = {"optimizer.lr": 0.85 - 0.07 * place, "optimizer.weight_decay": 0.15 + 0.07 * place}
    return dataclasses.replace(tuning(variant, []), trials=tuple(made), asked=50, importances=importances, **changes)


def study(names: tuple[str, ...] = ("Phase 1", "Phase 2", "Phase 3"), tuned: tuple[str, ...] | None = None) -> Study:
    """Variants with their defaults, and after them those that were tuned with the settings found."""
    made = [Variant(name, RECIPE, names[0] if i else None) for i, name in enumerate(names)]
    for name in names if tuned is None else tuned:
        optimizer = Choice("sgd", {"lr": 0.02, "weight_decay": 0.0005})
        found = {"optimizer.lr": 0.02, "optimizer.weight_decay": 0.0005}
        made.append(Variant(f"{name} (tuned)", dataclasses.replace(RECIPE, optimizer=optimizer), name, tuned=found))
    return Study("tuned", "Tuned", tuple(made), (0, 1, 2), label="Phase", comparing=Comparing("paired"))


def records(
    study: Study, results: dict[str, list[float]] | None = None, tunings: tuple[VariantTuning, ...] = ()
) -> Records:
    """Runs with these test accuracies by variant and seed; variants that are not named have no result."""
    runs, history = [], []
    for variant in study.variants:
        found = (results or {}).get(variant.name, [])
        for seed in study.seeds:
            accuracy = found[seed] if seed < len(found) else math.nan
            final = dict.fromkeys(METRICS, math.nan)
            if seed < len(found):
                final |= {"test/accuracy": accuracy, "train/loss": 2 - accuracy, "test/loss": 2.2 - accuracy}
                for epoch in range(1, variant.recipe.epochs + 1):
                    share = 1 - math.exp(-epoch / 3)
                    row = {"test/accuracy": accuracy * share, "train/loss": 4 - 2 * share, "test/loss": 4.1 - 2 * share}
                    history.append(
                        {"variant": variant.name, "seed": seed, "epoch": epoch, "lr": 0.1, "seconds": 9.0} | row
                    )
            state = "stored" if seed < len(found) else "new"
            extra = {"key": f"{variant.name}{seed}", "state": state, "reason": "", "parameters": 1e6, "seconds": 90.0}
            runs.append({"variant": variant.name, "seed": seed, "dead_weights": 0.0} | extra | final)
    columns = ["variant", "seed", "epoch", "lr", *METRICS, "seconds", "images_per_second"]
    frame = framed(history, columns)
    return Records(Results(study, framed(runs), frame, tunings), made="2026-01-02")


def realistic(names: tuple[str, ...] = ("Phase 1", "Phase 2", "Phase 3", "Phase 4")) -> Records:
    """A study of which every variant was tuned and run with both settings; the order of two changes."""
    made = study(names)
    results = {}
    for place, name in enumerate(names):
        noise = np.random.default_rng(100 + place).normal(0, 0.006, 6)
        results[name] = [float(x) for x in 0.50 + 0.02 * place - 0.012 * place**2 + noise[:3]]
        results[f"{name} (tuned)"] = [float(x) for x in 0.53 + 0.012 * place + noise[3:]]
    tunings = []
    for place, name in enumerate(names):
        found = searched(name, place)
        assert found.best is not None
        tunings.append(found)
        place_in_study = next(i for i, v in enumerate(made.variants) if v.name == f"{name} (tuned)")
        settings = {key.split(".")[1]: value for key, value in found.best.settings.items()}
        variant = dataclasses.replace(
            made.variants[place_in_study],
            recipe=dataclasses.replace(RECIPE, optimizer=Choice("sgd", settings)),
            tuned=found.best.settings,
        )
        made = dataclasses.replace(
            made, variants=(*made.variants[:place_in_study], variant, *made.variants[place_in_study + 1 :])
        )
    return records(made, results, tuple(tunings))


def part(records: Records) -> TuningPart:
    found = report(records).tuning
    assert found is not None
    return found


def found_by(*tunings: VariantTuning, names: tuple[str, ...] = ("Phase 1", "Phase 2")) -> dict[str, str]:
    """The reasons for doubt by code, in a study of these variants."""
    return {finding.code: finding.reason for finding in tuning_findings(study(names, tuned=()), tunings)}


def plain(text: str) -> str:
    return text.replace("\xa0", " ")


FLAT = [0.4] + [0.5] * 14
"""Trials of which the second half brings nothing to speak of."""
TWO = ("Phase 1", "Phase 2")


@pytest.fixture
def study_file(request: pytest.FixtureRequest) -> Path:
    """The study of `conftest`, whose name a function here has."""
    return Path(request.getfixturevalue("study"))


# --- the facts ---------------------------------------------------------------------------------------------


def test_a_study_without_tuning_has_no_part_and_no_figure_of_it(tmp_path: Path) -> None:
    made = records(study(tuned=()), {"Phase 1": [0.5, 0.5, 0.6]})
    assert report(made).tuning is None
    html, markdown, *tables = worded(made, ["html", "md", "csv"], tmp_path)
    assert "Tuning" not in html.read_text() + markdown.read_text()
    assert [table.name for table in tables] == ["runs.csv", "epochs.csv", "comparisons.csv"]
    assert figures_tuning.tuning_figures(report(made)) == []


def test_a_row_tells_the_best_settings_with_the_trials_spread() -> None:
    made = tuning("Phase 1", [0.40, 0.50, 0.60, None, 0.44], asked=8)
    (row,) = part(records(study(TWO, tuned=()), tunings=(made,))).rows
    assert plain(filters.trials(row)) == "5 of 8: 4 done, 1 pruned"
    assert (row.default, row.best, plain(filters.gain(row))) == (0.4, 0.6, "+20.00 points")
    assert filters.objective(row.median, row.objective) == "47.00"
    assert plain(filters.quartiles(row)) == "43.00 to 52.50"
    assert plain(filters.best_settings(row)) == "optimizer.lr 0.00126, optimizer.weight_decay 0.0001"


def test_a_running_trial_is_counted_and_not_over() -> None:
    made = tuning("Phase 1", [0.4, 0.5])
    made = dataclasses.replace(made, trials=(*made.trials, trial(2, state="running")), asked=3)
    (row,) = part(records(study(TWO, tuned=()), tunings=(made,))).rows
    assert plain(filters.trials(row)) == "2 of 3: 2 done, 1 running"


def test_without_a_default_the_gain_is_absent() -> None:
    made = tuning("Phase 1", [None, 0.5])
    (row,) = part(records(study(TWO, tuned=()), tunings=(made,))).rows
    assert (row.default, row.change, row.best) == (None, None, 0.5)
    assert (filters.objective(row.default, row.objective), filters.gain(row)) == ("–", "–")


def test_a_loss_is_made_lowest_and_has_no_unit() -> None:
    made = tuning("Phase 1", [2.0, 1.5, 1.8], objectives=("validation/loss",))
    found = part(records(study(TWO, tuned=()), tunings=(made,)))
    assert found.intro[0] == "Trials looked for the lowest validation loss."
    (row,) = found.rows
    assert (row.objective.heading, row.best, filters.gain(row)) == ("Validation loss", 1.5, "−0.500")


def test_a_space_that_all_share_is_told_once() -> None:
    made = (tuning("Phase 1"), tuning("Phase 2"))
    (space,) = part(records(study(TWO, tuned=()), tunings=made)).spaces
    assert space.variants == ()
    assert [(name, filters.where(part)) for name, part in space.space.items()] == [
        ("optimizer.lr", "0.0001 to 1, log scale"),
        ("optimizer.weight_decay", "1e-06 to 0.1, log scale"),
    ]


def test_spaces_that_differ_are_told_for_each_and_said_to_differ() -> None:
    other = {"model.width": Range(16, 64, step=16), "scheduler.use": Values(("constant", "cosine", True))}
    made = (tuning("Phase 1"), tuning("Phase 2", space=other))
    found = part(records(study(TWO, tuned=()), tunings=made))
    assert [space.variants for space in found.spaces] == [("Phase 1",), ("Phase 2",)]
    assert [filters.where(part) for part in found.spaces[1].space.values()] == [
        "16 to 64 in steps of 16",
        "one of constant, cosine, true",
    ]
    assert "unequal-spaces" in {finding.code for finding in found.findings}


def test_the_budget_is_told_once_or_for_each_variant() -> None:
    made = (tuning("Phase 1"), tuning("Phase 2", epochs=10, sampler="random"))
    facts = {fact.label: filters.value(fact) for fact in part(records(study(TWO, tuned=()), tunings=made)).budget}
    assert facts["epochs of a trial"] == "Phase 1: 5 of the variant’s 10; Phase 2: 10 of the variant’s 10"
    assert facts["sampler"] == "Phase 1: tpe; Phase 2: random"
    assert (facts["trials asked for"], facts["seed"], facts["pruner"]) == ("12", "1000", "none")
    assert plain(facts["training time"]) == "24 min"


def test_tuning_says_that_it_saw_the_validation_split_only() -> None:
    found = part(records(study(TWO, tuned=()), tunings=(tuning("Phase 1"), tuning("Phase 2"))))
    assert found.banner == ""
    assert "never the test split" in found.intro[1]


@pytest.mark.parametrize("objectives", [("test/accuracy",), ("validation/accuracy", "test/loss")])
def test_tuning_on_the_test_split_has_a_banner_and_claims_nothing_else(
    objectives: tuple[str, ...], tmp_path: Path
) -> None:
    steered = tuning("Phase 1", objectives=objectives)
    values = [dataclasses.replace(t, values=(0.5,) * len(objectives)) for t in steered.trials]
    made = records(
        study(TWO, tuned=()), tunings=(dataclasses.replace(steered, trials=tuple(values)), tuning("Phase 2"))
    )
    found = part(made)
    assert found.banner.startswith("Phase 1: tuned on the test split.")
    assert not any("never the test split" in text for text in found.intro)
    assert found.findings[0].code == "steers-by-test"
    for page in worded(made, ["html", "md"], tmp_path):
        assert found.banner in page.read_text()


def test_importances_stand_with_what_matters_most_first() -> None:
    one = tuning("Phase 1", importances={"optimizer.lr": 0.3, "optimizer.weight_decay": 0.7})
    grid = part(records(study(TWO, tuned=()), tunings=(one, tuning("Phase 2", importances={})))).importances
    assert grid is not None
    assert grid.settings == ("optimizer.weight_decay", "optimizer.lr")
    assert grid.rows == (("Phase 1", (0.7, 0.3)),)
    assert plain(filters.share(0.7)) == "70 %"


def test_tunings_of_variants_that_the_study_lost_are_left_out() -> None:
    found = part(records(study(TWO, tuned=()), tunings=(tuning("Phase 2"), tuning("gone"), tuning("Phase 1"))))
    assert [row.name for row in found.rows] == ["Phase 1", "Phase 2"]


# --- doubts ------------------------------------------------------------------------------------------------


def test_a_sound_tuning_leaves_nothing_to_doubt() -> None:
    assert found_by(tuning("Phase 1", FLAT), tuning("Phase 2", FLAT)) == {}


@pytest.mark.parametrize(
    ("part", "value", "edge"),
    [
        (Range(1e-4, 1.0, log=True), 1.0, "highest"),
        (Range(1e-4, 1.0, log=True), 0.84, "highest"),  # within 2 % of four decades
        (Range(1e-4, 1.0, log=True), 0.8, ""),
        (Range(1e-4, 1.0, log=True), 1.19e-4, "lowest"),
        (Range(1e-4, 1.0, log=True), 0.0, "lowest"),
        (Range(0.0, 1.0), 0.84, ""),
        (Range(0.0, 1.0), 0.981, "highest"),
        (Range(0.0, 1.0), -3.0, "lowest"),
        (Range(2, 8, step=1), 2, "lowest"),
        (Range(2, 8, step=1), 7, ""),
        (Range(2, 9, step=2), 8, "highest"),
        (Range(0, 1000, step=1), 999, ""),
        (Range(4, 4, step=1), 4, ""),
        (Values((1, 2, 3)), 1, ""),
        (Range(0.0, 1.0), None, ""),
    ],
)
def test_the_edge_is_the_last_fiftieth_of_a_range_or_its_last_step(part: Any, value: Any, edge: str) -> None:
    made = tuning("Phase 1", space={"x": part}, trials=(dataclasses.replace(trial(0, 0.5), settings={"x": value}),))
    assert edges(made).get("x", "") == edge


def test_a_best_trial_on_the_edge_is_told_with_its_value_and_end() -> None:
    made = tuning("Phase 1", FLAT)
    best = trial(15, 0.501, lr=0.95, decay=0.01)
    found = found_by(dataclasses.replace(made, trials=(*made.trials, best)), tuning("Phase 2", [*FLAT, 0.5]))
    assert "optimizer.lr 0.95 (highest)" in plain(found["edge-of-space"])


def test_a_budget_that_had_not_settled_is_told_with_what_more_trials_bring() -> None:
    found = found_by(tuning("Phase 1", [0.4] * 14 + [0.5]), tuning("Phase 2", FLAT))
    assert list(found) == ["not-settled"]
    gain = 10 * ((14 / 15) ** 7 - (14 / 15) ** 15)
    assert f"by +{gain:.2f} points, more than 0.50 points" in plain(found["not-settled"])


def test_a_loss_settles_by_a_hundredth_of_itself() -> None:
    losses = tuning("Phase 1", [2.0] * 14 + [1.97], objectives=("validation/loss",))
    assert "not-settled" not in found_by(losses)
    far = tuning("Phase 1", [2.0] * 14 + [1.7], objectives=("validation/loss",))
    assert "by −0.0" in found_by(far)["not-settled"]


def test_few_trials_are_told_not_to_show_whether_more_would_help() -> None:
    assert "3 trials with a value cannot show" in found_by(tuning("Phase 1", [0.4, 0.5, 0.5]))["few-trials"]


def test_a_default_that_no_trial_beats_is_told() -> None:
    assert "default-is-best" in found_by(tuning("Phase 1", [0.5] * 15))
    assert "default-is-best" not in found_by(tuning("Phase 1", FLAT))


def test_variants_that_were_not_tuned_are_named() -> None:
    made = tuning_findings(study(("Phase 1", "Phase 2", "Phase 3"), tuned=("Phase 1",)), (tuning("Phase 1", FLAT),))
    assert [finding.where for finding in made if finding.code == "not-tuned"] == ["Phase 2, Phase 3"]


def test_unequal_trials_and_epochs_are_told_with_their_numbers() -> None:
    found = found_by(tuning("Phase 1", FLAT), tuning("Phase 2", [*FLAT, 0.5], epochs=10))
    assert "Phase 1 15, Phase 2 16" in found["unequal-trials"]
    assert "Phase 1 5, Phase 2 10" in found["unequal-trial-epochs"]


def test_variants_tuned_for_different_objectives_are_told() -> None:
    found = found_by(tuning("Phase 1", FLAT), tuning("Phase 2", FLAT, objectives=("validation/loss",)))
    assert "Phase 2 validation/loss" in found["unequal-objectives"]


def test_trials_with_a_seed_of_the_study_are_told() -> None:
    assert "seed 2" in found_by(tuning("Phase 1", FLAT, seed=2), tuning("Phase 2", FLAT))["seed-in-use"]


def test_trials_without_any_result_are_told() -> None:
    assert set(found_by(tuning("Phase 1", [None] * 12), tuning("Phase 2", [0.5] * 12))) >= {"no-result"}


def test_tuned_runs_with_settings_of_an_earlier_tuning_are_told() -> None:
    made = study(("Phase 1",))
    found = {finding.code: finding for finding in tuning_findings(made, (tuning("Phase 1", FLAT),))}
    assert found["tuned-again"].where == "Phase 1 (tuned)"
    same = trial(20, 0.9, lr=0.02, decay=0.0005)
    again = tuning("Phase 1", trials=(*tuning("Phase 1", FLAT).trials, same))
    assert "tuned-again" not in {finding.code for finding in tuning_findings(made, (again,))}


# --- default against tuned ---------------------------------------------------------------------------------

RESULTS = {
    "Phase 1": [0.50, 0.51, 0.53],
    "Phase 2": [0.48, 0.49, 0.50],
    "Phase 1 (tuned)": [0.52, 0.53, 0.54],
    "Phase 2 (tuned)": [0.55, 0.57, 0.56],
}


def test_default_and_tuned_stand_side_by_side_with_the_paired_difference() -> None:
    sides = part(records(study(TWO), RESULTS)).sides
    assert sides is not None
    assert sides.metric.name == "test/accuracy"
    first, second = sides.rows
    assert [filters.side(found, sides) for found in (first.default, first.tuned)] == ["51.3", "53.0"]
    assert plain(filters.side_interval(first.default, sides)) == "47.5 to 55.1"
    assert first.difference is not None
    assert (plain(verdict_text.difference(first.difference)), first.difference.n) == ("+1.7 points", 3)
    assert plain(verdict_text.difference(second.difference)) == "+7.0 points"
    assert plain(verdict_text.interval(second.difference)) == "+4.5 to +9.5"
    assert [row.ranks for row in sides.rows] == [(1, 2), (2, 1)]


def test_a_ranking_that_flips_names_the_pairs_with_both_differences() -> None:
    sides = part(records(study(TWO), RESULTS)).sides
    assert sides is not None
    assert sides.ranking == "The ranking flips: tuning changes the order of 1 pair of variants."
    (flip,) = sides.flips
    assert plain(filters.flipped(flip)) == (
        "Phase 2 overtakes Phase 1: its difference to it is −2.3 points (−3.8 to −0.9) by default "
        "and +3.0 points (+0.5 to +5.5) tuned."
    )


def test_a_ranking_that_does_not_flip_says_so() -> None:
    sides = part(records(study(TWO), RESULTS | {"Phase 2 (tuned)": [0.51, 0.52, 0.53]})).sides
    assert sides is not None
    assert (sides.flips, sides.ranking.split(":")[0]) == ((), "The ranking does not flip")


def test_a_flip_within_the_intervals_is_left_open() -> None:
    sides = part(records(study(TWO), RESULTS | {"Phase 2 (tuned)": [0.50, 0.57, 0.56]})).sides
    assert sides is not None
    assert sides.ranking.startswith("Whether the ranking flips is open: tuning changes the order of 1 pair")


def test_a_variant_whose_own_settings_are_best_stands_on_both_sides() -> None:
    own = tuning("Phase 1", trials=(trial(0, 0.6, default=True), trial(1, 0.5)))
    sides = part(records(study(TWO, tuned=("Phase 2",)), RESULTS, tunings=(own, tuning("Phase 2")))).sides
    assert sides is not None
    first = sides.rows[0]
    assert (first.name, first.difference) == ("Phase 1", None)
    assert first.default == first.tuned
    assert [row.ranks for row in sides.rows] == [(1, 2), (2, 1)]
    assert sides.ranking.startswith("The ranking flips")
    assert "Its own settings were the best of its trials, and stand on both sides: Phase 1." in sides.notes


def test_a_lower_loss_ranks_first() -> None:
    made = dataclasses.replace(study(TWO), metric="test/loss")
    sides = part(records(made, RESULTS)).sides  # the loss is 2.2 less the accuracy
    assert sides is not None
    assert [row.ranks for row in sides.rows] == [(1, 2), (2, 1)]


def test_a_variant_without_results_for_both_is_not_ranked() -> None:
    some = {name: found for name, found in RESULTS.items() if name != "Phase 2 (tuned)"}
    sides = part(records(study(TWO), some)).sides
    assert sides is not None
    assert (sides.rows[1].ranks, verdict_text.difference(sides.rows[1].difference)) == (None, "–")
    assert "takes two variants" in sides.ranking
    assert "Not ranked, since results of one or both are absent: Phase 2." in sides.notes


def test_one_seed_has_a_difference_without_an_interval() -> None:
    made = dataclasses.replace(study(TWO), seeds=(0,))
    sides = part(records(made, RESULTS)).sides
    assert sides is not None
    assert [plain(verdict_text.difference(row.difference)) for row in sides.rows] == ["+2.00 points", "+7.00 points"]
    assert {verdict_text.interval(row.difference) for row in sides.rows} == {""}
    assert "gives no interval" in sides.notes[1]


# --- the figures -------------------------------------------------------------------------------------------


def test_the_budget_figure_has_the_best_so_far_and_the_expected_best_in_percent() -> None:
    made = records(study(TWO, tuned=()), tunings=(tuning("Phase 2", [None, 0.2, 0.4]),))
    data = figures_budget.budget_data(report(made))
    (best,), (expected,) = data.best, data.expected
    assert (best.variant, best.index) == ("Phase 2", 1)
    assert (best.epochs, best.mean) == ((2, 3), (20.0, 40.0))
    # Of 0.2 (the pruned one counts as the worst), 0.2 and 0.4.
    assert expected.mean == pytest.approx([100 * (0.4 - 0.2 * (2 / 3) ** n) for n in (1, 2, 3)])


def test_crossings_are_in_the_figure_and_named_in_its_caption() -> None:
    steady, late = tuning("Phase 1", [0.5] * 10), tuning("Phase 2", [0.4] * 8 + [0.7] * 2)
    data = figures_budget.budget_data(report(records(study(TWO, tuned=()), tunings=(steady, late))))
    (crossing,) = data.crossings
    above = next(n for n in range(1, 11) if 0.7 - 0.3 * 0.8**n > 0.5)
    assert above - 1 <= crossing.trials <= above
    assert crossing.value == pytest.approx(50.0)
    assert f"Phase 2 passes Phase 1 at {above} trials" in data.caption


def test_of_losses_the_lower_curve_passes_the_higher_one() -> None:
    loss = {"objectives": ("validation/loss",)}
    steady, late = tuning("Phase 1", [1.0] * 10, **loss), tuning("Phase 2", [1.2] * 8 + [0.5] * 2, **loss)
    data = figures_budget.budget_data(report(records(study(TWO, tuned=()), tunings=(steady, late))))
    assert "Phase 2 passes Phase 1" in data.caption


def test_first_trials_far_off_leave_the_scale_and_the_caption_says_so() -> None:
    made = records(study(TWO, tuned=()), tunings=(tuning("Phase 1", [0.01, *[0.5] * 30]),))
    data = figures_budget.budget_data(report(made))
    assert data.ends[0] > 40
    assert "outside the scale" in data.caption
    assert data.ends[1] > 50


def test_without_a_result_there_is_a_reason_instead_of_figures(tmp_path: Path) -> None:
    made = records(study(TWO, tuned=()), tunings=(tuning("Phase 1", [None] * 3),))
    assert [data.absent[:8] for data in figures_tuning.tuning_figures(report(made))] == ["No trial", "No varia"]
    (page,) = render(made, ["md"], tmp_path)
    assert "No trial has a result yet" in page.read_text()


def test_a_panel_has_learning_rate_and_weight_decay_where_both_were_tuned() -> None:
    space = {"model.dropout": Range(0.0, 0.9), **SPACE}
    assert figures_settings.shown_settings(tuning("Phase 1", space=space)) == ("optimizer.lr", "optimizer.weight_decay")


def test_a_panel_has_the_two_settings_that_matter_most_where_one_of_them_was_not() -> None:
    space = {"a": Range(0.0, 1.0), "b": Values((1, 2)), "c": Range(0.0, 1.0), "optimizer.lr": Range(0.1, 1.0)}
    made = tuning("Phase 1", space=space, importances={"a": 0.1, "b": 0.5, "c": 0.3, "optimizer.lr": 0.1})
    assert figures_settings.shown_settings(made) == ("c", "a")


def test_the_points_have_their_place_state_and_distance_from_the_best() -> None:
    trials = (
        trial(0, 0.40, lr=0.1, decay=0.0),
        trial(1, 0.50, lr=0.01, decay=1e-3),
        trial(2, None, lr=0.5, decay=1e-2),
        trial(3, state="running"),
    )
    data = figures_settings.settings_data(
        report(records(study(TWO, tuned=()), tunings=(tuning("Phase 1", trials=trials),)))
    )
    (panel,) = data.panels
    assert [(p.trial, p.state, p.beyond) for p in panel.points] == [
        (0, "done", True),
        (1, "done", False),
        (2, "pruned", False),
    ]
    assert [p.behind for p in panel.points] == [pytest.approx(10.0), 0.0, None]
    assert panel.best is panel.points[1]
    assert panel.default is panel.points[0]
    assert (panel.x.log, panel.y.log) == (True, True)
    # A decay of 0 has no place on a log scale: it stands below the lowest one.
    assert 0 < panel.points[0].y < 1e-6
    assert "The default of Phase 1 lies outside it" in data.caption
    assert "Hollow circles are pruned." in data.caption


def test_a_tuned_variant_is_compared_with_the_tuned_baseline_too() -> None:
    results = {
        "Phase 1": [0.5, 0.5, 0.6], "Phase 2": [0.55, 0.56, 0.66],
        "Phase 1 (tuned)": [0.6, 0.61, 0.69], "Phase 2 (tuned)": [0.61, 0.62, 0.72],
    }  # fmt: skip
    made = records(study(TWO), results)
    told = {section.name: section for section in report(made).sections}
    fair, own = told["Phase 2 (tuned)"].comparisons
    assert (fair.result.reference, plain(verdict_text.difference(fair.result))) == ("Phase 1 (tuned)", "+1.7 points")
    assert [seed.split()[-1] for seed in verdict_text.per_seed(fair.result)] == ["+1.00", "+1.00", "+3.00"]
    assert fair.cautions == ("Both have the best settings that tuning found for each.",)
    assert own.result.reference == "Phase 2"
    assert [found.result.kind for found in told["Phase 1 (tuned)"].comparisons] == ["tuning"]
    assert [found.result.kind for found in told["Phase 2"].comparisons] == ["change"]
    # The table and a notebook have the reference that the page puts first.
    table = report(made).table.frame(made.results)
    assert set(table.loc[table["variant"] == "Phase 2 (tuned)", "reference"]) == {"Phase 1 (tuned)"}
    assert made.results.reference("Phase 2 (tuned)") == "Phase 1 (tuned)"


def test_a_baseline_whose_own_settings_were_best_is_its_tuned_side() -> None:
    best = tuning("Phase 1", [0.9, 0.5, 0.4])
    results = {name: [0.5, 0.5, 0.6] for name in (*TWO, "Phase 2 (tuned)")}
    made = records(study(TWO, tuned=("Phase 2",)), results, (best, tuning("Phase 2", FLAT)))
    fair, _ = report(made).sections[2].comparisons
    assert fair.result.reference == "Phase 1"
    assert "Tuning found nothing better for Phase 1 than its own settings." in fair.cautions
    assert len(report(records(study(TWO, tuned=("Phase 2",)), results)).sections[2].comparisons) == 1


def test_both_comparisons_of_a_tuned_variant_are_told(tmp_path: Path) -> None:
    html, markdown = worded(realistic(), ["html", "md"], tmp_path)
    assert "<h4>Test accuracy against Phase 1 (tuned)</h4>" in html.read_text()
    assert "<h4>Test accuracy against Phase 2</h4>" in html.read_text()
    assert "in test accuracy against Phase 1 (tuned)" in markdown.read_text()


def test_the_caption_speaks_of_the_order_of_what_it_shows() -> None:
    rising, flat = [0.1, 0.2, 0.6, 0.6], [0.3, 0.3, 0.5, 0.5]
    made = records(study(TWO, tuned=()), tunings=(tuning("Phase 1", rising), tuning("Phase 2", flat)))
    assert "Rings mark where the expected order" in figures_budget.budget_data(report(made)).caption
    late, early = [0.1, 0.6, 0.6, 0.6], [0.5, 0.1, 0.1, 0.1]
    made = records(study(TWO, tuned=()), tunings=(tuning("Phase 1", late), tuning("Phase 2", early)))
    caption = figures_budget.budget_data(report(made)).caption
    assert "On the right the order of the variants is the same" in caption
    assert "on the left it changed as the trials came" in caption
    alone = records(study(TWO, tuned=()), tunings=(tuning("Phase 1", [0.4]),))
    data = figures_budget.budget_data(report(alone))
    assert "order of the variants" not in data.caption
    assert "after 1 trial." in data.alt


def test_panels_of_narrow_ranges_have_labels_that_do_not_overlap() -> None:
    space = {"optimizer.lr": Range(0.0, 0.0005), "optimizer.weight_decay": Range(0.013, 0.018, log=True)}
    trials = tuple(trial(i, 0.4 + 0.01 * i, lr=i * 1e-4, decay=0.013 + 0.001 * i) for i in range(5))
    names = ("Phase 1", "Phase 2", "Phase 3")
    found = tuple(tuning(name, trials=trials, space=space) for name in names)
    figure = figures_settings.draw_settings(
        figures_settings.settings_data(report(records(study(names, tuned=()), tunings=found)))
    )
    drawing.encoded(figure, "svg")
    for axes in figure.axes[:3]:
        boxes = [tick.label1.get_window_extent() for tick in axes.xaxis.get_major_ticks()]
        assert len(boxes) > 1
        assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))


def test_a_default_that_the_component_has_is_not_drawn_and_the_caption_says_so() -> None:
    own = dataclasses.replace(trial(0, 0.4), settings={"optimizer.lr": 0.1, "optimizer.weight_decay": None})
    data = figures_settings.settings_data(
        report(records(study(TWO, tuned=()), tunings=(tuning("Phase 1", trials=(own, trial(1, 0.5))),)))
    )
    assert data.panels[0].default is None
    assert "No diamond for Phase 1: the default has not been tried, or leaves a setting" in data.caption


def test_one_setting_stands_against_the_value() -> None:
    space = {"optimizer.lr": Range(1e-4, 1.0, log=True)}
    data = figures_settings.settings_data(
        report(records(study(TWO, tuned=()), tunings=(tuning("Phase 1", [0.4, 0.5, None], space=space),)))
    )
    (panel,) = data.panels
    assert panel.y.label == "Validation accuracy (%)"
    assert [p.y for p in panel.points][:2] == [40.0, 50.0]
    assert panel.points[2].y < 40
    assert panel.points[2].beyond


def test_a_space_without_ranges_has_no_panel() -> None:
    made = (tuning("Phase 1", space={"a": Values((1, 2))}), tuning("Phase 2"))
    data = figures_settings.settings_data(report(records(study(TWO, tuned=()), tunings=made)))
    assert [panel.variant for panel in data.panels] == ["Phase 2"]
    assert "Without a panel: Phase 1." in data.caption


def costly(variant: str, values: list[tuple[float, ...]]) -> VariantTuning:
    names = ("validation/accuracy", "seconds", "parameters")[: len(values[0])]
    trials = tuple(dataclasses.replace(trial(i), state="done", values=v) for i, v in enumerate(values))
    return tuning(variant, objectives=names, trials=trials)


def test_several_objectives_have_a_figure_and_a_table_of_the_best_trade_offs() -> None:
    found = costly("Phase 1", [(0.6, 100.0), (0.5, 200.0), (0.7, 300.0), (0.4, 50.0)])
    made = records(study(TWO, tuned=()), tunings=(found, tuning("Phase 2")))
    data = figures_trade_offs.trade_off_data(report(made))
    (cloud,) = data.clouds
    assert cloud.front == (0, 2, 3)
    assert cloud.rows[0] == (60.0, 100.0)
    assert data.headings == ("Validation accuracy (%)", "Training time (s)")
    grid = part(made).trade_offs
    assert grid is not None
    assert [dataclasses.astuple(row)[:3] for row in grid.rows] == [
        ("Phase 1", 2, (0.7, 300.0)),
        ("Phase 1", 0, (0.6, 100.0)),
        ("Phase 1", 3, (0.4, 50.0)),
    ]


def test_one_objective_has_no_trade_offs() -> None:
    made = realistic()
    assert part(made).trade_offs is None
    assert [data.name for data in figures_tuning.tuning_figures(report(made))] == ["tuning-budget", "tuning-settings"]


@pytest.mark.parametrize("count", [1, 5, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 3, 4))])
def test_one_to_five_variants_can_be_drawn(count: int) -> None:
    names = tuple(f"$x_{i}$ 模型 {'long ' * 9}" for i in range(count))
    found = [searched(name, place, trials=12) for place, name in enumerate(names)]
    costs = [costly(name, [(0.6, 1e5, 1e6), (0.5, 2e2, 2e6), (0.7, 3.0, 1e7)]) for name in names]
    for tunings in (found, costs):
        for data in figures_tuning.tuning_figures(report(records(study(names, tuned=()), tunings=tuple(tunings)))):
            assert drawing.encoded(figures_tuning.draw_tuning(data), "svg").startswith(b"<?xml")


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5], [0.5, None, 0.0], [0.0, 0.0]])
def test_few_and_equal_trials_can_be_drawn(values: Sequence[float | None]) -> None:
    one = {"optimizer.lr": Range(0.01, 0.02)}
    for space in (SPACE, one):
        made = records(study(TWO, tuned=()), tunings=(tuning("Phase 1", values, space=space),))
        for data in figures_tuning.tuning_figures(report(made)):
            assert drawing.encoded(figures_tuning.draw_tuning(data), "png").startswith(b"\x89PNG")


def test_a_panels_ticks_are_plain_numbers() -> None:
    made = records(study(TWO, tuned=()), tunings=(searched("Phase 1", 0),))
    figure = figures_settings.draw_settings(figures_settings.settings_data(report(made)))
    figure.draw_without_rendering()
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        assert len(labels) >= 2
        assert all(float(label) > 0 for label in labels)


# --- files -------------------------------------------------------------------------------------------------


def test_what_the_store_gives_back_makes_the_same_report(tmp_path: Path) -> None:
    made = realistic()
    results = made.results
    save_tunings(Store(tmp_path), "tuned", results.tunings, [variant.name for variant in results.study.variants])
    loaded = load_tunings(Store(tmp_path), "tuned")
    again = dataclasses.replace(made, results=dataclasses.replace(results, tunings=loaded))
    assert len(again.results.tunings) == 4
    assert report(again) == report(made)
    assert figures_tuning.tuning_figures(report(again)) == figures_tuning.tuning_figures(report(made))


def test_the_figures_of_tuning_are_numbered_after_the_curves(tmp_path: Path) -> None:
    html, markdown = render(realistic(), ["html", "md"], tmp_path)
    for page in (html, markdown):
        numbered = [int(n) for n in re.findall(r"Figure (\d+)\.", page.read_text())]
        assert numbered == list(range(1, len(numbered) + 1))
        found = page.read_text()
        assert found.index("Training and test loss") < found.index("Best settings")
        assert found.index("Best settings") < found.index("What trials bring")
    places = re.findall(r"\[PNG\]\((figures/[^)]+)\)", markdown.read_text())
    assert len(places) == len(numbered)
    for place in places:
        assert (tmp_path / place).read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_the_same_tuning_gives_the_same_files(tmp_path: Path) -> None:
    from tests.support import contents  # not for those that import this module to see that it needs no torch

    for folder in ("a", "b"):
        render(realistic(TWO), ["html", "md"], tmp_path / folder)
    assert contents(tmp_path / "a") == contents(tmp_path / "b") != {}


def test_csv_has_a_row_for_each_trial_with_all_digits(tmp_path: Path) -> None:
    made = realistic()
    *_, trials = render(made, ["csv"], tmp_path)
    assert trials.name == "trials.csv"
    read = pd.read_csv(trials)
    assert len(read) == 200
    best = made.results.tunings[0].best
    assert best is not None
    row = read[(read["variant"] == "Phase 1") & (read["trial"] == best.number)].iloc[0]
    assert row["optimizer.lr"] == best.settings["optimizer.lr"]
    assert (row["validation/accuracy"],) == best.values  # noqa: PD011
    assert read["default"].sum() == 4
    assert read.loc[read["state"] != "done", "validation/accuracy"].isna().all()


def test_settings_of_any_kind_fit_into_csv(tmp_path: Path) -> None:
    odd = {"a": True, "b": [0.9, 0.99], "c": None, "d": "=1+1", "e": 3}
    made = tuning("Phase 1", trials=(dataclasses.replace(trial(0, 0.4), settings=odd), trial(1, 0.5)))
    *_, trials = render(records(study(TWO, tuned=()), tunings=(made,)), ["csv"], tmp_path)
    row = trials.read_text().splitlines()[1]
    assert row.endswith("""0.4,true,"[0.9, 0.99]",,'=1+1,3,,""")


def test_the_command_reports_what_is_stored_of_tuning(study_file: Path) -> None:
    store = Path("ablate-store").resolve()
    options = Options(study_file, store, Path("data").resolve(), Changes(), (), "cpu")
    assert run_study(options, RunOptions(jobs=1), Inline()) == 0
    found = replace(tuning("flipped", FLAT), of_epochs=2)
    save_tunings(Store(store), "tiny", [found], ["baseline", "flipped"])
    assert write_report(ReportOptions(None, store, ("md",), Path("out"))) == 0
    text = Path("out/report.md").read_text()
    assert "| flipped | 15: 15 done | 40.00 | 50.00 | +10.00 points |" in plain(text)
    assert "**baseline:** others of the study were tuned" in text


def test_parts_of_a_markdown_page_stand_apart(tmp_path: Path) -> None:
    (page,) = worded(realistic(TWO), ["md"], tmp_path)
    lines = page.read_text().splitlines()
    begins = [i for i, line in enumerate(lines) if line.startswith(("#", "![")) and i]
    assert len(begins) > 10
    assert all(lines[i - 1] == "" for i in begins)


class Tags(HTMLParser):
    """Keeps start and end tags, the names of their attributes, and where links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        links = [(value or "").partition(",")[0] for name, value in attrs if name in {"src", "href"}]
        self.seen.append((tag, [name for name, _ in attrs], links))

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(tag)


@functools.cache
def shapes(text: str) -> tuple[object, object]:
    """What is not text in the pages of a report in which all that tuning tells is hostile."""
    names = (f"{text} 1", f"{text} 2")
    settings: dict[str, Any] = {f"{text} {i}": 0.5 for i in range(3)}
    space = {name: Range(0.0, 1.0) for name in itertools.islice(settings, 2)} | {f"{text} 2": Values((text, [text]))}
    tunings = []
    for name in names:
        trials = [trial(0, None, state="failed", reason=text), trial(1, None, state="failed")]
        odd = tuple(dataclasses.replace(t, settings=settings | {f"{text} 2": text}, key=text) for t in trials)
        tunings.append(tuning(name, trials=odd, space=space, sampler=text, pruner=text, importances={text: 1.0}))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        # Without results there are no figures, whose drawing other tests have.
        made = records(study(names), None, tuple(tunings))
        html, markdown, *_ = render(made, ["html", "md", "tex", "csv"], out)
        tags = Tags()
        tags.feed(html.read_text())
        tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown.read_text())
        every = [token for block in tokens for token in [block, *(block.children or [])]]
        return tags.seen, [(t.type, t.tag) for t in every if t.type not in {"text", "text_special"}]


@pytest.mark.long
def test_hostile_text_of_tuning_adds_nothing_but_text_to_any_page(attack: str) -> None:
    with pd.option_context("mode.string_storage", "python"):  # as in `planted.framed`
        assert shapes(attack) == shapes("harmless")


@pytest.mark.long
def test_a_report_on_tuning_needs_no_torch_and_no_optuna() -> None:
    script = "\n".join(
        [
            "import sys, pathlib, tempfile",
            "from test_report_tuning import realistic, render",
            "render(realistic(('a', 'b')), ['html', 'md', 'csv'], pathlib.Path(tempfile.mkdtemp()))",
            "print(sorted({'torch', 'optuna', 'matplotlib.pyplot', 'scipy.stats'} & set(sys.modules)))",
        ]
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
