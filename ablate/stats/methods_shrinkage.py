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
from scipy.special import stdtrit

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


SIMULATED = (2, 3, 5, 11)
"""Numbers of variants that `STRENGTHS` has."""
STRENGTHS: dict[int, tuple[tuple[float, ...], ...]] = {
    2: ((0, 30, 10, 1.57), (0, 0.28, 5, 1.02), (0.015, 0.24, 9, 1.018), (0.04, 0.34, 13, 1.035)),
    3: ((0, 35, 4.5, 1.22), (1.1, 2.1, 4.6, 1.028), (1.8, 4.5, 3, 1.058), (1.7, 4.9, 3.4, 1.053)),
    4: ((0, 13.5, 3.4, 1.095), (3, 5, 2, 1.04), (3.3, 7.4, 1.95, 1.055), (2.1, 13, 1.9, 1.09)),
    5: ((0, 6.8, 3, 1.035), (4.5, 12, 1.9, 1.045), (4.5, 11.7, 1.6, 1.05), (3.4, 28, 2, 1.06)),
    8: ((0, 11, 2.2, 1.02), (4, 19, 2.1, 1), (3.5, 14, 1.6, 1), (3, 20, 1.6, 1)),
    20: ((0, 9, 1.6, 1), (6, 25, 1.5, 1), (6, 25, 1.3, 1), (6, 25, 1.3, 1)),
}  # fmt: skip
"""`Strength` by runs of the smaller side and number of variants; found by simulation, see docs/decisions/019."""
CAUTION = {2: (1.25, 1.5), 3: (1.2, 1.8), 4: (1.0, 1.55), 5: (1.0, 1.55), 8: (1.0, 1.4), 20: (1.0, 1.2)}
"""What adjusted p are multiplied by, by runs of the smaller side: all compared with one reference, and otherwise."""
LEVEL = 0.975
"""Of the t distribution, at the ends of the 95 % interval that `STRENGTHS` was found for."""
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
    # Never more degrees of freedom than all runs have: p far out would promise what no such number of runs can. The
    # standard error grows with it, so that the 95 % interval stays the one that was simulated.
    most = np.minimum(df, own.sum())
    return Sureness(how.factor * error * (stdtrit(df, LEVEL) / stdtrit(most, LEVEL)), most)


def strength(runs: int, variants: int) -> Strength:
    """Return how strongly a design draws spreads together, between the designs that were simulated.

    runs: of each variant, two or more. variants: two or more.
    """
    known = sorted(STRENGTHS)
    at = np.array([_between(np.log(SIMULATED), np.array(STRENGTHS[n]), np.log(variants)) for n in known])
    return Strength(*map(float, _between(1 / np.array(known[::-1]), at[::-1], 1 / runs)))


def caution(runs: int, comparisons: int, common: bool) -> float:
    """Return what p, adjusted by Holm's method, is multiplied by, where there are several comparisons.

    With few runs a test's tails are longer than its t distribution has them, and Holm's small levels are about tails.
    common: all have the same reference. Its runs make their false alarms come together; those of a ladder add up.
    """
    if comparisons < 2:
        return 1.0
    known = sorted(CAUTION, reverse=True)
    at = np.array([CAUTION[n][0 if common else 1] for n in known])
    return float(np.interp(1 / runs, 1 / np.array(known), at))


def _between(places: Floats, rows: Floats, place: float) -> Floats:
    return np.array([np.interp(place, places, column) for column in rows.T])
