"""Ranks of variants over datasets: average ranks, Friedman's test, Nemenyi's critical difference, signed ranks.

Sources: Friedman 1937; Iman and Davenport 1980, "Approximations of the critical region of the Friedman statistic";
Nemenyi 1963; Demsar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets"; Wilcoxon 1945.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import fdtrc

from .comparison import ALPHA

if TYPE_CHECKING:
    from .methods import Floats

MOST_EXACT = 50
"""The signed-rank test is exact up to so many datasets."""


@dataclass(frozen=True)
class Ranks:
    """How variants rank on average, 1 the best. datasets: those that all variants have a result on.

    mean: by variant. f, df, p: Friedman's test in the form of Iman and Davenport, of no variant ranking other than
    another. critical_difference: average ranks that are further apart differ at ALPHA over all pairs (Nemenyi).
    alike: the largest groups of variants, best first, within which no two do.
    """

    datasets: tuple[str, ...]
    variants: tuple[str, ...]
    mean: tuple[float, ...]
    f: float
    df: tuple[int, int]
    p: float
    critical_difference: float
    alike: tuple[tuple[str, ...], ...]


def rank(values: Floats, variants: tuple[str, ...], datasets: tuple[str, ...], higher: bool) -> Ranks:
    """Return the ranks of variants. values: of shape (datasets, variants); higher: more is better."""
    count, k = values.shape
    ranks = ranked(-values if higher else values)
    mean = ranks.mean(0)
    f, df, p = friedman(ranks)
    distance = critical_difference(k, count)
    return Ranks(datasets, variants, tuple(map(float, mean)), f, df, p, distance, _alike(variants, mean, distance))


def ranked(values: Floats) -> Floats:
    """Return the rank of each value in its row, 1 the lowest; equal ones share the mean of theirs."""
    below = (values[..., None, :] < values[..., :, None]).sum(-1)
    equal = (values[..., None, :] == values[..., :, None]).sum(-1)
    ranks: Floats = below + (equal + 1) / 2
    return ranks


def friedman(ranks: Floats) -> tuple[float, tuple[int, int], float]:
    """Return Iman and Davenport's F of ranks of shape (datasets, variants), its degrees of freedom, and its p."""
    count, k = ranks.shape
    df = (k - 1, (k - 1) * (count - 1))
    spread = float(((ranks - (k + 1) / 2) ** 2).sum())  # less where there are ties
    if spread == 0:
        return 0.0, df, 1.0
    between = count * float(((ranks.mean(0) - (k + 1) / 2) ** 2).sum())
    chi = count * (k - 1) * between / spread
    rest = count * (k - 1) - chi
    if rest <= 1e-9 * chi:
        return math.inf, df, 0.0
    f = (count - 1) * chi / rest
    return f, df, float(fdtrc(*df, f))


def critical_difference(variants: int, datasets: int) -> float:
    """Return Nemenyi's critical difference of average ranks at ALPHA."""
    from scipy.stats import studentized_range  # takes most of a second to import

    q = float(studentized_range.ppf(1 - ALPHA, variants, math.inf)) / math.sqrt(2)
    return q * math.sqrt(variants * (variants + 1) / (6 * datasets))


def signed_rank(differences: Floats) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test; differences of 0 are left out, equal ones share ranks.

    Exact also with ties: of all signs that the ranks could have had, how many make a sum as far from its middle.
    """
    kept = differences[differences != 0]
    if not len(kept):
        return 1.0
    doubled = np.rint(2 * ranked(np.abs(kept))).astype(np.int64)  # shared ranks are halves
    total, seen = int(doubled.sum()), int(doubled[kept > 0].sum())
    if len(kept) > MOST_EXACT:
        z = max(abs(seen - total / 2) - 1, 0) / math.sqrt(float((doubled.astype(float) ** 2).sum()) / 4)
        return math.erfc(z / math.sqrt(2))
    ways = np.zeros(total + 1)
    ways[0] = 1.0
    for one in doubled:
        ways[one:] = (ways[one:] + ways[: total + 1 - one]) / 2
        ways[:one] /= 2
    far = np.abs(np.arange(total + 1) - total / 2) >= abs(seen - total / 2)
    return min(1.0, float(ways[far].sum()))


def _alike(variants: tuple[str, ...], mean: Floats, distance: float) -> tuple[tuple[str, ...], ...]:
    """Return the largest groups of variants whose average ranks are within the critical difference, best first."""
    order = np.argsort(mean, kind="stable")
    groups: list[tuple[int, int]] = []
    for first in range(len(order)):
        last = max(at for at in range(first, len(order)) if mean[order[at]] - mean[order[first]] <= distance)
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return tuple(tuple(variants[order[at]] for at in range(first, last + 1)) for first, last in groups)
