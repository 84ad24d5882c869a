"""What a figure returns: its numbers, what is said of them, and how they are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    Draw = Callable[[Figure, Any], object]
    """Draws numbers into an empty figure."""

TALLEST = 60.0
"""Inches; a page or a paper has no use for more, and a typing error could fill the memory."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure before it is drawn.

    title: one line, without a full stop. caption: what the reader has to know to read it, in sentences. alt: what it
    shows, for a reader who does not see it. data: its numbers, whatever `draw` takes.
    draw: called as `draw(figure, data)` with an empty figure of matplotlib, as wide as the report wants it; it may be
    called several times, for several widths. height: of the figure on the page, in inches; styles scale it.
    absent: why there is nothing to draw, in a sentence; without it, `draw` is needed.
    """

    title: str
    caption: str = ""
    alt: str = ""
    data: Any = None
    draw: Draw | None = None
    height: float = 3.6
    absent: str = ""

    def __post_init__(self) -> None:
        """Refuse what no report can show."""
        for name in ("title", "caption", "alt", "absent"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} is {type(getattr(self, name)).__name__}, not a text")
        if not self.title.strip():
            raise InputError("title is empty")
        if not self.absent and not callable(self.draw):
            raise InputError("there is no draw, which is called as draw(figure, data), and no absent, which says why")
        height = self.height
        number = isinstance(height, Real) and not isinstance(height, bool) and math.isfinite(height)
        if not number or not 0 < height <= TALLEST:
            raise InputError(f"height = {height!r} is not a number of inches between 0 and {TALLEST:g}")
