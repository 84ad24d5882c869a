"""The scales of figures: ticks that have room, whole epochs, and log scales with few names."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from .styles import NARROW, style

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOG_FROM = 20
"""What spans more than this factor is drawn on a log scale."""
_MOST_LAYOUTS = 5
_SAME_PLACE = 1e-3
"""Of the figure's size."""


def spans_far(values: Iterable[float]) -> bool:
    """Tell whether values need a log scale; those that have no place on one do not count."""
    positive = [value for value in values if value > 0]
    return bool(positive) and max(positive) > LOG_FROM * min(positive)


def finish(axes: Axes, title: str) -> None:
    """Give axes their title, which takes the place of a y label, and ticks at whole epochs."""
    axes.set_title(title, loc="left", pad=0.9 * style().points)
    whole_epochs(axes, max(axes.dataLim.x1, 1.0), 12 if style().width > NARROW else 6)
    axes.tick_params(length=3)


def whole_epochs(axes: Axes, last: float, most: int) -> None:
    """Let the x axis reach from the first epoch to the last, with ticks at whole ones."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim((1 - 0.02 * last, 1.02 * last) if last > 1 else (0.5, 1.5))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=most, integer=True, min_n_ticks=1))


def few_ticks(axes: Axes, most: int = 3) -> None:
    """Give the y axis of low axes a few ticks, at round numbers: 0.002 and 0.004 and not 0.0015 and 0.003."""
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=most, steps=[1, 2, 5, 10]))


def few_columns(axes: Axes, most: int) -> None:
    """Give the x axis a few ticks."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=most))


def settle(figure: Figure) -> None:
    """Lay a figure out until its axes keep their places, with ticks that have room; at once where that was done."""
    engine = figure.get_layout_engine()
    if engine is None or not figure.stale:
        return
    free = not getattr(figure, "fixed", False)
    before: list[tuple[float, ...]] = []
    for _ in range(_MOST_LAYOUTS):
        engine.execute(figure)
        if free:
            thin_ticks(figure)
        now = [axes.get_position(original=True).bounds for axes in figure.axes]
        if before and all(math.dist(one, other) < _SAME_PLACE for one, other in zip(before, now, strict=True)):
            return
        before = now


def thin_ticks(figure: Figure) -> None:
    """Leave out every second tick of a side, or more of them, where their labels would stand on each other."""
    for axes in figure.axes:
        for axis, side in ((axes.xaxis, 0), (axes.yaxis, 1)):
            axis.get_tightbbox()  # gives the labels their places
            low, high = sorted(axis.get_view_interval())
            ticks = [
                tick
                for tick in axis.get_major_ticks()
                if low <= tick.get_loc() <= high and tick.label1.get_visible() and tick.label1.get_text()
            ]
            boxes = sorted(tuple(tick.label1.get_window_extent().get_points()[:, side]) for tick in ticks)
            steps = (n for n in range(1, len(ticks)) if all(a[1] < b[0] for a, b in pairwise(boxes[::n])))
            if (step := next(steps, len(ticks))) > 1:
                axis.set_ticks([tick.get_loc() for tick in ticks[::step]])


def log_scale(axes: Axes) -> None:
    """Give the y axis a log scale named at whole powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(bottom=max(low, high / 1e5))  # a schedule that ends next to zero would flatten all the rest
    axes.yaxis.set_major_locator(LogLocator(numticks=4))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"1e{round(math.log10(rate))}"))


def scaled(axes: Axes, side: Literal["x", "y"], log: bool, low: float, high: float) -> None:
    """Give one side of the axes, which shows low to high, a few ticks, and a log scale where it is to have one."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axis = axes.xaxis if side == "x" else axes.yaxis
    if not log:
        axis.set_major_locator(MaxNLocator(nbins=5))
        return
    (axes.set_xscale if side == "x" else axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(subs=(1,) if high > 50 * low else (1, 2, 5), numticks=5))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("e-0", "e-").replace("e+0", "e")))
