"""`ablate report A B`: two studies, or one study in two stores, side by side."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ablate as library
from ablate.commands.run import run_study
from ablate.launch.make import RunOptions
from ablate.launch.study import Options
from tests.conftest import STUDY
from tests.support import Draws, ablate

if TYPE_CHECKING:
    from tests.conftest import Write


def drawn(study: Path, store: str, **effects: float) -> None:
    """Draw the results of a study's runs into a store."""
    options = Options(study, Path(store).resolve(), Path("data").resolve(), device="cpu")
    assert run_study(options, RunOptions(jobs=1), Draws(effects, spread=0.002)) == 0


def sides(*arguments: object, **options: str) -> dict[str, Any]:
    """Set two sides side by side, and return the JSON of it."""
    more = [part for name, value in options.items() for part in (f"--{name}", value)]
    done = ablate("report", *arguments, *more, "--format", "json,html,md")
    assert done.exit_code == 0, done.stderr
    written = [Path(line) for line in done.stdout.splitlines()]
    assert [file.name for file in written] == ["sides.json", "sides.html", "sides.md"]
    found: dict[str, Any] = json.loads(written[0].read_text())
    return found | {"html": plain(written[1].read_text()), "md": plain(written[2].read_text()), "err": done.stderr}


def called(name: str, *more: str) -> str:
    """Return the tiny study under another name, with more lines below it."""
    return STUDY.replace('name = "tiny"', "\n".join([f'name = "{name}"', *more]), 1)


def plain(text: str) -> str:
    return " ".join(html.unescape(text).replace("\xa0", " ").split())


def pair(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = (one for one in found["variants"] if one["candidate"] == name)
    return dict(one)


def test_one_study_in_two_stores_has_each_sides_numbers_the_difference_and_its_verdict(
    study: Path, write: Write
) -> None:
    study.write_text(STUDY.replace("seeds = 2", "seeds = 4"))
    drawn(study, "before")
    drawn(study, "after", flipped=0.1)
    found = sides("before", "after")
    assert [found[side]["study"] for side in ("reference", "candidate")] == ["tiny", "tiny"]
    flipped = pair(found, "flipped")
    numbers = [found[side]["estimates"]["flipped"]["mean"] for side in ("reference", "candidate")]
    assert flipped["comparison"]["difference"] == pytest.approx(numbers[1] - numbers[0]) == pytest.approx(0.1)
    assert flipped["comparison"]["verdict"] == "helped"
    assert (flipped["changes"], flipped["apart"], flipped["same"]) == ([], "", "")
    told = json.loads(ablate("compare", "before", "after", "--json").stdout)
    assert [one["comparison"] for one in found["variants"]] == told["comparisons"]
    assert pair(found, "baseline")["same"] == "the same runs, bit for bit"
    assert found["answer"].replace("\xa0", " ") == (
        "On test accuracy against before: flipped (+10.00 points) helped. "
        "The same runs on both sides, bit for bit: baseline."
    )
    for form in ("html", "md"):
        assert all(plain(found[side]["answer"]) in found[form] for side in ("reference", "candidate"))
        assert plain(found["answer"]) in found[form]
        assert "flipped helped: +10.00 points in test accuracy against before" in found[form]
    assert "before: 8 of 8 runs done" in found["err"]


def test_two_studies_have_what_differs_in_recipes_what_only_one_has_and_both_their_findings(
    study: Path, write: Write
) -> None:
    other = write(
        "studies/other.toml",
        called("other").replace("epochs = 2", "epochs = 3").replace("lr = 1e-2", "lr = 2e-2")
        + '[[variant]]\nname = "wider"\nset = { model = { use = "simple-cnn", width = 6, hidden = 8 } }\n',
    )
    drawn(study, "store")
    drawn(other, "store", baseline=0.05)
    found = sides("tiny", other, store="store")
    assert [(one["factor"], one["before"], one["after"]) for one in pair(found, "baseline")["changes"]] == [
        ("optimizer.lr", "0.01", "0.02"),
        ("epochs", "2", "3"),
    ]
    assert found["only"] == {"reference": [], "candidate": ["wider"]}
    assert "other epochs, 2 → 3: 'baseline', 'flipped'" in found["cautions"]
    assert pair(found, "baseline")["comparison"]["difference"] == pytest.approx(0.05, abs=0.01)
    codes = [{one["code"] for one in found[side]["findings"]} for side in ("reference", "candidate")]
    assert all("two-seeds" in one for one in codes)
    for form, part in (("html", "<h2>Only in studies/other.toml</h2>"), ("md", "## Only in studies/other.toml")):
        assert part in found[form]
        assert found[form].count("What to keep in mind about") == 2
        assert "optimizer.lr" in found[form].replace("\\", "")
    assert Path("reports/tiny+other/sides.html").exists()


def test_other_data_give_no_difference_and_no_verdict(study: Path, write: Write) -> None:
    text = STUDY.replace('name = "tiny"', 'name = "more"', 1)
    other = write("studies/more.toml", text.replace('use = "tiny"', 'use = "tiny", images = 96'))
    short = write(
        "studies/short.toml", text.replace('"more"', '"short"').replace('use = "tiny"', 'use = "tiny", test = 8')
    )
    for one in (study, other, short):
        drawn(one, "store")
    found = sides(study, other, store="store")
    assert [(one["comparison"], one["apart"]) for one in found["variants"]] == [(None, "other data")] * 2
    assert found["answer"] == "Nothing that both sides have can be compared."
    assert "other data, so not compared: 'baseline', 'flipped'" in found["cautions"]
    for form in ("html", "md"):
        assert found[form].count("not compared") >= 3
        assert not re.search(r"(helped|hurt|not decided)[^;.]*against studies", found[form])
    found = sides(study, short, store="store")
    assert {one["apart"] for one in found["variants"]} == {"other data: test images 16 → 8"}


def test_another_metric_is_said_and_one_that_a_side_lacks_gives_no_difference(study: Path, write: Write) -> None:
    loss = write("studies/loss.toml", called("loss", 'metric = "test/loss"'))
    balanced = 'metric = "test/balanced-accuracy"\nmetrics = ["balanced-accuracy"]'
    named = write("studies/named.toml", called("named", balanced))
    for one in (study, loss, named):
        drawn(one, "store")
    found = sides(study, loss, store="store")
    assert found["cautions"] == [
        "studies/loss.toml is compared on test loss by its own study; here both are on test accuracy"
    ]
    assert found["answer"].startswith("The same runs on both sides")
    found = sides(named, study, store="store")
    assert found["cautions"][0].startswith(
        "studies/named.toml is compared on test balanced accuracy, which studies/tiny"
    )
    assert {one["apart"] for one in found["variants"]} == {"other metric: test accuracy"}
    assert [found[side]["metric"] for side in ("reference", "candidate")] == ["test/balanced-accuracy", "test/accuracy"]


def test_sides_that_share_no_name_stand_with_their_baselines(study: Path, write: Write) -> None:
    text = called("other").replace("[baseline]", '[baseline]\nname = "start"')
    other = write("studies/other.toml", text.replace('"flipped"', '"mirrored"'))
    drawn(study, "store")
    drawn(other, "store", start=0.2)
    found = sides(study, other, store="store")
    (one,) = found["variants"]
    assert (one["reference"], one["candidate"]) == ("baseline", "start")
    assert "no variant has the same name on both sides" in found["cautions"][0]
    assert "start / baseline" in found["md"]


def test_names_are_text_on_the_page_of_two_sides(study: Path, write: Write) -> None:
    hostile = "<script>alert(1)<script> | **b** `c` [x](javascript:alert(1))"
    study.write_text(STUDY.replace('"flipped"', f"'{hostile}'"))
    drawn(study, "a|b<i>")
    drawn(study, "after", **{hostile: 0.1})
    sides("a|b<i>", "after")
    page, markdown = (Path("reports/tiny+tiny", name).read_text() for name in ("sides.html", "sides.md"))
    assert "<script>" not in page + markdown
    assert "<i>" not in page
    assert markdown.startswith("# after against a&#124;b&lt;i&gt;\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("before", "before"), "before: stands on both sides; name two"),
        (("before", "after", "--format", "tex"), "two sides have no format 'tex'"),
        (("before", "after", "--watch"), "--pilot, --watch, --template and --figures are for one study"),
        (("before", "after", "--study", "tinny"), "no study called 'tinny' has been run in this store"),
        (("before", "runs.csv"), "runs.csv: is no study"),
        (("before", "nothing"), "nothing: no study of this name or file has been run"),
        (("tiny", "--study", "tiny"), "--study is for two stores"),
    ],
)
def test_what_cannot_be_set_side_by_side_is_an_error(study: Path, write: Write, arguments: Any, said: str) -> None:
    drawn(study, "before")
    drawn(study, "after")
    write("runs.csv", "variant,acc\n")
    done = ablate("report", *arguments)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert not Path("reports").exists()


