"""What runs gave, by variant: the table that `ablate run` ends with, and `ablate status STUDY`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..console import text
from ..metrics import metric
from ..numbers import NBSP, duration, interval, value
from ..stats.summary import estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..metrics import Metric
    from ..study.spec import Study


def results_table(study: Study, done: Mapping[str, Sequence[Mapping[Any, Any]]]) -> str:
    """Return a table of variants. done: the results of each one's finished runs."""
    compared = metric(study.metric)
    quantity = compared.quantity
    rows = []
    for variant, results in done.items():
        found = estimate([number(result, study.metric) for result in results], bounds=compared.bounds)
        seconds = [number(result, "seconds") for result in results]
        took = duration(sum(seconds) / len(seconds)) if seconds else "–"
        shown_as = value(found.mean, quantity, 2), interval(found.low, found.high, quantity, 2).replace(NBSP, " ")
        rows.append([variant, str(len(results)), *shown_as, took])
    head = [study.label, "runs", heading(compared), "95 % interval", "time each"]
    return text.table(head, rows, right=(1, 2, 3, 4))


def heading(compared: Metric) -> str:
    """Return what a column of a metric is called, with its unit."""
    unit = compared.quantity.unit
    return compared.label + (f" {unit}" if unit else "")


def number(result: Mapping[Any, Any], name: str) -> float:
    """Return a number of a result; nan where it is absent."""
    found = result.get(name)
    return float(found) if isinstance(found, (int, float)) else math.nan
