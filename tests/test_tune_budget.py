"""The schedules of trials that train for fewer epochs: as much shorter, and told where that cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from ablate.api.records import read_records
from ablate.cli import app
from ablate.commands.tune_effects import check_effects
from ablate.launch.study import open_study
from ablate.report import filters
from ablate.report.tuning import tuning_part
from ablate.store.store import Store
from ablate.store.studies import find_study
from ablate.tune.space import tasks
from tests.support import options, run_here

if TYPE_CHECKING:
    from ablate.tune.space import Task

PLUGIN = """
from typing import Annotated

from torch.optim.lr_scheduler import StepLR

from ablate import Length, scheduler


@scheduler("marked", steps="epoch")
def marked(optimizer, horizon, *, after: Annotated[int, Length()] = 6):
    return StepLR(optimizer, after)


@scheduler("unmarked", steps="epoch")
def unmarked(optimizer, horizon, *, after: int = 6):
    return StepLR(optimizer, after)
"""
TUNE = """
[tune]
trials = 1
budget = { epochs = 0.25 }
[tune.settings]
"optimizer.lr" = { low = 1e-3, high = 1e-1, log = true }
"model.hidden" = { values = [4, 8] }
"""


def scheduled(study: Path, scheduler: str, epochs: int = 12, tune: str = TUNE) -> Path:
    """Give the study of two variants a schedule and a tuning whose trials train a quarter of the epochs."""
    (study.parent.parent / "plugins/mine.py").write_text(PLUGIN)
    text = study.read_text().replace("epochs = 2", f"epochs = {epochs}")
    study.write_text(text.replace("lr = 1e-2 }", f"lr = 1e-2 }}\nscheduler = {{ use = {scheduler} }}") + tune)
    return study


def trial(study: Path, **settings: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the schedule's settings in a trial of the baseline, and what is said of it before the first one."""
    prepared = open_study(options(study))
    todo: list[Task] = tasks(prepared.reading, prepared.study, prepared.registry, ["baseline"])
    spec = todo[0].spec(settings)
    return dict(spec.identity["scheduler"]["settings"]), check_effects(prepared.schedules, todo)


@pytest.mark.parametrize(
    ("scheduler", "short"),
    [
        ('"cosine", t_max = 12', {"t_max": 3, "eta_min": 0.0}),
        ('"step", step_size = 4', {"step_size": 1, "gamma": 0.1}),
        ('"step", step_size = 1', {"step_size": 1, "gamma": 0.1}),
        ('"warmup-cosine", warmup = 2', {"warmup": 0.5, "eta_min": 0.0}),
        ('"torch:MultiStepLR", milestones = [4, 8]', {"milestones": [1, 2]}),
        ('"torch:OneCycleLR", max_lr = 0.1, total_steps = 37', {"max_lr": 0.1, "total_steps": 9}),
        ('"torch:OneCycleLR", max_lr = 0.1, epochs = 12, steps_per_epoch = 3', None),
        ('"torch:PolynomialLR"', {"total_iters": 1}),  # its own length is 5
        ('"torch:ReduceLROnPlateau", patience = 8', None),
        ('"marked"', {"after": 2}),
    ],
)
def test_lengths_of_a_schedule_are_as_much_shorter_as_its_trials(
    study: Path, scheduler: str, short: dict[str, Any] | None
) -> None:
    settings, said = trial(scheduled(study, scheduler))
    if short is not None:
        assert settings == short
    elif "ReduceLROnPlateau" in scheduler:
        assert (settings["patience"], settings.get("factor")) == (2, None)
    else:
        assert (settings["epochs"], settings["steps_per_epoch"]) == (3, 3)
    assert not any("does not fit" in line for line in said)


def test_what_is_shorter_is_said_before_the_first_trial(study: Path) -> None:
    _, said = trial(scheduled(study, '"step", step_size = 4'))
    assert said == ["schedule of a trial step with step_size 1 for 4  (baseline)"]


def test_a_schedule_that_spans_the_run_needs_nothing_said(study: Path) -> None:
    assert trial(scheduled(study, '"cosine"')) == ({"t_max": None, "eta_min": 0.0}, [])


def test_with_the_whole_budget_nothing_is_shorter(study: Path) -> None:
    settings, said = trial(
        scheduled(study, '"torch:MultiStepLR", milestones = [6, 9]', tune=TUNE.replace("0.25", "1.0"))
    )
    assert (settings, said) == ({"milestones": [6, 9]}, [])


def test_a_length_that_is_not_marked_is_reported_by_where_trials_end(study: Path) -> None:
    settings, said = trial(scheduled(study, '"unmarked"'))
    assert settings == {"after": 6}
    (line,) = said
    assert line.startswith("warning: unmarked does not fit into trials (baseline): they end at 100% of the highest")
    assert line.endswith("the variant's own runs at 10%")


@pytest.mark.parametrize("size", [10, 11])
def test_rounding_that_leaves_a_trial_without_its_decay_is_reported(study: Path, size: int) -> None:
    _, said = trial(scheduled(study, f'"step", step_size = {size}'))
    assert any("warning: step does not fit into trials" in line for line in said) == (size == 11)


def test_a_length_that_is_tuned_is_meant_for_the_whole_run(study: Path) -> None:
    scheduled(study, '"step", step_size = 4')
    assert trial(study, **{"scheduler.step_size": 8})[0]["step_size"] == 2


def test_a_tuning_with_shorter_schedules_is_in_the_report_and_is_dropped_once_they_change(study: Path) -> None:
    notes: list[str] = []
    scheduled(study, '"step", step_size = 2', 4, TUNE.replace("0.25", "0.5"))
    assert CliRunner().invoke(app, ["tune", str(study)]).exit_code == 0
    run_here(study)

    def records() -> Any:
        return read_records(*find_study(Store(Path("ablate-store").resolve()), "tiny", None), notes.append)

    found = records()
    part = tuning_part(found.results)
    assert part is not None
    facts = {fact.label: filters.value(fact) for fact in part.budget}
    assert facts["schedule of a trial"].replace("\u00a0", " ") == "step_size 1 for the variant’s 2"
    study.write_text(study.read_text().replace("step_size = 2", "step_size = 3"))
    run_here(study)
    assert notes == []
    assert records().results.tunings == ()
    assert "has changed since it was tuned" in notes[0]


def test_a_tuning_that_was_recorded_without_lengths_still_reads(study: Path) -> None:
    scheduled(study, '"cosine"', 4, TUNE.replace("0.25", "0.5"))
    assert CliRunner().invoke(app, ["tune", str(study)]).exit_code == 0
    run_here(study)
    file = Path("ablate-store/tuning/tiny.json")
    document = json.loads(file.read_text())
    for variant in document["variants"]:
        assert variant.pop("shortened") == {}
    file.write_text(json.dumps(document))
    assert len(read_records(*find_study(Store(Path("ablate-store").resolve()), "tiny", None)).results.tunings) == 2
