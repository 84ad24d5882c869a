"""Names in figures: at the ends of lines or below all axes, as short as there is room for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from . import drawing
from .escapes import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 24
"""More names than these do not fit beside a figure's lines, one below the other."""
_LINE = 11.5
"""From one line of 9-point text to the next, in points."""
_Box = tuple[float, float, float]


def about_names(lines: int) -> str:
    """Say that so many lines have no names, where that is so; a sentence with a space after it, or nothing."""
    return f"{lines} lines are too many to be named. " if lines > MOST_NAMED else ""


def label_ends(figure: Figure, axes: Axes, curves: list[drawing.Curve]) -> None:
    """Write each variant's name right of its line's end, moved up or down to where it covers least.

    Names that are too many to fit are left out, which the caption says (`about_names`).
    """
    if len(curves) > MOST_NAMED:
        return
    from matplotlib.colors import to_rgb
    from matplotlib.patheffects import withStroke

    figure.draw_without_rendering()  # gives the axes their size
    drawn = _drawn_points(axes)
    taken: list[_Box] = []
    names = short_names(curve.variant for curve in curves)
    for epoch in sorted({curve.epochs[-1] for curve in curves}):
        ending = sorted((c for c in curves if c.epochs[-1] == epoch), key=lambda c: c.mean[-1])
        ends = [_in_points(axes, [(epoch, c.mean[-1])])[0] for c in ending]
        for curve, (x, y), place in zip(ending, ends, spread([float(y) for _, y in ends], _LINE), strict=True):
            name = names[curve.variant]
            box = _best_box((x + 7, place), len(name), drawn, taken)
            taken.append(box)
            axes.annotate(
                name,
                (epoch, curve.mean[-1]),
                (7, box[1] - y),
                textcoords="offset points",
                va="center",
                color=tuple(0.75 * part for part in to_rgb(drawing.colour_of(curve.index))),
                path_effects=[withStroke(linewidth=2.5, foreground="white")],
                zorder=4,
            )


def name_colours(figure: Figure, variants: dict[str, int]) -> None:
    """Name the variants by their colours below all axes; variants: each with its place in the study."""
    from matplotlib.lines import Line2D

    names = short_names(variants)
    looks: dict[str, dict[str, Any]] = {
        name: {"color": drawing.colour_of(i), "marker": drawing.marker_of(i)} for name, i in variants.items()
    }
    handles = [Line2D([], [], linestyle="", markersize=5, label=names[name], **looks[name]) for name in variants]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)), frameon=False)


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


def _lowest(cluster: list[float], gap: float) -> float:
    return sum(cluster) / len(cluster) - gap * (len(cluster) - 1) / 2


def _best_box(start: tuple[float, float], letters: int, drawn: Any, taken: list[_Box]) -> _Box:
    """Return the place (left, middle, width) near `start` at which a label covers fewest points and no other label."""
    left, middle = start
    width = 5.6 * letters  # about what DejaVu Sans takes at 9 points

    def cost(shift: float) -> float:
        y = middle + shift
        covered = (abs(drawn[:, 1] - y) < _LINE / 2) & (drawn[:, 0] > left - 2) & (drawn[:, 0] < left + width)
        clashes = sum(abs(y - b) < _LINE - 0.1 and left < a + w and a < left + width for a, b, w in taken)
        return float(covered.sum()) + 100 * clashes + 0.5 * abs(shift)

    return left, middle + min((sign * 3.0 * step for step in range(9) for sign in (1, -1)), key=cost), width


def _drawn_points(axes: Axes) -> Any:
    """Return points about 3 apart along all lines in the axes, as an array (points, 2)."""
    import numpy as np

    found = []
    for line in axes.lines:
        corners = _in_points(axes, line.get_xydata())
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
        steps = np.arange(0, along[-1] + 3, 3)
        found.append(np.column_stack([np.interp(steps, along, corners[:, axis]) for axis in (0, 1)]))
    return np.concatenate(found)


def _in_points(axes: Axes, data: Any) -> Any:
    """Return data coordinates as typographic points from the figure's lower left corner."""
    return axes.transData.transform(data) * 72 / axes.figure.dpi
