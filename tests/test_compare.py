"""Runs made elsewhere, compared from the command line and from Python."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ablate as library
from ablate.api.compare import Asked, compare_table
from ablate.api.run_files import read_file
from ablate.api.run_metrics import higher_by_name
from ablate.api.run_tables import of_frame, read_bytes
from ablate.api.run_values import Columns, runs_of
from ablate.components.discover import shipped
from ablate.errors import InputError
from ablate.metrics import COSTS
from ablate.report import verdict_text
from tests.support import ablate

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = [
    ("base", 0, 0.912), ("base", 1, 0.915), ("base", 2, 0.910),
    ("cutout", 0, 0.931), ("cutout", 1, 0.935), ("cutout", 2, 0.929),
    ("mixup", 0, 0.913), ("mixup", 1, 0.916), ("mixup", 2, 0.920),
]  # fmt: skip
GOOD = "arm,seed,acc\n" + "".join(f"{arm},{seed},{acc}\n" for arm, seed, acc in ROWS)
NAMED = ("--variant", "arm", "--seed", "seed", "--metric", "acc", "--method", "paired")


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=["arm", "seed", "acc"])


def lines(output: str) -> list[str]:
    return [" ".join(line.split()) for line in output.splitlines()]


def test_a_file_is_compared_by_the_same_words_as_a_study(
    write: Callable[[str, str], Path], frame: pd.DataFrame
) -> None:
    told = ablate("compare", write("r.csv", GOOD), *NAMED)
    assert (told.exit_code, lines(told.stdout)) == (
        0,
        [
            "cutout against base +1.93 points (+1.79 to +2.08, 3 seeds) helped",
            (
                "mixup against base +0.4 points (−0.9 to +1.7, 3 seeds) not decided "
                "about 10 more seeds would be enough to tell 0.5 points from zero"
            ),
            " ".join(verdict_text.terms(library.compare(frame, method="paired").comparisons).split()),
        ],
    )
    assert told.stderr == "more of 'acc' is better\ncompared with 'base', by its name\n"


def test_what_nobody_names_is_guessed_where_one_thing_can_be_meant(
    write: Callable[[str, str], Path],
) -> None:
    guessed = ablate("compare", write("r.csv", GOOD), "--method", "paired")
    assert guessed.stdout == ablate("compare", "r.csv", *NAMED).stdout
    assert guessed.stderr.splitlines() == [
        "variants are those of column 'arm'",
        "compared on column 'acc'",
        "seeds are those of column 'seed'",
        "more of 'acc' is better",
        "compared with 'base', by its name",
    ]


def test_json_has_every_number_and_python_gives_the_same(
    write: Callable[[str, str], Path], frame: pd.DataFrame
) -> None:
    told = json.loads(ablate("compare", write("r.csv", GOOD), *NAMED, "--json").stdout)
    found = library.compare(frame, variant="arm", seed="seed", metric="acc", reference="base", method="paired")
    assert told["comparisons"] == found.document()["comparisons"]
    first, numbers = found.comparisons[0], told["comparisons"][0]
    theirs = stats.ttest_rel([0.931, 0.935, 0.929], [0.912, 0.915, 0.910])
    assert (first.candidate, first.reference, first.verdict) == ("cutout", "base", "helped")
    assert (first.difference, first.low, first.high, first.p) == (
        numbers["difference"], numbers["low"], numbers["high"], numbers["p"],
    )  # fmt: skip
    assert first.p_alone == pytest.approx(theirs.pvalue, rel=1e-9)
    assert first.p == pytest.approx(2 * theirs.pvalue, rel=1e-9)
    assert repr(found).splitlines()[0].split()[:4] == ["cutout", "against", "base", "+1.93"]
    assert found.answer in found._repr_html_()


@pytest.mark.parametrize("form", ["dicts", "columns", "frame"])
def test_a_frame_may_be_dicts_or_columns(form: str, frame: pd.DataFrame) -> None:
    given = {"dicts": frame.to_dict("records"), "columns": frame.to_dict("list"), "frame": frame}[form]
    assert library.compare(given).comparisons == library.compare(frame).comparisons


FORMS = {
    "tsv": ("r.tsv", GOOD.replace(",", "\t")),
    "semicolons": ("r.csv", GOOD.replace(",", ";")),
    "json lines": ("r.jsonl", "".join(json.dumps({"arm": a, "seed": s, "acc": v}) + "\n" for a, s, v in ROWS)),
    "json array": ("r.json", json.dumps([{"arm": a, "seed": s, "acc": v} for a, s, v in ROWS])),
    "no suffix": ("results", GOOD),
    "json without suffix": ("r.log", "".join(json.dumps({"arm": a, "seed": s, "acc": v}) + "\n" for a, s, v in ROWS)),
    "byte order mark": ("r.csv", "\ufeff" + GOOD),
    "crlf": ("r.csv", GOOD.replace("\n", "\r\n")),
    "no last line end": ("r.csv", GOOD.rstrip()),
    "empty lines": ("r.csv", GOOD.replace("\n", "\n\n")),
    "quoted": ("r.csv", GOOD.replace("cutout", '"cutout"').replace("arm", '"arm"')),
    "blanks": ("r.csv", GOOD.replace(",", " , ")),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_table_is_read_alike(form: str, write: Callable[[str, str], Path]) -> None:
    expected = ablate("compare", write("good.csv", GOOD), *NAMED).stdout
    name, text = FORMS[form]
    assert ablate("compare", write(name, text), *NAMED).stdout == expected


def test_standard_input_is_read() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ablate", "compare", "-", *NAMED], input=GOOD, capture_output=True, text=True, check=True
    )
    assert lines(done.stdout)[0].startswith("cutout against base +1.93 points")


def test_closed_standard_input_and_what_has_no_end_are_told() -> None:
    command = f"{sys.executable} -m ablate compare"
    for rest, expected in (
        ("- <&-", "error: standard input: is closed"),
        ("/dev/zero", "error: /dev/zero: is neither a file nor a pipe"),
    ):
        done = subprocess.run(f"{command} {rest}", shell=True, capture_output=True, text=True, check=False)
        assert (done.returncode, expected in done.stderr) == (2, True), done.stderr


def test_a_file_has_a_largest_size(monkeypatch: pytest.MonkeyPatch, write: Callable[[str, str], Path]) -> None:
    monkeypatch.setattr("ablate.api.run_files.LARGEST_FILE", 100)
    with pytest.raises(InputError, match="is larger than"):
        read_file(write("r.csv", GOOD))


def test_utf_16_as_spreadsheets_export_it_is_read() -> None:
    assert read_bytes("x", GOOD.replace(",", "\t").encode("utf-16")).columns == ("arm", "seed", "acc")


def test_a_name_may_hold_the_separator_and_a_line_end() -> None:
    table = read_bytes("x", b'arm,acc\n"a, b",1\n"c\nd",2\ne,3\n')
    assert [row[0] for row in table.rows] == ["a, b", "c\nd", "e"]
    assert [table.where(row) for row in range(3)] == ["line 2", "line 3", "line 5"]


# --- bad input: each one clear error -----------------------------------------------------------------------------

BAD = {
    "no such column": (GOOD, ["--metric", "akk"], "no column 'akk' for the metric\n  has 'arm', 'seed', 'acc'"),
    "nearest column": (GOOD, ["--variant", "arms"], "no column 'arms' for the variant; did you mean 'arm'?"),
    "one for two": (GOOD, ["--variant", "arm", "--metric", "arm"], "one column cannot be two things: 'arm', 'arm'"),
    "text": (GOOD.replace("0.935", "good"), NAMED, "line 6: column 'acc': 'good' where a number belongs"),
    "nothing": (GOOD.replace("0.935", ""), NAMED, "line 6: column 'acc': nothing where a number belongs"),
    "per cent": (GOOD.replace("0.935", "93.5%"), NAMED, "'93.5%' where a number belongs; write 93.5, without"),
    "decimal comma": (
        'arm,seed,acc\na,0,"0,91"\nb,0,"0,93"\n', [],
        "line 2: column 'acc': '0,91' where a number belongs; it has a decimal comma, so write 0.91",
    ),
    "thousands or decimals": (
        "arm;seed;acc\na;0;91,234\nb;0;93,456\n", [], "line 2: column 'acc': '91,234' where a number belongs",
    ),
    "a word beside other numbers": (
        "arm,epochs,acc\na,1,0.5\nb,1,died\n", [], "line 3: column 'acc': 'died' where a number belongs",
    ),
    "with its spread": (
        "arm,acc\na,91.2±0.3\nb,92.0 +/- 0.4\n", [],
        "line 2: column 'acc': '91.2±0.3' where a number belongs; it is a mean with its spread, and each run needs",
    ),
    "infinity": (GOOD.replace("0.935", "inf"), NAMED, "line 6: column 'acc' is inf: a run without a finite value"),
    "nan": (GOOD.replace("0.935", "NaN"), NAMED, "line 6: column 'acc' is NaN: a run without a finite value"),
    "overflow": (GOOD.replace("0.935", "1e999"), NAMED, "line 6: column 'acc' is 1e999: a run without a finite value"),
    "seed twice": (GOOD + "base,1,0.9\n", NAMED, "variant 'base' has seed 1 twice: line 3 and line 11"),
    "odd seed": (GOOD.replace("base,1", "base,one"), NAMED, "line 3: column 'seed' has 'one' where a seed belongs"),
    "one variant": ("arm,acc\na,1\na,2\n", [], "column 'arm' has only one variant, 'a': a comparison takes two"),
    "no variant here": (GOOD.replace("cutout,1", ",1"), NAMED, "line 6: column 'arm' has no variant here"),
    "mixed": (
        "arm,acc\na,91\na,0.93\nb,93\nb,92\n", [],
        "column 'acc' has percentages, up to 93, and 1 value of 1 or less, which would be fractions: line 3",
    ),
    "no accuracy": (
        "arm,acc\na,91\na,935\nb,93\nb,92\n", [],
        "column 'acc' has 1 value outside 0 to 100: line 3 (935)",
    ),
    "below 0": (GOOD.replace("0.935", "-0.935"), [], "has 1 value outside 0 to 100: line 6 (-0.935)"),
    "both directions": (GOOD, ["--lower-is-better", "--higher-is-better"], "only one of them can be meant"),
    "too large": ("arm,x\na,1e308\nb,-1e308\n", [], "line 2: column 'x' is 1e+308: too large to compute with"),
    "too small": ("arm,x\na,1e-300\nb,1.1e-300\n", [], "line 3: column 'x' is 1.1e-300, the largest of all: too"),
    "empty": ("", [], "r.csv: is empty"),
    "blank": (" \n\n", [], "r.csv: is empty"),
    "header only": ("arm,seed,acc\n", [], "has the names of columns and no row of a run"),
    "no header": ("1,0.9\n2,0.8\n", [], "line 1: holds numbers, and has to name the columns"),
    "ragged": (GOOD.replace("cutout,1,", "cut,out,1,"), [], "line 6: has 4 fields, and line 1 names 3 columns"),
    "open quote": (GOOD.replace("cutout,1", '"cutout,1'), [], "line 6: is no row of a table: unexpected end of data"),
    "column twice": (GOOD.replace("arm,seed", "acc,seed"), [], "line 1: two columns are called 'acc'"),
    "nothing in common": (
        GOOD.replace("base,", "base,1"), [*NAMED],
        "method 'paired': no variant has a seed in common with 'base'; take another method",
    ),
    "reference": (GOOD, ["--reference", "bas"], "reference 'bas': is no variant; did you mean 'base'?"),
    "method": (GOOD, ["--method", "welsh"], "there is none of this name; did you mean 'welch'?"),
    "points for fractions": (GOOD, ["--margin", "0.5"], "margin 0.5: is 50 points, since 'acc' is in fractions"),
    "fraction for points": (
        "arm,acc\na,91\na,92\nb,93\nb,92\n", ["--margin", "0.005"], "margin 0.005: is 0.005 points, since"
    ),
    "no margin": (GOOD, ["--margin", "0"], "margin 0: has to be a number above 0, in the unit of 'acc'"),
    "two metrics": ("arm,nll,loss\na,1,2\nb,1,2\n", [], "columns 'nll', 'loss' could be the metric; name one"),
    "no text": ("lr,acc\n0.1,0.5\n0.2,0.6\n", [], "no column of text could be the variant; name one"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_error(case: str, write: Callable[[str, str], Path]) -> None:
    text, options, expected = BAD[case]
    told = ablate("compare", write("r.csv", text), *options)
    assert (told.exit_code, told.stdout) == (2, "")
    assert told.stderr.startswith("error: ")
    assert expected in told.stderr


JSON = {
    "broken": ('{"arm": "a", "acc": 1}\n{"arm": "b", acc}\n', "line 2: is not JSON: Expecting property name"),
    "no object": ('{"arm": "a", "acc": 1}\n[1]\n', "line 2: is no object"),
    "nested": ('{"arm": "a", "acc": [1]}\n{"arm": "b", "acc": 2}\n', "line 1: column 'acc': '[1]' where a number"),
    "truth": ('{"arm": "a", "acc": true}\n{"arm": "b", "acc": 2}\n', "line 1: column 'acc': 'True' where a number"),
    "absent": ('{"arm": "a", "acc": 1}\n{"arm": "b"}\n', "line 2: column 'acc': nothing where a number belongs"),
    "array": ("[1, 2]", "item 1: is no object"),
    "key twice": ('{"arm": "a", "acc": 1}\n{"arm": "b", "acc": 2, "acc": 3}\n', "line 2: has 'acc' twice"),
    "key twice in an array": ('[{"arm": "a", "acc": 1}, {"arm": "b", "arm": "c"}]', "item 2: has 'arm' twice"),
    "many digits": ('{"arm": "a", "acc": 1' + "0" * 5000 + "}", "line 1: is not JSON: a whole number has thousands"),
    "deep": ("[" * 100_000, "is not JSON: it is nested too deeply"),
    "empty array": ("[]", "has no runs in it"),
}


@pytest.mark.parametrize("case", JSON)
def test_bad_json_is_told_with_its_line(case: str, write: Callable[[str, str], Path]) -> None:
    text, expected = JSON[case]
    told = ablate("compare", write("r.jsonl", text), "--variant", "arm", "--metric", "acc")
    assert (told.exit_code, expected in told.stderr) == (2, True), told.stderr


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"PK\x03\x04rest", "is a spreadsheet or an archive: export it as CSV"),
        (b"\x1f\x8brest", "is compressed"),
        (b"arm,acc\na,\x001\n", "is not a text file"),
        (b"arm,acc\na,1\ncaf\xe9,2\n", "line 3: is not UTF-8 text"),
    ],
)
def test_what_is_no_text_is_told(content: bytes, expected: str, folder: Path) -> None:
    (folder / "r.csv").write_bytes(content)
    told = ablate("compare", "r.csv")
    assert (told.exit_code, expected in told.stderr) == (2, True)


def test_a_file_that_is_not_there_is_told_with_the_nearest_name(write: Callable[[str, str], Path]) -> None:
    write("results.csv", GOOD)
    told = ablate("compare", "result.csv")
    assert told.exit_code == 2
    assert told.stderr == "error: result.csv: there is no such file; did you mean 'results.csv'?\n"


def test_folders_that_are_no_store_and_too_many_files_are_told(write: Callable[[str, str], Path], folder: Path) -> None:
    write("r.csv", GOOD)
    (folder / "here").mkdir()
    (folder / "there").mkdir()
    assert "here: is a folder\n  accepts a file of runs" in ablate("compare", "here").stderr
    assert "r.csv: is a file; ablate compare takes one, with all runs in it" in ablate("compare", "r.csv", "x").stderr
    assert "write the rows of both below one header" in ablate("compare", "r.csv", "s.csv").stderr
    assert "here: is a folder and no store" in ablate("compare", "here", "there").stderr
    assert "takes one file of runs, or two stores or studies" in ablate("compare", "r.csv", "r.csv", "r.csv").stderr


def test_the_same_errors_come_from_python_with_the_row(frame: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="the frame: there is no column 'arms' for the variant; did you mean 'arm'"):
        library.compare(frame, variant="arms")
    with pytest.raises(InputError, match="the frame: row 4: column 'acc' is nan"):
        library.compare(frame.assign(acc=frame["acc"].where(frame.index != 4)))
    with pytest.raises(InputError, match="variant 'base' has seed 1 twice: row 1 and row 9"):
        library.compare(pd.concat([frame, frame.iloc[[1]]]), variant="arm", seed="seed", metric="acc")
    with pytest.raises(InputError, match="the frame: two columns are called 'acc'"):
        library.compare(frame.rename(columns={"seed": "acc"}))
    for wrong in ("r.csv", 5, [1], {"a": 5}, {"a": [1], "b": [1, 2]}, [], {}):
        with pytest.raises(InputError):
            library.compare(wrong)


# --- units, directions, seeds ------------------------------------------------------------------------------------


def judged(rows: list[tuple[Any, ...]], *names: str, **options: Any) -> Any:
    columns = names or ("arm", "seed", "acc")
    return library.compare([dict(zip(columns, row, strict=True)) for row in rows], **options)


def test_fractions_and_percentages_are_the_same_points() -> None:
    percentages = [(arm, seed, acc * 100) for arm, seed, acc in ROWS]
    assert repr(judged(percentages)) == repr(judged(list(ROWS)))
    assert [c.verdict for c in judged(percentages).comparisons] == [c.verdict for c in judged(list(ROWS)).comparisons]
    assert judged(percentages, margin=0.5).comparisons[0].margin == 0.5
    assert judged(list(ROWS), margin=0.005).comparisons[0].margin == 0.005


def test_a_metric_that_is_no_accuracy_has_no_unit_and_no_margin_of_its_own() -> None:
    found = judged(ROWS, "arm", "seed", "reward").comparisons[0]
    assert (found.margin, found.metric.quantity.step) == (None, "")


def test_less_of_a_loss_is_better_and_that_is_said() -> None:
    found = judged(ROWS, "arm", "seed", "val_loss")
    assert (found.comparisons[0].verdict, "less of 'val_loss' is better" in found.notes) == ("hurt", True)
    assert judged(ROWS, "arm", "seed", "score", lower_is_better=True).comparisons[0].verdict == "hurt"
    assert judged(ROWS, "arm", "seed", "val_loss", lower_is_better=False).comparisons[0].verdict == "helped"


LOW = ["test/ece", "ece", "val_brier", "Top1Error", "err1", "top5_err", "error@top1", "valLoss", "wer", "CER", "fid50k",
       "latency_ms", "train time", "seconds", "perplexity", "mse", "test_mae", "RMSE", "nll", "neg_log_likelihood",
       "1 - acc", "testECE"]  # fmt: skip
HIGH = ["acc", "test_acc", "ValAccuracy", "acc@1", "top5", "Top-1", "f1", "mAP", "mean_acc_per_class", "auc",
        "neg_mean_squared_error", "neg_loss", "reward"]  # fmt: skip


def test_the_name_of_a_metric_says_which_way_is_better() -> None:
    assert [name for name in LOW if higher_by_name(name) is not False] == []
    assert [name for name in HIGH if not higher_by_name(name)] == []
    assert [higher_by_name(name) for name in ("score", "acceleration", "x", "uptime")] == [None] * 4


def test_every_metric_that_ships_is_known_by_its_direction() -> None:
    quantities = {entry.name: entry.quantity for entry in shipped().entries("metric")}
    assert {"ece", "accuracy"} <= quantities.keys()
    for name, quantity in quantities.items():
        for prefix in ("", "test/", "validation/", "train/"):
            assert quantity is not None
            assert higher_by_name(prefix + name) is quantity.higher_is_better, name
    assert [higher_by_name(name) for name in COSTS] == [one.higher_is_better for one in COSTS.values()]


def test_the_direction_that_was_taken_is_said_wherever_the_answer_is(write: Callable[[str, str], Path]) -> None:
    for name, said, verdict in (
        ("acc", "more of 'acc' is better", "helped"),
        ("test/ece", "less of 'test/ece' is better", "hurt"),
        ("score", "more of 'score' is taken to be better; --lower-is-better", "helped"),
    ):
        told = ablate("compare", write("r.csv", GOOD.replace("acc", name, 1)), "--out", "out")
        assert said in told.stderr
        document = json.loads(ablate("compare", "r.csv", "--json").stdout)
        assert any(said in note for note in document["notes"])
        assert document["higher_is_better"] is (verdict == "helped")
        assert document["comparisons"][0]["verdict"] == verdict
        assert said.split("'")[2] in Path("out/compare.html").read_text()


def test_the_digits_of_small_and_large_numbers_are_those_that_tell() -> None:
    for unit, difference, interval in (
        (1e-8, "+1.00e−8", "(+7.8e−9 to +1.22e−8"),
        (1e-60, "+1.00e−60", "(+7.8e−61 to +1.22e−60"),
        (1e20, "+1.000e20", "(+7.766e19 to +1.223e20"),
        (1e-3, "+0.00100", "(+0.00078 to +0.00122"),
    ):
        rows = [(arm, s, (2.1 + more + 0.1 * s) * unit) for arm, more in (("a", 0.0), ("b", 1.0)) for s in range(4)]
        shown = " ".join(repr(judged(rows, "arm", "seed", "x", method="welch")).replace("\xa0", " ").split())
        assert (difference in shown, interval in shown) == (True, True), shown
    single = judged([("a", 0, 2.1e-8), ("b", 0, 3.1e-8)], "arm", "seed", "x")
    assert "+1.00e−8" in repr(single)


def test_less_of_an_accuracy_keeps_its_points_and_its_margin() -> None:
    found = judged(list(ROWS), lower_is_better=True)
    first = found.comparisons[0]
    assert (first.verdict, first.margin, first.metric.quantity.step) == ("hurt", 0.005, "points")
    assert "less of 'acc' is better" in found.notes


def test_runs_without_seeds_are_not_paired_and_counted_as_runs() -> None:
    rows = [(arm, acc) for arm, _, acc in ROWS]
    found = judged(rows, "arm", "acc", method="welch")
    ours, theirs = ([acc for arm, acc in rows if arm == name] for name in ("cutout", "base"))
    assert found.comparisons[0].p_alone == pytest.approx(
        stats.ttest_ind(ours, theirs, equal_var=False).pvalue, rel=1e-9
    )
    assert "3 runs" in repr(found)
    assert "3 runs each" in repr(found.comparisons[0])
    with pytest.raises(InputError, match="method 'paired': pairs runs by their seed, and no column has seeds"):
        judged(rows, "arm", "acc", method="paired")


def test_a_variant_without_a_common_seed_is_named_where_runs_are_paired() -> None:
    rows = [(arm, seed + 10 * (arm == "mixup"), acc) for arm, seed, acc in ROWS]
    assert judged(rows, method="paired").notes[-1] == "no seed in common with 'base', so not paired with it: 'mixup'"


def test_large_seeds_stay_apart_to_the_last_digit() -> None:
    rows = "".join(f"{arm},{2**53 + seed},{acc}\n" for arm, seed, acc in ROWS)
    assert read_bytes("x", ("arm,seed,acc\n" + rows).encode()).rows[1][1] == str(2**53 + 1)
    table = read_bytes("x", ("arm,seed,acc\n" + rows).encode())
    assert list(runs_of(table, Columns()).samples["base"]) == [2**53, 2**53 + 1, 2**53 + 2]
    assert list(runs_of(of_frame(pd.DataFrame(ROWS, columns=["arm", "seed", "acc"])), Columns()).samples["base"]) == [
        0, 1, 2,
    ]  # fmt: skip


def test_what_pandas_calls_missing_is_missing_and_truths_are_no_numbers(frame: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="row 4: column 'arm' has no variant here"):
        library.compare(frame.assign(arm=frame["arm"].where(frame.index != 4, pd.NA)))
    nullable = frame["acc"].astype("Float64")
    assert library.compare(frame.assign(acc=nullable)).comparisons == library.compare(frame).comparisons
    with pytest.raises(InputError, match="row 4: column 'acc': nothing where a number belongs"):
        library.compare(frame.assign(acc=nullable.where(frame.index != 4, pd.NA)))
    with pytest.raises(InputError, match="row 0: column 'acc': 'True' where a number belongs"):
        library.compare({"arm": ["a", "b"], "acc": [np.bool_(True), np.bool_(False)]}, variant="arm", metric="acc")
    with pytest.raises(InputError):
        library.compare(frame, method=["welch"])  # type: ignore[arg-type]
    with pytest.raises(InputError):
        library.compare(frame, margin=True)


def test_one_run_each_gives_a_difference_and_no_interval() -> None:
    found = judged([("a", 0.5), ("b", 0.6)], "arm", "acc", reference="a").comparisons[0]
    assert (found.difference, found.low, found.verdict) == (pytest.approx(0.1), None, "not decided")
    assert "one run, which gives no interval" in repr(found)


def test_without_a_usual_name_the_first_variant_is_the_reference() -> None:
    found = judged([("x", 0, 0.5), ("y", 0, 0.6)])
    assert (found.comparisons[0].reference, "compared with 'x', the first variant" in found.notes) == ("x", True)


@pytest.mark.long
def test_a_million_rows_are_read(frame: pd.DataFrame) -> None:
    table = of_frame(frame)
    rows = [(arm, seed + 3 * more, acc) for more in range(30_000) for arm, seed, acc in ROWS]
    large = dataclasses.replace(table, rows=rows, places=range(len(rows)))
    assert len(runs_of(large, Columns()).samples["base"]) == 90_000
    found = compare_table(large, Asked()).comparisons[0]
    assert (found.n_candidate, found.superiority, found.verdict) == (90_000, 1.0, "helped")


# --- what it writes ----------------------------------------------------------------------------------------------


def test_a_report_has_the_answer_in_html_markdown_and_csv(folder: Path, write: Callable[[str, str], Path]) -> None:
    told = ablate("compare", write("r.csv", GOOD), *NAMED, "--out", "out")
    assert told.exit_code == 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["compare.csv", "compare.html", "compare.md"]
    html, markdown = ((folder / "out" / f"compare.{kind}").read_text() for kind in ("html", "md"))
    for page in (html, markdown):
        assert "On acc against base: cutout (+1.93\xa0points) helped; mixup (+0.4\xa0points) is not decided." in page
    read = pd.read_csv(folder / "out" / "compare.csv").set_index("candidate")
    assert read["verdict"].to_dict() == {"cutout": "helped", "mixup": "not decided"}


def test_no_name_becomes_markup_in_a_report(tmp_path: Path, attack: str) -> None:
    name = attack.strip() or "x"
    found = library.compare([{"arm": n, "seed": s, "acc": 0.1 * s} for n in ("base", name) for s in (1, 2, 3)])
    plain = library.compare([{"arm": n, "seed": s, "acc": 0.1 * s} for n in ("base", "x") for s in (1, 2, 3)])
    html, markdown = (path.read_text() for path in found.report(tmp_path / "a")[:2])
    like, _ = (path.read_text() for path in plain.report(tmp_path / "b")[:2])
    assert html.count("<") == like.count("<")
    assert "<script" not in markdown


def test_comparing_a_file_needs_no_torch_and_no_pandas(write: Callable[[str, str], Path]) -> None:
    write("r.csv", GOOD)
    code = (
        "import sys; from ablate.cli import main; sys.argv = ['ablate', 'compare', 'r.csv']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'pandas', 'matplotlib', 'scipy.stats', 'statsmodels'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_page_on_comparing_shows_what_the_command_prints(folder: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "compare.md").read_text()
    (table,) = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)
    command, shown = re.findall(r"```console\n\$ (ablate compare results.csv.*?)\n(.*?)```", page, re.DOTALL)[0]
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (folder / "results.csv").write_text(table)
    told = ablate(*command.split()[1:])
    assert told.stdout.startswith(shown)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {"frame": pd.read_csv("results.csv")})
    assert printed.getvalue().startswith("cutout helped 1.9")
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    assert f"```csv\n{table}```" in readme
    assert f"$ {command}\n{shown}" in readme


def test_names_without_a_space_wrap_on_the_page_so_that_the_numbers_stay_in_sight(tmp_path: Path) -> None:
    runs = [{"arm": arm, "seed": s, "acc": 0.5 + 0.001 * s} for arm in ("base", "y" * 120) for s in range(3)]
    library.compare(runs).report(tmp_path)
    style = (tmp_path / "compare.html").read_text()
    assert "overflow-wrap: anywhere" in style.split("\n.answer p, .told", 1)[1].split("}")[0]
    cells = style.split("\nth, td {", 1)[1].split("}")[0]
    assert "overflow-wrap: break-word" in cells
    assert "max-width" in cells


# --- what is guessed, and what comes from spreadsheets and notebooks ---------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        ",arm,seed,acc\n" + "".join(f"{i},{a},{s},{v}\n" for i, (a, s, v) in enumerate(ROWS)),
        "arm;seed;acc\n" + "".join(f"{a};{s};{str(v).replace('.', ',')}\n" for a, s, v in ROWS),
        "arm,seed,epochs,loss,acc\n" + "".join(f"{a},{s},5,0.3,{v}\n" for a, s, v in ROWS),
    ],
    ids=["pandas writes its index", "German Excel", "other numbers"],
)
def test_a_table_that_can_only_mean_one_thing_is_read(text: str, write: Callable[[str, str], Path]) -> None:
    found = ablate("compare", write("r.csv", text))
    assert (found.exit_code, found.stdout) == (0, ablate("compare", write("good.csv", GOOD)).stdout)


def test_values_of_other_types_from_python_work_or_are_told(frame: pd.DataFrame) -> None:
    numbered = frame.assign(arm=frame["arm"].map({"base": 0, "cutout": 1, "mixup": 2}))
    call: Any = library.compare
    assert {one.reference for one in call(numbered, variant="arm", reference=0).comparisons} == {"0"}
    with pytest.raises(InputError, match=r"margin '0\.5': has to be a number"):
        call(frame, margin="0.5")
    with pytest.raises(InputError, match="method '5': there is none of this name"):
        call(frame, method=5)
    higher = call(frame.rename(columns={"acc": "val_loss"}), higher_is_better=True)
    assert higher.comparisons[0].verdict == "helped"
    with pytest.raises(InputError, match="contradict one another"):
        call(frame, higher_is_better=True, lower_is_better=True)


def test_an_index_that_was_written_and_read_again_is_no_result(frame: pd.DataFrame) -> None:
    again = pd.read_csv(io.StringIO(frame.rename(columns={"acc": "score"}).to_csv()))
    assert "compared on column 'score'" in library.compare(again).notes


def test_a_wide_frame_is_told_how_to_become_a_long_one(frame: pd.DataFrame) -> None:
    wide = frame.pivot_table(index="seed", columns="arm", values="acc")
    with pytest.raises(InputError, match=r"frame\.melt\(var_name='variant'"):
        library.compare(wide)
    with pytest.raises(InputError, match=r"no column 'arm' for the variant\n  has 'acc'\n  frame\.reset_index\(\)"):
        library.compare(frame.set_index(["arm", "seed"]), variant="arm")
    long = wide.melt(var_name="variant", value_name="accuracy", ignore_index=False).reset_index()
    assert [one.verdict for one in library.compare(long).comparisons] == [
        one.verdict for one in library.compare(frame).comparisons
    ]
