"""The report of a study over several datasets as files: a page, Markdown, LaTeX, JSON and CSV."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from .blocks import Figures
from .csv_tables import csv_rows
from .every_figure import of_ours
from .figures_over import draw_over, draw_ranks, over_data, ranks_data
from .forms import form_of
from .over_document import comparison_over_facts, over_document
from .over_page import OverPage
from .pages import Templates, check_formats, write_files
from .references import BIBLIOGRAPHY
from .shipped_figures import ready

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from .every_figure import ReportFigure
    from .over_content import OverReport

FILES = {
    "html": ("report.html",),
    "md": ("report.md",),
    "tex": ("report.tex",),
    "json": ("report.json",),
    "csv": ("datasets.csv", "comparisons.csv"),
}
"""The files of each format, without figures."""


def render_over(made: OverReport, formats: Sequence[str], folder: Path, links: Mapping[str, str]) -> list[Path]:
    """Write the report of a study over datasets to a folder, and return its files in the order of the formats.

    links: to the report of each dataset, as seen from the folder, by dataset. html: `report.html`. md: `report.md`,
    with its figures in `figures/`. tex: `report.tex` alike. Beside both stands `references.bib`. json: `report.json`.
    csv: `datasets.csv`, each variant on each dataset, and `comparisons.csv`, over all. InputError for an unknown
    format, for a template that cannot be used, and where the folder cannot be written.
    """
    check_formats(formats, FILES)
    page, figures = OverPage(made, links), Figures(over_figures(made), lambda _: None)
    files: dict[Path, bytes] = {}
    for name in dict.fromkeys(formats):
        files |= {folder / place: content for place, content in _RENDERERS[name](page, figures).items()}
    write_files(files)
    return [folder / place for name in dict.fromkeys(formats) for place in FILES[name]]


def over_figures(made: OverReport) -> list[ReportFigure]:
    """Return the figures of such a report, not drawn yet."""
    found = [ready(over_data(made), draw_over, "differences")]
    found += [ready(ranks_data(made), draw_ranks, "differences")] if made.ranks else []
    return [of_ours(one.name, one, usual=True) for one in found]


def _filled(template: str, page: OverPage, figures: Figures) -> dict[str, bytes]:
    """Return the document that a template makes, with what stands beside it."""
    form = form_of(template)
    blocks, files = figures.placed(form.images)
    text = Templates.of().page(template, {"made": page, "report": page, "figures": blocks})
    beside = {BIBLIOGRAPHY: page.bibtex.encode()} if form.beside and page.references else {}
    return {**files, **beside, template.replace("over.", "report.").removesuffix(".jinja"): text.encode()}


def _html(page: OverPage, figures: Figures) -> dict[str, bytes]:
    return _filled("over.html.jinja", page, figures)


def _markdown(page: OverPage, figures: Figures) -> dict[str, bytes]:
    return _filled("over.md.jinja", page, figures)


def _latex(page: OverPage, figures: Figures) -> dict[str, bytes]:
    return _filled("over.tex.jinja", page, figures)


def _json(page: OverPage, figures: Figures) -> dict[str, bytes]:  # noqa: ARG001  # the form of a renderer
    text = json.dumps(over_document(page.facts), ensure_ascii=False, indent=2, allow_nan=False)
    return {"report.json": f"{text}\n".encode()}


def _csv(page: OverPage, figures: Figures) -> dict[str, bytes]:  # noqa: ARG001
    return {"datasets.csv": _cells_csv(page.facts).encode(), "comparisons.csv": _comparisons_csv(page.facts).encode()}


def _cells_csv(made: OverReport) -> str:
    """Write a row for each variant and dataset."""
    head = ("variant", "dataset", "study", "mean", "low", "high", "runs", "planned", "reference", "difference",
            "difference_low", "difference_high", "p", "verdict")  # fmt: skip
    studies = {part.dataset: part.study for part in made.datasets}
    rows = [
        [row.variant, cell.dataset, studies[cell.dataset], cell.mean.mean, cell.mean.low, cell.mean.high, cell.done,
         cell.planned, *([one.reference, one.mean, one.low, one.high, one.p, one.verdict] if one else [""] * 6)]
        for row in made.rows for cell in row.cells if cell
        for one in (cell.compared,)
    ]  # fmt: skip
    return csv_rows(head, rows)


def _comparisons_csv(made: OverReport) -> str:
    """Write a row for each comparison over all datasets."""
    head = ("candidate", "reference", "kind", "verdict", "datasets", "difference", "low", "high", "p", "p_alone",
            "better", "worse", "same", "p_signs", "p_ranks", "text")  # fmt: skip
    rows = []
    for one in made.comparisons:
        facts, mean = comparison_over_facts(one, made.names), one.mean
        numbers = [mean.mean, mean.low, mean.high, mean.p, mean.p_alone] if mean else [math.nan] * 5
        rows.append([one.candidate, one.reference, one.kind, one.verdict, len(one.datasets), *numbers, one.better,
                     one.worse, one.same, one.p_signs, one.p_ranks, facts["text"]])  # fmt: skip
    return csv_rows(head, rows)


_RENDERERS: Mapping[str, Callable[[OverPage, Figures], dict[str, bytes]]] = {
    "html": _html, "md": _markdown, "tex": _latex, "json": _json, "csv": _csv,
}  # fmt: skip
