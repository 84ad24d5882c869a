"""What a variant costs against what it reaches: training time and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..errors import listing
from ..metrics import PARAMETERS, SECONDS
from ..stats.cost_fronts import ALIKE
from . import drawing, figure_intervals, figure_labels, figure_scales
from .figure_places import PlacedNames
from .styles import NARROW, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..metrics import Quantity
    from ..stats.cost_fronts import CostFront
    from .content import Report

By = Literal["time", "parameters", "both"]
_COSTS = {"time": (SECONDS,), "parameters": (PARAMETERS,), "both": (SECONDS, PARAMETERS)}
_TIMES = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))
_COUNTS = ((1e9, "billions"), (1e6, "millions"), (1e3, "thousands"))


@dataclass(frozen=True)
class CostPoint:
    """One variant: its cost and its value in the units in which they are drawn. best: none beats it."""

    variant: str
    index: int
    cost: float
    value: float
    low: float | None
    high: float | None
    best: bool


@dataclass(frozen=True)
class CostPanel:
    """All variants by one cost."""

    heading: str
    log: bool
    points: tuple[CostPoint, ...]


@dataclass(frozen=True)
class CostData:
    """A panel for each cost that differs between variants. scale: the ends of that of the metric."""

    name: str
    title: str
    caption: str
    alt: str
    absent: str
    heading: str
    scale: tuple[float, float]
    panels: tuple[CostPanel, ...]


def cost_data(report: Report, by: By = "both") -> CostData:
    """Return the study's metric against training time, parameters or both."""
    metric, wanted = report.table.metric, [cost.name for cost in _COSTS[by]]
    panels = tuple(_panel(report, front) for front in report.costs if front.cost.name in wanted)
    bests = [
        f"{listing(point.variant for point in panel.points if point.best)} by {panel.heading.lower()}"
        for panel in panels
    ]
    shown = [(point.value, point.low, point.high) for panel in panels for point in panel.points]
    scale = figure_intervals.scale(shown)
    line = figure_intervals.caption(shown, scale)
    return CostData(
        name="cost",
        title=f"{metric.label[:1].upper()}{metric.label[1:]} against cost",
        caption=f"Means over the seeds at the median cost of a run{f'; {line}' * bool(line)}. Named and joined are the "
        f"variants for which no other one is as good or better and costs no more (costs within {100 * ALIKE:g} % are "
        f"the same): {'; '.join(bests)}.",
        alt=f"Scatter plot of {metric.label} against cost. Not beaten: {'; '.join(bests)}.",
        absent="" if panels else _WITHOUT,
        heading=metric.heading,
        scale=scale,
        panels=panels,
    )


_WITHOUT = "No two variants differ in cost and have results that mean something, so there is nothing to weigh."


def _panel(report: Report, front: CostFront) -> CostPanel:
    """Return the points of a front in the order of the study. Of very many none has its interval."""
    factor, known = front.metric.quantity.factor, sorted(front.points, key=lambda point: point.index)
    means = {row.name: row.estimates[front.metric.name] for row in report.table.rows}
    heading, divisor = _unit(front.cost.quantity, max(point.cost for point in known))
    points = []
    for point in known:
        one = means[point.variant]
        ends = (one.low, one.high) if len(known) <= figure_labels.MOST_NAMED else (None, None)
        low, high = (None if end is None else factor * end for end in ends)
        points.append(
            CostPoint(
                point.variant, point.index, point.cost / divisor, factor * point.mean, low, high, not point.beaten_by
            )
        )
    return CostPanel(heading, figure_scales.spans_far(point.cost for point in points), tuple(points))


def _unit(cost: Quantity, largest: float) -> tuple[str, float]:
    if cost.name == SECONDS.name:
        divisor, unit = next((one for one in _TIMES if largest >= 2 * one[0]), (1.0, "seconds"))
        return f"Training time of a run ({unit})", divisor
    divisor, unit = next((one for one in _COUNTS if largest >= one[0]), (1.0, ""))
    return f"Parameters{f' ({unit})' * bool(unit)}", divisor


def draw_cost(data: CostData) -> Figure:
    """Draw a panel for each cost, below each other where the figure is narrow. `data` must have panels."""
    with drawing.styled():
        narrow, several = style().width <= NARROW, len(data.panels)
        figure = drawing.new_figure(height=3.6 * (several if narrow else 1))
        shape = (several, 1) if narrow else (1, several)
        grid = figure.subplots(*shape, squeeze=False, sharey=True).flat
        for place, (axes, panel) in enumerate(zip(grid, data.panels, strict=True)):
            axes.set_ylim(data.scale)
            _draw_points(axes, panel)
            axes.set_xlabel(panel.heading)
            if place == 0 or narrow:
                axes.set_title(data.heading, loc="left", pad=0.9 * style().points)
        figure.draw_without_rendering()
        for axes, panel in zip(figure.axes, data.panels, strict=True):
            _name_points(axes, panel.points)
    return figure


def _draw_points(axes: Axes, panel: CostPanel) -> None:
    from .notebook_figure import belongs

    lines = style().lines
    best = sorted((point for point in panel.points if point.best), key=lambda point: point.cost)
    axes.plot(
        [p.cost for p in best],
        [p.value for p in best],
        color=drawing.MUTED,
        linewidth=0.8 * lines,
        linestyle=drawing.DASHED,
    )
    many = len(panel.points) > figure_labels.MOST_NAMED
    if many:
        rest = [point for point in panel.points if not point.best]
        axes.plot([p.cost for p in rest], [p.value for p in rest], "o", color=drawing.MUTED, alpha=0.35, ms=3 * lines)
    for point in best if many else panel.points:
        colour, faint = drawing.colour_of(point.index), 1.0 if point.best else 0.55
        marker = drawing.own_marker(point.index)
        if point.low is not None and point.high is not None:
            line = {"color": colour, "linewidth": lines, "alpha": 0.5 * faint}
            figure_intervals.draw_interval(axes, "up", point.cost, (point.low, point.high), point.index, **line)
        face = {} if point.best else {"mfc": drawing.PAPER}
        look: dict[str, Any] = {
            "color": colour,
            "ms": 5.5 * lines,
            "zorder": 3,
            "linestyle": "",
            "alpha": faint,
            **face,
        }
        belongs(axes.plot(point.cost, point.value, marker=marker, **look)[0], point.index)
    axes.margins(x=0.12)
    costs = [point.cost for point in panel.points]
    figure_scales.scaled(axes, "x", panel.log, min(costs), max(costs))
    axes.tick_params(length=3)


def _name_points(axes: Axes, points: Sequence[CostPoint]) -> None:
    """Name the best at their cost, and all where they are few, where a name covers nothing."""
    few = len(points) <= 8
    named = sorted((p for p in points if p.best or few), key=lambda point: not point.best)
    names = figure_labels.short_names((point.variant for point in points), figure_labels.longest())
    places = PlacedNames(axes, [(point.cost, point.value) for point in points])
    for point in named:
        places.name(names[point.variant], (point.cost, point.value), point.index)
