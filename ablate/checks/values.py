"""What the values of runs show: no better than chance, unequal spread, a difference that images can make."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import fdtrc  # scipy.stats has the same tail, and takes 0.7 s to import

from .. import numbers
from ..errors import counted, listing
from ..metrics import ACCURACY, FRACTION
from ..stats.courses import noise
from .finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..stats.results import Results
    from ..study.spec import Variant

CHANCE = 2.0
"""So many standard errors of the test images above chance is no better than chance, where one guess in 40 ends."""
SPREAD, SPREAD_LEVEL = 2.0, 0.01
"""A spread is far above the others' at so many times theirs, where equal spreads do that in one study in a hundred."""
SURE = 1.96
"""So many standard errors hold 95 % of what images do."""
NEAR, NEAR_SHARE = 0.02, 0.1
"""A run comes near a reported fraction within so much of it, and near any other number within this share of it.

Two points are more than other seeds, hardware or versions of a library usually make.
"""


def value_findings(results: Results) -> Iterator[Finding]:
    """Find what is doubtful in the values that runs end with."""
    yield from _missing(results)
    yield from _chance(results)
    yield from _spread(results)
    yield from _images(results)
    yield from _reported(results)


def _missing(results: Results) -> Iterator[Finding]:
    for variant in results.study.variants:
        rows = results.runs[results.runs["variant"] == variant.name]
        # A run that diverged and trained on is stored, without a loss and a value.
        values = rows.reindex(columns=["train/loss", results.study.metric])
        gone = (rows["state"] == "stored") & values.isna().all(axis=1)
        ended = rows[(rows["state"] == "failed") | gone]
        if len(ended):
            seeds = listing(map(str, sorted(ended["seed"])))
            reasons = [str(reason).strip().split("\n")[0] for reason in ended["reason"] if reason]
            why = f" ({reasons[0]})" if reasons else ""
            left = "nothing" if len(ended) == len(rows) else "only those that went well"
            yield Finding(
                "missing-seeds",
                variant.name,
                f"{len(ended)} of {counted(len(rows), 'seed')} diverged or failed, {seeds}{why}: "
                f"{left} can be compared",
                "mend the cause, such as a learning rate that is too high, and run them again with --retry-failed",
            )


def _chance(results: Results) -> Iterator[Finding]:
    name = f"{results.study.compared.split or 'test'}/accuracy"
    for variant in results.study.variants:
        values = _finite(results, variant.name, name)
        images, classes = _images_of(variant, results), variant.data.classes if variant.data else 0
        if not values or not images or classes < 2:
            continue
        mean, chance = float(np.mean(values)), 1 / classes
        reach = CHANCE * noise(chance, images)
        if mean <= chance + reach:
            yield Finding(
                "no-better-than-chance",
                variant.name,
                f"its accuracy of {numbers.percent(mean, 1)} is no better than guessing one of {classes} classes, "
                f"which gives up to {numbers.percent(min(chance + reach, 1), 1)} on {images:,} images",
                "look at its training loss, its learning rate, and whether the images are enough to tell",
            )


def _spread(results: Results) -> Iterator[Finding]:
    one = results.study.compared
    samples = {v.name: _finite(results, v.name, one.name) for v in results.study.variants}
    known = {name: values for name, values in samples.items() if len(values) > 2}
    variances = {name: float(np.var(values, ddof=1)) for name, values in known.items()}
    for name, variance in variances.items():
        others = [(len(known[other]) - 1, variances[other]) for other in known if other != name]
        free = sum(df for df, _ in others)
        usual = sum(df * each for df, each in others) / free if free else 0.0
        if not usual or variance < SPREAD**2 * usual:
            continue
        if len(known) * fdtrc(len(known[name]) - 1, free, variance / usual) < SPREAD_LEVEL:
            values = known[name]
            odd = max(
                (abs(v - float(np.median(values))), seed) for seed, v in _by_seed(results, name, one.name).items()
            )[1]
            spread = numbers.with_sign(math.sqrt(variance), one.quantity).lstrip("+")
            yield Finding(
                "unequal-spread",
                name,
                f"its {one.label} spreads by {spread} between seeds, {math.sqrt(variance / usual):.1f} times as much "
                f"as the others' does; seed {odd} lies farthest out",
                _about_spread(results),
            )


