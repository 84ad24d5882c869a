"""What a table of runs holds: which column is what, the value of each run, and in which unit it is.

Everything is decided from names and numbers that anyone can see, and what is decided is said in `notes`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import cache
from numbers import Real
from operator import index
from typing import TYPE_CHECKING, Any

from ..errors import InputError, did_you_mean, listing, one_line, quoted
from .run_folds import fold_columns, fold_numbers, folds_of
from .run_metrics import is_accuracy, metric_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..metrics import Metric
    from .run_tables import RunTable

REFERENCES = ("baseline", "base", "reference", "control", "default")
MOST_VARIANTS = 1000
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
INDEX = "\n  frame.reset_index() makes columns of what is in the index of a pandas frame"
WHOLE = re.compile(r"[+-]?[0-9]+")
WITH_SPREAD = re.compile(r"\S+\s*(±|\+/-|\+-)\s*\S+")


@dataclass(frozen=True)
class Columns:
    """Which column is what, by name; None where nobody said."""

    variant: str | None = None
    seed: str | None = None
    metric: str | None = None


@dataclass(frozen=True)
class Runs:
    """The runs of a table.

    samples: each one's value, by variant and seed; without a column of seeds by the row it stands in, which no two
    variants share. seeded: they have seeds. notes: what was decided without being told. folds: of cross-validation, of
    which each seed is one; None without.
    """

    samples: Mapping[str, Mapping[int, float]]
    metric: Metric
    seeded: bool
    notes: tuple[str, ...]
    folds: int | None = None


def runs_of(table: RunTable, named: Columns, lower_is_better: bool | None = None) -> Runs:
    """Return the runs of a table. Raises InputError, with the line, for what cannot be compared.

    lower_is_better: of the metric; None to go by its name.
    """
    columns, notes = _chosen(table, named)
    assert columns.variant is not None
    assert columns.metric is not None
    variants = _variants(table, columns.variant)
    values = _values(table, columns.metric)
    seeds: Sequence[int] = _seeds(table, columns.seed) if columns.seed else range(len(values))
    in_folds = {what: _whole(table, name, "number of a fold") for what, name in fold_columns(table).items()}
    if folds := folds_of(table, in_folds):
        seeds = fold_numbers(variants, seeds if columns.seed else None, in_folds)
        notes.append(f"column 'fold' says that runs are of {folds}-fold cross-validation: they are compared as folds")
    first: dict[tuple[str, int], int] = {}
    samples: dict[str, dict[int, float]] = {}
    for row, (variant, seed, value) in enumerate(zip(variants, seeds, values, strict=True)):
        if (variant, seed) in first:
            raise table.error(
                f"variant '{variant}' has seed {seed} twice: {table.where(first[variant, seed])} "
                f"and {table.where(row)}\n  one row a run, as after the last epoch; "
                "where runs have no seeds, name no column for them"
            )
        first[variant, seed] = row
        samples.setdefault(variant, {})[seed] = value
    metric, said = metric_of(table, columns.metric, values, lower_is_better)
    return Runs(samples, metric, columns.seed is not None or folds is not None, (*notes, *said), folds)


# --- which column is what ----------------------------------------------------------------------------------------


def _chosen(table: RunTable, named: Columns) -> tuple[Columns, list[str]]:
    """Return the columns: those that are named, and for others the only one that it can be."""
    for option, name in vars(named).items():
        if name is not None and name not in table.columns:
            raise table.error(
                f"there is no column '{one_line(name, 80)}' for the {option}{did_you_mean(name, table.columns)}\n"
                f"  has {listing(quoted(table.columns), 20)}{INDEX if table.place == 'row' else ''}"
            )
    given = [name for name in vars(named).values() if name is not None]
    if len(set(given)) < len(given):
        raise table.error(f"one column cannot be two things: {listing(quoted(given))}")
    notes, found = [], named
    given += fold_columns(table).values()
    free = [name for name in table.columns if name not in given and not re.fullmatch(r"Unnamed: \d+", name)]
    numeric = {name for name in free if all(map(_number_or_nothing, table.column(name)))}
    if found.seed is None and len(by_name := [name for name in free if name.casefold() == "seed"]) == 1:
        found = replace(found, seed=by_name[0])
    if found.variant is None:
        found = replace(
            found,
            variant=_only(
                table, "variant", [n for n in free if n not in numeric and n != found.seed and not is_accuracy(n)]
            ),
        )
        notes.append(f"variants are those of column '{found.variant}'")
    if found.metric is None:
        rest = [name for name in free if name not in (found.seed, found.variant)]
        named_so = [name for name in rest if is_accuracy(name)]
        rest = named_so if len(named_so) == 1 else [name for name in rest if name in numeric]
        found = replace(found, metric=_only(table, "metric", rest))
        notes.append(f"compared on column '{found.metric}'")
    if found.seed is None and not fold_columns(table):
        notes.append("no column is named for seeds: runs are not paired")
    elif found.seed is not None and named.seed is None:
        notes.append(f"seeds are those of column '{found.seed}'")
    return found, notes


def _only(table: RunTable, option: str, candidates: Sequence[str]) -> str:
    if len(candidates) == 1:
        return candidates[0]
    kind = "text" if option == "variant" else "numbers"
    which = f"columns {listing(quoted(candidates), 6)} could be" if candidates else f"no column of {kind} could be"
    has = f"has {listing(quoted(table.columns), 20)}"
    if option == "variant" and not candidates and table.place == "row":
        has += (
            f"{INDEX}\n  frame.melt(var_name='variant', value_name='accuracy', ignore_index=False) makes rows "
            "of a column for each variant"
        )
    raise table.error(f"{which} the {option}; name one\n  {has}")


def _number_or_nothing(value: Any) -> bool:
    return _is_missing(value) or _as_number(value) is not None


# --- values ------------------------------------------------------------------------------------------------------


def _variants(table: RunTable, column: str) -> list[str]:
    names = ["" if _is_missing(value) else str(value).strip() for value in table.column(column)]
    if "" in names:
        raise table.error(f"column '{column}' has no variant here", names.index(""))
    known = dict.fromkeys(names)
    if len(known) == 1:
        raise table.error(
            f"column '{column}' has only one variant, '{names[0]}': a comparison takes two\n"
            f"  has {listing(quoted(table.columns), 20)}"
        )
    if len(known) > MOST_VARIANTS:
        raise table.error(
            f"column '{column}' has {len(known):,} different variants: is it the right one?\n"
            f"  has {listing(quoted(table.columns), 20)}"
        )
    return names


def _values(table: RunTable, column: str) -> list[float]:
    found = []
    for row, value in enumerate(table.column(column)):
        number = _as_number(value)
        if number is None:
            raise table.error(f"column '{column}': {_no_number(value)}", row)
        if not math.isfinite(number):
            raise table.error(
                f"column '{column}' is {one_line(str(value).strip(), 40)}: a run without a finite value cannot be "
                "compared\n  take its row out, and say so where you show the result",
                row,
            )
        found.append(number)
    return found


def _seeds(table: RunTable, column: str) -> list[int]:
    return _whole(table, column, "seed", "\n  where runs have no numbered seeds, name no column for them")


def _whole(table: RunTable, column: str, what: str, otherwise: str = "") -> list[int]:
    found = []
    for row, value in enumerate(table.column(column)):
        number = _as_whole(value)
        if number is None:
            shown = "nothing" if _is_missing(value) else f"'{one_line(str(value).strip(), 40)}'"
            raise table.error(f"column '{column}' has {shown} where a {what} belongs, a whole number{otherwise}", row)
        found.append(number)
    return found


def _as_whole(value: Any) -> int | None:
    """Return a value as a whole number, to its last digit; None for what is none."""
    number = _as_number(value)
    if number is None or not math.isfinite(number) or number != int(number):
        return None
    if isinstance(value, str) and WHOLE.fullmatch(value.strip()):
        return int(value)
    return index(value) if hasattr(value, "__index__") else int(number)


def _no_number(value: Any) -> str:
    """Say what stands where a number belongs, and what to do."""
    if _is_missing(value):
        return "nothing where a number belongs\n  take the row out where the run has no result"
    text = str(value).strip()
    said = f"'{one_line(text, 40)}' where a number belongs"
    if DECIMAL_COMMA.fullmatch(text):
        return f"{said}; it has a decimal comma, so write {text.replace(',', '.')}"
    if WITH_SPREAD.fullmatch(text):
        return f"{said}; it is a mean with its spread, and each run needs a row of its own"
    if text.endswith("%") and NUMBER.fullmatch(text[:-1].strip()):
        return f"{said}; write {text[:-1].strip()}, without the sign"
    return said


@cache
def _of_text(text: str) -> float | None:
    stripped = text.strip()
    if NUMBER.fullmatch(stripped):
        return float(stripped)
    return float(stripped) if stripped.casefold().lstrip("+-") in ("nan", "inf", "infinity") else None


def _as_number(value: Any) -> float | None:
    """Return a value as a number, nan and infinities too; None for what is none."""
    if isinstance(value, str):
        return _of_text(value)
    if value is None or type(value).__name__ in ("bool", "bool_"):  # NumPy's own too
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # pandas' own
        return True
    try:
        return math.isnan(value)
    except (TypeError, ValueError, OverflowError):
        return False


# --- the margin and the reference ------------------------------------------------------------------------------------


def checked_margin(margin: float | None, metric: Metric) -> float | None:
    """Return the margin: as given, in the unit of data, else the metric's own. InputError for one that is wrong."""
    quantity = metric.quantity
    if margin is None:
        return quantity.margin
    if not isinstance(margin, Real) or isinstance(margin, bool):
        raise InputError(f"margin {margin!r}: has to be a number, in the unit of '{quantity.name}'")
    if not math.isfinite(margin) or margin <= 0:
        raise InputError(f"margin {margin:g}: has to be a number above 0, in the unit of '{quantity.name}'")
    fractions, percentages = quantity.factor == 100, quantity.step == "points" and quantity.factor == 1
    if fractions and margin >= 0.1:
        raise InputError(
            f"margin {margin:g}: is {margin * 100:g} points, since '{quantity.name}' is in fractions\n"
            f"  for {margin:g} points, give {margin / 100:g}"
        )
    if percentages and margin < 0.02:
        raise InputError(
            f"margin {margin:g}: is {margin:g} points, since '{quantity.name}' is in percentages\n"
            f"  for {margin * 100:g} points, give {margin * 100:g}"
        )
    return margin


def reference_of(runs: Runs, named: str | None) -> tuple[str, str]:
    """Return what all others are compared with, and how that was decided. InputError for a name that is none."""
    names = list(runs.samples)
    if named is not None:
        if named not in names:
            raise InputError(
                f"reference '{one_line(named, 80)}': is no variant{did_you_mean(named, names)}\n"
                f"  accepts {listing(quoted(names), 20)}"
            )
        return named, ""
    usual = [name for name in names if name.casefold() in REFERENCES]
    if len(usual) == 1:
        return usual[0], f"compared with '{usual[0]}', by its name"
    return names[0], f"compared with '{names[0]}', the first variant"
