"""What is doubtful in a valid study: each finding with a code, a reason and a remedy.

A finding stops nothing. It is shown before anything runs and again in the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import listing
from .spec import differences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .spec import Study, Variant


@dataclass(frozen=True)
class Finding:
    """One doubtful thing: a stable code, where it is, why it matters, and what to do about it."""

    code: str
    where: str
    reason: str
    remedy: str


def findings(study: Study) -> tuple[Finding, ...]:
    """Return what is doubtful in a study, in the order in which a reader would want to know it."""
    return (*_seeds(study), *_validation(study), *_budgets(study), *_factors(study), *_periodic(study))


def changed_factors(study: Study, variant: Variant) -> list[str]:
    """Return the factors that a variant changes against the one it comes from: `model`, `optimizer`, `epochs`, ..."""
    if variant.parent is None:
        return []
    changes = differences(study.variant(variant.parent).recipe, variant.recipe)
    return list(dict.fromkeys(factor.split(".")[0] for factor, _, _ in changes))


def _seeds(study: Study) -> Iterator[Finding]:
    if len(study.seeds) == 1:
        yield Finding(
            "one-seed",
            "study.seeds",
            "with one seed no difference has an error bar",
            "set seeds = 3 or more",
        )
    if len(study.seeds) == 2:
        yield Finding(
            "two-seeds",
            "study.seeds",
            "an interval from two seeds is six times as wide as one from five with the same spread",
            "set seeds = 3 or more",
        )


def _validation(study: Study) -> Iterator[Finding]:
    without = [v.name for v in study.variants if not v.recipe.splits.validation]
    if without and study.metric.startswith("test/"):
        everywhere = len(without) == len(study.variants)
        yield Finding(
            "no-validation",
            "every variant" if everywhere else listing(without),
            "no validation split: whatever is decided from these numbers is decided on the test set",
            "hold images back with dataset = { ..., validation = 0.1 }",
        )


def _budgets(study: Study) -> Iterator[Finding]:
    epochs = sorted({v.recipe.epochs for v in study.variants})
    if len(epochs) > 1:
        yield Finding(
            "unequal-epochs",
            "epochs",
            f"variants train for {listing(map(str, epochs))} epochs, "
            "so a difference may be the budget's and not the change's",
            "give all the same epochs, or add a variant that changes nothing but the epochs",
        )


def _factors(study: Study) -> Iterator[Finding]:
    for variant in study.variants:
        factors = changed_factors(study, variant)
        if len(factors) > 1:
            yield Finding(
                "several-factors",
                variant.name,
                f"changes {len(factors)} factors against {variant.parent} ({listing(factors)}): "
                "its difference cannot be credited to any one of them",
                "add a variant for each factor alone",
            )


def _periodic(study: Study) -> Iterator[Finding]:
    """Find cosine schedules that a run outlasts: past the half period the rate climbs back to where it began."""
    for variant in study.variants:
        scheduler, epochs = variant.recipe.scheduler, variant.recipe.epochs
        half = scheduler.settings.get("t_max", scheduler.settings.get("T_max"))
        if "cosine" in scheduler.use.lower() and isinstance(half, int) and half < epochs:
            again = f"and is back at its maximum after epoch {2 * half}" if 2 * half <= epochs else "until the end"
            yield Finding(
                "rate-rises-again",
                variant.name,
                f"{scheduler.use} with t_max {half} reaches its minimum after epoch {half} of {epochs}, "
                f"then the learning rate rises again {again}",
                "leave t_max out to anneal over the whole run",
            )
