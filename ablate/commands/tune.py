"""`ablate tune`: look for each variant's best settings, with the same chance for all."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ..components.contracts import Range
from ..console import text
from ..console.tuning import Lines, row, tuning_progress
from ..errors import InputError, listing
from ..execute.server import warm_up
from ..execute.signals import Interrupts
from ..paths import shown
from ..report.numbers import NAMES
from ..store.store import Store
from ..store.studies import find_study
from ..study.plan import key_of
from ..training.machine import check_device
from ..tune.records import VariantTuning, load_tunings
from ..tune.space import Task, tasks
from .prepare import Options, Prepared, prepare, same_store
from .run import (
    RunOptions,
    announce_doubts,
    check_space,
    fetch_data,
    jobs_of,
    local,
    placed,
    record,
    rehearse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..execute.jobs import Executor
    from ..study.spec import RunSpec
    from ..tune.search import Search


TRIALS = 50


@dataclass(frozen=True)
class TuneOptions:
    """How a study is tuned: trials for each variant (None for the study's own number), objectives, Optuna's storage."""

    trials: int | None = None
    objectives: tuple[str, ...] = ()
    storage: str = ""
    jobs: int = 0
    json: bool = False


def tune_study(options: Options, how: TuneOptions, executor: Executor | None = None) -> int:
    """Tune a study's variants and return the exit code: 0, or 1 where a variant has no trial that is done."""
    check_device(options.device)
    Store(options.store).make_writable()
    prepared = prepare(options)
    todo = tasks(prepared.reading, prepared.settled, prepared.registry, prepared.options.only)
    jobs = placed(RunOptions(how.jobs), options.device, 2 * len(todo))
    if executor is None:
        warm_up()
        executor = local(jobs)
    from ..tune.storage import storage_errors  # Optuna takes a second, and so does torch beside it

    with storage_errors():
        searches = open_searches(prepared, todo, how)
        stopped = make_trials(prepared, executor, searches, how, jobs)
    return summarize(prepared, how, stopped)


def make_trials(
    prepared: Prepared, executor: Executor, searches: Sequence[Search], how: TuneOptions, jobs: RunOptions
) -> int | None:
    """Make the trials that are wanted and not there; return the signal that stopped this, or None."""
    total = _total(prepared, searches, how)
    announce(prepared, searches, total, jobs)
    if any(search.told < total or search.left() for search in searches):
        specs = [search.task.spec(prepared.settled, {}) for search in searches]
        fetch_data(prepared, specs)
        states = rehearse(prepared, executor, specs, jobs)
        check_space(prepared, states, specs * total, jobs)
        record(prepared)
        return _drive(prepared, executor, searches, total, jobs)
    record(prepared)
    _driver(prepared, searches, total, jobs, Lines([])).save()
    return None


def open_searches(prepared: Prepared, todo: Sequence[Task], how: TuneOptions) -> list[Search]:
    """Open the trials of each variant."""
    from ..tune.objectives import objectives
    from ..tune.search import Search
    from ..tune.storage import open_storage

    tuning = prepared.settled.study.tuning
    wanted = objectives(how.objectives, tuning.metric)
    storage = open_storage(Store(prepared.options.store), how.storage)
    name = prepared.written.name
    return [Search(storage, name, task, tuning, wanted, task.spec(prepared.settled, {})) for task in todo]


def _total(prepared: Prepared, searches: Sequence[Search], how: TuneOptions) -> int:
    """Return how many trials each variant is to have: all of a grid, and 50 of anything else, where nobody says.

    Raises InputError where there are more already, or a grid has fewer.
    """
    from ..tune.samplers import grid_size

    tuning = prepared.settled.study.tuning
    sizes = {s.task.variant.name: grid_size(s.task.space) for s in searches} if tuning.sampler.use == "grid" else {}
    total = how.trials or tuning.trials or min(sizes.values(), default=TRIALS)
    for name, size in sizes.items():
        if total > size:
            raise InputError(
                f"tune: trials: {total} are more than the {size} of the grid of '{name}', its own settings included\n"
                f"  give --trials {size}"
            )
    most = max(searches, key=lambda search: search.told)
    if most.told > total:
        raise InputError(
            f"tune: trials: '{most.task.variant.name}' has {most.told} trials already, more than {total}\n"
            f"  the number is in total for each variant: give --trials {most.told} or more"
        )
    return total


def announce(prepared: Prepared, searches: Sequence[Search], total: int, how: RunOptions) -> None:
    """Say what is going to happen, and what is not the same for all variants."""
    study, tuning = prepared.settled.study, prepared.settled.study.tuning
    told = sum(search.told for search in searches)
    left = sum(max(0, total - search.told) for search in searches)
    at_once = f", {how.at_a_time}" if how.jobs > 1 else ""
    many = f"{len(searches)} variant{'s' if len(searches) > 1 else ''} with {total} trials each"
    rest = f"{left} to make{at_once}" if left else "nothing to make"
    text.note(f"{study.name}: {many}, {told} done, {rest}")
    first = searches[0]
    by = ", ".join(NAMES.get(objective, objective) for objective in first.objectives)
    pruner = tuning.pruner.use if len(first.objectives) == 1 else "none"
    text.note(f"  by {by}, seed {tuning.seed}; sampler {tuning.sampler.use}, pruner {pruner}")
    for label, what, of in (("looking at", "ranges", _space_text), ("epochs of a trial", "epochs", _epochs_text)):
        groups: dict[str, list[str]] = {}
        for search in searches:
            groups.setdefault(of(search.task), []).append(search.task.variant.name)
        for said, names in groups.items():
            text.note(f"  {label} {said}" + (f"  ({listing(names, 8)})" if len(groups) > 1 else ""))
        if len(groups) > 1:
            text.note(f"  doubtful: the {what} are not the same for all variants")
    for before in load_tunings(prepared.home, study.name):
        now = next((s for s in searches if s.task.variant.name == before.variant), None)
        ended = sum(trial.state != "running" for trial in before.trials)
        if now and ended and (now.about != before.about or now.told < ended):
            text.note(
                f"  '{before.variant}': these trials take the place of {ended} others in reports and for --tuned "
                "(another space, budget, recipe, objective or storage)"
            )
    if "seconds" in first.objectives and how.jobs > 1:
        text.note("  doubtful: seconds are those of a run beside others; --jobs 1 measures each alone")
    if tuning.steers_by_test:
        text.note("  doubtful: this study steers by the test split; the report says so")
    announce_doubts(prepared)


def summarize(prepared: Prepared, how: TuneOptions, stopped: int | None) -> int:
    """Show what was found and what to do next; return the exit code."""
    study = prepared.settled.study
    tunings = [t for t in load_tunings(Store(prepared.options.store), study.name) if _wanted(prepared, t)]
    if how.json:
        document = {"study": study.name, "store": str(prepared.home.root), "variants": [asdict(t) for t in tunings]}
        text.say_json(document)
    else:
        head = [study.label, "trials", "pruned", "failed", "default", "best", "with"]
        text.say(text.table(head, [row(tuning) for tuning in tunings], right=(1, 2, 3, 4, 5)))
    if stopped is not None:
        text.note("stopped; trials under way keep their state, and the same command goes on")
        return 128 + stopped
    for tuning in tunings:
        bad = [trial for trial in tuning.trials if trial.state == "failed"]
        if bad:
            text.note(f"failed: {tuning.variant}: {len(bad)} of {len(tuning.trials)} trials, as {bad[0].reason}")
    if not all(tuning.best for tuning in tunings):
        return 1
    if not how.json:
        only = "".join(f" --only {shlex.quote(name)}" for name in prepared.options.only)
        text.note(f"next: ablate run {shown(prepared.options.study)} --tuned{only}{same_store(prepared.options)}")
    return 0


def last_study(store: Path, settings: Sequence[str]) -> tuple[Path, list[str]]:
    """Return the file of the study run last, and what `--set` changes: as it was run, unless anything is given."""
    _, found = find_study(Store(store), None, False)
    return found.path, list(settings) or list(found.changes.settings)


def with_tuned(options: Options) -> Options:
    """Return options that add to a study each variant with the best settings that were found for it.

    Raises InputError where a variant that is to run has not been tuned, or has changed since.
    """
    if options.changes.pilot:
        raise InputError("--tuned: a pilot's numbers mean nothing; leave --pilot or --tuned out")
    only = tuple(dict.fromkeys(name.removesuffix(" (tuned)") for name in options.only))
    prepared = prepare(replace(options, changes=replace(options.changes, tuned=None), only=only))
    found, known = best_settings(prepared), load_tunings(prepared.home, prepared.written.name)
    wanted = [
        v.name for v in prepared.written.variants if not v.tuned and v.name in (prepared.options.only or [v.name])
    ]
    left = [name for name in wanted if name not in found]
    if left:
        before = {tuning.variant for tuning in known}
        why = "has changed since it was tuned" if left[0] in before else "has not been tuned"
        raise InputError(
            f"{shown(options.study)}: --tuned: '{left[0]}' {why}"
            + (f" (and {len(left) - 1} more)" if len(left) > 1 else "")
            + f"\n  ablate tune {shown(options.study)}{same_store(options)} tunes all; --only chooses variants"
        )
    for name in wanted:
        if not found[name]:
            text.note(f"'{name}': its own settings were the best of its trials; there is nothing to add")
    chosen = {name: settings for name, settings in found.items() if settings}
    # What was added before stays for the variants that are not asked for now.
    kept = {name: settings for name, settings in prepared.options.changes.tuned or () if name not in found}
    tuned = tuple((kept | chosen).items())
    only = (*prepared.options.only, *(f"{name} (tuned)" for name in chosen)) if only else ()
    return replace(options, changes=replace(options.changes, tuned=tuned), only=only)


def best_settings(prepared: Prepared) -> dict[str, Mapping[str, Any]]:
    """Return the best settings of each variant that was tuned as it is now; none where its own are the best."""
    by_name = {tuning.variant: tuning for tuning in load_tunings(prepared.home, prepared.written.name)}
    found: dict[str, Mapping[str, Any]] = {}
    for task in tasks(prepared.reading, prepared.settled, prepared.registry, prepared.options.only):
        tuning = by_name.get(task.variant.name)
        if tuning and tuning.best and tuning.digest == key_of(task.spec(prepared.settled, {}).identity):
            found[task.variant.name] = {} if tuning.best.default else tuning.best.settings
    return found


def _wanted(prepared: Prepared, tuning: VariantTuning) -> bool:
    only = prepared.options.only
    return not only or tuning.variant in only


def _drive(
    prepared: Prepared, executor: Executor, searches: Sequence[Search], total: int, how: RunOptions
) -> int | None:
    """Make the trials, showing how they go; return the signal that stopped them, or None."""
    note = "stopping: trials under way keep their state; once more stops at once"
    shown_now = [search.record(total, {}) for search in searches]
    with Interrupts(lambda: text.note(note)) as interrupts, tuning_progress(shown_now) as lines:
        _driver(prepared, searches, total, how, lines).run(executor, interrupts.stopping)
    return interrupts.signal


def _driver(prepared: Prepared, searches: Sequence[Search], total: int, how: RunOptions, lines: Lines) -> Any:
    from ..tune.drive import Driver, Goal, Told, Waiting
    from ..tune.objectives import value

    def news(what: Any) -> None:
        match what:
            case Told(tuning, trial):
                lines.told(tuning, trial)
            case Waiting(others):
                lines.waiting(others)
            case _:
                lines.event(what)

    def values(spec: RunSpec, result: Mapping[str, Any]) -> list[float]:
        return [value(objective, spec, result, prepared.registry) for objective in searches[0].objectives]

    goal = Goal(
        total=total,
        home=prepared.home,
        study=prepared.written.name,
        order=[variant.name for variant in prepared.written.variants],
        spec=lambda search, asked: search.task.spec(prepared.settled, asked.settings),
        job=lambda spec: jobs_of(prepared, [spec], how)[0],
        values=values,
    )
    return Driver(searches, goal, news)


def _space_text(task: Task) -> str:
    return "; ".join(
        f"{name} {where.low:g} to {where.high:g}{', log scale' if where.log else ''}"
        if isinstance(where, Range)
        else f"{name} {listing(map(str, where.values), 8)}"
        for name, where in task.space.items()
    )


def _epochs_text(task: Task) -> str:
    return f"{task.recipe.epochs} of {task.variant.recipe.epochs}"
