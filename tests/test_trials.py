from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.stats.trials import best_so_far, crossings, expected_best, front, last_half, settled

NAN = math.nan


def enumerated(values: list[float], n: int, maximise: bool) -> float:
    """The mean best of all n values that can be drawn with replacement."""
    best = max if maximise else min
    return float(np.mean([best(draw) for draw in itertools.product(values, repeat=n)]))


# --- best so far -------------------------------------------------------------------------------------------


def test_the_best_so_far_never_gets_worse() -> None:
    assert best_so_far([0.3, 0.5, 0.4, 0.6], maximise=True) == (0.3, 0.5, 0.5, 0.6)
    assert best_so_far([3.0, 5.0, 2.0, 4.0], maximise=False) == (3.0, 3.0, 2.0, 2.0)


def test_a_trial_without_a_value_leaves_the_best_as_it_was() -> None:
    found = best_so_far([NAN, 0.5, NAN, 0.6, math.inf], maximise=True)
    assert math.isnan(found[0])
    assert found[1:] == (0.5, 0.5, 0.6, 0.6)


# --- the expected best -------------------------------------------------------------------------------------


@pytest.mark.parametrize("maximise", [True, False])
@pytest.mark.parametrize("values", [[0.4], [0.2, 0.9], [0.5, 0.1, 0.3], [0.3, 0.3, 0.7, 0.1]])
def test_the_expected_best_is_the_mean_over_all_draws(values: list[float], maximise: bool) -> None:
    wanted = [enumerated(values, n, maximise) for n in range(1, len(values) + 1)]
    assert expected_best(values, maximise) == pytest.approx(wanted)


def test_the_expected_best_is_what_simulated_draws_give() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(0.6, 0.1, 40)
    found = expected_best(values, maximise=True)
    for n in (1, 5, 20, 40):
        bests = draw.choice(values, (20_000, n)).max(axis=1)
        assert found[n - 1] == pytest.approx(bests.mean(), abs=5 * bests.std() / math.sqrt(20_000))


def test_a_trial_without_a_value_counts_as_the_worst() -> None:
    assert expected_best([0.5, NAN, 0.7], maximise=True) == expected_best([0.5, 0.5, 0.7], maximise=True)
    assert expected_best([0.5, NAN, 0.7], maximise=False) == expected_best([0.5, 0.7, 0.7], maximise=False)


def test_without_any_value_nothing_is_expected() -> None:
    assert expected_best([], maximise=True) == ()
    assert np.isnan(expected_best([NAN, NAN], maximise=True)).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
def test_more_trials_are_expected_to_be_no_worse_in_any_order(values: list[float]) -> None:
    found = expected_best(values, maximise=True)
    assert found == expected_best(sorted(values), maximise=True)
    assert all(b >= a - 1e-6 for a, b in itertools.pairwise(found))
    assert found[0] == pytest.approx(np.mean(values), abs=1e-6)
    assert found[-1] <= max(values) + 1e-6


# --- crossings ---------------------------------------------------------------------------------------------


def test_a_crossing_stands_where_the_lines_meet() -> None:
    (found,) = crossings({"early": [0.4, 0.5, 0.5], "late": [0.1, 0.4, 0.6]})
    assert (found.rises, found.falls) == ("late", "early")
    assert (found.trials, found.value) == pytest.approx((2.5, 0.5))


def test_curves_that_only_touch_do_not_cross() -> None:
    assert crossings({"a": [0.4, 0.5, 0.6], "b": [0.3, 0.5, 0.5]}) == ()
    assert crossings({"a": [0.4, 0.5], "b": [0.4, 0.5]}) == ()
    assert crossings({"a": [0.4, 0.5, 0.6], "b": [0.3, 0.5 + 1e-15, 0.5]}) == ()  # rounding


def test_curves_that_were_the_same_for_a_while_cross_in_the_midst_of_it() -> None:
    (found,) = crossings({"a": [0.2, 0.5, 0.5, 0.8], "b": [0.3, 0.5, 0.5, 0.7]})
    assert (found.rises, found.trials) == ("a", 2.5)


def test_a_longer_curve_is_compared_as_far_as_the_shorter_one_goes() -> None:
    assert crossings({"long": [0.1, 0.2, 0.9], "short": [0.3, 0.4]}) == ()
    assert crossings({"none": [NAN, NAN], "some": [0.3, 0.4]}) == ()


def test_crossings_of_several_curves_come_in_their_order() -> None:
    found = crossings({"a": [0.5, 0.5, 0.5], "b": [0.1, 0.2, 0.9], "c": [0.4, 0.6, 0.7]})
    assert [(c.rises, c.falls) for c in found] == [("c", "a"), ("b", "a"), ("b", "c")]


# --- settling ----------------------------------------------------------------------------------------------


def test_trials_that_all_come_to_the_same_have_settled() -> None:
    assert last_half([0.5] * 10, maximise=True) == 0
    assert settled([0.5] * 10, maximise=True, margin=0.005)
    assert settled([0.5] * 10, maximise=True, margin=0.0)


def test_one_trial_far_ahead_of_the_others_has_not_settled() -> None:
    values = [0.5] * 9 + [0.6]
    # It is among 10 draws with 1 - 0.9^10, among 5 with 1 - 0.9^5.
    assert last_half(values, maximise=True) == pytest.approx(0.1 * (0.9**5 - 0.9**10))
    assert not settled(values, maximise=True, margin=0.005)
    assert settled(values, maximise=True, margin=0.03)
    assert not settled([-v for v in values], maximise=False, margin=0.005)


@pytest.mark.parametrize("values", [[], [0.5], [NAN, NAN, NAN]])
def test_too_few_trials_have_not_settled(values: list[float]) -> None:
    assert not settled(values, maximise=True, margin=1.0)


# --- the front ---------------------------------------------------------------------------------------------


def test_the_front_holds_what_no_other_point_beats() -> None:
    # Accuracy is to be high, seconds low: the second is slower and worse than the first.
    assert front([(0.6, 10), (0.5, 20), (0.7, 30), (0.4, 5)], (True, False)) == (0, 2, 3)


def test_of_two_points_alike_both_are_in_the_front() -> None:
    assert front([(0.6, 10), (0.6, 10), (0.6, 11)], (True, False)) == (0, 1)


def test_points_that_are_not_finite_are_never_in_the_front() -> None:
    assert front([(NAN, 1), (0.5, math.inf), (0.1, 9)], (True, False)) == (2,)
    assert front([], (True, False)) == ()


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), max_size=25))
def test_every_point_outside_the_front_is_dominated_by_one_in_it(points: list[tuple[int, int, int]]) -> None:
    inside = front(points, (True, True, False))

    def dominates(a: tuple[int, int, int], b: tuple[int, int, int]) -> bool:
        return a != b and a[0] >= b[0] and a[1] >= b[1] and a[2] <= b[2]

    for place, point in enumerate(points):
        beaten = any(dominates(points[other], point) for other in inside)
        assert beaten == (place not in inside)
