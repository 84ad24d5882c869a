"""What is doubtful in the curves of runs and in the values that they end with, on planted results."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ablate.checks.results import result_findings
from ablate.data.predictions import Predicted
from ablate.paths import shipped
from ablate.study.codes import Waiver
from ablate.study.comparisons import Comparing
from ablate.study.cut import Cut
from ablate.study.spec import Choice, Recipe, Study, Variant
from ablate.study.toml import read_study

from .planted import finals, five_phases, planted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ablate.checks.finding import Finding

    from .planted import Draw

EPOCHS, IMAGES = 12, 10_000
CURVE = [0.1 + 0.4 * epoch / EPOCHS for epoch in range(1, EPOCHS + 1)]


def study(*names: str, seeds: int = 3, images: int = IMAGES, reported: Mapping[str, float] = {}) -> Study:
    recipe = Recipe(EPOCHS, 32, Choice("cifar10"), Choice("mlp"), Choice("sgd", {"lr": 0.1}))
    data = Cut({"train": 1000, "test": images}, 10)
    made = tuple(
        Variant(name, replace(recipe, batch_size=32 + place), names[0] if place else None, data=data, reported=reported)
        for place, name in enumerate(names)
    )
    return Study("s", "S", made, tuple(range(seeds)))


def line(first: float, last: float) -> list[float]:
    """Return values that change evenly over the epochs."""
    return [float(one) for one in np.linspace(first, last, EPOCHS)]


def drawn(
    accuracies: Sequence[float] = CURVE,
    training: Sequence[float] = line(2.2, 1.0),
    losses: Sequence[float] = line(2.1, 1.2),
    rates: Sequence[float] = (0.1,) * EPOCHS,
) -> Draw:
    def draw(variant: str, seed: int, epochs: int) -> list[dict[str, float]]:
        shift = 0.002 * seed
        return [
            {"test/accuracy": a + shift, "train/loss": t, "test/loss": b, "lr": r}
            for a, t, b, r in zip(accuracies, training, losses, rates, strict=True)
        ]

    return draw


def found(draw: Draw, made: Study | None = None) -> list[Finding]:
    """Return the findings of one variant's results, or of a study's."""
    return list(result_findings(planted(made or study("a"), draw)))


def codes(draw: Draw, made: Study | None = None) -> list[str]:
    return [finding.code for finding in found(draw, made)]


def test_a_run_that_learns_is_not_doubtful() -> None:
    assert found(drawn()) == []


# Flat losses


def test_a_training_loss_that_does_not_fall_is_serious() -> None:
    (finding,) = found(drawn(training=[2.30, 2.29] * 6))
    assert (finding.code, finding.level, finding.where) == ("flat-loss", "serious", "a")
    assert finding.reason == "its training loss does not fall: 2.30 in the first epoch, 2.29 in the last of 12"


@pytest.mark.parametrize("training", [[2.30, *[2.2] * 11], np.linspace(2.30, 2.24, EPOCHS)])
def test_a_training_loss_that_falls_once_or_slowly_is_not_flat(training: Sequence[float]) -> None:
    assert found(drawn(training=training)) == []


def test_two_epochs_are_too_few_to_call_a_loss_flat() -> None:
    short = study("a")
    short = replace(short, variants=(replace(short.variants[0], recipe=replace(short.variants[0].recipe, epochs=2)),))
    assert codes(drawn([0.4, 0.5], [2.3, 2.3], [2.2, 2.1], [0.1, 0.1]), short) == []


# Gaps between training and test


def test_a_test_loss_far_above_the_training_loss_is_a_note() -> None:
    (finding,) = found(drawn(training=line(2.5, 0.96), losses=line(2.4, 1.81)))
    assert (finding.code, finding.level) == ("train-test-gap", "note")
    assert finding.reason.startswith("its test loss ends at 1.81 and its training loss at 0.96: it knows its training")


@pytest.mark.parametrize(("training", "tested"), [(0.02, 0.08), (1.6, 2.2), (2.0, 1.5)])
def test_small_losses_and_like_ones_are_no_gap(training: float, tested: float) -> None:
    draw = drawn(training=line(2.3, training), losses=line(2.3, tested))
    assert codes(draw) == []


# Dips

DIPPED = [0.2, 0.3, 0.4, 0.45, 0.42, 0.38, 0.34, 0.30, 0.36, 0.42, 0.47, 0.5]


def test_a_dip_is_told_with_its_depth_and_what_the_learning_rate_did() -> None:
    rates = [0.05, 0.04, 0.02, 0.001, 0.01, 0.02, 0.03, 0.04, 0.03, 0.02, 0.01, 0.001]
    (finding,) = found(drawn(DIPPED, rates=rates))
    assert (finding.code, finding.level, finding.where) == ("dip", "warning", "a")
    assert finding.reason.replace("\xa0", " ") == (
        "its test accuracy falls by 15.0 points, from 45.2 % at epoch 4 to 30.2 % at epoch 8, and recovers: meanwhile "
        "the learning rate rose from 0.001 to 0.04"
    )
    assert finding.remedy.startswith("dip and recovery are the schedule's")


def test_a_dip_without_a_rise_of_the_rate_says_that_too() -> None:
    (finding,) = found(drawn(DIPPED))
    assert finding.reason.endswith("meanwhile the learning rate stayed (0.1, then 0.1)")
    assert "schedule's" not in finding.remedy


@pytest.mark.parametrize(
    "accuracies",
    [
        [*CURVE[:5], CURVE[5] - 0.15, *CURVE[6:]],  # one bad epoch
        [*CURVE[:5], CURVE[5] - 0.04, CURVE[6] - 0.06, *CURVE[7:]],  # shallow
        [0.3 + 0.03 * (epoch % 2) for epoch in range(EPOCHS)],  # noise of training
    ],
)
def test_a_spike_a_shallow_place_and_noise_are_no_dip(accuracies: Sequence[float]) -> None:
    assert "dip" not in codes(drawn(accuracies))


def test_a_fall_that_is_not_made_good_is_an_end_far_from_the_best_and_no_dip() -> None:
    (finding,) = found(drawn([*CURVE[:8], 0.34, 0.33, 0.32, 0.30]))
    assert (finding.code, finding.level) == ("far-from-best", "warning")
    assert finding.reason.replace("\xa0", " ").startswith(
        "its test accuracy ends at 30.2 %, and was 36.9 % at epoch 8 of 12"
    )


def test_an_end_near_the_best_is_not_doubtful_nor_one_that_few_images_can_make() -> None:
    assert found(drawn([*CURVE[:11], CURVE[10] - 0.015])) == []
    few = [*CURVE[:11], CURVE[10] - 0.03]
    assert codes(drawn(few)) == ["far-from-best"]
    assert found(drawn(few), study("a", images=300)) == []


# Values


def test_no_better_than_chance_is_serious_and_says_what_chance_gives() -> None:
    (finding,) = (one for one in found(drawn([0.1] * EPOCHS)) if one.code != "flat-loss")
    assert (finding.code, finding.level) == ("no-better-than-chance", "serious")
    assert finding.reason.replace("\xa0", " ") == (
        "its accuracy of 10.2 % is no better than guessing one of 10 classes, which gives up to 10.6 % on 10,000 images"
    )
    assert found(drawn([0.12] * EPOCHS)) == []
    assert codes(drawn([0.12] * EPOCHS), study("a", images=100)) == ["no-better-than-chance"]


def test_seeds_that_failed_or_diverged_are_named_with_the_reason() -> None:
    made = planted(study("a"), drawn())
    made.runs.loc[1, ["state", "reason"]] = "failed", "diverged: the training loss is nan in epoch 2"
    (finding,) = result_findings(made)
    assert (finding.code, finding.where) == ("missing-seeds", "a")
    assert finding.reason == (
        "1 of 3 seeds diverged or failed, 1 (diverged: the training loss is nan in epoch 2): "
        "only those that went well can be compared"
    )
    made.runs["state"] = "failed"
    assert [one.code for one in result_findings(made)] == ["missing-seeds"]


def test_a_run_that_diverged_and_trained_on_is_named_too() -> None:
    def draw(variant: str, seed: int, epochs: int) -> list[dict[str, float]]:
        gone = {"test/accuracy": math.nan, "train/loss": math.nan, "test/loss": math.nan}
        whole = drawn()(variant, seed, epochs)
        return [{**one, **(gone if seed == 2 and place > 5 else {})} for place, one in enumerate(whole)]

    (finding,) = found(draw)
    assert finding.reason.startswith("1 of 3 seeds diverged or failed, 2: only")


def spread(b: Sequence[float]) -> Draw:
    rest = [0.50, 0.503, 0.501, 0.499, 0.502]
    return finals({"a": rest, "b": b, "c": rest[::-1], "d": [0.01 + one for one in rest]})


def test_a_variant_that_spreads_far_more_than_the_others_is_named_with_its_odd_seed() -> None:
    made = study("a", "b", "c", "d", seeds=5)
    (finding,) = (one for one in found(spread([0.51, 0.52, 0.40, 0.53, 0.515]), made) if one.code == "unequal-spread")
    assert (finding.where, finding.level) == ("b", "warning")
    assert finding.reason.endswith("times as much as the others' does; seed 2 lies farthest out")
    assert "method" not in finding.remedy  # the usual one copes
    assert "unequal-spread" not in codes(spread([0.51, 0.516, 0.508, 0.513, 0.511]), made)
    pooled = replace(made, comparing=Comparing(method="pooled"))
    remedies = {one.code: one.remedy for one in found(spread([0.51, 0.52, 0.40, 0.53, 0.515]), pooled)}
    assert remedies["unequal-spread"].endswith('leave method = "pooled" out, which takes all spreads to be equal')


def test_spreads_of_three_seeds_that_are_equal_in_truth_seldom_are_called_unequal() -> None:
    draw = np.random.default_rng(0)
    made, alarms = study("a", "b", "c", "d"), 0
    for _ in range(200):
        values = {name: list(draw.normal(0.5, 0.01, 3)) for name in "abcd"}
        alarms += "unequal-spread" in codes(finals(values), made)
    assert alarms <= 6  # one in a hundred is meant, and seven of 200 or more have a chance of 0.5 %


def test_a_clear_difference_that_the_images_alone_can_make_is_doubtful() -> None:
    values = {"a": [0.500, 0.501, 0.499, 0.500, 0.5005], "b": [0.510, 0.511, 0.509, 0.510, 0.5105]}
    made = study("a", "b", seeds=5)
    (finding,) = found(finals(values), made)
    assert (finding.code, finding.where) == ("within-image-noise", "b")
    assert finding.reason.replace("\xa0", " ") == (
        "its difference to a of +1.0 points is clear for these images, and other test images alone can move it by "
        "1.4 points (at most, with 10,000 of them)"
    )
    assert found(finals(values), study("a", "b", seeds=5, images=100_000)) == []
    unclear = values | {"b": [0.52, 0.47, 0.51, 0.55, 0.50]}
    assert "within-image-noise" not in codes(finals(unclear), made)


def test_where_it_is_known_which_images_each_recognises_their_noise_is_that_of_the_same_images() -> None:
    values = {"a": [0.500, 0.501, 0.499, 0.500, 0.5005], "b": [0.510, 0.511, 0.509, 0.510, 0.5105]}
    results = planted(study("a", "b", seeds=5), finals(values))
    keys = {str(run["key"]): values[name][seed] for name in values for seed, run in results.stored_of(name).items()}

    def load(key: str) -> dict[str, Predicted]:
        wrong = np.arange(IMAGES) >= IMAGES * keys[key]  # one recognises all that the other does
        logits = np.where(np.stack([wrong, ~wrong], 1), np.float16(-1), np.float16(0))
        return {"test": Predicted(logits, np.zeros(IMAGES, np.uint8))}

    assert "within-image-noise" in [finding.code for finding in result_findings(results)]
    assert "within-image-noise" not in [finding.code for finding in result_findings(replace(results, load=load))]


def test_too_few_seeds_for_the_margin_are_told_by_the_spread_of_the_runs() -> None:
    values = {"a": [0.50, 0.51, 0.49], "b": [0.505, 0.495, 0.515]}
    asked = replace(study("a", "b"), comparing=Comparing(margin=0.005))
    (finding,) = found(finals(values), asked)
    assert (finding.code, finding.where) == ("too-few-seeds", "study.seeds")
    assert finding.reason.replace("\xa0", " ").startswith("3 seeds that spread by 1.00 points (seen) show differences")
    assert codes(finals(values), study("a", "b")) == []  # nobody asked for a margin
    near = {name: [0.5 + (one - 0.5) / 50 for one in sample] for name, sample in values.items()}
    assert "too-few-seeds" not in codes(finals(near), asked)


def test_a_study_that_grows_is_told_when_the_most_seeds_it_may_have_are_too_few() -> None:
    values = {"a": [0.50, 0.51, 0.49, 0.50], "b": [0.505, 0.495, 0.515, 0.51]}
    fixed = replace(study("a", "b", seeds=4), comparing=Comparing(margin=0.005))
    (finding,) = (one for one in found(finals(values), replace(fixed, looks=(2, 4))) if one.code == "too-few-seeds")
    assert finding.reason.startswith("4 seeds at most that spread by")
    (other,) = (one for one in found(finals(values), fixed) if one.code == "too-few-seeds")
    assert reach(finding.reason) > reach(other.reason)  # looks leave less than 5 % to the last of them


def reach(reason: str) -> float:
    return float(reason.replace("\xa0", " ").partition("differences of ")[2].split()[0])


def test_a_waiver_of_too_few_seeds_that_fits_nothing_is_a_note_once_runs_show_their_spread() -> None:
    waived = replace(study("a", "b"), waivers=(Waiver("too-few-seeds", "a look"),))
    assert codes(finals({"a": [0.50, 0.51, 0.49], "b": [0.505, 0.495, 0.515]}), waived) == ["unused-waiver"]


def test_a_reported_number_that_no_run_comes_near_is_doubtful() -> None:
    made = study("a", reported={"accuracy": 0.4067, "loss": 1.25})
    (finding,) = found(drawn(), made)
    assert (finding.code, finding.where) == ("reported-not-reached", "a")
    assert finding.reason.replace("\xa0", " ") == (
        "the study quotes a test accuracy of 40.67 %, and no run comes near it: 3 runs end at 50.00 to 50.40 %"
    )
    assert found(drawn(), study("a", reported={"accuracy": 0.51, "loss": 1.25})) == []


def test_without_a_known_number_of_images_nothing_is_said_of_their_noise() -> None:
    made = study("a")
    made = replace(made, variants=(replace(made.variants[0], data=None),))
    assert codes(drawn([0.1] * EPOCHS), made) == []


def test_a_pilot_has_no_such_findings() -> None:
    assert found(drawn(training=[2.3] * EPOCHS), replace(study("a"), pilot=True)) == []


# The report of five phases


def test_faults_3_and_4_of_the_five_phases_are_seen_in_their_results() -> None:
    phases = read_study(shipped("studies") / "cifar100_phases.toml").done()
    doubts = result_findings(planted(phases, five_phases))
    said = {one.code: (one.where, one.reason.replace("\xa0", " ")) for one in doubts}
    assert said["flat-loss"][0] == "Phase 2"
    assert said["flat-loss"][1].startswith("its training loss does not fall: 2.30 in the first epoch, 2.30 in the last")
    where, reason = said["dip"]
    assert where == "Phase 5"
    assert "at epoch 12 to 28.2 % at epoch 20, and recovers" in reason
    assert reason.endswith("meanwhile the learning rate rose from 0.00122 to 0.0488")
    assert set(said) == {"flat-loss", "dip", "train-test-gap"}
