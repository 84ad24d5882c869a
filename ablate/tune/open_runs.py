"""The runs of trials under way: their events go to Optuna's trials, to the store, and to whoever watches."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..execute.jobs import EpochDone, Event, Failed, Finished, JobsReduced, Stopped
from .records import TrialRecord, VariantTuning, save_tunings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..store.store import Store
    from ..study.spec import RunSpec
    from .search import Asked, Search

SAVE_SECONDS = 1.0


@dataclass(frozen=True)
class Goal:
    """How many trials each variant gets, where their records are kept, and what they are judged by.

    study: its name. order: of all its variants. judge: returns a finished run's value of each objective.
    """

    total: int
    home: Store
    study: str
    order: Sequence[str]
    judge: Callable[[RunSpec, Mapping[str, Any]], Sequence[float]]


@dataclass(frozen=True)
class TrialEnded:
    """A trial of a variant has ended; `tuning` is all that is known of the variant then."""

    tuning: VariantTuning
    trial: TrialRecord


@dataclass(frozen=True)
class Waiting:
    """All trials are asked for, and others make some of them."""

    others: tuple[str, ...]


News = TrialEnded | Waiting | Event


@dataclass
class _Open:
    """A run with the trials it is of; more than one where a sampler draws the same settings again."""

    spec: RunSpec
    trials: list[tuple[Search, int]]
    pruned: bool = False


class OpenRuns:
    """The runs under way, by key. `lock` guards Optuna's storage."""

    def __init__(self, searches: Sequence[Search], goal: Goal, news: Callable[[News], None]) -> None:
        self._searches, self._goal, self._news = searches, goal, news
        self._open: dict[str, _Open] = {}
        self._next_save = 0.0
        self.lock = threading.Lock()  # the heart beats in a thread of its own

    def begin(self, search: Search, asked: Asked) -> RunSpec | None:
        """Return the run of a trial; None where it is stored, has failed, or is under way for another trial."""
        spec = search.task.spec(asked.settings)
        with self.lock:
            search.note(asked.number, key=spec.key)
        if spec.key in self._open:
            self._open[spec.key].trials.append((search, asked.number))
            return None
        one = self._open[spec.key] = _Open(spec, [(search, asked.number)])
        folder = self._goal.home.run(spec.key)
        result = folder.result()
        if result is not None:
            self._finished(one, result)
        elif (failure := folder.failure()) is not None:
            self._failed(one, str(failure.get("reason", "")))
        else:
            return spec
        return None

    def tell(self, event: Event) -> bool:
        """Take an event of a run; return True to stop the run, its trial pruned."""
        one = self._open.get(event.spec.key)
        if isinstance(event, JobsReduced):
            self._news(event)
        if one is None:
            return False
        match event:
            case EpochDone(record=record):
                return self._epoch(one, record)
            case Finished(result=result):
                self._finished(one, result)
            case Failed(reason=reason):
                self._failed(one, reason)
            case Stopped() if one.pruned:
                self._pruned(one)
            case _:
                self._news(event)
        return False

    def save(self) -> None:
        """Record all trials in the store."""
        with self.lock:
            tunings = [search.record(self._goal.total, search.importances()) for search in self._searches]
        save_tunings(self._goal.home, self._goal.study, tunings, self._goal.order)

    def _epoch(self, one: _Open, record: Mapping[str, Any]) -> bool:
        """Report an epoch; tell whether to prune the trial. After the last epoch there is nothing left to save."""
        self._news(EpochDone(one.spec, record))
        last = record["epoch"] >= (one.spec.recipe.epochs or math.inf)  # nobody knows how many steps a task takes
        with self.lock:
            wanted = [search.report(number, _at(record), _value(search, record)) for search, number in one.trials]
        one.pruned = one.pruned or (all(wanted) and not last)
        return one.pruned

    def _finished(self, one: _Open, result: Mapping[str, Any]) -> None:
        history = self._goal.home.run(one.spec.key).history()
        values = self._goal.judge(one.spec, result)
        for search, number in self._ended(one, history, float(result.get("seconds") or 0.0)):
            search.tell(number, values)

    def _failed(self, one: _Open, reason: str) -> None:
        folder = self._goal.home.run(one.spec.key)
        diverged = (folder.failure() or {}).get("kind") == "diverged"
        for search, number in self._ended(one, folder.history()):
            (search.tell_diverged if diverged else search.tell_failed)(number, reason)

    def _pruned(self, one: _Open) -> None:
        folder = self._goal.home.writer(one.spec.key)
        folder.drop_checkpoint()  # nobody goes on with it, and fifty of them fill a disk
        for search, number in self._ended(one, folder.history()):
            search.tell_pruned(number)

    def _ended(
        self, one: _Open, history: Sequence[Mapping[str, Any]], seconds: float | None = None
    ) -> Iterator[tuple[Search, int]]:
        """Yield the trials of a run that has ended, all its epochs reported, for the caller to end; then say so."""
        self._open.pop(one.spec.key, None)
        took = sum(r.get("seconds", 0.0) + r.get("evaluation_seconds", 0.0) for r in history)
        for search, number in one.trials:
            with self.lock:
                for record in history:
                    search.report(number, _at(record), _value(search, record))
                search.note(number, seconds=took if seconds is None else seconds, epochs=len(history))
                yield search, number
                self._news(TrialEnded(search.record(self._goal.total, {}), search.trial(number)))
                self._save_sometimes()

    def _save_sometimes(self) -> None:
        """Record all trials, with the lock held: not after each where there are thousands, which take seconds."""
        began = time.monotonic()
        if began >= self._next_save:
            tunings = [search.record(self._goal.total, {}) for search in self._searches]
            save_tunings(self._goal.home, self._goal.study, tunings, self._goal.order)
            ended = time.monotonic()
            self._next_save = ended + max(SAVE_SECONDS, 20 * (ended - began))


def _at(record: Mapping[str, Any]) -> int:
    """Return the epoch of a line of the history, or the step of a task."""
    return int(record.get("step", record["epoch"]))


def _value(search: Search, record: Mapping[str, Any]) -> float:
    """Return what an epoch says of the metric that trials are compared on while they run."""
    value = record.get(search.objectives[0])
    return float("nan") if value is None else float(value)
