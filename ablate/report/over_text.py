"""What a study over several datasets comes to, in words; names and words are plain text, escaped by each form."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, get_args

from .. import numbers
from ..errors import counted, listing
from ..numbers import NBSP
from ..stats.comparison import ALPHA, Verdict
from ..stats.iqm import DRAWS, FEWEST_RUNS
from ..stats.over_datasets import FEWEST_FOR_IQM, FEWEST_FOR_RANKS, fewest_for_ranks
from . import verdict_text

if TYPE_CHECKING:
    from ..stats.comparison import Comparison
    from ..stats.over_datasets import OverDatasets
    from .over_content import Cell, GridRow, OverReport

MOST_NAMED = 6
MARKS: dict[Verdict, str] = {"helped": "▲", "hurt": "▼", "no practical difference": "=", "not decided": "?"}
"""A verdict where there is room for a sign alone; the table says what each means."""
KEY = "▲ helped, ▼ hurt, = no practical difference, ? not decided"


# --- cells of the table ------------------------------------------------------------------------------------------


def column_decimals(made: OverReport) -> list[int]:
    """Return how many decimals the means on each dataset are written with."""
    columns = [[row.cells[place] for row in made.rows] for place in range(len(made.datasets))]
    return [
        numbers.digits(made.metric.quantity, (cell.mean.half_width for cell in column if cell)) for column in columns
    ]


def cell_mean(cell: Cell | None, made: OverReport, decimals: int) -> str:
    """Write a variant's mean on a dataset with half its interval's width: "63.1 ± 0.8"."""
    if cell is None:
        return numbers.ABSENT
    quantity, half = made.metric.quantity, cell.mean.half_width
    mean = numbers.value(cell.mean.mean, quantity, decimals)
    # An interval that was cut off at a bound has no single half.
    return mean if half is None or cell.mean.cut else f"{mean}{NBSP}±{NBSP}{numbers.value(half, quantity, decimals)}"


def cell_difference(compared: Comparison | None) -> str:
    """Write a difference without its unit; empty for none."""
    bare = verdict_text.bare(compared)
    return "" if bare == numbers.ABSENT else bare


def row_mean(row: GridRow, made: OverReport) -> str:
    """Write a variant's mean over all datasets; a dash where one lacks a result, or there is no common scale."""
    return numbers.value(row.mean, made.metric.quantity)


def row_over(row: GridRow) -> str:
    """Write the mean difference over datasets; without a common scale on how many the variant is better."""
    if row.over is None:
        return ""
    if row.over.mean is not None:
        return cell_difference(row.over.mean)
    return f"better on {row.over.better} of {len(row.over.datasets)}"


# --- sentences ---------------------------------------------------------------------------------------------------


def over_sentences(made: OverReport) -> list[str]:
    """Say what the study comes to in two sentences: over all datasets, then on each of them."""
    if made.pilot:
        return ["This is a pilot: it shows that everything runs, and answers nothing."]
    known = [part.dataset for part in made.datasets if part.done]
    if not made.comparisons or not any(one.datasets for one in made.comparisons):
        return ["Nothing can be said yet: on no dataset do two variants that are compared have a result."]
    of = "the only dataset" if len(known) == 1 else f"{len(known)} datasets"
    over = f"{'On' if len(known) == 1 else 'Over'} {of} with results ({listing(known, MOST_NAMED)})"
    if made.one_scale:
        told = verdict_text.answer(made.means)
        first = f"{over}, {told[:1].lower()}{told[1:]}"
    else:
        told = "; ".join(_better(one) for one in made.comparisons[:MOST_NAMED])
        more = len(made.comparisons) - MOST_NAMED
        first = f"{over}, by {made.metric.label}: {told}{f'; and {more} more' * (more > 0)}."
    return [first, _on_each(made)]


def _better(one: OverDatasets) -> str:
    said = {"helped": ", which shows a gain", "hurt": ", which shows a loss"}.get(one.verdict, ", not decided")
    return f"{one.candidate} is better than {one.reference} on {one.better} of {len(one.datasets)}{said}"


def _on_each(made: OverReport) -> str:
    """Say in how many comparisons on single datasets what was found; by comparison, where there are few."""
    if len(made.comparisons) <= 3:
        told = [f"{one.candidate} {_counts(one)}" for one in made.comparisons if one.datasets]
        return f"Dataset by dataset, {'; '.join(told)}."
    every = Counter(of.verdict for one in made.comparisons for name, of in one.on.items() if name in one.datasets)
    told = [f"{_SAID[verdict]} in {every[verdict]}" for verdict in get_args(Verdict) if every[verdict]]
    return f"Of {counted(sum(every.values()), 'comparison')} on single datasets, a change {verdict_text.joined(told)}."


_SAID: dict[Verdict, str] = {
    "helped": "helped",
    "hurt": "hurt",
    "no practical difference": "made no practical difference",
    "not decided": "is not decided",
}


