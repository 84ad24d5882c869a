"""What the schedules of a study do over their runs: walked once, and remembered on this machine."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ..components.contracts import Horizon
from ..errors import InputError, StoreError
from ..paths import walks_dir
from ..store.documents import read_document, write_document
from ..study.plan import key_of
from ..study.resolve import STAND_IN
from ..study.spec import RangeTest, Recipe, with_lr
from ..study.splits import steps_per_epoch
from ..study.walks import Walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..components.contracts import Kind
    from ..components.registry import Registry
    from ..study.spec import Choice, Study
    from ..study.toml import Reading

WALKS_VERSION = 3
"""Raised whenever the code of walks changes what they find."""


class Schedules:
    """The walks of schedules: each distinct one is made once, then read from the user's cache.

    Only warnings rest on the cache; no run computes with it. A schedule that fails before its run ends is not cached.
    note: takes a line for the user before the first walk, which takes seconds.
    """

    def __init__(self, registry: Registry, note: Callable[[str], None]) -> None:
        self._registry, self._note = registry, note
        self._known: dict[str, Walk | None] = {}
        self._noted = False

    def walk(self, recipe: Recipe) -> Walk | None:
        """Return what the schedule of a resolved recipe does; None for a constant one, or where that cannot be known.

        Raises InputError where it fails before the run ends.
        """
        if recipe.scheduler.use == Recipe.scheduler.use:
            return None
        recipe = with_lr(recipe, STAND_IN) if RangeTest.of(recipe) else recipe
        horizon = Horizon(recipe.epochs, steps_per_epoch(int(recipe.splits.train or 0), recipe.batch_size))
        key = self._key(recipe, horizon)
        if key not in self._known:
            file = walks_dir() / f"{key}.json"
            known = read_document(file)
            walk = Walk.of(known.get("walk")) if known else None
            if walk is None and (known is None or known.get("walk") is not None):
                walk = self._made(recipe, horizon)
                _keep(file, walk)
            self._known[key] = walk
        return self._known[key]

    def _made(self, recipe: Recipe, horizon: Horizon) -> Walk | None:
        if not self._noted:
            self._note("walking the schedules over their runs: a few seconds, the first time")
            self._noted = True
        from ..training.isolation import isolated_torch  # torch, which later commands need not load
        from ..training.schedule_walk import Course, walk

        optimizer, scheduler = recipe.optimizer, recipe.scheduler
        entries = (self._registry.get("optimizer", optimizer.use), self._registry.get("scheduler", scheduler.use))
        with isolated_torch():
            return walk(Course(*entries, optimizer.settings, scheduler.settings, horizon))

    def _key(self, recipe: Recipe, horizon: Horizon) -> str:
        def part(kind: Kind, choice: Choice) -> list[Any]:
            library = self._registry.library(kind, choice.use)
            source = choice.origin.source if choice.origin else ""
            return [choice.use, choice.settings, source, library.version if library else ""]

        parts = [part("optimizer", recipe.optimizer), part("scheduler", recipe.scheduler)]
        versions = [WALKS_VERSION, version("torch")]
        return key_of({"of": json.dumps([parts, vars(horizon), versions], sort_keys=True, default=str)})


def walked(reading: Reading, study: Study, schedules: Schedules) -> dict[str, Walk]:
    """Return the walk of each schedule of a resolved study, of settings without effect only those that it names.

    reading: of this study. Raises StudyError where a schedule fails before its run ends.
    """
    found, reported = {}, set()
    for variant in study.variants:
        place = variant.recipe.scheduler.changed_at
        try:
            walk = schedules.walk(variant.recipe)
        except InputError as error:
            if (place, str(error)) not in reported:  # not once more for each variant that inherits it
                reading.problem(
                    place, f"variant '{variant.name}': scheduler", f"{variant.recipe.scheduler.use} {error}"
                )
            reported.add((place, str(error)))
            continue
        if walk is not None:
            named = reading.study.variant(variant.name).recipe.optimizer.settings
            taken = tuple(name for name in walk.taken if name.partition("[")[0] in named)
            found[variant.name] = replace(walk, taken=taken)
    reading.done()
    return found


def _keep(file: Path, walk: Walk | None) -> None:
    with contextlib.suppress(StoreError, OSError):  # only a cache: without it the next command is slower
        file.parent.mkdir(parents=True, exist_ok=True)
        write_document(file, {"walk": walk.document() if walk else None})
