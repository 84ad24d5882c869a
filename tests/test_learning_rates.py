"""What a range test's curve suggests, on curves made for it."""

from __future__ import annotations

import dataclasses
import json
import math
import random

import pytest

from ablate.training.learning_rates import RangeCurve, RangeTestResult, falls, smooth, steepest, suggest, sweep, valley

LRS = sweep(1e-6, 10.0, 100)


def bowl(turn: float, sharp: float = 4.0) -> list[float]:
    """A loss that is flat, falls fastest at `turn`, and rises again a decade and a half after it."""
    place = math.log10(turn)
    logs = [math.log10(lr) - place for lr in LRS]
    return [2.3 - 1.5 / (1 + math.exp(-sharp * x)) + 8 / (1 + math.exp(-sharp * (x - 2))) for x in logs]


def curve(losses: list[float]) -> RangeCurve:
    return RangeCurve(tuple(LRS[: len(losses)]), tuple(losses), tuple(smooth(losses)), 1.0, 100)


def test_a_sweep_grows_by_the_same_factor_from_low_to_high() -> None:
    assert len(LRS) == 100
    assert (LRS[0], LRS[-1]) == pytest.approx((1e-6, 10.0))
    assert LRS[51] / LRS[50] == pytest.approx(LRS[11] / LRS[10])


def test_smoothing_keeps_a_constant_loss_as_it_is_from_the_first_step() -> None:
    assert smooth([2.0] * 5) == pytest.approx([2.0] * 5)


def test_smoothing_weighs_each_loss_by_nine_tenths_of_the_next() -> None:
    assert smooth([1.0, 0.0, 3.0])[2] == pytest.approx((0.81 * 1 + 0.9 * 0 + 3) / (0.81 + 0.9 + 1))


@pytest.mark.parametrize("turn", [1e-4, 1e-3, 1e-2])
def test_steepest_is_where_the_loss_falls_fastest(turn: float) -> None:
    assert steepest(LRS, bowl(turn)) == pytest.approx(turn, rel=0.1)


def test_steepest_is_taken_over_the_logarithm_of_the_learning_rate() -> None:
    losses = [1 - 0.1 * math.log10(lr) for lr in LRS]
    losses[60:] = [loss - 0.05 * (step + 1) for step, loss in enumerate(losses[60:])]
    found = steepest(LRS, losses)
    assert found is not None
    assert found >= LRS[60]


def test_steepest_passes_over_the_first_tenth() -> None:
    losses = bowl(1e-2)
    losses[0] += 5.0
    assert steepest(LRS, losses) == pytest.approx(1e-2, rel=0.1)


def test_neither_rule_looks_past_the_least_loss() -> None:
    losses = bowl(1e-3)
    least = losses.index(min(losses))
    after = [max(losses) * 2 - 0.1 * step for step in range(100 - least - 1)]
    ups_and_downs = losses[: least + 1] + after
    assert steepest(LRS, ups_and_downs) == steepest(LRS, losses)
    assert valley(LRS, ups_and_downs) == valley(LRS, losses)


def test_valley_is_two_thirds_of_the_way_down_a_plain_descent() -> None:
    losses = [1.0] * 20 + [1 - step / 60 for step in range(1, 61)] + [5.0] * 20
    assert valley(LRS, losses) == LRS[19 + 40]


def test_valley_takes_the_longest_descent_and_not_the_deepest() -> None:
    deep = [9.0, 6.0, 3.0]
    long = [5.0 - 0.1 * step for step in range(40)]
    found = valley(LRS, [*deep, *long])
    assert found is not None
    assert found > LRS[20]


def test_a_step_up_does_not_end_a_descent() -> None:
    losses = [2 - step / 60 for step in range(61)]
    noisy = [loss + 0.2 * (step % 10 == 5) for step, loss in enumerate(losses)]
    plain, found = valley(LRS, losses), valley(LRS, noisy)
    assert plain is not None
    assert found == pytest.approx(plain, rel=0.4)


@pytest.mark.parametrize("losses", [[], [1.0], [1.0, 2.0, 3.0], [2.0] * 30])
def test_a_loss_that_does_not_fall_suggests_nothing(losses: list[float]) -> None:
    found = suggest(curve(losses), "valley", 0)
    assert (found.lr, found.valley, found.steepest, found.lowest) == (None, None, None, None)


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_is_no_descent(seed: int) -> None:
    draw = random.Random(seed)
    assert not falls([2.3 + draw.gauss(0, 0.2) for _ in range(100)])


@pytest.mark.parametrize("seed", range(20))
def test_a_descent_is_seen_through_noise(seed: int) -> None:
    draw = random.Random(seed)
    found = suggest(curve([loss + draw.gauss(0, 0.1) for loss in bowl(1e-2)]), "valley", seed)
    assert found.valley is not None
    assert found.steepest is not None
    assert 1e-3 < found.valley < 1e-1
    assert 1e-3 < found.steepest < 1e-1


def test_the_rule_decides_which_learning_rate_is_used() -> None:
    by_valley, by_slope = suggest(curve(bowl(1e-2)), "valley", 0), suggest(curve(bowl(1e-2)), "steepest", 0)
    assert by_valley.lr == by_valley.valley != by_valley.steepest
    assert by_slope.lr == by_slope.steepest == by_valley.steepest


def test_a_suggestion_has_three_digits() -> None:
    found = suggest(curve(bowl(1e-2)), "valley", 0)
    assert found.lr == float(f"{found.lr:.3g}")


def test_what_was_found_survives_being_written() -> None:
    found = suggest(curve(bowl(1e-2)), "steepest", 3)
    document = json.loads(json.dumps(found.document()))
    assert RangeTestResult.of(document) == found
    assert (document["lr"], document["steps"]) == (found.steepest, 100)


@pytest.mark.parametrize("damage", [{}, {"curve": 1}, {"curve": {"lrs": ["x"]}}])
def test_a_document_of_something_else_is_nothing_found(damage: dict[str, object]) -> None:
    document = suggest(curve(bowl(1e-2)), "valley", 0).document()
    assert RangeTestResult.of({**document, **damage} if damage else {}) is None


def test_a_curve_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        curve([1.0]).seconds = 2.0  # type: ignore[misc]
