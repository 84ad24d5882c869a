"""Commands on a study over several datasets, its report, and the same from Python."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ablate as library
from ablate.api.over import gather_over
from ablate.commands.over_datasets import in_turn
from ablate.commands.over_report import write_over_report
from ablate.commands.report_files import Form
from ablate.console.text import say_json
from ablate.report.over_datasets import render_over
from ablate.stats.over_datasets import FEWEST_FOR_RANKS
from ablate.store.over import StudyOver, find_over
from ablate.store.store import Store
from tests.conftest import TINY
from tests.over import REST, drawn, planted_over, text
from tests.planted import plant
from tests.support import ablate, contents

if TYPE_CHECKING:
    from tests.conftest import Write


@pytest.fixture
def over(write: Write) -> Path:
    """A study over three datasets that was run, with what was to come of it."""
    write("plugins/tiny.py", TINY)
    study = write("over.toml", text())
    planted_over(study)
    return study


@pytest.fixture
def enough(write: Write) -> Path:
    """The same over as many datasets as ranks take."""
    write("plugins/tiny.py", TINY)
    study = write("over.toml", text(FEWEST_FOR_RANKS))
    planted_over(study)
    return study


def said(*arguments: object) -> dict[str, Any]:
    done = ablate(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_running_trains_each_dataset_once_and_ends_with_the_verdicts_over_all(write: Write) -> None:
    write("plugins/tiny.py", TINY)
    content = text(2, seeds=2)
    done = ablate("run", write("over.toml", content), "--jobs", "1", "--device", "cpu")
    assert done.exit_code == 0, done.stderr
    assert "2 datasets, 16 runs, 16 to make" in done.stderr
    assert re.search(r"good against baseline .*, 2 datasets\)", done.stdout)
    page, markdown = (Path(f"reports/over/report.{kind}").read_text() for kind in ("html", "md"))
    for name in ("d0", "d1"):
        assert f'href="../over-{name}/report.html"' in page
        assert f"[{name}](../over-{name}/report.md)" in markdown
        assert Path(f"reports/over-{name}/report.html").is_file()
    # What ran as a part is the same as in an ordinary study, and is not run again.
    listed = next(line for line in content.splitlines() if line.startswith("datasets"))
    alone = content.replace(listed, "").replace('name = "over"', 'name = "alone"')
    alone = alone.replace("[baseline]\n", '[baseline]\ndataset = { use = "tiny", images = 80 }\n')
    assert {run["state"] for run in said("plan", write("alone.toml", alone))["runs"]} == {"stored"}


@pytest.mark.slow
def test_a_network_that_cannot_take_one_dataset_is_found_before_anything_is_trained(write: Write) -> None:
    write("plugins/tiny.py", TINY + FUSSY)
    content = text(2, seeds=1).replace('use = "simple-cnn", width = 4, hidden = 8', 'use = "fussy"')
    content = content.replace('{ use = "tiny", name = "d1", images = 80 }', '{ use = "large" }')
    study = write("over.toml", content)
    done = ablate("run", study, "--jobs", "1", "--device", "cpu", "--no-report")
    assert done.exit_code == 2
    assert "over.toml (large): " in done.stderr
    assert "takes images of 8 pixels" in done.stderr
    assert "over-d0: " not in done.stderr
    done = ablate("run", study, "--jobs", "1", "--device", "cpu", "--no-report", "--dataset", "d0")
    assert done.exit_code == 0, done.stderr
    assert library.results("over-d0").runs["state"].eq("stored").all()


def test_a_dataset_that_fails_stops_no_other_and_a_signal_stops_all(capsys: pytest.CaptureFixture[str]) -> None:
    ends: dict[str, int | library.AblateError] = {
        "a": 1,
        "b": library.InputError("b is gone"),
        "c": 0,
        "d": 130,
        "e": 0,
    }
    began = []

    def act(name: str) -> int:
        began.append(name)
        end = ends[name]
        if isinstance(end, library.AblateError):
            raise end
        say_json({"of": name})
        return end

    code, documents = in_turn(["a", "b", "c"], act, json=True)
    assert (code, began) == (1, ["a", "b", "c"])
    assert documents == {"a": {"of": "a"}, "b": {"error": "b is gone"}, "c": {"of": "c"}}
    assert "not done: b (1 of 3 datasets)" in capsys.readouterr().err
    assert in_turn(["c", "d", "e"], act, json=True)[0] == 130
    assert began[-1] == "d"


FUSSY = '''

@dataset("large")
def large(folder: Path) -> Source:
    """Stripes, twice as large."""

    def load():
        small = tiny(folder).load()
        return {name: Split(one.images.repeat(2, 2).repeat(2, 3), one.labels) for name, one in small.items()}

    return Source.of(load)


from torch import nn
from ablate import model


@model("fussy")
def fussy(shape, classes: int):
    """A network for images of 8 pixels."""
    if shape.height != 8:
        raise ValueError("takes images of 8 pixels")
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
'''


def test_verdict_says_each_dataset_and_all_and_takes_some_of_them(over: Path) -> None:
    done = ablate("verdict", "over")
    assert done.exit_code == 0
    for place, name in enumerate(("d0", "d1", "d2"), 1):
        assert f"── {name} ({place} of 3)" in done.stdout
    last = done.stdout.partition("── over 3 datasets: d0, d1, d2")[2]
    assert re.search(r"good against baseline .*\(.*, 3 datasets\)", last)
    assert "no test of ranks can be below 0.05" in last
    found = said("verdict", over, "--dataset", "d0", "--dataset", "d2")
    assert list(found["datasets"]) == ["d0", "d2"]
    assert found["over all"]["comparisons"][0]["mean"]["datasets"] == 2
    assert "over all" not in said("verdict", "over", "--dataset", "d1")
    assert ablate("verdict", "over-d1").exit_code == 0


def test_the_last_study_is_all_datasets_of_its_file(over: Path) -> None:
    done = ablate("verdict")
    assert "── over 3 datasets" in done.stdout
    assert ablate("status", over).stdout.count("── d") == 3


def test_a_dataset_of_the_pilot_that_was_run_last_is_found(write: Write) -> None:
    write("plugins/tiny.py", TINY)
    planted_over(write("over.toml", text(2, seeds=1)), pilot=True)
    assert "d1" in said("status", "over", "--dataset", "d1")["study"]
    assert said("verdict", "--dataset", "d1")["study"] == "over-d1"


def test_an_edit_that_one_dataset_was_run_with_is_told(over: Path) -> None:
    line = "baseline (epochs 2 on d1, and elsewhere 1)"
    assert line not in ablate("verdict", over).stderr
    plant(library.load_study(over, dataset="d1", settings={"baseline.epochs": 2}, device="cpu"), drawn(1))
    assert line in ablate("verdict", over).stderr
    assert line in said("verdict", over)["over all"]["open"][0]


def test_another_metric_is_compared_over_all_too(over: Path) -> None:
    done = ablate("verdict", over, "--metric", "test/loss")
    assert "good is better than baseline on 3 of 3 datasets, worse on 0." in done.stdout
    assert "on no common scale" in done.stdout
    assert "signs" not in done.stdout


def test_the_report_says_the_grid_in_numbers_and_where_each_datasets_own_is(over: Path) -> None:
    done = ablate("report", over, "--format", "json,csv")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[:3] == [f"reports/over/{name}" for name in REPORT]
    assert Path("reports/over-d1/report.json").is_file()
    found = json.loads(Path("reports/over/report.json").read_text())
    good, _, mixed = found["comparisons"]
    assert (good["candidate"], good["verdict"]) == ("good", "helped")
    assert good["mean"]["difference"] == pytest.approx(sum(one["difference"] for one in good["on"].values()) / 3)
    assert "It is not the same everywhere: it helped on d0, d2 and hurt on d1" in mixed["text"]
    with Path("reports/over/datasets.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == 4 * 3
    assert float(rows[0]["mean"]) == found["variants"][0]["on"]["d0"]["mean"]
    Path("reports/over-d1/report.html").touch()
    gathered = gather_over(study_over("over"), lambda record: library.results(record.name)._records)
    html, markdown, *_ = write_over_report(gathered, Form(("html", "md")))
    assert 'href="../over-d1/report.html"' in html.read_text()
    assert "over-d0/report.html" not in html.read_text()  # which nobody wrote
    assert found["answer"].replace("\xa0", " ") in unmarked(markdown)
    assert "There are no ranks: with 3 datasets" in unmarked(markdown)


REPORT = ("report.json", "datasets.csv", "comparisons.csv")


def study_over(name: str) -> StudyOver:
    found = find_over(Store(Path("ablate-store")), name, pilot=False)
    assert found is not None
    return found


def unmarked(file: Path) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[\\*]", "", file.read_text()))


def test_with_enough_datasets_there_are_ranks_and_interquartile_means(enough: Path) -> None:
    found = library.over_datasets(enough)
    (file,) = found.report("out", ["md"])
    assert found.ranks is not None
    assert set(found.interquartile_means) == {"baseline", "good", "bad", "mixed"}
    assert found.comparison("good").p_ranks == pytest.approx(3 * 2 / 2**FEWEST_FOR_RANKS)
    assert "critical difference" in file.read_text()
    assert "signed ranks, adjusted over 3 comparisons, is 0.094 at best: it takes 7 to decide" in unmarked(file)
    assert Path("out/figures/ranks.svg").is_file()
    told = (Path(__file__).parents[1] / "docs/datasets.md").read_text()
    assert [key for key in found.document() if f"`{key}`" not in told] == []


@pytest.mark.slow
def test_every_form_says_the_ranks_and_is_the_same_every_time(enough: Path) -> None:
    forms = ["html", "md", "tex", "json", "csv"]
    library.over_datasets(enough).report("one", forms)
    library.over_datasets("over").report("two", forms)
    assert contents(Path("one")) == contents(Path("two"))
    page, markdown, tex = (Path(f"one/report.{kind}").read_text() for kind in ("html", "md", "tex"))
    for made in (page, markdown, tex):
        assert "critical difference" in made
        assert "demsar2006statistical" in made
    assert 'id="figure-ranks"' in page
    assert "<script" not in page
    assert "figures/ranks.pdf" in tex


def test_a_dataset_that_was_not_run_is_said_and_the_others_are_compared(write: Write) -> None:
    write("plugins/tiny.py", TINY)
    study = write("over.toml", text(4))
    planted_over(study, leave=["d1"])
    done = ablate("report", "over", "--format", "json")
    assert "Not run yet: d1." in done.stderr
    found = json.loads(Path("reports/over/report.json").read_text())
    assert [part["planned"] for part in found["datasets"]] == [12, 0, 12, 12]
    assert found["comparisons"][0]["mean"]["per_dataset"].keys() == {"d0", "d2", "d3"}


def test_python_reads_the_same_and_compares_studies_that_were_apart(over: Path) -> None:
    found = library.over_datasets("over")
    good = found.comparison("good")
    assert good.mean is not None
    assert good.mean.mean == pytest.approx(sum(one.mean for one in good.on.values()) / 3)
    runs = library.results("over-d1").runs
    assert found.table.loc["good", "d1"] == pytest.approx(runs[runs["variant"] == "good"]["test/accuracy"].mean())
    assert found.document()["answer"].startswith("Over 3 datasets with results (d0, d1, d2), on test accuracy")
    two = library.over_datasets({"first": library.results("over-d0"), "second": library.results("over-d1")})
    assert two.comparison("mixed", "baseline").datasets == ("first", "second")
    assert [file.name for file in two.report("out", ["html"])] == ["report.html"]
    with pytest.raises(library.InputError, match="plans no such comparison\n  it plans good against baseline"):
        found.comparison("baseline")
    with pytest.raises(library.InputError, match="is a study over datasets, and one of its datasets is to be named"):
        library.results("over")


def test_names_that_would_do_harm_are_escaped_in_every_form(over: Path, attacks: dict[str, str]) -> None:
    made = library.over_datasets("over")._report
    texts = list(attacks.values())
    named = dict(zip(made.names, texts, strict=False))
    parts = tuple(replace(part, dataset=named[part.dataset], study=texts[4]) for part in made.datasets)
    cells = tuple(replace(cell, dataset=named[cell.dataset]) for cell in made.rows[1].cells if cell)
    rows = tuple(replace(made.rows[1], variant=attack, cells=cells, index=at) for at, attack in enumerate(texts))
    compared = tuple(
        replace(one, candidate=attack, on={named[name]: of for name, of in one.on.items()})
        for one, attack in zip(made.comparisons, texts, strict=False)
    )
    facts = replace(made, title=texts[0], note=tuple(texts), datasets=parts, rows=rows, comparisons=compared)
    render_over(facts, ["html", "md", "tex", "csv"], Path("out"), dict.fromkeys(named.values(), "../x/report.html"))
    page, tex = (Path(f"out/report.{kind}").read_text() for kind in ("html", "tex"))
    assert not re.search(r"<script|<img|<[^>]* onmouseover=|href=\"javascript", page)
    assert not re.search(r"\\input\{/etc|\\write18|\n\\end\{document\}.", tex)
    assert not re.search(r"(?m)^[=+@]|,[=+@]", Path("out/datasets.csv").read_text())


@pytest.mark.slow
def test_digits_and_cifar100_are_one_study(write: Write, cifar100: Path) -> None:
    head = '[study]\nname = "two"\nseeds = 2\ndatasets = [{ use = "digits", train = 400, test = 200 }, '
    head += '{ use = "cifar100", train = 400, test = 200 }]\n'
    study = write("two.toml", head + REST)
    done = ablate("run", study, "--device", "cpu", "--data-dir", cifar100)
    assert done.exit_code == 0, done.stderr
    found = library.over_datasets("two")
    assert found.datasets == ("digits", "cifar100")
    assert found.table.notna().all().all()
