"""`ablate verdict`, the end of `ablate run` and `ablate report`: the same verdicts; and two stores compared."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from ablate.api.notebook import Comparison
from ablate.console.verdicts import verdict_lines
from ablate.report import verdict_text
from tests.support import ablate, run_here
from tests.test_verdict_text import ONE, UNDECIDED, WITHIN, compared

if TYPE_CHECKING:
    from tests.conftest import Write

STUDY = """
[study]
name = "small"
seeds = 3
[baseline]
epochs = 3
batch_size = 32
dataset = { use = "digits", train = 600, validation = 100 }
model = { use = "simple-cnn", width = 4, hidden = 32 }
optimizer = { use = "adam", lr = 1e-2 }
[compare]
method = "paired"
[[variant]]
name = "slow"
set = { optimizer = { use = "adam", lr = 1e-5 } }
[[variant]]
name = "wider"
set = { model = { use = "simple-cnn", width = 5, hidden = 32 } }
"""


@pytest.fixture
def digits(write: Write) -> Path:
    """A study on real digits that was run, in which a rate that is far too low hurts."""
    study = write("small.toml", STUDY)
    assert run_here(study) == 0
    return study


def plain(text: str) -> str:
    return " ".join(text.replace("\xa0", " ").split())


@pytest.mark.long
def test_verdict_run_and_report_say_the_same_of_real_runs(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    told = ablate("verdict", digits)
    assert told.exit_code == 0
    slow, wider, *_ = told.stdout.splitlines()
    assert re.match(r"slow against baseline +−\d+\.\d+ points +\(−.* to −.*, 3 seeds\) +hurt$", slow)
    assert wider.startswith("wider against baseline ")
    again = ablate("run", digits, "--jobs", 1)
    assert told.stdout in again.stdout
    numbers = json.loads(ablate("verdict", digits, "--json").stdout)
    ran = json.loads(ablate("run", digits, "--jobs", 1, "--json").stdout)
    assert ran["comparisons"] == numbers["comparisons"]
    assert ran["answer"] == numbers["answer"]
    assert ablate("report", digits, "--format", "html,md,csv").exit_code == 0
    html, markdown = (Path("reports/small", f"report.{kind}").read_text() for kind in ("html", "md"))
    read = pd.read_csv("reports/small/comparisons.csv").set_index("candidate")
    for found in numbers["comparisons"]:
        row = read.loc[found["candidate"]]
        assert [row[name] for name in ("verdict", "difference", "low", "high", "p")] == [
            found[name] for name in ("verdict", "difference", "low", "high", "p")
        ]
        assert all(plain(found["text"]).replace("<", "&lt;") in plain(page) for page in (html, markdown))

    # Judged otherwise than the study says.
    assert "differences of the seeds" in told.stdout
    other = json.loads(ablate("verdict", "small", "--method", "welch", "--margin", "0.09", "--json").stdout)
    assert {(one["method"], one["margin"]) for one in other["comparisons"]} == {("welch", 0.09)}
    loss = json.loads(ablate("verdict", "small", "--metric", "test/loss", "--json").stdout)
    assert (loss["metric"], loss["comparisons"][0]["verdict"]) == ("test/loss", "hurt")
    turned = json.loads(ablate("verdict", "small", "--reference", "slow", "--json").stdout)
    assert [(one["candidate"], one["reference"]) for one in turned["comparisons"]] == [
        ("baseline", "slow"), ("wider", "slow"),
    ]  # fmt: skip
    assert turned["comparisons"][0]["verdict"] == "helped"
    ablate("report", "small", "--method", "welch", "--format", "md")
    page = Path("reports/small/report.md").read_text()
    assert "- compared by: Welch’s t interval" in page
    assert "named by the study or the command" in page


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--reference", "slowly"), "there is no variant 'slowly'; did you mean 'slow'?"),
        (("--metric", "accuracy"), "did you mean 'test/accuracy'?"),
        (("--method", "pared"), "method 'pared': there is none of this name; did you mean 'paired'?"),
        (("--margin", "0.5"), "margin 0.5: is 50 points"),
        (("--margin", "-1"), "margin -1: has to be a number above 0"),
    ],
)
def test_what_there_is_not_is_told(
    options: tuple[str, ...], expected: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write_text(study.read_text().replace("flipped", "slow"))
    run_here(study)
    capsys.readouterr()
    told = ablate("verdict", "tiny", *options)
    assert (told.exit_code, expected in told.stderr) == (2, True), told.stderr


def test_two_stores_are_compared_variant_by_variant(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_here(study)
    shutil.copytree("ablate-store", "before")
    capsys.readouterr()
    told = ablate("compare", "before", "ablate-store", "--json")
    found = json.loads(told.stdout)["comparisons"]
    assert [(one["candidate"], one["reference"], one["difference"]) for one in found] == [
        ("baseline (ablate-store)", "baseline (before)", 0.0),
        ("flipped (ablate-store)", "flipped (before)", 0.0),
    ]
    assert "takes" not in told.stderr
    assert "the same runs, bit for bit, on both sides: 'baseline', 'flipped'" in json.loads(told.stdout)["notes"]
    assert "more of 'test/accuracy' is better" in json.loads(told.stdout)["notes"]
    fewer = Path("studies/fewer.toml")
    fewer.write_text(study.read_text().replace("seeds = 2", "seeds = 1").replace('name = "tiny"', 'name = "fewer"'))
    run_here(fewer)
    capsys.readouterr()
    assert "bit for bit, for the seeds that both have" in ablate("compare", "tiny", "fewer").stdout
    assert ablate("compare", "tiny", "fewer", "--metric", "validation/loss").exit_code == 0
    lines = ablate("compare", "before", "ablate-store", "--study", "tiny", "--out", "out").stdout.splitlines()
    assert lines[0].startswith("baseline (ablate-store) against baseline (before) ")
    assert lines[0].endswith("the same runs, bit for bit")
    assert "the same runs, bit for bit</td>" in Path("out/compare.html").read_text()
    assert "stands on both sides" in ablate("compare", "before", "before").stderr
    assert "are for a file of runs" in ablate("compare", "before", "ablate-store", "--seed", "x").stderr
    assert "no study called 'other' has been run" in (
        ablate("compare", "before", "ablate-store", "--study", "other").stderr
    )


def test_two_studies_without_a_common_variant_are_compared_by_their_baselines(
    study: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    run_here(study)
    text = study.read_text().replace('name = "tiny"', 'name = "other"').replace("lr = 1e-2", "lr = 1e-4")
    run_here(write("studies/other.toml", text + '[[variant]]\nname = "more"\nset = { epochs = 3 }\n'))
    capsys.readouterr()
    told = ablate("compare", "tiny", "other")
    assert told.stdout.startswith("baseline (other) against baseline (tiny) ")
    assert "1 variant only in other, not compared: 'more'" in told.stderr
    assert "the two sides train 'baseline', 'flipped' differently: optimizer.lr 0.01 → 0.0001\n" in told.stderr
    assert "bit for bit" not in told.stdout + told.stderr


# --- on the terminal ---------------------------------------------------------------------------------------------


def found() -> list[Any]:
    hurt = {"candidate": "Phase 4", "reference": "Phase 3", "mean": -0.094, "low": -0.106, "high": -0.082}
    return [compared(**hurt, verdict="hurt"), UNDECIDED, WITHIN, ONE]


def test_lines_stand_in_columns_where_they_may_be_of_any_length() -> None:
    lines = verdict_lines(found(), {("Phase 4", "Phase 3"): 3}, width=0)
    assert lines == [
        (
            "Phase 4 against Phase 3    −9.4 points  (−10.6 to −8.2, 5 seeds)    hurt            "
            "3 changes at once: cannot be credited to one"
        ),
        (
            "cutout against base       +0.30 points  (−0.10 to +0.70, 5 seeds)   not decided     "
            "about 6 more seeds would be enough to tell 0.30 points from zero"
        ),
        (
            "cutout against base       +0.10 points  (−0.20 to +0.40, 5 seeds)   "
            "no practical difference (within 0.5 points)"
        ),
        (
            "cutout against base       +1.20 points  (one seed)                  not decided     "
            "one seed gives no interval"
        ),
    ]  # fmt: skip


def test_lines_wrap_at_80_columns() -> None:
    lines = verdict_lines(found(), {("Phase 4", "Phase 3"): 3}, width=80)
    assert lines == [
        "Phase 4 against Phase 3: hurt",
        "  −9.4 points (−10.6 to −8.2, 5 seeds); 3 changes at once: cannot be credited to",
        "  one",
        "cutout against base: not decided",
        "  +0.30 points (−0.10 to +0.70, 5 seeds); about 6 more seeds would be enough to",
        "  tell 0.30 points from zero",
        "cutout against base: no practical difference (within 0.5 points)",
        "  +0.10 points (−0.20 to +0.40, 5 seeds)",
        "cutout against base: not decided",
        "  +1.20 points (one seed); one seed gives no interval",
    ]


def test_the_last_column_goes_on_below_itself_where_there_is_room() -> None:
    lines = verdict_lines(found(), {("Phase 4", "Phase 3"): 3}, width=100)
    assert lines[:3] == [
        "Phase 4 against Phase 3    −9.4 points  (−10.6 to −8.2, 5 seeds)    hurt            3 changes at",
        " " * 68 + "once: cannot be credited to one",
        "cutout against base       +0.30 points  (−0.10 to +0.70, 5 seeds)   not decided     about 6 more",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160])
def test_long_names_are_shortened_on_a_terminal_and_nowhere_else(width: int) -> None:
    long = [compared(candidate="first-" + "y" * 120 + "-last", reference="base"), UNDECIDED]
    lines = verdict_lines(long, width=width)
    assert all(len(line) <= width for line in lines)
    assert lines[0].startswith("first-")
    assert "…" in lines[0]
    assert "-last against base" in lines[0]
    assert "y" * 120 in verdict_lines(long, width=0)[0]


def test_no_name_steers_the_terminal(attack: str) -> None:
    lines = verdict_lines([compared(candidate=attack)], width=0)
    assert all(line.isprintable() for line in lines)


def test_a_comparison_in_a_session_is_its_sentence() -> None:
    assert repr(Comparison(**vars(WITHIN))) == f"<cutout − base: {verdict_text.sentence(WITHIN)}>"


def test_verdict_needs_no_torch(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_here(study)
    code = (
        "import sys; from ablate.cli import main; sys.argv = ['ablate', 'verdict', 'tiny']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'matplotlib', 'scipy.stats', 'statsmodels'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
