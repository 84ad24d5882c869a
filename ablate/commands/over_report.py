"""What the end of `ablate run`, `ablate verdict` and `ablate report` say and write of a study over several datasets."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..api.over import gather_over
from ..api.records import read_records
from ..console import text
from ..console.verdicts import paragraph, verdict_lines
from ..errors import AblateError, InputError, counted, error_text, listing
from ..launch.last import changed_since
from ..launch.over import study_meant
from ..paths import expanded, shown
from ..report.folders import folder_of
from ..report.over_datasets import FILES, render_over
from ..report.over_document import comparison_over_facts
from ..report.over_text import open_lines, over_sentence, over_sentences, over_terms, why_no_ranks
from ..report.pages import check_formats
from ..store.over import StudyOver, over_of
from ..store.store import Store
from ..store.studies import load_study
from .open_page import open_page
from .over_datasets import in_turn
from .report import check_wanted, write_report
from .report_files import Form, gathered, write
from .verdict import compared_otherwise, show_verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..api.over import GatheredOver
    from ..report.content import Records
    from ..report.over_content import OverReport
    from ..store.studies import StudyRecord
    from .report import ReportOptions
    from .verdict import Otherwise, VerdictOptions


def report_meant(options: ReportOptions) -> int:
    """Write the report that is meant, of an ordinary study or of one over datasets, and return the exit code."""
    check_wanted(options)
    meant = None if options.file else study_meant(
        Store(options.store), options.study, "ablate report", options.pilot, options.datasets
    )  # fmt: skip
    return over_report(meant, options) if isinstance(meant, StudyOver) else write_report(options)


def verdicts_meant(options: VerdictOptions) -> int:
    """Print the verdicts that are meant, of an ordinary study or of one over datasets, and return the exit code."""
    meant = study_meant(Store(options.store), options.study, "ablate verdict", options.pilot, options.datasets)
    return over_verdicts(meant, options) if isinstance(meant, StudyOver) else show_verdicts(options)


def over_verdicts(study: StudyOver, options: VerdictOptions) -> int:
    """Print the verdicts on each dataset and over all of them, and return the exit code."""
    if options.otherwise.reference:
        raise InputError(
            "--reference: over several datasets the study's own comparisons are made\n"
            "  list the pairs that matter as [[comparison]] in the study, or take one dataset: --dataset NAME"
        )
    code, documents = in_turn(
        list(study.records),
        lambda name: show_verdicts(replace(options, study=study.records[name].name, datasets=())),
        options.json,
    )
    found = _gathered(study, options.study in (None, study.name), options.otherwise)
    if options.json:
        text.say_json({"study": study.name, "datasets": documents, "over all": verdicts_over(found.report)})
        return code
    say_over(found.report)
    return code


def verdicts_over(made: OverReport) -> dict[str, Any]:
    """Return what a study comes to over its datasets as plain JSON."""
    return {
        "answer": " ".join(over_sentences(made)),
        "open": open_lines(made),
        "comparisons": [comparison_over_facts(one, made.names) for one in made.comparisons],
    }


def say_over(made: OverReport) -> None:
    """Print what a study comes to over its datasets."""
    known = [part.dataset for part in made.datasets if part.done]
    text.say(f"\n── over {counted(len(known), 'dataset')}: {listing(known, 12)}")
    if made.pilot:
        text.say("a pilot, whose numbers mean nothing: so nothing is compared")
        return
    lines = verdict_lines(made.means, noun="dataset") if made.means else map(over_sentence, made.comparisons)
    ranks = paragraph(why_no_ranks(made)) if len(known) > 1 else []
    for line in (*lines, *paragraph(over_terms(made)), *ranks):
        text.say(line)
    for line in open_lines(made):
        text.note(line)


@dataclass(frozen=True)
class OverFolders:
    """Where the reports of a study over datasets go. out: a folder for all of them; None for the usual ones."""

    study: StudyOver
    out: Path | None = None

    @property
    def whole(self) -> Path:
        """Return where the page over all datasets goes."""
        return expanded(self.out) if self.out else folder_of(self.study.name, self.study.pilot)

    def part(self, dataset: str) -> Path:
        """Return where the report of one dataset goes."""
        usual = folder_of(self.study.records[dataset].name, self.study.pilot)
        return expanded(self.out) / usual.name if self.out else usual

    def links(self, page: str) -> dict[str, str]:
        """Return where the page of each dataset is, as seen from that over all of them."""
        return {
            name: f"{os.path.relpath(self.part(name), self.whole)}/{page}".replace(os.sep, "/")
            for name in self.study.records
        }


def write_over_report(found: GatheredOver, form: Form) -> list[Path]:
    """Write the page over all datasets, and return its files."""
    folders, made = OverFolders(found.study, form.out), found.report
    files: list[Path] = []
    for name in form.formats:
        page = "report.md" if name == "md" else "report.html"
        there = {d: link for d, link in folders.links(page).items() if (folders.part(d) / page).is_file()}
        files += render_over(made, [name], folders.whole, there)
    return files


def over_report(study: StudyOver, options: ReportOptions) -> int:
    """Write the report of each dataset and the page over all of them, name the files, and return the exit code."""
    form = options.form
    check_formats(form.formats, FILES)
    if form.templates or form.figures:
        raise InputError(
            "--template and --figures are for one dataset of a study over several\n"
            f"  name it: --dataset NAME, of {listing(study.datasets)}"
        )
    by_name = options.study in (None, study.name)
    found = gather_over(study, lambda record: gathered(study.home, record, form, text.note, by_name))
    folders = OverFolders(study, form.out)
    files: list[Path] = []
    for name, records in found.records.items():
        record = study.records[name]
        if not options.json and (changed := changed_since(study.home, record)):
            text.note(changed)
        files += write(records, record, replace(form, out=folders.part(name)), note=text.note)
    whole = write_over_report(found, form)
    if options.json:
        text.say_json({"study": study.name, "files": [str(file.resolve()) for file in (*whole, *files)]})
    else:
        for line in open_lines(found.report):
            text.note(line)
        for file in (*whole, *files):
            text.say(shown(file))
    if options.opened:
        open_page(whole)
    return 0


def at_end_of_run(store: Store, parts: Sequence[str], report: bool, opened: bool, json: bool) -> dict[str, Any] | None:
    """Say what a study over datasets comes to, and write its page; return that for JSON.

    store: that the runs are in. parts: the names of the ordinary studies that were run. Results stand whatever fails
    here, which is said.
    """
    try:
        recorded = [record for record in (load_study(store, name) for name in parts) if record]
        if not recorded:
            return None
        study = over_of(store, recorded[0]).narrowed([record.changes.dataset for record in recorded])
        found = _gathered(study, by_name=False)
        if not json:
            say_over(found.report)
        files = write_over_report(found, Form()) if report else []
        if files and not json:
            text.note(f"report over all: {' and '.join(shown(file) for file in files)}")
        if files and opened:
            open_page(files)
        return {**verdicts_over(found.report), "files": [str(file.resolve()) for file in files]}
    except Exception as error:  # noqa: BLE001  # the results stand whatever a template, a metric or a disk does
        said = str(error) if isinstance(error, (AblateError, OSError)) else error_text(error)
        text.note(f"what it comes to over all datasets was not said or written: {said}")
        return None


def _gathered(study: StudyOver, by_name: bool, otherwise: Otherwise | None = None) -> GatheredOver:
    """Read a study over datasets, compared otherwise than it says where that is asked for."""

    def read(record: StudyRecord) -> Records:
        records = read_records(study.home, record, by_name=by_name)
        return (
            records if otherwise is None else replace(records, results=compared_otherwise(records.results, otherwise))
        )

    return gather_over(study, read)
