"""Finding learning rates from end to end: the command, runs that find their own, and what reports say of it."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ablate.api.records import read_records
from ablate.launch.costs import expected_bytes, expected_seconds
from ablate.launch.study import LoadedStudy, open_study
from ablate.report.content import report
from ablate.report.figures_range_tests import draw_find, find_data
from ablate.report.filters import found_by
from ablate.store.integrity import check_store
from ablate.store.run_frames import Cost
from ablate.store.store import Store
from ablate.store.studies import find_study
from ablate.study.differences import differences, text_of
from ablate.study.plan import cost_key
from ablate.study.spec import Choice, Limits, RangeTest, Recipe
from ablate.training.learning_rates import RangeCurve, RangeTestResult, smooth, suggest, sweep
from tests.support import ablate, options, run_here

if TYPE_CHECKING:
    from typer.testing import Result

Write = Callable[[str, str], Path]
TABLE = "{ find = true, high = 1.0, steps = 60 }"


@pytest.fixture
def finding(study: Path) -> Path:
    """The tiny study, whose second variant finds its learning rate."""
    text = study.read_text().replace(
        'name = "flipped"\n', f'name = "flipped"\nset = {{ optimizer = {{ use = "adam", lr = {TABLE} }} }}\n'
    )
    study.write_text(text)
    return study


def folders(study: Path) -> dict[tuple[str, int], Path]:
    prepared = open_study(options(study))
    return {(s.variant, s.seed): prepared.home.run(s.key).path for s in prepared.specs}


def table_of(result: Result) -> list[list[str]]:
    return [line.split() for line in result.stdout.splitlines()[2:4]]


# Runs that find their own


def test_each_run_records_what_it_found_with_its_seed_cost_and_curve(finding: Path) -> None:
    assert run_here(finding) == 0
    places = folders(finding)
    assert not (places["baseline", 0] / "lr_find.json").exists()
    for seed in (0, 1):
        body = json.loads((places["flipped", seed] / "lr_find.json").read_text())["body"]
        result = json.loads((places["flipped", seed] / "result.json").read_text())["body"]
        history = (places["flipped", seed] / "history.jsonl").read_text().splitlines()
        assert (body["rule"], body["seed"]) == ("valley", seed)
        assert body["lr"] == body["valley"] == result["found_lr"] == json.loads(history[0])["lr"]
        assert body["steps"] == len(body["curve"]["losses"]) == len(body["curve"]["smoothed"]) > 20
        assert 0 < body["curve"]["seconds"] < result["seconds"]
        assert body["curve"]["images"] >= body["steps"]


def test_an_interrupted_run_goes_on_with_the_rate_that_is_in_its_folder(finding: Path) -> None:
    run_here(finding)
    place = folders(finding)["flipped", 0]
    before = json.loads((place / "result.json").read_text())["body"]
    (place / "result.json").unlink()
    kept = (place / "lr_find.json").stat()
    assert run_here(finding) == 0
    again = json.loads((place / "result.json").read_text())["body"]
    assert (again["weights"], again["found_lr"]) == (before["weights"], before["found_lr"])
    now = (place / "lr_find.json").stat()
    assert (now.st_ino, now.st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns)


@pytest.mark.parametrize(
    "damage", ["", *(pytest.param(d, marks=pytest.mark.long) for d in ("{}", '{"body": {"lr": 1}}'))]
)
def test_a_record_that_does_not_read_is_found_again(finding: Path, damage: str) -> None:
    run_here(finding)
    place = folders(finding)["flipped", 0]
    before = json.loads((place / "result.json").read_text())["body"]
    (place / "result.json").unlink()
    (place / "lr_find.json").write_text(damage)
    assert run_here(finding) == 0
    again = json.loads((place / "result.json").read_text())["body"]
    assert (again["weights"], again["found_lr"]) == (before["weights"], before["found_lr"])


def test_a_run_whose_loss_falls_nowhere_fails_with_the_reason_and_the_others_go_on(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write_text(study.read_text().replace("lr = 1e-2", "lr = { find = true, low = 1e-12, high = 1e-11 }"))
    study.write_text(
        study.read_text().replace(
            'name = "flipped"\n', 'name = "flipped"\nset = { optimizer = { use = "adam", lr = 1e-2 } }\n'
        )
    )
    assert run_here(study) == 1
    told = capsys.readouterr().err
    assert "failed: baseline, seed 0: no learning rate found: the loss falls nowhere" in told
    assert "done    flipped, seed 0" in told


def test_check_knows_the_file_and_clean_leaves_it(finding: Path) -> None:
    run_here(finding)
    place = folders(finding)["flipped", 0]
    assert check_store(Store(Path("ablate-store").resolve())) == []
    ablate("store", "clean", "--yes")
    assert (place / "lr_find.json").exists()
    (place / "lr_find.json").write_text("{}")
    assert [f.place.name for f in check_store(Store(Path("ablate-store").resolve()))] == ["lr_find.json"]
    (place / "lr_find.json").unlink()
    (fault,) = check_store(Store(Path("ablate-store").resolve()))
    assert fault.what.startswith("missing")


def test_a_damaged_record_is_moved_aside_and_its_run_made_again(finding: Path) -> None:
    run_here(finding)
    place = folders(finding)["flipped", 0]
    (place / "lr_find.json").write_text("{}")
    assert ablate("store", "check", "--mend").exit_code == 0
    assert run_here(finding) == 0
    assert (place / "lr_find.json").exists()
    assert check_store(Store(Path("ablate-store").resolve())) == []


def test_a_pilot_finds_its_rates_too(finding: Path) -> None:
    assert run_here(finding, pilot=True) == 0
    found = ablate("report", "--pilot")
    assert found.exit_code == 0, found.output
    assert "found (valley" in Path("reports/tiny-pilot/report.md").read_text().replace("\\", "")


# Keys and texts


def test_the_range_test_is_in_the_key_and_a_default_written_out_changes_nothing(finding: Path) -> None:
    def keys(table: str) -> set[str]:
        finding.write_text(text.replace(TABLE, table))
        return {s.key for s in open_study(options(finding)).specs if s.variant == "flipped"}

    text = finding.read_text()
    plain = keys("{ find = true }")
    assert keys('{ find = true, steps = 100, low = 1e-6, high = 10, rule = "valley" }') == plain
    for other in ("{ find = true, steps = 101 }", '{ find = true, rule = "steepest" }', "{ find = true, low = 1e-5 }"):
        assert not keys(other) & plain


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"find": True}, "found (valley)"),
        ({"find": True, "rule": "steepest", "low": 1e-6, "high": 10.0, "steps": 100}, "found (steepest)"),
        (
            {"find": True, "rule": "valley", "low": 1e-6, "high": 1.0, "steps": 60},
            "found (valley, 1e-06 to 1, 60 steps)",
        ),
    ],
)
def test_a_rate_to_be_found_is_written_briefly(table: dict[str, Any], text: str) -> None:
    choice = Choice("sgd", {"lr": table, "momentum": 0.9})
    assert text_of(choice) == f"sgd (lr {text}, momentum 0.9)"
    old = Recipe(1, 1, Choice("d"), Choice("m"), Choice("sgd", {"lr": 0.1, "momentum": 0.9}))
    new = dataclasses.replace(old, optimizer=choice)
    assert differences(old, new) == [("optimizer.lr", "0.1", text)]


@pytest.mark.parametrize(
    "odd", [{"find": False}, {"find": True, "low": "x"}, {"find": True, "rule": 3}, {"find": 1}, 0.1]
)
def test_what_is_no_range_test_is_read_as_none(odd: object) -> None:
    assert RangeTest.read(odd) is None


def test_a_plan_says_that_a_rate_is_now_found(study: Path) -> None:
    run_here(study)
    found = ablate("plan", study, "--set", "baseline.optimizer.lr={ find = true }", "--json")
    reasons = {row["why"] for row in json.loads(found.stdout)["runs"]}
    assert reasons == {"optimizer.lr 0.01 → found (valley)"}


def test_a_changed_range_test_is_reported_on_both_sides(finding: Path) -> None:
    run_here(finding)
    finding.write_text(finding.read_text().replace("steps = 60", "steps = 50"))
    found = ablate("plan", finding, "--json")
    reasons = {row["why"] for row in json.loads(found.stdout)["runs"] if row["variant"] == "flipped"}
    assert reasons == {"optimizer.lr found (valley, 1e-06 to 1, 60 steps) → found (valley, 1e-06 to 1, 50 steps)"}


def test_the_expected_time_and_room_hold_the_range_test(finding: Path) -> None:
    def known(prepared: LoadedStudy) -> dict[str, Cost]:
        return {cost_key(s): Cost(0.001, 0.0, 1000) for s in prepared.specs}

    prepared = open_study(options(finding))
    expected = expected_seconds(prepared.specs, known(prepared))
    plain, tested = (expected[s.key] for s in prepared.specs[:2])
    assert plain is not None
    assert tested == pytest.approx(plain + 60 * 16 * 0.001)
    sizes = {"baseline": 1000, "flipped": 1000}
    room = [expected_bytes([spec], sizes, 1, Limits()) for spec in prepared.specs[:2]]
    assert room[0] is not None
    assert room[1] is not None
    assert room[1] > room[0]


# The command


def test_the_command_prints_a_table_and_draws_one_figure(study: Path) -> None:
    found = ablate("lr-find", study, "--device", "cpu", "--high", "1", "--steps", "60")
    assert found.exit_code == 0, found.output
    assert found.stdout.splitlines()[0].split() == ["Variant", "valley", "steepest", "lowest", "loss", "time"]
    assert [row[0] for row in table_of(found)] == ["baseline", "flipped"]
    assert all(0 < float(cell) <= 1 for row in table_of(found) for cell in row[1:4])
    assert Path("reports/tiny/lr-find.svg").read_text().startswith("<?xml")
    assert "reports/tiny/lr-find.svg" in found.stdout
    assert found.stderr.count("testing ") == 2
    assert "next: in the optimizer of baseline write lr = " in found.stderr


def test_the_command_writes_nothing_to_the_store(study: Path) -> None:
    before = {p for p in Path().rglob("*") if "__pycache__" not in p.parts}
    assert ablate("lr-find", study, "--high", "1", "--out", "figures").exit_code == 0
    new = {p for p in Path().rglob("*") if "__pycache__" not in p.parts} - before
    assert new == {Path("figures"), Path("figures/lr-find.svg")}


def test_the_command_suggests_what_a_run_with_that_seed_finds(finding: Path) -> None:
    found = ablate("lr-find", finding, "--only", "flipped", "--seed", "1", "--json", "--device", "cpu")
    (test,) = json.loads(found.stdout)["tests"]
    run_here(finding)
    body = json.loads((folders(finding)["flipped", 1] / "lr_find.json").read_text())["body"]
    assert (test["variant"], test["seed"]) == ("flipped", 1)
    assert test["curve"]["lrs"] == body["curve"]["lrs"]
    assert test["curve"]["losses"] == pytest.approx(body["curve"]["losses"], rel=1e-3)


def test_the_command_takes_the_studys_own_range_where_it_has_one(finding: Path) -> None:
    found = ablate("lr-find", finding)
    assert "testing baseline: 1e-06 to 10 in 100 steps" in found.stderr
    assert "testing flipped: 1e-06 to 1 in 60 steps" in found.stderr


def test_a_variant_without_a_suggestion_is_reported_and_the_exit_code_says_so(study: Path) -> None:
    found = ablate("lr-find", study, "--low", "1e-12", "--high", "1e-11", "--steps", "20")
    assert found.exit_code == 1
    assert table_of(found)[0][:4] == ["baseline", "–", "–", "–"]
    assert "baseline: the loss falls nowhere; widen --low and --high, or take more --steps" in found.stderr
    assert "next:" not in found.stderr


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--low", "0"], "--low: 0.0 is not a number above 0 and at most 1000"),
        (["--low", "-1"], "--low: -1.0 is not a number"),
        (["--low", "nan"], "--low: nan is not a number"),
        (["--high", "inf"], "--high: inf is not a number"),
        (["--low", "1", "--high", "0.1"], "--low: low = 1 is not below high = 0.1"),
        (["--steps", "3"], "--steps: 3 is not an integer from 20 to 10000"),
        (["--only", "fliped"], "did you mean 'flipped'?"),
        (["--device", "gpu"], "--device gpu: there is no such device"),
    ],
)
def test_bad_options_are_one_error_before_anything_runs(study: Path, arguments: list[str], what: str) -> None:
    found = ablate("lr-find", study, *arguments)
    assert found.exit_code == 2
    assert what in found.stderr
    assert "Traceback" not in found.output
    assert "testing" not in found.stderr
    assert not Path("reports").exists()


def test_a_folder_that_cannot_be_written_is_an_error(study: Path) -> None:
    Path("taken").write_text("a file")
    found = ablate("lr-find", study, "--steps", "20", "--out", "taken")
    assert found.exit_code == 2
    assert "cannot write to taken: taken is no folder" in found.stderr


def test_problems_of_the_study_are_reported_without_torch(study: Path) -> None:
    study.write_text(study.read_text().replace('"adam"', '"adan"'))
    code = (
        "import sys; from typer.testing import CliRunner; from ablate.cli import app; "
        f"r = CliRunner().invoke(app, ['lr-find', {str(study)!r}]); print(r.exit_code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]


# Figures and reports


def made(turn: float, seed: int = 0, seconds: float = 2.0, steps: int = 100) -> RangeTestResult:
    lrs = sweep(1e-6, 1.0, steps)
    losses = [2.0 if lr < turn / 10 else 1.0 + abs(i - 60) / 60 if lr < turn * 10 else 4.0 for i, lr in enumerate(lrs)]
    return suggest(RangeCurve(tuple(lrs), tuple(losses), tuple(smooth(losses)), seconds, steps), "valley", seed)


NAMES = ("a", "b")


def test_every_test_has_a_line_in_its_variants_colour_with_both_suggestions_marked() -> None:
    tests = (("b", made(1e-2)), ("a", made(1e-3)), ("b", made(1e-2, seed=1)))
    data = find_data(NAMES, tests)
    assert [(line.variant, line.index, line.seed) for line in data.lines] == [("b", 1, 0), ("a", 0, 0), ("b", 1, 1)]
    for line, (_, found) in zip(data.lines, tests, strict=True):
        assert [rule for rule, _, _ in line.marks] == ["valley", "steepest"]
        assert [lr for _, lr, _ in line.marks] == pytest.approx([found.valley, found.steepest], rel=0.01)
        assert all(line.smoothed[line.lrs.index(lr)] == loss for _, lr, loss in line.marks)
    assert data.absent == ""
    assert not data.raw


def test_a_curve_ends_where_it_has_risen_above_its_beginning() -> None:
    (line,) = find_data(NAMES, (("a", made(1e-2)),)).lines
    assert max(line.smoothed) <= 1.15 * line.smoothed[0]
    assert len(line.lrs) == len(line.smoothed) == len(line.losses) < 100


def test_the_caption_names_the_seeds_and_what_it_cost() -> None:
    data = find_data(NAMES, (("a", made(1e-2)), ("b", made(1e-2, 1, 4.0, 80))))
    assert data.caption.endswith("Seeds 0, 1; 80 to 100 steps and about 3.0\N{NO-BREAK SPACE}s a test.")
    single = find_data(NAMES, (("a", made(1e-2)),))
    assert single.caption.endswith("Seed 0; 100 steps and about 2.0\N{NO-BREAK SPACE}s a test.")
    assert single.raw


def test_without_a_finite_loss_there_is_a_reason_instead_of_a_figure() -> None:
    data = find_data(NAMES, (("a", suggest(RangeCurve((), (), (), 0.1, 8), "valley", 0)),))
    assert data.lines == ()
    assert data.absent.startswith("No loss of a range test was finite")


def test_the_figure_has_a_log_axis_a_line_for_each_test_and_two_marks_on_each() -> None:
    figure = draw_find(find_data(NAMES, (("a", made(1e-2)), ("b", made(1e-3)))))
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert sorted(len(line.get_xdata()) for line in axes.lines)[:4] == [1, 1, 1, 1]  # type: ignore[arg-type]
    assert len(axes.lines) == 6
    assert {text.get_text() for text in axes.texts} == {"a", "b"}


def test_a_report_draws_the_tests_and_names_each_seeds_rate(finding: Path) -> None:
    run_here(finding)
    records = read_records(*find_study(Store(Path("ablate-store").resolve()), "tiny", None))
    assert [(name, found.seed) for name, found in records.tested] == [("flipped", 0), ("flipped", 1)]
    baseline, flipped = report(records).sections
    assert baseline.found == ()
    for told, (_, found) in zip(flipped.found, records.tested, strict=True):
        assert (told.seed, told.lr) == (found.seed, found.lr)
        assert found_by(told) == f"valley; steepest {found.steepest:.3g}"
    assert ablate("report", "--format", "html,md,tex,csv").exit_code == 0
    text = Path("reports/tiny/report.md").read_text()
    assert "Learning rate found: seed" in text
    assert re.search(r"Figure \d+\. Learning-rate range tests", text)
    assert Path("reports/tiny/figures/lr-find.png").exists()
    assert "Learning rate found" in Path("reports/tiny/report.html").read_text()


def test_a_report_of_a_study_that_finds_no_rate_is_as_before(study: Path) -> None:
    run_here(study)
    assert ablate("report").exit_code == 0
    assert "range test" not in Path("reports/tiny/report.md").read_text()
    assert "Learning rate found" not in Path("reports/tiny/report.html").read_text()


def test_a_report_outlives_a_record_that_does_not_read(finding: Path) -> None:
    run_here(finding)
    (folders(finding)["flipped", 0] / "lr_find.json").write_text("{")
    records = read_records(*find_study(Store(Path("ablate-store").resolve()), "tiny", None))
    assert [found.seed for _, found in records.tested] == [1]
