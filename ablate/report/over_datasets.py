"""The report of a study over several datasets as files: a page, Markdown, LaTeX, JSON and CSV."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import InputError, did_you_mean, listing
from . import escapes, over_text
from .blocks import Figures
from .csv_tables import csv_rows
from .every_figure import ReportFigure
from .figures_over import draw_over, draw_ranks, over_data, ranks_data
from .forms import form_of
from .over_document import comparison_over_facts, over_document
from .pages import Templates, write_files
from .references import bibtex_file
from .shipped_figures import Ready
from .verdict_text import interval, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from .over_content import DatasetPart, GridRow, OverReport
    from .references import Reference

FILES = {
    "html": ("report.html",),
    "md": ("report.md",),
    "tex": ("report.tex",),
    "json": ("report.json",),
    "csv": ("datasets.csv", "comparisons.csv"),
}
"""The files of each format, without figures."""


@dataclass(frozen=True)
class CellText:
    """A variant on one dataset as text: its mean, the difference below it with a sign for its verdict, and that."""

    mean: str
    difference: str = ""
    mark: str = ""
    verdict: str = ""
    runs: str = ""

    @property
    def kind(self) -> str:
        """Return the class of its verdict on a page: "helped", "hurt" or an empty text."""
        return self.verdict if self.verdict in ("helped", "hurt") else ""


@dataclass(frozen=True)
class RowText:
    """A variant as text: its cells, and the same over all datasets. against: where that is not the same for all."""

    name: str
    against: str
    cells: tuple[CellText, ...]
    over: CellText
    interval: str


@dataclass(frozen=True)
class PartText:
    """A dataset as text. link: to its own report, "" where there is none."""

    dataset: str
    study: str
    state: str
    data: tuple[str, ...]
    link: str


@dataclass(frozen=True)
class OverPage:
    """What templates know of a study over datasets: facts, and all that is said of them. links: by dataset."""

    facts: OverReport
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the study's name."""
        return self.facts.name

    @property
    def title(self) -> str:
        """Return what the page is called."""
        return self.facts.title

    @property
    def label(self) -> str:
        """Return what the study calls a variant."""
        return self.facts.label

    @property
    def note(self) -> tuple[str, ...]:
        """Return the author's words on the study."""
        return self.facts.note

    @property
    def pilot(self) -> str:
        """Return the banner of a pilot, else an empty text."""
        return self.facts.pilot

    @property
    def heading(self) -> str:
        """Return what the numbers of the grid are, with their unit."""
        return self.facts.metric.heading

    @property
    def answer(self) -> list[str]:
        """Return the answer in two sentences."""
        return over_text.over_sentences(self.facts)

    @property
    def open(self) -> list[str]:
        """Return what keeps the answer from being whole."""
        return over_text.open_lines(self.facts)

    @property
    def terms(self) -> str:
        """Return on what terms the answer stands; empty where nothing is compared."""
        return over_text.over_terms(self.facts) if self.facts.comparisons else ""

    @cached_property
    def rows(self) -> tuple[RowText, ...]:
        """Return the grid."""
        several = len({row.reference for row in self.facts.rows if row.reference}) > 1
        decimals = over_text.column_decimals(self.facts)
        return tuple(_row(self.facts, row, several, decimals) for row in self.facts.rows)

    @property
    def key(self) -> str:
        """Return how a cell of the grid is read."""
        return over_text.cells_note(self.facts)

    @property
    def sentences(self) -> list[str]:
        """Return each comparison over all datasets in a sentence or two."""
        return [over_text.over_sentence(one) for one in self.facts.comparisons]

    @property
    def ranks(self) -> str:
        """Return what the average ranks say, or why there are none."""
        return over_text.ranks_text(self.facts) or over_text.why_no_ranks(self.facts)

    @property
    def iqm(self) -> str:
        """Return what interquartile means are, or why there are none; empty where values are not averaged."""
        return over_text.iqm_text(self.facts)

    @property
    def iqms(self) -> list[tuple[str, str, str]]:
        """Return each variant with its interquartile mean and the interval."""
        return over_text.iqm_rows(self.facts)

    @property
    def methods(self) -> list[str]:
        """Return how variants were compared over datasets, as paragraphs."""
        return over_text.over_methods(self.facts)

    @property
    def references(self) -> tuple[Reference, ...]:
        """Return what to cite."""
        return self.facts.references

    @property
    def bibtex(self) -> str:
        """Return what to cite as BibTeX has it."""
        return bibtex_file(self.facts.references)

    @property
    def commands(self) -> tuple[str, ...]:
        """Return what makes its runs and the report again."""
        return self.facts.commands

    @property
    def environments(self) -> tuple[str, ...]:
        """Return what runs were made on, each once."""
        return tuple(dict.fromkeys(line for part in self.facts.datasets for line in part.environments))

    @property
    def parts(self) -> tuple[PartText, ...]:
        """Return the datasets, each with its own report."""
        return tuple(_part(part, self.links.get(part.dataset, "")) for part in self.facts.datasets)


