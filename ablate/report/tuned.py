"""Default settings against tuned ones, side by side, and whether tuning changes which variant is ahead."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from ..errors import listing
from ..stats.summary import Estimate, paired
from ..tune.records import maximised
from . import numbers
from .outcomes import tuned_variants
from .table import anchor, measure

if TYPE_CHECKING:
    import pandas as pd

    from ..study.spec import Study, Variant


@dataclass(frozen=True)
class Side:
    """A variant with its default or its tuned settings: its mean, the interval (empty where none), and its rank."""

    mean: str
    interval: str
    rank: str


@dataclass(frozen=True)
class SideRow:
    """One variant with both; difference: tuned minus default, paired by seed, with its interval and its seeds."""

    anchor: str
    name: str
    default: Side
    tuned: Side
    difference: str
    interval: str
    seeds: str


@dataclass(frozen=True)
class Sides:
    """All variants that have both; heading: the metric with its unit. flips: a sentence for each pair that swaps."""

    label: str
    heading: str
    rows: tuple[SideRow, ...]
    ranking: str
    flips: tuple[str, ...]
    notes: tuple[str, ...]


def sides(study: Study, runs: pd.DataFrame) -> Sides | None:
    """Return the comparison, or None where the study has no tuned variant. runs: the frame of `Records`."""
    made = tuned_variants(study)
    pairs = [(variant, made[variant.name]) for variant in study.variants if variant.name in made]
    if not pairs:
        return None
    scale, found = numbers.scale_of(study.metric), measure(study, runs, study.metric)
    decimals = numbers.digits(scale, (found[v.name].half_width for pair in pairs for v in pair))
    # Only variants that have both take part in a ranking: a place lost to one that was not run says nothing.
    whole = [pair for pair in pairs if all(math.isfinite(found[v.name].mean) for v in pair)]
    ranks = [_ranks([found[pair[side].name].mean for pair in whole], maximised(study.metric)) for side in (0, 1)]
    names = [default.name for default, _ in whole]
    rows = []
    for default, tuned in pairs:
        by = [str(rank[names.index(default.name)]) if default.name in names else numbers.ABSENT for rank in ranks]
        rows.append(
            SideRow(
                anchor(study, tuned),
                default.name,
                _side(found[default.name], scale, decimals, by[0]),
                _side(found[tuned.name], scale, decimals, by[1]),
                *_difference(study, runs, tuned, default),
            )
        )
    flips = _flips(study, runs, whole, ranks)
    unit = f" ({scale.unit})" if scale.unit else ""
    return Sides(
        label=study.label,
        heading=numbers.NAMES[study.metric].capitalize() + unit,
        rows=tuple(rows),
        ranking=_ranking(whole, flips),
        flips=tuple(flips),
        notes=_notes(rows, names),
    )


def _side(found: Estimate, scale: numbers.Scale, decimals: int, rank: str) -> Side:
    interval = numbers.interval(found.low, found.high, scale, decimals)
    return Side(numbers.value(found.mean, scale, decimals), "" if interval == numbers.ABSENT else interval, rank)


def _difference(study: Study, runs: pd.DataFrame, candidate: Variant, reference: Variant) -> tuple[str, str, str]:
    """Return candidate minus reference as text, its interval (empty where there is none), and its seeds."""
    found = paired(runs[runs["state"] == "done"], study.metric, candidate.name, reference.name).estimate
    scale = numbers.scale_of(study.metric)
    decimals = numbers.digits(scale, [found.half_width])
    interval = numbers.interval(found.low, found.high, scale, decimals, signed=True)
    return (
        numbers.difference(found.mean, scale, decimals),
        "" if interval == numbers.ABSENT else interval,
        str(found.n),
    )


def _ranks(means: list[float], maximise: bool) -> list[int]:
    """Return each one's place from 1; those alike share theirs."""
    return [1 + sum(other > mean if maximise else other < mean for other in means) for mean in means]


def _flips(study: Study, runs: pd.DataFrame, pairs: list[tuple[Variant, Variant]], ranks: list[list[int]]) -> list[str]:
    """Tell of each pair of variants that changes order how far apart the two are with both settings."""
    found = []
    for (i, one), (j, other) in combinations(enumerate(pairs), 2):
        if (ranks[0][i] - ranks[0][j]) * (ranks[1][i] - ranks[1][j]) >= 0:
            continue
        first, second = (one, other) if ranks[0][i] < ranks[0][j] else (other, one)
        apart = [_with_interval(*_difference(study, runs, second[side], first[side])[:2]) for side in (0, 1)]
        found.append(
            f"{second[0].name} overtakes {first[0].name}: its difference to it is {apart[0]} by default "
            f"and {apart[1]} tuned."
        )
    return found


def _with_interval(difference: str, interval: str) -> str:
    return f"{difference} ({interval})" if interval else difference


def _ranking(pairs: list[tuple[Variant, Variant]], flips: list[str]) -> str:
    if len(pairs) < 2:
        return "Whether tuning changes the ranking takes two variants with results for both settings."
    if not flips:
        return f"The ranking does not flip: the {len(pairs)} variants have the same order by default and tuned."
    return f"The ranking flips: tuning changes the order of {len(flips)} pair{'s' * (len(flips) != 1)} of variants."


def _notes(rows: list[SideRow], ranked: list[str]) -> tuple[str, ...]:
    notes = ["Differences are tuned minus default, seed by seed."]
    if any(row.interval for row in rows):
        notes.append(
            f"Intervals are Student’s t, with 95{numbers.NBSP}% coverage, for one comparison at a time. "
            "One that holds 0 leaves the order of the two open."
        )
    else:
        notes.append("Fewer than two seeds have a result for both settings, which gives no interval.")
    if without := [row.name for row in rows if row.name not in ranked]:
        notes.append(f"Not ranked, since results of one or both are absent: {listing(without)}.")
    return tuple(notes)
