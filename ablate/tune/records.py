"""What tuning found, as plain records in the store: read without Optuna, by reports and by the final runs.

Optuna's storage is where trials live; these are made from it anew after each trial.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock

from ..components.contracts import Range, Space, Values
from ..store.files import read_document, store_errors, write_document
from ..store.studies import file_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ..store.store import Store

TrialState = Literal["running", "done", "pruned", "diverged", "failed"]


@dataclass(frozen=True)
class TrialRecord:
    """One trial: a run with some settings.

    default: with the variant's own settings, as trial 0 has them; settings then holds what they are, None for what
    the variant leaves to the component. values: one for each objective, empty unless done. curve: the metric (the
    first objective, where it is one) after each epoch trained.
    epochs: how many it trained. key: its run. reason: why it is not done.
    """

    number: int
    state: TrialState
    settings: Mapping[str, Any]
    values: tuple[float, ...] = ()
    curve: tuple[float, ...] = ()
    epochs: int = 0
    seconds: float = 0.0
    key: str = ""
    reason: str = ""
    default: bool = False


@dataclass(frozen=True)
class VariantTuning:
    """All trials of one variant.

    digest: of all that decides a trial's result but its settings; a variant that has changed since has another one.
    objectives: `validation/accuracy`, `validation/loss`, `seconds`, `parameters`, `flops`, or a metric of the test
    split where the study says so; the first one decides what is best. epochs: of a trial; of_epochs: of the variant.
    asked: trials wanted in total. importances: by setting, adding up to 1; empty while there are too few trials.
    """

    variant: str
    digest: str
    objectives: tuple[str, ...]
    space: Space
    asked: int
    seed: int
    epochs: int
    of_epochs: int
    sampler: str
    pruner: str
    trials: tuple[TrialRecord, ...] = ()
    importances: Mapping[str, float] = field(default_factory=dict)

    @property
    def about(self) -> tuple[str, tuple[str, ...], Space]:
        """Return what these trials are of: trials of anything else are others."""
        return self.digest, self.objectives, dict(self.space)

    @property
    def done(self) -> tuple[TrialRecord, ...]:
        """Return the trials that have values."""
        return tuple(trial for trial in self.trials if trial.state == "done")

    @property
    def best(self) -> TrialRecord | None:
        """Return the best trial by the first objective, the earlier of two alike; None where none is done."""
        sign = -1.0 if maximised(self.objectives[0]) else 1.0
        return min(self.done, key=lambda trial: (sign * trial.values[0], trial.number), default=None)

    @property
    def default(self) -> TrialRecord | None:
        """Return the trial with the variant's own settings, where it is done."""
        return next((trial for trial in self.done if trial.default), None)


def maximised(objective: str) -> bool:
    """Tell whether more of an objective is better."""
    return objective.endswith("accuracy")


def load_tunings(store: Store, study: str) -> tuple[VariantTuning, ...]:
    """Return what tuning found for a study's variants, in the order of the study; nothing where it was not tuned."""
    found = read_document(_file(store, study)) or {}
    tunings = []
    for document in found.get("variants", ()):
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):  # damaged: as if it were not there
            tunings.append(_tuning(document))
    return tuple(tunings)


def save_tunings(store: Store, study: str, tunings: Iterable[VariantTuning], order: Iterable[str]) -> None:
    """Record what tuning found for some variants, over what was recorded of them; order: of all the study's."""
    file = _file(store, study)
    with store_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_suffix(".lock")):
            all_of_them = {t.variant: t for t in load_tunings(store, study)} | {t.variant: t for t in tunings}
            kept = [asdict(all_of_them[name]) for name in order if name in all_of_them]
            write_document(file, {"study": study, "variants": kept})


def with_trials(tuning: VariantTuning, trials: Iterable[TrialRecord]) -> VariantTuning:
    """Return a tuning with these trials."""
    return replace(tuning, trials=tuple(trials))


def _file(store: Store, study: str) -> Path:
    return store.tuning_folder / f"{file_name(study)}.json"


def _tuning(document: Mapping[str, Any]) -> VariantTuning:
    space = {
        str(name): Values(tuple(part["values"])) if "values" in part else Range(**part)
        for name, part in document["space"].items()
    }
    trials = tuple(
        TrialRecord(**{**part, "values": tuple(part["values"]), "curve": tuple(part["curve"])})
        for part in document["trials"]
    )
    return VariantTuning(**{**document, "objectives": tuple(document["objectives"]), "space": space, "trials": trials})
