"""Names beside points, where they cover neither points nor other names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from . import drawing
from .styles import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
_ALIGNED: dict[int, Literal["left", "center", "right"]] = {1: "left", 0: "center", -1: "right"}
_UPRIGHT: dict[int, Literal["bottom", "center", "top"]] = {1: "bottom", 0: "center", -1: "top"}


class PlacedNames:
    """The names in some axes, which must have been laid out. points: in data coordinates, none of them is covered."""

    def __init__(self, axes: Axes, points: Sequence[tuple[float, float]]) -> None:
        self._axes = axes
        self._scale = axes.figure.dpi / 72
        box = axes.get_window_extent()
        self._room = (box.x0, box.y0, box.x1, box.y1)
        half = 3 * style().lines * self._scale
        self._taken: list[tuple[float, float, float, float]] = []
        for x, y in axes.transData.transform(points):
            self._taken.append((x - half, y - half, x + half, y + half))

    def name(self, name: str, point: tuple[float, float], index: int) -> bool:
        """Write a variant's name beside its point, the nearest side first; tell whether there is room for it."""
        from .notebook_figure import belongs

        points = style().points
        text = self._axes.annotate(
            name, point, (0, 0), textcoords="offset points", color=drawing.colour_of(index), zorder=4
        )
        for away in (0.75, 1.5, 2.4):
            for across, up in _SIDES:
                text.set_position((away * points * across, away * points * up))
                text.set_horizontalalignment(_ALIGNED[across])
                text.set_verticalalignment(_UPRIGHT[up])
                box = text.get_window_extent()
                found = (box.x0, box.y0, box.x1, box.y1)
                if self._free(found):
                    self._taken.append(found)
                    belongs(text, index)
                    text.set_in_layout(False)
                    return True
        text.remove()
        return False

    def _free(self, box: tuple[float, float, float, float]) -> bool:
        left, low, right, high = self._room
        inside = left <= box[0] and low <= box[1] and box[2] <= right and box[3] <= high
        return inside and not any(
            box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in self._taken
        )
