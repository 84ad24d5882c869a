"""What moved most between two variants, class by class: numbers first (`class_data`), then drawing (`draw_classes`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import numbers
from . import drawing, figure_labels, figure_scales
from .image_text import repeat
from .styles import NARROW, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..stats.class_changes import ClassComparison
    from ..study.spec import Noun
    from .classes import ChangedClasses
    from .content import Report

LETTERS = 22
"""Of a row's name; two classes and an arrow have to fit."""


@dataclass(frozen=True)
class ClassRow:
    """A class, or a confusion of two. before, after: means over the seeds, in % or in images (or a task's examples).

    sure: it is shown to move. better: that is to the candidate's advantage.
    """

    name: str
    before: float
    after: float
    sure: bool
    better: bool


@dataclass(frozen=True)
class ClassData:
    """Two variants, whose places in the study are given, and what moved most between them."""

    name: str
    title: str
    caption: str
    alt: str
    absent: str
    candidate: str = ""
    reference: str = ""
    classes: tuple[ClassRow, ...] = ()
    confusions: tuple[ClassRow, ...] = ()
    noun: Noun = "image"


def class_data(report: Report, candidate: str = "", reference: str = "", most: int = 5) -> ClassData:
    """Return what moved most between two variants; without their names, between those that differ most (`_chosen`)."""
    changed = _chosen(report, candidate, reference)
    if changed is None:
        named = f"{candidate or 'No variant'} is not compared" + f" with {reference}" * bool(reference)
        absent = f"{named}, class by class." if candidate or reference else _WITHOUT
        return ClassData("classes", "What moved class by class", "", "", absent)
    one = changed.result
    classes = [
        ClassRow(c.name, 100 * c.before, 100 * c.after, c.shown, better=c.change > 0)
        for c in (*one.better[:most], *reversed(one.worse[:most]))
    ]
    confusions = [
        ClassRow(f"{c.name} → {c.taken_for_name}", c.before, c.after, c.every_seed, better=c.after < c.before)
        for c in (*one.rarer[:most], *reversed(one.commoner[:most]))
        if c.counts
    ]
    absent = "" if classes or confusions else f"No class moved between {one.reference} and {one.candidate}."
    return ClassData(
        name="classes",
        title=f"Class by class, {one.candidate} against {one.reference}",
        caption=_caption(one, classes, confusions),
        alt=_alt(one, classes, confusions),
        absent=absent,
        candidate=one.candidate,
        reference=one.reference,
        classes=tuple(classes),
        confusions=tuple(confusions),
        noun=one.noun,
    )


_WITHOUT = "No two variants that are compared kept what they predicted."


def _chosen(report: Report, candidate: str, reference: str) -> ChangedClasses | None:
    """Return the pair that is asked for, or the last variant against the first, or the two with most classes apart."""
    fitting = [
        one
        for one in report.classes
        if candidate in ("", one.result.candidate) and reference in ("", one.result.reference)
    ]
    whole = (report.sections[-1].name, report.sections[0].name) if report.sections else ("", "")
    ends = [one for one in fitting if (one.result.candidate, one.result.reference) == whole]
    return max(ends or fitting, key=_apart, default=None)


def _apart(one: ChangedClasses) -> tuple[int, int]:
    return one.result.shown_better + one.result.shown_worse, one.gained + one.lost


def _caption(one: ClassComparison, classes: Sequence[ClassRow], confusions: Sequence[ClassRow]) -> str:
    several, noun = len(one.seeds) > 1, repeat(one.folds)
    means = f"means over {len(one.seeds)} {noun}s" if several else f"one {noun}, which does not tell what is no chance"
    said = [f"From {one.reference} (hollow) to {one.candidate} (filled); {means}."]
    if classes:
        said.append(f"Recognised {one.noun}s of the classes that moved most, of {one.tested}.")
    if confusions:
        said.append(f"{confusions[0].name} are {one.noun}s of the first class that are taken for the second.")
    if several:
        full = ["classes that are shown to move (p below 0.05, adjusted over the classes by Holm)"] if classes else []
        full += [f"confusions that move the same way with every {noun}"] if confusions else []
        said.append(f"In full colour: {' and '.join(full)}.")
    return " ".join(said)


