"""The curves of one variant over those of the variant that it changes, for its section."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import drawing, figure_labels
from .figures_curves import accuracy_data, draw_curves, loss_data
from .styles import NARROW, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .content import Report
    from .drawing import Curve

MOST_VARIANTS = 12
"""In a larger study sections have no curves of their own: the panels of the loss and the accuracy have them."""


@dataclass(frozen=True)
class VariantData:
    """The curves of two variants. anchor: of the section that they are for."""

    name: str
    title: str
    caption: str
    alt: str
    absent: str
    anchor: str
    losses: tuple[Curve, ...]
    accuracies: tuple[Curve, ...]


def variant_curves(report: Report, variant: str) -> VariantData:
    """Return the loss and the accuracy of a variant and of the one that it changes."""
    section = next(section for section in report.sections if section.name == variant)
    both = (variant, section.parent)
    loss, accuracy = loss_data(report), accuracy_data(report)
    losses, accuracies = (tuple(c for c in data.curves if c.variant in both) for data in (loss, accuracy))
    over = f" over {section.parent}" * any(c.variant == section.parent for c in (*losses, *accuracies))
    there = any(c.variant == variant for c in (*losses, *accuracies))
    return VariantData(
        name=f"curves-{section.anchor}",
        title=f"{variant}{over}",
        caption="Loss on the training images (dashed) and on the test images (solid), and test accuracy.",
        alt=f"Line charts of loss and accuracy by epoch of {variant}{over}.",
        absent="" if there else f"No run of {variant} has epochs to draw yet.",
        anchor=section.anchor,
        losses=losses,
        accuracies=accuracies,
    )


def section_curves(report: Report) -> list[VariantData]:
    """Return the curves for the sections of a study of images with few variants; without those that are absent."""
    if not report.images or not 2 <= len(report.sections) <= MOST_VARIANTS:
        return []
    every = [variant_curves(report, section.name) for section in report.sections if section.parent]
    return [data for data in every if not data.absent]


def draw_variant(data: VariantData) -> Figure:
    """Draw the loss and the accuracy beside each other, or below each other where the figure is narrow."""
    with drawing.styled():
        narrow = style().width <= NARROW
        parts = [(data.losses, "Loss"), (data.accuracies, "Test accuracy (%)")]
        parts = [(curves, title) for curves, title in parts if curves]
        figure = drawing.new_figure(height=2.9 * (len(parts) if narrow else 1))
        grid = figure.subplots(*((len(parts), 1) if narrow else (1, len(parts))), squeeze=False).flat
        for axes, (curves, title) in zip(grid, parts, strict=True):
            draw_curves(axes, curves, title, each_seed=title != "Loss")
            axes.set_xlabel("Epoch")
        for axes, (curves, _) in zip(figure.axes[-1:], parts[-1:], strict=True):
            figure_labels.label_ends(figure, axes, list({curve.variant: curve for curve in curves}.values()))
    return figure
