"""What a comparison can find: by simulated studies, since most methods learn from all variants and have no formula."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from .comparison import ALPHA
from .methods import Layout
from .tested import DEFAULT, UNPAIRED

if TYPE_CHECKING:
    from ..study.comparisons import Method

STUDIES = 10_000
POWER = 0.8
MOST_OTHERS = 20
"""A variant learns from so many others as well as from more."""


def smallest_detectable(spread: float, n: int, family: int, method: Method | None = None) -> float:
    """Return the true difference that four of five studies find: p below 0.05 after adjustment, with its sign.

    spread: standard deviation of a variant's runs, alike for all. n: seeds of each variant, two or more. family: how
    many comparisons are made at once, all with one reference; the others are taken to find nothing. method: None for
    the default one. Seeds are taken to be independent, also where the method pairs them.
    """
    return spread * _in_spreads(n, family, method or DEFAULT)


@lru_cache(maxsize=64)
def _in_spreads(n: int, family: int, method: Method) -> float:
    """Return it in units of the spread: what each of many studies would have needed, and four of five had.

    Means and variances of normal runs are drawn as such, which takes no longer with many seeds.
    """
    draw, variants = np.random.default_rng(0), min(family, MOST_OTHERS) + 1
    variances = draw.chisquare(n - 1, size=(STUDIES, variants)) / (n - 1)
    by_chance = draw.normal(scale=np.sqrt(2 / n), size=STUDIES)
    if method == "paired":
        error, df = np.sqrt(2 * variances[:, 0] / n), np.full(STUDIES, n - 1)
    else:
        layout = Layout(np.full(variants, n), np.array([1]), np.array([0]))
        error, df = (found[:, 0] for found in UNPAIRED[method](variances, layout))
    needed = stdtrit(df, 1 - ALPHA / family / 2) * error - by_chance
    return float(np.quantile(needed, POWER))
