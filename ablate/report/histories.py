"""What each variant measured epoch by epoch: the numbers behind every curve.

Only stored runs enter, so that a mean is of the same runs at every epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..stats.series import Series, series_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..stats.results import Results
    from ..study.spec import Study, Variant

BESIDE = ("lr", "seconds")
"""What is kept of each epoch beside the metrics: the learning rate of its last step, and how long training took."""


@dataclass(frozen=True)
class VariantHistory:
    """The epochs of one variant.

    index: its place in the study, which decides its colour. epochs: how many it trains for. done: how many of its runs
    are. reported: what someone else reported of it after the last epoch, by metric; empty in a pilot, whose last epoch
    is not the one they are of. series: by name of a metric, and "lr" and "seconds"; without those that no epoch has.
    ends: each seed with what its run ended at, on the metric that the study compares; without what is not finite.
    """

    variant: str
    index: int
    epochs: int
    done: int
    reported: Mapping[str, float]
    series: Mapping[str, Series]
    ends: tuple[tuple[int, float], ...]


def histories(results: Results) -> tuple[VariantHistory, ...]:
    """Return the history of each variant, in the order of the study."""
    measured = [name for name in (*results.study.trained, *BESIDE) if name in results.epochs]
    # Not pivot_table, which would average a seed that is there twice and say nothing.
    wide = results.epochs.pivot(index="epoch", columns=["variant", "seed"], values=measured)
    epochs = [int(epoch) for epoch in wide.index]
    places: dict[object, int] = {column: place for place, column in enumerate(wide.columns.to_list())}
    every = wide.to_numpy(dtype=np.float64)
    found = []
    for index, variant in enumerate(results.study.variants):
        seeds = sorted(results.stored_of(variant.name))
        series = {}
        for name in measured:
            there = [seed for seed in seeds if (name, variant.name, seed) in places]
            values = every[:, [places[name, variant.name, seed] for seed in there]]
            series[name] = series_of(epochs, there, values)
        known = {name: one for name, one in series.items() if one.epochs}
        runs = results.stored_of(variant.name)
        ends = tuple((seed, float(runs[seed][results.study.metric])) for seed in seeds)
        found.append(
            VariantHistory(
                variant=variant.name,
                index=index,
                epochs=variant.recipe.epochs,
                done=len(seeds),
                reported=dict(_reported(results.study, variant)),
                series=known,
                ends=tuple((seed, value) for seed, value in ends if math.isfinite(value)),
            )
        )
    return tuple(found)


def _reported(study: Study, variant: Variant) -> Iterator[tuple[str, float]]:
    for name, number in ({} if study.pilot else study.quoted(variant)).items():
        if math.isfinite(number):
            yield name, number
