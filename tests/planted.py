"""Results that are planted: what runs would have stored had they been trained, as frames or in a store."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ablate.execute.jobs import EpochDone, Finished, RehearsalReport, Started, never
from ablate.execute.placement import Placement, Resources
from ablate.launch.record import make_writable, record
from ablate.metrics import METRICS
from ablate.stats.results import Results
from ablate.store.run_frames import EPOCH_COLUMNS, RUN_COLUMNS
from ablate.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from ablate.execute.jobs import Job, OnEvent, Stopping
    from ablate.launch.study import LoadedStudy
    from ablate.study.spec import RunSpec, Study

    Draw = Callable[[str, int, int], Sequence[Mapping[str, float]]]
    """Takes a variant, a seed and a number of epochs, and gives what each epoch was measured to be."""


def finals(values: Mapping[str, Sequence[float]]) -> Draw:
    """Plant these test accuracies after the last epoch, by variant and seed; the loss falls with them."""

    def draw(variant: str, seed: int, epochs: int) -> list[dict[str, float]]:
        accuracy = values[variant][seed]
        made = [accuracy * epoch / epochs for epoch in range(1, epochs + 1)]
        return [{"test/accuracy": one, "test/loss": 2 - one, "train/loss": 2 - one, "lr": 0.1} for one in made]

    return draw


def framed(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a frame whose texts may have lone surrogates, as no store has and Arrow's texts cannot."""
    with pd.option_context("mode.string_storage", "python"):
        return pd.DataFrame(rows, columns=None if columns is None else list(columns))


def planted(study: Study, draw: Draw) -> Results:
    """Return the results of a study whose every run is stored."""
    runs, epochs = [], []
    for variant in study.variants:
        for seed in study.seeds:
            history = draw(variant.name, seed, variant.recipe.epochs)
            about = {"variant": variant.name, "seed": seed}
            runs.append({**about, "key": f"{study.name} {variant.name} {seed}", "state": "stored", "reason": ""})
            runs[-1] |= _last(history)
            epochs += [{**about, **one} for one in _records(history)]
    return Results(study, framed(runs, list(RUN_COLUMNS)), framed(epochs, EPOCH_COLUMNS))


def plant(loaded: LoadedStudy, draw: Draw, seeds: Collection[int] | None = None) -> None:
    """Store a result for every run of a study, or of these seeds, as if it was just run; its data need not be there."""
    make_writable(loaded)
    for spec in loaded.specs:
        if seeds is None or spec.seed in seeds:
            _store(loaded.home, spec, draw)
    record(loaded)


class Planting:
    """An executor whose runs train nothing, and end with what was drawn for them."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw

    def check(self, resources: Resources) -> Placement:
        return Placement(1, resources.runs)

    def close(self) -> None:
        pass

    def rehearse(self, jobs: Sequence[Job]) -> RehearsalReport:
        return RehearsalReport({}, {job.spec.variant: 1000 for job in jobs})

    def run(self, jobs: Iterable[Job], on_event: OnEvent, stopping: Stopping = never) -> None:
        for job in jobs:
            if stopping():
                return
            on_event(Started(job.spec))
            for one in _store(Store(job.store), job.spec, self._draw):
                on_event(EpochDone(job.spec, one))
            on_event(Finished(job.spec, Store(job.store).run(job.spec.key).result() or {}))


def _store(home: Store, spec: RunSpec, draw: Draw) -> list[dict[str, float]]:
    """Store a run with what is drawn for it, and return its epochs."""
    history = draw(spec.variant, spec.seed, spec.recipe.epochs)
    records, folder = _records(history), home.writer(spec.key)
    with folder.lock():
        about = {"key": spec.key, "variant": spec.variant, "seed": spec.seed, "identity": spec.identity}
        folder.begin(about | {"environment": {}})
        for one in records:
            folder.append_epoch({name: None if math.isnan(value) else value for name, value in one.items()})
        folder.commit_result({name: value for name, value in _last(history).items() if not _is_nan(value)})
    return records


def _records(history: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    absent = dict.fromkeys(METRICS, math.nan)
    return [
        absent | {"epoch": epoch, "seconds": 1.0, "images_per_second": 1e3} | dict(one)
        for epoch, one in enumerate(history, 1)
    ]


def _last(history: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    last = {name: history[-1].get(name, math.nan) for name in METRICS}
    return last | {"weights": "", "parameters": math.nan, "dead_weights": math.nan, "seconds": float(len(history))}


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


# --- the report that studies/cifar100_phases.toml re-creates ---------------------------------------------------

_CURVES: dict[str, dict[str, tuple[list[int], list[float]]]] = {
    "Phase 1": {
        "train/loss": ([1, 5], [3.76, 2.43]), "test/loss": ([1, 5], [3.35, 2.49]),
        "test/accuracy": ([1, 5], [0.20, 0.3620]),
    },
    "Phase 2": {
        "train/loss": ([1, 5], [2.30, 2.30]), "test/loss": ([1, 5], [2.49, 2.48]),
        "test/accuracy": ([1, 5], [0.36, 0.36]),
    },
    "Phase 3": {
        "train/loss": ([1, 12], [2.54, 0.96]), "test/loss": ([1, 12], [2.48, 1.81]),
        "test/accuracy": ([1, 12], [0.36, 0.5468]),
    },
    "Phase 4": {
        "train/loss": ([1, 12], [4.0, 2.38]), "test/loss": ([1, 12], [3.9, 2.26]),
        "test/accuracy": ([1, 12], [0.12, 0.4067]),
    },
    "Phase 5": {
        "train/loss": ([1, 12, 20, 30], [4.0, 2.3, 2.7, 1.86]), "test/loss": ([1, 12, 20, 30], [3.9, 2.2, 2.9, 1.74]),
        "test/accuracy": ([1, 12, 20, 30], [0.1597, 0.4219, 0.2843, 0.5262]),
    },
}  # fmt: skip
_T_MAX = {"Phase 3": 12, "Phase 4": 10, "Phase 5": 10}


def five_phases(variant: str, seed: int, epochs: int) -> list[dict[str, float]]:
    """Plant the curves of the report that the study of five phases quotes, with 0.3 points between seeds."""
    shift = np.random.default_rng([seed, len(variant), int(variant[-1])]).normal(0, 0.003)
    made = []
    for epoch in range(1, epochs + 1):
        one = {name: float(np.interp(epoch, *curve)) for name, curve in _CURVES[variant].items()}
        one["test/accuracy"] += shift
        one["test/loss"] -= 4 * shift
        one["train/loss"] -= 2 * shift
        t_max = _T_MAX.get(variant)
        one["lr"] = 0.05 * (1 + math.cos(math.pi * (epoch - 1) / t_max)) / 2 if t_max else 0.001
        made.append(one)
    return made


def phase_2_from_scratch(variant: str, seed: int, epochs: int) -> list[dict[str, float]]:
    """Plant the same, but for a second phase that is trained from new weights: 27.7 % after 5 epochs."""
    made = five_phases(variant, seed, epochs)
    if variant == "Phase 2":
        ends = {"train/loss": (4.3, 3.35), "test/loss": (3.9, 2.85), "test/accuracy": (0.10, 0.277)}
        shift = made[-1]["test/accuracy"] - 0.36
        for epoch, one in enumerate(made):
            one |= {name: float(np.interp(epoch, (0, epochs - 1), ys)) for name, ys in ends.items()}
            one["test/accuracy"] += shift
            one["test/loss"] -= 4 * shift
    return made
