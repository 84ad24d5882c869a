"""Tuned settings without effect in trials: a warning before the first trial, or a refusal if that is all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..components.contracts import Range
from ..components.setting_text import value_text
from ..errors import InputError, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..launch.schedules import Schedules
    from ..tune.space import Task


ALIKE = 0.1
"""Schedules end alike if their last rates, as shares of their highest ones, differ by no more than this."""


def check_effects(schedules: Schedules, tasks: Sequence[Task]) -> list[str]:
    """Return lines on the schedules of trials: those that are shorter, settings without effect, schedules cut short.

    Raises InputError for a variant where no tuned setting has an effect.
    """
    told: dict[tuple[str, str], list[str]] = {}
    for task in tasks:
        name, use = task.variant.name, task.recipe.scheduler.use
        idle = without_effect(schedules, task)
        if idle and len(idle) == len(task.space):
            raise InputError(
                f"tune: variant '{name}': no tuned setting has an effect ({listing(idle)}): {use} puts values of "
                "its own in its place, or never comes to it\n"
                f"  name settings of the schedule in [tune.settings], or leave the variant out with --only"
            )
        for setting in idle:
            told.setdefault((setting, use), []).append(name)
    doubts = [f"{setting} has no effect under {use} ({listing(names, 8)})" for (setting, use), names in told.items()]
    doubts += [line for task in tasks if (line := _unreached(schedules, task))]
    return [*(line for task in tasks if (line := _shorter(task))), *(f"warning: {line}" for line in doubts)]


def _shorter(task: Task) -> str:
    """Say which lengths of the schedule the trials have shorter."""
    lengths = (f"{n} {value_text(short)} for {value_text(own)}" for n, (own, short, _) in task.shortened.items())
    said = listing(lengths)
    return f"schedule of a trial {task.recipe.scheduler.use} with {said}  ({task.variant.name})" if said else ""


def _unreached(schedules: Schedules, task: Task) -> str:
    """Say where trials end at another point of the schedule than the variant's own runs do."""
    whole = schedules.walk(task.variant.recipe)
    trial = schedules.walk(task.spec({}).recipe)
    if not whole or not trial or not whole.peak or not trial.peak:
        return ""
    ends = trial.last / trial.peak, whole.last / whole.peak
    # Of few epochs the last one is far from the end, where the next would be.
    if abs(trial.after / trial.peak - whole.after / whole.peak) <= ALIKE and trial.flat == whole.flat:
        return ""
    return (
        f"{task.recipe.scheduler.use} does not fit into trials ({task.variant.name}): they end at {ends[0]:.0%} of the "
        f"highest learning rate, the variant's own runs at {ends[1]:.0%}"
    )


def without_effect(schedules: Schedules, task: Task) -> list[str]:
    """Return what is tuned of the optimizer and the scheduler and changes nothing at any step of a trial."""
    try:
        walk = schedules.walk(task.spec({}).recipe)
        found = [f"optimizer.{name}" for name in walk.taken] if walk else []
        for name, where in task.space.items():
            if name.startswith("scheduler."):
                ends = (where.low, where.high) if isinstance(where, Range) else where.values
                recipes = [task.spec({name: end}).recipe for end in ends]
                walks = [schedules.walk(recipe) for recipe in recipes]
                if all(walks) and len({walk.trace for walk in walks if walk}) == 1:
                    found.append(name)
    except InputError as error:
        use = task.recipe.scheduler.use
        raise InputError(f"tune: variant '{task.variant.name}', in a trial: scheduler: {use} {error}") from None
    return [name for name in task.space if name in found]
