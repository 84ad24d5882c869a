"""What curves show: each fact on planted curves that have it and on some that have not, and on noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ablate.metrics import METRICS
from ablate.report.course_text import course_sentences
from ablate.report.courses import courses
from ablate.report.histories import histories
from ablate.stats.courses import Course, Dip, apart, dip, fall, lead, overfit, pace, peak
from ablate.stats.courses import Pace as PaceOf

from .planted import planted
from .test_report_answer import phases, study_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ablate.stats.courses import Line

ACCURACY, LOSS, TRAINING = METRICS["test/accuracy"], METRICS["test/loss"], METRICS["train/loss"]

DIPPED = [0.2, 0.4, 0.41, 0.3, 0.28, 0.29, 0.42, 0.45]


def line(values: Sequence[float]) -> Line:
    return range(1, len(values) + 1), list(values)


def smooth(epochs: int, start: float, end: float) -> np.ndarray:
    """A curve that falls or rises fast at first."""
    return end + (start - end) * np.exp(-np.arange(epochs) / (epochs / 5))


def test_a_loss_is_told_from_its_first_epoch_to_its_last() -> None:
    found = fall(line([2.54, 1.8, 1.3, 0.96]), TRAINING)
    assert found
    assert (found.first, found.last, found.epochs, found.flat) == (2.54, 0.96, 4, False)
    assert fall(line([2.54]), TRAINING) is None


def test_a_loss_that_does_not_fall_is_called_flat_and_one_that_falls_late_is_not() -> None:
    flat, late = fall(line([2.30, 2.31, 2.29, 2.30]), TRAINING), fall(line([2.30, 2.30, 2.29, 2.1]), TRAINING)
    assert flat
    assert late
    assert (flat.flat, late.flat) == (True, False)


def test_a_loss_that_levels_off_early_is_told_and_an_annealed_one_is_not() -> None:
    early, late = fall(line([3.0, 1.0, *[0.5] * 10]), TRAINING), fall(line(np.linspace(3, 1, 12).tolist()), TRAINING)
    assert early
    assert late
    assert (early.level, late.level) == (3, None)


def test_the_best_epoch_is_told_where_the_end_is_far_from_it() -> None:
    found = peak(line([0.3, 0.5, 0.47, 0.45]), ACCURACY)
    assert found
    assert (found.epoch, found.best, found.last) == (2, 0.5, 0.45)
    assert peak(line([0.3, 0.5, 0.49, 0.485]), ACCURACY) is None
    assert peak(line([0.3, 0.5, 0.47, 0.45]), ACCURACY, images=100) is None  # a standard error is 5 points


def test_a_test_loss_that_rises_while_the_training_loss_falls_is_told() -> None:
    training = line([2.0, 1.0, 0.7, 0.5, 0.3])
    found = overfit(line([2.1, 1.3, 1.2, 1.3, 1.4]), training, LOSS)
    assert found
    assert (found.epoch, found.best, found.last) == (3, 1.2, 1.4)
    assert overfit(line([2.1, 1.3, 1.2, 1.2, 1.4]), training, LOSS) is None  # in the last epoch alone
    assert overfit(line([2.1, 1.3, 1.2, 1.3, 1.4]), line([2.0, 1.0, 0.7, 0.8, 0.9]), LOSS) is None  # both rise


def test_a_dip_is_told_with_the_learning_rate_at_its_top_and_its_bottom() -> None:
    epochs = range(1, 31)
    rates = {epoch: 0.05 * (1 + math.cos(math.pi * (epoch - 1) / 10)) / 2 for epoch in epochs}
    accuracies = np.interp(epochs, [1, 12, 20, 30], [0.16, 0.42, 0.28, 0.53])
    found = dip((epochs, accuracies.tolist()), ACCURACY, rates)
    assert found
    assert (found.top, found.low, found.recovered) == (12, 20, 30)
    assert found.restart
    assert found.rate_lowest == pytest.approx(0.976, abs=0.001)


def test_a_dip_at_a_constant_rate_is_no_restart() -> None:
    found = dip(line(DIPPED), ACCURACY, dict.fromkeys(range(1, 9), 0.1))
    assert found
    assert (found.restart, found.rate_before) == (False, 1.0)


def test_a_dip_in_curves_without_rates_says_nothing_of_them() -> None:
    found = dip(line(DIPPED), ACCURACY, {})
    assert found
    assert (found.rate_before, found.rate_lowest, found.restart) == (None, None, False)
    assert "rate" not in " ".join(course_sentences(Course(seeds=3, dip=found)))


@pytest.mark.parametrize("values", [[0.2, 0.4, 0.2, 0.42, 0.45, 0.46], [0.2, 0.4, 0.3, 0.2, 0.2, 0.2]])
def test_one_bad_epoch_or_a_fall_that_is_not_won_back_is_no_dip(values: list[float]) -> None:
    assert dip(line(values), ACCURACY, {}) is None


@pytest.mark.parametrize("spread", [0.005, 0.01])
def test_noise_is_no_dip_no_peak_and_no_overfitting(spread: float) -> None:
    """Three seeds whose accuracy moves by up to a point from epoch to epoch, and their loss by five times that."""
    draw, alarms, studies = np.random.default_rng(0), {"dip": 0, "peak": 0, "overfit": 0, "level": 0}, 400
    for _ in range(studies):
        accuracy = smooth(30, 0.1, 0.55) + draw.normal(0, spread, (3, 30)).mean(0)
        tested = smooth(30, 3.5, 1.8) + draw.normal(0, 5 * spread, (3, 30)).mean(0)
        trained = smooth(30, 3.6, 1.5) + draw.normal(0, spread, (3, 30)).mean(0)
        alarms["dip"] += dip(line(accuracy.tolist()), ACCURACY, {}, 10_000) is not None
        alarms["peak"] += peak(line(accuracy.tolist()), ACCURACY, 10_000) is not None
        alarms["overfit"] += overfit(line(tested.tolist()), line(trained.tolist()), LOSS) is not None
        found = fall(line(trained.tolist()), TRAINING)
        alarms["level"] += found is not None and (found.flat or found.level is not None)
    assert max(alarms.values()) <= studies / 100, alarms


def test_training_and_test_are_apart_by_nats_and_times() -> None:
    assert apart(line([2.0, 0.9]), line([2.1, 1.8])) == (0.9, 1.8)
    assert apart(line([4.0, 3.0]), line([4.0, 3.9])) is None


def test_a_difference_is_told_from_the_epoch_that_it_stays_from() -> None:
    late = lead(line([0.1, 0.2, 0.3, 0.5]), line([0.1, 0.2, 0.3, 0.4]), ACCURACY, "a")
    early = lead(line([0.2, 0.3, 0.4, 0.5]), line([0.1, 0.2, 0.3, 0.4]), ACCURACY, "a")
    longer = lead(line([0.1, 0.2, 0.3, 0.5]), line([0.1, 0.2, 0.3]), ACCURACY, "a")
    assert late
    assert early
    assert longer
    assert (late.half, early.half) == (4, 1)
    assert (longer.half, longer.common, longer.there) == (None, 3, 0.0)
    assert longer.final == pytest.approx(0.2)


def test_times_are_compared_where_no_run_of_one_took_as_long_as_one_of_the_other() -> None:
    apart_, over = pace([20, 21], 10, "a", [10, 10.5]), pace([20, 21], 10, "a", [10, 20.5])
    assert apart_
    assert over
    assert (apart_.times, over.times) == (2.0, None)
    assert pace([math.nan], 3) is None


def test_a_run_that_took_far_longer_does_not_move_the_time_and_is_told() -> None:
    found = pace([20, 21, 300], 10, "a", [10, 10.5, 11])
    assert found
    assert (found.seconds, found.times) == (21, 2.0)
    assert course_sentences(Course(3, pace=found))[-1].replace("\xa0", " ") == (
        "A run trains for 21 s, 2.1 s an epoch; 2.0 times as long as a. Its runs took 20 s to 5 min; 21 s is their "
        "median."
    )


def test_the_sentences_have_the_numbers_and_name_no_cause() -> None:
    falls = tuple(one for one in (fall(line([2.54, 1.5, 0.96]), TRAINING),) if one)
    fell = Dip(ACCURACY, 12, 20, 0.42, 0.28, 30, 0.53, 0.02, 0.976)
    fell = Dip(ACCURACY, 12, 20, 0.42, 0.28, 30, 0.53, 0.02, 0.976)
    found = Course(3, falls, dip=fell, pace=PaceOf(480, 470, 490, 12))
    first, second, third = (text.replace("\xa0", " ") for text in course_sentences(found))
    assert first == "Training loss falls from 2.54 to 0.96 over 3 epochs, on average over 3 seeds."
    assert second == (
        "Test accuracy dips by 14.0 points, from 42.0 % at epoch 12 to 28.0 % at epoch 20, when the learning rate had "
        "risen from 2 % to 98 % of its maximum; by epoch 30 it is at 53.0 %."
    )
    assert third == "A run trains for 8 min, 40 s an epoch."


def test_the_five_phases_show_the_restart_and_where_each_step_gained() -> None:
    results = phases()
    found = courses(results, histories(results))
    said = found["Phase 5"].dip
    assert said
    assert (said.top, said.low, said.restart) == (12, 20, True)
    assert [name for name, one in found.items() if one.dip] == ["Phase 5"]
    step = found["Phase 3"].lead
    assert step
    assert (step.reference, step.common, step.same_length) == ("Phase 2", 5, False)
    assert found["Phase 2"].lead is None  # not decided


def test_a_pilot_and_a_variant_without_results_show_nothing() -> None:
    pilot = study_of({"a": [0.1, 0.2], "b": [0.8, 0.9]}, pilot=True)
    assert courses(pilot, histories(pilot)) == {}
    assert course_sentences(None) == []


def test_a_single_epoch_shows_its_time_alone() -> None:
    def once(_variant: str, _seed: int, _epochs: int) -> list[dict[str, float]]:
        return [{"test/accuracy": 0.5, "test/loss": 1.0, "train/loss": 1.0, "lr": 0.1}]

    results = planted(study_of({"a": [0.1, 0.2], "b": [0.8, 0.9]}).study, once)
    found = courses(results, histories(results))["a"]
    assert course_sentences(found) == ["A run trains for 1.0\xa0s, 0.5\xa0s an epoch."]
