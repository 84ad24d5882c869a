"""The trials of a tuning: opened, counted and driven."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import InputError, counted
from ..launch.jobs import jobs_of
from ..metrics import COSTS, SECONDS
from ..store.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..console.tuning import TuningLines
    from ..execute.jobs import Job
    from ..launch.jobs import Ready
    from ..launch.study import LoadedStudy
    from ..study.spec import RunSpec
    from ..tune.drive import Driver
    from ..tune.open_runs import News
    from ..tune.search import Search
    from ..tune.space import Task

TRIALS = 50


def open_searches(
    study: LoadedStudy, todo: Sequence[Task], named: Sequence[str] = (), url: str | None = None
) -> list[Search]:
    """Open the trials of each variant.

    named: objectives; the study's own metric where there are none. url: of Optuna's storage, None for the store's own.
    """
    from ..tune.objectives import objectives
    from ..tune.search import Search
    from ..tune.storage import open_storage

    costs = COSTS if study.study.images else (SECONDS.name,)  # a task's model is its own affair
    wanted = objectives(named, study.study.tuning.metric, study.study.trained, costs)
    storage = open_storage(Store(study.options.store), url)
    return [Search(storage, study.name, task, wanted) for task in todo]


def driver(
    study: LoadedStudy, searches: Sequence[Search], total: int, ready: Ready | None, lines: TuningLines
) -> Driver:
    """Return what drives a tuning, showing its progress in `lines`. ready: None where there is no trial to make."""
    from ..tune.drive import Driver
    from ..tune.objectives import value
    from ..tune.open_runs import Goal, TrialEnded, Waiting

    def news(what: News) -> None:
        match what:
            case TrialEnded(tuning, trial):
                lines.show(tuning, trial)
            case Waiting(others):
                lines.waiting(others)
            case _:
                lines.event(what)

    def judge(spec: RunSpec, result: Mapping[str, Any]) -> list[float]:
        return [value(objective, spec, result, study.registry) for objective in searches[0].objectives]

    def job(spec: RunSpec) -> Job:
        assert ready is not None  # there is a trial to make
        (made,) = jobs_of(study, [spec], ready.threads, ready.usual_layout)
        # Trials are judged by what training measures, and there may be thousands of them.
        return replace(made, limits=replace(made.limits, keep_predictions=False))

    goal = Goal(total, study.home, study.name, [variant.name for variant in study.written.variants], judge)
    return Driver(searches, goal, job, news)


def total_trials(searches: Sequence[Search], asked: int | None) -> int:
    """Return how many trials each variant gets: by default all of a grid, 50 of anything else.

    Raises InputError where there are more already, or a grid has fewer.
    """
    from ..tune.samplers import grid_size

    tuning = searches[0].task.tuning
    sizes = (
        {s.task.variant.name: grid_size(s.task.space, s.task.default) for s in searches}
        if tuning.sampler.use == "grid"
        else {}
    )
    total = asked or tuning.trials or min(sizes.values(), default=TRIALS)
    for name, size in sizes.items():
        if total > size:
            raise InputError(
                f"tune: trials: {total} are more than the {size} of the grid of '{name}', its own settings included\n"
                f"  give --trials {size}"
            )
    most = max(searches, key=lambda search: search.ended)
    if most.ended > total:
        raise InputError(
            f"tune: trials: '{most.task.variant.name}' has {counted(most.ended, 'trial')} already, more than {total}\n"
            f"  the number is in total for each variant: give --trials {most.ended} or more"
        )
    return total
