"""`ablate run`: an ordinary study, or one over several datasets, each in turn and then what they come to."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..components.import_hook import FINDER
from ..console import text
from ..errors import InputError, counted
from ..execute.local import LocalProcesses
from ..host import cores
from ..launch.costs import expected_seconds, measured_costs, total_seconds
from ..launch.executors import LOCAL
from ..launch.plan import plan
from ..launch.probes import known_probe
from ..launch.rehearsal import fetch_data, rehearse
from ..launch.study import open_study
from ..launch.tuned import with_tuned
from ..training.machine import check_device
from .over_datasets import datasets_of, on, on_each
from .plan import Totals
from .run import run_study

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..launch.make import RunOptions
    from ..launch.study import LoadedStudy, Options
    from ..study.spec import RunSpec
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
        _check(options, names, asked)

    def after(begun: Sequence[str]) -> dict[str, Any] | None:
        from .over_report import at_end_of_run

        opened = bool(asked.report and asked.report.opened)
        parts = [on(options, name).read().study.name for name in begun]
        return at_end_of_run(options.home, parts, asked.report is not None, opened, asked.json)

    return on_each(options, asked.datasets, run, after, asked.json)


def _check(options: Options, names: Sequence[str], asked: RunOver) -> None:
    """Say what is to be made on all datasets, and try out what was never tried on this machine.

    Raises InputError, before anything is trained, where a dataset or a variant on it cannot be.
    """
    check_device(options.device)
    totals, wrong = Totals(), dict[str, str]()
    studies: list[tuple[LoadedStudy, list[RunSpec]]] = []
    for name in names:
        try:
            study = open_study(on(options, name), text.note)
        except InputError as error:
            wrong.setdefault(str(error).replace(f"({name})", ""), str(error))
            continue
        planned = plan(study)
        todo = planned.todo(asked.how.retry_failed)
        totals.add(planned, total_seconds(expected_seconds(todo, measured_costs(options.store, study.name))))
        studies.append((study, todo))
    _refuse(wrong)
    when = f" ({text.about(totals.seconds)}, one run at a time)" if totals.todo and totals.seconds else ""
    text.note(f"{counted(len(names), 'dataset')}, {counted(totals.runs, 'run')}, {totals.todo} to make{when}")
    for study, todo in studies if asked.how.executor.name == LOCAL else ():
        try:
            _try_out(study, todo)
        except InputError as error:
            wrong[study.name] = str(error)
    _refuse(wrong)


def _refuse(wrong: Mapping[str, str]) -> None:
    if wrong:
        raise InputError("\n".join(wrong.values()))


def _try_out(study: LoadedStudy, todo: Sequence[RunSpec]) -> None:
    """Try out variants whose first steps nobody has seen, so that what cannot take these images is found now.

    Of a dataset that is still to be fetched this is done when its turn comes, and of a pilot too.
    """
    specs = [spec for spec in todo if spec.recipe.images and known_probe(spec) is None]
    if study.study.pilot or not specs or any(source.pending() for source in study.sources(specs)):
        return
    FINDER.use(study.registry.code)
    fetch_data(study.sources(specs))
    with closing(LocalProcesses()) as local:
        rehearse(study, local, specs, cores(), text.note)
