"""Curves of more variants than one pair of axes can hold: a panel for each, over the variant before it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import counted
from . import drawing, figure_labels, figure_scales
from .styles import NARROW, style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .content import Report
    from .drawing import Curve

MOST_TOGETHER = 5
"""More variants than these are not told apart on the same axes."""
MOST_PANELS = 24
MOST_GREY = 12
"""Of more lines than these, the rest is shown as the range that it fills."""


@dataclass(frozen=True)
class FigurePoint:
    """A reported number, drawn as a hollow marker at the variant's last epoch."""

    variant: str
    index: int
    epoch: int
    value: float


@dataclass(frozen=True)
class CurvePanel:
    """The panel of a variant. before: the one that it changes; empty for a baseline, which has a panel alone."""

    variant: str
    before: str


@dataclass(frozen=True)
class Sides:
    """What panels show from below to above, and what from left to right."""

    up: str
    along: str = "Epoch"


@dataclass(frozen=True)
class Beneath:
    """What is drawn in a low strip beneath each panel. log: on a log scale."""

    curves: tuple[Curve, ...]
    log: bool


def curve_panels(report: Report, drawn: set[str]) -> tuple[tuple[CurvePanel, ...], str]:
    """Return which of the variants that are drawn have a panel, and what the caption says of it; none for few."""
    if len(drawn) <= MOST_TOGETHER:
        return (), ""
    sections = {section.name: section.parent for section in report.sections}
    every = [name for name in sections if name in drawn]
    changed = [name for name in every if sections[name] in drawn] or every
    kept = set(sorted(changed, key=lambda name: -_size(report, name))[:MOST_PANELS])
    panels = tuple(
        CurvePanel(name, sections[name] if sections[name] in drawn else "") for name in changed if name in kept
    )
    befores = {panel.before for panel in panels}
    over = befores.pop() if len(befores) == 1 else "the one that it changes, named below its own name"
    about = f"Each panel has one variant in its colour over {over or 'all others'} (dark and thin); the rest is grey. "
    if left := len(changed) - len(kept):
        most = f"the {len(kept)} that differ most"
        about += f"Of {counted(len(changed), 'variant')}, {most} have a panel; {left} are in the grey alone. "
    return panels, about


def _size(report: Report, name: str) -> float:
    """Return how much a variant differs from what it is compared with, 0 where that is not known."""
    row = next(row for row in report.table.rows if row.name == name)
    size = abs(row.compared.mean) if row.compared else math.nan
    return size if math.isfinite(size) else 0.0


def draw_reported(axes: Axes, mark: FigurePoint) -> None:
    """Draw a reported number as a hollow circle."""
    from .notebook_figure import belongs

    lines = style().lines
    ring: dict[str, Any] = {"mfc": "none", "mew": 1.3 * lines, "ms": 7 * lines, "zorder": 3.5}
    belongs(axes.plot(mark.epoch, mark.value, "o", mec=drawing.colour_of(mark.index), **ring)[0], mark.index)


def draw_panels(
    panels: Sequence[CurvePanel],
    curves: Sequence[Curve],
    sides: Sides,
    looks: Mapping[str, Mapping[str, Any]],
    reported: Sequence[FigurePoint] = (),
    beneath: Beneath | None = None,
) -> Figure:
    """Draw a panel for each of these variants, all on the same scales. looks: what a key explains, if anything."""
    grid = _Grid(len(panels), beneath is not None)
    figure = drawing.new_figure(grid.height, exact=True)
    figure.set_layout_engine("none")  # several times as fast, with what is known of these panels
    figure.fixed = True
    names = figure_labels.short_names([*(p.variant for p in panels), *(p.before for p in panels)], grid.letters)
    several = len({panel.before for panel in panels}) > 1
    of: dict[str, list[Curve]] = {}
    for curve in curves:
        of.setdefault(curve.variant, []).append(curve)
    marks = {mark.variant: mark for mark in reported}
    tests = [curve for curve in curves if curve.part == "test"] or list(curves)
    lows, highs = zip(*(_ends(curve) for panel in panels for curve in of[panel.variant]), strict=True)
    room = 0.05 * (max(highs) - min(lows)) or 1.0
    first: Axes | None = None
    strips = _Strips(figure, grid, beneath) if beneath else None
    for place, panel in enumerate(panels):
        axes = figure.add_axes(grid.box(place), sharex=first, sharey=first)
        first = first or axes
        outer = place + grid.columns >= len(panels)
        if strips:
            strips.draw(place, panel, axes, named=outer)
        before = [curve for curve in of.get(panel.before, []) if curve in tests]
        rest = [curve for curve in tests if curve.variant not in (panel.variant, panel.before)]
        _draw_rest(axes, rest)
        _draw_panel(axes, before, of[panel.variant])
        if panel.variant in marks:
            draw_reported(axes, marks[panel.variant])
        _head(axes, names[panel.variant], of[panel.variant][0].index, names[panel.before] if several else "")
        axes.tick_params(length=2.5, labelleft=place % grid.columns == 0, labelbottom=outer and not strips)
        axes.set_ylim(min(lows) - room, max(highs) + room)
    assert first is not None
    if strips:
        strips.finish()
    longest = max(curve.epochs[-1] for panel in panels for curve in of[panel.variant])
    figure_scales.whole_epochs(first, longest, 4)
    figure_scales.few_ticks(first, 4)
    figure.text(0.006, 1 - 0.25 * style().line / grid.height, sides.up, va="top", ha="left")
    figure.text(0.5, 0.3 * style().line / grid.height, sides.along, va="bottom", ha="center")
    if looks:
        drawing.figure_key(figure, looks)
    return figure


