"""What is said of a study over several datasets: the facts of its page, as numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..stats.over_datasets import FEWEST_FOR_RANKS
from .content import PILOT
from .references import Reference, references
from .sections import paragraphs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..metrics import Metric
    from ..stats.comparison import Comparison
    from ..stats.estimates import Estimate
    from ..stats.iqm import IqmEstimate
    from ..stats.over_datasets import Over, OverDatasets, Unlike
    from ..stats.ranks import Ranks
    from .content import Records


@dataclass(frozen=True)
class DatasetPart:
    """One dataset of the study. study: the ordinary study on it, "" where it was not run. made: its newest result.

    done, planned: how many of its runs have a result, and how many there are to be. serious: how many of its study's
    findings are that.
    """

    dataset: str
    study: str = ""
    data: tuple[str, ...] = ()
    done: int = 0
    planned: int = 0
    made: str = ""
    environments: tuple[str, ...] = ()
    serious: int = 0


@dataclass(frozen=True)
class Cell:
    """A variant on one dataset: its mean, and what it is compared with first; None where there is none of these."""

    dataset: str
    mean: Estimate
    compared: Comparison | None
    done: int
    planned: int


@dataclass(frozen=True)
class GridRow:
    """A variant on every dataset. index: its place, which decides its colour. cells: None where it was not planned.

    reference: what it is compared with first. mean: over all datasets of the study, None where one lacks a result or
    the metric has no common scale. over: the comparison with `reference` over all datasets.
    """

    variant: str
    index: int
    reference: str
    cells: tuple[Cell | None, ...]
    mean: float | None
    over: OverDatasets | None


@dataclass(frozen=True)
class OverReport:
    """All that the report of a study over several datasets says, and that its figures are drawn from.

    datasets: one each, in the order of the study, also of those that were not run. one_scale: values of the metric on
    different datasets can be averaged. ranks: None where there are too few datasets or variants; iqms alike, by
    variant. folds: runs are those of cross-validation. unlike: in which variants are not the same on all datasets.
    commands: what makes its runs and the report again, as typed.
    """

    name: str
    title: str
    label: str
    note: tuple[str, ...]
    pilot: str
    metric: Metric
    one_scale: bool
    margin: float | None
    datasets: tuple[DatasetPart, ...]
    rows: tuple[GridRow, ...]
    comparisons: tuple[OverDatasets, ...]
    ranks: Ranks | None
    iqms: Mapping[str, IqmEstimate]
    references: tuple[Reference, ...]
    folds: bool = False
    unlike: tuple[Unlike, ...] = ()
    commands: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the datasets."""
        return tuple(part.dataset for part in self.datasets)

    @property
    def means(self) -> tuple[Comparison, ...]:
        """Return the mean of each comparison over datasets; none without a common scale."""
        return tuple(one.mean for one in self.comparisons if one.mean is not None)

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the datasets that nothing has been run on."""
        return tuple(part.dataset for part in self.datasets if not part.study)

    @property
    def made(self) -> str:
        """Return when the newest result was, in UTC; empty without any."""
        return max(part.made for part in self.datasets)


def over_report(name: str, found: Over, records: Mapping[str, Records], commands: tuple[str, ...] = ()) -> OverReport:
    """Return what a report of a study over datasets says. records: of each dataset that was run, by name."""
    study = found.first.study
    used = [results.study.variants[0].recipe.dataset.use for results in found.parts.values() if results.study.images]
    return OverReport(
        name=name,
        title=study.title.removesuffix(suffix) if study.title.endswith(suffix := f": {next(iter(records))}") else name,
        label=study.label,
        note=paragraphs(study.note),
        pilot=PILOT if study.pilot else "",
        metric=found.metric,
        one_scale=found.one_scale,
        margin=study.margin_on(found.metric),
        datasets=tuple(_part(dataset, records.get(dataset)) for dataset in found.datasets),
        rows=tuple(_row(found, variant, place) for place, variant in enumerate(found.variants)),
        comparisons=found.comparisons,
        ranks=found.ranks,
        iqms=found.iqms,
        references=references([*dict.fromkeys(used), *_cited(found)]),
        folds=bool(study.folds),
        unlike=found.unlike,
        commands=commands,
    )


def _part(dataset: str, records: Records | None) -> DatasetPart:
    if records is None:
        return DatasetPart(dataset)
    results = records.results
    return DatasetPart(
        dataset=dataset,
        study=results.study.name,
        data=tuple(results.study.described_data()),
        done=len(results.stored),
        planned=len(results.runs),
        made=records.made,
        environments=records.environments,
        serious=sum(one.level == "serious" and not one.waived for one in records.findings),
    )


def _row(found: Over, variant: str, place: int) -> GridRow:
    cells: list[Cell | None] = []
    values = []
    for dataset in found.datasets:
        results = found.parts.get(dataset)
        if results is None or variant not in results.states:
            cells.append(None)
            continue
        reference = results.reference(variant)
        compared = results.comparison(variant, reference) if reference else None
        mean, states = results.estimate(variant), results.states[variant]
        cells.append(Cell(dataset, mean, compared, states["stored"], sum(states.values())))
        values.append(mean.mean)
    whole = found.one_scale and len(values) == len(found.datasets) and all(map(math.isfinite, values))
    references_ = [reference for results in found.parts.values() if variant in results.states
                   and (reference := results.reference(variant))]  # fmt: skip
    reference = references_[0] if references_ else ""
    over = next((one for one in found.comparisons if (one.candidate, one.reference) == (variant, reference)), None)
    return GridRow(variant, place, reference, tuple(cells), math.fsum(values) / len(values) if whole else None, over)


def _cited(found: Over) -> list[str]:
    """Return what the comparisons over datasets rest on, by the names of `references.ENTRIES`."""
    tested = [one for one in found.comparisons if one.mean and one.mean.p is not None]
    several = len(found.comparisons) > 1
    return [
        *(["t"] if tested else []),
        *(["holm"] if several and (tested or any(one.p_signs is not None for one in found.comparisons)) else []),
        *(["demsar"] if len(found.parts) >= FEWEST_FOR_RANKS else []),
        *(["wilcoxon"] if any(one.p_ranks is not None for one in found.comparisons) else []),
        *(["friedman", "nemenyi"] if found.ranks else []),
        *(["iqm", "rao-wu"] if found.iqms else []),
    ]
