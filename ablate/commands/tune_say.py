"""What `ablate tune` prints: before the first trial, and at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..components.contracts import Range
from ..console import text
from ..console.tuning import HEAD, row
from ..errors import counted, listing
from ..launch.announce import announce_data, announce_findings
from ..launch.last import typed_again
from ..tune.records import load_tunings, tuning_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..execute.placement import Placement
    from ..launch.study import LoadedStudy
    from ..study.spec import Study
    from ..tune.records import VariantTuning
    from ..tune.search import Search
    from ..tune.space import Task


def announce(
    loaded: LoadedStudy, searches: Sequence[Search], total: int, how: Placement, effects: Sequence[str]
) -> None:
    """Say what will run, and what differs between variants. effects: the lines of `check_effects`."""
    study, tuning = loaded.study, loaded.study.tuning
    ended = sum(search.ended for search in searches)
    left = sum(search.room(total) + len(search.left()) for search in searches)
    at_once = f", {how.at_a_time}" if how.jobs > 1 or how.where else ""
    many = f"{counted(len(searches), 'variant')} with {counted(total, 'trial')} each"
    rest = f"{left} to make{at_once}" if left else "nothing to make"
    text.note(f"{study.name}: {many}, {ended} done, {rest}")
    first = searches[0]
    by = ", ".join(goal.label for goal in first.goals)
    pruner = tuning.pruner.use if len(first.objectives) == 1 else "none"
    text.note(f"  by {by}, seed {tuning.seed}; sampler {tuning.sampler.use}, pruner {pruner}")
    for label, what, of in (("looking at", "ranges", _space_text), ("epochs of a trial", "epochs", _epochs_text)):
        groups: dict[str, list[str]] = {}
        for search in searches:
            groups.setdefault(of(search.task), []).append(search.task.variant.name)
        groups.pop("", None)
        for said, names in groups.items():
            text.note(f"  {label} {said}" + (f"  ({listing(names, 8)})" if len(groups) > 1 else ""))
        if len(groups) > 1:
            text.note(f"  warning: the {what} are not the same for all variants")
    for before in load_tunings(loaded.home, study.name):
        now = next((s for s in searches if s.task.variant.name == before.variant), None)
        others = sum(trial.state != "running" for trial in before.trials)
        if now and others and (now.about != before.about or now.ended < others):
            text.note(
                f"  '{before.variant}': these trials take the place of {others} others in reports and for --tuned "
                "(another space, budget, recipe, objective or storage)"
            )
    for line in effects:
        text.note(f"  {line}")
    if "seconds" in first.objectives and how.jobs > 1:
        text.note("  warning: seconds are measured beside other runs; --jobs 1 measures each run alone")
    if tuning.steers_by_test:
        text.note(f"  warning: this study {_steered(study)}; the report says so")
    announce_data(study, text.note)
    announce_findings(loaded, text.note)


def _steered(study: Study) -> str:
    if study.folds:
        return f"tunes on fold 0, and sees images that {study.folds - 1} of {study.folds} folds test"
    return "steers by the test split"


def summarize(loaded: LoadedStudy, as_json: bool, stopped: int | None) -> int:
    """Show the best settings and what to do next; return the exit code."""
    study, only = loaded.study, loaded.options.only
    tunings = [t for t in load_tunings(loaded.home, study.name) if not only or t.variant in only]
    if as_json:
        document = {"study": study.name, "store": str(loaded.home.root), "variants": [_document(t) for t in tunings]}
        text.say_json(document)
    else:
        head = [study.label, *HEAD[1:]]
        text.say(text.table(head, [row(tuning) for tuning in tunings], right=(1, 2, 3, 4, 5, 6)))
    if stopped is not None:
        text.note("stopped; trials under way saved their state; run the same command again to continue")
        return 128 + stopped
    for tuning in tunings:
        if tuning.exhausted:
            text.note(f"exhausted: {tuning.variant}: all {tuning.exhausted} settings of its space were tried")
        bad = [trial for trial in tuning.distinct if trial.state == "failed"]
        if bad:
            text.note(
                f"failed: {tuning.variant}: {len(bad)} of {counted(len(tuning.trials), 'trial')}, as {bad[0].reason}"
            )
    if not all(tuning.best for tuning in tunings):
        return 1
    if not as_json:
        text.note(f"next: {typed_again('run', loaded.options, '--tuned')}")
    return 0


def _document(tuning: VariantTuning) -> dict[str, Any]:
    """Return a tuning as plain JSON; trials that repeat another one name it."""
    repeats, document = tuning.repeats, tuning_document(tuning)
    trials = [{**trial, "repeats": repeats.get(trial["number"])} for trial in document["trials"]]
    return {**document, "exhausted": bool(tuning.exhausted), "trials": trials}


def _space_text(task: Task) -> str:
    return "; ".join(
        f"{name} {where.low:g} to {where.high:g}{', log scale' if where.log else ''}"
        if isinstance(where, Range)
        else f"{name} {listing(map(str, where.values), 8)}"
        for name, where in task.space.items()
    )


def _epochs_text(task: Task) -> str:
    return f"{task.recipe.epochs} of {task.variant.recipe.epochs}" if task.recipe.images else ""
