"""What a command says of a study before it begins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..console.findings import in_brief
from ..errors import counted
from .last import typed_again

if TYPE_CHECKING:
    from ..study.spec import Study
    from .study import LoadedStudy, Note

MOST_DATA = 4
"""A command that begins names at most so many different cuts of data; `ablate plan` names all."""


def announce_data(study: Study, note: Note) -> None:
    """Say what data the variants train on, and what of it is left out."""
    found = list(study.described_data())
    for data in found[:MOST_DATA]:
        note(f"  {data}")
    if len(found) > MOST_DATA:
        note(f"  … and {counted(len(found) - MOST_DATA, 'other cut')} of the data: see 'ablate plan'")


def announce_findings(study: LoadedStudy, note: Note) -> None:
    """List what is doubtful in a study, and say where to read what to do about it."""
    found = study.findings
    for line in in_brief(found):
        note(f"  {line}")
    if any(not finding.waived for finding in found):
        options = replace(study.options, only=())  # a check is of the whole study
        note(f"  what to do: {typed_again('check', options) if study.reading.file else 'study.findings'}")
