"""Folds of cross-validation in a table of runs: a column called `fold` says which, and they are compared as folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .run_tables import RunTable

BESIDE = ("fold", "folds", "repetition")
"""Columns that say what of a cross-validation a run is, and none that is compared; the last two may be absent."""


def fold_columns(table: RunTable) -> dict[str, str]:
    """Return the columns on folds as the table calls them; empty where none says which fold a run is of."""
    found = {name.casefold(): name for name in table.columns if name.casefold() in BESIDE}
    return found if "fold" in found else {}


def folds_of(table: RunTable, values: dict[str, list[int]]) -> int | None:
    """Return how many folds there are: as the table says, else as many as are named; None for fewer than two.

    values: of each column on folds, by what it says. Raises InputError, with the row, where the table contradicts
    itself: how many folds there are decides how sure a difference is.
    """
    named = len(set(values.get("fold", [])))
    said = values.get("folds") or [named]
    for row, many in enumerate(said):
        if many != said[0]:
            raise table.error(
                f"column 'folds' says {many} here and {said[0]} before: folds of one size are compared", row
            )
    if said[0] < named:
        raise table.error(f"column 'folds' says {said[0]}, and column 'fold' names {named} different ones")
    return said[0] if said[0] > 1 else None


def fold_numbers(variants: Sequence[str], seeds: Sequence[int] | None, values: dict[str, list[int]]) -> list[int]:
    """Return a number of each run that all variants have for the same fold of the same repetition.

    Where no column says which repetition a run is of, its seed does; a seed that names one fold is the number itself.
    """
    folds = values["fold"]
    repetitions = values.get("repetition")
    named: list[tuple[Any, int]] = list(zip(repetitions or seeds or [0] * len(folds), folds, strict=True))
    if seeds and repetitions and len(set(zip(variants, named, strict=True))) < len(named):
        named = list(zip(zip(repetitions, seeds, strict=True), folds, strict=True))  # several seeds of each fold
    if seeds and len(set(zip(seeds, named, strict=True))) == len(set(seeds)) == len(set(named)):
        return list(seeds)
    numbers = {one: number for number, one in enumerate(sorted(set(named)))}
    return [numbers[one] for one in named]
