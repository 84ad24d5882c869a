"""What a study compares: pairs of variants, candidate minus reference.

This is apart from what a variant inherits from (`Variant.parent`), although the rule below follows it: what a design
compares is said by the design.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .cells import Design

Method = Literal["paired", "welch", "pooled", "moderated", "shrinkage"]
"""How two variants are compared; `stats.methods` has what each one does."""
UsedMethod = Literal[Method, "corrected"]
"""The same, and how the folds of cross-validation are compared, which nobody names."""

ComparisonKind = Literal["change", "tuning", "tuned change", "claim"]
"""A variant against the one it comes from, a tuned variant against itself with its own settings, or tuned both; or
a pair that only a claim is about."""
Says = Literal["better", "worse", "no difference"]


@dataclass(frozen=True)
class Comparing:
    """How a study's comparisons are made; none of it is part of a run's key.

    method: None for the default one. margin: a difference of the study's metric that is too small to matter, in the
    unit of data (0.005 of an accuracy is half a point); None for the metric's own, where it has one. spread: what the
    author expects as the standard deviation of the metric from seed to seed; plans use it where no results do.
    """

    method: Method | None = None
    margin: float | None = None
    spread: float | None = None


@dataclass(frozen=True)
class Claim:
    """What somebody concludes: that a variant is better or worse than another one, or that it makes no difference.

    text: the conclusion in its author's words, or in yours. because: the one factor that is credited with it, such as
    `augmentation.cutout`; "" where the claim is about the difference alone.
    """

    text: str
    variant: str
    against: str
    says: Says
    because: str = ""
    place: tuple[str | int, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class PlannedComparison:
    """Two variants that a study compares, by name: candidate minus reference.

    kind: "change" for a variant against the one it comes from; "tuning" for a variant with the best settings that
    tuning found against the same one with its own; "tuned change" for a change where both sides are tuned, since
    tuning either side alone would favour it; "claim" for a pair that is planned for nothing but a claim.
    if_own_best: the reference has its own settings, so the comparison is fair only where tuning found nothing better
    for it.
    factor: of a design, the one that the candidate has and the reference has not; "" for other pairs.
    """

    candidate: str
    reference: str
    kind: ComparisonKind
    if_own_best: bool = False
    factor: str = ""


def planned_comparisons(
    parents: Mapping[str, str | None],
    tuned: Collection[str],
    design: Design | None = None,
    pairs: Iterable[tuple[str, str]] = (),
    claims: Iterable[Claim] = (),
) -> tuple[PlannedComparison, ...]:
    """Return what a study compares, in the order of its variants; of one variant, what weighs most first.

    That is tuned against tuned: tuning either side alone would favour it. Pairs that only claims are about come last.
    parents: of all variants, by name; that of a tuned variant is the one it was tuned from. tuned: names of those.
    pairs: that the study lists itself, candidate and reference.
    """
    changes = _changes(parents, tuned, design, pairs)
    tuned_side = {parents[name]: name for name in tuned}
    found = []
    for name, parent in parents.items():
        if name in tuned and parent is not None:
            for changed, factor in changes[parent].items():
                reference, own = tuned_side.get(changed, changed), changed not in tuned_side
                found.append(PlannedComparison(name, reference, "tuned change", if_own_best=own, factor=factor))
            found.append(PlannedComparison(name, parent, "tuning"))
        else:
            found += [
                PlannedComparison(name, other, "change", factor=factor) for other, factor in changes[name].items()
            ]
    planned = {frozenset([pair.candidate, pair.reference]) for pair in found}
    for claim in claims:
        if (pair := frozenset([claim.variant, claim.against])) not in planned:  # either way round
            planned.add(pair)
            found.append(PlannedComparison(claim.variant, claim.against, "claim"))
    return tuple(found)


def _changes(
    parents: Mapping[str, str | None],
    tuned: Collection[str],
    design: Design | None,
    pairs: Iterable[tuple[str, str]],
) -> dict[str, dict[str, str]]:
    """Return what each variant that is not tuned is compared with, and the factor of a design between the two or ""."""
    found: dict[str, dict[str, str]] = {name: {} for name in parents if name not in tuned}
    made = set() if design is None else set(design.generated)
    for name, parent in parents.items():
        if parent is not None and name in found and name not in made:
            found[name][parent] = ""
    for pair in design.comparisons() if design else ():
        if pair.candidate in found and pair.reference in found:
            found[pair.candidate][pair.reference] = pair.factor
    for candidate, reference in pairs:
        if candidate in found and reference in found:
            found[candidate].setdefault(reference, "")
    return found
