"""`ablate report`: the comparison table and the figures of a study, from what is stored."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..console import text
from ..paths import shown, store_dir
from ..report.content import Records
from ..report.render import check_formats, render
from ..store.frame import environment_lines, read_frames
from ..store.store import Store
from ..store.studies import StudyRecord, file_name, find_study
from ..study.check import findings
from ..training.rates import Found
from ..tune.records import load_tunings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


@dataclass(frozen=True)
class ReportOptions:
    """What to report and where to: study (file, name, or None for the one run last), formats, folder."""

    study: str | None
    store: Path
    formats: Sequence[str] = ("html", "md")
    out: Path | None = None
    pilot: bool | None = None
    json: bool = False


def write_report(options: ReportOptions) -> int:
    """Write a study's report, name its files, and return the exit code."""
    check_formats(options.formats)  # before a large store is read
    home, record = find_study(Store(options.store), options.study, options.pilot)
    records = read_records(home, record)
    out = options.out or Path("reports") / (file_name(record.name) + ("-pilot" if record.changes.pilot else ""))
    files = render(records, options.formats, out)
    if options.json:
        text.say_json({"study": record.name, "files": [str(f.resolve()) for f in files]})
        return 0
    done = int((records.runs["state"] == "done").sum())
    text.note(f"{record.name}{' (pilot)' if record.changes.pilot else ''}: {done} of {len(records.runs)} runs done")
    for row in records.runs[(records.runs["state"] == "done") & (records.runs["reason"] != "")].to_dict("records"):
        text.note(f"{row['variant']}, seed {row['seed']}: {row['reason']}; 'ablate store check' says more")
    for file in files:
        text.say(shown(file))
    return 0


def read_records(home: Store, record: StudyRecord) -> Records:
    """Gather what a report is made of, without loading a plugin."""
    written = record.reading().done()
    keys = record.keys(written)
    if not keys:
        text.note(f"{shown(record.path)} has changed since it was run: this is the study as it was run")
        written = record.as_run().done()
        keys = record.keys(written)
    study = written if written.pilot else record.settled(written)
    wanted = {
        (variant.name, seed): keys.get((variant.name, seed)) for seed in study.seeds for variant in study.variants
    }
    runs, history = read_frames(home, wanted)
    return Records(
        study=study,
        runs=runs,
        history=history,
        findings=findings(study),
        environments=environment_lines(home, list(keys.values())),
        made=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        command=_command(home, record),
        changes=_changes(record),
        tunings=load_tunings(home, record.name),
        tested=_tested(home, runs, keys),
    )


def _tested(home: Store, runs: pd.DataFrame, keys: Mapping[tuple[str, int], str]) -> tuple[tuple[str, Found], ...]:
    """Return the range tests of runs that are done, with their variants."""
    done = runs.loc[runs["state"] == "done", ["variant", "seed"]].itertuples(index=False, name=None)
    documents = [(variant, home.run(keys[variant, seed]).found()) for variant, seed in done]
    found = [(variant, Found.of(document)) for variant, document in documents if document]
    return tuple((variant, test) for variant, test in found if test is not None)


def _changes(record: StudyRecord) -> tuple[str, ...]:
    """Return what the command line changed in the study, as it would be typed."""
    seeds = record.changes.seeds
    # A single seed is written as a list: `--seeds 3,` is seed 3, and `--seeds 3` the seeds 0 to 2.
    listed = [f"--seeds {','.join(map(str, seeds))}{',' if len(seeds) == 1 else ''}"] if seeds else []
    return (*(f"--set {shlex.quote(setting)}" for setting in record.changes.settings), *listed)


def _command(home: Store, record: StudyRecord) -> str:
    """Return the command that makes the study's runs, or what is missing of them, again."""
    pilot = record.changes.pilot
    root = home.root.parent if pilot else home.root
    parts = ["ablate run", shlex.quote(shown(record.path)), *_changes(record), "--pilot" if pilot else ""]
    parts += [] if root == store_dir() else ["--store", shlex.quote(shown(root))]
    return " ".join(part for part in parts if part)
