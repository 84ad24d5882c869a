"""A study's report in its folder: what `ablate report`, its `--watch`, and the end of `ablate run` write alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..api.records import read_records
from ..launch.study import silent
from ..paths import expanded
from ..report.figure_files import figure_files
from ..report.folders import folder_of
from ..report.pages import write_files
from ..report.render import render
from .verdict import Otherwise, compared_otherwise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..launch.study import Note
    from ..report.content import Records, Report
    from ..store.store import Store
    from ..store.studies import StudyRecord

FORMATS = ("html", "md")
"""What is written where nobody says otherwise."""


@dataclass(frozen=True)
class Form:
    """In which formats a report is written, to which folder (None for reports/STUDY), and by which method compared.

    templates: forms of the user's own, which are written too. images: it shows some that the runs were evaluated on.
    figures: a folder that each figure is also written to on its own. style: that they are drawn in.
    """

    formats: Sequence[str] = FORMATS
    out: Path | None = None
    method: str | None = None
    templates: Sequence[Path] = ()
    images: bool = True
    figures: Path | None = None
    style: str = "paper"

    def folder(self, record: StudyRecord) -> Path:
        """Return where a study's report goes."""
        return expanded(self.out) if self.out else folder_of(record.name, record.changes.pilot)


def gathered(home: Store, record: StudyRecord, form: Form, note: Note = silent, by_name: bool = True) -> Records:
    """Read what is stored of a study, compared as the form says. note, by_name: as of `read_records`."""
    records = read_records(home, record, note, by_name=by_name)
    records = records if form.images else replace(records, pictures=None)
    if form.method is None:
        return records
    compared = compared_otherwise(records.results, Otherwise(method=form.method))
    *before, last = records.commands
    typed = f"{last} --method {form.method}" if last.startswith("ablate report") else last
    return replace(records, results=compared, commands=(*before, typed))


def write(records: Records, record: StudyRecord, form: Form, live: bool = False, note: Note = silent) -> list[Path]:
    """Write a report, and return its files.

    live: the page loads itself again now and then, since more is to come. note: takes a line for each figure of the
    user's own that cannot be drawn.
    """
    once = noted_once(note)
    files = render(records, form.formats, form.folder(record), live, form.templates, once)
    return [*files, *write_figures(records, form, once)]


def write_figures(made: Records | Report, form: Form, note: Note) -> list[Path]:
    """Write each figure on its own where the form asks for that, and return the files."""
    figures = figure_files(made, expanded(form.figures), form.style, note) if form.figures else {}
    write_files(figures)
    return list(figures)


def noted_once(note: Note) -> Note:
    """Return what takes lines for the user, and hands each on once."""
    told: set[str] = set()

    def once(line: str) -> None:
        if line not in told:
            told.add(line)
            note(line)

    return once