def _about_spread(results: Results) -> str:
    """Say what to do about a spread that is not the others': only a method that pools them all goes wrong by it."""
    look = "look at why it is less stable, at that seed's curve first (a rate that is too high?), or give it more seeds"
    if results.study.comparing.method == "pooled":
        return f'{look}; leave method = "pooled" out, which takes all spreads to be equal'
    return look


def _images(results: Results) -> Iterator[Finding]:
    if results.study.compared.quantity != ACCURACY:
        return
    noun = results.study.noun
    for compared in results.comparisons:
        if compared.verdict not in ("helped", "hurt"):
            continue
        reach, how = _image_reach(results, compared.candidate, compared.reference)
        if abs(compared.mean) <= reach:
            apart = numbers.with_sign(reach, ACCURACY, 1).lstrip("+")
            yield Finding(
                "within-image-noise",
                compared.candidate,
                f"its difference to {compared.reference} of {numbers.with_sign(compared.mean, ACCURACY, 1)} is clear "
                f"for these {noun}s, and other test {noun}s alone can move it by {apart} ({how})",
                f"test on more {noun}s before you build on it",
            )


def _image_reach(results: Results, candidate: str, reference: str) -> tuple[float, str]:
    """Return how far other images alone can move a difference (95 %), 0 where that is not known; and how it was found.

    Without what the runs predicted, the two count as right on unrelated images, which is the most that it can be.
    """
    found = results.image_comparison(candidate, reference)
    if found is not None:
        how = f"compared {found.noun} by {found.noun}"
        return SURE * found.image_error if math.isfinite(found.image_error) else 0.0, how
    pair = [results.study.variant(name) for name in (candidate, reference)]
    images = min(_images_of(variant, results) for variant in pair)
    means = [results.estimate(variant.name).mean for variant in pair]
    errors = [noise(mean, images) if math.isfinite(mean) else 0.0 for mean in means]
    return SURE * math.hypot(*errors), f"at most, with {images:,} of them"


def _reported(results: Results) -> Iterator[Finding]:
    for variant in results.study.variants:
        for name, told in results.study.quoted(variant).items():
            one = results.study.measures[name]
            values = _finite(results, variant.name, one.name)
            near = NEAR if one.bounds == FRACTION else NEAR_SHARE * abs(told)
            if values and min(abs(value - told) for value in values) > near:
                low, high = (numbers.value(end, one.quantity) for end in (min(values), max(values)))
                ours = low if low == high else f"{low} to {high}"
                unit = f"\N{NO-BREAK SPACE}{one.quantity.unit}" if one.quantity.unit else ""
                yield Finding(
                    "reported-not-reached",
                    variant.name,
                    f"the study quotes a {one.label} of {numbers.as_given(told, one.quantity)}{unit}, and no run comes "
                    f"near it: {counted(len(values), 'run')} {'ends' if len(values) == 1 else 'end'} at {ours}{unit}",
                    "look for a difference in the recipe, or say in a note what is not the same",
                )


def _finite(results: Results, variant: str, name: str) -> list[float]:
    return list(_by_seed(results, variant, name).values())


def _by_seed(results: Results, variant: str, name: str) -> dict[int, float]:
    found = {seed: float(run.get(name, math.nan)) for seed, run in results.stored_of(variant).items()}
    return {seed: value for seed, value in found.items() if math.isfinite(value)}


def _images_of(variant: Variant, results: Results) -> int:
    """Return how many images the variant is compared on, with folds on all of them; 0 where that is not known."""
    split = results.study.compared.split or "test"
    if variant.data and variant.data.folds and split == "test":
        return variant.data.folds.images
    return variant.data.sizes.get(split, 0) if variant.data else 0
