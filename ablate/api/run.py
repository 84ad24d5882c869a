"""A study run from Python."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from typing import TYPE_CHECKING, cast

from ..components.import_hook import FINDER
from ..console.reporter import Silent, reporter
from ..data.progress import silence
from ..errors import InputError, TerminatedError
from ..execute.builtin import lacking
from ..execute.server import own_server
from ..launch.executors import LOCAL, Asked
from ..launch.executors import made as made_executor
from ..launch.make import RunOptions, begin, make
from ..launch.plan import plan
from .load import alone, loaded_study, shortened, whole
from .results import StudyResults, results

if TYPE_CHECKING:
    from ..components.registry import Registry
    from ..execute.jobs import Executor
    from ..launch.study import LoadedStudy
    from .load import StudySource


def run(
    study: LoadedStudy | StudySource,
    *,
    jobs: int | None = None,
    retry_failed: bool = False,
    progress: bool | None = None,
    executor: str | Executor = "processes",
) -> StudyResults:
    """Train every run of a study that is not stored yet, and return the results of all.

    study: a loaded study, the path of a study file, or a dict of the same form.
    jobs: how many runs at a time; 0 for as many as fit, None for one per core, at most four, or one on a GPU.
    retry_failed: try runs again that failed before.
    progress: True shows progress on standard error, or in a notebook's cell; False shows nothing; None shows it on a
    terminal or in a notebook only.
    executor: "processes" makes each run in a process of its own; "inline" makes all in this one, one after the other,
    for a debugger: a crash there takes this process with it. Any other name is one that `ablate components executor`
    lists; or give an executor itself, as `ablate.local_executor(devices=[0, 2])` or one of your own.

    A run that fails stops no other: its state and reason are in `results.runs`. What trying the variants out warned of
    is in `results.notes`. Ctrl-C, or a notebook's stop button, has the runs under way save their state, then raises
    KeyboardInterrupt; a second one stops at once. Calling this again continues. Called from a thread other than the
    main one, it leaves signals alone; calls from several threads run one after the other.

    Raises AblateError: as `load_study`, for `jobs` or an `executor` that is not accepted, and before anything is
    trained where a variant cannot be, or the store has no room for the runs.
    """
    jobs = _jobs(jobs)
    loaded, says = loaded_study(study), reporter(progress)
    makes = _executor(executor, loaded.registry)
    with contextlib.ExitStack() as held:
        held.enter_context(contextlib.closing(makes))
        held.enter_context(alone())
        FINDER.use(loaded.registry.code)  # that of the study loaded last may be another one
        if isinstance(says, Silent):
            held.enter_context(silence())
        held.enter_context(own_server())
        planned = plan(loaded)
        begun = begin(loaded, planned, RunOptions(jobs, retry_failed), says, makes)
        made = make(loaded, planned, begun, says, makes)
    if made.stopped is not None:
        _raise(made.stopped)
    found = results(loaded)
    found.notes += tuple(made.notes)
    return found


def _jobs(jobs: object) -> int | None:
    """Return how many runs at a time are asked for. Raises InputError for what is no such number."""
    count = whole(jobs)
    if jobs is not None and (count is None or count < 0):
        raise InputError(
            f"jobs={shortened(jobs)}: is no number of runs\n  accepts a whole number, 0 for as many as fit, or None"
        )
    return count


def _executor(named: object, registry: Registry) -> Executor:
    """Return what makes the runs. Raises InputError where it cannot."""
    if named in ("processes", LOCAL) and multiprocessing.current_process().daemon:
        raise InputError(
            "this process is a worker of multiprocessing that may have no processes of its own\n"
            '  give executor="inline" to make the runs in it'
        )
    if isinstance(named, str):
        return made_executor(Asked(LOCAL if named == "processes" else named), registry)
    if not lacking(named):
        return cast("Executor", named)
    raise InputError(
        f"executor={shortened(named)}: there is no such executor\n"
        '  accepts "processes", "inline", or an executor of your own'
    )


def _raise(number: int) -> None:
    """Raise what a signal stands for, once the runs under way have saved their state."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    signal.raise_signal(number)  # what it does to this process otherwise, which is likely its end
    raise TerminatedError
