"""The facts of a report, as text ready to be set: templates loop over them and decide nothing.

`Records` goes in and `Report` comes out. What a number looks like is the business of `numbers`, what a
figure shows that of `figures`, and markup that of the templates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import numbers
from .sections import Fact, Section, paragraphs, sections, settings
from .table import Table, table

if TYPE_CHECKING:
    import pandas as pd

    from ..study.check import Finding
    from ..study.spec import Study
    from ..training.rates import Found


PILOT = "Pilot: one seed, one epoch, at most 2,000 images. It shows that everything runs; its numbers mean nothing."


@dataclass(frozen=True)
class Records:
    """All that a report is made of.

    runs: a row per planned run with `variant`, `seed`, `key`, `state` (done, failed, missing, unfinished),
        `reason`, `parameters`, `seconds`, and final metrics in columns such as `test/accuracy` (nan if absent).
    history: a row per run and epoch with `variant`, `seed`, `epoch`, `lr`, the metrics, `seconds`
        and `images_per_second`.
    findings: what is doubtful in the study. environments: one line each.
    made: ISO time of the report, passed in so that the same records give the same report.
    command: what makes the study's runs again. changes: what the command line changed in the study, as typed.
    tested: the range test of each run that is done and found its own learning rate, with the run's variant.
    """

    study: Study
    runs: pd.DataFrame
    history: pd.DataFrame
    findings: tuple[Finding, ...]
    environments: tuple[str, ...]
    made: str
    command: str = ""
    changes: tuple[str, ...] = ()
    tested: tuple[tuple[str, Found], ...] = ()


@dataclass(frozen=True)
class Gap:
    """Runs of one variant which gave no result, for one reason."""

    variant: str
    seeds: str
    state: str
    reason: str


@dataclass(frozen=True)
class Report:
    """Everything that a report says, but for its figures.

    pilot: the banner of a pilot study, else empty. label: what the study calls a variant.
    """

    name: str
    title: str
    label: str
    note: tuple[str, ...]
    pilot: str
    facts: tuple[Fact, ...]
    table: Table
    sections: tuple[Section, ...]
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    making: tuple[Fact, ...]
    command: str


def report(records: Records) -> Report:
    """Return what a report of these records says. Reads no files, and is the same for the same records."""
    study = records.study
    return Report(
        name=study.name,
        title=study.title or study.name,
        label=study.label,
        note=paragraphs(study.note),
        pilot=PILOT if study.pilot else "",
        facts=_facts(records),
        table=table(study, records.runs),
        sections=sections(study, records.runs, records.tested),
        findings=records.findings,
        gaps=_gaps(records),
        making=_making(records),
        command=f"{records.command or f'ablate run {study.name}.toml'}, then ablate report",
    )


def _facts(records: Records) -> tuple[Fact, ...]:
    study = records.study
    done, planned = int((records.runs["state"] == "done").sum()), len(records.runs)
    return (
        Fact("variants", str(len(study.variants))),
        Fact("seeds each", str(len(study.seeds))),
        Fact("runs done", f"{done} of {planned}"),
        Fact("compared on", numbers.NAMES[study.metric]),
        *([Fact("changed on the command line", ", ".join(records.changes))] if records.changes else []),
    )


def _gaps(records: Records) -> tuple[Gap, ...]:
    """Gather the runs without a result by variant, state and reason, in the order of the plan."""
    seeds: dict[tuple[str, str, str], list[str]] = {}
    open_runs = records.runs[records.runs["state"] != "done"]
    for row in open_runs.to_dict("records"):
        seeds.setdefault((str(row["variant"]), str(row["state"]), str(row["reason"] or "")), []).append(
            str(row["seed"])
        )
    return tuple(Gap(variant, ", ".join(found), state, reason) for (variant, state, reason), found in seeds.items())


def _making(records: Records) -> tuple[Fact, ...]:
    study, runs = records.study, records.runs
    data = {(f.value, f.detail): f for variant in study.variants for f in settings(variant.recipe)[:1]}
    took = runs.loc[runs["state"] == "done", "seconds"].sum()
    return (
        *(Fact("data", fact.value, fact.detail) for fact in data.values()),
        Fact("seeds", ", ".join(map(str, study.seeds)), "the same for every variant"),
        *(Fact("changed on the command line", change) for change in records.changes),
        *(Fact("environment", line) for line in records.environments),
        *([Fact("training time", numbers.duration(float(took)), "all runs that are done")] if took > 0 else []),
        Fact("report made", records.made),
    )
