"""What a notebook shows of results and comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import numbers
from ..console.html import page_html, table_html
from ..report import claim_text, filters, verdict_text
from ..report.table import table
from ..stats import comparison
from ..stats.tested import SEED_BY_SEED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..report.table import TableRow
    from ..stats.results import Results


class Comparison(comparison.Comparison):
    """A comparison that a notebook shows as a table of its seeds.

    mean, low and high are in the unit of data: 0.012 of an accuracy is 1.2 points.
    """

    noun: verdict_text.Noun = "seed"

    def __repr__(self) -> str:
        return f"<{self.candidate} − {self.reference}: {verdict_text.sentence(self, self.noun)}>"

    def _repr_html_(self) -> str:
        quantity = self.metric.quantity
        rows = [(seed, numbers.with_sign(one, quantity)) for seed, one in zip(self.seeds, self.per_seed, strict=True)]
        which = " for both" if self.method in SEED_BY_SEED else ""
        left_out = [f"Left out, without a finite result{which}: seeds {', '.join(map(str, self.left_out))}."]
        shown = table_html(("seed", "difference"), rows, numbers=True)
        title = f"{self.candidate} − {self.reference}"
        return page_html(title, verdict_text.sentence(self, self.noun), shown, left_out if self.left_out else [])


def results_html(results: Results, state: str, notes: Sequence[str]) -> str:
    """Return the comparison table of a study, with how its runs stand, what failed, and what else there is to know."""
    shown, study = table(results), results.study
    failed = results.runs[results.runs["state"] == "failed"].to_dict("records")
    judged = [shown.difference, f"95{numbers.NBSP}% interval", "verdict"] if shown.references else []
    headings = (shown.label, *(column.title for column in shown.columns), *judged, "runs")
    rows = [
        (row.name, *(filters.cell(row, column) for column in shown.columns), *_judged(row, judged), filters.runs(row))
        for row in shown.rows
    ]
    said = [verdict_text.answer(results.comparisons), verdict_text.terms(results.comparisons)]
    claims = [f"{claim_text.claim_verdict(one)}: {one.claim.text}" for one in results.claims]
    reasons = [f"{run['variant']}, seed {run['seed']} failed: {run['reason']}" for run in failed]
    table_of_variants = table_html(headings, rows, numbers=True)
    if shown.further:
        further = [(row.name, *(filters.cell(row, column) for column in shown.further)) for row in shown.rows]
        headings = (shown.label, *(column.title for column in shown.further))
        table_of_variants += table_html(headings, further, numbers=True)
    return page_html(
        study.title or study.name,
        state,
        table_of_variants,
        [*filter(None, said), *claims, *notes, *reasons, *shown.notes],
    )


def _judged(row: TableRow, judged: Sequence[str]) -> list[str]:
    """Return the cells of a row under the headings on what it is compared with."""
    if not judged or row.compared is None:
        return [""] * len(judged)
    return [write(row.compared) for write in (verdict_text.difference, verdict_text.interval, verdict_text.verdict)]
