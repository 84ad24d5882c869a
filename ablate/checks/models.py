"""What variants' models and first training steps show before anything runs: unequal sizes, changes without effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import numbers
from ..errors import listing
from ..study.differences import differences
from .finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..study.probes import Probe
    from ..study.spec import Recipe, Study, Variant
    from ..study.walks import Walk

UNLIKE = 1.1
"""Models are unequal where one has this many times the parameters or operations of the other, or more.

A tenth is what papers let pass when they compare at the same size; normalisation layers add about 1 %.
"""
LATER = ("dataset", "epochs", "batch_size", "accumulate", "clip_norm", "precision")
"""Factors that first steps on made-up images say nothing of: they act on other data, later, or only on rounding."""


def model_findings(study: Study, walks: Mapping[str, Walk], probes: Mapping[str, Probe]) -> Iterator[Finding]:
    """Find unequal models, variants that change nothing and settings without effect, as far as probes are known."""
    yield from _unequal(study, probes)
    same = [change for change in _changes(study) if _same(*change, walks, probes)]
    for ours, theirs, changed in same:
        yield Finding(
            "changes-nothing",
            ours.name,
            f"it trains as {theirs.name} does, as {listing(changed)} has no effect: first weights, augmented images, "
            "first steps and learning rates are the same, bit for bit",
            "look at what it changes: a chance of 0, or a setting that nothing reads; or take it out",
        )
    yield from _idle(study, probes, {(ours.name, factor) for ours, _, changed in same for factor in changed})


def _unequal(study: Study, probes: Mapping[str, Probe]) -> Iterator[Finding]:
    names: dict[str, list[str]] = {}
    for compared in study.comparisons:
        pair = probes.get(compared.candidate), probes.get(compared.reference)
        if compared.kind == "change" and pair[0] and pair[1] and (said := _sizes(pair[0], pair[1])):
            names.setdefault(f"{said} of {compared.reference}", []).append(compared.candidate)
    for reason, candidates in names.items():
        yield Finding(
            "unequal-models",
            listing(candidates),
            f"{reason}: a difference may be the size's",
            "add a variant of the reference's kind with as many, or say that size is the question",
            variants=tuple(candidates),
        )


def _sizes(ours: Probe, theirs: Probe) -> str:
    """Say how the sizes of two models differ, "" where they hardly do."""
    pairs = (("parameters", ours.parameters, theirs.parameters), ("FLOPs an image", ours.flops, theirs.flops))
    told = [
        f"{one / other:.2g} times the {what} ({numbers.count(one)}, not {numbers.count(other)})"
        for what, one, other in pairs
        if one and other and max(one, other) >= UNLIKE * min(one, other)
    ]
    return " and ".join(told)


def _changes(study: Study) -> Iterator[tuple[Variant, Variant, list[str]]]:
    """Yield the pairs of variants that are compared for what one changes of the other, with the factors."""
    for compared in study.comparisons:
        ours, theirs = study.variant(compared.candidate), study.variant(compared.reference)
        changed = [factor for factor, _, _ in differences(theirs.recipe, ours.recipe)]
        if compared.kind == "change" and changed:
            yield ours, theirs, changed


def _same(
    ours: Variant, theirs: Variant, changed: list[str], walks: Mapping[str, Walk], probes: Mapping[str, Probe]
) -> bool:
    """Tell whether nothing that is known beforehand tells two variants apart that differ in their recipes."""
    one, other = probes.get(ours.name), probes.get(theirs.name)
    if one is None or other is None or not one.trained or any(factor.split(".")[0] in LATER for factor in changed):
        return False
    digests = (one.trained, one.augmented) == (other.trained, other.augmented)
    late = any(factor.startswith("optimizer.") and _counts(ours.recipe, factor) for factor in changed)
    return digests and not late and _same_rates(ours, theirs, walks)


def _counts(recipe: Recipe, factor: str) -> bool:
    """Tell whether a setting of the optimizer is a whole number, such as every how many steps it does something."""
    return type(recipe.optimizer.settings.get(factor.partition(".")[2])) is int


def _same_rates(ours: Variant, theirs: Variant, walks: Mapping[str, Walk]) -> bool:
    one, other = walks.get(ours.name), walks.get(theirs.name)
    if one and other:
        return one.trace == other.trace
    a, b = ours.recipe.scheduler, theirs.recipe.scheduler
    return one is other and (a.use, a.settings) == (b.use, b.settings)


def _idle(study: Study, probes: Mapping[str, Probe], told: set[tuple[str, str]]) -> Iterator[Finding]:
    """Find settings without effect. told: of which variants that was said before."""
    names: dict[tuple[str, str], list[str]] = {}
    for variant in study.variants:
        found = probes.get(variant.name)
        for label in found.idle if found else ():
            if (variant.name, label) not in told:
                names.setdefault((label, _use(variant.recipe, label)), []).append(variant.name)
    for (label, use), variants in names.items():
        yield Finding(
            "idle-setting",
            listing(variants),
            f"{label} has no effect: {use} takes the same first steps, bit for bit, with its default",
            "take it out, or look at what is meant to read it",
            variants=tuple(variants),
        )


def _use(recipe: Recipe, label: str) -> str:
    kind, _, rest = label.partition(".")
    if kind == "augmentation":
        return rest.rpartition(".")[0]
    return str(getattr(recipe, kind).use)
