"""Fractions of a two-level factorial: which of all combinations of factors are run, and what that confounds.

A factor is a bit. A run of a factorial with `base` free factors is a number below 2 ** base; every further factor is a
sum, modulo 2, of some free ones (its generator). So every fraction has the run in which no factor is on, the baseline.
Words are sets of factors, as bits: those of a fraction are the sets whose effects it cannot tell from the mean.
Source: Box, Hunter and Hunter, Statistics for Experimenters (2nd edition, 2005), chapter 6.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

MOST_FREE = 8


@lru_cache
def generators(factors: int, resolution: int) -> tuple[int, ...] | None:
    """Return the generators of the smallest fraction with at least this resolution.

    A generator is the set of free factors, as bits, that a further factor is the sum of; the free ones come first.
    None where no fraction of at most 2 ** MOST_FREE runs has it. An empty tuple is the full factorial.
    """
    for base in range(2, min(factors, MOST_FREE) + 1):
        found = _extended([], sorted(range(1, 1 << base), key=_order), factors - base, base, resolution)
        if found is not None:
            return tuple(found)
    return None


def runs(factors: int, chosen: tuple[int, ...]) -> list[int]:
    """Return each run of a fraction as the set of factors, as bits, that are on in it: the fewest first."""
    free = factors - len(chosen)
    made = []
    for run in range(1 << free):
        on = run
        for place, generator in enumerate(chosen):
            on |= ((run & generator).bit_count() % 2) << (free + place)
        made.append(on)
    return sorted(made, key=_order)


def defining_words(factors: int, chosen: tuple[int, ...]) -> list[int]:
    """Return the words of a fraction, as bits of factors; without the empty one."""
    free = factors - len(chosen)
    basis = [generator | 1 << (free + place) for place, generator in enumerate(chosen)]
    words = [0]
    for one in basis:
        words += [word ^ one for word in words]
    return sorted((word for word in words if word), key=_order)


def resolution_of(factors: int, chosen: tuple[int, ...]) -> int | None:
    """Return the length of the shortest word; None for a full factorial, which confounds nothing."""
    return min((word.bit_count() for word in defining_words(factors, chosen)), default=None)


def _extended(chosen: list[int], among: list[int], lacking: int, base: int, resolution: int) -> list[int] | None:
    """Return generators that add the lacking factors; None where these cannot be added to the chosen ones."""
    if lacking == 0:
        return chosen
    for place, generator in enumerate(among):
        if _keeps(chosen, generator, resolution):
            found = _extended([*chosen, generator], among[place + 1 :], lacking - 1, base, resolution)
            if found is not None:
                return found
    return None


def _keeps(chosen: list[int], generator: int, resolution: int) -> bool:
    """Tell whether no word that the new generator brings is shorter than the resolution."""
    for size in range(min(len(chosen), resolution - 2) + 1):
        for others in combinations(chosen, size):
            total = generator
            for other in others:
                total ^= other
            if total.bit_count() + size + 1 < resolution:
                return False
    return True


def _order(word: int) -> tuple[int, list[int]]:
    """Sort by how many factors a word has, then by which, the first factor first."""
    return word.bit_count(), [place for place in range(word.bit_length()) if word >> place & 1]
