"""The default method: each variant's spread, drawn towards that of the others as far as the two agree.

Three runs say little of a spread: one sample in five is below half of the true one. The other variants' runs say more,
if theirs is the same. So a variance is drawn towards the mean of the others', with a weight, and counts for more
degrees of freedom, that both shrink where the variant's own is larger: then it stands for itself, as in Welch's test.
How strongly is fixed by the design alone: the number of runs and of variants (`strength`). docs/statistics.md has what
it was chosen by, docs/decisions/019 the others that were tried.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .methods import Floats, Layout, Sureness, satterthwaite


class Strength(NamedTuple):
    """How strongly spreads are drawn together.

    weight: degrees of freedom that the others' spread has beside a variant's own, where they agree. bonus: degrees of
    freedom that agreement adds. steepness: how fast both go where the variant's own is larger. factor: of the standard
    error, which makes up for what the approximation lacks at few runs.
    """

    weight: float
    bonus: float
    steepness: float
    factor: float


STRENGTHS: dict[int, tuple[Strength, Strength, Strength]] = {
    2: (Strength(0.0, 0.2, 4.4, 1.05), Strength(0.02, 0.24, 4.4, 1.05), Strength(0.02, 0.2, 4.4, 1.05)),
    3: (Strength(0.0, 34.9, 4.5, 1.22), Strength(1.9, 4.6, 3.5, 1.06), Strength(1.9, 4.5, 3.5, 1.05)),
    4: (Strength(0.0, 7.8, 3.9, 1.13), Strength(3.3, 7.4, 1.9, 1.05), Strength(2.1, 13.0, 1.8, 1.09)),
    5: (Strength(0.0, 4.0, 2.0, 1.02), Strength(0.5, 1.1, 1.4, 1.01), Strength(0.2, 1.4, 0.8, 1.025)),
    20: (Strength(0.0, 0.0, 2.0, 1.0), Strength(0.0, 0.0, 2.0, 1.0), Strength(0.0, 0.0, 2.0, 1.0)),
}
"""By runs of the smaller side, for 2, 5 and 11 variants; simulated (`benchmarks/coverage.py --tune`)."""
MOST_AGREEMENT = 1.5
"""How much more than equal spreads a variant counts whose own is far smaller."""


def shrinkage(variances: Floats, layout: Layout) -> Sureness:
    """Return standard errors and degrees of freedom; see the module.

    variances: of each variant's runs (divided by n - 1), shape (..., variants), two variants or more.
    """
    how = strength(int(layout.runs.min()), len(layout.runs))
    roots = np.sqrt(variances)
    others = ((roots.sum(-1, keepdims=True) - roots) / (len(layout.runs) - 1)) ** 2  # of roots: no outlier rules it
    total = others + variances
    part = np.divide(2 * others, total, out=np.ones_like(total), where=total > 0)
    agreement = np.minimum(part**how.steepness, MOST_AGREEMENT)
    own, weight = layout.own, how.weight * agreement
    drawn = (weight * others + own * variances) / (weight + own)
    error, df = satterthwaite(drawn, layout, own + how.bonus * agreement)
    return Sureness(how.factor * error, df)


def strength(runs: int, variants: int) -> Strength:
    """Return how strongly a design draws spreads together, between the designs that were simulated.

    runs: of each variant, two or more. variants: two or more.
    """
    known = sorted(STRENGTHS)
    at = np.array([_between(np.log([2, 5, 11]), np.array(STRENGTHS[n]), np.log(variants)) for n in known])
    return Strength(*map(float, _between(1 / np.array(known[::-1]), at[::-1], 1 / runs)))


def _between(places: Floats, rows: Floats, place: float) -> Floats:
    return np.array([np.interp(place, places, column) for column in rows.T])
