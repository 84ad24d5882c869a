"""Every figure that there is a reason to show of some records: its numbers, and how they are drawn."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from . import figures, figures_tuning, lr_find

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from .content import Records

    FigureFacts = figures.FigureData | lr_find.FindData | figures_tuning.TuningData


def every_figure(records: Records) -> list[tuple[FigureFacts, Callable[[], Figure]]]:
    """Return the numbers of each figure, in the order of a report, with what draws it; nothing is drawn yet.

    A figure that is `absent` says why, and cannot be drawn.
    """
    results = records.results
    found: list[tuple[FigureFacts, Any]] = [
        (figures.loss_data(results), figures.draw_loss),
        (figures.accuracy_data(results), figures.draw_accuracy),
    ]
    if records.tested:
        found.append((lr_find.find_data(results.study, records.tested), lr_find.draw_find))
    found += [(data, figures_tuning.draw_tuning) for data in figures_tuning.tuning_figures(results)]
    return [(data, partial(draw, data)) for data, draw in found]
