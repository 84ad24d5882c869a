"""The comparison table: a row per variant, our numbers with their intervals beside the reported ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..stats.summary import Estimate, estimate
from ..study.spec import differences
from . import numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from ..study.spec import Study, Variant

Estimates = dict[str, Estimate]
"""What was measured, by variant."""


@dataclass(frozen=True)
class Column:
    """A column of numbers: `group` names the measure, `heading` the column in it, `title` both in one.

    kind: "mean", "interval" or "reported".
    """

    kind: str
    group: str
    heading: str
    title: str


@dataclass(frozen=True)
class Row:
    """One variant; `cells` stand in the order of the table's columns, and `runs` says how many gave a result."""

    anchor: str
    name: str
    model: str
    enhancements: str
    epochs: int
    cells: tuple[str, ...]
    runs: str


@dataclass(frozen=True)
class Table:
    """The comparison of all variants.

    groups: each measure with the number of its columns; `grouped` where one has more than one.
    incomplete: some runs gave no result, and the rows say how many.
    """

    label: str
    groups: tuple[tuple[str, int], ...]
    grouped: bool
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    incomplete: bool
    notes: tuple[str, ...]


def table(study: Study, runs: pd.DataFrame) -> Table:
    """Return the comparison table of a study: test loss, test accuracy, and its metric if that is neither.

    runs: the frame of `Records`; only runs that are done enter a mean.
    """
    metrics = list(dict.fromkeys(("test/loss", "test/accuracy", study.metric)))
    measured = {metric: measure(study, runs, metric) for metric in metrics}
    parts = [_measure_columns(study, metric, measured[metric]) for metric in metrics]
    columns = [column for part in parts for column, _ in part]
    values = zip(*(texts for part in parts for _, texts in part), strict=True)
    incomplete = bool((runs["state"] != "done").any())
    rows = tuple(
        Row(
            anchor=anchor(study, variant),
            name=variant.name,
            model=variant.model_label or variant.recipe.model.use,
            enhancements=enhancements(study, variant),
            epochs=variant.recipe.epochs,
            cells=row,
            runs=_runs(runs, variant.name) if incomplete else "",
        )
        for variant, row in zip(study.variants, values, strict=True)
    )
    groups = tuple((part[0][0].group, len(part)) for part in parts)
    return Table(
        label=study.label,
        groups=groups,
        grouped=any(span > 1 for _, span in groups),
        columns=tuple(columns),
        rows=rows,
        incomplete=incomplete,
        notes=_notes(measured["test/accuracy"], columns, rows),
    )


def measure(study: Study, runs: pd.DataFrame, metric: str) -> Estimates:
    """Return each variant's estimate of a metric, over its runs that are done."""
    done = runs[runs["state"] == "done"]
    return {v.name: estimate(done.loc[done["variant"] == v.name, metric].to_numpy(float)) for v in study.variants}


def anchor(study: Study, variant: Variant) -> str:
    """Return the id of a variant's section: its place, since a name may hold any sign."""
    return f"variant-{study.variants.index(variant) + 1}"


def enhancements(study: Study, variant: Variant) -> str:
    """Say what is new in a variant: in its author's words, or derived from what changed."""
    if variant.enhancements:
        return ", ".join(variant.enhancements)
    if variant.parent is None:
        return "baseline"
    changes = differences(study.variant(variant.parent).recipe, variant.recipe)
    return ", ".join(_in_words(*change) for change in changes) or "no change"


def reported(variant: Variant, metric: str) -> float | None:
    """Return what someone else reported of a test metric; None where nothing was, or for another metric."""
    split, _, kind = metric.partition("/")
    return variant.reported.get(kind) if split == "test" else None


def _in_words(factor: str, before: str, after: str) -> str:
    whole, _, part = factor.partition(".")
    if factor == "model":
        return after
    if whole == "epochs":
        return f"{after} epochs"
    if whole == "batch_size":
        return f"batch size {after}"
    if whole == "augmentation":
        use, _, setting = part.partition(".")
        if not part:
            return "augmentations in another order"
        if setting:
            return f"{use} {setting} {before} → {after}"
        return f"without {use}" if after == "none" else f"with {after}"
    return f"{whole} {part} {before} → {after}" if part else f"{whole} {after}"


def _measure_columns(study: Study, metric: str, found: Estimates) -> list[tuple[Column, list[str]]]:
    """Return the columns of one measure with their texts: mean, interval where any, reported where any."""
    scale = numbers.scale_of(metric)
    decimals = numbers.digits(scale, (e.half_width for e in found.values()))
    group = numbers.NAMES[metric].capitalize() + (f" ({scale.unit})" if scale.unit else "")
    several = any(e.n > 1 for e in found.values())
    mean = "mean" if several else "one seed" if any(e.n for e in found.values()) else "ours"
    kinds = [("mean", mean, [numbers.value(e.mean, scale, decimals) for e in found.values()])]
    if several:
        intervals = [numbers.interval(e.low, e.high, scale, decimals) for e in found.values()]
        kinds.append(("interval", f"95{numbers.NBSP}% interval", intervals))
    given = [reported(variant, metric) for variant in study.variants]
    if any(number is not None for number in given):
        kinds.append(("reported", "reported", numbers.aligned([numbers.as_given(g, scale) for g in given])))
    return [
        (Column(kind, group, heading, group if kind == "mean" else f"{group}, {heading}"), texts)
        for kind, heading, texts in kinds
    ]


def _runs(runs: pd.DataFrame, variant: str) -> str:
    states = runs.loc[runs["variant"] == variant, "state"].value_counts()
    done = int(states.get("done", 0))
    others = [f"{count}{numbers.NBSP}{state}" for state, count in states.items() if state != "done"]
    return ", ".join([f"{done} of {int(states.sum())}", *others])


def _notes(found: Mapping[str, Estimate], columns: list[Column], rows: tuple[Row, ...]) -> tuple[str, ...]:
    notes = []
    sizes = {e.n for e in found.values()} - {0}
    if not sizes:
        notes.append("No run has a result yet.")
    elif sizes == {1}:
        notes.append("One seed each gives no interval: what looks like a difference may be chance.")
    else:
        seeds = f"{min(sizes)} seeds" if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)} seeds"
        notes.append(
            f"Our numbers are means over {seeds}; the interval is Student’s t, with 95{numbers.NBSP}% coverage."
        )
    if any(column.kind == "reported" for column in columns):
        notes.append(
            "Reported numbers are those that the study quotes, with the digits it quotes; they have no interval."
        )
    absent = any(text.startswith(numbers.ABSENT) for row in rows for text in row.cells)
    if absent and sizes:
        notes.append(f"{numbers.ABSENT} stands for a number that is absent or not finite.")
    return tuple(notes)
