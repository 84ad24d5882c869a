"""The figures of a report as files of their own, for a paper, a slide or a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError, did_you_mean, listing
from . import drawing
from .content import Report, report
from .every_figure import every_figure
from .own_figures import BrokenFigureError
from .styles import STYLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .content import Records
    from .every_figure import ReportFigure
    from .styles import Style

KINDS = ("svg", "pdf", "png")


def styles_of(name: str) -> Sequence[Style]:
    """Return the widths of a style; InputError for an unknown one."""
    if name not in STYLES:
        raise InputError(f"unknown style '{name}'{did_you_mean(name, STYLES)}\n  accepted: {listing(STYLES)}")
    return STYLES[name]


def figure_files(
    source: Records | Report, folder: Path, style: str, note: Callable[[str], None] = lambda _: None
) -> dict[Path, bytes]:
    """Return every figure that there is something to draw for, as SVG, PDF and PNG, in each width of a style.

    note: takes a line for each figure of the user's own that cannot be drawn.
    """
    styles_of(style)
    made = every_figure(source) if isinstance(source, Report) else every_figure(report(source), source.own_figures)
    found: dict[Path, bytes] = {}
    for one in made:
        try:
            found |= {} if one.absent else _files(one, folder, style)
        except BrokenFigureError as error:
            note(one.broken(error).said)
        if one.failed:
            note(one.said)
    return found


def _files(one: ReportFigure, folder: Path, style: str) -> dict[Path, bytes]:
    found = {}
    for width in styles_of(style):
        with drawing.styled(width):
            figure = one.draw()
        for kind in KINDS:
            with one.guard():
                found[folder / f"{one.name}{width.suffix}.{kind}"] = drawing.encoded(figure, kind)
    return found
