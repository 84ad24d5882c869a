"""Whether a study's seeds are enough for the margin that it asks for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .. import numbers
from ..stats.spread import pooled_spread, spread_within_folds
from .finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..stats.results import Results
    from ..study.spec import Study


def expected_seed_findings(study: Study) -> Iterator[Finding]:
    """Find too few seeds for the margin that a study states, by the spread that it states."""
    if study.comparing.spread is not None:
        yield from _too_few(study, study.comparing.spread, len(study.seeds), "stated")


def sees_spread(results: Results) -> bool:
    """Tell whether runs say how much seeds differ where the study does not state it."""
    return results.study.comparing.spread is None and _seen(results) is not None


def seen_seed_findings(results: Results) -> Iterator[Finding]:
    """Find too few seeds for the margin that a study states, by the spread of its runs where it states none."""
    if sees_spread(results) and (seen := _seen(results)):
        yield from _too_few(results.study, *seen, "seen")


def _seen(results: Results) -> tuple[float, int] | None:
    """Return how much seeds differ, and how many there are of each variant, or may be where seeds are added."""
    study = results.study
    values = [[run.get(study.metric, math.nan) for run in results.stored_of(v.name).values()] for v in study.variants]
    seeds = [count for sample in values if (count := sum(map(math.isfinite, sample))) > 1]
    spread = spread_within_folds(results.samples(study.compared).values()) if study.folds else pooled_spread(values)
    return (spread[0], study.looks[-1] if study.looks else min(seeds)) if spread else None


def _too_few(study: Study, spread: float, seeds: int, how: str) -> Iterator[Finding]:
    margin, quantity = study.comparing.margin, study.compared.quantity
    if margin is None or seeds < 2 or not study.comparisons or not spread or study.pilot:
        return
    from ..stats.comparison import ALPHA
    from ..stats.family import planned_of  # with scipy, which most studies do without here
    from ..stats.power import smallest_detectable
    from ..stats.spending import levels

    level = levels(study.looks, ALPHA, len(study.comparisons))[-1] if study.looks else ALPHA
    least = smallest_detectable(spread, seeds, planned_of(study, study.compared, level))
    if least is not None and least > margin:
        noun = "folds" if study.folds else "seeds"
        sizes = [numbers.with_sign(one, quantity).lstrip("+") for one in (spread, least, margin)]
        yield Finding(
            "too-few-seeds",
            "study.seeds",
            f"{seeds} {noun}{' at most' if study.looks else ''} that spread by {sizes[0]} ({how}) show differences of "
            f"{sizes[1]} or more in four of five studies, and the margin is {sizes[2]}: what lies between stays "
            "undecided",
            f"take more {noun} ('ablate plan' says what they buy), or a wider margin under [compare]",
        )
