"""How much of the permitted false alarms each look at a growing study may spend.

Whoever looks at a study after every few seeds, and stops at the first p below 0.05, calls an effect in three times as
many studies without one. So the 5 % are spent over the looks, a little at the first ones and most of it at the last.
Source: Lan and DeMets 1983, "Discrete sequential boundaries for clinical trials"; the spending function is that of Kim
and DeMets 1987; how often a look is the first to call is integrated from look to look, as Armitage, McPherson and Rowe
1969 do.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

if TYPE_CHECKING:
    from collections.abc import Callable

_NODES, _WIDTHS = np.polynomial.legendre.leggauss(100)
"""Where the density of studies that go on is kept; twice as many change no level by a millionth."""

RHO = 3.0
"""How slowly spending begins: 1 stops more clear effects at the first look, 3 errs less and finds more small ones."""
KEPT_BACK = 0.1
"""Share of alpha that several looks never spend: p far out is a bit too small where spreads differ and seeds are few.

`benchmarks/looks.py` chose these two and the schedule of `study.seeds`.
"""


def spent(share: float, alpha: float) -> float:
    """Return how much of alpha several looks have spent once this share of the seeds is there."""
    return alpha * (1 - KEPT_BACK) * math.pow(share, RHO)


@lru_cache(maxsize=256)
def levels(
    looks: tuple[int, ...], alpha: float, family: int = 1, spending: Callable[[float, float], float] = spent
) -> tuple[float, ...]:
    """Return what p has to be below at each look, so that all looks together raise no more than alpha false alarms.

    looks: seeds at each, ascending; the last is the most that there may be. family: over how many comparisons p is
    adjusted: each has only its part of alpha to spend, and so far out one look says less about the next. spending: what
    is spent once a share of the seeds is there, of how much.
    """
    if len(looks) == 1:
        return (alpha,)
    found, shares, each = [], [n / looks[-1] for n in looks], alpha / family
    # Studies that go on, by how far their sum of differences has drifted: all of them at 0, before the first look.
    drifts, studies, last = np.zeros(1), np.ones(1), 0.0
    for share in shares:
        step = math.sqrt(share - last)
        bound = _bound(drifts, studies, math.sqrt(share), step, spending(share, each) - spending(last, each))
        found.append(min(alpha, family * 2 * float(ndtr(-bound))))
        edge = bound * math.sqrt(share)
        moves = np.exp(-((edge * _NODES[:, None] - drifts) ** 2) / (2 * step**2)) / (step * math.sqrt(2 * math.pi))
        drifts, studies, last = edge * _NODES, (moves @ studies) * edge * _WIDTHS, share
    return tuple(found)


def _bound(drifts: np.ndarray, studies: np.ndarray, scale: float, step: float, allowed: float) -> float:
    """Return the |z| beyond which this share of all studies is at a look."""
    low, high = 0.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        beyond = ndtr((drifts - middle * scale) / step) + ndtr((-drifts - middle * scale) / step)
        low, high = (middle, high) if float(studies @ beyond) > allowed else (low, middle)
    return (low + high) / 2
