"""`ablate check`: every doubt about a study, before it trains and from what its runs gave."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..api.records import all_findings, read_records
from ..console import text
from ..console.findings import listed, summed
from ..execute.local import LocalProcesses
from ..host import cores
from ..launch.probes import known_probe
from ..launch.record import as_recorded
from ..launch.rehearsal import fetch_data, rehearse
from ..launch.study import open_study
from ..training.machine import check_device

if TYPE_CHECKING:
    from ..checks.finding import Findings
    from ..launch.study import LoadedStudy, Options


def check_study(options: Options, as_json: bool = False, strict: bool = False) -> int:
    """Print what is doubtful in a study and return the exit code.

    strict: 1 where something serious is not waived.
    """
    check_device(options.device)
    study = open_study(options, text.note)
    _try_out(study)
    found, stored = _findings(study)
    if as_json:
        text.say_json([vars(finding) for finding in found])
    else:
        of = f"before training, and from {stored}" if stored else "before training: no run is stored yet"
        text.say(f"{study.name}: {summed(found)} ({of})")
        for line in listed(found):
            text.say(line)
    serious = any(finding.level == "serious" and not finding.waived for finding in found)
    return 1 if strict and serious else 0


def _try_out(study: LoadedStudy) -> None:
    """Try out the variants whose first steps nobody has seen, which needs their data.

    Raises InputError where one cannot be trained.
    """
    specs = [spec for spec in study.specs if spec.seed == study.seeds[0] and known_probe(spec) is None]
    if not specs:
        return
    for line in (line for source in study.sources(specs) if (line := source.pending())):
        text.note(f"not tried out, so that changes without effect are not found: {line}")
        return
    fetch_data(study.sources(specs))
    rehearse(study, LocalProcesses(), specs, cores(), text.note)


def _findings(study: LoadedStudy) -> tuple[Findings, str]:
    """Return everything doubtful, and how many runs it was also looked for in, "" for none: those that `plan` finds."""
    records = read_records(study.home, as_recorded(study), text.note, study.written)
    count = len(records.results.stored)
    found = all_findings(replace(records, findings=study.findings))
    return found, f"{count} of {len(records.results.runs)} runs" if count else ""
