"""What a notebook shows of results and comparisons: HTML in which every value is escaped."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from .. import numbers
from ..report import text
from ..report.escapes import for_html
from ..report.table import table
from ..stats.results import Comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jinja2

    from ..stats.results import Results

PAGE = """\
<div>
<p><strong>{{ title }}</strong><br>{{ state }}</p>
<table>
<thead><tr>{% for one in headings %}<th style="text-align: {{ side(loop) }}">{{ one }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}
<tr>{% for cell in row %}<td style="text-align: {{ side(loop) }}">{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
{% for note in notes %}
<p style="max-width: 60em"><small>{{ note }}</small></p>
{% endfor %}
</div>
"""


class NotebookComparison(Comparison):
    """A comparison that a notebook shows as a table of its seeds.

    mean, low and high are in the unit of data: 0.012 of an accuracy is 1.2 points.
    """

    def __repr__(self) -> str:
        return f"<{self.candidate} − {self.reference}: {self._told()}>"

    def _told(self) -> str:
        within = f", 95 % interval {text.interval(self)}" if self.low is not None else ""
        return f"{self.metric.label} {text.difference(self)}{within} ({text.basis(self)})"

    def _repr_html_(self) -> str:
        quantity = self.metric.quantity
        left_out = [f"Left out, without a result for both: seeds {', '.join(map(str, self.left_out))}."]
        return _page(
            f"{self.candidate} − {self.reference}",
            self._told(),
            ("seed", "difference"),
            [(seed, numbers.difference(one, quantity)) for seed, one in zip(self.seeds, self.per_seed, strict=True)],
            left_out if self.left_out else [],
        )


def results_html(results: Results, state: str, notes: Sequence[str]) -> str:
    """Return the comparison table of a study, with how its runs stand, what failed, and what else there is to know."""
    shown, study = table(results), results.study
    failed = results.runs[results.runs["state"] == "failed"].to_dict("records")
    return _page(
        study.title or study.name,
        state,
        (shown.label, *(column.title for column in shown.columns), "runs"),
        [(row.name, *(text.cell(row, column) for column in shown.columns), text.runs(row)) for row in shown.rows],
        [*notes, *(f"{run['variant']}, seed {run['seed']} failed: {run['reason']}" for run in failed), *shown.notes],
    )


def _page(title: str, state: str, headings: Sequence[str], rows: Sequence[Sequence[Any]], notes: Sequence[str]) -> str:
    """Return a table, of names in its first column and numbers in the others, under a title and a line."""
    return _template().render(title=title, state=state, headings=headings, rows=rows, notes=notes)


@cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(autoescape=True, finalize=for_html, trim_blocks=True, lstrip_blocks=True)
    environment.globals["side"] = lambda loop: "left" if loop.first else "right"
    return environment.from_string(PAGE)
