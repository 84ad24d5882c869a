"""What a tuning cannot find: settings without effect in its trials, told or refused before the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..components.contracts import Range
from ..errors import InputError, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..tune.space import Task
    from .prepare import Prepared


def check_effects(prepared: Prepared, tasks: Sequence[Task]) -> list[str]:
    """Return a line for each setting without effect in trials; InputError for a variant where none has any."""
    told: dict[tuple[str, str], list[str]] = {}
    for task in tasks:
        name, use = task.variant.name, task.recipe.scheduler.use
        idle = without_effect(prepared, task)
        if idle and len(idle) == len(task.space):
            raise InputError(
                f"tune: variant '{name}': nothing that is tuned has an effect ({listing(idle)}): {use} puts values of "
                "its own in its place, or never comes to it\n"
                f"  name settings of the schedule in [tune.settings], or leave the variant out with --only"
            )
        for setting in idle:
            told.setdefault((setting, use), []).append(name)
    return [f"{setting} has no effect under {use} ({listing(names, 8)})" for (setting, use), names in told.items()]


def without_effect(prepared: Prepared, task: Task) -> list[str]:
    """Return what is tuned of the optimizer and the scheduler and changes nothing at any step of a trial."""
    try:
        walk = prepared.schedules.walk(task.spec(prepared.settled, {}).recipe)
        found = [f"optimizer.{name}" for name in walk.taken] if walk else []
        for name, where in task.space.items():
            if name.startswith("scheduler."):
                ends = (where.low, where.high) if isinstance(where, Range) else where.values
                recipes = [task.spec(prepared.settled, {name: end}).recipe for end in ends]
                walks = [prepared.schedules.walk(recipe) for recipe in recipes]
                if all(walks) and len({walk.trace for walk in walks if walk}) == 1:
                    found.append(name)
    except InputError as error:
        use = task.recipe.scheduler.use
        raise InputError(f"tune: variant '{task.variant.name}', in a trial: scheduler: {use} {error}") from None
    return [name for name in task.space if name in found]
