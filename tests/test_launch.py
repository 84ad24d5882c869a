"""A study made ready and its runs made, as commands and the library share it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ablate.commands.plan import show_plan
from ablate.commands.run import run_study
from ablate.errors import DeviceError
from ablate.execute.inline import Inline
from ablate.launch.make import RunOptions
from ablate.launch.plan import plan
from ablate.launch.rehearsal import rehearse
from ablate.launch.study import open_study
from ablate.store.studies import load_study
from tests.support import options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ablate.execute.jobs import Job, RehearsalReport


class Edits(Inline):
    """Edits the study file while its variants are tried out."""

    def __init__(self, study: Path) -> None:
        self.study = study

    def rehearse(self, jobs: Sequence[Job]) -> RehearsalReport:
        self.study.write_text(self.study.read_text().replace("seeds = 2", "seeds = 5"))
        return super().rehearse(jobs)


def test_the_text_that_is_recorded_is_the_one_that_the_runs_were_planned_from(study: Path) -> None:
    before = study.read_text()
    assert run_study(options(study), RunOptions(jobs=1), Edits(study)) == 0
    record = load_study(options(study).home, "tiny")
    assert record is not None
    assert record.text == before != study.read_text()
    assert set(record.keys(record.as_run().done())) == {(v, s) for v in ("baseline", "flipped") for s in (0, 1)}


def test_a_study_is_made_ready_without_a_look_at_its_runs(study: Path) -> None:
    """So that a broken store of runs costs no more than the plan."""
    opened = open_study(options(study))
    opened.home.root.parent.mkdir(exist_ok=True)
    opened.home.root.write_text("not a folder")
    assert [(s.variant, s.seed) for s in open_study(options(study)).specs[:2]] == [("baseline", 0), ("flipped", 0)]


def test_failed_runs_are_to_be_made_only_where_they_are_tried_again(study: Path) -> None:
    opened = open_study(options(study))
    opened.home.make_writable()
    opened.home.writer(opened.specs[0].key).record_failure("failed", "for a test")
    planned = plan(opened)
    assert planned.failed == [opened.specs[0]]
    assert planned.todo() == list(opened.specs[1:])
    assert planned.todo(retry_failed=True) == list(opened.specs)


def test_a_device_that_is_not_there_is_said_once_and_of_no_variant(study: Path) -> None:
    class Nowhere(Inline):
        def rehearse(self, jobs: Sequence[Job]) -> RehearsalReport:
            raise DeviceError("--device cuda:9: not here")

    opened = open_study(options(study))
    with pytest.raises(DeviceError, match=r"^--device cuda:9: not here$"):
        rehearse(opened, Nowhere(), opened.specs, 1, print)


def test_a_plan_says_where_another_device_would_give_the_runs_that_are_stored(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablate.launch.study.fast_precision", lambda device: "bf16" if device == "cuda" else "fp32")
    assert run_study(options(study), RunOptions(jobs=1), Inline()) == 0
    capsys.readouterr()
    assert show_plan(replace(options(study), device="cuda")) == 0
    said = capsys.readouterr().out
    assert "precision: auto is bf16 with --device cuda, and runs of this study were fp32 before" in said
    assert show_plan(options(study)) == 0
    assert "precision: auto" not in capsys.readouterr().out


def test_a_precision_that_the_study_named_before_is_no_other_device(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_study(options(study, 'baseline.precision="fp32"'), RunOptions(jobs=1), Inline()) == 0
    capsys.readouterr()
    assert show_plan(replace(options(study), device="cuda")) == 0
    said = capsys.readouterr().out
    assert "precision fp32 → bf16" in said
    assert "precision: auto" not in said
