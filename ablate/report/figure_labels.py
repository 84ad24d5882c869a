"""Names in figures: at the ends of lines or below all axes, as short as there is room for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from . import drawing
from .escapes import visible
from .styles import NARROW, style

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 24
"""More names than these do not fit beside a figure's lines, one below the other."""


def about_names(lines: int) -> str:
    """Say that so many lines have no names, where that is so; a sentence with a space after it, or nothing."""
    return f"{lines} lines are too many to be named. " if lines > MOST_NAMED else ""


def longest() -> int:
    """Return how many letters a name may have in the style that is drawn in."""
    return 26 if style().width > NARROW else 13


def height_for(names: int) -> float:
    """Return the height of a figure (`drawing.new_figure`) beside whose axes there is room for so many names."""
    now = style()
    return max(3.9, (min(names, MOST_NAMED) * now.line + 6 * now.line) / now.tall)


def label_ends(figure: Figure, axes: Axes, curves: list[drawing.Curve]) -> None:
    """Write each variant's name right of the axes, at the height of its line's end, none over another.

    A thin line joins a name with an end that lies elsewhere. Names that are too many to fit are left out, which the
    caption says (`about_names`).
    """
    if len(curves) > MOST_NAMED:
        return
    from matplotlib.transforms import ScaledTranslation

    from .notebook_figure import belongs

    if engine := figure.get_layout_engine():
        engine.execute(figure)  # gives the axes their size
    now, box, gap = style(), axes.get_window_extent(), 72 * style().line
    scale = 72 / figure.dpi
    ends = {c: float((axes.transData.transform((c.epochs[-1], c.mean[-1]))[1] - box.y0) * scale) for c in curves}
    ordered = sorted(curves, key=lambda c: ends[c])
    places = within(spread([ends[c] for c in ordered], gap), gap, box.height * scale)
    names = short_names((curve.variant for curve in curves), longest())
    right = max(curve.epochs[-1] for curve in curves)
    for curve, place in zip(ordered, places, strict=True):
        colour = drawing.colour_of(curve.index)
        moved = curve.epochs[-1] < right or abs(place - ends[curve]) > gap / 4
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.5 * now.lines, "linestyle": (0, (2, 2))}
        # From the lower right corner, so that names stay apart where the axes shrink to make room for them.
        beside = axes.transAxes + ScaledTranslation(7 / 72, place / 72, figure.dpi_scale_trans)
        text = axes.annotate(
            names[curve.variant],
            (curve.epochs[-1], curve.mean[-1]),
            (1, 0),
            textcoords=beside,
            va="center",
            color=colour,
            annotation_clip=False,
            arrowprops=line | {"relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 3} if moved else None,
        )
        for one in filter(None, (text, text.arrow_patch)):
            belongs(one, curve.index)


def name_colours(figure: Figure, variants: dict[str, int]) -> None:
    """Name the variants by their colours below all axes; variants: each with its place in the study."""
    from matplotlib.lines import Line2D

    names = short_names(variants)
    looks: dict[str, dict[str, Any]] = {
        name: {"color": drawing.colour_of(i), "marker": drawing.marker_of(i)} for name, i in variants.items()
    }
    handles = [
        Line2D([], [], linestyle="", markersize=5 * style().lines, label=names[name], **looks[name])
        for name in variants
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(4 if style().width > NARROW else 2, len(handles)),
        frameon=False,
    )


def shortened(name: str, most: int = 26) -> str:
    """Return a name as a figure has room for it."""
    name = visible(name)
    return name if len(name) <= most else name[: most - 1] + "…"


def short_names(names: Iterable[str], most: int = 26) -> dict[str, str]:
    """Return each name as short as a figure has room for, by the full name; different names stay different."""
    every = {name: visible(name) for name in names}
    half = (most - 1) // 2
    ways: list[Callable[[str], str]] = [
        lambda name: name[: most - 1] + "…",
        lambda name: name[:half] + "…" + name[-half:],
        lambda name: "…" + name[1 - most :],
    ]
    found = {name: text for name, text in every.items() if len(text) <= most}
    for shorten in ways:
        tried = {name: shorten(text) for name, text in every.items() if name not in found}
        counts = Counter([*tried.values(), *found.values()])
        found |= {name: text for name, text in tried.items() if counts[text] == 1}
    alike = [name for name in every if name not in found]
    return found | {name: f"{every[name][: most - 6]}… {place}" for place, name in enumerate(alike, 1)}


def spread(places: list[float], gap: float) -> list[float]:
    """Move ascending places apart to at least `gap`, each cluster about its middle."""
    clusters: list[list[float]] = []
    for place in places:
        clusters.append([place])
        while len(clusters) > 1 and _lowest(clusters[-2], gap) + gap * len(clusters[-2]) > _lowest(clusters[-1], gap):
            last = clusters.pop()
            clusters[-1] += last
    return [_lowest(cluster, gap) + gap * step for cluster in clusters for step in range(len(cluster))]


def within(places: list[float], gap: float, height: float) -> list[float]:
    """Move ascending places that are apart into 0 to `height`, as far as there is room."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap if moved else gap / 2))
    top = height - gap / 2
    for at in reversed(range(len(moved))):
        moved[at] = min(moved[at], top)
        top = moved[at] - gap
    return moved


def _lowest(cluster: list[float], gap: float) -> float:
    return sum(cluster) / len(cluster) - gap * (len(cluster) - 1) / 2
