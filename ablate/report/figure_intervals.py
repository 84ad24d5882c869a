"""Intervals in figures: a scale that has room for the usual ones, and arrows where one goes on beyond it."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from .styles import style

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes

    from ..stats.comparison import Comparison

    Interval = tuple[float, float | None, float | None]
    """A number with the ends of its interval, if it has one."""

USUAL = 4
"""An interval that reaches so many times the median half-width from its number would leave no room for the others."""
BEYOND = "an arrow stands where it goes on beyond the scale"


def scale(shown: Sequence[Interval], others: Iterable[float] = ()) -> tuple[float, float]:
    """Return the ends of a scale for all numbers, others too, and intervals of the usual width."""
    halves = [(high - low) / 2 for _, low, high in shown if low is not None and high is not None]
    usual = USUAL * median(halves) if halves else 0.0
    ends = list(others)
    for number, low, high in shown:
        ends += [number]
        ends += [] if low is None else [max(low, number - usual)]
        ends += [] if high is None else [min(high, number + usual)]
    least, most = min(ends, default=0.0), max(ends, default=0.0)
    room = 0.05 * (most - least) or 0.05 * abs(most) or 1.0
    return least - room, most + room


def caption(shown: Iterable[Interval], ends: tuple[float, float], of: str = "") -> str:
    """Say what the line is, without a stop at the end; empty where there is no interval. of: what it is one of."""
    intervals = [(low, high) for _, low, high in shown if low is not None and high is not None]
    cut = any(low < ends[0] or high > ends[1] for low, high in intervals)
    return f"the line is the 95 % interval{of}{f'; {BEYOND}' * cut}" if intervals else ""


def of_one(compared: Iterable[Comparison]) -> list[str]:
    """Say in a sentence why a difference whose interval is clear of 0 is not decided, where one is."""
    clear = any(one.clear and one.verdict == "not decided" for one in compared)
    return [_OF_ONE] if clear else []


_OF_ONE = (
    "An interval is of its comparison alone, a verdict of all comparisons together: so one that is clear of 0 can be "
    "not decided."
)


def draw_interval(
    axes: Axes, way: Literal["across", "up"], place: float, interval: tuple[float, float], index: int, **look: Any
) -> None:
    """Draw an interval of a variant on axes whose limits are set, with an arrow where it goes on beyond them.

    place: on the other axis. look: of the line.
    """
    from .notebook_figure import belongs

    across = way == "across"
    least, most = sorted(axes.get_xlim() if across else axes.get_ylim())
    low, high = max(interval[0], least), min(interval[1], most)
    line, beside = [low, high], [place, place]
    belongs(axes.plot(*((line, beside) if across else (beside, line)), **look)[0], index)
    colour, size = look.get("color"), 4 * style().lines
    for end, cut, marker in ((low, interval[0] < least, "<v"), (high, interval[1] > most, ">^")):
        if cut:
            at = (end, place) if across else (place, end)
            arrow = axes.plot(*at, marker[not across], color=colour, ms=size, alpha=look.get("alpha"), clip_on=False)
            belongs(arrow[0], index)
