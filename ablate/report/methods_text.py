"""How a study was made, in sentences that can go into a paper; and accuracy against cost in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import numbers
from ..errors import counted, listing
from ..numbers import NBSP
from .image_text import by_one
from .verdict_text import METHODS, cross_validation

if TYPE_CHECKING:
    from ..stats.cost_fronts import CostFront, CostPoint
    from .methods import Methods

MOST_NAMED = 6


def methods_text(found: Methods) -> list[str]:
    """Return the methods of a study as paragraphs: data, training, comparisons, software."""
    return [
        text for text in (_data(found), _training(found), _tuning(found), _statistics(found), _software(found)) if text
    ]


def bibtex(found: Methods) -> str:
    """Return what to cite, as one BibTeX file."""
    return "\n\n".join(one.bibtex for one in found.references)


def cost_sentence(found: CostFront) -> str:
    """Say which variants no other one beats in the metric and in a cost, and which ones are beaten."""
    cost = f"median {found.cost.label}" if found.cost.quantity.style == "seconds" else found.cost.label
    front = listing((_point(found, point) for point in found.front), MOST_NAMED)
    beaten = [point for point in found.points if point.beaten_by]
    told = (
        f"{len(found.front)} of {counted(len(found.points), 'variant')} {'is' if len(found.front) == 1 else 'are'} "
        f"beaten by no other in mean {found.metric.label} at the same or lower {cost}: {front}."
    )
    lost = listing((f"{point.variant} (by {point.beaten_by})" for point in beaten), MOST_NAMED)
    return told + (f" Another is as good or better and costs no more: {lost}." if beaten else "")


def _point(found: CostFront, point: CostPoint) -> str:
    mean = numbers.with_unit(point.mean, found.metric.quantity)
    return f"{point.variant} ({mean}, {numbers.with_unit(point.cost, found.cost.quantity)})"


def _data(found: Methods) -> str:
    each = [one.line + (f" ({listing(one.variants, 3)})" if len(found.data) > 1 else "") for one in found.data]
    held = "" if found.validation else " No validation split was held out."
    if not each:
        cut = cross_validation(found.folds, found.repetitions) if found.folds else ""
        return f"{cut}{'; what a fold holds is up to the task.' * bool(cut)}{held}".strip()
    same = "The splits are the same for every seed and variant on the same data."
    if found.folds:
        same = f"{cross_validation(found.folds, found.repetitions)}: {_FOLDS}"
    return f"Data: {'; '.join(each)}. {same}{held}"


_FOLDS = (
    "each repetition cuts the images into folds anew, each fold is tested once by a run that is trained on the others, "
    "and the folds are the same for every variant on the same data."
)


def _training(found: Methods) -> str:
    recipe = ", ".join(f"{fact.label} {fact.value}" for fact in found.baseline if fact.label != "dataset")
    seeds = f"{counted(len(found.seeds), 'seed')} ({listing(map(str, found.seeds), 12)})"
    if found.folds:
        seeds += f", each of them a fold: seed s is fold s mod {found.folds} of repetition ⌊s / {found.folds}⌋, from 0"
    if found.looks:
        seeds = f"the first {found.looks[0]} of {seeds}, and with more where a comparison was not decided"
    was = "was" if found.done else "is to be"
    every = f"Every variant was trained with {seeds}."
    if found.done < found.planned:
        every = f"Every variant is to be trained with {seeds}: {found.done} of {found.planned} runs are done."
    if not found.images:
        return (
            f"The first variant {was} {recipe}; each other variant changes what its section lists. "
            f"{every.replace('trained', 'run')} What a seed decides is up to the task."
        )
    return (
        f"The first variant {was} trained with {recipe}; each other variant changes what its section lists. "
        f"{every} A seed decides the first weights, the order of the images, augmentation "
        "and dropout, each by a random stream of its own: all variants of one seed see the images in the same order "
        "where their data and batch size are the same."
    )


def _tuning(found: Methods) -> str:
    search = found.search
    if search is None:
        return ""
    looked, by = listing((one.label for one in search.objectives), 3), listing(search.samplers, 3)
    seeds = f"seed{'s' * (len(search.seeds) > 1)} {listing(map(str, search.seeds), 6)}"
    after = f" after {_span(search.epochs, 'epoch')}" if found.images else ""
    return (
        f"Settings of {listing(search.variants, MOST_NAMED)} were tuned with {_span(search.trials, 'trial')} each, "
        f"proposed by Optuna’s {by} sampler, for the best {looked}{after} with {seeds}."
    )


def _span(ends: tuple[int, int], noun: str) -> str:
    low, high = ends
    return counted(high, noun) if low == high else f"{low} to {counted(high, noun)}"


def _statistics(found: Methods) -> str:
    metric = found.metric
    at = "after the last epoch; no epoch is chosen by its result" if found.images else "as each run ended"
    said = [f"Variants are compared on {metric.label} {at}."]
    if not found.method:
        return said[0]
    said.append(f"Each difference has a 95{NBSP}% interval: {METHODS.get(found.method, found.method)}.")
    if found.folds:
        said.append(
            f"With J folds in all, the variance of a mean is s² (1/J + 1/{found.folds - 1}) where that of independent "
            "runs is s² / J, with J − 1 degrees of freedom: more repetitions take away the first part alone."
        )
    if found.adjusted:
        allowed = " and multiplied by a constant that allows for few runs" * (found.method == "shrinkage")
        said.append(
            f"The {found.family} comparisons are one family: p is adjusted by {found.adjusted}’s method{allowed}, "
            f"so that all together call a difference where there is none in at most {100 * found.level:g}{NBSP}% of "
            "studies; each interval is of its comparison alone."
        )
    else:
        said.append(f"A difference is called where p is below {found.level:g}.")
    if found.margin is not None:
        size = numbers.as_given(found.margin, metric.quantity)
        unit = f"{NBSP}{metric.quantity.step}" if metric.quantity.step else ""
        said.append(f"An interval within ±{size}{unit} is called no practical difference.")
    if found.looks:
        looks = listing(map(str, found.looks))
        said.append(f"Comparisons were looked at with {looks} seeds; each look spends a part of the risk.")
    if found.predicted:
        each = by_one("image" if found.images else "example")
        one = "repetition, whose folds test each image once," if found.folds else "seed"
        said.append(f"{each}, variants of one {one} are compared by McNemar’s exact test.")
    return " ".join(said)


def _software(found: Methods) -> str:
    return f"Runs were made on {'; and on '.join(found.environments)}." if found.environments else ""


FILTERS = {function.__name__: function for function in (methods_text, bibtex, cost_sentence)}
"""By the names that templates call them by."""
