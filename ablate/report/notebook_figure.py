"""A figure that a notebook shows by itself, and that knows which of its parts are whose.

Imports matplotlib, so that only what draws may import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from .styles import Style


class NotebookFigure(Figure):
    """A matplotlib figure. Pyplot does not know it, so that nothing has to close it.

    encoded: makes a file of it, of a kind such as "png". style: that it was made in. fixed: its ticks have room as
    they are. marked: how many parts are (`belongs`). shown: what axes show of the report (`shows`).
    """

    def __init__(self, encoded: Callable[[Figure, str], bytes], style: Style, **options: Any) -> None:
        super().__init__(**options)
        self._encoded = encoded
        self.style = style
        self.fixed = False
        self.marked = 0
        self.shown: list[tuple[Axes, tuple[tuple[int, str], ...]]] = []

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        width, height = (round(100 * inches) for inches in self.get_size_inches())
        return self._encoded(self, "png"), {"width": width, "height": height}


def belongs(artist: Artist, index: int, seed: int | None = None) -> None:
    """Mark what is drawn as a variant's, or as that of one of its seeds, so that a page can hide it."""
    figure = artist.figure
    if isinstance(figure, NotebookFigure):
        figure.marked += 1
        artist.set_gid(f"variant{index}{'' if seed is None else f'-seed{seed}'}-{figure.marked}")


def shows(axes: Axes, series: Iterable[tuple[int, str]]) -> None:
    """Say which series of the report axes show by epoch, each by its variant's index and its metric."""
    figure = axes.figure
    if isinstance(figure, NotebookFigure):
        figure.shown.append((axes, tuple(series)))


def axes_shown(figure: Figure) -> list[dict[str, Any]]:
    """Return where a drawn figure's axes are and what they show, as `inline_svg` tells it."""
    if not isinstance(figure, NotebookFigure):
        return []
    scale, height = 72 / figure.dpi, 72 * figure.get_figheight()
    found = []
    for axes, series in figure.shown:
        place = axes.bbox
        box = (place.x0 * scale, height - place.y1 * scale, place.x1 * scale, height - place.y0 * scale)
        found.append(
            {
                "box": [round(side, 2) for side in box],
                "x": [float(end) for end in axes.get_xlim()],
                "y": [float(end) for end in axes.get_ylim()],
                "log_x": axes.get_xscale() == "log",
                "log_y": axes.get_yscale() == "log",
                "series": [{"variant": index, "metric": name} for index, name in series],
            }
        )
    return found
