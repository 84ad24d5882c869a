"""What figures of the user's own may use to look like those that ship. Imports no matplotlib: plugins import it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import drawing

if TYPE_CHECKING:
    from matplotlib.artist import Artist


def variant_look(index: int) -> dict[str, Any]:
    """Return the colour and the marker that a variant has in all figures, as matplotlib's functions take them.

    index: its place in the study, which `report.place(name)` gives.
    """
    return {"color": drawing.colour_of(index), "marker": drawing.own_marker(index)}


def belongs(artist: Artist, index: int, seed: int | None = None) -> None:
    """Mark what is drawn as a variant's, or as that of one of its seeds, so that the page can hide it.

    artist: what a function of matplotlib returned, such as a line. index: the variant's place in the study.
    """
    from . import notebook_figure

    notebook_figure.belongs(artist, index, seed)
