"""A report as JSON, and back."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping  # noqa: TC003  # hints of records are read
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ablate.errors import InputError
from ablate.metrics import ACCURACY, Metric
from ablate.report.codec import Codec, UnreadableError
from ablate.report.content import Records, report
from ablate.report.document import VERSION, document_text, load_report, read_document
from ablate.report.hints import UnwritableError, hints_of
from ablate.report.render import render, render_loaded
from ablate.report.schema import schema
from tests import test_report
from tests.reports import KINDS, differences, phases
from tests.support import ablate, contents

if TYPE_CHECKING:
    from ablate.stats.comparison import Comparison

CHECK = jsonschema.Draft202012Validator(schema())
FORMS = ("html", "md", "tex", "json")


@pytest.fixture(scope="module")
def text() -> str:
    return document_text(report(phases()))


def changed(text: str, *place: str | int, to: Any) -> str:
    """The document with another value at a place."""
    found = json.loads(text)
    inside = found
    for part in place[:-1]:
        inside = inside[part]
    inside[place[-1]] = to
    return json.dumps(found)


# --- there and back --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_back_is_the_report_and_fits_the_schema(kind: str) -> None:
    made = report(KINDS[kind]())
    text = document_text(made)
    CHECK.validate(json.loads(text))
    read = read_document(text)
    assert differences(made, read) == []
    assert document_text(read) == text


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
VALUES = st.one_of(st.floats(0, 1), st.sampled_from([math.nan, math.inf]))


@st.composite
def drawn(draw: st.DrawFn) -> Records:
    """A study with any names, states and numbers."""
    names = draw(st.lists(NAMES, min_size=3, max_size=3, unique=True))
    seeds = tuple(range(draw(st.integers(1, 4))))
    reported = st.fixed_dictionaries({}, optional={"accuracy": st.floats(0, 1), "loss": st.floats()})
    variants = tuple(
        replace(one, name=name, parent=parent, note=draw(NAMES), reported=draw(reported))
        for one, name, parent in zip(test_report.phases().variants, names, [None, *names], strict=False)
    )
    study = test_report.phases(
        variants=variants, seeds=seeds, metric=draw(st.sampled_from(("test/loss", "test/accuracy")))
    )
    states = st.sampled_from([("stored", ""), ("stored", ""), ("failed", draw(NAMES)), ("new", ""), ("unfinished", "")])
    made = test_report.records(study, {(name, seed): draw(states) for name in names for seed in seeds})
    runs = made.results.runs.copy()
    stored = runs["state"] == "stored"
    runs.loc[stored, "test/accuracy"] = [draw(VALUES) for _ in range(int(stored.sum()))]
    return replace(made, results=replace(made.results, runs=runs))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(drawn())
def test_whatever_a_study_is_called_and_gave_it_is_read_back(records: Records) -> None:
    made = report(records)
    text = document_text(made)
    CHECK.validate(json.loads(text))
    assert differences(made, read_document(text)) == []


def test_a_document_says_of_each_metric_what_is_better_and_in_which_unit(text: str) -> None:
    told = json.loads(text)
    shown = told["metrics"][told["table"]["metric"]]
    assert (shown["label"], shown["higher_is_better"], shown["split"]) == ("test accuracy", True, "test")
    of = told["quantities"][shown["quantity"]]
    assert (of["unit"], of["step"], of["factor"], of["bounds"]) == ("%", "points", 100.0, [0.0, 1.0])
    assert told["quantities"]["loss"]["bounds"] == [0.0, None]


def test_a_comparison_is_called_difference_and_says_itself_in_words(text: str) -> None:
    found = json.loads(text)["comparisons"][0]
    assert found["difference"] == pytest.approx(0.101)
    assert found["text"].startswith("Phase 3")
    assert json.loads(text)["answer"]


def test_metrics_of_one_name_that_are_not_the_same_have_names_of_their_own() -> None:
    made = report(phases())
    other = Metric("test/accuracy", replace(ACCURACY, label="share of right answers"), "test")
    mixed = replace(made, table=replace(made.table, metric=other))
    text = document_text(mixed)
    assert json.loads(text)["table"]["metric"] == "test/accuracy (2)"
    assert read_document(text).table.metric == other


def test_lists_of_numbers_stand_on_one_line_and_texts_stay_as_they_are() -> None:
    made = replace(report(phases()), note=("a [1,   2] b", "[\n1\n]"))
    text = document_text(made)
    assert '"epochs": [1, 2, 3, 4, 5]' in text
    assert read_document(text).note == made.note


# --- what a record may be made of ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    name: str
    image: bytes = b""


@dataclass(frozen=True)
class Whole:
    part: Part | None
    parts: Mapping[str, tuple[Part, ...]]
    kind: Literal["a", 1]
    either: str | int | float
    pair: tuple[int, str]
    compared: Comparison | None = None


def test_a_new_field_of_a_record_is_written_and_read_by_its_hint_alone() -> None:
    whole = Whole(Part("x", b"\x00\xff"), {"a": (Part("y"),)}, 1, 0.5, (1, "z"))
    told = Codec().encode(whole, Whole)
    assert told["part"] == {"name": "x", "image": base64.b64encode(b"\x00\xff").decode()}
    assert Codec().decode(json.loads(json.dumps(told)), Whole) == whole
    assert Codec().decode({**told, "part": {"name": "x"}}, Whole).part == Part("x")


def test_a_hint_imported_for_type_checkers_alone_is_found() -> None:
    assert str(hints_of(Whole)["compared"]) == "ablate.stats.comparison.Comparison | None"


@pytest.mark.parametrize(
    ("hint", "value", "said"),
    [
        (set[int], {1}, r"x: a field of the type set\[int\] has no form in JSON"),
        (
            dict[str, int],
            {},
            r"no form in JSON; a fact is a str, int, float, bool, None, Literal, bytes, tuple, Mapping",
        ),
        (int, 0.5, r"x: 0.5 is no <class 'int'>"),
        (float, True, "x: True is no <class 'float'>"),
        (str | None, 1, "x: 1 is none of"),
        (tuple[int, int], (1,), r"x: \(1,\) is no tuple\[int, int\]"),
        (tuple[str, ...], ("a", 1), r"x\[1\]: 1 is no <class 'str'>"),
    ],
)
def test_a_fact_that_json_cannot_hold_is_named_with_its_place(hint: Any, value: Any, said: str) -> None:
    with pytest.raises(UnwritableError, match=said):
        Codec().encode(value, hint, "x")


# --- documents that are no report ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "to", "said"),
    [
        (("format",), "recipe", "format: is not 'ablate report': this is something else"),
        (
            ("version",),
            VERSION + 1,
            rf"version: {VERSION + 1} is newer than {VERSION}: a newer ablate \(0.1.0\) wrote it",
        ),
        (("version",), "1", "version: is no version of a report"),
        (("title",), 3, "title: 3 where a text has to be"),
        (("title",), None, "title: null where a text has to be"),
        (("sections", 1, "name"), ["x"], r"sections\[1\].name: a list where a text has to be"),
        (("table", "rows", 0, "epochs"), 1.5, r"table.rows\[0\].epochs: 1.5 where a whole number has to be"),
        (("table", "rows", 0, "epochs"), True, r"table.rows\[0\].epochs: True where a whole number has to be"),
        (("table", "rows", 0, "epochs"), 10**30, "is too large a number"),
        (("table", "metric"), "test/f1", "table.metric: 'test/f1' is no metric that is described"),
        (
            ("comparisons", 0, "verdict"),
            "won",
            r"comparisons\[0\].verdict: 'won' where one of these has to be: 'helped'",
        ),
        (("comparisons", 0, "price"), 1, r"comparisons\[0\].price: is nothing that a report has there"),
        (("histories", 0, "series", "lr", "mean"), 1, r"histories\[0\].series\['lr'\].mean: 1 where a list has to be"),
        (("findings", 0, "code"), "odd", r"findings\[0\]: is no Finding: 'odd'"),
        (("metrics",), [], "metrics: is missing, or no object"),
        (("quantities", "loss", "bounds"), [0], r"quantities\['loss'\].bounds: a list where a list of 2 has to be"),
    ],
)
def test_a_document_that_was_changed_is_refused_with_the_place(
    text: str, tmp_path: Path, place: tuple[str | int, ...], to: Any, said: str
) -> None:
    file = tmp_path / "report.json"
    file.write_text(changed(text, *place, to=to))
    with pytest.raises(InputError, match=said) as raised:
        load_report(file)
    assert str(raised.value).startswith(f"{file}: is no report as this ablate (0.1.0) writes them\n")
    assert str(raised.value).endswith("'ablate report STUDY --format json' writes it anew, where the study's store is")


ROW = ("table", "rows", 0, "estimates", "test/accuracy")
FIRST = ("comparisons", 0)
FALL = ("sections", 1, "course", "falls", 0)


@pytest.mark.parametrize(
    ("place", "to", "said"),
    [
        ((*FIRST, "p"), 1.7, r"comparisons\[0\].p: 1.7 is not a probability or a share, which is 0 to 1"),
        ((*FIRST, "p_alone"), -0.1, r"comparisons\[0\].p_alone: -0.1 is not a probability"),
        ((*FIRST, "level"), None, r"comparisons\[0\].level: is absent, and has to be a number"),
        ((*FIRST, "low"), 0.5, r"comparisons\[0\].low: the interval from 0.5 to \S+ does not hold 0.101"),
        ((*FIRST, "high"), -0.5, r"comparisons\[0\].low: the interval from \S+ to -0.5 does not hold 0.101"),
        ((*FIRST, "high"), None, r"comparisons\[0\].high: is absent, and the other end of the interval is not"),
        (
            (*FIRST, "high"),
            1.5,
            r"comparisons\[0\].high: 1.5 is not a difference of test accuracy, which is -1 to 1",
        ),
        ((*FIRST, "difference"), None, r"comparisons\[0\].difference: is absent, and its interval is not"),
        ((*FIRST, "n"), -3, r"comparisons\[0\].n: -3 is negative, and it counts something"),
        ((*FIRST, "verdict"), "hurt", r"comparisons\[0\].verdict: 'hurt' of a difference of 0.101 in test accuracy"),
        ((*FIRST, "per_seed"), [0.1], r"comparisons\[0\].per_seed: has 1 differences of 3 seeds"),
        ((*ROW, "mean"), None, r"mean: is absent, and its interval is not"),
        (
            ROW,
            {"mean": 36.2, "low": 36.0, "high": 36.4, "n": 3},
            r"table.rows\[0\].estimates\['test/accuracy'\].mean: 36.2 is not a test accuracy, which is 0 to 1",
        ),
        (
            ("table", "rows", 0, "estimates", "test/loss"),
            {"mean": -1.0, "low": None, "high": None, "n": 3},
            r"\['test/loss'\].mean: -1 is not a test loss, which is 0 or more",
        ),
        (
            ROW,
            {"mean": 0.4, "low": None, "high": None, "n": 0},
            r"estimates\['test/accuracy'\].n: 0 values have no mean",
        ),
        (
            ("table", "rows", 0, "reported", "test/accuracy"),
            36.2,
            r"reported\['test/accuracy'\]: 36.2 is not a test acc",
        ),
        (("table", "rows", 0, "runs", "stored"), -1, r"runs\['stored'\]: -1 is negative"),
        ((*FALL, "first"), -2.0, r"falls\[0\].first: -2 is not a training loss, which is 0 or more"),
        ((*FALL, "last"), None, r"falls\[0\].last: is absent, and has to be a number"),
        (("conclusion", "done"), 99, r"conclusion.done: 99 runs of 9 that are planned"),
        (
            ("histories", 0, "series", "test/accuracy", "mean", 0),
            0.9,
            r"series\['test/accuracy'\].mean\[0\]: 0.9 is not between the lowest and the highest seed",
        ),
        (("quantities", "accuracy", "factor"), -100.0, r"quantities\['accuracy'\].factor: -100 is negative"),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_the_name_of_the_fact(
    text: str, place: tuple[str | int, ...], to: Any, said: str
) -> None:
    with pytest.raises(UnreadableError, match=said):
        read_document(changed(text, *place, to=to))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not JSON: Expecting value"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[]", "this is something else"),
        (b"null", "this is something else"),
        (b'{"format": "ablate report", "version": 1}', "quantities: is missing"),
        (b'{"format": "ablate report", "version": NaN}', "is not JSON: NaN is no number there"),
        (b'{"format": "ablate report", "version": 1e999}', "is not JSON: 1e999 is no number there"),
        (b'{"format": 1, "format": 2}', "is not JSON: 'format' stands twice in an object"),
        (b'{"format": "\\ud800"}', "is not UTF-8 text"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"version": ' + b"9" * 5000 + b"}", "is not JSON: Exceeds the limit"),
    ],
)
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "report.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match=said):
        load_report(file)


def test_a_field_that_is_missing_is_named_and_one_with_a_default_is_not_needed(text: str) -> None:
    told = json.loads(text)
    assert (
        differences(read_document(json.dumps({k: v for k, v in told.items() if k != "shares"})), read_document(text))
        == []
    )
    del told["table"]["label"]
    with pytest.raises(UnreadableError, match=r"^table.label: is missing$"):
        read_document(json.dumps(told))


# --- the other forms from it -----------------------------------------------------------------------------------


QUICK, SLOW = ("partial", "nothing"), ("tuned", "hostile", "predicted", "phases")


@pytest.mark.parametrize("kind", QUICK)
def test_every_other_form_is_the_same_bytes_from_the_json(kind: str, tmp_path: Path) -> None:
    records = KINDS[kind]()
    render(records, FORMS, tmp_path / "store")
    file = tmp_path / "store" / "report.json"
    files = render_loaded(load_report(file), file, FORMS, tmp_path / "file")
    assert [file.name for file in files] == ["report.html", "report.md", "report.tex", "report.json"]
    assert contents(tmp_path / "file") == contents(tmp_path / "store")


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow if kind in SLOW else pytest.mark.long)
        for kind in KINDS
        if kind not in QUICK
    ],
)
def test_every_other_form_is_the_same_bytes_from_the_json_for_every_kind(kind: str, tmp_path: Path) -> None:
    test_every_other_form_is_the_same_bytes_from_the_json(kind, tmp_path)


@pytest.mark.parametrize(
    ("place", "to"),
    [
        (("histories",), []),
        (("histories", 0, "variant"), "nobody"),
        (("histories", 0, "series", "test/accuracy", "mean"), [0.5]),
        (("table", "rows", 0, "estimates"), {}),
        (("table", "rows"), []),
    ],
)
def test_a_report_that_contradicts_itself_is_an_error_and_no_crash(
    text: str, tmp_path: Path, place: tuple[str | int, ...], to: Any
) -> None:
    file = tmp_path / "report.json"
    file.write_text(changed(text, *place, to=to))
    try:
        render_loaded(load_report(file), file, FORMS, tmp_path / "out")
    except InputError:
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("anchor", ["/../../../evil", "x) **bold**", "variant-0", "variant-1\n", 1])
def test_an_anchor_that_could_name_a_file_elsewhere_is_refused(text: str, anchor: Any) -> None:
    with pytest.raises(UnreadableError, match=r"sections\[1\].anchor: is no place of a variant"):
        read_document(changed(text, "sections", 1, "anchor", to=anchor))


def test_decimals_that_would_fill_the_memory_are_refused(text: str) -> None:
    with pytest.raises(UnreadableError, match="has 400000000 decimals, which are 0 to 1100"):
        read_document(changed(text, "quantities", "accuracy", "plain", to=400_000_000))
    with pytest.raises(UnreadableError, match="decimals: is no number of decimals"):
        read_document(changed(text, "table", "columns", 0, "decimals", to=-1))


def test_figures_of_a_report_that_contradicts_itself_are_an_error_and_no_crash(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("report.json").write_text(changed(text, "histories", 0, "series", "test/loss", "mean", to=[]))
    done = ablate("report", "report.json", "--format", "json", "--figures", "f")
    assert done.exit_code == 2
    assert "what it says does not go together" in done.stderr


def test_csv_is_not_made_of_a_document(text: str, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(text)
    with pytest.raises(
        InputError, match="csv has each run and epoch, which a report in JSON has not\n  'ablate report"
    ):
        render_loaded(load_report(file), file, ["html", "csv"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_the_command_makes_the_other_forms_of_a_file_where_there_is_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    render(phases(), FORMS, tmp_path / "a folder")
    said = ablate("report", "a folder/report.json", "--format", ",".join(FORMS))
    assert said.exit_code == 0
    assert said.stdout.splitlines()[-1] == "reports/cifar100-phases/report.json"
    assert contents(tmp_path / "reports" / "cifar100-phases") == contents(tmp_path / "a folder")
    told = ablate("report", "a folder/report.json", "--format", "md", "--out", "there", "--json")
    assert json.loads(told.stdout) == {"study": "cifar100-phases", "files": [str(tmp_path / "there" / "report.md")]}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--method", "welch"), "report.json: --method and --pilot choose among runs"),
        (("--watch",), "report.json: --watch waits for runs"),
        (("--format", "csv"), "csv has each run and epoch"),
    ],
)
def test_what_takes_a_store_is_refused_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    render(phases(), ["json"], tmp_path)
    found = ablate("report", "report.json", *more)
    assert found.exit_code == 2
    assert said in found.stderr


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = ablate("report", "nowhere.json")
    assert (found.exit_code, found.stderr) == (2, "error: nowhere.json: cannot be read: No such file or directory\n")
