from __future__ import annotations

import math

import pytest

from ablate import numbers
from ablate.metrics import ACCURACY, LOSS, PARAMETERS, SECONDS, Quantity


def plain(text: str) -> str:
    """The text with ordinary spaces, so that a test can be read."""
    return text.replace(numbers.NBSP, " ")


def test_a_fraction_is_written_as_a_percentage() -> None:
    assert plain(numbers.percent(0.3620)) == "36.20 %"


def test_a_difference_of_fractions_is_written_in_points_with_its_sign() -> None:
    assert plain(numbers.with_sign(0.012, ACCURACY)) == "+1.20 points"
    assert plain(numbers.with_sign(-0.1401, ACCURACY)) == "−14.01 points"


def test_no_difference_has_no_sign() -> None:
    assert plain(numbers.with_sign(-0.0000001, ACCURACY)) == "0.00 points"
    assert plain(numbers.with_sign(0.0, ACCURACY)) == "0.00 points"


def test_a_difference_of_losses_has_no_unit() -> None:
    assert numbers.with_sign(-0.67, LOSS, 2) == "−0.67"
    assert numbers.value(2.485, LOSS) == "2.485"


def test_a_number_never_parts_from_its_unit() -> None:
    for text in (
        numbers.percent(0.5),
        numbers.with_sign(0.5, ACCURACY),
        numbers.count(11_220_132),
        numbers.duration(42),
    ):
        assert " " not in text
        assert numbers.NBSP in text


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf, -math.inf])
def test_what_is_absent_or_not_finite_is_a_dash_without_a_unit(nothing: float | None) -> None:
    for write in (numbers.percent, numbers.duration, numbers.count):
        assert write(nothing) == "–"
    assert numbers.as_given(nothing, ACCURACY) == "–"
    assert numbers.ends(nothing, 0.5, ACCURACY, 1) == "–"


def test_an_interval_is_written_from_end_to_end() -> None:
    assert plain(numbers.ends(0.359, 0.369, ACCURACY, 1)) == "35.9 to 36.9"
    assert plain(numbers.ends(-0.002, 0.021, ACCURACY, 1, signed=True)) == "−0.2 to +2.1"


@pytest.mark.parametrize(
    ("half_widths", "decimals"),
    [([0.0042], 2), ([0.0098], 2), ([0.00996], 1), ([0.031], 1), ([0.4], 1), ([0.00001], 2)],
)
def test_percentages_show_two_significant_digits_of_the_half_width(half_widths: list[float], decimals: int) -> None:
    assert numbers.digits(ACCURACY, half_widths) == decimals


@pytest.mark.parametrize(("half_width", "decimals"), [(2.0, 2), (0.12, 2), (0.034, 3), (0.0021, 4), (0.000002, 4)])
def test_losses_have_two_to_four_decimals(half_width: float, decimals: int) -> None:
    assert numbers.digits(LOSS, [half_width]) == decimals


def test_a_column_takes_its_digits_from_its_median_interval() -> None:
    assert numbers.digits(ACCURACY, [0.002, 0.003, 0.2]) == 2
    assert numbers.digits(ACCURACY, [0.002, 0.03, 0.2, None, math.nan]) == 1


def test_without_an_interval_a_number_has_the_customary_digits() -> None:
    assert numbers.digits(ACCURACY, [None, 0.0]) == 2
    assert numbers.digits(LOSS, []) == 3


@pytest.mark.parametrize(
    ("number", "quantity", "text"),
    [
        (0.5468, ACCURACY, "54.68"),
        (0.362, ACCURACY, "36.2"),
        (0.36, ACCURACY, "36"),
        (1.0, ACCURACY, "100"),
        (2.49, LOSS, "2.49"),
        (2, LOSS, "2"),
    ],
)
def test_a_reported_number_keeps_the_digits_it_was_given(number: float, quantity: Quantity, text: str) -> None:
    assert numbers.as_given(number, quantity) == text


def test_padding_puts_decimal_points_below_each_other() -> None:
    padded = [numbers.aligned(text, 2) for text in ("36", "36.2", "54.68", "–")]
    assert [text.rstrip("\u2007\u2008") for text in padded] == ["36", "36.2", "54.68", "–"]
    assert {len(text) - len(text.split(".", maxsplit=1)[0].rstrip("\u2007\u2008")) for text in padded} == {3}
    assert numbers.aligned("36", 0) == "36"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3599.7, "1 h"),
        (7500, "2 h 5 min"),
        (97_200, "1 d 3 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert plain(numbers.duration(seconds)) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (9999, "9,999"), (62_006, "62.0 k"), (999_999, "1.00 M"), (11_220_132, "11.2 M")]
)
def test_a_count_is_exact_while_it_is_short(number: int, text: str) -> None:
    assert plain(numbers.count(number)) == text


def test_costs_are_written_as_times_and_counts() -> None:
    assert [numbers.value(seconds, SECONDS) for seconds in (99.94, 250.4)] == ["99.9", "250"]
    assert plain(numbers.with_sign(-3.25, SECONDS)) == "−3.2 s"
    assert plain(numbers.value(11_220_132, PARAMETERS)) == "11.2 M"
    assert [plain(numbers.with_sign(more, PARAMETERS)) for more in (62_006, -62_006, 0)] == ["+62.0 k", "−62.0 k", "0"]
