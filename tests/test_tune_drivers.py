"""Several drivers on the same trials: no settings twice, no trial too many, none that waits for a dead driver."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import pytest

from ablate.commands.tune import TuneOptions, tune_study
from ablate.errors import InputError
from ablate.execute.inline import Inline
from ablate.launch.study import LoadedStudy, Options, open_study
from ablate.store.owner import DEAD_SECONDS
from ablate.store.store import Store
from ablate.study.spec import Choice
from ablate.tune.owners import NAMELESS_SECONDS, Owners, new_owner
from ablate.tune.records import load_tunings
from ablate.tune.search import Search
from ablate.tune.space import tasks
from ablate.tune.storage import open_storage

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

FOREIGN = {"host": "elsewhere", "boot": "another", "pid": 1, "since": "2020-01-01T00:00:00+0000", "beat": 0}


@pytest.fixture
def prepared(study: Path) -> LoadedStudy:
    return open_study(Options(study, Path("store").resolve(), Path("data").resolve()))


def storage(prepared: LoadedStudy) -> BaseStorage:
    store = Store(prepared.options.store)
    store.make_writable()
    return open_storage(store)


def search(prepared: LoadedStudy, opened: BaseStorage, **changes: Any) -> Search:
    """The trials of the study's baseline, as one driver sees them."""
    task = tasks(prepared.reading, prepared.study, prepared.registry, ("baseline",))[0]
    task = replace(task, tuning=replace(task.tuning, **changes))
    return Search(opened, "tiny", task, ("validation/accuracy",))


def me(pid: int = 0, **changes: Any) -> dict[str, Any]:
    return {**new_owner(), **({"pid": pid} if pid else {}), **changes}


def ended_pid() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


@pytest.mark.parametrize("sampler", ["random", "tpe", "cma-es"])
def test_two_drivers_draw_no_settings_twice(prepared: LoadedStudy, sampler: str) -> None:
    both = [search(prepared, storage(prepared), sampler=Choice(sampler)) for _ in range(2)]
    asked = [one.ask(8, me()) for _ in range(4) for one in both]
    assert [one.number for one in asked if one] == list(range(8))
    drawn = [tuple(one.settings.values()) for one in asked if one]
    assert len(set(drawn)) == 8


def test_two_drivers_that_begin_at_once_try_the_variants_own_settings_once(prepared: LoadedStudy) -> None:
    both = [search(prepared, storage(prepared)) for _ in range(2)]
    first, second = (one.ask(4, me()) for one in both)
    assert first is not None
    assert second is not None
    assert first.settings == {}
    trials = both[0].record(4, {}).trials
    assert trials[0].settings["optimizer.lr"] == pytest.approx(1e-2)
    assert trials[1].settings["optimizer.lr"] != pytest.approx(1e-2)


def test_what_a_trial_draws_is_the_same_whoever_draws_it(prepared: LoadedStudy) -> None:
    choice = Choice("random", {"seed": 3})
    alone = search(prepared, optuna.storages.InMemoryStorage(), sampler=choice)
    wanted = [alone.ask(6, me()) for _ in range(6)]
    shared = storage(prepared)
    found = [search(prepared, shared, sampler=choice).ask(6, me()) for _ in range(6)]  # each time another driver
    assert found == wanted
    other = search(prepared, optuna.storages.InMemoryStorage(), sampler=Choice("random", {"seed": 4}))
    assert [other.ask(6, me()) for _ in range(6)][1:] != wanted[1:]


@pytest.mark.parametrize("seed", [-1, 1.5, True, "a"])
def test_a_samplers_seed_is_a_whole_number(prepared: LoadedStudy, seed: object) -> None:
    with pytest.raises(InputError, match=r"seed = .* is not a whole number"):
        search(prepared, storage(prepared), sampler=Choice("tpe", {"seed": seed}))


def test_a_trial_beyond_the_last_is_given_back_and_taken_when_more_are_wanted(prepared: LoadedStudy) -> None:
    both = [search(prepared, storage(prepared)) for _ in range(2)]
    for _ in range(3):
        both[0].ask(3, me())
    assert both[1].ask(3, me()) is None
    # What a driver does that looked just before the third was asked for:
    assert both[1].trials.new() == 3
    both[1].trials.give_back(3)
    assert sorted(both[0].left()) == [0, 1, 2]
    more = both[0].ask(4, me())
    assert more is not None
    assert more.number == 3


