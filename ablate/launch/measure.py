"""The metrics that a study names, computed from what its runs predicted: nothing is trained for them."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from ..components.no_exit import no_exit
from ..errors import AblateError, error_text
from ..metrics import Unmeasured
from ..store.metric_cache import MetricCache
from ..store.run_folder import NoPredictionsError
from ..study.metrics import found_metric
from ..study.spec import PREDICTED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from ..components.registry import Entry, Registry
    from ..data.predictions import Predicted, Predictions
    from ..store.store import Store
    from ..study.spec import NamedMetric, Study

    Found = tuple[NamedMetric, Entry | None]

KEEP = (
    "runs keep what they predict unless the study says keep_predictions = false; "
    "to make runs again that did not, use another store"
)


@dataclass(frozen=True)
class Measured:
    """A study whose metrics are found, its frame of runs with a column for each on each split, and what is absent."""

    study: Study
    runs: pd.DataFrame
    unmeasured: tuple[Unmeasured, ...] = ()


def measured(home: Store, study: Study, runs: pd.DataFrame, registry: Callable[[], Registry]) -> Measured:
    """Compute the metrics that a study names of its stored runs.

    runs: the frame of `read_frames`. registry: loads the components; called only where the study names a metric. A
    metric that cannot be computed is nan, and the result says why.
    """
    if not study.metrics:
        return Measured(study, runs)
    found, absent = _found(study, registry)
    columns = {one.on(split).name: [math.nan] * len(runs) for one, _ in found for split in PREDICTED}
    computing = _Computing(home, [(one, entry) for one, entry in found if entry], absent)
    for place, run in enumerate(runs.to_dict("records")):
        if run["state"] == "stored":
            for name, value in computing.values(str(run["key"]), f"{run['variant']}, seed {run['seed']}").items():
                columns[name][place] = value
    computing.cache.save()
    named = replace(study, metrics=tuple(one for one, _ in found))
    return Measured(named, runs.assign(**columns), computing.unmeasured())


def _found(study: Study, registry: Callable[[], Registry]) -> tuple[list[Found], dict[str, str]]:
    """Return a study's metrics with their components, None where one is not found, and why it is not."""
    try:
        components = registry()
    except AblateError as error:
        return [(one, None) for one in study.metrics], {one.name: str(error) for one in study.metrics}
    found: list[Found] = []
    absent: dict[str, str] = {}
    for one in study.metrics:
        made, problems = found_metric(one, components)
        found.append((made, None if problems else components.get("metric", one.choice.use)))
        if problems:
            absent[one.name] = problems[0][1]
    return found, absent


def predictions_in(home: Store) -> Callable[[str], Predictions]:
    """Return what reads the predictions of a run, by its key; none where they were not kept or cannot be read."""

    def load(key: str) -> Predictions:
        folder = home.run(key)
        try:
            return folder.predictions(folder.result() or {})
        except NoPredictionsError:
            return {}

    return load


class _NotComputedError(Exception):
    """A metric gave no number; the text says why."""


class _Computing:
    """Computes metrics run by run; what is not in the cache from a run's predictions, which are read then, and once.

    absent: why a metric gives no number, by its name.
    """

    def __init__(self, home: Store, metrics: Sequence[tuple[NamedMetric, Entry]], absent: dict[str, str]) -> None:
        self._home, self._metrics, self._absent = home, metrics, absent
        self._without: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
        self.cache = MetricCache(home)

    def values(self, key: str, called: str) -> dict[str, float]:
        """Return a run's metrics, by name, on each split that it has a finite loss of. called: as a reader knows it."""
        folder = self._home.run(key)
        result = folder.result() or {}
        predictions, values = lru_cache(partial(folder.predictions, result)), dict[str, float]()
        splits = [split for split in PREDICTED if result.get(f"{split}/loss") is not None]
        for one, entry in self._metrics:
            known = str(result.get("predictions") or ""), _digest(one, entry)
            try:
                for split in splits:
                    value = self.cache.get(known[0], f"{split} {known[1]}")
                    if value is None:
                        value = computed(entry, one.choice.settings, predictions()[split])
                        self.cache.put(known[0], f"{split} {known[1]}", value)
                    values[one.on(split).name] = value
            except NoPredictionsError as error:
                metrics, runs = self._without.setdefault(str(error), ({}, {}))
                metrics[one.name] = runs[called] = None
            except _NotComputedError as error:
                self._absent[one.name] = str(error)
        return values

    def unmeasured(self) -> tuple[Unmeasured, ...]:
        """Return what was not computed, each reason once."""
        found = [Unmeasured((name,), (), why, "") for name, why in self._absent.items()]
        for why, (metrics, runs) in self._without.items():
            found.append(Unmeasured(tuple(metrics), tuple(runs), f"their predictions {why}", KEEP))
        return tuple(found)


def computed(entry: Entry, settings: Mapping[str, Any], predicted: Predicted) -> float:
    """Compute one metric of one run's predictions for a split; nan where they are not finite."""
    import numpy as np

    if not predicted.finite:
        return math.nan
    logits, labels = predicted.logits.astype(np.float32), predicted.labels.astype(np.int64)
    try:
        with no_exit(), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a report says what is absent, and nothing else
            return float(entry.build(logits, labels, settings=settings))
    except Exception as error:
        raise _NotComputedError(f"{entry.kind} '{entry.name}' ({entry.place}) raises {error_text(error)}") from error


def _digest(one: NamedMetric, entry: Entry) -> str:
    """Return a hash of all that decides a metric's value: its source, its settings, and the library it comes from."""
    version = entry.borrowed.version if entry.borrowed else ""
    written = [one.choice.use, entry.source, one.choice.settings, version]
    return hashlib.sha256(json.dumps(written, sort_keys=True, default=str).encode()).hexdigest()[:16]
