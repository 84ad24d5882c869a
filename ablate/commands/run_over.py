"""`ablate run`: an ordinary study, or one over several datasets, each in turn and then what they come to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..console import text
from ..errors import InputError, counted
from ..launch.costs import expected_seconds, measured_costs, total_seconds
from ..launch.plan import plan
from ..launch.study import open_study
from ..launch.tuned import with_tuned
from ..training.machine import check_device
from .over_datasets import datasets_of, on, on_each
from .run import run_study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..launch.make import RunOptions
    from ..launch.study import Options
    from .run_report import RunReport


@dataclass(frozen=True)
class RunOver:
    """How a study is run. datasets: some of those that it is over; () for all. tuned: also with what tuning found."""

    how: RunOptions
    datasets: tuple[str, ...] = ()
    tuned: bool = False
    report: RunReport | None = None
    json: bool = False


def run_over(options: Options, asked: RunOver) -> int:
    """Run a study, on each of its datasets where it is over several, and return the exit code."""
    names = datasets_of(options, asked.datasets)
    over = len(names) > 1
    report = replace(asked.report, opened=False) if asked.report and over else asked.report

    def run(one: Options) -> int:
        one = with_tuned(one, text.note) if asked.tuned else one
        return run_study(one, asked.how, json=asked.json, report=report)

    if over:
        _announce(options, names, asked)

    def after(begun: Sequence[str]) -> dict[str, Any] | None:
        from .over_report import at_end_of_run

        opened = bool(asked.report and asked.report.opened)
        parts = [on(options, name).read().study.name for name in begun]
        return at_end_of_run(options.home, parts, asked.report is not None, opened, asked.json)

    return on_each(options, asked.datasets, run, after, asked.json)


def _announce(options: Options, names: Sequence[str], asked: RunOver) -> None:
    """Say what is to be made on all datasets. Raises InputError, before anything is trained, where one cannot be."""
    check_device(options.device)
    wrong: dict[str, str] = {}
    runs, todo, seconds = 0, 0, list[float | None]()
    for name in names:
        try:
            study = open_study(on(options, name), text.note)
        except InputError as error:
            wrong.setdefault(str(error).replace(f"({name})", ""), str(error))
            continue
        planned = plan(study)
        specs = planned.todo(asked.how.retry_failed)
        runs, todo = runs + len(planned.runs), todo + len(specs)
        seconds.append(total_seconds(expected_seconds(specs, measured_costs(options.store, study.name)), 1))
    if wrong:
        raise InputError("\n".join(wrong.values()))
    known = [one for one in seconds if one is not None]
    took = text.about(sum(known) if len(known) == len(seconds) else None)
    jobs = ", one run at a time" if todo and len(known) == len(seconds) else ""
    text.note(f"{counted(len(names), 'dataset')}, {counted(runs, 'run')}, {todo} to make ({took}{jobs})")
