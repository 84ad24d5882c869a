"""Digits and units: the one place that turns a number into text.

How many digits. A number with an interval gets as many decimals as show two significant digits of the
interval's half-width, for more than that says nothing. A column shares its decimals, chosen for its median
half-width, within bounds: 1 to 2 for percentages and points, 2 to 4 for losses. Without any interval nothing
says how sure a number is, and it gets the customary 2 (percentages) or 3 (losses). A number that someone
else reported is written as the study file has it, with no zero added.

What is absent or not finite is written as an en dash. A minus is the sign U+2212, and a number never parts
from its unit at the end of a line.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NAMES = {
    "train/loss": "training loss",
    "validation/loss": "validation loss",
    "validation/accuracy": "validation accuracy",
    "test/loss": "test loss",
    "test/accuracy": "test accuracy",
}
"""What a metric is called in a sentence."""

ABSENT = "–"
MINUS = "−"
NBSP = "\u00a0"
FIGURE_SPACE = "\u2007"
"""As wide as a digit; the punctuation space is as wide as a full stop."""
PUNCTUATION_SPACE = "\u2008"

_TIMES = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))


@dataclass(frozen=True)
class Scale:
    """How one kind of metric is written.

    factor: from the unit of the data to the unit of the text. unit: of a value. step: of a difference.
    least, most: bounds on decimals where an interval decides. plain: decimals where there is none.
    """

    factor: float
    unit: str
    step: str
    least: int
    most: int
    plain: int


ACCURACY = Scale(factor=100.0, unit="%", step="points", least=1, most=2, plain=2)
LOSS = Scale(factor=1.0, unit="", step="", least=2, most=4, plain=3)


def scale_of(metric: str) -> Scale:
    """Return how a metric such as `test/accuracy` is written."""
    return ACCURACY if metric.endswith("accuracy") else LOSS


def digits(scale: Scale, half_widths: Iterable[float | None]) -> int:
    """Return the decimals that a column with these interval half-widths (in data units) can carry."""
    known = [h * scale.factor for h in half_widths if h is not None and math.isfinite(h) and h > 0]
    if not known:
        return scale.plain
    exponent = int(f"{statistics.median(known):.1e}".partition("e")[2])
    return min(max(1 - exponent, scale.least), scale.most)


def fixed(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """Write a number with so many decimals; `signed` puts a plus before a positive one. Zero has no sign."""
    if value is None or not math.isfinite(value):
        return ABSENT
    text = f"{value:+.{decimals}f}"
    if float(text) == 0 or (value > 0 and not signed):
        text = text[1:]
    return text.replace("-", MINUS)


def value(number: float | None, scale: Scale, decimals: int | None = None) -> str:
    """Write a metric's value without its unit, which the column says."""
    return fixed(_times(number, scale), scale.plain if decimals is None else decimals)


def percent(fraction: float | None, decimals: int = 2) -> str:
    """Write a fraction as a percentage: 0.362 gives "36.20 %"."""
    return _with_unit(value(fraction, ACCURACY, decimals), ACCURACY.unit)


def points(fraction: float | None, decimals: int = 2) -> str:
    """Write a difference of two fractions in percentage points: 0.012 gives "+1.20 points"."""
    return difference(fraction, ACCURACY, decimals)


def loss(number: float | None, decimals: int = 3) -> str:
    """Write a loss, which has no unit."""
    return value(number, LOSS, decimals)


def difference(number: float | None, scale: Scale, decimals: int | None = None) -> str:
    """Write a difference with its sign, in points for accuracies."""
    text = fixed(_times(number, scale), scale.plain if decimals is None else decimals, signed=True)
    return _with_unit(text, scale.step)


def interval(low: float | None, high: float | None, scale: Scale, decimals: int, *, signed: bool = False) -> str:
    """Write an interval as "35.9 to 36.9"; `signed` for one of a difference. Absent where an end is."""
    ends = [fixed(_times(end, scale), decimals, signed=signed) for end in (low, high)]
    return ABSENT if ABSENT in ends else f"{ends[0]}{NBSP}to{NBSP}{ends[1]}"


def as_given(number: float | None, scale: Scale) -> str:
    """Write a reported number with the digits it was given, without its unit: 0.5468 gives "54.68"."""
    if number is None or not math.isfinite(number):
        return ABSENT
    return fixed(number * scale.factor, decimals_given(number, scale))


def decimals_given(number: float, scale: Scale) -> int:
    """Return how many decimals a finite number was given with, in the unit of the text."""
    scaled = (Decimal(repr(float(number))) * Decimal(scale.factor)).normalize()
    exponent = scaled.as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def aligned(texts: Sequence[str]) -> list[str]:
    """Pad numbers on their right so that their decimal points stand below each other in a right-aligned column."""
    tails = [len(text.partition(".")[2]) if "." in text else -1 for text in texts]
    most = max(tails, default=-1)
    return [text + _padding(tail, most) for text, tail in zip(texts, tails, strict=True)]


def duration(seconds: float | None) -> str:
    """Write a time with its two largest units: "0.8 s", "42 s", "3 min 20 s", "2 h 5 min", "1 d 3 h"."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return ABSENT
    if seconds < 9.95:
        return f"{seconds:.1f}{NBSP}s"
    total = round(seconds)
    for size, big, step, small in _TIMES:
        if total >= size:
            whole, rest = divmod(round(total / step), size // step)
            return f"{whole}{NBSP}{big}" + (f" {rest}{NBSP}{small}" if rest else "")
    return f"{total}{NBSP}s"


def count(number: float | None) -> str:
    """Write how many there are: exact below 10,000, else three digits with k, M or G ("11.2 M")."""
    if number is None or not math.isfinite(number):
        return ABSENT
    if abs(number) < 10_000:
        return f"{round(number):,}".replace("-", MINUS)
    mantissa, _, exponent = f"{number:.2e}".partition("e")
    thousands = min(int(exponent) // 3, 3)
    shown = float(mantissa) * 10 ** (int(exponent) - 3 * thousands)
    decimals = max(2 - (int(exponent) - 3 * thousands), 0)
    return fixed(shown, decimals) + NBSP + ("", "k", "M", "G")[thousands]


def _times(number: float | None, scale: Scale) -> float | None:
    return None if number is None else number * scale.factor


def _with_unit(text: str, unit: str) -> str:
    return text if text == ABSENT or not unit else text + NBSP + unit


def _padding(tail: int, most: int) -> str:
    """Return spaces as wide as the decimals that a number lacks; `tail` is -1 where it has no decimal point."""
    if tail == most:
        return ""
    return (PUNCTUATION_SPACE if tail < 0 else "") + FIGURE_SPACE * (most - max(tail, 0))
