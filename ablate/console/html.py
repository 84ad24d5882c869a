"""A study as a notebook shows it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ..errors import counted, listing, printable
from ..study.differences import differences, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..checks.finding import Finding
    from ..study.spec import Study, Variant


def study_html(study: Study, findings: Sequence[Finding]) -> str:
    """Return a table of a study's variants with what each changes, and the warnings about the study below it."""
    head = f"<tr>{''.join(f'<th {LEFT}>{_safe(name)}</th>' for name in (study.label, 'from', 'what it changes'))}</tr>"
    rows = "".join(
        f"<tr>{''.join(f'<td {LEFT}>{_safe(cell)}</td>' for cell in _row(study, variant))}</tr>"
        for variant in study.variants
    )
    runs = counted(len(study.variants) * len(study.seeds), "run")
    about = f"{study.name}: {runs}, seeds {listing(map(str, study.seeds))}, compared by {study.metric}"
    doubts = "".join(f"<p>warning: {_safe(f'{finding.where}: {finding.reason}')}</p>" for finding in findings)
    return f"<div><p><b>{_safe(study.title)}</b><br>{_safe(about)}</p><table>{head}{rows}</table>{doubts}</div>"


LEFT = 'style="text-align: left"'


def _row(study: Study, variant: Variant) -> tuple[str, str, str]:
    recipe = variant.recipe
    if variant.parent is None:
        parts = (recipe.dataset.use, text_of(recipe.model), text_of(recipe.optimizer), counted(recipe.epochs, "epoch"))
        return variant.name, "", ", ".join(parts)
    changes = differences(study.variant(variant.parent).recipe, recipe)
    return variant.name, variant.parent, "; ".join(f"{name} {old} → {new}" for name, old, new in changes)


def _safe(text: str) -> str:
    return escape(printable(text))
