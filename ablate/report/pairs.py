"""Any two variants of a study: what differs between them, and what comparing them comes to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from ..study.differences import differences
from .sections import cautions, factor_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..stats.comparison import Comparison
    from ..stats.results import Results

MOST_VARIANTS = 20
"""Every pair is compared in studies of up to so many, which makes 190; in larger ones those that the study plans."""


@dataclass(frozen=True)
class Pair:
    """Two variants. changes: (factor, before, after) from the reference to the candidate.

    planned: the study compares them, so that their p shares its risk of a false alarm; that of others stands alone.
    compared: on the study's metric first, then on test loss and accuracy. cautions: what limits reading the first.
    """

    candidate: str
    reference: str
    planned: bool
    changes: tuple[tuple[str, str, str], ...]
    compared: tuple[Comparison, ...]
    cautions: tuple[str, ...]


def pairs(results: Results) -> tuple[Pair, ...]:
    """Return the pairs of a study's variants, those that it plans first. Of a pilot none: its numbers mean nothing."""
    study = results.study
    if study.pilot:
        return ()
    shown = dict.fromkeys((study.metric, "test/loss", "test/accuracy"))
    found = []
    for candidate, reference, planned in _named(results):
        before, after = study.variant(reference).recipe, study.variant(candidate).recipe
        changes = ((factor_name(factor), old, new) for factor, old, new in differences(before, after))
        compared = tuple(results.comparison(candidate, reference, name) for name in shown)
        limits = tuple(cautions(results, compared[0]))
        found.append(Pair(candidate, reference, planned, tuple(changes), compared, limits))
    return tuple(found)


def _named(results: Results) -> Iterator[tuple[str, str, bool]]:
    """Yield each pair once: as it is planned, else the later variant against the earlier."""
    planned = dict.fromkeys((one.candidate, one.reference) for one in results.planned)
    for candidate, reference in planned:
        if (reference, candidate) not in planned or results.place(candidate) > results.place(reference):
            yield candidate, reference, True
    names = [variant.name for variant in results.study.variants]
    for reference, candidate in combinations(names, 2) if len(names) <= MOST_VARIANTS else ():
        if (candidate, reference) not in planned and (reference, candidate) not in planned:
            yield candidate, reference, False
