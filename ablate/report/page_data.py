"""What the script of the HTML page reads: numbers and texts, all of them made here, none computed in the browser."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

from .. import numbers
from ..stats.comparison import turned
from . import escapes, figure_scales, filters, verdict_text
from .drawing import colour_place
from .pairs import MOST_VARIANTS
from .table_copies import table_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..stats.comparison import Comparison, Verdict
    from ..stats.series import Series
    from .content import Report
    from .histories import VariantHistory
    from .pairs import Pair

MOST_NUMBERS = 60_000
"""Of all curves together: about 400 kB. Beyond that each variant has its means alone."""
_RANKS: Mapping[Verdict, int] = {"helped": 3, "no practical difference": 2, "not decided": 1, "hurt": 0}


def page_data(report: Report) -> str:
    """Return what the page's script reads as JSON that can stand in a script element, whatever names hold."""
    places = {history.variant: history.index for history in report.histories}
    made = {
        "variants": [_variant(report, history) for history in report.histories],
        "seeds": sorted({seed for one in report.histories for of in one.series.values() for seed in of.seeds}),
        "curves": _curves(report),
        **({} if report.images else {"step": "Step"}),
        "pairs": [_pair(pair, places) for pair in report.pairs],
        "unpaired": (
            f"In a study of more than {MOST_VARIANTS} variants, differences with intervals and verdicts are of the "
            "comparisons that it plans; these two are none."
        ),
        "table": {name: dataclasses.asdict(copy) for name, copy in table_copies(report.table).items()},
    }
    text = json.dumps(made, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # What ends a script element, or begins a comment in one, begins with this sign.
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def for_sorting(number: float | None) -> str:
    """Write a number with all its digits, for a column to be sorted by; empty where it is absent or not finite."""
    return repr(float(number)) if number is not None and math.isfinite(number) else ""


def verdict_rank(found: Comparison | None) -> str:
    """Return where a verdict stands among the others, the best one highest; empty where there is none."""
    return str(_RANKS[found.verdict]) if found is not None else ""


def verdict_class(verdict: str) -> str:
    """Return the class that gives a verdict its colour: of what helped or hurt."""
    return verdict if verdict in ("helped", "hurt") else ""


FILTERS: Mapping[str, Callable[..., str]] = {
    function.__name__: function for function in (for_sorting, verdict_rank, verdict_class)
}
"""By the names that templates call them by."""


def _variant(report: Report, history: VariantHistory) -> dict[str, Any]:
    section = report.sections[history.index]
    quantity = report.table.metric.quantity
    return {
        "name": escapes.visible(history.variant),
        "colour": colour_place(history.index),
        "finals": [(fact.label, filters.value(fact), filters.detail(fact)) for fact in section.finals],
        "seeds": {seed: numbers.value(value, quantity) for seed, value in history.ends},
    }


def _curves(report: Report) -> dict[str, Any]:
    """Return each quantity of all variants by epoch, in the unit of text."""
    histories, known = report.histories, report.measures
    every = [of for history in histories for of in history.series.values()]
    seeds_too = sum(len(of.epochs) * (3 + len(of.seeds)) for of in every) <= MOST_NUMBERS
    found = {}
    for name in dict.fromkeys(name for history in histories for name in history.series if name != "seconds"):
        shown = {history.index: history.series[name] for history in histories if name in history.series}
        if name == "lr":
            label, heading, factor, decimals = "learning rate", "Learning rate", 1.0, 5
        else:
            one = known[name]
            label, heading, factor, decimals = one.label, one.heading, one.quantity.factor, one.quantity.plain
        found[name] = {
            "label": label,
            "heading": heading,
            "decimals": decimals,
            "log": name == "lr" and figure_scales.spans_far(rate for of in shown.values() for rate in of.mean),
            "variants": {index: _numbers(of, factor, seeds_too=seeds_too) for index, of in shown.items()},
        }
    return found


def _numbers(of: Series, factor: float, *, seeds_too: bool) -> dict[str, Any]:
    def written(values: tuple[float, ...]) -> list[float]:
        return [float(f"{value * factor:.5g}") for value in values]

    made: dict[str, Any] = {"epochs": of.epochs, "mean": written(of.mean)}
    if seeds_too and len(of.seeds) > 1:
        each = [written(values) for values in of.values]
        made |= {"low": written(of.low), "high": written(of.high), "seeds": of.seeds, "values": each}
    return made


def _pair(pair: Pair, places: Mapping[str, int]) -> dict[str, Any]:
    known = [found for found in pair.compared if not math.isnan(found.mean)]
    alone = [] if pair.planned else ["The study does not plan this comparison: its p stands alone."]
    return {
        "candidate": places[pair.candidate],
        "reference": places[pair.reference],
        "changes": [[escapes.visible(text) for text in change] for change in pair.changes],
        "compared": [_compared(found) for found in known],
        # The other way round: the same digits with the other sign, and another verdict and sentence.
        "turned": [_compared(turned(found)) for found in known],
        "cautions": [*map(escapes.visible, pair.cautions), *alone],
    }


def _compared(found: Comparison) -> dict[str, Any]:
    quantity = found.metric.quantity
    return {
        "metric": found.metric.label,
        "difference": verdict_text.difference(found),
        "interval": verdict_text.interval(found),
        "verdict": verdict_text.verdict(found),
        "tone": verdict_class(found.verdict),
        "told": escapes.visible(verdict_text.sentence(found)),
        "seeds": [
            (seed, numbers.fixed(one * quantity.factor, quantity.plain, signed=True))
            for seed, one in zip(found.seeds, found.per_seed, strict=True)
        ],
    }