def _row(made: OverReport, row: GridRow, several: bool, decimals: Sequence[int]) -> RowText:
    cells = tuple(
        CellText(
            over_text.cell_mean(cell, made, decimals[place]),
            difference := over_text.cell_difference(cell.compared) if cell else "",
            over_text.MARKS[cell.compared.verdict] if cell and cell.compared and difference else "",
            verdict(cell.compared) if cell and difference else "",
            f"{cell.done} of {cell.planned} runs" if cell and cell.done < cell.planned else "",
        )
        for place, cell in enumerate(row.cells)
    )
    one = row.over
    said = "" if one is None else verdict(one.mean) if one.mean else one.verdict
    difference = over_text.row_over(row)
    mark = over_text.MARKS[one.verdict] if one and difference else ""
    over = CellText(over_text.row_mean(row, made), difference, mark, said)
    return RowText(
        row.variant, row.reference if several else "", cells, over, interval(one.mean) if one and one.mean else ""
    )


def _part(part: DatasetPart, link: str) -> PartText:
    state = f"{part.done} of {part.planned} runs done" if part.study else "not run yet"
    return PartText(part.dataset, part.study, state, part.data, link)


def check_formats(formats: Sequence[str]) -> None:
    """Raise InputError, with all that is accepted, unless every format is one and there is any."""
    wrong = [name for name in formats if name not in FILES]
    if wrong or not formats:
        said = f"unknown report format '{escapes.visible(wrong[0])}'{did_you_mean(wrong[0], FILES)}" if wrong else ""
        raise InputError(f"{said or 'no report format is named'}\n  accepted: {listing(FILES)}")


def render_over(made: OverReport, formats: Sequence[str], folder: Path, links: Mapping[str, str]) -> list[Path]:
    """Write the report of a study over datasets to a folder, and return its files in the order of the formats.

    links: to the report of each dataset, as seen from the folder, by dataset. html: `report.html`. md: `report.md`,
    with its figures in `figures/`. tex: `report.tex` alike. Beside both stands `references.bib`. json: `report.json`.
    csv: `datasets.csv`, each variant on each dataset, and `comparisons.csv`, over all. InputError for an unknown
    format, for a template that cannot be used, and where the folder cannot be written.
    """
    check_formats(formats)
    page, figures = OverPage(made, links), Figures(over_figures(made), lambda _: None)
    files: dict[Path, bytes] = {}
    for name in dict.fromkeys(formats):
        files |= {folder / place: content for place, content in _RENDERERS[name](page, figures).items()}
    write_files(files)
    return [folder / place for name in dict.fromkeys(formats) for place in FILES[name]]


def over_figures(made: OverReport) -> list[ReportFigure]:
    """Return the figures of such a report, not drawn yet."""
    found: list[tuple[Any, Callable[[Any], Any]]] = [(over_data(made), draw_over)]
    found += [(ranks_data(made), draw_ranks)] if made.ranks else []
    return [
        ReportFigure(
            data.name, data.title, data.caption, data.alt, data.absent,
            of=Ready(title=data.title, caption=data.caption, alt=data.alt, absent=data.absent, data=data, make=draw,
                     name=data.name, part="curves"),
        )
        for data, draw in found
    ]  # fmt: skip


def _filled(template: str, page: OverPage, figures: Figures) -> dict[str, bytes]:
    """Return the document that a template makes, with what stands beside it."""
    form = form_of(template)
    blocks, files = figures.placed(form.images)
    text = Templates.of().page(template, {"made": page, "report": page, "figures": blocks})
    beside = {"references.bib": page.bibtex.encode()} if form.beside and page.references else {}
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