def _counts(one: OverDatasets) -> str:
    by = {verdict: [name for name in one.datasets if one.on[name].verdict == verdict] for verdict in get_args(Verdict)}
    return verdict_text.joined([f"{_SAID[verdict]} on {listing(of, MOST_NAMED)}" for verdict, of in by.items() if of])


def over_sentence(one: OverDatasets) -> str:
    """Say what a comparison comes to over all datasets, with what it rests on."""
    among = f" over {one.family} comparisons" if one.family > 1 else ""
    if one.mean is not None:
        said = [verdict_text.sentence(one.mean, "dataset")]
        said += [] if one.p_ranks is None else [f"By signed ranks, {verdict_text.p(one.p_ranks)}{among}."]
    elif one.datasets:
        p = "" if one.p_signs is None else f" (sign test, {verdict_text.p(one.p_signs)}{among})"
        told = f"{one.candidate} is" if one.verdict == "not decided" else f"{one.candidate} {one.verdict}:"
        better = f"better than {one.reference} on {one.better} of {counted(len(one.datasets), 'dataset')}"
        said = [f"{told} {better}, worse on {one.worse}{p}."]
    else:
        return f"{one.candidate} cannot be compared with {one.reference} yet: no dataset has a result for both."
    signs = {of.verdict for of in one.on.values()}
    if {"helped", "hurt"} <= signs:
        said.append(f"It is not the same everywhere: it {_counts(one)}.")
    if one.without:
        said.append(f"Without a result on both sides, and left out: {listing(one.without, MOST_NAMED)}.")
    return " ".join(said)


def over_terms(made: OverReport) -> str:
    """Say on what terms verdicts over datasets stand."""
    family = len(made.comparisons)
    together = f"The {family} comparisons together call" if family > 1 else "It calls"
    risk = f"{together} a difference where there is none in at most 5{NBSP}% of studies"
    if not made.one_scale:
        return (
            f"Values of {made.metric.label} on different datasets are on no common scale, so none are averaged: what "
            f"counts is on how many datasets a variant is better, by the sign test. {risk}.{_out_of_reach(made)}"
            if any(one.p_signs is not None for one in made.comparisons)
            else f"Values of {made.metric.label} on different datasets are on no common scale, so none are averaged, "
            f"and with fewer than {FEWEST_FOR_RANKS} datasets no count of them can be below {ALPHA:g}."
        )
    tested = [one for one in made.means if one.p is not None]
    if not tested:
        if any(one.n > 1 for one in made.means):
            return "Differences that are the same on every dataset give no interval over datasets."
        return "One dataset gives no interval over datasets."
    within = f" An interval within ±{verdict_text.margin(tested[0])} means no practical difference." * bool(
        tested[0].margin
    )
    return (
        f"Over all, a difference is the mean of those on each dataset, every dataset of one weight; its 95{NBSP}% t "
        f"interval is from how much they differ between datasets, and so is of datasets like these. {risk}.{within}"
        f"{_out_of_reach(made)}"
    )


def _out_of_reach(made: OverReport) -> str:
    """Say where p of ranks and signs, adjusted over all comparisons, cannot decide any of them."""
    family = max(one.family for one in made.comparisons)
    most = max(len(one.datasets) for one in made.comparisons)
    least = fewest_for_ranks(family)
    if not FEWEST_FOR_RANKS <= most < least:
        return ""
    return (
        f" With {most} datasets p of {'signed ranks' if made.one_scale else 'signs'}, adjusted over {family} "
        f"comparisons, is {family * 2 / 2**most:.2g} at best: it takes {least} to decide anything by it."
    )


def open_lines(made: OverReport) -> list[str]:
    """Say what keeps the answer from being whole."""
    lines = []
    run = sum(bool(part.study) for part in made.datasets)
    if made.missing:
        lines.append(f"Not run yet: {listing(made.missing, MOST_NAMED)}.")
    if made.unlike:
        other = [
            f"{one.variant} ({one.factor} {value} on {listing(on, MOST_NAMED)}, and elsewhere {one.usual})"
            for one in made.unlike
            for value, on in one.others.items()
        ]
        lines.append(
            "Variants of one name do not train alike on all datasets, so what is said over all is of different things: "
            f"{listing(other, MOST_NAMED)}. Run all datasets as the file is now, or take some with --dataset."
        )
    unfinished = [f"{part.dataset} ({part.done} of {part.planned})" for part in made.datasets
                  if part.study and part.done < part.planned]  # fmt: skip
    if unfinished:
        lines.append(f"Runs done of those planned: {listing(unfinished, MOST_NAMED)}.")
    if 2 <= run <= 3 and made.one_scale and not made.pilot:
        lines.append(
            f"{counted(run, 'dataset')} are a small sample of datasets: an interval over them is wide, and holds "
            "as far as differences on other datasets are spread as a normal distribution would have it."
        )
    return lines


