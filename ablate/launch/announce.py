"""What a command says of a study before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import counted, listing
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
    """List the warnings about a study, and say where they are explained."""
    places: dict[str, list[str]] = {}
    for finding in study.findings:
        places.setdefault(finding.code, []).append(finding.where)
    for code, where in places.items():
        note(f"  warning: {code} ({listing(where)})")
    if places:
        explained = typed_again("plan", study.options) if study.reading.file else "study.findings"
        note(f"  for the reasons and what to do: {explained}")
