"""`ablate.load_study` and `ablate.plan`: a study in Python, from its file or from a dict."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import ablate
from ablate.cli import app
from ablate.errors import InputError, StudyError

Write = "Callable[[str, str], Path]"


def given(study: Path, **changes: Any) -> dict[str, Any]:
    """Return a study as a dict, with parts of it changed."""
    return {**tomllib.loads(study.read_text()), **changes}


def test_a_file_and_a_dict_of_the_same_form_are_the_same_runs(study: Path) -> None:
    read, made = ablate.load_study(study), ablate.load_study(given(study))
    assert [spec.key for spec in read.specs] == [spec.key for spec in made.specs]
    assert (made.name, made.title, made.variants, made.seeds) == ("tiny", "tiny", ("baseline", "flipped"), (0, 1))
    assert made.metric == "test/accuracy"
    assert [(pair.candidate, pair.reference) for pair in made.comparisons] == [("flipped", "baseline")]


def test_problems_of_a_dict_are_those_of_a_file_without_line_numbers(study: Path) -> None:
    wrong = {"epochs": 2, "batch_size": 16, "dataset": {"use": "tinny"}, "model": {"use": "simple-cnn", "widht": 4}}
    text = study.read_text()
    study.write_text(text.replace('"tiny", validation', '"tinny", validation').replace("width", "widht"))
    with pytest.raises(StudyError) as of_file:
        ablate.load_study(study)
    with pytest.raises(StudyError) as of_dict:
        ablate.load_study(given(study))
    assert [(p.where, p.what) for p in of_dict.value.problems] == [(p.where, p.what) for p in of_file.value.problems]
    assert str(of_dict.value).startswith("study 'tiny': 2 problems\n  baseline: dataset.use")
    assert "  line " not in str(of_dict.value)
    with pytest.raises(StudyError, match=r"the table \[study\] is missing"):
        ablate.load_study({"baseline": wrong})


def test_problems_of_settings_are_reported_as_those_of_the_command_line(study: Path) -> None:
    with pytest.raises(StudyError, match=r"study 'tiny': 1 problem\n  --set  baseline\.epoch"):
        ablate.load_study(given(study), settings=["baseline.epoch=2"])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "a NoneType cannot be part of a study; leave the key out"),
        ({1: 2}, "1 is not a string"),
        (print, "cannot"),
    ],
)
def test_what_a_study_file_cannot_hold_is_refused_by_place(study: Path, value: Any, said: str) -> None:
    with pytest.raises(ablate.InputError, match=rf"^the study: baseline\.model\.width: .*{said}"):
        ablate.load_study(given(study, baseline={"model": {"width": value}}))


def test_numbers_of_numpy_and_paths_stand_for_plain_ones(study: Path) -> None:
    written = given(study)
    plain = [spec.key for spec in ablate.load_study(written).specs]
    written["baseline"]["epochs"] = np.int64(2)
    written["baseline"]["optimizer"]["lr"] = np.float32(1e-2).astype(np.float64).round(9)
    written["study"]["plugins"] = (Path("plugins/tiny.py"),)
    assert [spec.key for spec in ablate.load_study(written).specs] == plain


def test_changes_choose_and_replace(study: Path) -> None:
    loaded = ablate.load_study(study, settings=["baseline.epochs=1"], seeds=[3, 5], only=["flipped"])
    assert [(s.variant, s.seed, s.recipe.epochs) for s in loaded.asked] == [("flipped", 3, 1), ("flipped", 5, 1)]
    assert ablate.load_study(study, seeds=3).seeds == (0, 1, 2)
    with pytest.raises(ablate.InputError, match="there is no variant 'fliped'; did you mean 'flipped'"):
        ablate.load_study(study, only="fliped")
    with pytest.raises(ablate.InputError, match="neither a number of seeds nor a list"):
        ablate.load_study(study, seeds=[1, 1])
    with pytest.raises(ablate.InputError, match="there is no such device"):
        ablate.load_study(study, device="tpu")


def test_settings_are_a_mapping_or_texts(study: Path) -> None:
    model = {"use": "simple-cnn", "width": 4, "hidden": 9}
    changed = {"baseline.epochs": 1, "baseline.model": model, "baseline.optimizer.lr": np.float64(0.5)}
    loaded = ablate.load_study(study, settings=changed)
    texts = ["baseline.epochs=1", "baseline.model={use='simple-cnn', width=4, hidden=9}", "baseline.optimizer.lr=0.5"]
    assert [s.key for s in loaded.specs] == [s.key for s in ablate.load_study(study, settings=texts).specs]
    with pytest.raises(ablate.InputError, match="a NoneType cannot be part of a study"):
        ablate.load_study(study, settings={"baseline.ema": None})


def test_a_name_where_a_file_is_wanted_leads_to_its_results(study: Path) -> None:
    ablate.run(study, executor="inline")
    with pytest.raises(
        ablate.InputError, match=r"tiny: no such file; .* has a study of this name\n.*results\('tiny'\)"
    ):
        ablate.load_study("tiny")
    with pytest.raises(ablate.InputError, match=r"other: no such file; there are tiny\.toml"):
        ablate.load_study(str(study.parent / "other"))


def test_loading_and_planning_say_and_write_nothing(study: Path, capfd: pytest.CaptureFixture[str]) -> None:
    frame = ablate.plan(ablate.load_study(study))
    assert list(frame.columns) == ["variant", "seed", "state", "why", "seconds", "key"]
    assert list(frame["state"]) == ["new"] * 4
    assert list(frame["why"]) == ["not run yet"] * 4
    assert all(math.isnan(seconds) for seconds in frame["seconds"])
    assert capfd.readouterr() == ("", "")
    assert not Path("ablate-store").exists()


def test_the_plan_is_that_of_the_command(study: Path) -> None:
    done = CliRunner().invoke(app, ["plan", str(study), "--json"])
    said = {(run["variant"], run["seed"]): run["key"] for run in json.loads(done.stdout)["runs"]}
    frame = ablate.plan(study)
    assert dict(zip(zip(frame["variant"], frame["seed"], strict=True), frame["key"], strict=True)) == said


def test_a_notebook_shows_a_study_with_every_text_escaped(study: Path) -> None:
    study.write_text(study.read_text().replace('name = "flipped"', 'name = "<b>flipped"'))
    loaded = ablate.load_study(study)
    assert repr(loaded) == "<study 'tiny': 4 runs of 'baseline', '<b>flipped'>"
    html = loaded._repr_html_()
    assert "&lt;b&gt;flipped" in html
    assert "augmentation.flip none → flip" in html
    assert "<b>flipped" not in html


@pytest.mark.parametrize(
    "seeds",
    [10**9, 10**5000, [2**70], True, [False], [np.bool_(True)], 1.5, "01", range(2000), -1],
    ids=lambda seeds: type(seeds).__name__,
)
def test_what_are_no_seeds_is_refused_before_they_are_counted_out(study: Path, seeds: Any) -> None:
    with pytest.raises(InputError, match="seeds"):
        ablate.load_study(study, seeds=seeds)


def test_seeds_may_be_numpys(study: Path) -> None:
    count: Any = np.int64(2)
    listed: Any = np.arange(1, 3)
    assert ablate.load_study(study, seeds=count).seeds == (0, 1)
    found = ablate.load_study(study, seeds=listed).seeds
    assert found == (1, 2)
    assert {type(seed) for seed in found} == {int}


def within_itself() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["model"] = found
    return found


def deep() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(2000):
        found = {"a": found}
    return found


@pytest.mark.parametrize(
    "value",
    [
        {0: 1}, {False: 1}, {None: 1}, np.array(None), np.complex64(1), np.bytes_(b"a"), 10**5000, 2**63,
        within_itself(), deep(),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_no_study_can_hold_is_an_input_error(study: Path, value: Any) -> None:
    with pytest.raises(InputError):
        ablate.load_study(given(study, baseline=value))


@pytest.mark.parametrize("source", [None, [1], b"study.toml", 3])
def test_what_is_no_study_is_refused(source: Any) -> None:
    with pytest.raises(InputError, match="accepts the path of a study file, or a dict"):
        ablate.load_study(source)


@pytest.mark.parametrize(
    "asked", [{"device": None}, {"device": 3}, {"store": 3}, {"store": "a\0"}, {"data_dir": 3}, {"only": [3]}]
)
def test_arguments_of_the_wrong_type_are_input_errors(study: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        ablate.load_study(study, **asked)
