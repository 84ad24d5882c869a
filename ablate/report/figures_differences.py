"""All comparisons of a study as one forest: each difference with its interval, its margin and its verdict."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import numbers
from ..errors import counted, listing
from . import drawing, figure_intervals, figure_labels, figure_scales, verdict_text
from .styles import NARROW, style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..stats.comparison import Comparison, Verdict
    from .content import Report

LOOKS: Mapping[Verdict, Mapping[str, Any]] = {
    "helped": {"marker": "^", "color": drawing.GOOD},
    "hurt": {"marker": "v", "color": drawing.BAD},
    "no practical difference": {"marker": "s", "color": drawing.MUTED},
    "not decided": {"marker": "o", "color": drawing.INK, "mfc": drawing.PAPER},
}
"""How each verdict is drawn, by shape as well as by colour."""


@dataclass(frozen=True)
class DifferenceRow:
    """One comparison, in the unit in which it is drawn (points of accuracy). said: the difference with its interval."""

    candidate: str
    reference: str
    index: int
    difference: float
    low: float | None
    high: float | None
    verdict: Verdict
    said: str


@dataclass(frozen=True)
class DifferenceData:
    """A row for each comparison. reference: of all rows, empty where they differ in it. scale: its ends."""

    name: str
    title: str
    caption: str
    alt: str
    absent: str
    heading: str
    higher: bool
    reference: str
    margin: float | None
    scale: tuple[float, float]
    rows: tuple[DifferenceRow, ...]


def difference_data(report: Report, most: int) -> DifferenceData:
    """Return the study's comparisons in its order; of more than `most`, those that differ most."""
    metric = report.table.metric
    known = [one for one in report.comparisons if math.isfinite(one.mean)]
    kept = _kept(known, most)
    rows = tuple(_row(report, one) for one in kept)
    references = {row.reference for row in rows}
    margins = {one.margin for one in kept}
    margin = margins.pop() if len(margins) == 1 else None
    factor = metric.quantity.factor
    room = 1.4 * factor * (margin or 0)
    scale = figure_intervals.scale([(row.difference, row.low, row.high) for row in rows], (-room, room))
    unit = metric.quantity.step
    return DifferenceData(
        name="differences",
        title=f"Differences in {metric.label}",
        caption=_caption(rows, known, kept, len(report.comparisons) - len(known), scale),
        alt=f"Forest plot of differences in {metric.label}. "
        + "; ".join(f"{row.candidate} against {row.reference} {row.said}, {row.verdict}" for row in rows)
        + ".",
        absent="" if rows else "No two variants have results to be compared yet, so there is no difference to draw.",
        heading=f"Difference in {metric.label}{f' ({unit})' * bool(unit)}",
        higher=metric.higher_is_better,
        reference=references.pop() if len(references) == 1 else "",
        margin=None if margin is None else factor * margin,
        scale=scale,
        rows=rows,
    )


def _row(report: Report, one: Comparison) -> DifferenceRow:
    factor = one.metric.quantity.factor
    low, high = (None if end is None else factor * end for end in (one.low, one.high))
    said = verdict_text.bare(one)
    if one.low is not None and one.high is not None:
        decimals = numbers.decimals_in(said)
        said += f" [{numbers.ends(one.low, one.high, one.metric.quantity, decimals, signed=True)}]"
    index = next((history.index for history in report.histories if history.variant == one.candidate), 0)
    return DifferenceRow(one.candidate, one.reference, index, factor * one.mean, low, high, one.verdict, said)


def _kept(known: Sequence[Comparison], most: int) -> list[Comparison]:
    if len(known) <= most:
        return list(known)
    largest = sorted(known, key=lambda one: -abs(one.mean))[:most]
    return [one for one in known if any(one is other for other in largest)]


