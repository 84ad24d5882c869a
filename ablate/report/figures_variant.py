"""The curves of one variant over those of the variant that it changes, for its section."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import listing
from . import drawing, figure_labels
from .figures_curves import accuracy_data, curves_of, draw_curves, loss_data
from .styles import NARROW, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .content import Report
    from .drawing import Curve

MOST_VARIANTS = 12
"""In a larger study sections have no curves of their own: the panels of the figures before them have them."""
MOST_PANELS = 4
"""So many quantities of a task are drawn, the one that the study compares first."""


@dataclass(frozen=True)
class VariantPanel:
    """A quantity of two variants. heading: of its axis. each_seed: seeds have lines of their own."""

    heading: str
    curves: tuple[Curve, ...]
    each_seed: bool = True


@dataclass(frozen=True)
class VariantData:
    """The curves of two variants. anchor: of the section that they are for. step: what they are over."""

    name: str
    title: str
    caption: str
    alt: str
    absent: str
    anchor: str
    panels: tuple[VariantPanel, ...]
    step: str = "Epoch"


def variant_curves(report: Report, variant: str) -> VariantData:
    """Return the curves of a variant and of the one that it changes: loss and accuracy, or what its task logs."""
    section = next(section for section in report.sections if section.name == variant)
    what, caption, every = _of_images(report) if report.images else _of_task(report)
    both = (variant, section.parent)
    panels = [replace(one, curves=tuple(c for c in one.curves if c.variant in both)) for one in every]
    panels = [one for one in panels if one.curves]
    drawn = {curve.variant for one in panels for curve in one.curves}
    over = f" over {section.parent}" * (section.parent in drawn)
    step = "epoch" if report.images else "step"
    return VariantData(
        name=f"curves-{section.anchor}",
        title=f"{variant}{over}",
        caption=caption,
        alt=f"Line charts of {what} by {step} of {variant}{over}.",
        absent="" if variant in drawn else f"No run of {variant} has {step}s to draw yet.",
        anchor=section.anchor,
        panels=tuple(panels),
        step=step.capitalize(),
    )


def _of_images(report: Report) -> tuple[str, str, list[VariantPanel]]:
    """Return what curves of image classifiers are of, a caption for them, and those of all variants."""
    caption = "Loss on the training images (dashed) and on the test images (solid), and test accuracy."
    losses = VariantPanel("Loss", loss_data(report).curves, each_seed=False)
    return "loss and accuracy", caption, [losses, VariantPanel("Test accuracy (%)", accuracy_data(report).curves)]


def _of_task(report: Report) -> tuple[str, str, list[VariantPanel]]:
    """Return the same of what a task logs, the metric that the study compares first."""
    compared = report.table.metric
    logged = [name for history in report.histories for name in history.series if "/" in name]
    names = dict.fromkeys([compared.quantity.name, *(name.partition("/")[2] for name in logged)])
    panels, labels, dashed = [], [], False
    for name in names:
        shown, curves = curves_of(report, name, compared.name if name == compared.quantity.name else "")
        if curves:
            panels.append(VariantPanel(report.measures[shown].heading, tuple(curves)))
            labels.append(report.measures[shown].label)
            dashed = dashed or len({curve.part for curve in curves}) > 1
    what = listing(labels[:MOST_PANELS])
    caption = f"{what[:1].upper()}{what[1:]} at each step that the task logs."
    return what, caption + " Dashed is the same on training data." * dashed, panels[:MOST_PANELS]


def section_curves(report: Report) -> list[VariantData]:
    """Return the curves for the sections of a study with few variants; without those that are absent."""
    if not 2 <= len(report.sections) <= MOST_VARIANTS:
        return []
    every = [variant_curves(report, section.name) for section in report.sections if section.parent]
    return [data for data in every if not data.absent]


def draw_variant(data: VariantData) -> Figure:
    """Draw the quantities beside each other, in rows of two, or below each other where the figure is narrow."""
    with drawing.styled():
        columns = 1 if style().width <= NARROW or len(data.panels) == 1 else 2
        rows = -(-len(data.panels) // columns)
        figure = drawing.new_figure(height=2.9 * rows)
        grid = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, panel in zip(grid, data.panels, strict=False):
            draw_curves(axes, panel.curves, panel.heading, each_seed=panel.each_seed)
            axes.set_xlabel(data.step)
        for axes in grid[len(data.panels) :]:
            axes.remove()
        last = {curve.variant: curve for curve in data.panels[-1].curves}
        figure_labels.label_ends(figure, figure.axes[-1], list(last.values()))
    return figure
