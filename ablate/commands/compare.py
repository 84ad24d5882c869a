"""`ablate compare`: runs made elsewhere, or those of two stores or studies, compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..api.compare import compare_table
from ..api.run_files import read_file
from ..api.run_tables import JSON_SUFFIXES
from ..console import text
from ..console.verdicts import paragraph, verdict_lines
from ..errors import InputError
from ..paths import expanded, shown
from ..report.pages import check_folder
from ..report.verdict_text import terms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..api.compare import Asked, Comparisons


TABLES = {".csv", ".tsv", *JSON_SUFFIXES}


@dataclass(frozen=True)
class CompareOptions:
    """What to compare, how, and what to write. study: which one of two stores. out: a folder for a report."""

    sources: Sequence[Path]
    asked: Asked
    store: Path
    study: str | None = None
    out: Path | None = None
    json: bool = False


def compare_runs(options: CompareOptions) -> int:
    """Compare, show the verdicts, write a report where one is asked for, and return the exit code."""
    if options.out is not None:
        check_folder(expanded(options.out))
    found = _compared(options)
    files = found.report(expanded(options.out)) if options.out is not None else []
    if options.json:
        text.say_json(found.document() | {"files": [str(file) for file in files]})
        return 0
    for note in found.notes:
        text.note(note)
    for line in verdict_lines(found.comparisons, noun=found.noun, said=found.said):
        text.say(line)
    for line in paragraph(terms(found.comparisons)):
        text.say(line)
    for file in files:
        text.note(f"wrote {shown(file)}")
    return 0


def _compared(options: CompareOptions) -> Comparisons:
    match options.sources:
        case [one] if not one.is_dir():
            return compare_table(read_file(one), options.asked)
        case [one]:
            raise InputError(
                f"{shown(one)}: is a folder\n  accepts a file of runs, or two stores or studies; "
                f"for a study in one store: ablate verdict STUDY --store {shown(one)}"
            )
        case [one, other] if one.suffix.lower() in TABLES and other.suffix.lower() in TABLES:
            raise InputError(
                f"{shown(one)} and {shown(other)}: are two files; ablate compare takes one, with all runs in it\n"
                "  write the rows of both below one header, with a column that says which file a run is of: in pandas, "
                "pandas.concat({'a': a, 'b': b}, names=['file']).reset_index('file'), then --variant file"
            )
        case [reference, candidate]:
            from .compare_stores import Side, compare_sides

            sides = [Side(source, options.store, options.study) for source in (reference, candidate)]
            return compare_sides(sides[0], sides[1], options.asked)
    raise InputError("ablate compare takes one file of runs, or two stores or studies")
