"""What a notebook shows of results and comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import numbers
from ..console.html import page_html, table_html
from ..report import filters
from ..report.table import table
from ..stats import comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..stats.results import Results


class Comparison(comparison.Comparison):
    """A comparison that a notebook shows as a table of its seeds.

    mean, low and high are in the unit of data: 0.012 of an accuracy is 1.2 points.
    """

    def __repr__(self) -> str:
        return f"<{self.candidate} − {self.reference}: {self._text()}>"

    def _text(self) -> str:
        within = f", 95 % interval {filters.interval(self)}" if self.low is not None else ""
        return f"{self.metric.label} {filters.difference(self)}{within} ({filters.basis(self)})"

    def _repr_html_(self) -> str:
        quantity = self.metric.quantity
        rows = [(seed, numbers.with_sign(one, quantity)) for seed, one in zip(self.seeds, self.per_seed, strict=True)]
        left_out = [f"Left out, without a result for both: seeds {', '.join(map(str, self.left_out))}."]
        shown = table_html(("seed", "difference"), rows, numbers=True)
        title = f"{self.candidate} − {self.reference}"
        return page_html(title, self._text(), shown, left_out if self.left_out else [])


def results_html(results: Results, state: str, notes: Sequence[str]) -> str:
    """Return the comparison table of a study, with how its runs stand, what failed, and what else there is to know."""
    shown, study = table(results), results.study
    failed = results.runs[results.runs["state"] == "failed"].to_dict("records")
    headings = (shown.label, *(column.title for column in shown.columns), "runs")
    rows = [
        (row.name, *(filters.cell(row, column) for column in shown.columns), filters.runs(row)) for row in shown.rows
    ]
    reasons = [f"{run['variant']}, seed {run['seed']} failed: {run['reason']}" for run in failed]
    table_of_variants = table_html(headings, rows, numbers=True)
    return page_html(study.title or study.name, state, table_of_variants, [*notes, *reasons, *shown.notes])
