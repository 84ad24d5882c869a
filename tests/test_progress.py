"""What a terminal says of the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablate.components.discover import discover
from ablate.console import progress
from ablate.console.progress import Live
from ablate.execute.jobs import Crowded, EpochDone, Failed, Fewer, Finished, Started, UnderWay
from ablate.report.numbers import duration
from ablate.study.plan import run_specs
from ablate.study.settle import settle
from ablate.study.toml import Changes, read_study

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from ablate.study.spec import RunSpec


def specs_of(study: Path) -> list[RunSpec]:
    settled = settle(read_study(study, Changes()), discover(study), study.parent / "data", {})
    return run_specs(settled, (0, 1))


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_the_time_left_falls_while_a_run_goes_on(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    specs = specs_of(study)
    live = Live(specs, lambda _: None)
    live.tell(Started(specs[0]))
    clock.now = 5.0
    live.tell(UnderWay(specs[0], 1, 0.5))
    assert live._left() == ""  # a quarter of a run says little
    clock.now = 20.0
    live.tell(Finished(specs[0], {"test/accuracy": 1.0, "test/loss": 0.0}))
    assert live._left() == f", about {duration(60)} left"  # three more
    live.tell(Started(specs[1]))
    clock.now = 30.0
    live.tell(EpochDone(specs[1], {"epoch": 1, "train/loss": 0.0, "images_per_second": 1.0}))
    assert live._left() == f", about {duration(50)} left"


def test_a_run_that_lacked_room_is_told_as_such(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = specs_of(study)[:2]
    tell = progress.Lines([first, second]).tell
    tell(Crowded(first))
    tell(Fewer(first, 2))
    tell(Failed(second, "out of memory: a model"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("crowded baseline, seed 0: out of memory beside others")
    assert lines[1].startswith("fewer   at most 2 at a time from now on")
    assert lines[2].startswith("[1/2] failed")  # what is made again is not counted
