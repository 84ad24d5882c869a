"""The seeds of a study: so many, a list, or at first few and then more where comparisons are not decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..components.setting_text import value_text
from .tables import SeedsTable, dotted, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .spec import Place, Report

MAX_SEEDS = 1000
PLACE = ("study", "seeds")
WHERE = "study: seeds"
GROWTH = 2**0.5
"""Each look has about so many times the seeds of the one before: more looks than that cost power and save few runs."""


def read_seeds(
    report: Report, given: int | Sequence[int] | Mapping[str, Any], instead: Sequence[int] = ()
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the seeds that variants may be run with, and how many of them there are at each look.

    given: `seeds` of [study]. instead: seeds that take their place. The second is empty where every variant is run with
    all seeds.
    """
    looks: tuple[int, ...] = ()
    if isinstance(given, int):
        listed = list(range(_few(report, given, f"\nto name one seed, write [{given}]")))
    elif isinstance(given, Mapping):
        looks = _looks(report, given)
        listed = list(range(looks[-1]))
    else:
        listed = list(given)[: _few(report, len(given))]
    if instead:
        return tuple(instead), ()
    if not listed or len(set(listed)) != len(listed):
        what = "no seed is named" if not listed else f"{value_text(listed)} names a seed twice"
        accepts = "a number of seeds or a list of different ones; { min = 3, max = 12 } adds them as they are needed"
        report(PLACE, WHERE, f"{what}\naccepts {accepts}")
    return tuple(listed), looks


def look_sizes(least: int, most: int) -> tuple[int, ...]:
    """Return how many seeds there are at each look, from the least to the most."""
    found = [least]
    while found[-1] * GROWTH < most / GROWTH**0.5:
        found.append(max(found[-1] + 1, round(least * GROWTH ** len(found))))
    return tuple(found) if found[-1] == most else (*found, most)


def _few(report: Report, count: int, hint: str = "") -> int:
    """Return a number of seeds, of too many the most that there may be."""
    if count > MAX_SEEDS:
        report(PLACE, WHERE, f"{count} seeds are too many (at most {MAX_SEEDS:,}){hint}")
    return min(count, MAX_SEEDS)


def _looks(report: Report, given: Mapping[str, Any]) -> tuple[int, ...]:
    """Return how many seeds there are at each look; one look where the table says nothing that can be used."""
    problems: list[str] = []

    def said(place: Place, _: str, text: str) -> None:
        problems.append(text)
        report(place, f"study: {dotted(place[1:])}", text)

    table = read_table(said, SeedsTable, given, PLACE, WHERE)
    if table is None or problems:
        return (2,)
    most = _few(report, table.max)
    if table.min > table.max:
        text = f"min = {table.min} is above max = {table.max}\nas in {{ min = 3, max = 12 }}"
        report((*PLACE, "min"), f"{WHERE}.min", text)
        return (2,)
    return look_sizes(min(table.min, most), most)
