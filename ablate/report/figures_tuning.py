"""The figures of tuning: what trials bring, where they looked, and the best trade-offs. Numbers first, then drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..components.contracts import Range
from ..errors import listing
from ..stats.trials import best_so_far, crossings, expected_best
from ..tune.records import maximised
from . import drawing, outcomes
from .drawing import Curve
from .figures import LOG_FROM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

    from ..stats.trials import Crossing
    from ..tune.records import TrialRecord, VariantTuning
    from .content import Records

LR, DECAY = "optimizer.lr", "optimizer.weight_decay"
BEYOND = 0.07
"""How far outside its range a setting is drawn that lies anywhere beyond it, as a share of the range."""
FAINT = 0.28


@dataclass(frozen=True)
class BudgetData:
    """The best value by number of trials, in the unit of the heading: so far in their order, and expected of any.

    ends: of the scale, which shows all of what is expected; a first trial far worse than that would leave no room.
    """

    name: str
    title: str
    caption: str
    alt: str
    absent: str
    heading: str
    best: tuple[Curve, ...]
    expected: tuple[Curve, ...]
    crossings: tuple[Crossing, ...]
    ends: tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """What one side of a panel shows, from low to high."""

    label: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> tuple[float, bool]:
        """Return where a value is drawn, and whether that is beyond an end and not at the value."""
        if self.log and value <= 0:
            return self.at(-BEYOND), True
        if self.low <= value <= self.high:
            return value, False
        return self.at(-BEYOND if value < self.low else 1 + BEYOND), True

    def at(self, share: float) -> float:
        """Return the value at a share of the way from low to high."""
        if self.log:
            return math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        return self.low + share * (self.high - self.low)


@dataclass(frozen=True)
class Point:
    """One trial in a panel. behind: how much worse than the variant's best, None without a value.

    beyond: it is drawn at the edge, since a setting lies outside its range or it has no value to be drawn at.
    """

    trial: int
    x: float
    y: float
    state: str
    behind: float | None
    beyond: bool


@dataclass(frozen=True)
class Panel:
    """The trials of one variant on two settings, or on one setting and their value."""

    variant: str
    index: int
    x: Axis
    y: Axis
    points: tuple[Point, ...]
    best: Point | None
    default: Point | None


@dataclass(frozen=True)
class SettingsData:
    """A panel for each variant. farthest: where the scale of `behind` ends."""

    name: str
    title: str
    caption: str
    alt: str
    absent: str
    scale: str
    farthest: float
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Cloud:
    """The trials of one variant, a row of objectives each, in the units of the headings; front: which none beats."""

    variant: str
    index: int
    rows: tuple[tuple[float, ...], ...]
    front: tuple[int, ...]


@dataclass(frozen=True)
class TradeOffData:
    """The first objective against each other one. logs: which of the headings need a log scale."""

    name: str
    title: str
    caption: str
    alt: str
    absent: str
    headings: tuple[str, ...]
    logs: tuple[bool, ...]
    clouds: tuple[Cloud, ...]


TuningData = BudgetData | SettingsData | TradeOffData


def tuning_figures(records: Records) -> list[TuningData]:
    """Return the figures of tuning that there is a reason to show; none without tuning."""
    tunings = outcomes.tuned_now(records.study, records.tunings)
    if not tunings:
        return []
    several = any(len(tuning.objectives) > 1 for tuning in tunings)
    return [budget_data(records), settings_data(records), *([trade_off_data(records)] if several else [])]


def draw_tuning(data: TuningData) -> Figure:
    """Draw one of the figures of tuning, which must not be absent."""
    if isinstance(data, BudgetData):
        return draw_budget(data)
    return draw_settings(data) if isinstance(data, SettingsData) else draw_trade_offs(data)


# --- what trials bring -------------------------------------------------------------------------------------


def budget_data(records: Records) -> BudgetData:
    """Return the best value by number of trials of every variant that was tuned for the same as the first one."""
    alike, others = _alike(records)
    objective = alike[0].objectives[0] if alike else "validation/accuracy"
    best, expected, told = [], [], []
    for tuning in alike:
        values, index = outcomes.outcomes(tuning), outcomes.place_of(records.study, tuning.variant)
        so_far = best_so_far(values, maximised(objective))
        if not so_far or math.isnan(so_far[-1]):
            others.append(tuning.variant)
            continue
        best.append(_curve(tuning.variant, index, "best", so_far, objective))
        expected.append(
            _curve(tuning.variant, index, "expected", expected_best(values, maximised(objective)), objective)
        )
        told.append(f"{tuning.variant} {outcomes.told(so_far[-1], objective)} after {len(values)} trials")
    found = crossings({curve.variant: curve.mean for curve in expected})
    ends = _ends(best, expected)
    cut = any(not ends[0] <= value <= ends[1] for curve in best for value in curve.mean)
    return BudgetData(
        name="tuning-budget",
        title="What trials bring",
        caption=f"Left: the best {outcomes.name(objective)} so far, in the order of the trials. Right: the best one "
        "to be expected of so many trials drawn from those that were made, in any order; a trial without a value "
        "counts as the worst of the others. The sampler learns as it goes, which the right side leaves out. "
        + _about_crossings(found, maximised(objective))
        + " First trials that are much worse than what is expected lie outside the scale." * cut
        + (f" Not drawn: {listing(others)}." if others else ""),
        alt=f"Line chart of the best {outcomes.name(objective)} by number of trials. Best found: {'; '.join(told)}.",
        absent="" if best else "No trial has a result yet, so there is no best one to draw.",
        heading=outcomes.heading(objective),
        best=tuple(best),
        expected=tuple(expected),
        crossings=found,
        ends=ends,
    )


def _alike(records: Records) -> tuple[list[VariantTuning], list[str]]:
    """Return the tunings with the first objective of the first one, and the names of the other variants."""
    tunings = outcomes.tuned_now(records.study, records.tunings)
    alike = [tuning for tuning in tunings if tuning.objectives[0] == tunings[0].objectives[0]]
    return alike, [tuning.variant for tuning in tunings if tuning not in alike]


def _curve(variant: str, index: int, part: str, values: Sequence[float], objective: str) -> Curve:
    """Return values by number of trials as a curve, from the first one that is known."""
    known = [(n, outcomes.drawn(value, objective)) for n, value in enumerate(values, 1) if math.isfinite(value)]
    numbers_of_trials, mean = zip(*known, strict=True)
    return Curve(variant, index, part, numbers_of_trials, mean, mean, mean, (mean,))


def _ends(best: Sequence[Curve], expected: Sequence[Curve]) -> tuple[float, float]:
    """Return a scale for all that is expected and all that was found in the end, with a margin."""
    shown = [value for curve in expected for value in curve.mean] + [curve.mean[-1] for curve in best]
    low, high = min(shown, default=0.0), max(shown, default=1.0)
    room = 0.06 * (high - low) or 0.01 * abs(high) or 1.0
    return low - room, high + room


def _about_crossings(found: Sequence[Crossing], maximise: bool) -> str:
    if not found:
        return "The order of the variants is the same for every number of trials."
    ordered = ((c, (c.rises, c.falls) if maximise else (c.falls, c.rises)) for c in found)
    passes = (f"{one} passes {other} at {math.floor(c.trials) + 1} trials" for c, (one, other) in ordered)
    return f"Rings mark where the order of two variants changes: {listing(passes, most=6)}."


def draw_budget(data: BudgetData) -> Figure:
    """Draw both sides on one scale. `data` must have curves."""
    with drawing.styled():
        figure = drawing.new_figure(height=3.9)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.15))
        for curve in data.best:
            left.step(curve.epochs, curve.mean, where="post", color=drawing.colour_of(curve.index), linewidth=1.5)
            left.plot(curve.epochs[-1], curve.mean[-1], "o", color=drawing.colour_of(curve.index), markersize=3.5)
        for curve in data.expected:
            drawing.draw_curve(right, curve, each_seed=False)
        for crossing in data.crossings:
            ring = {"mfc": "none", "mec": "#111111", "mew": 1.1, "ms": 7}
            right.plot(crossing.trials, crossing.value, "o", zorder=5, **ring)
        drawing.finish(left, f"{data.heading}: best so far")
        drawing.finish(right, "Expected best")
        left.set_ylim(data.ends)
        for axes in (left, right):
            axes.set_xlabel("Trials")
        drawing.label_ends(figure, right, list(data.expected))
    return figure


# --- where they looked -------------------------------------------------------------------------------------


def settings_data(records: Records) -> SettingsData:
    """Return the trials on learning rate and weight decay, or on what else was tuned, of every variant."""
    alike, left_out = _alike(records)
    panels = []
    for tuning in alike:
        panel = _panel(tuning, outcomes.place_of(records.study, tuning.variant)) if tuning.best else None
        if panel:
            panels.append(panel)
        else:
            left_out.append(tuning.variant)
    objective = alike[0].objectives[0] if alike else "validation/accuracy"
    behind = sorted(p.behind for panel in panels for p in panel.points if p.behind is not None)
    bests = "; ".join(f"{t.variant} {outcomes.settings(t.best.settings)}" for t in alike if t.best)
    return SettingsData(
        name="tuning-settings",
        title="Where the trials looked",
        caption=_about_panels(panels) + (f" Without a panel: {listing(left_out)}." if left_out else ""),
        alt=f"Scatter plots of the trials by their settings. Best settings: {bests}.",
        absent="" if panels else "No variant has trials with results on a range of numbers, so there is none to draw.",
        scale=f"Behind the variant’s best ({'points' if maximised(objective) else outcomes.name(objective)})",
        # A few trials that went badly wrong would leave one colour for all the others.
        farthest=behind[math.ceil(0.75 * (len(behind) - 1))] or 1.0 if behind else 1.0,
        panels=tuple(panels),
    )


def shown_settings(tuning: VariantTuning) -> tuple[str, ...]:
    """Return the one or two settings that a panel shows: learning rate and weight decay, else those that matter most.

    Only ranges of numbers can be shown; without importances they come in the order of the space.
    """
    ranges = [label for label, part in tuning.space.items() if isinstance(part, Range) and part.low < part.high]
    if LR in ranges and DECAY in ranges:
        return LR, DECAY
    return tuple(sorted(ranges, key=lambda label: -tuning.importances.get(label, 0.0))[:2])


def _panel(tuning: VariantTuning, index: int) -> Panel | None:
    labels = shown_settings(tuning)
    axes = [
        Axis(label, part.low, part.high, part.log) for label in labels if isinstance(part := tuning.space[label], Range)
    ]
    if not axes:
        return None
    objective, best = tuning.objectives[0], tuning.best
    if len(axes) == 1:
        axes.append(_value_axis(tuning))
    points = {
        trial.number: _point(trial, places, axes, tuning)
        for trial in outcomes.ended(tuning)
        if len(places := _numbers(trial, labels)) == len(labels)
    }
    default = next((trial.number for trial in outcomes.ended(tuning) if trial.default), -1)
    return Panel(
        variant=tuning.variant,
        index=index,
        x=axes[0],
        y=axes[1],
        points=tuple(points.values()),
        best=points.get(best.number) if best else None,
        default=points.get(default),
    )


def _value_axis(tuning: VariantTuning) -> Axis:
    values = [outcomes.drawn(outcomes.first(trial), tuning.objectives[0]) for trial in tuning.done]
    low, high = min(values), max(values)
    return Axis(outcomes.heading(tuning.objectives[0]), low, high if high > low else low + 1)


def _numbers(trial: TrialRecord, labels: Sequence[str]) -> list[float]:
    """Return those of the settings that are numbers; a default may leave some to the component."""
    found = (trial.settings.get(label) for label in labels)
    return [float(value) for value in found if isinstance(value, int | float) and math.isfinite(value)]


def _point(trial: TrialRecord, places: Sequence[float], axes: Sequence[Axis], tuning: VariantTuning) -> Point:
    best, objective = tuning.best, tuning.objectives[0]
    value = outcomes.drawn(outcomes.first(trial), objective) if trial.state == "done" else None
    if len(places) == 1:  # what has no value stands on the side of the worst
        worst = -math.inf if maximised(objective) else math.inf
        places = [places[0], worst if value is None else value]
    (x, left), (y, below) = (axis.place(at) for axis, at in zip(axes, places, strict=True))
    behind = abs(outcomes.drawn(outcomes.first(best), objective) - value) if best and value is not None else None
    return Point(trial.number, x, y, trial.state, behind, left or below)


def _about_panels(panels: Sequence[Panel]) -> str:
    states = {point.state for panel in panels for point in panel.points}
    said = ["Each point is a trial, darker the nearer it comes to the best one of its variant."]
    said.append("A star is the best trial" + (", a diamond the default." if any(p.default for p in panels) else "."))
    hollow = {"circles are pruned": {"pruned"}, "triangles diverged or failed": {"diverged", "failed"}}
    if shown := [words for words, of in hollow.items() if of & states]:
        said.append(f"Hollow {' and '.join(shown)}.")
    said.append("The tinted field is the space that was searched.")
    if beyond := [panel.variant for panel in panels if panel.default and panel.default.beyond]:
        said.append(f"The default of {listing(beyond)} lies outside it and stands at the edge.")
    if unknown := [panel.variant for panel in panels if panel.default is None]:
        said.append(f"The default of {listing(unknown)} has no place in it: a setting is the component’s own.")
    return " ".join(said)


def draw_settings(data: SettingsData) -> Figure:
    """Draw a panel for each variant, with one scale of colours. `data` must have panels."""
    with drawing.styled():
        columns = len(data.panels) if len(data.panels) <= 3 else 2 if len(data.panels) == 4 else 3
        rows = math.ceil(len(data.panels) / columns)
        figure = drawing.new_figure(height=0.5 + 2.35 * rows if columns > 1 else 3.9)
        grid = list(figure.subplots(rows, columns, squeeze=False).flat)
        shades = None
        for axes, panel in zip(grid, data.panels, strict=False):
            shades = _draw_panel(axes, panel, data.farthest) or shades
        for axes in grid[len(data.panels) :]:
            axes.set_visible(False)
        _share_labels(data.panels, grid, columns)
        if shades is not None:
            bar = figure.colorbar(shades, ax=grid, shrink=0.9 if rows == 1 else 0.5, pad=0.02, extend="max")
            bar.set_label(data.scale)
            bar.outline.set_visible(False)
    return figure


def _draw_panel(axes: Axes, panel: Panel, farthest: float) -> PathCollection | None:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    drawing.scaled(axes, "x", panel.x.log, panel.x.low, panel.x.high)
    drawing.scaled(axes, "y", panel.y.log, panel.y.low, panel.y.high)
    axes.set_xlim(panel.x.at(-2 * BEYOND), panel.x.at(1 + 2 * BEYOND))
    axes.set_ylim(panel.y.at(-2 * BEYOND), panel.y.at(1 + 2 * BEYOND))
    width, height = panel.x.high - panel.x.low, panel.y.high - panel.y.low
    axes.add_patch(Rectangle((panel.x.low, panel.y.low), width, height, color="#f1f4f8", linewidth=0, zorder=0))
    axes.grid(False)
    for state, marker in (("pruned", "o"), ("diverged", "^"), ("failed", "^")):
        hollow = [point for point in panel.points if point.state == state]
        axes.scatter(*_places(hollow), s=20, marker=marker, facecolors="none", edgecolors="#9a9a9a", linewidths=0.9)
    valued = [point for point in panel.points if point.behind is not None]
    shades = axes.scatter(
        *_places(valued), s=24, c=[point.behind or 0.0 for point in valued], cmap="viridis", vmin=0, vmax=farthest,
        edgecolors="#444444", linewidths=0.4, zorder=2.5,
    )  # fmt: skip
    ink = "#111111"
    if panel.default:
        axes.scatter(*_places([panel.default]), s=52, marker="D", facecolors="none", edgecolors=ink, zorder=4)
    if panel.best:
        axes.scatter(*_places([panel.best]), s=130, marker="*", facecolors="#D55E00", edgecolors=ink, zorder=4)
    colour = tuple(0.75 * part for part in to_rgb(drawing.colour_of(panel.index)))
    axes.set_title(drawing.shortened(panel.variant), loc="left", fontsize=9, pad=6, color=colour)
    axes.tick_params(length=3, width=0.8)
    return shades if valued else None


def _places(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [point.x for point in points], [point.y for point in points]


def _share_labels(panels: Sequence[Panel], grid: Sequence[Axes], columns: int) -> None:
    """Write what all panels share once, at the left and below."""
    same_x, same_y = len({panel.x for panel in panels}) == 1, len({panel.y for panel in panels}) == 1
    for place, (axes, panel) in enumerate(zip(grid, panels, strict=False)):
        if not same_x or place + columns >= len(panels):
            axes.set_xlabel(drawing.shortened(panel.x.label))
        if not same_y or place % columns == 0:
            axes.set_ylabel(drawing.shortened(panel.y.label))


# --- trade-offs --------------------------------------------------------------------------------------------


def trade_off_data(records: Records) -> TradeOffData:
    """Return the trials by all objectives of the variants that have the objectives of the first one with several."""
    tunings = [t for t in outcomes.tuned_now(records.study, records.tunings) if len(t.objectives) > 1]
    objectives = tunings[0].objectives if tunings else ()
    clouds = []
    for tuning in (t for t in tunings if t.objectives == objectives and t.done):
        inside = {trial.number for trial in outcomes.front_of(tuning)}
        rows = tuple(
            tuple(outcomes.drawn(value, goal) for value, goal in zip(trial.values, objectives, strict=True))
            for trial in tuning.done
        )
        places = tuple(place for place, trial in enumerate(tuning.done) if trial.number in inside)
        clouds.append(Cloud(tuning.variant, outcomes.place_of(records.study, tuning.variant), rows, places))
    spans = [[row[place] for cloud in clouds for row in cloud.rows] for place in range(len(objectives))]
    sizes = listing(f"{cloud.variant} {len(cloud.front)} of {len(cloud.rows)} trials" for cloud in clouds)
    return TradeOffData(
        name="tuning-trade-offs",
        title="Best trade-offs",
        caption=f"Trials that no other trial of the same variant beats in all of "
        f"{listing(outcomes.name(goal) for goal in objectives)} stand out"
        + (", joined by a line" if len(objectives) == 2 else "; with more than two, some lie behind others here")
        + ". The others are faint.",
        alt=f"Scatter plot of {' against '.join(outcomes.name(goal) for goal in objectives)}. Not beaten: {sizes}.",
        absent="" if clouds else "No trial has a result yet, so there is no trade-off to draw.",
        headings=tuple(map(outcomes.heading, objectives)),
        logs=tuple(bool(span) and min(span) > 0 and max(span) > LOG_FROM * min(span) for span in spans),
        clouds=tuple(clouds),
    )


def draw_trade_offs(data: TradeOffData) -> Figure:
    """Draw the first objective against each other one. `data` must have clouds."""
    with drawing.styled():
        others = range(1, len(data.headings))
        figure = drawing.new_figure(height=3.9)
        for axes, other in zip(figure.subplots(1, len(others), sharey=True, squeeze=False).flat, others, strict=True):
            for cloud in data.clouds:
                _draw_cloud(axes, cloud, other, joined=len(others) == 1)
            sides: tuple[tuple[Literal["x", "y"], int], ...] = (("x", other), ("y", 0))
            for side, place in sides:
                column = [row[place] for cloud in data.clouds for row in cloud.rows]
                drawing.scaled(axes, side, data.logs[place], min(column), max(column))
            axes.set_xlabel(data.headings[other])
            axes.tick_params(length=3, width=0.8)
            if other == 1:
                axes.set_title(data.headings[0], loc="left", fontsize=9, pad=8)
        drawing.name_colours(figure, {cloud.variant: cloud.index for cloud in data.clouds})
    return figure


def _draw_cloud(axes: Axes, cloud: Cloud, other: int, *, joined: bool) -> None:
    colour = drawing.colour_of(cloud.index)
    inside = sorted((cloud.rows[place] for place in cloud.front), key=lambda row: row[other])
    behind = [row for place, row in enumerate(cloud.rows) if place not in cloud.front]
    axes.scatter([r[other] for r in behind], [r[0] for r in behind], s=16, color=colour, alpha=FAINT, linewidths=0)
    axes.plot([r[other] for r in inside], [r[0] for r in inside], "o", color=colour, markersize=5, zorder=3)
    if joined:
        axes.plot([r[other] for r in inside], [r[0] for r in inside], color=colour, linewidth=1.2, alpha=0.7)
