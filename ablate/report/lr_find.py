"""The figure of learning-rate range tests: numbers first (`find_data`), then drawing (`draw_find`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from . import drawing, numbers
from .drawing import Curve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..study.spec import Study
    from ..training.rates import Found

RISE = 1.15
"""A curve is drawn until its loss has risen this far above where it began: what follows would flatten all before."""
MARKS: Mapping[str, dict[str, Any]] = {"valley": {"marker": "o"}, "steepest": {"marker": "D", "mfc": "white"}}
"""How each rule's suggestion is drawn."""


@dataclass(frozen=True)
class Line:
    """One range test as drawn. marks: each rule's suggestion that the curve shows, as (rule, lr, smoothed loss)."""

    variant: str
    index: int
    seed: int
    lrs: tuple[float, ...]
    smoothed: tuple[float, ...]
    losses: tuple[float, ...]
    marks: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class FindData:
    """All that the figure shows and says; the fields are those of `figures.FigureData`.

    raw: draw each step's own loss too, which only a single curve leaves room for.
    """

    name: str
    title: str
    caption: str
    alt: str
    absent: str
    lines: tuple[Line, ...]
    raw: bool


def find_data(study: Study, tested: Sequence[tuple[str, Found]]) -> FindData:
    """Return the curves of range tests, each with its variant's name, and what they suggest."""
    places = {variant.name: index for index, variant in enumerate(study.variants)}
    lines = tuple(_line(name, places[name], found) for name, found in tested if found.curve.lrs)
    return FindData(
        name="lr-find",
        title="Learning-rate range tests",
        caption="Smoothed training loss while the learning rate grows from step to step, one line for each test. "
        "A filled circle is what the valley rule suggests, a hollow diamond where the loss falls fastest. "
        + _cost([found for _, found in tested]),
        alt="Line chart of smoothed loss by learning rate. " + _suggested(tested),
        absent="" if lines else "No loss of a range test was finite, so there is no curve to draw.",
        lines=lines,
        raw=len(lines) == 1,
    )


def _line(variant: str, index: int, found: Found) -> Line:
    curve = found.curve
    lowest = min(range(len(curve.smoothed)), key=curve.smoothed.__getitem__)
    top = RISE * max(curve.smoothed[: max(1, len(curve.smoothed) // 10)])
    end = next((i for i in range(lowest, len(curve.lrs)) if curve.smoothed[i] > top), len(curve.lrs))
    lrs = curve.lrs[:end]
    marks = []
    for rule in MARKS:
        lr = getattr(found, rule)
        if lr is not None:
            nearest = min(range(len(lrs)), key=lambda i: abs(lrs[i] / lr - 1))  # lr has three digits
            marks.append((rule, lrs[nearest], curve.smoothed[nearest]))
    return Line(variant, index, found.seed, lrs, curve.smoothed[:end], curve.losses[:end], tuple(marks))


def _cost(tests: list[Found]) -> str:
    seeds = sorted({test.seed for test in tests})
    named = f"Seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    if not tests:
        return ""
    steps = [len(test.curve.lrs) for test in tests]
    span = f"{min(steps)} to {max(steps)}" if min(steps) < max(steps) else f"{max(steps)}"
    seconds = numbers.duration(median(test.curve.seconds for test in tests))
    return f"{named}; {span} steps and about {seconds} a test."


def _suggested(tested: Sequence[tuple[str, Found]]) -> str:
    texts = [
        f"{name}, seed {found.seed}: valley {numbers.rate(found.valley)}, steepest {numbers.rate(found.steepest)}"
        for name, found in tested
    ]
    return f"Suggested: {'; '.join(texts)}." if texts else ""


def draw_find(data: FindData) -> Figure:
    """Draw the range tests. `data` must have lines."""
    with drawing.styled():
        figure = drawing.new_figure(height=3.9)
        axes = figure.subplots()
        for line in data.lines:
            colour = drawing.colour_of(line.index)
            if data.raw:
                axes.plot(line.lrs, line.losses, color=colour, linewidth=0.7, alpha=0.3)
            axes.plot(line.lrs, line.smoothed, color=colour, linewidth=1.6 if data.raw else 1.1)
            for rule, lr, loss in line.marks:
                axes.plot(lr, loss, color=colour, linestyle="", markersize=6, zorder=3.5, **MARKS[rule])
        if data.raw:
            low, high = min(data.lines[0].smoothed), max(data.lines[0].smoothed)
            axes.set_ylim(low - 0.3 * (high - low), high + 0.3 * (high - low))
        _rate_axis(axes)
        axes.set_title("Smoothed training loss", loc="left", fontsize=9, pad=8)
        axes.tick_params(length=3, width=0.8)
        drawing.key(
            axes,
            {
                "valley": {"linestyle": "", **MARKS["valley"]},
                "steepest": {"linestyle": "", **MARKS["steepest"]},
            },
        )
        drawing.label_ends(figure, axes, _ends(data))
    return figure


def _rate_axis(axes: Axes) -> None:
    """Give the x axis a log scale named at powers of ten."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda lr, _: f"{lr:g}" if lr >= 1e-3 else f"1e{round(math.log10(lr))}")
    axes.set_xlabel("Learning rate")


def _ends(data: FindData) -> list[Curve]:
    """Return, for its name, each variant's line that reaches farthest."""
    longest: dict[str, Line] = {}
    for line in data.lines:
        if line.variant not in longest or line.lrs[-1] > longest[line.variant].lrs[-1]:
            longest[line.variant] = line
    return [
        Curve(line.variant, line.index, "train", line.lrs, line.smoothed, line.smoothed, line.smoothed, ())  # type: ignore[arg-type]  # learning rates in place of epochs
        for line in longest.values()
    ]