def why_no_ranks(made: OverReport) -> str:
    """Say why there are no average ranks and signed-rank tests; empty where there are."""
    if made.ranks or made.pilot:
        return ""
    count = sum(bool(part.done) for part in made.datasets)
    if count < FEWEST_FOR_RANKS:
        return (
            f"There are no ranks: with {counted(count, 'dataset')} no test of ranks can be below {ALPHA:g}. Where all "
            f"of n datasets agree, two-sided p of the signed-rank test is 2/2ⁿ, {2 / 2**5:g} of 5 and {2 / 2**6:g} of "
            f"{FEWEST_FOR_RANKS}."
        )
    if len(made.rows) < 3:
        test = "signed-rank" if made.one_scale else "sign"
        return f"Of two variants the {test} test says what average ranks would."
    return f"There are no average ranks: fewer than {FEWEST_FOR_RANKS} datasets have a result of every variant."


def ranks_text(made: OverReport) -> str:
    """Say what the average ranks come to; empty where there are none."""
    found = made.ranks
    if found is None:
        return ""
    ordered = sorted(zip(found.mean, found.variants, strict=True))
    told = listing((f"{name} {mean:.2f}" for mean, name in ordered), 12)
    differ = found.p < ALPHA
    pairs = [
        f"{better} before {worse}"
        for at, (low, better) in enumerate(ordered)
        for high, worse in ordered[at + 1 :]
        if high - low > found.critical_difference
    ]
    what = (
        f"; further apart than that: {listing(pairs, MOST_NAMED)}" if pairs else "; no two are further apart than that"
    )
    f = "∞" if math.isinf(found.f) else f"{found.f:.2f}"
    return (
        f"Average ranks over {len(found.datasets)} datasets, 1 the best: {told}. Friedman’s test in the form of Iman "
        f"and Davenport {'finds' if differ else 'does not find'} that variants rank differently (F({found.df[0]}, "
        f"{found.df[1]}) = {f}, {verdict_text.p(found.p)}). Nemenyi’s critical difference is "
        f"{found.critical_difference:.2f}{what}."
    )


def iqm_text(made: OverReport) -> str:
    """Say what the interquartile means are; why there are none, where that is so."""
    if made.pilot or not made.one_scale:
        return ""
    if made.folds:
        return "There are no interquartile means: the folds of a cross-validation are no independent runs."
    if not made.iqms:
        return (
            f"Interquartile means take {FEWEST_FOR_IQM} datasets with {FEWEST_RUNS} runs of every variant on each; of "
            "fewer, the middle half of all runs is that of one or two datasets."
        )
    one = next(iter(made.iqms.values()))
    return (
        f"The mean of the middle half of all runs on {one.datasets} datasets, with a 95{NBSP}% interval of a bootstrap "
        f"that draws runs within each dataset ({DRAWS:,} times, one run fewer than there are). It is of these datasets "
        "and other seeds: it does not say what other datasets would give."
    )


def iqm_rows(made: OverReport) -> list[tuple[str, str, str]]:
    """Return each variant with its interquartile mean and the interval."""
    quantity = made.metric.quantity
    decimals = numbers.digits(quantity, ((one.high - one.low) / 2 for one in made.iqms.values()))
    return [
        (name, numbers.value(one.mean, quantity, decimals), numbers.ends(one.low, one.high, quantity, decimals))
        for name, one in made.iqms.items()
    ]


def over_methods(made: OverReport) -> list[str]:
    """Return how variants were compared over datasets, as paragraphs for a paper."""
    known = [part for part in made.datasets if part.study]
    data = "; ".join(dict.fromkeys(line for part in known for line in part.data))
    metric = made.metric.label
    said = [f"Each variant was run on each of {len(known)} datasets as in a study of its own ({data})." if data else
            f"Each variant was run on each of {len(known)} datasets as in a study of its own."]  # fmt: skip
    said[0] += " Differences on one dataset, their intervals and verdicts are those of its own report."
    if not made.pilot:
        family = len(made.comparisons)
        holm = f" p is adjusted by Holm’s method over the {family} comparisons." * (family > 1)
        said.append(f"Variants are compared on {metric}. {over_terms(made)}{holm}")
        said += [text for text in (ranks_text(made) or why_no_ranks(made), iqm_text(made)) if text]
    return said


def cells_note(made: OverReport) -> str:
    """Say how the cells of the grid are read."""
    unit = made.metric.quantity.step
    return (
        f"A cell has the mean with half of its 95{NBSP}% interval"
        f"{', where that is not cut off at a bound' * bool(made.one_scale)}, and below it the difference to what the "
        f"variant is compared with{f', in {unit}' if unit else ''}: {KEY}."
    )
