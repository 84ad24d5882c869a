"""How much runs of a study can be expected to differ from seed to seed: by its results, others', or a guess."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ..errors import counted
from ..stats.spread import pooled_spread, spread_within_folds
from ..store.studies import list_studies

if TYPE_CHECKING:
    from collections.abc import Container, Hashable

    from ..store.store import Store
    from ..study.spec import Study
    from .plan import Plan
    from .study import LoadedStudy

LEAST = 2
"""Degrees of freedom that an expectation takes at least: two runs of one variant may agree by chance."""
MOST_READ = 300
"""At most so many results are read, so that a plan takes no longer in a large store."""


@dataclass(frozen=True)
class Spread:
    """The standard deviation of a study's metric from seed to seed, in the unit of data.

    source: what it is known by.
    """

    value: float
    source: str


def expected_spread(study: LoadedStudy, plan: Plan) -> Spread | None:
    """Return how much runs of a study differ from seed to seed, or None where nothing says it.

    Its own stored runs say it best, then those of other studies in the store on the same dataset and metric, then what
    the study states as `[compare] spread`. A pilot has one seed and says nothing.
    """
    written, home = study.study, study.home
    own = {run.spec.key: run.spec.variant for run in plan.runs if run.state == "stored"}
    stated = written.comparing.spread
    guess = Spread(stated, "the study's own guess") if stated is not None else None
    if written.folds:  # of which nothing but their own runs says how alike variants are on them
        return _of_folds(home, written.metric, plan) or guess
    return (
        _of(home, written.metric, own, "stored run")
        or _of(home, written.metric, _others(home, written, own), "other stored run", " on this dataset")
        or guess
    )


def _of(home: Store, metric: str, keys: Mapping[str, Hashable], runs: str, where: str = "") -> Spread | None:
    """Return what stored runs say. keys: of what each run is one more seed. runs, where: how they are called."""
    values: dict[Hashable, list[float]] = defaultdict(list)
    for key, variant in islice(keys.items(), MOST_READ):
        value = (home.run(key).result() or {}).get(metric)
        if isinstance(value, float):
            values[variant].append(value)
    found = pooled_spread(values.values())
    if found is None or found[1] < LEAST:
        return None
    told = counted(sum(len(one) for one in values.values() if len(one) > 1), runs)
    return Spread(found[0], told + where)


def _of_folds(home: Store, metric: str, plan: Plan) -> Spread | None:
    """Return what stored runs of a study with folds say, without what a fold does to all variants alike."""
    values: dict[str, dict[int, float]] = defaultdict(dict)
    for run in islice((run.spec for run in plan.runs if run.state == "stored"), MOST_READ):
        value = (home.run(run.key).result() or {}).get(metric)
        if isinstance(value, float):
            values[run.variant][run.seed] = value
    found = spread_within_folds(values.values())
    if found is None or found[1] < LEAST:
        return None
    return Spread(found[0], counted(sum(map(len, values.values())), "stored run"))


def _others(home: Store, study: Study, own: Container[str]) -> dict[str, Hashable]:
    """Return the runs of other studies on one of the same datasets, those that were run last first.

    Runs of cross-validation are none: they differ by what each fold tests, too.
    """
    datasets, found = {variant.recipe.dataset.use for variant in study.variants}, dict[str, "Hashable"]()
    for record in sorted(list_studies(home), key=lambda record: record.time, reverse=True):
        near = {d for d, recipe in record.recipes.items() if _dataset(recipe) in datasets and not _folds(recipe)}
        found |= {row.key: (record.name, row.digest) for row in record.rows if row.digest in near}
    return {key: of for key, of in found.items() if key not in own}


def _folds(recipe: object) -> bool:
    part = recipe.get("splits") if isinstance(recipe, Mapping) else None
    return isinstance(part, dict) and bool(part.get("folds"))


def _dataset(recipe: object) -> object:
    part = recipe.get("dataset") if isinstance(recipe, Mapping) else None
    return part.get("use") if isinstance(part, dict) else None
