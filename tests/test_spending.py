from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from ablate.stats.spending import KEPT_BACK, levels, spent

if TYPE_CHECKING:
    from collections.abc import Callable


def bounds(spending: Callable[[float, float], float]) -> list[float]:
    """The |z| that five equally spaced looks ask for."""
    return [-float(ndtri(level / 2)) for level in levels((1, 2, 3, 4, 5), 0.05, 1, spending)]


def test_bounds_like_pococks_are_those_of_lan_and_demets() -> None:
    found = bounds(lambda share, alpha: alpha * math.log1p((math.e - 1) * share))
    assert found == pytest.approx([2.438, 2.427, 2.410, 2.397, 2.386], abs=1e-3)


def test_bounds_like_obriens_and_flemings_are_those_of_lan_and_demets() -> None:
    def spending(share: float, alpha: float) -> float:
        return 4 * float(ndtr(ndtri(alpha / 4) / math.sqrt(share))) if share else 0.0

    assert bounds(spending) == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=1e-3)


def test_all_looks_together_raise_the_false_alarms_that_are_spent() -> None:
    looks = (3, 4, 6, 8, 12)
    sums = np.random.default_rng(1).normal(size=(400_000, 12)).cumsum(axis=1)
    z = np.abs(sums[:, [n - 1 for n in looks]]) / np.sqrt(looks)
    crossed = (z > -ndtri(np.array(levels(looks, 0.05)) / 2)).any(axis=1).mean()
    assert crossed == pytest.approx(0.05 * (1 - KEPT_BACK), abs=0.001)


def test_one_look_spends_all_of_it() -> None:
    assert levels((5,), 0.05, 4) == (0.05,)


def test_a_family_leaves_each_comparison_less_since_looks_repeat_each_other_less_far_out() -> None:
    alone, many = levels((3, 6, 12), 0.05), levels((3, 6, 12), 0.05, 9)
    assert all(theirs <= ours * (1 + 1e-9) for ours, theirs in zip(alone, many, strict=True))
    assert sum(levels((3, 6, 12), 1e-6)) == pytest.approx(spent(1, 1e-6), rel=0.05)


def test_no_look_asks_for_less_than_one_without_others() -> None:
    for looks in ((2, 3), (3, 4, 6, 8, 12), (2, 4, 1000), tuple(range(2, 40))):
        assert all(0 < level <= 0.05 for level in levels(looks, 0.05, 100))
