"""The figures that ship, as components: each takes a report and returns its numbers, with what draws them.

They stand here and not among the plugins since they are drawn by what is no public name, and since a report that names
none of the user's own loads no plugin. `components.discover` lists them with all others. Importing this is quick:
listing components must not import what draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..components.contracts import Count  # noqa: TC001  # settings are read from annotations
from ..components.decorators import figure
from ..components.drawings import Drawing

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from .content import Report

USUAL = ("differences", "waterfall", "loss", "accuracy", "metric", "lr-find", "curves", "cost", "classes", "tuning")
"""Those of a study that names none, in their order."""
MOST_ROWS = 40
"""Of more comparisons than these, the forest shows those with the largest differences."""


@dataclass(frozen=True, kw_only=True)
class Ready(Drawing):
    """A drawing of ablate's own. make: takes the numbers and makes the figure, whose size follows from its text.

    name: what its files are called. part: of a report that it belongs to; of a variant, its section's anchor after
    "variant:". wanted: it has a place in a report that does not name it, even where it is absent.
    """

    make: Callable[[Any], Figure]
    name: str
    part: str
    wanted: bool = True

    def __post_init__(self) -> None:
        """Accept it as it is."""


def ready(data: Any, make: Callable[[Any], Figure], part: str, *, wanted: bool = True, absent: str = "") -> Ready:
    """Return numbers with what draws them. absent: why nothing is drawn, where the numbers do not say it."""
    said = {name: getattr(data, name) for name in ("name", "title", "caption", "alt")}
    return Ready(**said, data=data, make=make, part=part, wanted=wanted, absent=absent or data.absent)


@figure("differences")
def differences(report: Report, *, most: Count = MOST_ROWS) -> Drawing:
    """Show every comparison of the study with its interval, its margin and its verdict.

    most: of more comparisons, those with the largest differences are shown.
    """
    from .figures_differences import difference_data, draw_differences

    data = difference_data(report, most)
    return ready(data, draw_differences, "differences", wanted=bool(report.comparisons))


@figure("waterfall")
def waterfall(report: Report) -> Drawing:
    """Show a ladder from its baseline to its last step: what each step adds or takes."""
    from .figures_waterfall import draw_waterfall, waterfall_data

    return ready(waterfall_data(report), draw_waterfall, "differences", wanted=bool(report.ladder))


@figure("loss")
def loss(report: Report) -> Drawing:
    """Show training and test loss by epoch."""
    from .figures_curves import draw_loss, loss_data

    return ready(loss_data(report), draw_loss, "curves", wanted=report.images)


@figure("accuracy")
def accuracy(report: Report) -> Drawing:
    """Show test accuracy by epoch, the learning rate beneath it."""
    from .figures_curves import accuracy_data, draw_accuracy

    return ready(accuracy_data(report), draw_accuracy, "curves", wanted=report.images)


@figure("metric")
def metric(report: Report) -> Drawing:
    """Show the metric of a task by the steps that it logs."""
    from .figures_curves import draw_metric, metric_data

    data = metric_data(report)
    return ready(data, draw_metric, "curves", wanted=not report.images and not data.absent)


@figure("lr-find")
def lr_find(report: Report) -> Drawing:
    """Show learning-rate range tests of the runs that found their own learning rate."""
    from .figures_range_tests import draw_find, find_data

    data = find_data([history.variant for history in report.histories], report.tested)
    absent = "" if report.tested else "No run found its own learning rate."
    return ready(data, draw_find, "curves", wanted=bool(report.tested), absent=absent)


@figure("curves")
def curves(report: Report) -> tuple[Drawing, ...]:
    """Show loss and accuracy of each variant over the one that it changes, of 2 to 12 variants."""
    from .figures_variant import draw_variant, section_curves

    made = tuple(ready(data, draw_variant, f"variant:{data.anchor}") for data in section_curves(report))
    return made or _nothing("Curves of each variant", "They are drawn of 2 to 12 variants that have results.")


@figure("cost")
def cost(report: Report, *, by: Literal["time", "parameters", "both"] = "both") -> Drawing:
    """Show the study's metric against training time and parameters."""
    from .figures_cost import cost_data, draw_cost

    data = cost_data(report, by)
    return ready(data, draw_cost, "cost", wanted=not data.absent)


@figure("classes")
def classes(report: Report, *, candidate: str = "", reference: str = "", most: Count = 5) -> Drawing:
    """Show the classes and confusions that moved most between two variants.

    candidate, reference: which two, of those that the report compares class by class; left out, the last variant
    against the first, or else the two with the most classes that are shown to differ.
    most: so many of each direction, at most 5.
    """
    from .figures_classes import class_data, draw_classes

    data = class_data(report, candidate, reference, most)
    return ready(data, draw_classes, "classes", wanted=not data.absent)


@figure("tuning")
def tuning(report: Report) -> tuple[Drawing, ...]:
    """Show what tuning brought, where it looked, and the best trade-offs."""
    from .figures_tuning import draw_tuning, tuning_figures

    made = tuple(ready(data, draw_tuning, "tuning") for data in tuning_figures(report))
    return made or _nothing("Tuning", "Nothing was tuned.")


def _nothing(title: str, absent: str) -> tuple[Drawing, ...]:
    return (Drawing(title=title, absent=absent),)
