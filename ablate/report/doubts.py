"""What is doubtful in how a study was tuned: each finding with a code, a reason and a remedy, as those of a study."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from ..components.contracts import Range
from ..errors import listing
from ..stats.trials import last_half, settled
from ..study.check import Finding
from ..tune.records import maximised
from . import outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from ..study.spec import Study
    from ..tune.records import VariantTuning

EDGE = 0.02
"""A best value this near to the end of its range, as a share of it, lies on the edge."""
FEW = 10
"""Fewer trials than this say nothing of whether more would help."""


def doubts(study: Study, tunings: Sequence[VariantTuning]) -> tuple[Finding, ...]:
    """Return what is doubtful, first what touches the whole study; tunings: of variants that the study has."""
    return (
        *_unlike(study, tunings),
        *(finding for tuning in tunings for finding in _of_one(tuning)),
        *_outdated(study, tunings),
    )


def by_test(tunings: Sequence[VariantTuning]) -> list[str]:
    """Return the variants whose trials were compared on the test split."""
    return [t.variant for t in tunings if any(objective.startswith("test/") for objective in t.objectives)]


def edges(tuning: VariantTuning) -> dict[str, str]:
    """Return the settings of the best trial that lie on the edge of the space, each with the end that it lies at.

    A default may even lie beyond the space, which counts as its edge; values without an order have no edge.
    """
    best = tuning.best
    found = {}
    for label, part in tuning.space.items():
        value = best.settings.get(label) if best else None
        if isinstance(part, Range) and isinstance(value, int | float) and (end := _edge(part, float(value))):
            found[label] = end
    return found


def _edge(part: Range, value: float) -> str:
    low, high = part.low, part.high
    if part.step:
        last = low + part.step * math.floor((high - low) / part.step + 1e-9)
        near, far = value < low + part.step / 2, value > last - part.step / 2
        return "" if near == far else "lowest" if near else "highest"  # a single step is both
    if part.log:
        if value <= 0:
            return "lowest"
        low, high, value = math.log(low), math.log(high), math.log(value)
    if high <= low:
        return ""
    share = (value - low) / (high - low)
    return "lowest" if share <= EDGE else "highest" if share >= 1 - EDGE else ""


def _unlike(study: Study, tunings: Sequence[VariantTuning]) -> Iterator[Finding]:
    if steered := by_test(tunings):
        yield Finding(
            "steers-by-test",
            listing(steered),
            "settings were chosen on the test split, so the test results of what was tuned are too good",
            "tune on the validation split",
        )
    if shared := sorted({tuning.seed for tuning in tunings} & set(study.seeds)):
        yield Finding(
            "seed-in-use",
            "seed",
            f"trials were trained with seed {listing(map(str, shared))}, as runs that are compared are: what was "
            "lucky with it was chosen",
            "tune with a seed that the study does not have",
        )
    known = {tuning.variant for tuning in tunings}
    if missing := [v.name for v in study.variants if not v.tuned and v.name not in known]:
        yield Finding(
            "not-tuned",
            listing(missing),
            "others of the study were tuned: a difference to them may be the tuning's and not the change's",
            "tune it with the same trials" if len(missing) == 1 else "tune them with the same trials",
        )
    if len({tuning.objectives for tuning in tunings}) > 1:
        yield Finding(
            "unequal-objectives",
            "objectives",
            f"variants were tuned for different ones: {_each(tunings, lambda t: listing(t.objectives))}",
            "tune all of them for the same",
        )
    if len({len(outcomes.ended(tuning)) for tuning in tunings}) > 1:
        yield Finding(
            "unequal-trials",
            "trials",
            "variants had different numbers of them, and more trials find better settings: "
            + _each(tunings, lambda t: len(outcomes.ended(t))),
            "tune on to the same number",
        )
    if len({tuning.epochs for tuning in tunings}) > 1:
        yield Finding(
            "unequal-trial-epochs",
            "epochs of a trial",
            f"they differ between variants: {_each(tunings, lambda t: t.epochs)}",
            "compare each variant with its own default; gains of different variants are not alike",
        )
    if len({repr(sorted(tuning.space.items())) for tuning in tunings}) > 1:
        yield Finding(
            "unequal-spaces",
            "search space",
            "it is not the same for all variants, and a wider or better placed one finds better settings",
            "name one space for all in [tuning]",
        )


def _of_one(tuning: VariantTuning) -> Iterator[Finding]:
    best, objective = tuning.best, tuning.objectives[0]
    if best is None:
        yield Finding("no-result", tuning.variant, "no trial has a result", "look at why the trials ended")
        return
    if tuning.default is None:
        yield Finding(
            "no-default",
            tuning.variant,
            "the trial with the default settings has no result, so what tuning gained is not known",
            "look at why it ended",
        )
    elif best.default:
        yield Finding(
            "default-is-best",
            tuning.variant,
            f"no trial beats the default settings in {outcomes.name(objective)}",
            "keep them; or look elsewhere, or with more trials",
        )
    if found := edges(tuning):
        at = listing(f"{label} {outcomes.setting(best.settings[label])} ({end})" for label, end in found.items())
        yield Finding(
            "edge-of-space",
            tuning.variant,
            f"the best trial lies on the edge of the space: {at}; beyond it may be better ones",
            "widen the space there",
        )
    values = outcomes.outcomes(tuning)
    if len(values) < FEW:
        yield Finding(
            "few-trials",
            tuning.variant,
            f"{len(values)} trial{'s' * (len(values) != 1)} cannot show whether more would help",
            f"make {FEW} or more",
        )
    elif not settled(values, maximised(objective), outcomes.margin(tuning)):
        gain = last_half(values, maximised(objective)) * (1 if maximised(objective) else -1)
        yield Finding(
            "not-settled",
            tuning.variant,
            f"the budget had not settled: the second half of {len(values)} trials is expected to change the best "
            f"{outcomes.name(objective)} by {outcomes.told_difference(gain, objective)}, more than "
            f"{outcomes.told_difference(outcomes.margin(tuning), objective).lstrip('+')}",
            "make more trials",
        )


def _outdated(study: Study, tunings: Sequence[VariantTuning]) -> Iterator[Finding]:
    made = outcomes.tuned_variants(study)
    for tuning in tunings:
        variant, best = made.get(tuning.variant), tuning.best
        if variant and best and _plain(variant.tuned) != _plain(best.settings):
            yield Finding(
                "tuned-again",
                variant.name,
                f"its settings ({outcomes.settings(variant.tuned)}) are not the best that are recorded for "
                f"{tuning.variant}, which was tuned again since",
                "run the tuned variants again",
            )


def _plain(settings: Mapping[str, Any]) -> str:
    """Return settings as text that is the same for the same ones, whether read from a file or not."""
    return json.dumps({label: value for label, value in settings.items() if value is not None}, sort_keys=True)


def _each(tunings: Sequence[VariantTuning], what: Callable[[VariantTuning], object]) -> str:
    return ", ".join(f"{tuning.variant} {what(tuning)}" for tuning in tunings)