def _alt(one: ClassComparison, classes: Sequence[ClassRow], confusions: Sequence[ClassRow]) -> str:
    moved = [f"{c.name} {numbers.fixed(c.before, 1)} to {numbers.fixed(c.after, 1)} %" for c in classes]
    taken = [f"{c.name} {numbers.fixed(c.before, 1)} to {numbers.fixed(c.after, 1)} {one.noun}s" for c in confusions]
    said = f"Dot plot of classes and confusions, {one.candidate} against {one.reference}."
    return " ".join([said, *(f"{'; '.join(part)}." for part in (moved, taken) if part)])


def draw_classes(data: ClassData) -> Figure:
    """Draw the classes and the confusions beside each other, or below each other where the figure is narrow."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with drawing.styled():
        now, narrow = style(), style().width <= NARROW
        panels = [
            (data.classes, f"Recognised {data.noun}s of a class (%)"),
            (data.confusions, f"Taken for another class ({data.noun}s)"),
        ]
        panels = [(rows, heading) for rows, heading in panels if rows]
        shape = (len(panels), 1) if narrow else (1, len(panels))
        counts = [len(rows) for rows, _ in panels]
        rows = sum(counts) if narrow else max(counts)
        beside = 4.1 * now.line * (len(panels) if narrow else 1) + 1.6 * now.line
        figure = drawing.new_figure(rows * 1.45 * now.line + beside, exact=True)
        figure.fixed = True
        if isinstance(engine := figure.get_layout_engine(), ConstrainedLayoutEngine) and not narrow:
            engine.set(wspace=0.08)  # between the numbers of one panel and the names of the next
        grid = figure.subplots(*shape, squeeze=False, height_ratios=counts if narrow else None).flat
        for axes, (rows_, heading) in zip(grid, panels, strict=True):
            _draw_rows(axes, rows_, max(counts) if not narrow else len(rows_))
            axes.set_title(heading, loc="left", pad=0.7 * now.points)
        key = {"better": {"color": drawing.GOOD}, "worse": {"color": drawing.BAD}}
        looks: dict[str, dict[str, Any]] = {
            "before": {"linestyle": "", "marker": "o", "mfc": drawing.PAPER}, "after": {"linestyle": "", "marker": "o"},
        }  # fmt: skip
        there = {row.better for part in (data.classes, data.confusions) for row in part}
        looks |= {
            name: {"linewidth": 2 * now.lines, **look} for name, look in key.items() if (name == "better") in there
        }
        drawing.outside_key(figure, looks, 2 if narrow else 4)
    return figure


def _draw_rows(axes: Axes, rows: Sequence[ClassRow], room: int) -> None:
    """Draw each row from before to after. room: for how many rows, so that those of all panels are as far apart."""
    now = style()
    for place, row in enumerate(rows):
        look: dict[str, Any] = {"color": drawing.GOOD if row.better else drawing.BAD, "alpha": 1.0 if row.sure else 0.4}
        axes.plot([row.before, row.after], [place, place], linewidth=1.8 * now.lines, **look)
        axes.plot(row.before, place, "o", mfc=drawing.PAPER, ms=5 * now.lines, zorder=3, **look)
        axes.plot(row.after, place, "o", ms=5 * now.lines, zorder=3, **look)
        axes.annotate(
            numbers.fixed(row.after - row.before, 1, signed=True), (1, place), (0.9 * now.points, 0),
            xycoords=axes.get_yaxis_transform(), textcoords="offset points", va="center", annotation_clip=False,
        )  # fmt: skip
    names = figure_labels.short_names((row.name for row in rows), LETTERS if style().width > NARROW else LETTERS - 6)
    axes.set_yticks(range(len(rows)), [names[row.name] for row in rows])
    axes.set_ylim(room - 0.4, -0.6)
    axes.margins(x=0.08)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(False)
    axes.grid(True, axis="x")
    figure_scales.few_columns(axes, 4)
