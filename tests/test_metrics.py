from __future__ import annotations

import pytest

from ablate.errors import InputError
from ablate.metrics import COSTS, METRICS, metric
from ablate.study.spec import Study, Tuning


def test_a_metric_says_all_that_is_known_of_it() -> None:
    accuracy = metric("test/accuracy")
    assert (accuracy.label, accuracy.heading) == ("test accuracy", "Test accuracy (%)")
    assert (accuracy.split, accuracy.quantity.name) == ("test", "accuracy")
    assert accuracy.higher_is_better
    assert (accuracy.bounds, accuracy.difference_bounds) == ((0.0, 1.0), (-1.0, 1.0))


def test_a_loss_is_better_where_it_is_lower_and_has_no_unit() -> None:
    assert metric("train/loss").heading == "Training loss"
    assert not metric("train/loss").higher_is_better


def test_a_cost_is_of_no_split_and_better_where_it_is_lower() -> None:
    assert [(cost.heading, cost.split, cost.higher_is_better) for cost in COSTS.values()] == [
        ("Training time (s)", "", False),
        ("Parameters", "", False),
        ("FLOPs", "", False),
    ]


def test_names_lead_to_their_records() -> None:
    assert all(metric(name).name == name for name in (METRICS | COSTS))


def test_an_unknown_metric_is_reported_with_the_nearest_one() -> None:
    with pytest.raises(
        InputError, match=r"there is no metric 'test/acuracy'; did you mean 'test/accuracy'\?\n  accepts"
    ):
        metric("test/acuracy")


def test_a_study_is_compared_on_what_is_measured_without_training_on_it() -> None:
    compared = {name for name, one in METRICS.items() if one.split != "train"}
    assert {Study("", "", (), ()).metric, Tuning().metric} <= compared
