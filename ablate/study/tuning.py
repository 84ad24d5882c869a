"""[tune] of a study file, and variants with the settings that tuning found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..components.contracts import Range, Values
from ..components.schema import value_text
from ..errors import did_you_mean, listing
from .overrides import Override, apply_override
from .spec import Choice, Tuning, Variant
from .tables import PRUNERS, SAMPLERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .choices import Report
    from .spec import Recipe
    from .tables import TuneTable

ACCEPTED = "accepts { low = ..., high = ..., log = true|false, step = ... } or { values = [...] }"
Found = tuple[tuple[str, Mapping[str, Any]], ...]
"""The best settings of some variants, by the variant's name."""


def read_tuning(report: Report, table: TuneTable) -> Tuning:
    """Return what [tune] says; what is wrong with it goes to `report(place, where, text)`."""
    if table.metric.startswith("test/") and not table.steers_by_test:
        text = f"{value_text(table.metric)} would steer by the split that final runs are judged on"
        more = "tune on validation/accuracy, or own to it with steers_by_test = true, which the report repeats"
        report(("tune", "metric"), "tune: metric", f"{text}\n{more}")
    space = {name: read_space(report, name, given) for name, given in table.settings.items()}
    return Tuning(
        trials=table.trials,
        metric=table.metric,
        space={name: one for name, one in space.items() if one} if table.settings else None,
        epochs=table.budget.epochs,
        sampler=_named(report, "sampler", table.sampler, SAMPLERS),
        pruner=_named(report, "pruner", table.pruner, PRUNERS),
        seed=table.seed,
        steers_by_test=table.steers_by_test,
    )


def read_space(report: Report, name: str, given: Any) -> Range | Values | None:
    """Return where tuning looks for one setting, or None where it is wrong."""
    wrong = _wrong_values(given) if isinstance(given, Mapping) and "values" in given else _wrong_range(given)
    if wrong:
        report(("tune", "settings", name), f"tune: settings.{name}", wrong)
        return None
    return Values(tuple(given["values"])) if "values" in given else Range(**given)


def tuned_variants(report: Report, variants: Sequence[Variant], found: Found) -> list[Variant]:
    """Return, for each variant that tuning found settings for, a further one with these settings."""
    named = {variant.name: variant for variant in variants}
    made = []
    for name, settings in found:
        if name in named:
            variant = named[name]
            recipe = with_settings(report, variant.recipe, settings)
            made.append(
                replace(
                    variant, name=f"{name} (tuned)", recipe=recipe, parent=name, enhancements=("tuned",), reported={},
                    note="", tuned=dict(settings),
                )
            )  # fmt: skip
    return made


def with_settings(report: Report, recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Return a recipe with some settings, such as `optimizer.lr`, replaced."""
    for name, value in settings.items():
        recipe = apply_override(report, recipe, Override("", tuple(name.split(".")), value, name))
    return recipe


def _wrong_values(given: Mapping[str, Any]) -> str:
    values = given["values"]
    if set(given) != {"values"} or not isinstance(values, list):
        return f"is neither a range nor a list of values\n{ACCEPTED}"
    odd = [value for value in values if not isinstance(value, (bool, int, float, str))]
    if odd:
        return f"{value_text(odd[0])} is no number, text or true/false\n{ACCEPTED}"
    if len(values) < 2 or any(values.count(value) > 1 for value in values):
        text = "names a value twice" if len(values) > 1 else f"has {len(values)} value: there is nothing to choose"
        return f"{value_text(values)} {text}\n{ACCEPTED}"
    return ""


def _wrong_range(given: Any) -> str:
    if not isinstance(given, Mapping) or not {"low", "high"} <= set(given):
        return f"{value_text(given)} is no range\n{ACCEPTED}"
    unknown = [key for key in given if key not in ("low", "high", "log", "step")]
    if unknown:
        return f"unknown key '{unknown[0]}'{did_you_mean(unknown[0], ('low', 'high', 'log', 'step'))}\n{ACCEPTED}"
    low, high, log, step = given["low"], given["high"], given.get("log", False), given.get("step")
    for value in (low, high, step):
        odd = isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
        if value is not None and odd:
            return f"{value_text(value)} is not a number\n{ACCEPTED}"
    if not isinstance(log, bool):
        return f"log = {value_text(log)} is not true or false\n{ACCEPTED}"
    if low >= high:
        return f"low = {low:g} is not below high = {high:g}\n{ACCEPTED}"
    if log and low <= 0:
        return f"low = {low:g} has no place on a log scale\ngive a low above 0, or leave log out"
    if step is not None and (log or not 0 < step <= high - low):
        why = "has no place on a log scale" if log else f"does not fit between {low:g} and {high:g}"
        return f"step = {step:g} {why}\n{ACCEPTED}"
    return ""


def _named(report: Report, what: str, given: str | Mapping[str, Any], known: Sequence[str]) -> Choice:
    table = {"use": given} if isinstance(given, str) else dict(given)
    use = table.pop("use", "")
    if use not in known:
        text = f"unknown {what} {value_text(use)}{did_you_mean(str(use), known)}"
        report(("tune", what), f"tune: {what}", f"{text}\naccepts {listing(known)}")
        return Choice(known[0])
    return Choice(str(use), table)
