"""The seeds of a study: so many, a list, or at first few and then more where comparisons are not decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..components.setting_text import value_text
from .tables import SeedsTable, dotted, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .spec import Place, Report, Study
    from .tables import StudyTable

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


def read_fold_seeds(report: Report, table: StudyTable, instead: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the seeds of a study with folds, each of which is one fold: whole repetitions, by default one.

    table: [study]. instead: as of `read_seeds`.
    """
    folds = table.folds or 1
    if isinstance(table.seeds, Mapping) and not instead:
        text = "seeds that are added as they are needed take looks at independent runs, and folds share training data"
        report(PLACE, WHERE, f"{text}\ngive a number of whole repetitions: seeds = {folds} or {2 * folds}")
        return tuple(range(folds))
    given = table.seeds if "seeds" in table.model_fields_set else folds
    seeds, _ = read_seeds(report, given, instead)
    lacking = [seed for seed in whole_repetitions(seeds, folds) if seed not in seeds]
    if lacking and seeds:
        last = seeds == tuple(range(len(seeds)))
        fewer, more = (folds * (len(seeds) // folds), folds * (len(seeds) // folds + 1))
        near = " or ".join(f"seeds = {count}" for count in (fewer, more) if count)
        whole = f"seeds = {list(whole_repetitions(seeds, folds))}" if len(seeds) <= MOST_LISTED else near
        count = "1 seed is" if len(seeds) == 1 else f"{len(seeds)} seeds are"
        text = f"{count} no whole repetitions of {folds} folds: each seed is one fold"
        named = f"seed {lacking[0]}, fold {lacking[0] % folds} of repetition {lacking[0] // folds}, is missing"
        report(PLACE, WHERE, f"{text}{'' if last else f', and {named}'}\naccepts {near if last else whole}")
        return tuple(range(folds))
    return seeds or tuple(range(folds))


def whole_repetitions(seeds: Sequence[int], folds: int) -> tuple[int, ...]:
    """Return the seeds of all folds of each repetition that any of these is of."""
    repetitions = sorted({seed // folds for seed in seeds})
    return tuple(seed for one in repetitions for seed in range(one * folds, (one + 1) * folds))


MOST_LISTED = 20
"""Of more seeds than these, a number is named and no list."""


def check_beside_folds(report: Report, study: Study) -> None:
    """Report what a study with folds cannot have beside them. study: as read, with what it says of comparing."""
    if study.folds is None:
        return
    if study.compared.split != "test":
        text = f"{value_text(study.metric)} is not measured on the fold that is left out, which is what runs test"
        report(("study", "metric"), "study: metric", f"{text}\ncompare on a test metric, as test/accuracy")
    if study.comparing.method is not None:
        report(("compare", "method"), "compare: method", no_method(study.comparing.method))


def no_method(named: str) -> str:
    """Say that no method can be named for folds."""
    text = f"method = {value_text(named)} takes runs to be independent, and folds share training images"
    return f"{text}\nleave it out: folds are compared by the corrected paired t test"


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