class _Grid:
    """Where the panels of a figure are, in shares of it. strips: each has a low one beneath it."""

    def __init__(self, panels: int, strips: bool) -> None:
        now = style()
        self.columns = min(panels, 4 if now.width > NARROW else 2)
        self.rows = math.ceil(panels / self.columns)
        self._top, self._bottom, self._left, gap = 1.7 * now.line, 2.9 * now.line, 3.2 * now.line, 0.16
        self._across = (now.width - self._left + gap - 0.14) / self.columns
        self._wide = self._across - gap
        self._high = max(0.62 * self._wide, 6 * now.line)
        self._strip = max(0.2 * self._wide, 2.6 * now.line) if strips else 0.0
        self._apart = 0.4 * now.line if strips else 0.0
        self._down = self._high + self._apart + self._strip + 2.9 * now.line
        self.height = self._top + self._bottom - 0.5 * now.line + self.rows * self._down
        self.letters = max(8, int(self._wide * 72 / (0.64 * now.points)))

    def box(self, place: int) -> tuple[float, float, float, float]:
        """Return left, bottom, width and height of a panel."""
        return self._box(place, self._strip + self._apart, self._high)

    def strip(self, place: int) -> tuple[float, float, float, float]:
        """Return left, bottom, width and height of the strip beneath a panel."""
        return self._box(place, 0.0, self._strip)

    def _box(self, place: int, above: float, high: float) -> tuple[float, float, float, float]:
        row, column = divmod(place, self.columns)
        left = self._left + column * self._across
        below = self.height - self._top - (row + 1) * self._down + 0.5 * style().line + above
        return left / style().width, below / self.height, self._wide / style().width, high / self.height


class _Strips:
    """Draws the low axes beneath panels, all on one scale of their own."""

    def __init__(self, figure: Figure, grid: _Grid, beneath: Beneath) -> None:
        self._figure, self._grid, self._beneath = figure, grid, beneath
        self._curves = {curve.variant: curve for curve in beneath.curves}
        self._first: Axes | None = None

    def draw(self, place: int, panel: CurvePanel, above: Axes, *, named: bool) -> None:
        """Draw the strip of a panel. named: the scale of its epochs is written beneath it."""
        axes = self._figure.add_axes(self._grid.strip(place), sharex=above, sharey=self._first)
        self._first = self._first or axes
        own = self._curves.get(panel.variant)
        before = self._curves.get(panel.before)
        _draw_panel(axes, [before] if before else [], [own] if own else [])
        first_in_row = place % self._grid.columns == 0
        axes.tick_params(length=2.5, labelleft=first_in_row, labelbottom=named)

    def finish(self) -> None:
        """Give all strips their scale."""
        assert self._first is not None
        axes, values = self._first, [value for curve in self._curves.values() for value in curve.mean]
        axes.set_ylim(0 if min(values) >= 0 else None, max(values) * 1.1 or 1.0)
        if self._beneath.log:
            positive = [value for value in values if value > 0]
            axes.set_ylim(min(positive) / 1.5, max(positive) * 1.5)
            figure_scales.log_scale(axes)
        else:
            figure_scales.few_ticks(axes, 2)


def _ends(curve: Curve) -> tuple[float, float]:
    return min(curve.mean), max(curve.mean)


def _draw_rest(axes: Axes, rest: Sequence[Curve]) -> None:
    """Draw the other variants in grey: each as a line, or of many the range that they fill."""
    from .notebook_figure import belongs

    if len(rest) <= MOST_GREY:
        for curve in rest:
            line = axes.plot(curve.epochs, curve.mean, color=drawing.MUTED, alpha=0.35, linewidth=0.6 * style().lines)
            belongs(line[0], curve.index)
        return
    found: dict[int, list[float]] = {}
    for curve in rest:
        for epoch, value in zip(curve.epochs, curve.mean, strict=True):
            found.setdefault(epoch, []).append(value)
    epochs = sorted(found)
    lows, highs = [min(found[epoch]) for epoch in epochs], [max(found[epoch]) for epoch in epochs]
    axes.fill_between(epochs, lows, highs, color=drawing.MUTED, alpha=0.2, linewidth=0)


def _draw_panel(axes: Axes, before: Sequence[Curve], own: Sequence[Curve]) -> None:
    from .notebook_figure import belongs, shows

    lines = style().lines
    for curve in before:
        belongs(axes.plot(curve.epochs, curve.mean, color=drawing.INK, linewidth=0.9 * lines)[0], curve.index)
        if len(curve.epochs) == 1:
            belongs(axes.plot(curve.epochs, curve.mean, "o", color=drawing.INK, ms=2.5 * lines)[0], curve.index)
    for curve in own:
        drawing.draw_curve(axes, curve, each_seed=False, marked=False)
    shows(axes, [(curve.index, curve.metric) for curve in (*own, *before)])


def _head(axes: Axes, name: str, index: int, before: str) -> None:
    """Write a panel's variant above it, and beneath in small letters what it changes, where panels differ in that."""
    from .notebook_figure import belongs

    points = style().points
    small: dict[str, Any] = {"fontsize": 0.85 * points, "color": drawing.MUTED}
    above: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    offset = 0.35 * points + (1.15 * points if before else 0)
    belongs(axes.annotate(name, (0, 1), (0, offset), color=drawing.colour_of(index), **above), index)
    if before:
        axes.annotate(f"over {before}", (0, 1), (0, 0.35 * points), **small, **above)
