"""The driver of a tuning: asks for trials as there is room for them, hears of their runs, and tells how they ended.

Only here is Optuna's storage touched while runs are made. Every trial is an ordinary run: one that is stored is not
trained again, one whose driver died goes on from its checkpoint.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..execute.jobs import BUSY_SECONDS, EpochDone, Event, Failed, Finished, Job, Stopped
from ..store.owner import DEAD_SECONDS, Owner, has_ended, this_process
from .records import TrialRecord, VariantTuning, save_tunings

if TYPE_CHECKING:
    from ..execute.jobs import Executor, Stopping
    from ..store.store import Store
    from ..study.spec import RunSpec
    from .search import Asked, Search

BEAT_SECONDS = 15.0
NAMELESS_SECONDS = 20.0
"""A trial that nobody has put a name to for so long was asked for by a driver that died at once."""
SAVE_SECONDS = 1.0


@dataclass(frozen=True)
class Goal:
    """What to do: how many trials each variant is to have, and where.

    study: its name. order: of all its variants. spec: the run of a trial. job: the job of a run.
    values: of each objective, from a run and its result.
    """

    total: int
    home: Store
    study: str
    order: Sequence[str]
    spec: Callable[[Search, Asked], RunSpec]
    job: Callable[[RunSpec], Job]
    values: Callable[[RunSpec, Mapping[str, Any]], Sequence[float]]


@dataclass(frozen=True)
class Told:
    """A trial of a variant has ended; `tuning` is all that is known of the variant then."""

    tuning: VariantTuning
    trial: TrialRecord


@dataclass(frozen=True)
class Waiting:
    """All trials are asked for, and others make some of them."""

    others: tuple[str, ...]


News = Callable[["Told | Waiting | Event"], None]


@dataclass
class _Open:
    """A run under way with the trials it is of; more than one where a sampler draws the same settings again."""

    spec: RunSpec
    trials: list[tuple[Search, int]]
    pruned: bool = False


@dataclass
class Driver:
    """Tunes some variants at a time, a trial of each in turn."""

    searches: Sequence[Search]
    goal: Goal
    news: News
    _open: dict[str, _Open] = field(default_factory=dict)
    _beats: dict[tuple[str, int], tuple[Any, float]] = field(default_factory=dict)
    _next_save: float = 0.0

    def __post_init__(self) -> None:
        self._me = vars(this_process()) | {"beat": 0}
        self._lock = threading.Lock()  # the heart beats in a thread of its own

    def run(self, executor: Executor, stopping: Stopping) -> None:
        """Make trials until every variant has as many as it is to have, or until asked to stop.

        A trial that was under way when this stops stays so in the storage, and the next driver goes on with it.
        """
        waited = False
        try:
            with self._beating():
                while not stopping():
                    executor.run(self._jobs(), self.tell, stopping)
                    others = self._others()
                    if stopping() or not others:
                        break
                    if not waited:
                        self.news(Waiting(tuple(sorted({str(other.get("host", "")) for other in others}))))
                        waited = True
                    time.sleep(BUSY_SECONDS)
        finally:
            self.save()

    def tell(self, event: Event) -> bool:
        """Take what is told of a run; True where it is to be stopped, its trial pruned."""
        one = self._open.get(event.spec.key)
        if one is None:
            return False
        match event:
            case EpochDone(record=record):
                return self._heard(one, record)
            case Finished(result=result):
                self._end(one, result)
            case Failed(reason=reason):
                self._failed(one, reason)
            case Stopped() if one.pruned:
                self._pruned(one)
            case _:
                self.news(event)
        return False

    def save(self) -> None:
        """Record all trials in the store."""
        with self._lock:
            tunings = [search.record(self.goal.total, search.importances()) for search in self.searches]
        save_tunings(self.goal.home, self.goal.study, tunings, self.goal.order)

    def _jobs(self) -> Iterator[Job]:
        """Yield the jobs of trials whose drivers died, then of new ones, each variant in turn."""
        for search in self.searches:
            for number, owner in search.left().items():
                if not self._dead(search, number, owner):
                    continue
                with self._lock:
                    if number >= self.goal.total:  # asked for beyond the last one, by a driver that died at once
                        search.give_back(number)
                        continue
                    asked = search.own(number, self._me)
                if asked is not None:
                    yield from self._begin(search, asked)
        left = list(self.searches)
        while left:
            for search in list(left):
                with self._lock:
                    new = search.ask(self.goal.total, self._me)
                if new is None:
                    left.remove(search)
                else:
                    yield from self._begin(search, new)

    def _begin(self, search: Search, asked: Asked) -> Iterator[Job]:
        """Yield the job of a trial, unless its run is stored, has failed, or is under way for another trial."""
        spec = self.goal.spec(search, asked)
        with self._lock:
            search.note(asked.number, key=spec.key)
        if spec.key in self._open:
            self._open[spec.key].trials.append((search, asked.number))
            return
        one = self._open[spec.key] = _Open(spec, [(search, asked.number)])
        folder = self.goal.home.run(spec.key)
        result = folder.result()
        if result is not None:
            self._end(one, result)
        elif (failure := folder.failure()) is not None:
            self._failed(one, str(failure.get("reason", "")))
        else:
            yield self.goal.job(spec)

    def _heard(self, one: _Open, record: Mapping[str, Any]) -> bool:
        """Report an epoch; tell whether the trial is to be pruned. The last epoch has nothing left to save."""
        self.news(EpochDone(one.spec, record))
        last = record["epoch"] >= one.spec.recipe.epochs
        with self._lock:
            wanted = [
                search.report(number, record["epoch"], self._value(search, record)) for search, number in one.trials
            ]
        one.pruned = one.pruned or (all(wanted) and not last)
        return one.pruned

    def _end(self, one: _Open, result: Mapping[str, Any]) -> None:
        history = self.goal.home.run(one.spec.key).history()
        values = self.goal.values(one.spec, result)
        for search, number in self._closed(one, history, float(result.get("seconds") or 0.0)):
            search.tell(number, values)
            self._told(search, number)

    def _failed(self, one: _Open, reason: str) -> None:
        folder = self.goal.home.run(one.spec.key)
        diverged = (folder.failure() or {}).get("kind") == "diverged"
        for search, number in self._closed(one, folder.history(), None):
            (search.tell_diverged if diverged else search.tell_failed)(number, reason)
            self._told(search, number)

    def _pruned(self, one: _Open) -> None:
        folder = self.goal.home.run(one.spec.key)
        folder.drop_checkpoint()  # nobody goes on with it, and fifty of them fill a disk
        for search, number in self._closed(one, folder.history(), None):
            search.tell_pruned(number)
            self._told(search, number)

    def _closed(
        self, one: _Open, history: Sequence[Mapping[str, Any]], seconds: float | None
    ) -> Iterator[tuple[Search, int]]:
        """Yield the trials of a run that has ended, with all its epochs reported."""
        self._open.pop(one.spec.key, None)
        took = sum(r.get("seconds", 0.0) + r.get("evaluation_seconds", 0.0) for r in history)
        for search, number in one.trials:
            with self._lock:
                for record in history:
                    search.report(number, record["epoch"], self._value(search, record))
                search.note(number, seconds=took if seconds is None else seconds, epochs=len(history))
                yield search, number

    def _told(self, search: Search, number: int) -> None:
        """Say how a trial ended; the storage is ours at the moment."""
        self.news(Told(search.record(self.goal.total, {}), search.trial(number)))
        began = time.monotonic()
        if began >= self._next_save:
            tunings = [other.record(self.goal.total, {}) for other in self.searches]
            save_tunings(self.goal.home, self.goal.study, tunings, self.goal.order)
            ended = time.monotonic()
            self._next_save = ended + max(SAVE_SECONDS, 20 * (ended - began))  # thousands of trials take seconds

    def _value(self, search: Search, record: Mapping[str, Any]) -> float:
        """Return what an epoch says of the metric that trials are compared on while they run."""
        value = record.get(search.objectives[0])
        return float("nan") if value is None else float(value)

    def _others(self) -> list[Mapping[str, Any]]:
        """Return the owners of trials that have not ended; those beyond our last one are for others to wait for."""
        left = [(number, owner) for search in self.searches for number, owner in search.left().items()]
        return [owner for number, owner in left if number < self.goal.total or not owner]

    def _dead(self, search: Search, number: int, owner: Mapping[str, Any], now: float | None = None) -> bool:
        """Tell whether a trial's driver is gone: its process has ended, or its heart has not beaten for a while.

        now: the time by this machine's steady clock, which it is asked for where it is not given.
        """
        with contextlib.suppress(KeyError, TypeError, ValueError):
            known = Owner(str(owner["host"]), str(owner["boot"]), int(owner["pid"]), str(owner["since"]))
            ours = all(owner[name] == self._me[name] for name in ("host", "boot", "pid"))
            if ours or (known.here and has_ended(known)):  # ours: of a driver before this one in the same process
                return True
        now = time.monotonic() if now is None else now
        beat, since = self._beats.setdefault((search.task.variant.name, number), (dict(owner), now))
        if beat != dict(owner):
            self._beats[search.task.variant.name, number] = dict(owner), now
            return False
        return now - since >= (DEAD_SECONDS if owner else NAMELESS_SECONDS)

    @contextlib.contextmanager
    def _beating(self) -> Iterator[None]:
        """Show in the storage that this driver lives, until this ends."""
        over = threading.Event()

        def beat() -> None:
            for number in itertools.count(1):
                if over.wait(BEAT_SECONDS):
                    return
                with self._lock, contextlib.suppress(Exception):  # the next beat may get through
                    self._me["beat"] = number
                    for search in self.searches:
                        search.beat(self._me)

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=5)
