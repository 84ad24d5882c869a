"""What the curves of each variant show, gathered from its epochs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..components.contracts import USUAL_LOSS
from ..metrics import METRICS
from ..stats import courses as of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..stats.courses import Course, Lead, Line
    from ..stats.results import Results
    from .histories import VariantHistory


def courses(results: Results, histories: Sequence[VariantHistory]) -> dict[str, Course]:
    """Return what each variant's curves show; of a pilot nothing, whose curves are an epoch long.

    What the steps, losses and accuracies of another task than image classification mean, only the task knows.
    """
    if results.study.pilot:
        return {}
    lines = {history.variant: _lines(history) if results.study.images else {} for history in histories}
    return {history.variant: _course(results, history, lines) for history in histories if history.done}


def _lines(history: VariantHistory) -> dict[str, Line]:
    return {name: (series.epochs, series.mean) for name, series in history.series.items()}


def _course(results: Results, history: VariantHistory, lines: Mapping[str, Mapping[str, Line]]) -> Course:
    own, name = lines[history.variant], history.variant
    split = results.study.compared.split or "test"
    trained, tested, accurate = (own.get(one, ((), ())) for one in ("train/loss", f"{split}/loss", f"{split}/accuracy"))
    loss, accuracy = METRICS[f"{split}/loss"], METRICS[f"{split}/accuracy"]
    variant = results.study.variant(name)
    images = variant.data.sizes.get(split, 0) if variant.data else 0
    rates = dict(zip(*own["lr"], strict=True)) if "lr" in own else {}
    falls = (of.fall(trained, METRICS["train/loss"]), of.fall(tested, loss))
    runs = results.stored_of(name)
    dip = of.dip(accurate, accuracy, rates, images)
    reference = results.reference(name)
    others = [float(run["seconds"]) for run in results.stored_of(reference).values()] if reference else []
    return of.Course(
        seeds=history.done,
        falls=tuple(one for one in falls if one),
        peak=of.peak(accurate, accuracy, images),
        overfit=of.overfit(tested, trained, loss),
        dip=dip,
        apart=of.apart(trained, tested) if variant.recipe.loss.use == USUAL_LOSS else None,
        lead=_lead(results, name, lines),
        pace=of.pace([float(run["seconds"]) for run in runs.values()], history.epochs, reference or "", others),
        diverged=tuple((seed, str(run["reason"])) for seed, run in runs.items() if run.get("reason")),
    )


def _lead(results: Results, name: str, lines: Mapping[str, Mapping[str, Line]]) -> Lead | None:
    """Return where the difference to the reference comes from, where that is decided."""
    reference, one = results.reference(name), results.study.compared
    if reference is None or (compared := results.comparison(name, reference)).verdict not in ("helped", "hurt"):
        return None
    own, other = lines[name].get(one.name), lines.get(reference, {}).get(one.name)
    found = of.lead(own, other, one, reference) if own and other else None
    return replace(found, half_width=compared.half_width) if found else None
