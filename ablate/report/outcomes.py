"""What trials came to: their outcomes as numbers, their objectives and settings as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..components.contracts import Range
from ..stats.trials import front
from ..tune.records import maximised
from . import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..components.contracts import Values
    from ..study.spec import Study, Variant
    from ..tune.records import TrialRecord, VariantTuning

_COSTS = {"seconds": "training time", "parameters": "parameters", "flops": "FLOPs"}
"""What an objective is called that is no metric."""


def tuned_now(study: Study, tunings: Iterable[VariantTuning]) -> tuple[VariantTuning, ...]:
    """Return the tunings of variants that the study still has, in its order, of those with a trial that ended."""
    found = {tuning.variant: tuning for tuning in tunings if ended(tuning)}
    return tuple(found[variant.name] for variant in study.variants if variant.name in found)


def place_of(study: Study, name: str) -> int:
    """Return a variant's place in the study, which decides its colour."""
    return next(place for place, variant in enumerate(study.variants) if variant.name == name)


def tuned_variants(study: Study) -> dict[str, Variant]:
    """Return the variants with the settings that tuning found, by the variant that each one was made from."""
    return {variant.parent: variant for variant in study.variants if variant.tuned and variant.parent is not None}


def ended(tuning: VariantTuning) -> tuple[TrialRecord, ...]:
    """Return the trials that are over, whatever came of them, in the order of their numbers."""
    return tuple(sorted((t for t in tuning.trials if t.state != "running"), key=lambda trial: trial.number))


def outcomes(tuning: VariantTuning, objective: int = 0) -> list[float]:
    """Return the value of each trial that is over; nan where it has none."""
    return [
        trial.values[objective] if trial.state == "done" and len(trial.values) > objective else math.nan
        for trial in ended(tuning)
    ]


def first(trial: TrialRecord) -> float:
    """Return the value of the first objective of a trial that is done."""
    return trial.values[0]


def front_of(tuning: VariantTuning) -> tuple[TrialRecord, ...]:
    """Return the trials that no other one of the variant beats in every objective."""
    directions = [maximised(objective) for objective in tuning.objectives]
    whole = [trial for trial in tuning.done if len(trial.values) == len(directions)]
    return tuple(whole[place] for place in front([trial.values for trial in whole], directions))


def margin(tuning: VariantTuning) -> float:
    """Return what is too little to go on for: half a point of accuracy, of anything else 1 % of the best value."""
    best = tuning.best
    if maximised(tuning.objectives[0]):
        return 0.005
    return 0.01 * abs(best.values[0]) if best else 0.0


def name(objective: str) -> str:
    """Return what an objective is called in a sentence."""
    return numbers.NAMES.get(objective) or _COSTS.get(objective, objective)


def heading(objective: str) -> str:
    """Return what an objective is called above a column or an axis, with its unit."""
    if objective == "seconds":
        return "Training time (s)"
    unit = numbers.scale_of(objective).unit
    called = name(objective)
    return called[:1].upper() + called[1:] + (f" ({unit})" if unit else "")


def drawn(value: float, objective: str) -> float:
    """Return a value in the unit of its heading."""
    return value * numbers.scale_of(objective).factor


def told(value: float, objective: str) -> str:
    """Write a value in the unit of its heading."""
    if not math.isfinite(value):
        return numbers.ABSENT
    if objective == "seconds":
        return numbers.fixed(value, 1 if abs(value) < 100 else 0)
    if objective in _COSTS:
        return numbers.count(value)
    return numbers.value(value, numbers.scale_of(objective))


def told_all(trial: TrialRecord, objectives: Iterable[str]) -> list[str]:
    """Write all values of a trial."""
    return [told(value, objective) for value, objective in zip(trial.values, objectives, strict=True)]


def told_difference(value: float, objective: str) -> str:
    """Write a difference of two values with its sign and its unit."""
    if not math.isfinite(value):
        return numbers.ABSENT
    if objective == "seconds":
        return f"{numbers.fixed(value, 1, signed=True)}{numbers.NBSP}s"
    if objective in _COSTS:
        return "+" * (value > 0) + numbers.count(value)
    return numbers.difference(value, numbers.scale_of(objective))


def setting(value: Any) -> str:
    """Write a setting with three digits, which tell trials apart; a report's CSV has all of them."""
    match value:
        case None:
            return "the component’s own"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.3g}"
        case list() | tuple():
            return "[" + ", ".join(map(setting, value)) + "]"
        case _:
            return str(value)


def settings(found: Mapping[str, Any]) -> str:
    """Write settings on one line, as in "optimizer.lr 0.0123, optimizer.weight_decay 0.0005"."""
    return ", ".join(f"{label} {setting(value)}" for label, value in found.items()) or "none"


def where(part: Range | Values) -> str:
    """Say where tuning looked for one setting."""
    if not isinstance(part, Range):
        return "one of " + ", ".join(map(setting, part.values))
    ends = f"{part.low:g} to {part.high:g}"
    return ends + (f" in steps of {part.step:g}" if part.step else "") + (", log scale" if part.log else "")
