"""What a terminal says of the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate.components.discover import discover
from ablate.console import progress
from ablate.console.progress import Pace, RunLines, RunTable
from ablate.execute.jobs import (
    EpochDone,
    EpochProgress,
    Failed,
    Finished,
    JobsReduced,
    MemoryContention,
    Started,
    WorkerDied,
)
from ablate.numbers import duration
from ablate.study.plan import run_specs
from ablate.study.resolve import resolve_study
from ablate.study.toml import Changes, read_study

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from ablate.study.spec import RunSpec


RESULT = {"test/accuracy": 1.0, "test/loss": 0.0}
EPOCH = {"epoch": 1, "train/loss": 0.0, "images_per_second": 1.0}


def specs_of(study: Path) -> list[RunSpec]:
    resolved = resolve_study(read_study(study, Changes()), discover(study), study.parent / "data", {})
    return run_specs(resolved, (0, 1))


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_the_time_left_falls_while_a_run_goes_on(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    specs = specs_of(study)
    pace = Pace(specs, lambda _: None)
    pace.take(Started(specs[0]))
    clock.now = 5.0
    pace.take(EpochProgress(specs[0], 1, 0.5))
    assert pace.text() == ""  # a quarter of a run, within seconds, says little
    clock.now = 20.0
    pace.take(Finished(specs[0], RESULT))
    assert pace.text() == f", about {duration(60)} left"  # three more
    pace.take(Started(specs[1]))
    clock.now = 30.0
    pace.take(EpochDone(specs[1], EPOCH))
    assert pace.text() == f", about {duration(50)} left"


def test_a_long_first_run_says_how_long_is_left_before_it_ends(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    first = specs_of(study)[0]
    pace = Pace([first], lambda _: None)
    pace.take(Started(first))
    clock.now = 100.0
    pace.take(EpochProgress(first, 1, 0.5))  # of two epochs
    assert pace.left() == 300.0


def test_epochs_of_an_earlier_command_say_nothing_of_the_pace(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    first = specs_of(study)[0]
    pace = Pace([first], lambda _: None)
    pace.take(Started(first, 1, 0.5))
    clock.now = 100.0
    assert pace.left() is None
    pace.take(EpochProgress(first, 2, 0.5))
    assert pace.left() == 100.0  # a quarter of the run in 100 s, and another quarter to go: the half before counts not
    pace.take(WorkerDied(first, "killed", 2))
    assert pace.left() is None


def test_what_is_expected_counts_where_it_is_known(study: Path) -> None:
    specs = specs_of(study)[:2]
    pace = Pace(specs, lambda _: 60.0)
    assert pace.left() == 120.0
    pace.take(Started(specs[0]))
    pace.take(Started(specs[1]))
    pace.take(EpochProgress(specs[0], 1, 1.0))
    assert pace.left() == (30 + 60) / 2
    for spec in specs:
        pace.take(Finished(spec, RESULT))
    assert pace.left() is None


def test_lines_and_the_live_table_say_it_too(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = specs_of(study)[:2]
    RunLines([first, second], lambda _: 60.0).tell(Finished(first, RESULT))
    assert capsys.readouterr().err.rstrip().endswith(f", about {duration(60)} left")
    live = RunTable([first, second], lambda _: 60.0)
    live.tell(Finished(first, RESULT))
    assert f"about {duration(60)} left" in str(live.live.table().title)


def test_a_run_that_lacked_room_is_reported_as_such(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = specs_of(study)[:2]
    tell = RunLines([first, second], lambda _: None).tell
    tell(MemoryContention(first))
    tell(JobsReduced(first, 2))
    tell(Failed(second, "out of memory: a model"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("retry   baseline, seed 0: out of memory beside other runs")
    assert lines[1].startswith("fewer   at most 2 at a time from now on")
    assert lines[2].startswith("[1/2] failed")  # what is made again is not counted