def test_a_driver_that_died_asking_for_one_too_many_leaves_none_too_many(study: Path, prepared: LoadedStudy) -> None:
    options = replace(prepared.options, only=("baseline",))
    assert tune_study(options, TuneOptions(trials=1), Inline()) == 0
    one = search(prepared, storage(prepared))
    one.own(one.trials.new(), me(ended_pid()))
    assert [trial.state for trial in one.record(1, {}).trials] == ["done", "running"]
    assert tune_study(options, TuneOptions(trials=1), Inline()) == 0
    (tuning,) = load_tunings(Store(options.store), "tiny")
    assert [trial.state for trial in tuning.trials] == ["done"]


@pytest.mark.parametrize("owner", [{}, FOREIGN, {**FOREIGN, "pid": "no number"}], ids=["nameless", "foreign", "odd"])
def test_a_driver_that_cannot_be_seen_is_gone_when_its_heart_has_stopped(owner: dict[str, Any]) -> None:
    owners = Owners(me())
    patience = DEAD_SECONDS if owner else NAMELESS_SECONDS
    assert not owners.gone("a trial", owner, now=100.0)
    assert not owners.gone("a trial", owner, now=100.0 + patience - 1)
    assert owners.gone("a trial", owner, now=100.0 + patience)


def test_a_heartbeat_keeps_a_driver_of_another_machine_alive() -> None:
    owners = Owners(me())
    for beat in range(5):
        assert not owners.gone("a trial", {**FOREIGN, "beat": beat}, now=beat * (DEAD_SECONDS - 1))
    assert not owners.gone("a trial", {**FOREIGN, "beat": 4}, now=5 * (DEAD_SECONDS - 1))
    assert owners.gone("a trial", {**FOREIGN, "beat": 4}, now=5 * (DEAD_SECONDS - 1) + 1)


def test_a_driver_of_this_machine_whose_process_has_ended_is_gone_at_once() -> None:
    owners = Owners(me())
    assert owners.gone("a trial", me(ended_pid()), now=0.0)
    assert not owners.gone("another trial", me(os.getppid()), now=0.0)


def test_a_trial_of_this_process_is_of_a_driver_before_this_one() -> None:
    assert Owners(me()).gone("a trial", me(), now=0.0)


def test_the_heart_beats_for_a_drivers_own_trials_only(prepared: LoadedStudy) -> None:
    both = [search(prepared, storage(prepared)) for _ in range(2)]
    both[0].ask(4, me())
    both[1].own(0, FOREIGN | {"pid": os.getpid()})  # taken over by another machine's process with the same number
    both[0].beat(me(beat=7))
    assert both[0].left()[0]["host"] == "elsewhere"
    both[0].ask(4, me())
    both[0].beat(me(beat=8))
    assert {number: owner["beat"] for number, owner in both[1].left().items()} == {0: 0, 1: 8}


def test_a_trial_that_two_drivers_took_over_is_reported_once(prepared: LoadedStudy) -> None:
    both = [search(prepared, storage(prepared)) for _ in range(2)]
    both[0].ask(4, FOREIGN)
    for one in both:
        one.own(0, me())
    both[0].report(0, 1, 0.5)
    both[0].tell(0, [0.5])
    both[1].report(0, 1, 0.25)
    both[1].report(0, 2, 0.25)
    both[1].note(0, seconds=3.0)
    both[1].tell(0, [0.25])
    assert both[1].own(0, me()) is None
    (trial,) = both[1].record(4, {}).trials
    assert (trial.state, trial.values, trial.curve, trial.seconds) == ("done", (0.5,), (0.5,), 0.0)


def test_the_trials_of_a_dead_driver_are_gone_on_with(study: Path, prepared: LoadedStudy) -> None:
    one = search(prepared, storage(prepared))
    left = one.ask(3, me(ended_pid()))
    assert left is not None
    options = replace(prepared.options, only=("baseline",))
    assert tune_study(options, TuneOptions(trials=3), Inline()) == 0
    (tuning,) = load_tunings(Store(options.store), "tiny")
    assert [trial.number for trial in tuning.trials] == [0, 1, 2]
    assert {trial.state for trial in tuning.trials} <= {"done", "pruned"}
