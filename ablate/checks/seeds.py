"""Whether a study's seeds are enough for the margin that it asks for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .. import numbers
from ..stats.spread import pooled_spread
from .finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..stats.results import Results
    from ..study.spec import Study


def expected_seed_findings(study: Study) -> Iterator[Finding]:
    """Find too few seeds for the margin that a study states, by the spread that it states."""
    if study.comparing.spread is not None:
        yield from _too_few(study, study.comparing.spread, len(study.seeds), "stated")


def seen_seed_findings(results: Results) -> Iterator[Finding]:
    """Find too few seeds for the margin that a study states, by the spread of its runs where it states none."""
    study = results.study
    values = [[run.get(study.metric, math.nan) for run in results.stored_of(v.name).values()] for v in study.variants]
    seeds = [count for sample in values if (count := sum(map(math.isfinite, sample))) > 1]
    seen = pooled_spread(values)
    if study.comparing.spread is None and seen is not None:
        yield from _too_few(study, seen[0], min(seeds), "seen")


def _too_few(study: Study, spread: float, seeds: int, how: str) -> Iterator[Finding]:
    margin, quantity = study.comparing.margin, study.compared.quantity
    if margin is None or seeds < 2 or not study.comparisons or not spread or study.pilot or study.looks:
        return
    from ..stats.family import planned_of  # with scipy, which most studies do without here
    from ..stats.power import smallest_detectable

    least = smallest_detectable(spread, seeds, planned_of(study, study.compared))
    if least is not None and least > margin:
        sizes = [numbers.with_sign(one, quantity).lstrip("+") for one in (spread, least, margin)]
        yield Finding(
            "too-few-seeds",
            "study.seeds",
            f"{seeds} seeds that spread by {sizes[0]} ({how}) show differences of {sizes[1]} or more in four of five "
            f"studies, and the margin is {sizes[2]}: what lies between stays undecided",
            "take more seeds ('ablate plan' says what they buy), or a wider margin under [compare]",
        )
