"""How a study was made, as facts for the methods section of a paper and for whoever makes it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..stats.comparison import ALPHA
from ..stats.estimates import SPARSE
from ..stats.tunings import tuned_now
from ..study.spec import parts
from .references import Reference, references
from .sections import settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..metrics import Metric
    from ..stats.results import Results
    from .facts import Fact


CITED: Mapping[str, tuple[str, ...]] = {
    "paired": ("t",),
    "pooled": ("t",),
    "welch": ("welch",),
    "moderated": ("moderated",),
    "shrinkage": ("t", "satterthwaite"),
    "corrected": ("folds", "repeated-folds"),
}
"""What each method of comparing rests on, by the names of `references.ENTRIES`."""


@dataclass(frozen=True)
class DataUse:
    """One dataset as it was cut. line: its splits in words; variants: which train on it."""

    line: str
    variants: tuple[str, ...]


@dataclass(frozen=True)
class Search:
    """How settings were tuned.

    variants: those that were. trials: the fewest and the most that one of them had. samplers: what proposed settings.
    objectives: what was looked for, the first of each decides. epochs: of a trial, the fewest and the most. seed: of
    the trials of each.
    """

    variants: tuple[str, ...]
    trials: tuple[int, int]
    samplers: tuple[str, ...]
    objectives: tuple[Metric, ...]
    epochs: tuple[int, int]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class RunFact:
    """One run: what it is of, its key (under which the store has it), its state and how many seconds it trained."""

    variant: str
    seed: int
    key: str
    state: str
    seconds: float | None


@dataclass(frozen=True)
class Methods:
    """How variants were trained and compared.

    data: as it was cut. baseline: the whole recipe of the variant that no other one precedes. seeds, looks: as of the
    study. done, planned: runs that have been trained, and all. validation: a validation split was held out. metric:
    what variants are compared on, after the last epoch. method: how they are compared, and family: how many of these
    comparisons share the risk of a false alarm (level, over all of them); adjusted: by whom, "Holm" or "Dunnett", empty
    for a single one. margin: a difference within it does not matter; None where nobody said. search: how settings were
    tuned, None where none were. predicted: variants are compared image by image too. environments: what runs were
    trained on, one line each. references: what to cite. folds: of cross-validation, None without; each seed is one.
    """

    data: tuple[DataUse, ...]
    baseline: tuple[Fact, ...]
    seeds: tuple[int, ...]
    looks: tuple[int, ...]
    done: int
    planned: int
    validation: bool
    metric: Metric
    method: str
    family: int
    level: float
    adjusted: str
    margin: float | None
    search: Search | None
    predicted: bool
    environments: tuple[str, ...]
    references: tuple[Reference, ...]
    folds: int | None = field(default=None, metadata=SPARSE)

    @property
    def repetitions(self) -> int:
        """Return how many times all folds are trained; 1 without folds."""
        return len(self.seeds) // self.folds if self.folds else 1

    @property
    def images(self) -> bool:
        """Tell whether image classifiers were trained."""
        return self.baseline[0].label != "task"


@dataclass(frozen=True)
class Provenance:
    """What a report rests on. runs: every one that was planned. sources: user code by file, each with a hash of it.

    git: the state of the study file's repository when it was run last, empty where none was recorded.
    """

    runs: tuple[RunFact, ...]
    sources: tuple[tuple[str, str], ...]
    git: str


def methods(results: Results, environments: Sequence[str]) -> Methods:
    """Return how a study's variants were trained and compared."""
    study, found = results.study, results.comparisons
    tested = [one for one in found if one.p is not None]
    method, family = (tested[0].method, tested[0].family) if tested else ("", 0)
    dunnett = method == "pooled" and len({one.reference for one in tested}) == 1
    adjusted = "" if family < 2 else "Dunnett" if dunnett else "Holm"
    predicted = any(results.image_comparison(one.candidate, one.reference) for one in found)
    first = next(variant for variant in study.variants if variant.parent is None)
    uses = dict.fromkeys(choice.use for variant in study.variants for _, choice in parts(variant.recipe))
    names = [
        *dict.fromkeys(variant.recipe.dataset.use for variant in study.variants if variant.recipe.images),
        *(["torch"] if study.images else []),
        *(library for library in ("torchvision", "timm") if any(use.startswith(f"{library}:") for use in uses)),
        *(["optuna"] if tuned_now(study, results.tunings) else []),
        *CITED.get(method, ()),
        *([adjusted.lower()] if adjusted else []),
        *(["spending"] if study.looks else []),
        *(["mcnemar"] if predicted else []),
        *(["shapley"] if results.shapley else []),
    ]  # fmt: skip
    cut = study.described_data()
    return Methods(
        data=tuple(DataUse(line, tuple(variants)) for line, variants in cut.items()),
        baseline=settings(first.recipe),
        seeds=study.seeds,
        looks=study.looks,
        done=len(results.stored),
        planned=len(results.runs),
        validation=not study.images or any(variant.recipe.splits.validation for variant in study.variants),
        metric=study.compared,
        method=method,
        family=family,
        level=ALPHA,
        adjusted=adjusted,
        margin=study.margin_on(study.compared),
        search=_search(results),
        predicted=predicted,
        environments=tuple(environments),
        references=references(names),
        folds=study.folds,
    )


def _search(results: Results) -> Search | None:
    found = tuned_now(results.study, results.tunings)
    if not found:
        return None
    trials, epochs = [len(one.distinct) for one in found], [one.epochs for one in found]
    return Search(
        variants=tuple(one.variant for one in found),
        trials=(min(trials), max(trials)),
        samplers=tuple(dict.fromkeys(one.sampler for one in found)),
        objectives=tuple(dict.fromkeys(one.objective for one in found)),
        epochs=(min(epochs), max(epochs)),
        seeds=tuple(dict.fromkeys(one.seed for one in found)),
    )


def provenance(results: Results, sources: Sequence[tuple[str, str]], git: str) -> Provenance:
    """Return what a report of these results rests on."""
    rows = results.runs.to_dict("records")
    return Provenance(
        tuple(
            RunFact(
                str(row["variant"]),
                int(row["seed"]),
                str(row["key"] or ""),
                str(row["state"]),
                float(row["seconds"]) if row["seconds"] == row["seconds"] else None,  # not nan
            )
            for row in rows
        ),
        tuple(sources),
        git,
    )
