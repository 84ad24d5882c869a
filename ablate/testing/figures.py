"""The contract of a figure: each function checks one fact, and says what breaks it."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

from ..errors import error_text
from ..report import drawing
from ..report.own_figures import draw_into, drawings_of
from ..report.styles import STYLES, WEB
from .example import ODD, example_report
from .subject import fail

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..components.drawings import Drawing
    from ..report.content import Report
    from ..report.styles import Style
    from .subject import Subject


def it_returns_a_drawing(subject: Subject) -> None:
    """Check that it returns a `Drawing`, or several as a tuple, with a title of one line, a caption and an alt text."""
    for one in _drawings(subject, example_report()):
        if one.absent:
            continue
        for name in ("title", "caption", "alt"):
            text = getattr(one, name)
            if not text.strip():
                fail(f"has no {name}", f"give its Drawing one: Drawing({name}=...)")
        if "\n" in one.title or one.title.endswith("."):
            fail(f"has the title {one.title!r}", "make it one line, without a full stop")


def it_can_be_drawn_in_every_width(subject: Subject) -> None:
    """Check that it draws into the figure that it is given, in the widths of a page, a column and a slide."""
    for one in _drawings(subject, example_report()):
        for widths in STYLES.values():
            for style in widths if not one.absent else ():
                _drawn(one, style)


def it_becomes_a_file_of_every_kind(subject: Subject) -> None:
    """Check that it can be written as SVG, PNG and PDF, and into a page."""
    for one in _drawings(subject, example_report()):
        for kind in ("svg", "png", "pdf") if not one.absent else ():
            _encoded(one, kind)
        if not one.absent:
            drawing.inline_svg(_drawn(one, WEB), subject.entry.name, one.alt)


def the_same_facts_give_the_same_figure(subject: Subject) -> None:
    """Check that it draws no random numbers and knows no time: a report of the same runs has the same bytes."""
    pairs = zip(*(_drawings(subject, example_report()) for _ in range(2)), strict=True)
    for one, other in pairs:
        said = [(made.title, made.caption, made.alt, made.absent) for made in (one, other)]
        if said[0] != said[1] or (not one.absent and _encoded(one, "svg") != _encoded(other, "svg")):
            fail("is another one the second time", "make it of the report alone, and sort what has no order")


def it_says_so_where_there_are_no_results(subject: Subject) -> None:
    """Check that it draws something, or says why there is nothing to draw, of a study of which no run is done."""
    for one in _drawings(subject, example_report(done=False)):
        if not one.absent:
            _drawn(one, WEB)


def it_takes_any_name_of_a_variant(subject: Subject) -> None:
    """Check that names of variants that are long, or markup somewhere, do no harm."""
    for one in _drawings(subject, example_report(names=ODD)):
        if not one.absent:
            _encoded(one, "svg")


def it_leaves_pyplot_alone(subject: Subject) -> None:
    """Check that no figure of pyplot's is left open: in a notebook it would be shown, and it fills the memory."""
    before = _open_figures()
    for one in _drawings(subject, example_report()):
        if not one.absent:
            _drawn(one, WEB)
    if _open_figures() - before:
        fail("leaves a figure of pyplot's open", "draw into the figure that it is given, as on figure.subplots()")


def _drawings(subject: Subject, report: Report) -> tuple[Drawing, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as where reports are made
        return drawings_of(subject.build(report))


def _drawn(one: Drawing, style: Style) -> Figure:
    with warnings.catch_warnings(), drawing.styled(style):
        warnings.simplefilter("ignore")
        if make := getattr(one, "make", None):  # one that ships makes its figure itself
            made: Figure = make(one.data)
            return made
        figure = drawing.new_figure(one.height)
        draw_into(figure, one)
        return figure


def _encoded(one: Drawing, kind: str) -> bytes:
    figure = _drawn(one, WEB)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return drawing.encoded(figure, kind)
    except Exception as error:  # noqa: BLE001  # of matplotlib, for what a figure holds
        fail(f"cannot be written as {kind.upper()}: {error_text(error)}")


def _open_figures() -> set[int]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    return set(pyplot.get_fignums()) if pyplot else set()


CHECKS = (
    it_returns_a_drawing,
    it_can_be_drawn_in_every_width,
    it_becomes_a_file_of_every_kind,
    the_same_facts_give_the_same_figure,
    it_says_so_where_there_are_no_results,
    it_takes_any_name_of_a_variant,
    it_leaves_pyplot_alone,
)
