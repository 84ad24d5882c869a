"""`ablate check`, and findings that a study waives: one list, by level, in the same words everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ablate as library
from ablate.checks.finding import Finding, in_order
from ablate.checks.study import findings
from ablate.errors import StudyError
from ablate.study.codes import CODES
from ablate.study.toml import parse_study
from tests.support import ablate, run_here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ablate.study.spec import Study

HEAD = """\
[study]
name = "s"
[baseline]
epochs = 10
batch_size = 64
dataset = { use = "digits" }
model = { use = "cnn" }
optimizer = { use = "adam", lr = 1e-3 }
[[variant]]
name = "a"
set = { model = { use = "big" }, batch_size = 8 }
[[variant]]
name = "b"
set = { model = { use = "big" }, epochs = 20 }
"""


def waive(code: str, reason: str = "as planned", where: str = "") -> str:
    place = f'where = "{where}"\n' if where else ""
    return f'[[waive]]\ncode = "{code}"\nreason = "{reason}"\n{place}'


def read(*waivers: str) -> Study:
    return parse_study(HEAD + "\n".join(waivers), Path("s.toml")).done()


def told(found: Sequence[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.code, finding.where, finding.waived) for finding in found]


# Levels


def test_findings_are_listed_by_level_and_else_as_they_come() -> None:
    codes = ["default-is-best", "no-validation", "one-seed", "unequal-epochs", "same-weights"]
    found = in_order(Finding(code, "somewhere", "", "") for code in codes)
    assert [finding.code for finding in found] == [
        "one-seed", "same-weights", "no-validation", "unequal-epochs", "default-is-best",
    ]  # fmt: skip
    assert [finding.level for finding in found] == ["serious", "serious", "warning", "warning", "note"]


def test_every_code_says_what_it_means_in_one_line() -> None:
    assert all(code.meaning and "\n" not in code.meaning for code in CODES.values())


# Waivers


def test_a_waived_finding_is_still_listed_with_the_reason() -> None:
    found = findings(read(waive("several-factors", "one recipe")))
    assert told(found) == [
        ("several-factors", "a", "one recipe"),
        ("several-factors", "b", "one recipe"),
        ("no-validation", "every variant", ""),
        ("unequal-epochs", "epochs", ""),
    ]


def test_a_waiver_of_one_place_leaves_the_others() -> None:
    found = findings(read(waive("several-factors", where="a")))
    assert told(found)[:2] == [("several-factors", "a", "as planned"), ("several-factors", "b", "")]


def test_a_waiver_that_fits_nothing_is_a_note_that_names_the_places_there_are() -> None:
    *_, elsewhere, nothing = findings(read(waive("several-factors", where="c"), waive("one-seed")))
    assert (elsewhere.code, elsewhere.level) == (nothing.code, nothing.level) == ("unused-waiver", "note")
    assert elsewhere.reason == ("the study waives several-factors at 'c', which is not found: it is found at 'a', 'b'")
    assert nothing.reason == "the study waives one-seed, which is not found"
    assert nothing.remedy == "take the waiver out"


def test_a_waiver_of_what_is_not_known_yet_is_no_note() -> None:
    found = findings(read(waive("same-weights"), waive("steers-by-test"), waive("rate-zero")))
    assert "unused-waiver" not in {finding.code for finding in found}
    assert "unused-waiver" in {finding.code for finding in findings(read(waive("rate-zero")), {})}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (waive("no-validaton"), "no finding has the code \"no-validaton\"; did you mean 'no-validation'?"),
        ('[[waive]]\ncode = "one-seed"\n', "waive 1: reason  'reason' is missing"),
        (waive("one-seed", " "), "is empty: a waiver says why the finding does not matter here"),
        ('[waive]\ncode = "one-seed"', "is not a list of tables; write [[waive]]"),
        ("[[waive]]\ncode = 3\nreason = 'x'\nplace = 'y'", "accepts code, reason, where"),
    ],
)
def test_a_waiver_that_cannot_be_one_is_a_problem_of_the_file(text: str, said: str) -> None:
    with pytest.raises(StudyError) as error:
        read(text)
    assert said in str(error.value)


# The command


@pytest.fixture
def doubtful(study: Path) -> Path:
    """The tiny study with a variant that changes two things, and one that changes nothing."""
    more = """
