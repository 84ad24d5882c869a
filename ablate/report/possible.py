"""Which numbers a report can say: those of a file may have been edited or damaged, or come from another program.

What each record holds is said in tables, by class and field; whole numbers are checked where they are read (`codec`),
since all of them count something.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..metrics import COSTS, METRICS, Metric, Quantity
from ..stats.claims import ReportedDifference
from ..stats.class_changes import ClassChange, ConfusionChange
from ..stats.comparison import Comparison
from ..stats.contrasts import Contrast
from ..stats.cost_fronts import CostFront
from ..stats.courses import Dip, Fall, Lead, Pace, Peak
from ..stats.effects import Effect, FactorialEffects
from ..stats.estimates import Estimate
from ..stats.images import ImageComparison, SeedPair
from ..stats.series import Series
from ..training.learning_rates import RangeCurve
from ..tune.records import TrialRecord, VariantTuning
from .conclusion import Conclusion
from .facts import Amount
from .histories import VariantHistory
from .methods import Methods, RunFact
from .sections import ReportedChange
from .table import ComparisonTable, TableRow
from .tuned_comparison import Sides
from .tuning import Importances, TuningRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Wrong = Iterator[tuple[str, str]]
    """Fields that cannot be, each with the reason."""
    Fields = Mapping[type, tuple[str, ...]]

SLACK = 1e-9
"""Rounding may take a mean of numbers so far beyond the largest one."""

_SHARES: Fields = {
    Comparison: ("p", "p_alone", "p_equivalence", "superiority", "level"),
    Contrast: ("p_alone",),
    Effect: ("p",),
    FactorialEffects: ("level",),
    Methods: ("level",),
    SeedPair: ("p",),
    ClassChange: ("before", "after", "p"),
    Dip: ("rate_before", "rate_lowest"),
}
"""Probabilities, accuracies and other shares of a whole."""
_NOT_NEGATIVE: Fields = {
    Comparison: ("standard_error", "df", "margin"),
    Contrast: ("standard_error", "df"),
    Effect: ("margin",),
    Methods: ("margin",),
    ImageComparison: ("image_error", "seed_error"),
    Lead: ("half_width",),
    Pace: ("seconds", "low", "high", "times"),
    Quantity: ("margin", "factor"),
    RangeCurve: ("seconds",),
    RunFact: ("seconds",),
    TableRow: ("parameters", "seconds"),
    TrialRecord: ("seconds",),
}
_VALUES: Fields = {
    Fall: ("first", "last"),
    Peak: ("best", "last"),
    Dip: ("before", "lowest", "after"),
    TuningRow: ("default", "best", "median"),
}
"""Values of the record's own metric."""
_DIFFERENCES: Fields = {Comparison: ("mean", "low", "high"), Lead: ("there", "final"), TuningRow: ("change",)}
"""Differences of two values of it."""
_KNOWN: Fields = {
    Comparison: ("level",),
    FactorialEffects: ("level",),
    Methods: ("level",),
    SeedPair: ("p",),
    ClassChange: ("before", "after", "change"),
    ConfusionChange: ("before", "after"),
    ImageComparison: ("difference",),
    Quantity: ("factor",),
    Amount: ("value",),
    Fall: ("first", "last"),
    Peak: ("best", "last"),
    Dip: ("before", "lowest", "after"),
    Lead: ("there", "final"),
    Pace: ("seconds", "low", "high"),
    ReportedChange: ("before", "after"),
    ReportedDifference: ("before", "after"),
    TrialRecord: ("seconds",),
}
"""Numbers that are not absent: where nothing is known of them, neither is the record there."""


def wrong(record: Any) -> Wrong:
    """Yield each field of a record of a report that holds a number which it cannot, with the reason."""
    for cls in reversed(type(record).__mro__):
        for name in _KNOWN.get(cls, ()):
            if math.isnan(getattr(record, name)):
                yield name, "is absent, and has to be a number"
        for name in _SHARES.get(cls, ()):
            yield from _between(name, getattr(record, name), (0.0, 1.0), "a probability or a share")
        for name in _NOT_NEGATIVE.get(cls, ()):
            if (value := getattr(record, name)) is not None and value < 0:
                yield name, f"{value:g} is negative, which it cannot be"
        for name in _VALUES.get(cls, ()):
            yield from _value(name, getattr(record, name), _metric(record))
        for name in _DIFFERENCES.get(cls, ()):
            metric = _metric(record)
            yield from _between(
                name, getattr(record, name), metric.difference_bounds, f"a difference of {metric.label}"
            )
        if cls in _FURTHER:
            yield from _FURTHER[cls](record)


def _metric(record: Any) -> Metric:
    found: Metric = record.objective if isinstance(record, TuningRow) else record.metric
    return found


def _between(name: str, value: float | None, bounds: tuple[float, float], what: str) -> Wrong:
    """Find a number beyond its bounds; one that is absent is not."""
    low, high = bounds
    if value is None or math.isnan(value) or low - SLACK <= value <= high + SLACK:
        return
    ends = f"{low:g} to {high:g}" if math.isfinite(low + high) else f"{low:g} or more"
    yield name, f"{value:g} is not {what}, which is {ends}"


def _value(name: str, value: float | None, of: Metric | Quantity) -> Wrong:
    yield from _between(name, value, of.bounds, f"{_article(of.label)} {of.label}")


def _article(noun: str) -> str:
    return "an" if noun[:1].lower() in set("aeiou") else "a"


