"""Every figure of a report: those that its study names, or else those that there is a reason to show."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..components import contracts
from . import drawing
from .escapes import visible
from .facts import ChosenFigure
from .own_figures import NOT_HERE, BrokenFigureError, draw_into, drawings_of, figures_here, guarded, plain_text, shipped
from .shipped_figures import USUAL, Ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from ..components.drawings import Drawing
    from ..components.registry import Entry
    from .content import Report
    from .own_figures import OwnFigures

PARTS = ("differences", "curves", "variant", "cost", "classes", "tuning")
"""The parts of a report that have figures, in their order on the page; figures that a study names are in "curves"."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure of a report, not drawn yet.

    name: unlike that of any other, and what its files are called. absent: why there is nothing to draw; failed: since
    the code of a user's figure does not do. part: of the report that it belongs to (`shipped_figures.Ready`).
    of: what draws it, None where nothing does. own: the component, of a user's figure.
    """

    name: str
    title: str
    caption: str = ""
    alt: str = ""
    absent: str = ""
    part: str = "curves"
    failed: bool = False
    of: Drawing | None = None
    own: Entry | None = None

    @property
    def data(self) -> Any:
        """Return its numbers."""
        return self.of.data if self.of else None

    def draw(self) -> Figure:
        """Return it drawn, in the style that is drawn in. It must not be absent.

        Raises BrokenFigureError where the code of a user's figure fails.
        """
        assert self.of is not None
        if isinstance(self.of, Ready):
            return self.of.make(self.of.data)
        with drawing.styled():
            figure = drawing.new_figure(self.of.height)
            with self.guard():
                draw_into(figure, self.of)
        return figure

    def guard(self) -> contextlib.AbstractContextManager[None]:
        """Return what anything is done in that may run into a user's mistake, such as writing a file of it."""
        return guarded(self.own) if self.own else contextlib.nullcontext()

    def broken(self, error: BrokenFigureError) -> ReportFigure:
        """Return it as one that cannot be drawn."""
        return replace(self, absent=str(error), failed=True)

    @property
    def said(self) -> str:
        """Say what failed, for who called for the report."""
        return f"figure '{visible(self.name)}' is not drawn: {self.absent}"


def every_figure(report: Report, own: OwnFigures | None = None) -> list[ReportFigure]:
    """Return the figures of a report in its order; nothing is drawn yet.

    own: the user's figures; None, as for a report from a file, to look for them where the user works.
    """
    chosen = report.figures or ()
    own = figures_here([one.use for one in chosen if one.use != contracts.USUAL]) if own is None else own
    found: list[ReportFigure] = []
    taken: set[str] = set()
    for one, usual in _wanted(report):
        for made in _made(report, one, own, usual):
            name = next(name for name in _names(made.name) if name not in taken)
            taken.add(name)
            found.append(replace(made, name=name))
    return sorted(found, key=lambda one: PARTS.index(one.part.partition(":")[0]))


def _wanted(report: Report) -> Iterator[tuple[ChosenFigure, bool]]:
    """Yield what is to be shown, and whether that is so because it is usual: there and where there is reason to."""
    chosen = (ChosenFigure(contracts.USUAL),) if report.figures is None else report.figures
    named = {one.use for one in chosen}
    for one in chosen:
        if one.use == contracts.USUAL:
            yield from ((ChosenFigure(name), True) for name in USUAL if name not in named)
        else:
            yield one, False


def _made(report: Report, chosen: ChosenFigure, own: OwnFigures, usual: bool) -> list[ReportFigure]:
    """Return what a component gives."""
    ours = shipped()
    name, title = _file_name(chosen.use), visible(chosen.use)
    entry = ours.get(chosen.use) or own.get(chosen.use, NOT_HERE)
    if isinstance(entry, str):
        return [ReportFigure(name, title, absent=entry, failed=True)]
    checked = entry.check(chosen.settings)
    if checked.problems:
        return [ReportFigure(name, title, absent=f"{checked.problems[0][1]} ({entry.place})", failed=True)]
    if chosen.use in ours:
        drawings = drawings_of(entry.build(report, settings=checked.settings))
        return [of_ours(name, one, usual) for one in drawings if not usual or (isinstance(one, Ready) and one.wanted)]
    try:
        with guarded(entry):  # what it changes is a copy, and no fact of the rest of the report
            drawings = drawings_of(entry.build(copy.deepcopy(report), settings=checked.settings))
            several = len(drawings) > 1
            return [_of_user(f"{name}-{at}" if several else name, one, entry) for at, one in enumerate(drawings, 1)]
    except BrokenFigureError as error:
        return [ReportFigure(name, title).broken(error)]


def of_ours(name: str, one: Drawing, usual: bool) -> ReportFigure:
    """Return a figure that ships. name: where it has none. usual: it stands in the part that it belongs to."""
    if not isinstance(one, Ready):
        return ReportFigure(name, one.title, absent=one.absent)
    part = one.part if usual else "curves"
    return ReportFigure(one.name, one.title, one.caption, one.alt, one.absent, part, of=one)


def _of_user(name: str, one: Drawing, entry: Entry) -> ReportFigure:
    """Return a user's figure, its texts each on one line."""
    title, caption, alt, absent = map(plain_text, (one.title, one.caption, one.alt, one.absent))
    return ReportFigure(name, title.removesuffix("."), caption, alt or title, absent, of=one, own=entry)


def _file_name(use: str) -> str:
    """Return what the files of a figure are called: also a label of LaTeX, where an underscore is not one."""
    return "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in use.lower()[:80])


def _names(name: str) -> Iterator[str]:
    yield name
    at = 2
    while True:
        yield f"{name}-{at}"
        at += 1
