"""A section per variant: what changed, what it did to the metric, and what its author says."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import listing
from ..stats.summary import paired
from ..study.check import changed_factors
from ..study.spec import NUMBERS, differences, text_of
from . import numbers
from .table import anchor, measure, reported

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from ..stats.summary import Difference
    from ..study.spec import Recipe, Study, Variant


@dataclass(frozen=True)
class Fact:
    """A labelled value; `detail` is what belongs beside it in smaller print."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Comparison:
    """A variant against the one it comes from.

    difference: with its sign and unit. interval: empty where there is none. basis: what the difference rests on.
    per_seed: each seed's own difference, where there is more than one. cautions: what limits its reading.
    """

    metric: str
    reference: str
    difference: str
    interval: str
    basis: str
    per_seed: tuple[Fact, ...]
    cautions: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """What there is to say of one variant.

    parent: empty for a baseline, which has `settings` (its whole recipe) and no comparison.
    changes: (factor, before, after). reported: differences between numbers that someone else reported.
    note: the author's words, a paragraph each.
    """

    anchor: str
    name: str
    model: str
    parent: str
    settings: tuple[Fact, ...]
    changes: tuple[tuple[str, str, str], ...]
    comparison: Comparison | None
    reported: tuple[Fact, ...]
    finals: tuple[Fact, ...]
    note: tuple[str, ...]


def sections(study: Study, runs: pd.DataFrame) -> tuple[Section, ...]:
    """Return a section for each variant, in the order of the study; `runs` is the frame of `Records`."""
    return tuple(_section(study, variant, runs) for variant in study.variants)


def paragraphs(text: str) -> tuple[str, ...]:
    """Split an author's text at its empty lines, and join the lines within each part."""
    return tuple(" ".join(part.split("\n")).strip() for part in re.split(r"\n\s*\n", text.strip()) if part.strip())


def settings(recipe: Recipe) -> tuple[Fact, ...]:
    """List a whole recipe."""
    splits = ((part, getattr(recipe.splits, part)) for part in ("train", "validation", "test"))
    held = ", ".join(f"{part} {size:g}" for part, size in splits if size is not None)
    return (
        Fact("dataset", text_of(recipe.dataset), held),
        Fact("model", text_of(recipe.model)),
        Fact("augmentation", ", ".join(map(text_of, recipe.augmentation)) or "none"),
        Fact("optimizer", text_of(recipe.optimizer)),
        Fact("scheduler", text_of(recipe.scheduler)),
        Fact("epochs", str(recipe.epochs)),
        Fact("batch size", str(recipe.batch_size)),
        *(Fact(name.replace("_", " "), str(value).lower()) for name, value in _extras(recipe)),
    )


