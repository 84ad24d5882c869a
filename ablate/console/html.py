"""What a notebook shows of a study and its results: HTML in which every text is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from ..errors import counted, listing
from ..report.escapes import visible
from ..study.differences import differences, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..checks.finding import Finding
    from ..study.spec import Study, Variant

CELL = "vertical-align: top; padding: 0.2em 0.8em"
"""A cell's style: a notebook's own differs from one to the next, and some let columns touch."""


def table_html(headings: Sequence[Any], rows: Sequence[Sequence[Any]], numbers: bool = False) -> str:
    """Return a table. numbers: all columns but the first hold numbers, and are aligned to the right."""

    def line(cells: Sequence[Any], tag: str) -> str:
        sides = ["left", *(["right" if numbers else "left"] * (len(cells) - 1))]
        parts = (
            f'<{tag} style="text-align: {s}; {CELL}">{_safe(c)}</{tag}>' for s, c in zip(sides, cells, strict=True)
        )
        return f"<tr>{''.join(parts)}</tr>"

    return "\n".join(["<table>", line(headings, "th"), *(line(row, "td") for row in rows), "</table>"])


def page_html(title: str, about: str, table: str, notes: Sequence[str]) -> str:
    """Return a table, as HTML, under a title and a line, with notes below it."""
    below = "".join(f'<p style="max-width: 60em"><small>{_safe(note)}</small></p>' for note in notes)
    return f"<div><p><strong>{_safe(title)}</strong><br>{_safe(about)}</p>{table}{below}</div>"


def study_html(study: Study, findings: Sequence[Finding]) -> str:
    """Return a table of a study's variants with what each changes, and the warnings about the study below it."""
    runs = f"{'at most ' * bool(study.looks)}{counted(len(study.variants) * len(study.seeds), 'run')}"
    return page_html(
        study.title,
        f"{study.name}: {runs}, seeds {listing(map(str, study.seeds))}, compared by {study.metric}",
        table_html((study.label, "from", "what it changes"), [_row(study, variant) for variant in study.variants]),
        [f"{finding.level}: {finding.where}: {finding.reason}" for finding in findings if not finding.waived],
    )


def _row(study: Study, variant: Variant) -> tuple[str, str, str]:
    recipe = variant.recipe
    if variant.parent is None:
        of_images = (recipe.dataset.use, text_of(recipe.model), text_of(recipe.optimizer))
        parts = (*of_images, counted(recipe.epochs, "epoch")) if recipe.images else (text_of(recipe.task),)
        return variant.name, "", ", ".join(parts)
    changes = differences(study.variant(variant.parent).recipe, recipe)
    return variant.name, variant.parent, "; ".join(f"{name} {old} → {new}" for name, old, new in changes)


def _safe(value: Any) -> str:
    return escape(visible(value))
