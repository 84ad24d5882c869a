"""The best settings that tuning found, as variants to run beside their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..paths import same_store, shown
from ..tune.records import load_tunings
from ..tune.space import tasks
from .study import open_study, silent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .study import LoadedStudy, Note, Options


def with_tuned(options: Options, note: Note = silent) -> Options:
    """Return options that add to a study each variant with the best settings that were found for it.

    Raises InputError where a variant that is to run has not been tuned, or has changed since.
    """
    if options.changes.pilot:
        raise InputError("--tuned: a pilot's numbers mean nothing; leave --pilot or --tuned out")
    only = tuple(dict.fromkeys(name.removesuffix(" (tuned)") for name in options.only))
    study = open_study(replace(options, changes=replace(options.changes, tuned=None), only=only), note)
    found = best_settings(study)
    wanted = [v.name for v in study.written.variants if not v.tuned and v.name in (study.options.only or [v.name])]
    if left := [name for name in wanted if name not in found]:
        raise InputError(_not_tuned(study, left))
    for name in wanted:
        if not found[name]:
            note(f"'{name}': its own settings were the best of its trials; there is nothing to add")
    chosen = {name: settings for name, settings in found.items() if settings}
    # What was added before stays for the variants that are not asked for now.
    kept = {name: settings for name, settings in study.options.changes.tuned or () if name not in found}
    tuned = tuple((kept | chosen).items())
    only = (*study.options.only, *(f"{name} (tuned)" for name in chosen)) if only else ()
    return replace(options, changes=replace(options.changes, tuned=tuned), only=only)


def best_settings(study: LoadedStudy) -> dict[str, Mapping[str, Any]]:
    """Return the best settings of each variant that was tuned as it is now; none where its own are the best."""
    by_name = {tuning.variant: tuning for tuning in load_tunings(study.home, study.name)}
    found: dict[str, Mapping[str, Any]] = {}
    for task in tasks(study.reading, study.study, study.registry, study.options.only):
        tuning = by_name.get(task.variant.name)
        if tuning and tuning.best and tuning.digest == task.digest:
            found[task.variant.name] = {} if tuning.best.default else tuning.best.settings
    return found


def _not_tuned(study: LoadedStudy, names: list[str]) -> str:
    """Say that variants have no settings of tuning that fit them, and what helps."""
    before = {tuning.variant for tuning in load_tunings(study.home, study.name)}
    why = "has changed since it was tuned" if names[0] in before else "has not been tuned"
    file = shown(study.options.study)
    return (
        f"{file}: --tuned: '{names[0]}' {why}"
        + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")
        + f"\n  ablate tune {file}{same_store(study.options.store)} tunes all; --only chooses variants"
    )
