"""Differences on each dataset and over all as one forest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import numbers
from ..errors import counted
from . import drawing, figure_intervals, figure_labels, figure_scales, verdict_text
from .figures_differences import LOOKS
from .styles import NARROW, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..stats.comparison import Comparison, Verdict
    from .over_content import OverReport

MOST_ROWS = 60
OVER_ALL = "over all"


@dataclass(frozen=True)
class OverRow:
    """A difference on one dataset or over all, in the unit in which it is drawn. said: it with its interval."""

    dataset: str
    difference: float
    low: float | None
    high: float | None
    verdict: Verdict
    said: str
    over_all: bool = False


@dataclass(frozen=True)
class OverGroup:
    """One comparison: its rows, those of the datasets first."""

    candidate: str
    reference: str
    index: int
    rows: tuple[OverRow, ...]


@dataclass(frozen=True)
class OverFigure:
    """The differences of each comparison on each dataset. scale: its ends."""

    name: str
    title: str
    caption: str
    alt: str
    absent: str
    heading: str
    higher: bool
    margin: float | None
    scale: tuple[float, float]
    groups: tuple[OverGroup, ...]


def over_data(made: OverReport) -> OverFigure:
    """Return the rows of the forest; of many comparisons the first ones that fit."""
    groups: list[OverGroup] = []
    left = 0
    places = {row.variant: row.index for row in made.rows}
    for one in made.comparisons:
        rows = tuple(_row(name, one.on[name]) for name in one.datasets)
        if one.mean is not None and one.mean.n > 1:
            rows = (*rows, _row(OVER_ALL, one.mean, over_all=True))
        if not rows:
            continue
        if groups and sum(len(group.rows) + 1 for group in groups) + len(rows) + 1 > MOST_ROWS:
            left += 1
            continue
        groups.append(OverGroup(one.candidate, one.reference, places[one.candidate], rows))
    every = [(row.difference, row.low, row.high) for group in groups for row in group.rows]
    factor, step = made.metric.quantity.factor, made.metric.quantity.step
    room = 1.4 * factor * (made.margin or 0)
    scale = figure_intervals.scale(every, (-room, room))
    return OverFigure(
        name="over-datasets",
        title=f"Differences in {made.metric.label} on each dataset" + " and over all" * made.one_scale,
        caption=_caption(made, every, scale, left),
        alt=f"Forest plot of differences in {made.metric.label}. "
        + "; ".join(
            f"{group.candidate} against {group.reference}, {row.dataset}: {row.said}, {row.verdict}"
            for group in groups for row in group.rows
        )
        + ".",
        absent="" if groups else "On no dataset do two variants that are compared have a result yet.",
        heading=f"Difference in {made.metric.label}{f' ({step})' * bool(step)}",
        higher=made.metric.higher_is_better,
        margin=None if made.margin is None else factor * made.margin,
        scale=scale,
        groups=tuple(groups),
    )  # fmt: skip


def _row(name: str, one: Comparison, over_all: bool = False) -> OverRow:
    factor = one.metric.quantity.factor
    low, high = (None if end is None else factor * end for end in (one.low, one.high))
    said = verdict_text.bare(one)
    if one.low is not None:
        decimals = numbers.decimals_in(said)
        said += f" [{numbers.ends(one.low, one.high, one.metric.quantity, decimals, signed=True)}]"
    return OverRow(name, factor * one.mean, low, high, one.verdict, said, over_all)


def _caption(made: OverReport, every: list[figure_intervals.Interval], scale: tuple[float, float], left: int) -> str:
    line = figure_intervals.caption(every, scale)
    said = ["Each row is a dataset" + (", the bold one the mean over them." if made.one_scale else ".")]
    said += [f"{line[:1].upper()}{line[1:]}: over seeds on one dataset, over datasets for all." if made.one_scale
             else f"{line[:1].upper()}{line[1:]}, over seeds."] if line else []  # fmt: skip
    said += ["Within the shaded margin a difference does not matter in practice."] if made.margin else []
    said += [f"Not drawn for want of room: {counted(left, 'comparison')}."] if left else []
    return " ".join(said)


def draw_over(data: OverFigure) -> Figure:
    """Draw the forest. `data` must have groups."""
    with drawing.styled():
        now, narrow = style(), style().width <= NARROW
        count = sum(len(group.rows) + 1 for group in data.groups)
        figure = drawing.new_figure((count + 0.5 * len(data.groups)) * 1.25 * now.line + 6.4 * now.line, exact=True)
        figure.fixed = True
        axes = figure.subplots()
        axes.set_xlim(data.scale)
        axes.grid(False)
        if data.margin:
            axes.axvspan(-data.margin, data.margin, color=drawing.GRID, linewidth=0)
        axes.axvline(0, color=drawing.MUTED, linewidth=0.9 * now.lines)
        last = _draw_groups(axes, data, narrow)
        axes.set_ylim(last, -1.0)
        worse, better = ("worse", "better") if data.higher else ("better", "worse")
        axes.set_xlabel(f"{data.heading}\n← {worse}        {better} →")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        figure_scales.few_columns(axes, 3 if narrow or now.points > 12 else 7)
        verdicts = {row.verdict for group in data.groups for row in group.rows}
        shown: dict[str, dict[str, Any]] = {
            verdict: {"linestyle": "", **look} for verdict, look in LOOKS.items() if verdict in verdicts
        }
        drawing.outside_key(figure, shown, 2 if narrow else 4)
    return figure


def _draw_groups(axes: Axes, data: OverFigure, narrow: bool) -> float:
    """Draw the rows of all groups one below the other, and return the place below the last one."""
    names = figure_labels.short_names(
        dict.fromkeys(name for group in data.groups for name in (group.candidate, group.reference)),
        figure_labels.longest(),
    )
    of = figure_labels.short_names(
        dict.fromkeys(r.dataset for g in data.groups for r in g.rows), figure_labels.longest()
    )
    at, ticks, now = 0.0, dict[float, tuple[str, bool]](), style()
    for group in data.groups:
        axes.annotate(
            f"{names[group.candidate]} against {names[group.reference]}", (0, at), (0, 0),
            xycoords=axes.get_yaxis_transform(), textcoords="offset points", va="center", weight="bold",
            annotation_clip=False,
        )  # fmt: skip
        for row in group.rows:
            at += 1
            ticks[at] = of[row.dataset], row.over_all
            _draw_row(axes, at, group, row)
            if not narrow:
                axes.annotate(
                    row.said, (1, at), (0.9 * now.points, 0), xycoords=axes.get_yaxis_transform(),
                    textcoords="offset points", va="center", annotation_clip=False,
                    weight="bold" if row.over_all else "normal",
                )  # fmt: skip
        at += 1.5
    axes.set_yticks(list(ticks), [name for name, _ in ticks.values()])
    for label, (_, bold) in zip(axes.get_yticklabels(), ticks.values(), strict=True):
        label.set_fontweight("bold" if bold else "normal")
    return at - 0.5


def _draw_row(axes: Axes, at: float, group: OverGroup, row: OverRow) -> None:
    from .notebook_figure import belongs

    lines, look = style().lines * (1.5 if row.over_all else 1.0), LOOKS[row.verdict]
    if row.low is not None and row.high is not None:
        line = {"color": look["color"], "linewidth": 1.5 * lines}
        figure_intervals.draw_interval(axes, "across", at, (row.low, row.high), group.index, **line)
    made = axes.plot(row.difference, at, ms=5 * lines, mew=1.2 * lines, zorder=3, linestyle="", **look)[0]
    belongs(made, group.index)


@dataclass(frozen=True)
class RanksFigure:
    """Average ranks on a line, with groups within the critical difference. variants: best first, with their ranks."""

    name: str
    title: str
    caption: str
    alt: str
    absent: str
    variants: tuple[tuple[str, float], ...]
    alike: tuple[tuple[float, float], ...]
    distance: float


def ranks_data(made: OverReport) -> RanksFigure:
    """Return the average ranks of a report; absent where it has none."""
    found = made.ranks
    ordered = sorted(zip(found.variants, found.mean, strict=True), key=lambda one: one[1]) if found else []
    ranks = dict(ordered)
    count = len(found.datasets) if found else 0
    return RanksFigure(
        name="ranks",
        title=f"Average ranks by {made.metric.label}",
        caption=f"Over {count} datasets, 1 the best. A bar joins variants whose ranks are no further apart than the "
        "critical difference (CD, Nemenyi’s, at 5 % over all pairs), so that they are not shown to differ.",
        alt="Average ranks. " + "; ".join(f"{name} {rank:.2f}" for name, rank in ordered) + ".",
        absent="" if found else "There are no average ranks.",
        variants=tuple(ordered),
        alike=tuple((ranks[group[0]], ranks[group[-1]]) for group in found.alike) if found else (),
        distance=found.critical_difference if found else math.nan,
    )


def draw_ranks(data: RanksFigure) -> Figure:
    """Draw the critical-difference diagram. `data` must have variants."""
    with drawing.styled():
        now = style()
        count = len(data.variants)
        half = (count + 1) // 2
        bars = len(data.alike)
        figure = drawing.new_figure((1.35 * half + 0.7 * bars + 5.2) * now.line, exact=True)
        axes = figure.subplots()
        axes.set_xlim(1 - 0.02 * (count - 1), count + 0.02 * (count - 1))
        axes.set_ylim(0.9 + 0.5 * bars + half, -2.6)
        axes.grid(False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.spines["top"].set_visible(True)
        axes.spines["top"].set_position(("data", 0))
        axes.xaxis.set_ticks_position("top")
        axes.set_xticks(range(1, count + 1))
        axes.set_yticks([])
        _draw_distance(axes, data)
        for place, (low, high) in enumerate(data.alike):
            depth = 0.35 + 0.5 * place
            axes.plot((low, high), (depth, depth), color=drawing.INK, linewidth=3.2 * now.lines)
        _name_ranks(axes, data, half, 0.9 + 0.5 * bars)
    return figure


def _draw_distance(axes: Axes, data: RanksFigure) -> None:
    """Show how long the critical difference is, above the line, where it fits."""
    lines, ends = style().lines, (1.0, 1.0 + data.distance)
    fits = ends[1] <= len(data.variants)
    if fits:
        axes.plot(ends, (-2.1, -2.1), color=drawing.MUTED, linewidth=1.5 * lines, marker="|", ms=6 * lines)
    place = ends[1] if fits else 1.0
    axes.annotate(
        f"CD {data.distance:.2f}", (place, -2.1), (6, 0), textcoords="offset points", va="center", annotation_clip=False
    )


def _name_ranks(axes: Axes, data: RanksFigure, half: int, top: float) -> None:
    """Name the better half on the left and the others on the right, each joined with its place on the line."""
    names = figure_labels.short_names((name for name, _ in data.variants), figure_labels.longest())
    left, right = axes.get_xlim()
    for place, (name, rank) in enumerate(data.variants):
        ours = place < half
        depth = top + (place if ours else len(data.variants) - 1 - place)
        edge = left if ours else right
        look: dict[str, Any] = {"color": drawing.MUTED, "linewidth": 0.9 * style().lines, "solid_joinstyle": "miter"}
        axes.plot((rank, rank, edge), (0, depth, depth), clip_on=False, **look)
        axes.plot(rank, 0, "o", color=drawing.INK, ms=3.5 * style().lines, clip_on=False, zorder=4)
        said = f"{names[name]} {rank:.2f}"
        axes.annotate(
            said, (edge, depth), ((-4 if ours else 4), 0), textcoords="offset points", va="center",
            ha="right" if ours else "left", annotation_clip=False,
        )  # fmt: skip
