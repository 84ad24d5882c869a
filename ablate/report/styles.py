"""What figures are made for: a page in a browser, a column or a page of a paper, a slide.

A style decides how wide a figure is, how large its letters, and how thick its lines; what it shows is the same.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Style:
    """How large a figure is made.

    width: in inches. points: of its letters. lines: how thick lines are, 1 on the page. tall: the height of axes, 1
    on the page. suffix: of a file's name, where a style has figures of several widths.
    """

    name: str
    width: float
    points: float
    lines: float
    tall: float
    suffix: str = ""

    @property
    def line(self) -> float:
        """Return the height of a line of text, in inches."""
        return 1.28 * self.points / 72


WEB = Style("web", 7.4, 9, 1.0, 1.0)
COLUMN = Style("paper", 8.4 / 2.54, 8, 0.8, 0.62, "-8.4cm")
PAGE = Style("paper", 17.4 / 2.54, 8, 0.9, 0.88, "-17.4cm")
SLIDE = Style("slide", 12.0, 18, 2.0, 1.6)
STYLES: Mapping[str, tuple[Style, ...]] = {"paper": (COLUMN, PAGE), "slide": (SLIDE,), "web": (WEB,)}
"""The styles that can be asked for, each with the widths that it comes in."""

NARROW = 5.0
"""A figure that is no wider than this, in inches, has fewer things beside each other."""
_NOW: ContextVar[Style] = ContextVar("style", default=WEB)


def style() -> Style:
    """Return the style that figures are drawn in now."""
    return _NOW.get()


@contextlib.contextmanager
def drawn_in(wanted: Style | None) -> Iterator[Style]:
    """Draw in a style; None keeps the one that is drawn in already."""
    token = _NOW.set(wanted or _NOW.get())
    try:
        yield _NOW.get()
    finally:
        _NOW.reset(token)
