"""What templates know of a study over several datasets: its facts, and all that is said of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from . import over_text
from .references import bibtex_file
from .verdict_text import interval, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .over_content import DatasetPart, GridRow, OverReport
    from .references import Reference


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