def _extras(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    """Yield the values that a recipe need not have where they are not the default; precision always."""
    for name in NUMBERS[2:]:
        value, usual = getattr(recipe, name), getattr(type(recipe), name)
        if name == "precision" or value != usual:
            yield name, value


def _section(study: Study, variant: Variant, runs: pd.DataFrame) -> Section:
    parent = study.variant(variant.parent) if variant.parent is not None else None
    changes = differences(parent.recipe, variant.recipe) if parent else []
    return Section(
        anchor=anchor(study, variant),
        name=variant.name,
        model=variant.model_label or variant.recipe.model.use,
        parent=parent.name if parent else "",
        settings=() if parent else settings(variant.recipe),
        changes=tuple((_factor(factor), before, after) for factor, before, after in changes),
        comparison=_comparison(study, variant, parent, runs) if parent else None,
        reported=_reported(variant, parent) if parent else (),
        finals=_finals(study, variant, runs),
        note=paragraphs(variant.note),
    )


def _comparison(study: Study, variant: Variant, parent: Variant, runs: pd.DataFrame) -> Comparison:
    found = paired(runs[runs["state"] == "done"], study.metric, variant.name, parent.name)
    scale, result = numbers.scale_of(study.metric), found.estimate
    decimals = numbers.digits(scale, [result.half_width])
    interval = numbers.interval(result.low, result.high, scale, decimals, signed=True)
    each = tuple(
        Fact(f"seed{numbers.NBSP}{seed}", numbers.fixed(value * scale.factor, scale.plain, signed=True))
        for seed, value in zip(found.seeds, found.per_seed, strict=True)
    )
    return Comparison(
        metric=numbers.NAMES[study.metric],
        reference=parent.name,
        difference=numbers.difference(result.mean, scale, decimals),
        interval="" if interval == numbers.ABSENT else interval,
        basis=_basis(result.n),
        per_seed=each if result.n > 1 else (),
        cautions=_cautions(found, changed_factors(study, variant)),
    )


def _basis(pairs: int) -> str:
    if pairs == 0:
        return "no seed has a result for both"
    return "one seed, which gives no interval" if pairs == 1 else f"{pairs} seeds, paired"


def _cautions(found: Difference, factors: list[str]) -> tuple[str, ...]:
    if not found.seeds:
        return ()
    cautions = []
    if found.left_out:
        seeds = listing(map(str, found.left_out))
        cautions.append(f"Only one of the two has a result for seed {seeds}, which is left out.")
    if not factors:
        cautions.append("The two recipes are the same.")
    elif len(factors) > 1:
        cautions.append(f"The difference belongs to {len(factors)} changed factors together.")
    return tuple(cautions)


def _reported(variant: Variant, parent: Variant) -> tuple[Fact, ...]:
    facts = []
    for metric in ("test/accuracy", "test/loss"):
        old, new = reported(parent, metric), reported(variant, metric)
        if old is None or new is None or not math.isfinite(old + new):
            continue
        scale = numbers.scale_of(metric)
        decimals = max(numbers.decimals_given(old, scale), numbers.decimals_given(new, scale))
        unit = numbers.NBSP + scale.unit if scale.unit else ""
        ends = f"{numbers.as_given(old, scale)} → {numbers.as_given(new, scale)}{unit}"
        facts.append(Fact(numbers.NAMES[metric], numbers.difference(new - old, scale, decimals), ends))
    return tuple(facts)


def _finals(study: Study, variant: Variant, runs: pd.DataFrame) -> tuple[Fact, ...]:
    """Return the last epoch's metrics, and what a run took; what no run has is left out."""
    facts = []
    for metric, name in numbers.NAMES.items():
        everyone, scale = measure(study, runs, metric), numbers.scale_of(metric)
        found = everyone[variant.name]
        if math.isnan(found.mean):
            continue
        decimals = numbers.digits(scale, (e.half_width for e in everyone.values()))  # as in the table
        unit = numbers.NBSP + scale.unit if scale.unit else ""
        interval = numbers.interval(found.low, found.high, scale, decimals)
        value = numbers.value(found.mean, scale, decimals) + unit
        facts.append(Fact(name, value, "" if interval == numbers.ABSENT else interval))
    mine = runs[(runs["variant"] == variant.name) & (runs["state"] == "done")]
    for label, column, write in (
        ("parameters", "parameters", numbers.count),
        ("time a run", "seconds", numbers.duration),
    ):
        text = write(float(mine[column].mean()))
        if text != numbers.ABSENT:
            facts.append(Fact(label, text, _dead(mine) if column == "parameters" else ""))
    return tuple(facts)


def _dead(runs: pd.DataFrame) -> str:
    """Say how much of a model never meets a pixel, where that is worth saying."""
    share = float(runs["dead_weights"].mean() / runs["parameters"].mean())
    return f"{share:.0%} of them never meet a pixel".replace("%", f"{numbers.NBSP}%") if share >= 0.01 else ""


def _factor(name: str) -> str:
    """Write a factor as read: `optimizer.lr` as "optimizer: lr"."""
    return name.replace("_", " ") if name in NUMBERS else name.replace(".", ": ", 1)
