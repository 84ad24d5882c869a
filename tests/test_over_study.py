"""`datasets` of a study: one ordinary study for each, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ablate as library
from ablate.study.toml import Changes, parse_study
from tests.conftest import STUDY, TINY
from tests.over import text
from tests.support import ablate

if TYPE_CHECKING:
    from tests.conftest import Write

DATASET = 'dataset = { use = "tiny", validation = 16 }\n'


@pytest.fixture
def over(write: Write) -> Path:
    """A study over three datasets, of which nothing was run."""
    write("plugins/tiny.py", TINY)
    return write("over.toml", text())


def listed(datasets: str, *settings: str, rest: str = "") -> str:
    """Return the tiny study with a list of datasets in place of its own."""
    return STUDY.replace("seeds = 2\n", f"seeds = 2\ndatasets = {datasets}\n").replace(DATASET, "") + rest


def problems(content: str, *settings: str, dataset: str = "") -> str:
    reading = parse_study(content, Path("s.toml"), Changes(settings, dataset=dataset))
    return "\n".join(f"{one.line} {one.where}: {one.what} {one.hint}" for one in reading.problems)


def test_each_dataset_is_the_ordinary_study_that_it_would_be_alone_with_the_same_keys(
    study: Path, write: Write
) -> None:
    content = listed('["digits", { use = "tiny", validation = 16 }]')
    parts = library.load_datasets(write("over.toml", content))
    assert {name: one.name for name, one in parts.items()} == {"digits": "tiny-digits", "tiny": "tiny-tiny"}
    alone = library.load_study(study)
    assert [spec.key for spec in parts["tiny"].specs] == [spec.key for spec in alone.specs]
    assert parts["digits"].study.variants[0].recipe.dataset.use == "digits"


def test_datasets_of_one_kind_are_told_apart_by_name_and_keep_their_settings(over: Path) -> None:
    parts = library.load_datasets(over)
    assert [one.study.variants[1].recipe.dataset.settings["images"] for one in parts.values()] == [64, 80, 96]
    assert parts["d1"].title == "Over datasets: d1"


def test_a_setting_of_the_command_line_holds_for_every_dataset(over: Path) -> None:
    parts = library.load_datasets(over, settings=["baseline.dataset.validation=8"])
    assert {one.study.variants[0].recipe.splits.validation for one in parts.values()} == {8}


def test_a_task_takes_its_data_as_settings_and_no_dataset_by_name() -> None:
    content = """
[study]
name = "t"
metric = "test/r2"
direction = "maximize"
datasets = [{ name = "a", csv = "a.csv" }, { name = "b", csv = "b.csv" }]
[baseline]
task = { use = "program", run = "train.py" }
"""
    reading = parse_study(content, Path("s.toml"), Changes(dataset="b"))
    assert reading.study.variants[0].recipe.task.settings == {"run": "train.py", "csv": "b.csv"}
    assert "a task has no datasets by name" in problems(content.replace('{ name = "a", csv = "a.csv" }', '"a"'))
    named = problems(content.replace('name = "a", csv', "csv"), dataset="b")
    assert "is to have a name" in named


def test_a_study_over_datasets_is_none_by_itself_and_says_how_to_take_one(over: Path) -> None:
    with pytest.raises(library.InputError, match=r"is a study over 3 datasets: d0, d1, d2\n.*--dataset NAME"):
        library.load_study(over)
    assert library.load_study(over, dataset="d2").name == "over-d2"


@pytest.mark.parametrize(
    ("datasets", "said"),
    [
        ('["digits"]', "1 dataset: it takes two or more"),
        ("[]", "no dataset: it takes two or more"),
        ('"digits"', "is no list of datasets"),
        ('["tiny", { use = "tiny", images = 32 }]', "there are two datasets 'tiny'"),
        ('["tiny", { use = "tiny", name = "again" }]', "'again' is the same data as 'tiny': it would count twice"),
        ('["tiny", { images = 32 }]', "'use' is missing"),
        ('["tiny", { use = "tiny", name = "a/b" }]', '"a/b" cannot name a dataset'),
        ('["tiny", { use = 3 }]', "'use' is 3"),
    ],
)
def test_a_list_that_is_wrong_is_refused_with_its_line(datasets: str, said: str) -> None:
    told = problems(listed(datasets), dataset="tiny" if "tiny" in datasets else "digits")
    assert said in told
    assert told.startswith("5 study: datasets")


@pytest.mark.parametrize(
    ("content", "settings", "where"),
    [
        (STUDY.replace("seeds = 2\n", 'seeds = 2\ndatasets = ["a", "b"]\n'), (), "baseline: dataset"),
        (listed('["a", "b"]', rest='set = { dataset = { use = "c" } }\n'), (), 'variant "flipped": set.dataset'),
        (listed('["a", "b"]', rest='[factor.data]\nset = { dataset = { use = "c" } }\n[design]\nkind = "factorial"\n'),
         (), 'factor "data": set.dataset'),
        (listed('["a", "b"]'), ("baseline.dataset.use=c",), "baseline.dataset.use"),
    ],
)  # fmt: skip
def test_a_dataset_named_beside_the_list_is_refused(content: str, settings: tuple[str, ...], where: str) -> None:
    told = problems(content, *settings, dataset="a").replace("'", '"')
    assert where in told
    assert "list" in told


def test_an_unknown_dataset_is_named_with_the_nearest_and_its_own_line(write: Write, study: Path) -> None:
    write("over.toml", listed('[\n  "tiny",\n  { use = "digitz" },\n]'))
    done = ablate("plan", "over.toml")
    assert done.exit_code == 2
    assert "over.toml (digitz): 1 problem" in done.stderr
    assert "did you mean 'digits'" in done.stderr
    assert "line 7" in done.stderr
    assert "── tiny (1 of 2)" in done.stdout  # which is planned all the same


def test_dataset_on_the_command_line_is_one_of_the_list(over: Path, study: Path) -> None:
    done = ablate("plan", over, "--dataset", "d-1")
    assert done.exit_code == 2
    assert "'d-1' is none of the study's datasets; did you mean 'd1'?" in done.stderr
    done = ablate("plan", study, "--dataset", "d1")
    assert done.exit_code == 2
    assert "has no list of datasets" in done.stderr


def test_what_is_wrong_on_all_datasets_alike_is_said_once_and_nothing_is_trained(write: Write, over: Path) -> None:
    over.write_text(over.read_text().replace("lr = 1e-5", "lrr = 1e-5"))
    done = ablate("run", over)
    assert done.exit_code == 2
    assert done.stderr.count("no setting 'lrr'") == 1
    assert not Path("ablate-store").exists()
