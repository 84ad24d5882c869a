"""The comparison table as text to paste elsewhere: Markdown, LaTeX and CSV, row by row.

A page joins the rows that it shows, in its own order, between `head` and `foot`.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..numbers import FIGURE_SPACE, NBSP, PUNCTUATION_SPACE
from . import escapes
from .table_columns import text_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .table import ComparisonTable


@dataclass(frozen=True)
class TableCopy:
    """The table in one format. Any of its rows make a whole table between head and foot."""

    head: str
    rows: tuple[str, ...]
    foot: str = ""


def table_copies(table: ComparisonTable) -> Mapping[str, TableCopy]:
    """Return the comparison table in each format that it can be copied as."""
    columns = text_columns(table)
    headings = [column.heading for column in columns]
    rows = [[column.text(row) for column in columns] for row in table.rows]
    right = [column.number for column in columns]
    aligned = "".join("r" if one else "l" for one in right)
    return {
        "markdown": TableCopy(
            "\n".join([_markdown(headings), "|" + "|".join("--:" if one else "---" for one in right) + "|"]),
            tuple(map(_markdown, rows)),
        ),
        "latex": TableCopy(
            f"\\begin{{tabular}}{{{aligned}}}\n\\toprule\n{_latex(headings)}\n\\midrule",
            tuple(map(_latex, rows)),
            "\\bottomrule\n\\end{tabular}",
        ),
        "csv": TableCopy(_csv(headings), tuple(map(_csv, rows))),
    }


def _markdown(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_each(escapes.escape_markdown, cells))} |"


def _latex(cells: Sequence[str]) -> str:
    return " & ".join(_each(escapes.escape_latex, cells)) + r" \\"


def _csv(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(_each(_field, cells))
    return line.getvalue()


def _field(text: str) -> str:
    """Return what a field holds: a number that a spreadsheet reads, else a text that it takes for no formula."""
    number = text.replace("\N{MINUS SIGN}", "-")
    try:
        float(number)
    except ValueError:
        return escapes.defused(text.replace(NBSP, " "))
    return number


def _each(write: Callable[[str], str], cells: Iterable[str]) -> list[str]:
    # What only aligns numbers in a column is not copied.
    return [write(cell.rstrip(FIGURE_SPACE + PUNCTUATION_SPACE)) for cell in cells]
