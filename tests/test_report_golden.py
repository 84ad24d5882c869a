"""What a report says of studies whose results are known, through every form; and that it says the same everywhere."""

from __future__ import annotations

import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt

from ablate import results
from ablate.launch.study import Options, open_study
from ablate.report.render import render
from tests.planted import five_phases, plant
from tests.reports import HOSTILE, KINDS, many, phases
from tests.support import contents
from tests.worded import worded

if TYPE_CHECKING:
    from pathlib import Path

    from ablate.report.content import Records

FORMS = ("html", "md", "tex")


class Page(html.parser.HTMLParser):
    """The text of a page, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] not in (["script"], ["style"]):
            self.words.append(data)


def said(records: Records, folder: Path) -> dict[str, str]:
    """What each form says, as text without its markup: each line of a table on one line, signs and spaces plain."""
    found = {path.suffix[1:]: path.read_text() for path in worded(records, FORMS, folder)}
    found["tex"] = latex(folder)
    found["html"] = " ".join(Page(found["html"]).words)
    found["md"] = " ".join(Page(MarkdownIt("commonmark").enable("table").render(found["md"])).words)
    found["tex"] = re.sub(r"\\[a-z]+\b|[{}$&\\]", " ", found["tex"].replace("~", " "))
    return {form: plain(text) for form, text in found.items()}


def latex(folder: Path) -> str:
    """The document with its parts, each in its place at the end."""
    return "\n".join(path.read_text() for path in (folder / "report.tex", *sorted((folder / "parts").glob("*.tex"))))


def plain(text: str) -> str:
    for old, new in (("\N{NO-BREAK SPACE}", " "), ("\N{MINUS SIGN}", "-"), ("- ", "-")):
        text = text.replace(old, new)
    return re.sub(r"\s+", " ", text)


def told(records: Records, folder: Path) -> Any:
    return json.loads(render(records, ["json"], folder)[0].read_text())


# --- the same store, the same bytes ----------------------------------------------------------------------------


STUDY = """
[study]
name = "small"
seeds = 2
[baseline]
epochs = 3
batch_size = 64
dataset = { use = "digits", validation = 200 }
model = { use = "simple-cnn" }
optimizer = { use = "adam", lr = 1e-3 }
[[variant]]
name = "faster"
set = { optimizer = { use = "adam", lr = 1e-2 } }
"""


def stored(folder: Path) -> Path:
    """A store in a folder, with the runs of a study as if they were just made."""
    file = folder / "studies" / "my study.toml"
    file.parent.mkdir(parents=True)
    file.write_text(STUDY)
    plant(open_study(Options(file, folder / "ablate-store", folder / "data")), drawn)
    return file


def drawn(variant: str, seed: int, epochs: int) -> list[dict[str, float]]:
    made = five_phases("Phase 1", seed, epochs)
    return [one | {"test/accuracy": one["test/accuracy"] + 0.1 * (variant == "faster")} for one in made]


def test_the_same_store_gives_the_same_bytes_wherever_and_whenever_it_is_read(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "another place"
    stored(first)
    shutil.copytree(first, second)
    command = ["report", "small", "--store", "ablate-store", "--format", "html,md,tex,json,csv", "--out", "out"]
    written = []
    for folder, more in (
        (first, {"TZ": "Pacific/Auckland", "PYTHONHASHSEED": "1", "LC_ALL": "C", "COLUMNS": "40"}),
        (second, {"TZ": "America/Lima", "PYTHONHASHSEED": "2", "LC_ALL": "de_DE.UTF-8", "COLUMNS": "200"}),
    ):
        python = [sys.executable, "-m", "ablate", *command]
        subprocess.run(python, cwd=folder, env=os.environ | more, check=True, capture_output=True)
        written.append(contents(folder / "out"))
        shutil.rmtree(folder)  # the second one is read where the file that the study was run from is gone
    one, other = written
    assert {"report.html", "report.md", "report.tex", "report.json", "runs.csv"} <= one.keys()
    assert [name for name in one | other if one.get(name) != other.get(name)] == []
    for name, content in one.items():
        assert str(tmp_path).encode() not in content, name
    assert json.loads(one["report.json"])["commands"] == ["ablate run 'studies/my study.toml'", "ablate report small"]


def test_a_report_is_of_the_time_of_its_newest_result_whatever_the_zone_it_was_written_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = iter(("T01:00:00+1300", "T20:00:00-0400", "T12:00:00+0000", "T13:00:00+0000"))
    monkeypatch.setattr("ablate.store.run_writer.local_time", lambda: f"2026-03-02{next(hours)}")
    file = stored(tmp_path)
    found = results(file, store=tmp_path / "ablate-store")
    times = ["2026-03-01T12:00:00Z", "2026-03-03T00:00:00Z", "2026-03-02T12:00:00Z", "2026-03-02T13:00:00Z"]
    assert list(found.runs["finished"]) == times
    assert found.document()["made"] == "2026-03-03T00:00:00Z"


def test_a_page_says_when_its_newest_result_is_from(tmp_path: Path) -> None:
    for form in ("html", "md"):
        assert "2026-01-02 03:04:05 UTC" in said(phases(), tmp_path)[form], form
    assert "UTC" not in said(KINDS["nothing"](), tmp_path)["md"]


# --- which way is better ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("metric", "size"), [("test/accuracy", "+10.1"), ("test/loss", "-0.09")])
def test_what_helps_has_the_sign_of_the_metric_and_the_same_verdict_in_every_form(
    metric: str, size: str, tmp_path: Path
) -> None:
    """Every phase gains accuracy and loses loss."""
    records = spread(phases(metric=metric), "test/loss")
    for form, text in said(records, tmp_path).items():
        assert size in text, form
        assert "helped" in text, form
    found = told(records, tmp_path)
    assert found["metrics"][metric]["higher_is_better"] is (metric == "test/accuracy")
    assert (found["comparisons"][0]["difference"] > 0) is (metric == "test/accuracy")
    assert found["comparisons"][0]["verdict"] == "helped"


def spread(records: Records, metric: str) -> Records:
    """The same with a loss that spreads from seed to seed, and not alike for every variant."""
    runs = records.results.runs.copy()
    runs[metric] += 0.001 * (runs["seed"] ** 2 + runs.groupby("variant", sort=False).ngroup() * runs["seed"])
    return replace(records, results=replace(records.results, runs=runs))


def test_a_lower_loss_has_helped_and_is_best(tmp_path: Path) -> None:
    records = spread(phases(metric="test/loss"), "test/loss")
    found = told(records, tmp_path)
    assert [one["verdict"] for one in found["comparisons"]] == ["helped", "helped"]
    assert found["conclusion"]["best"]["variant"] == "Phase 4"
    runs = records.results.runs.assign(**{"test/loss": 5 - records.results.runs["test/loss"]})
    found = told(replace(records, results=replace(records.results, runs=runs)), tmp_path)
    assert [one["verdict"] for one in found["comparisons"]] == ["hurt", "hurt"]
    assert found["conclusion"]["best"]["variant"] == "Phase 1"


# --- what is not there -----------------------------------------------------------------------------------------


def test_a_partial_study_says_what_is_missing_and_why_in_every_form(tmp_path: Path) -> None:
    for form, text in said(KINDS["partial"](), tmp_path).items():
        assert "2 of 3, 1 failed" in text, form
        assert "0 of 3" in text, form
        assert not re.search(r"\bnan\b", text.replace("loss is nan", "")), form
    for form in ("html", "md"):
        text = said(KINDS["partial"](), tmp_path)[form]
        assert "out of memory" in text, form
        assert "it diverged: the loss is nan" in text, form
    found = told(KINDS["partial"](), tmp_path)
    rows = {row["name"]: row for row in found["table"]["rows"]}
    assert rows["Phase 1"]["estimates"]["test/accuracy"]["mean"] is None
    assert rows["Phase 4"]["runs"] == {"failed": 1, "unfinished": 1, "new": 1}
    assert {"variant": "Phase 3", "seeds": [1], "state": "failed", "reason": "out of memory"}.items() <= found["gaps"][
        1
    ].items()


@pytest.mark.parametrize("kind", ["nothing", "all failed"])
def test_a_study_without_results_has_a_report_that_says_so(kind: str, tmp_path: Path) -> None:
    for form, text in said(KINDS[kind](), tmp_path).items():
        assert "No run has a result yet." in text, form
        assert "0 of 3" in text, form
        assert not re.search(r"helped|no practical difference:", text), form
    if kind == "all failed":
        assert "no space left on device" in said(KINDS[kind](), tmp_path)["html"]
    found = told(KINDS[kind](), tmp_path)
    assert found["made"] == ""
    assert {one["verdict"] for one in found["comparisons"]} == {"not decided"}


def test_one_seed_has_differences_and_decides_nothing(tmp_path: Path) -> None:
    for form, text in said(phases(1), tmp_path).items():
        assert "+10.0" in text, form
        assert "not decided" in text, form
        assert "One seed each gives no interval" in text, form


# --- how many --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("seeds", [1, 3, 20])
def test_each_variant_has_its_row_in_every_form(count: int, seeds: int, tmp_path: Path) -> None:
    names = ["baseline", *(f"variant {place}" for place in range(1, count))]
    for form, text in said(many(count, seeds), tmp_path).items():
        for name in names:
            assert name in text, form
    assert [row["name"] for row in told(many(count, seeds), tmp_path)["table"]["rows"]] == names


@pytest.mark.long
def test_two_hundred_variants_have_their_rows_in_every_form(tmp_path: Path) -> None:
    records = many(200)
    for form, text in said(records, tmp_path).items():
        assert all(f"variant {place}" in text for place in range(1, 200)), form
    assert len(told(records, tmp_path)["table"]["rows"]) == 200


# --- names that are markup -------------------------------------------------------------------------------------


def test_no_name_becomes_markup_in_any_form(tmp_path: Path) -> None:
    files = {
        path.suffix[1:]: path.read_text() for path in render(KINDS["hostile"](), (*FORMS, "json"), tmp_path / "a b")
    }
    page, usual = Page(files["html"]), Page(render(phases(), ["html"], tmp_path)[0].read_text())
    for tag in ("script", "style", "iframe", "form"):
        assert page.tags.count(tag) == usual.tags.count(tag), tag
    markdown = Page(MarkdownIt("commonmark").enable("table").render(files["md"]))
    for link in (*page.links, *markdown.links):
        assert re.match(r"#|figures/|data:image/|references\.bib$", link), link
    usual_tags = set(
        Page(MarkdownIt("commonmark").enable("table").render(render(phases(), ["md"], tmp_path)[0].read_text())).tags
    )
    assert set(markdown.tags) - usual_tags <= {
        "h1",
        "h2",
        "h3",
        "h4",
        "p",
        "ul",
        "ol",
        "li",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "strong",
        "em",
        "code",
        "img",
        "a",
        "blockquote",
        "hr",
        "br",
        "pre",
        "details",
        "summary",
    }
    assert "alert(1)" in "".join(markdown.words)
    files["tex"] = latex(tmp_path / "a b")
    body = "\n".join(line for line in files["tex"].splitlines() if not line.startswith("%"))
    assert "\\input" not in re.sub(r"(?m)^\\input\{parts/[a-z]+\}$", "", body)
    for form in FORMS:
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in files[form], form
    assert [row["name"] for row in json.loads(files["json"])["table"]["rows"]] == list(HOSTILE[:3])
