"""The results of runs by variant: the table that `ablate run` ends with, and `ablate status STUDY`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..console import text
from ..numbers import ABSENT, NBSP, digits, duration, ends, value
from ..stats.run_costs import cost_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..metrics import Metric
    from ..stats.results import Results


def results_table(results: Results, only: Collection[str] = ()) -> str:
    """Return a table of the variants that have runs, planned or made. only: of these variants; empty for all."""
    compared, rows = results.study.compared, []
    decimals = max(2, digits(compared.quantity, (found.half_width for found in results.estimates().values())))
    for variant in dict.fromkeys(results.runs["variant"]):
        if only and variant not in only:
            continue
        found, runs = results.estimate(variant), results.stored_of(variant).values()
        spent = cost_of(runs, "seconds")
        took = duration(spent.median) if spent else ABSENT
        mean = value(found.mean, compared.quantity, decimals)
        interval = ends(found.low, found.high, compared.quantity, decimals).replace(NBSP, " ")
        rows.append([variant, str(len(runs)), mean, interval, took])
    head = [results.study.label, "runs", heading(compared), "95 % interval", "time each"]
    return text.table(head, rows, right=(1, 2, 3, 4))


def heading(compared: Metric) -> str:
    """Return what a column of a metric is called, with its unit."""
    unit = compared.quantity.unit
    return compared.label + (f" {unit}" if unit else "")