def _caption(
    rows: Sequence[DifferenceRow],
    known: Sequence[Comparison],
    kept: Sequence[Comparison],
    without: int,
    scale: tuple[float, float],
) -> str:
    said = ["Each row is a comparison of the study, in its order."]
    line = figure_intervals.caption([(row.difference, row.low, row.high) for row in rows], scale)
    said.append(f"{line[:1].upper()}{line[1:]}." if line else "There are too few runs for intervals.")
    said += figure_intervals.of_one(kept)
    if all(one.margin is not None for one in kept):
        said.append("Within the shaded margin a difference does not matter in practice.")
    if left := [one for one in known if not any(one is other for other in kept)]:
        verdicts = Counter(one.verdict for one in left)
        said.append(
            f"Of {len(known)} comparisons the {len(kept)} with the largest differences are shown. Verdicts of the "
            f"other {len(left)}: {listing(f'{verdict} {count}' for verdict, count in verdicts.items())}."
        )
    if without:
        said.append(f"Not shown, without results on both sides: {counted(without, 'comparison')}.")
    return " ".join(said)


def draw_differences(data: DifferenceData) -> Figure:
    """Draw the forest. `data` must have rows."""
    with drawing.styled():
        now, narrow = style(), style().width <= NARROW
        lines = 1 if data.reference else 2
        # Axes, what stands below and above, and as many lines as the rows take.
        step = (1.25 if lines == 1 else 2.8) * now.line
        figure = drawing.new_figure(len(data.rows) * step + 7.6 * now.line, exact=True)
        figure.fixed = True
        axes = figure.subplots()
        axes.set_xlim(data.scale)
        axes.set_ylim(len(data.rows) - 0.5, -0.5)
        axes.grid(False)
        if data.margin:
            axes.axvspan(-data.margin, data.margin, color=drawing.GRID, linewidth=0)
        axes.axvline(0, color=drawing.MUTED, linewidth=0.9 * now.lines)
        for place, row in enumerate(data.rows):
            _draw_row(axes, place, row)
            if not narrow:
                axes.annotate(
                    row.said, (1, place), (0.9 * now.points, 0), xycoords=axes.get_yaxis_transform(),
                    textcoords="offset points", va="center", annotation_clip=False,
                )  # fmt: skip
        _name_rows(axes, data)
        worse, better = ("worse", "better") if data.higher else ("better", "worse")
        axes.set_xlabel(f"{data.heading}\n← {worse}        {better} →")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        figure_scales.few_columns(axes, 3 if narrow or now.points > 12 else 7)
        shown = [verdict for verdict in LOOKS if any(row.verdict == verdict for row in data.rows)]
        drawing.outside_key(
            figure, {verdict: {"linestyle": "", **LOOKS[verdict]} for verdict in shown}, 2 if narrow else 4
        )
    return figure


def _draw_row(axes: Axes, place: int, row: DifferenceRow) -> None:
    from .notebook_figure import belongs

    lines, look = style().lines, LOOKS[row.verdict]
    if row.low is not None and row.high is not None:
        ends, line = (row.low, row.high), {"color": look["color"], "linewidth": 1.5 * lines}
        figure_intervals.draw_interval(axes, "across", place, ends, row.index, **line)
    belongs(
        axes.plot(row.difference, place, ms=5.5 * lines, mew=1.2 * lines, zorder=3, linestyle="", **look)[0], row.index
    )


def _name_rows(axes: Axes, data: DifferenceData) -> None:
    names = figure_labels.short_names(
        dict.fromkeys(name for row in data.rows for name in (row.candidate, row.reference)), figure_labels.longest()
    )
    against = [""] * len(data.rows) if data.reference else [f"\nagainst {names[row.reference]}" for row in data.rows]
    axes.set_yticks(
        range(len(data.rows)), [names[row.candidate] + more for row, more in zip(data.rows, against, strict=True)]
    )
    if data.reference:
        axes.set_title(f"Against {names[data.reference]}", loc="left", pad=0.6 * style().points)
