"""A ladder from its baseline to its last step: what each step adds or takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import numbers
from ..errors import listing
from . import drawing, figure_intervals, figure_labels, figure_scales, verdict_text
from .figures_differences import LOOKS
from .styles import NARROW, style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..stats.comparison import Comparison, Verdict
    from .content import Report

MOST_STEPS = 40


@dataclass(frozen=True)
class WaterfallStep:
    """One variant, in the unit in which it is drawn. before: None for the first one, which is no step.

    low, high: where the interval of the difference ends, counted from `before`; None without one.
    """

    variant: str
    index: int
    before: float | None
    value: float
    low: float | None
    high: float | None
    verdict: Verdict | None
    said: str


@dataclass(frozen=True)
class WaterfallData:
    """The steps of a ladder in their order. scale: its ends."""

    name: str
    title: str
    caption: str
    alt: str
    absent: str
    heading: str
    higher: bool
    scale: tuple[float, float]
    steps: tuple[WaterfallStep, ...]


def waterfall_data(report: Report) -> WaterfallData:
    """Return what each step of a ladder adds, on the metric of the study."""
    metric = report.table.metric
    means = {row.name: row.estimates[metric.name].mean for row in report.table.rows}
    known = [name for name in report.ladder if math.isfinite(means.get(name, math.nan))]
    pairs = [*zip(["", *known], known, strict=False)]
    compared = {(one.candidate, one.reference): one for one in report.comparisons if math.isfinite(one.mean)}
    found = [compared.get((name, before)) for before, name in pairs]
    steps = tuple(_step(report, *pair, means, one) for pair, one in zip(pairs, found, strict=True))
    missing = [name for name in report.ladder if name not in known]
    shown = [(step.value, step.low, step.high) for step in steps]
    scale = figure_intervals.scale(shown)
    line = f"; {line}" if (line := figure_intervals.caption(shown, scale, " of the difference")) else ""
    absent = "" if report.ladder else "The study is no ladder, in which each variant changes the one before it."
    if not absent and len(known) < 2:
        absent = "Fewer than two steps of the ladder have results yet, so there is no way between them to draw."
    if not absent and len(known) > MOST_STEPS:
        absent = f"A ladder of {len(known)} steps is too long to be drawn as one."
    first, last = (steps[0], steps[-1]) if steps else (None, None)
    return WaterfallData(
        name="waterfall",
        title=f"From {known[0]} to {known[-1]}" if known else "From the first step to the last",
        caption=" ".join(
            [
                f"What each step adds to {metric.label}, from the mean of the step before it to its own{line}.",
                *figure_intervals.of_one(one for one in found if one),
                *([f"Left out, without a result: {listing(missing)}."] if missing else []),
            ]
        ),
        alt=f"Waterfall chart of {metric.label}. "
        + (f"{first.variant} {first.said}; " if first else "")
        + "; ".join(f"{step.variant} {step.said}" for step in steps[1:])
        + (f"; at the end {numbers.fixed(last.value, metric.quantity.plain)}." if last else ""),
        absent=absent,
        heading=metric.heading,
        higher=metric.higher_is_better,
        scale=scale,
        steps=steps,
    )


def _step(
    report: Report, before: str, name: str, means: Mapping[str, float], found: Comparison | None
) -> WaterfallStep:
    metric = report.table.metric
    factor, index = metric.quantity.factor, report.place(name)
    value = factor * means[name]
    if not before:
        said = numbers.with_unit(means[name], metric.quantity)
        return WaterfallStep(name, index, None, value, None, None, None, said)
    start = factor * means[before]
    if found is None:
        said = numbers.with_sign(means[name] - means[before], metric.quantity)
        return WaterfallStep(name, index, start, value, None, None, None, said)
    low, high = (None if end is None else start + factor * end for end in (found.low, found.high))
    return WaterfallStep(name, index, start, value, low, high, found.verdict, verdict_text.difference(found))


def draw_waterfall(data: WaterfallData) -> Figure:
    """Draw the ladder from above to below. `data` must have steps."""
    with drawing.styled():
        now, narrow = style(), style().width <= NARROW
        figure = drawing.new_figure((len(data.steps) + 1) * 1.75 * now.line + 5.4 * now.line, exact=True)
        figure.fixed = True
        axes = figure.subplots()
        axes.set_ylim(len(data.steps) - 0.4, -0.6)
        axes.set_xlim(data.scale)
        for place, step in enumerate(data.steps):
            _draw_step(axes, place, step, data.steps)
        names = figure_labels.short_names((step.variant for step in data.steps), figure_labels.longest())
        axes.set_yticks(range(len(data.steps)), [names[step.variant] for step in data.steps])
        for label, step in zip(axes.get_yticklabels(), data.steps, strict=True):
            label.set_color(drawing.colour_of(step.index))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(False)
        axes.grid(True, axis="x")
        axes.set_xlabel(f"{data.heading}, {'higher' if data.higher else 'lower'} is better")
        figure_scales.few_columns(axes, 3 if narrow or now.points > 12 else 7)
        shown = [verdict for verdict in LOOKS if any(step.verdict == verdict for step in data.steps)]
        looks: dict[str, dict[str, Any]] = {verdict: {"linestyle": "", **LOOKS[verdict]} for verdict in shown}
        if looks:
            drawing.outside_key(figure, looks, 2 if narrow else 4)
    return figure


def _draw_step(axes: Axes, place: int, step: WaterfallStep, steps: Sequence[WaterfallStep]) -> None:
    from .notebook_figure import belongs

    now = style()
    colour = LOOKS[step.verdict]["color"] if step.verdict else drawing.INK
    if place + 1 < len(steps):
        axes.plot([step.value] * 2, [place, place + 1], color=drawing.MUTED, linewidth=0.6 * now.lines)
    if step.before is None:
        belongs(axes.plot(step.value, place, "D", color=colour, ms=5 * now.lines)[0], step.index)
    else:
        bar = axes.barh(
            place, step.value - step.before, left=step.before, height=0.5, color=colour, alpha=0.3, linewidth=0
        )
        belongs(bar[0], step.index)
        if step.low is not None and step.high is not None:
            ends, line = (step.low, step.high), {"color": colour, "linewidth": 1.4 * now.lines}
            figure_intervals.draw_interval(axes, "across", place, ends, step.index, **line)
        look = LOOKS[step.verdict] if step.verdict else {"marker": "o", "color": colour}
        belongs(axes.plot(step.value, place, linestyle="", ms=5 * now.lines, zorder=3, **look)[0], step.index)
    axes.annotate(
        step.said, (1, place), (0.9 * now.points, 0), xycoords=axes.get_yaxis_transform(),
        textcoords="offset points", va="center", annotation_clip=False,
    )  # fmt: skip