def _interval(middle: float, low: float | None, high: float | None, called: str) -> Wrong:
    """Find an interval that does not hold what it is of."""
    if low is None and high is None:
        return
    if low is None or high is None or math.isnan(low + high):
        yield "low" if low is None or math.isnan(low) else "high", "is absent, and the other end of the interval is not"
    elif math.isnan(middle):
        yield called, "is absent, and its interval is not"
    elif not _ordered(low, middle, high):
        yield "low", f"the interval from {low:g} to {high:g} does not hold {middle:g}"


def _ordered(*numbers: float) -> bool:
    return all(one <= other + SLACK * max(1.0, abs(other)) for one, other in pairwise(numbers))


def _estimate(one: Estimate) -> Wrong:
    yield from _interval(one.mean, one.low, one.high, "mean")
    if type(one) is Estimate and not one.n and not math.isnan(one.mean):
        yield "n", "0 values have no mean"


def _judged(one: Comparison | Effect) -> Wrong:
    """Find a verdict against the numbers that it is of."""
    if one.verdict == "not decided":
        return
    if one.low is None or one.p is None or math.isnan(one.mean):
        yield "verdict", f"'{one.verdict}' without an interval and a p"
    elif one.verdict != "no practical difference":
        better = (one.mean > 0) == one.metric.higher_is_better and one.mean != 0
        if better != (one.verdict == "helped"):
            yield "verdict", f"'{one.verdict}' of a difference of {one.mean:g} in {one.metric.label}"


def _comparison(one: Comparison) -> Wrong:
    yield from _judged(one)
    if len(one.per_seed) != len(one.seeds):
        yield "per_seed", f"has {len(one.per_seed)} differences of {len(one.seeds)} seeds"


def _planned(one: Conclusion | Methods) -> Wrong:
    if one.done > one.planned:
        yield "done", f"{one.done} runs of {one.planned} that are planned"


def _conclusion(one: Conclusion) -> Wrong:
    yield from _planned(one)
    for name, of in (("first", one.first), ("last", one.last), ("best", one.best)):
        if of is not None:
            yield from _value(f"{name}.mean.mean", of.mean.mean, one.metric)


def _table(one: ComparisonTable) -> Wrong:
    metrics = {column.metric.name: column.metric for column in (*one.columns, *one.further)}
    for place, row in enumerate(one.rows):
        for name in row.estimates.keys() & metrics.keys():
            found, inside = row.estimates[name], f"rows[{place}].estimates[{name!r}]"
            for end in ("mean", "low", "high"):
                yield from _value(f"{inside}.{end}", getattr(found, end), metrics[name])
        for name in row.reported.keys() & metrics.keys():
            if metrics[name].quantity.name == "accuracy":  # which a study is held to; a loss may be of any kind
                yield from _value(f"rows[{place}].reported[{name!r}]", row.reported[name], metrics[name])


def _sides(one: Sides) -> Wrong:
    for place, row in enumerate(one.rows):
        for name in ("default", "tuned"):
            yield from _value(f"rows[{place}].{name}.mean", getattr(row, name).mean, one.metric)


def _series(one: Series) -> Wrong:
    for place, (low, mean, high) in enumerate(zip(one.low, one.mean, one.high, strict=False)):
        if not _ordered(low, mean, high):
            yield f"mean[{place}]", f"{mean:g} is not between the lowest and the highest seed, {low:g} and {high:g}"


def _history(one: VariantHistory) -> Wrong:
    for name, series in one.series.items():
        for place, mean in enumerate(series.mean if name in METRICS and one.epochs else ()):  # 0 of a task
            yield from _value(f"series[{name!r}].mean[{place}]", mean, METRICS[name])


def _costs(one: CostFront) -> Wrong:
    for place, point in enumerate(one.points):
        yield from _value(f"points[{place}].mean", point.mean, one.metric)
        yield from _value(f"points[{place}].cost", point.cost, one.cost)


def _confusion(one: ConfusionChange) -> Wrong:
    for name in ("before", "after"):
        yield from _between(name, getattr(one, name), (0.0, one.images), "a number of its images")


def _images(one: ImageComparison) -> Wrong:
    yield from _between("difference", one.difference, (-1.0, 1.0), "a difference of accuracies")
    for place, pair in enumerate(one.pairs):
        if pair.gained + pair.lost > one.images:
            yield f"pairs[{place}]", f"{pair.gained + pair.lost} images changed sides, of {one.images}"


def _amount(one: Amount) -> Wrong:
    yield from _value("value", one.value, one.quantity)
    yield from _interval(one.value, one.low, one.high, "value")


def _tuning(one: VariantTuning) -> Wrong:
    known = {*METRICS, *COSTS, *(goal.name for goal in one.reported)}
    if unknown := [name for name in one.objectives[:1] or ("",) if name not in known]:
        yield "objectives", f"'{unknown[0]}' is nothing that trials look for"
        return
    for place, trial in enumerate(one.trials):
        yield from _value(f"trials[{place}].values[0]", trial.values[0] if trial.values else None, one.objective)
    for name, share in one.importances.items():
        yield from _between(f"importances[{name!r}]", share, (0.0, 1.0), "a share")


def _importances(one: Importances) -> Wrong:
    for place, (_, shares) in enumerate(one.rows):
        for at, share in enumerate(shares):
            yield from _between(f"rows[{place}][1][{at}]", share, (0.0, 1.0), "a share")


_FURTHER: Mapping[type, Callable[[Any], Wrong]] = {
    Estimate: _estimate,
    Comparison: _comparison,
    Effect: _judged,
    Conclusion: _conclusion,
    Methods: _planned,
    ComparisonTable: _table,
    Sides: _sides,
    Series: _series,
    VariantHistory: _history,
    CostFront: _costs,
    ConfusionChange: _confusion,
    ImageComparison: _images,
    Amount: _amount,
    VariantTuning: _tuning,
    Importances: _importances,
}
"""What takes more than one number to see."""
