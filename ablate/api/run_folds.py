"""Folds of cross-validation in a table of runs: a column called `fold` says which, and they are compared as folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .run_tables import RunTable

BESIDE = ("fold", "folds", "repetition")
"""Columns that say what of a cross-validation a run is, and none that is compared; the last two may be absent."""


def fold_columns(table: RunTable) -> dict[str, str]:
    """Return the columns on folds as the table calls them; empty where none says which fold a run is of."""
    found = {name.casefold(): name for name in table.columns if name.casefold() in BESIDE}
    return found if "fold" in found else {}


def folds_of(values: dict[str, list[int]]) -> int | None:
    """Return how many folds there are: as the table says, else as many as are named; None for fewer than two.

    values: of each column on folds, by what it says.
    """
    many = max(values["folds"], default=0) if "folds" in values else len(set(values.get("fold", [])))
    return many if many > 1 else None


def fold_numbers(variants: Sequence[str], seeds: Sequence[int] | None, values: dict[str, list[int]]) -> list[int]:
    """Return a number of each run that all variants have for the same fold of the same repetition.

    seeds: of the runs, which are these numbers where no variant has one twice; else they say the repetition.
    """
    if seeds is not None and len(set(zip(variants, seeds, strict=True))) == len(variants):
        return list(seeds)
    first = seeds or values.get("repetition") or [0] * len(variants)
    named = list(zip(first, values["fold"], strict=True))
    numbers = {one: number for number, one in enumerate(sorted(set(named)))}
    return [numbers[one] for one in named]
