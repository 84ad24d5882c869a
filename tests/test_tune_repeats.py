"""Tuning over few settings: none is tried twice, it ends when all were tried, and repeats count once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from typer.testing import CliRunner

from ablate.cli import app
from ablate.components.contracts import Range, Space, Values
from ablate.console.tuning import TuningLines, row, trial_text
from ablate.report import filters
from ablate.report.tuning import tuning_part
from ablate.stats.results import Results
from ablate.stats.trials_frame import trials_frame
from ablate.stats.tunings import outcomes
from ablate.store.store import Store
from ablate.study.spec import Choice, Recipe, Study, Variant
from ablate.tune.records import TrialRecord, VariantTuning, load_tunings, size_of

if TYPE_CHECKING:
    from typer.testing import Result

TUNE = """
[tune]
trials = 20
pruner = "none"
sampler = "SAMPLER"
[tune.settings]
"model.hidden" = { values = [4, 8] }
"model.width" = { low = 2, high = 6, step = 2 }
"""


def tune(study: Path, sampler: str, *more: str) -> Result:
    text = TUNE.replace("SAMPLER", sampler)
    text = text.replace("trials = 20\n", "") if sampler == "grid" else text  # a grid says itself how many there are
    study.write_text(study.read_text().partition("[tune]")[0] + text)
    return CliRunner().invoke(app, ["tune", str(study), "--jobs", "1", "--only", "baseline", *more])


def found() -> VariantTuning:
    (tuning,) = load_tunings(Store(Path("ablate-store")), "tiny")
    return tuning


@pytest.mark.parametrize("sampler", ["random", "tpe", "grid"])
def test_a_space_with_an_end_is_tried_whole_and_each_setting_once(study: Path, sampler: str) -> None:
    # The study's own hidden 8 and width 4 is one of the six.
    done = tune(study, sampler)
    assert done.exit_code == 0, done.stderr
    tuning = found()
    tried = sorted((t.settings["model.hidden"], t.settings["model.width"]) for t in tuning.trials)
    assert tried == [(hidden, width) for hidden in (4, 8) for width in (2, 4, 6)]
    assert (tuning.repeats, tuning.exhausted, tuning.wanted) == ({}, 6, 6)
    assert "exhausted: baseline: all 6 settings of its space were tried" in done.stderr
    assert "6 of 6" in done.stdout
    again = tune(study, sampler, "--json")
    assert "nothing to make" in again.stderr
    (variant,) = json.loads(again.stdout)["variants"]
    assert (len(variant["trials"]), variant["exhausted"]) == (6, True)


def test_a_default_outside_the_space_is_one_more(study: Path) -> None:
    study.write_text(study.read_text().replace("hidden = 8", "hidden = 16"))
    assert tune(study, "random").exit_code == 0
    assert (len(found().trials), found().exhausted) == (7, 6)


# What was recorded with repeats, as by a version before this one


def trial(number: int, hidden: int, value: float, **more: object) -> TrialRecord:
    made = TrialRecord(number, "done", {"model.hidden": hidden}, (value,), (value,), 2, 10.0, f"key{hidden}")
    return replace(made, **more)  # type: ignore[arg-type]


SPACE = {"model.hidden": Values((4, 8, 12))}
NOTHING = (pd.DataFrame(columns=["variant", "seed", "state"]), pd.DataFrame())
SIX = VariantTuning(
    "baseline", "digest", ("validation/accuracy",), SPACE, 50, 1000, 2, 2, "random", "none",
    (
        trial(0, 8, 0.5, default=True), trial(1, 4, 0.1), trial(2, 8, 0.5), trial(3, 12, 0.9), trial(4, 12, 0.9),
        trial(5, 12, 0.9),
    ),
)  # fmt: skip


def test_repeats_are_reported_as_what_they_repeat() -> None:
    assert SIX.repeats == {2: 0, 4: 3, 5: 3}
    assert trial_text(SIX, SIX.trials[4]).startswith("repeat   baseline, trial 4: the same run as trial 3")
    assert trial_text(SIX, SIX.trials[3]).startswith("done     baseline, trial 3: 90.00")


def test_progress_summary_report_and_csv_count_each_run_once() -> None:
    assert (SIX.exhausted, SIX.wanted, TuningLines([SIX]).total) == (3, 6, 6)
    assert row(SIX)[1:3] == ["6 of 6", "3"]
    baseline = Variant("baseline", Recipe(2, 8, Choice("tiny"), Choice("mlp"), Choice("sgd")))
    part = tuning_part(Results(Study("s", "S", (baseline,), (0,)), *NOTHING, (SIX,)))
    assert part is not None
    assert filters.trials(part.rows[0]).replace("\u00a0", " ") == "6: 3 done, 3 repeats, all 3 settings tried"
    assert outcomes(SIX) == [0.5, 0.1, 0.9]
    frame = trials_frame([SIX])
    assert frame["trial_seconds"].dropna().sum() == 30.0
    assert frame["repeats"].tolist() == [None, None, 0, None, 3, 3]


def test_of_the_trials_of_one_run_the_one_that_is_done_counts() -> None:
    pruned = trial(1, 4, 0.1, state="pruned", values=())
    tuning = replace(SIX, trials=(pruned, trial(2, 4, 0.2)))
    assert tuning.repeats == {1: 2}
    assert [t.number for t in tuning.done] == [2]


def test_trials_without_a_run_yet_repeat_nothing() -> None:
    asked = (trial(0, 4, 0.1, key="", state="running"), trial(1, 4, 0.1, key="", state="running"))
    assert replace(SIX, trials=asked).repeats == {}


@pytest.mark.parametrize(
    ("space", "size"),
    [
        ({"a": Values((1, 2, 3)), "b": Range(0, 4, step=2)}, 9),
        ({"a": Range(2, 5)}, 4),
        ({"a": Range(2, 5, log=True)}, 4),
        ({"a": Range(0.0, 1.0, step=0.1)}, 11),
        ({"a": Range(0.0, 1.0)}, None),
        ({"a": Values((1, 2)), "b": Range(1e-4, 1.0, log=True)}, None),
        ({"a": Range(1, 20_000)}, None),
    ],
)
def test_a_space_has_as_many_settings_as_it_has(space: Space, size: int | None) -> None:
    assert size_of(space) == size
