"""How the figures of a report look: their colours, lines, labels and files.

Knows no records. matplotlib's object interface only: no pyplot, and nothing that outlives a call.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .escapes import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#333333", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe and Ito's palette without its yellow, which white paper swallows. After the last it begins again."""
MARKERS = "osD^"
"""The marker at a line's end: one for each round through the colours."""

_STYLE: dict[Any, Any] = {  # Any: newer releases of matplotlib name every key in a type
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so a figure is the same everywhere
    "font.size": 9,
    "text.parse_math": False,  # a variant's name may hold dollar signs
    "text.color": "#222222",
    "axes.edgecolor": "#888888",
    "axes.labelcolor": "#222222",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "xtick.color": "#666666",
    "ytick.color": "#666666",
    "xtick.labelcolor": "#222222",
    "ytick.labelcolor": "#222222",
    "lines.solid_capstyle": "round",
    "svg.hashsalt": "ablate",  # ids in the file follow from its content
    "svg.fonttype": "path",  # the same letters on every machine
}


DASHED = (0, (4, 2))
_LINE = 11.5
"""From one line of 9-point text to the next, in points."""
_Box = tuple[float, float, float]


@dataclass(frozen=True)
class Curve:
    """One quantity of one variant by epoch, in the unit in which it is drawn (accuracy in %).

    index: the variant's place in the study, which decides its colour. part: "train", "test" or "rate".
    mean, low, high: over seeds, at each of `epochs`. seeds: the same epochs for each seed alone.
    """

    variant: str
    index: int
    part: str
    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    seeds: tuple[tuple[float, ...], ...]


def encoded(figure: Figure, kind: str) -> bytes:
    """Return a figure as a file of kind "svg" or "png" (twice the usual resolution), without any date in it."""
    with styled():
        buffer = io.BytesIO()
        metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
    return buffer.getvalue()


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Draw with our style alone, whatever the user's matplotlibrc says, and leave theirs as it was."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; the text of the report still has it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def new_figure(height: float) -> Figure:
    """Return an empty figure as wide as the report's text; `height` in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def colour_of(index: int) -> str:
    """Return the colour of the variant at this place in the study."""
    return COLOURS[index % len(COLOURS)]


def draw_curve(axes: Axes, curve: Curve, *, each_seed: bool) -> None:
    """Draw a curve's mean with the shade of its seeds, and on demand each seed as a thin line."""
    colour, marker = colour_of(curve.index), MARKERS[curve.index // len(COLOURS) % len(MARKERS)]
    if len(curve.seeds) > 1 and curve.part != "rate":
        axes.fill_between(curve.epochs, curve.low, curve.high, color=colour, alpha=0.13, linewidth=0)
        for seed in curve.seeds if each_seed else ():
            axes.plot(curve.epochs, seed, color=colour, linewidth=0.6, alpha=0.45)
    style: dict[str, Any] = {"color": colour, "linewidth": 1.2 if curve.part == "rate" else 1.7}
    if curve.part == "train":
        style |= {"linestyle": DASHED, "linewidth": 1.2}
        marker = "x"
    # One epoch makes no line, so a marker has to show it; elsewhere it marks where training ended.
    axes.plot(curve.epochs, curve.mean, **style, marker=marker, markersize=4, markevery=[len(curve.epochs) - 1])


def finish(axes: Axes, title: str) -> None:
    """Give axes their title, which takes the place of a y label, and ticks at whole epochs."""
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, loc="left", fontsize=9, pad=8)
    axes.set_xlim(0.5, max(axes.get_xlim()[1], 1.5))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True, min_n_ticks=1))
    axes.tick_params(length=3, width=0.8)


def log_scale(axes: Axes) -> None:
    """Give the y axis a log scale named at whole powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(bottom=max(low, high / 1e5))  # a schedule that ends next to zero would flatten all the rest
    axes.yaxis.set_major_locator(LogLocator(numticks=4))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"1e{round(math.log10(rate))}"))


def key(axes: Axes, entries: dict[str, dict[str, Any]]) -> None:
    """Explain line styles and markers, above the axes on the right."""
    from matplotlib.lines import Line2D

    plain: dict[str, Any] = {"color": "#555555", "linewidth": 1.5, "markersize": 5.5}
    handles = [Line2D([], [], label=name, **plain | style) for name, style in entries.items()]
    axes.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(handles), frameon=False, borderaxespad=0.2
    )


def label_ends(figure: Figure, axes: Axes, curves: list[Curve]) -> None:
    """Write each variant's name right of its line's end, moved up or down to where it covers least."""
    from matplotlib.colors import to_rgb
    from matplotlib.patheffects import withStroke

    figure.draw_without_rendering()  # gives the axes their size
    drawn = _drawn_points(axes)
    taken: list[_Box] = []
    for epoch in sorted({curve.epochs[-1] for curve in curves}):
        ending = sorted((c for c in curves if c.epochs[-1] == epoch), key=lambda c: c.mean[-1])
        ends = [_in_points(axes, [(epoch, c.mean[-1])])[0] for c in ending]
        for curve, (x, y), place in zip(ending, ends, spread([float(y) for _, y in ends], _LINE), strict=True):
            name = visible(curve.variant)
            name = name if len(name) <= 26 else name[:25] + "…"
            box = _best_box((x + 7, place), len(name), drawn, taken)
            taken.append(box)
            axes.annotate(
                name,
                (epoch, curve.mean[-1]),
                (7, box[1] - y),
                textcoords="offset points",
                va="center",
                color=tuple(0.75 * part for part in to_rgb(colour_of(curve.index))),
                path_effects=[withStroke(linewidth=2.5, foreground="white")],
                zorder=4,
            )


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
