"""Every figure that there is a reason to show of some records: its numbers, and how they are drawn."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from . import figures_curves, figures_range_tests, figures_tuning

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from .content import Records

    FigureFacts = figures_curves.FigureData | figures_range_tests.FindData | figures_tuning.TuningData


def every_figure(records: Records) -> list[tuple[FigureFacts, Callable[[], Figure]]]:
    """Return the numbers of each figure, in the order of a report, with what draws it; nothing is drawn yet.

    A figure that is `absent` says why, and cannot be drawn.
    """
    results = records.results
    found: list[tuple[FigureFacts, Any]] = [
        (figures_curves.loss_data(results), figures_curves.draw_loss),
        (figures_curves.accuracy_data(results), figures_curves.draw_accuracy),
    ]
    if records.tested:
        found.append((figures_range_tests.find_data(results.study, records.tested), figures_range_tests.draw_find))
    found += [(data, figures_tuning.draw_tuning) for data in figures_tuning.tuning_figures(results)]
    return [(data, partial(draw, data)) for data, draw in found]