def test_one_store_under_two_names_is_one_and_two_studies_in_it_are_two(study: Path, write: Write) -> None:
    drawn(study, "before", flipped=0.05)
    drawn(write("other.toml", called("other")), "before", flipped=0.05)
    Path("linked").symlink_to("before")
    for typed in (("before", "linked"), ("linked", "before/../before"), ("before", Path("before").resolve())):
        done = ablate("report", *typed, "--study", "tiny")
        assert done.exit_code == 2
        assert "the same" in done.stderr or "stands on both sides" in done.stderr
    done = ablate("compare", "before", "linked", "--study", "tiny")
    assert "before and linked: are one and the same, the study 'tiny' in the store before; name two" in done.stderr
    assert ablate("report", "tiny", "other", "--store", "linked", "--format", "json").exit_code == 0


def test_the_library_sets_results_side_by_side(study: Path) -> None:
    drawn(study, "before")
    drawn(study, "after", flipped=0.1)
    before, after = (library.results(study, store=store) for store in ("before", "after"))
    files = after.report("out", "html,json", beside=before)
    assert files == [Path("out/sides.html"), Path("out/sides.json")]
    found = sides("before", "after", out="here")
    assert json.loads(files[1].read_text()) == {name: found[name] for name in json.loads(files[1].read_text())}


@pytest.mark.parametrize(
    "typed",
    [
        ["report", "before", "after"],
        *(pytest.param(t, marks=pytest.mark.long) for t in (["report", "--help"], ["report", "tiny", "--watch"])),
    ],
)
def test_reports_need_no_torch(study: Path, typed: list[str]) -> None:
    for store in ("before", "after", "ablate-store"):
        drawn(study, store)
    code = (
        f"import sys; from ablate.cli import main; sys.argv = ['ablate', *{typed}]\n"
        "try: main()\nexcept SystemExit as end: print(end.code)\n"
        "print(sorted({'torch', 'scipy.stats', 'statsmodels', 'optuna'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["0", "[]"], done.stdout + done.stderr