[[variant]]
name = "both"
set = { epochs = 3, batch_size = 8 }
[[variant]]
name = "never flipped"
add = { augmentation = [{ use = "flip", p = 0.0 }] }
[[waive]]
code = "unequal-epochs"
reason = "the question is what a third epoch brings"
"""
    study.write_text(study.read_text() + more)
    return study


def test_check_lists_findings_by_level_with_remedies_and_waived_ones_in_a_line(doubtful: Path) -> None:
    done = ablate("check", doubtful)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("tiny: 2 serious findings, 2 warnings, 1 waived (before training: no run is stored yet)")
    at = lines.index("2 serious findings")
    assert lines[at + 2] == "  [several-factors]"
    assert lines[at + 3].startswith("    both: changes 2 factors against baseline (epochs, batch_size)")
    assert "    → add a variant for each factor alone; 'ablate explain' finds the fewest" in lines
    assert lines[-1] == "waived: unequal-epochs at epochs (the question is what a third epoch brings)"


def test_json_is_the_list_and_nothing_else(doubtful: Path) -> None:
    found = json.loads(ablate("check", doubtful, "--json").stdout)
    assert {(one["code"], one["level"], one["where"]) for one in found} >= {
        ("several-factors", "serious", "both"), ("two-seeds", "warning", "study.seeds")
    }  # fmt: skip
    (waived,) = (one for one in found if one["waived"])
    assert (waived["code"], waived["waived"]) == ("unequal-epochs", "the question is what a third epoch brings")
    assert set(found[0]) == {"code", "level", "where", "reason", "remedy", "waived", "variants"}


def test_strict_fails_for_what_is_serious_and_not_waived(doubtful: Path) -> None:
    assert ablate("check", doubtful, "--strict").exit_code == 1
    doubtful.write_text(doubtful.read_text() + waive("several-factors"))
    assert ablate("check", doubtful, "--strict").exit_code == 1
    doubtful.write_text(doubtful.read_text() + waive("changes-nothing", where="never flipped"))
    assert ablate("check", doubtful, "--strict").exit_code == 0


def test_a_study_that_cannot_run_is_an_error(doubtful: Path) -> None:
    doubtful.write_text(doubtful.read_text().replace('"flip", p', '"flip", q'))
    assert ablate("check", doubtful, "--strict").exit_code == 2


def test_check_takes_the_study_run_last_and_its_results(doubtful: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(doubtful) == 0
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in said if "[several-factors]" in line] == ["  serious"]
    assert "  waived: unequal-epochs at epochs (the question is what a third epoch brings)" in said
    done = ablate("check")
    assert "study run last" in done.stderr
    assert "from 8 of 8 runs" in done.stdout.splitlines()[0]
    lines = done.stdout.splitlines()
    assert lines[lines.index("  [same-weights]") + 1].startswith("    baseline, never flipped: their runs")
    found = json.loads(ablate("check", "--json").stdout)
    listed = [{**vars(one), "variants": [*one.variants]} for one in library.results("tiny").findings]
    assert listed == found
    before = {one["code"] for one in found if CODES[one["code"]].subject != "results"}
    assert {finding.code for finding in library.load_study(doubtful).findings} == before


def test_results_are_those_that_the_plan_finds_whichever_study_made_them(doubtful: Path) -> None:
    assert run_here(doubtful) == 0
    copy = doubtful.with_name("copy.toml")
    copy.write_text(doubtful.read_text().replace('name = "tiny"', 'name = "copy"', 1))
    done = ablate("check", copy)
    assert "from 8 of 8 runs" in done.stdout.splitlines()[0]
    assert "  [same-weights]" in done.stdout.splitlines()
    copy.write_text(copy.read_text().replace("seeds = 2", "seeds = 3"))
    assert "from 8 of 12 runs" in ablate("check", copy).stdout.splitlines()[0]


def test_the_report_prints_why_a_finding_is_waived(doubtful: Path) -> None:
    assert run_here(doubtful) == 0
    assert ablate("report", "--format", "html,md").exit_code == 0
    for file in ("report.html", "report.md"):
        text = (Path("reports") / "tiny" / file).read_text()
        assert "Waived: the question is what a third epoch brings" in text
        assert "add a variant for each factor alone" in text
