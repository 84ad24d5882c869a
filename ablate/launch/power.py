"""The smallest difference that a study's seeds can show, and what more of them would buy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .costs import expected_seconds, total_seconds
from .spread import expected_spread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..store.run_frames import Cost
    from .plan import Plan
    from .spread import Spread
    from .study import LoadedStudy

SIZES = (2, 3, 5, 8, 12, 20)
"""Numbers of seeds that are said beside a study's own."""
MOST_SAID = 2


@dataclass(frozen=True)
class Reach:
    """What a study's seeds can show.

    differences: by number of seeds, the study's own first, the smallest difference that 4 of 5 such studies find, in
    the unit of data; empty where it is unknown how much runs spread, and without that of one seed, which shows none.
    comparisons: how many are made at once. runs, seconds: what one more seed of every variant takes, or with folds one
    more repetition; seconds are None where that is unknown.
    """

    comparisons: int
    runs: int
    seconds: float | None
    spread: Spread | None
    differences: Mapping[int, float]


def reach(study: LoadedStudy, plan: Plan, known: Mapping[str, Cost], at_a_time: int) -> Reach | None:
    """Return what a study's seeds can show; None where it compares nothing, or is a pilot.

    known: what runs cost, by cost key. at_a_time: how many runs are made at a time.
    """
    family, written = len(study.study.comparisons), study.written
    if not family or written.pilot:
        return None
    each = [spec for spec in study.specs if spec.seed in written.seeds[: written.folds or 1]]
    spread = expected_spread(study, plan)
    found = _differences(study, spread) if spread else {}
    return Reach(family, len(each), total_seconds(expected_seconds(each, known), at_a_time), spread, found)


def _differences(study: LoadedStudy, spread: Spread) -> dict[int, float]:
    """Return the smallest difference by number of seeds; of a growing study, at its first look and at its last."""
    from ..stats.comparison import ALPHA  # with scipy, which a plan that knows no spread does without
    from ..stats.family import planned_of
    from ..stats.power import smallest_detectable
    from ..stats.spending import levels

    resolved, own = study.study, len(study.seeds)
    step = resolved.folds or 1
    sizes = {own: ALPHA} | dict.fromkeys([size * step for size in SIZES if size * step > own][:MOST_SAID], ALPHA)
    if looks := resolved.looks:
        each = levels(looks, ALPHA, len(resolved.comparisons))
        sizes = {looks[0]: each[0], looks[-1]: each[-1]}
    plans = {n: planned_of(resolved, resolved.compared, level) for n, level in sizes.items()}
    found = {n: smallest_detectable(spread.value, n, planned) for n, planned in plans.items()}
    return {n: size for n, size in found.items() if size is not None}
