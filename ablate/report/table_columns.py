"""The comparison table as a list of columns, each with the text of its cells: for Markdown and for what is copied.

A page and a paper have less room, and set some of these beneath each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import numbers
from . import filters
from .verdict_text import bare, interval, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .table import Column, ComparisonTable, TableRow

INTERVAL = "95 % interval"


@dataclass(frozen=True)
class TextColumn:
    """A column as text. number: its cells are numbers, whose ends stand below each other."""

    heading: str
    text: Callable[[TableRow], str]
    number: bool = True


def text_columns(table: ComparisonTable) -> list[TextColumn]:
    """Return every column of the comparison table, in its order."""
    return [*_variant(table), *_measured(table), *_compared(table), *_to_baseline(table), *_runs(table)]


def _variant(table: ComparisonTable) -> Iterator[TextColumn]:
    yield TextColumn(table.label, lambda row: row.name, number=False)
    yield TextColumn(table.model_heading, lambda row: row.model, number=False)
    yield TextColumn("Key enhancements", filters.enhancements, number=False)
    if table.images:
        yield TextColumn("Epochs", lambda row: str(row.epochs))
    yield TextColumn("n", lambda row: runs_counted(row, table))


def _measured(table: ComparisonTable) -> Iterator[TextColumn]:
    for column in table.columns:
        yield TextColumn(column.title, _cell(column))
        if column.kind == "reported":
            yield TextColumn(f"{column.metric.heading}, ours {numbers.MINUS} reported", _gap(column))


def _compared(table: ComparisonTable) -> Iterator[TextColumn]:
    if not table.references:
        return
    if len(table.references) > 1:
        yield TextColumn("Against", lambda row: row.compared.reference if row.compared else "", number=False)
    yield TextColumn(table.difference, lambda row: filters.change(row, table))
    yield TextColumn(INTERVAL, lambda row: interval(row.compared))
    yield TextColumn("Verdict", lambda row: verdict(row.compared) if row.compared else "", number=False)


def _to_baseline(table: ComparisonTable) -> Iterator[TextColumn]:
    if not table.baseline:
        return
    yield TextColumn(against_baseline(table), lambda row: bare(row.to_baseline) if row.to_baseline else "")
    yield TextColumn(INTERVAL, lambda row: interval(row.to_baseline))
    yield TextColumn("Verdict", filters.to_baseline_verdict, number=False)


def _runs(table: ComparisonTable) -> Iterator[TextColumn]:
    if table.costs:
        if table.images:
            yield TextColumn("Parameters", filters.parameters)
        yield TextColumn("Time a run", filters.run_time)
    if table.incomplete:
        yield TextColumn("Runs done", filters.runs, number=False)


def _cell(column: Column) -> Callable[[TableRow], str]:
    return lambda row: filters.cell(row, column)


def _gap(column: Column) -> Callable[[TableRow], str]:
    return lambda row: signed_gap(row, column)


# --- for templates -----------------------------------------------------------------------------------------------


def table_head(table: ComparisonTable) -> list[tuple[str, bool]]:
    """List the headings of all columns of the comparison table, each with whether it is one of numbers."""
    return [(column.heading, column.number) for column in text_columns(table)]


def table_cells(row: TableRow, table: ComparisonTable) -> list[str]:
    """Write the cells of a row in all columns of the comparison table."""
    return [column.text(row) for column in text_columns(table)]


def against_baseline(table: ComparisonTable) -> str:
    """Write what stands above the differences to the baseline: "Against Phase 1 (points of test accuracy)"."""
    step = table.metric.quantity.step
    return f"Against {table.baseline} ({f'{step} of ' if step else ''}{table.metric.label})"


def signed_gap(row: TableRow, column: Column) -> str:
    """Write our mean less the reported number, with its sign and without its unit; empty for no gap."""
    gap, quantity = row.gap(column.metric), column.metric.quantity
    digits = numbers.digits(quantity, [row.estimates[column.metric.name].half_width])
    return "" if gap is None else numbers.fixed(gap * quantity.factor, digits, signed=True)


def runs_counted(row: TableRow, table: ComparisonTable) -> str:
    """Write how many runs of a variant have a finite value of the study's metric, which its mean is of."""
    found = row.estimates.get(table.metric.name)
    return "" if found is None else str(found.n)


FILTERS = {
    function.__name__: function for function in (table_head, table_cells, against_baseline, signed_gap, runs_counted)
}
"""By the names that templates call them by."""
