from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from ablate.checks.finding import Finding
from ablate.errors import AblateError, InputError, counted
from ablate.report import filters, verdict_text
from ablate.report.content import Records, Report, report
from ablate.report.document import document
from ablate.report.render import render
from ablate.stats.results import Results
from ablate.study.comparisons import Comparing
from ablate.study.spec import Choice, Recipe, Study, Variant
from tests.planted import framed
from tests.worded import worded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ablate.report.facts import Fact
    from ablate.report.sections import SectionComparison

METRICS = ("train/loss", "validation/loss", "validation/accuracy", "test/loss", "test/accuracy")
CROP, CUTOUT = Choice("crop", {"padding": 4}), Choice("cutout", {"size": 16})
FIRST = Recipe(5, 128, Choice("cifar100"), Choice("simple-cnn"), Choice("adam", {"lr": 0.001}), augmentation=(CROP,))
THIRD = dataclasses.replace(
    FIRST, epochs=12, model=Choice("timm:resnet18"), optimizer=Choice("sgd", {"lr": 0.05, "momentum": 0.9})
)
FOURTH = dataclasses.replace(
    THIRD, model=Choice("timm:resnet34"), augmentation=(CROP, CUTOUT), optimizer=Choice("sgd", {"lr": 0.02})
)
HOSTILE = "<script>alert(1)</script> | **b** `c` [x](javascript:alert(1)) ](javascript:alert(1)) <img src=x> _e_ $y$"


def phases(**changes: Any) -> Study:
    """Three of the reference's phases with the numbers that it reports."""
    variants = (
        Variant("Phase 1", FIRST, None, "Simple CNN", ("Baseline",), {"accuracy": 0.362, "loss": 2.49}),
        Variant("Phase 3", THIRD, "Phase 1", "ResNet18", (), {"accuracy": 0.5468, "loss": 1.81}, "Why\nso.\n\nMore."),
        Variant("Phase 4", FOURTH, "Phase 3", "", (), {"accuracy": 0.4067, "loss": 2.26}),
    )
    study = Study(
        "cifar100-phases",
        "Phases on CIFAR-100",
        variants,
        (0, 1, 2),
        label="Phase",
        ladder=True,
        comparing=Comparing("paired"),
    )
    return dataclasses.replace(study, **changes)


def records(study: Study | None = None, without: dict[tuple[str, int], tuple[str, str]] | None = None) -> Records:
    """Runs whose accuracy is 0.1 more with each variant, plus a thousandth for each seed but the pairing's own."""
    study = study or phases()
    runs, history = [], []
    for place, variant in enumerate(study.variants):
        for seed in study.seeds:
            accuracy = 0.3 + 0.1 * place + 0.02 * seed + 0.001 * place * seed
            final = dict.fromkeys(METRICS, math.nan) | {"train/loss": 2.0 - 0.1 * place, "test/loss": 2.2 - 0.1 * place}
            final["test/accuracy"] = accuracy
            state, reason = (without or {}).get((variant.name, seed), ("stored", ""))
            facts: dict[str, Any] = {
                "variant": variant.name,
                "seed": seed,
                "key": f"{place}{seed}",
                "state": state,
                "reason": reason,
            }
            if state != "stored":
                runs.append(
                    {
                        **facts,
                        "parameters": math.nan,
                        "dead_weights": math.nan,
                        "seconds": math.nan,
                        **dict.fromkeys(METRICS, math.nan),
                    }
                )
                continue
            runs.append({**facts, "parameters": 11_220_132.0, "dead_weights": 6_956_482.0, "seconds": 90.0, **final})
            history += [
                {"variant": variant.name, "seed": seed, "epoch": epoch, "lr": 0.1, **final, "seconds": 9.0}
                for epoch in range(1, variant.recipe.epochs + 1)
            ]
    columns = ["variant", "seed", "epoch", "lr", *METRICS, "seconds", "images_per_second"]
    findings = (Finding("several-factors", "Phase 3", "changes 3 factors", "add a variant for each"),)
    environment = ("torch 2.15.0, CPU, 2 threads",)
    results = Results(study, framed(runs), framed(history, columns))
    return Records(results, findings, environment, "2026-01-02")


def cells(made: Report, row: int) -> list[str]:
    """The numbers of a row of the comparison table as they are written, with ordinary spaces."""
    return [filters.cell(made.table.rows[row], column).replace("\xa0", " ") for column in made.table.columns]


def compared(made: Report, variant: int = 1) -> SectionComparison:
    """The comparison of a variant with the one it comes from."""
    return made.sections[variant].comparisons[-1]


def written(facts: Iterable[Fact]) -> dict[str, str]:
    """Facts as they are written, with ordinary spaces."""
    return {fact.label: filters.value(fact).replace("\xa0", " ") for fact in facts}


# --- the facts ---------------------------------------------------------------------------------------------


def test_the_table_has_ours_beside_the_reported_numbers() -> None:
    table = report(records()).table
    assert table.label == "Phase"
    assert [c.title.replace("\xa0", " ") for c in table.columns] == [
        "Test loss",
        "Test loss, 95 % interval",
        "Test loss, reported",
        "Test accuracy (%)",
        "Test accuracy (%), 95 % interval",
        "Test accuracy (%), reported",
    ]
    row = table.rows[1]
    assert (row.name, row.model, row.epochs) == ("Phase 3", "ResNet18", 12)
    assert cells(report(records()), 1)[3:] == ["42.1", "36.9 to 47.3", "54.68"]


def test_a_study_without_reported_numbers_has_no_column_for_them() -> None:
    study = phases(variants=tuple(dataclasses.replace(v, reported={}) for v in phases().variants))
    made = report(records(study))
    assert "reported" not in {column.kind for column in made.table.columns}
    assert all(section.reported == () for section in made.sections)


def test_enhancements_are_the_authors_or_derived_from_what_changed() -> None:
    first, third, fourth = (filters.enhancements(row) for row in report(records()).table.rows)
    assert first == "Baseline"
    assert third == "timm:resnet18, optimizer sgd (lr 0.05, momentum 0.9), 12 epochs"
    assert fourth == (
        "timm:resnet34, optimizer lr 0.05 → 0.02, optimizer momentum 0.9 → default, with cutout (size 16)"
    )


def test_a_variant_without_a_label_shows_the_model_it_uses() -> None:
    assert report(records()).table.rows[2].model == "timm:resnet34"


def test_a_section_says_what_changed_and_by_how_much_seed_by_seed() -> None:
    section = report(records()).sections[1]
    assert section.parent == "Phase 1"
    assert ("epochs", "5", "12") in section.changes
    (found,) = section.comparisons
    assert verdict_text.difference(found.result) == "+10.10\xa0points"
    assert verdict_text.interval(found.result) == "+9.85\xa0to\xa0+10.35"
    assert verdict_text.basis(found.result) == "3 paired seeds"
    assert verdict_text.per_seed(found.result) == ["seed\xa00 +10.00", "seed\xa01 +10.10", "seed\xa02 +10.20"]
    assert found.cautions == ("3 changes at once: cannot be credited to one.",)


def test_a_reported_difference_is_in_points_and_never_in_percent(tmp_path: Path) -> None:
    accuracy, loss = report(records()).sections[1].reported
    assert filters.reported_difference(accuracy) == "+18.48\xa0points"
    assert filters.reported_ends(accuracy) == "36.2 → 54.68\xa0%"
    assert filters.reported_difference(loss) == "−0.68"
    (page,) = worded(records(), ["md"], tmp_path)
    assert not re.search(r"[+−][\d.]+\s%(?! of the (accuracy|loss))", page.read_text())
    assert "−27.3\xa0% of the loss" in page.read_text()


def test_the_baseline_gives_its_settings_and_no_comparison() -> None:
    section = report(records()).sections[0]
    assert section.comparisons == ()
    assert written(section.settings)["augmentation"] == "crop (padding 4)"


def test_an_authors_note_keeps_its_paragraphs() -> None:
    assert report(records()).sections[1].note == ("Why so.", "More.")


def test_one_seed_is_said_plainly_and_has_no_interval() -> None:
    made = report(records(phases(seeds=(0,))))
    assert {column.kind for column in made.table.columns} == {"mean", "reported"}
    assert made.table.notes[0].startswith("One seed each gives no interval")
    found = compared(made).result
    assert (verdict_text.interval(found), verdict_text.basis(found)) == ("", "one seed, which gives no interval")
    assert verdict_text.per_seed(found) == []
    assert verdict_text.difference(found) == "+10.00\xa0points"


def test_a_metric_on_the_validation_split_is_compared_and_tabled() -> None:
    made = records(phases(metric="validation/loss"))
    made.results.runs["validation/loss"] = made.results.runs["test/loss"] + 0.01 * made.results.runs["seed"]
    facts = report(made)
    assert [group for group, _ in facts.table.groups] == ["Test loss", "Test accuracy (%)", "Validation loss"]
    found = compared(facts).result
    assert (found.metric.label, verdict_text.difference(found)) == ("validation loss", "−0.100")


def test_what_no_run_measured_is_left_out_or_a_dash() -> None:
    finals = report(records()).sections[0].finals
    labels = [fact.label for fact in finals]
    assert filters.detail(finals[3]) == "62\N{NO-BREAK SPACE}% of them never meet a pixel"
    assert labels == ["training loss", "test loss", "test accuracy", "parameters", "time a run"]
    made = report(records(phases(metric="validation/accuracy")))
    found = compared(made).result
    assert (verdict_text.difference(found), verdict_text.basis(found)) == ("–", "no seed has a result for both")


def test_runs_without_a_result_are_counted_and_listed_with_their_reasons() -> None:
    made = report(
        records(
            without={
                ("Phase 3", 1): ("failed", "the loss is nan"),
                ("Phase 4", 0): ("new", ""),
                ("Phase 4", 2): ("new", ""),
            }
        )
    )
    assert [filters.runs(row).replace("\xa0", " ") for row in made.table.rows] == [
        "3 of 3",
        "2 of 3, 1 failed",
        "1 of 3, 2 new",
    ]
    assert [(g.variant, g.seeds, g.state, g.reason) for g in made.gaps] == [
        ("Phase 3", (1,), "failed", "the loss is nan"),
        ("Phase 4", (0, 2), "new", ""),
    ]
    assert compared(made).cautions[0] == "Left out, since not both have a finite result: seed 1."


def test_accuracies_that_are_absent_are_not_told_as_runs_that_are_missing() -> None:
    made = records()
    made.results.runs.loc[made.results.runs["variant"] == "Phase 3", "test/accuracy"] = [0.4, math.nan, 0.4]
    told = report(made)
    assert cells(told, 1)[3:5] == ["–", "–"]
    assert told.table.notes[0].startswith("Our numbers are means over 3 seeds")
    assert "– stands for a number that is absent or not finite, for one seed or more." in told.table.notes
    assert compared(told).cautions[0] == "Left out, since not both have a finite result: seed 1."
    made = records()
    made.results.runs["test/accuracy"] = math.nan
    assert "No run has a result yet." not in report(made).table.notes


def test_an_interval_ends_where_an_accuracy_does_and_the_note_says_so() -> None:
    made = records()
    made.results.runs.loc[made.results.runs["variant"] == "Phase 3", "test/accuracy"] = [0.99, 1.0, 0.9]
    told = report(made).table
    assert cells(report(made), 1)[4] == "82.7 to 100.0"
    cut = (
        "95 % coverage; it is cut off where it would leave what the metric can be, such as 0 to 100 % for an accuracy."
    )
    assert told.notes[0].replace("\xa0", " ").endswith(cut)
    assert report(records()).table.notes[0].endswith("coverage.")


def test_a_difference_of_accuracies_is_at_most_100_points() -> None:
    made = records()
    made.results.runs.loc[made.results.runs["variant"] == "Phase 1", "test/accuracy"] = [0.0, 0.0, 0.3]
    made.results.runs.loc[made.results.runs["variant"] == "Phase 3", "test/accuracy"] = [1.0, 0.8, 1.0]
    found = compared(report(made))
    assert verdict_text.interval(found.result).endswith("to\xa0+100.0")
    assert (
        "The interval is cut off at 100\xa0points, the most that two values of test accuracy differ by."
        in found.cautions
    )


def test_a_pilots_training_time_counts_a_shared_run_once() -> None:
    made = records(phases(pilot=True, seeds=(0,)))
    made.results.runs["key"] = ["a", "a", "b"]
    assert written(report(made).making)["training time"] == "3 min"


def test_one_is_counted_as_one() -> None:
    assert [counted(n, "run") for n in (0, 1, 2, 1000)] == ["0 runs", "1 run", "2 runs", "1,000 runs"]
    shorter = dataclasses.replace(THIRD, epochs=1)
    variants = (phases().variants[0], dataclasses.replace(phases().variants[1], recipe=shorter))
    assert report(records(phases(variants=variants))).table.rows[1].enhancements[-1] == "1 epoch"


def test_a_complete_study_has_no_column_of_runs() -> None:
    made = report(records())
    assert not made.table.incomplete
    assert made.gaps == ()


def test_a_report_ends_with_how_it_was_made() -> None:
    made = report(dataclasses.replace(records(), commands=("ablate run studies/x.toml", "ablate report x")))
    facts = written(made.making)
    assert facts["seeds"] == "0, 1, 2"
    assert facts["environment"] == "torch 2.15.0, CPU, 2 threads"
    assert facts["training time"] == "13 min 30 s"
    assert made.commands == ("ablate run studies/x.toml", "ablate report x")


def test_a_section_names_the_findings_that_are_of_its_variant(tmp_path: Path) -> None:
    alike = Finding("idle-setting", "Phase 1, Phase 3", "idle", "look", variants=("Phase 1", "Phase 3"))
    every = Finding("no-validation", "every variant", "none held out", "hold some back")
    waived = Finding("several-factors", "Phase 1", "changes 3 factors", "add a variant for each", "meant so")
    given = dataclasses.replace(records(), findings=(*records().findings, alike, every, waived))
    made = report(given)
    told = {one.name: one.findings for one in made.sections}
    assert "idle-setting" in told["Phase 1"]
    assert told["Phase 3"][:1] == ("several-factors",)
    assert "idle-setting" in told["Phase 3"]
    assert not any("no-validation" in codes for codes in told.values())
    assert "several-factors" not in told["Phase 1"]
    render(given, ["html", "md", "tex"], tmp_path)
    assert '(<a href="#findings">what each means</a>)' in (tmp_path / "report.html").read_text()
    assert "To keep in mind, as said below: `" in (tmp_path / "report.md").read_text()
    assert "To keep in mind, as said below: " in (tmp_path / "parts" / "variants.tex").read_text()


def test_commands_stand_one_on_a_line_in_every_form(tmp_path: Path) -> None:
    given = dataclasses.replace(records(), commands=("ablate run studies/x.toml", "ablate report x"))
    render(given, ["html", "md", "tex"], tmp_path)
    assert (
        "<pre><code>ablate run studies/x.toml</code>\n<code>ablate report x</code>\n</pre>"
        in (tmp_path / "report.html").read_text()
    )
    assert (
        "- made by: `ablate run studies/x.toml`\n- made by: `ablate report x`" in (tmp_path / "report.md").read_text()
    )
    assert (tmp_path / "parts" / "provenance.tex").read_text().count("made by: ") == 2


def test_a_pilot_has_a_banner() -> None:
    assert report(records(phases(pilot=True))).pilot.startswith("Pilot: one seed, one epoch")
    assert report(records()).pilot == ""


# --- the facts in other forms ----------------------------------------------------------------------------------


def test_the_table_is_a_tidy_frame_of_numbers() -> None:
    made = records()
    frame = report(made).table.frame(made.results)
    assert len(frame) == 6
    row = frame[(frame["variant"] == "Phase 3") & (frame["metric"] == "test/accuracy")].iloc[0]
    assert (row["mean"], row["reported"], row["difference"]) == pytest.approx((0.421, 0.5468, 0.101))
    assert (row["runs"], row["epochs"], row["reference"]) == (3, 12, "Phase 1")
    assert row["low"] < row["mean"] < row["high"]
    baseline = frame[frame["variant"] == "Phase 1"]
    assert baseline["difference"].isna().all()
    assert set(baseline["reference"]) == {""}


def test_a_report_is_plain_json_too() -> None:
    made = records(
        without={("Phase 4", 0): ("failed", "boom"), ("Phase 4", 1): ("new", ""), ("Phase 4", 2): ("new", "")}
    )
    told = json.loads(json.dumps(document(report(made)), allow_nan=False))
    row = told["table"]["rows"][1]
    assert row["estimates"]["test/accuracy"]["mean"] == pytest.approx(0.421)
    assert told["table"]["rows"][2]["estimates"]["test/accuracy"]["mean"] is None
    assert told["sections"][1]["comparisons"][0]["result"]["metric"] == "test/accuracy"
    assert told["sections"][1]["comparisons"][0]["result"]["per_seed"] == pytest.approx([0.1, 0.101, 0.102])
    assert {"label": "time a run", "detail": ""}.items() <= told["sections"][0]["finals"][-1].items()
    assert told["sections"][0]["finals"][-1]["value"]["value"] == 90.0
    assert told["gaps"][0] == {"variant": "Phase 4", "seeds": [0], "state": "failed", "reason": "boom"}


# --- files -------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Fails at tags that are not balanced; keeps start tags and what they fetch."""

    VOID = frozenset({"meta", "img", "br", "hr", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.fetched: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action", "data"}]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    return tags


def hostile(text: str = HOSTILE, *, results: bool = True) -> Records:
    """Records in which all that a user or a run can write is hostile; without results they have no figures."""
    names = [f"{text} {i}" for i in range(3)]
    odd = Choice(text, {text: text, "x": [text]})
    recipes = [
        dataclasses.replace(FIRST, dataset=odd, model=odd),
        dataclasses.replace(FIRST, dataset=odd, model=odd, optimizer=odd, scheduler=odd),
        dataclasses.replace(FIRST, dataset=odd, model=Choice(text, {text: "y"}), augmentation=(odd, odd)),
    ]
    variants = tuple(
        Variant(
            names[i],
            recipes[i],
            names[i - 1] if i else None,
            model_label=text if i < 2 else "",
            enhancements=(text, text) if i < 2 else (),
            reported={"accuracy": 0.5, "loss": 2.0},
            note=f"# {text}\n\n- {text}",
        )
        for i in range(3)
    )
    study = phases(variants=variants, title=text, name=text, label=text, note=text)
    state = ("failed" if results else "unfinished", text)
    runs = [(name, seed) for name in names for seed in study.seeds]
    made = records(study, without=dict.fromkeys(runs[3:4] if results else runs, state))
    return dataclasses.replace(
        made,
        findings=(Finding("one-seed", text, text, text), Finding("one-seed", text, text, text, waived=text)),
        environments=(text,),
        made=text,
        commands=(text,),
        changes=(text,),
    )


def test_the_page_is_well_formed_and_fetches_nothing(tmp_path: Path) -> None:
    (page,) = render(records(), ["html"], tmp_path)
    tags = parsed(page.read_text())
    assert page == tmp_path / "report.html"
    assert list(tmp_path.iterdir()) == [page]
    assert tags.seen.count("svg") == 6
    assert all(url.startswith("#") for url in tags.fetched)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\((?!#)", page.read_text())


def test_links_in_the_page_lead_to_sections_that_exist(tmp_path: Path) -> None:
    (page,) = render(records(), ["html"], tmp_path)
    text = page.read_text()
    links, places = (set(re.findall(rf'\b{name}="#?([^"#:]+)"', text)) for name in ("href", "id"))
    assert links
    assert links <= places


def test_no_value_becomes_markup_in_the_page(tmp_path: Path) -> None:
    (page,) = render(hostile(), ["html"], tmp_path)
    tags = parsed(page.read_text())
    assert tags.seen.count("script") == 2  # what the page reads, and its own
    assert tags.seen.count("svg") == 6
    assert "img" not in tags.seen
    assert not [url for url in tags.fetched if "javascript" in url]
    assert HOSTILE in tags.text


def html_shape(page: str) -> object:
    tags = parsed(page)
    return tags.seen, [url.partition(",")[0] for url in tags.fetched]


def markdown_shape(page: str) -> object:
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page)
    every = [token for block in tokens for token in [block, *(block.children or [])]]
    return [(token.type, token.tag) for token in every if token.type not in {"text", "text_special"}]


def latex_shape(fragment: str) -> object:
    """Return the commands and signs of a fragment less those that text is made of and its comments."""
    lines = [line for line in fragment.split("\n") if not line.lstrip().startswith("%")]
    text = r"\\allowbreak\{\}|\\symbol\{34\}|\\phantom\{.\}|\\text[a-z]+\{\}|\{[][*]\}|\{\}|\$[^$]*\$|~|\\[#$%&_{}]"
    rest = re.sub(text, "", "\n".join(re.sub(r"\\label\{[\w:-]+\}", "", line) for line in lines))
    rest = re.sub(r">\{\\raggedright\\arraybackslash\}p\{[\d.]+em\}", "l", rest)  # a column of long texts
    return re.findall(r"\\\\|\\[a-zA-Z]+|\\.|[{}&$%#_^]|\n", rest)


def csv_shape(text: str) -> object:
    """Return the rows by their numbers, and how often a text would be a formula."""
    head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    texts = [
        head.index(name)
        for name in ("variant", "key", "state", "reason", "candidate", "reference", "text")
        if name in head
    ]
    formulas = [row[i] for row in rows for i in texts if row[i].lstrip().startswith(("=", "+", "-", "@", "＝"))]
    return head, formulas, [[field for i, field in enumerate(row) if i not in texts] for row in rows]


def whole_shape(text: str) -> object:
    return text


SHAPES = {".html": html_shape, ".md": markdown_shape, ".tex": latex_shape, ".csv": csv_shape, ".bib": whole_shape}


@functools.cache
def shapes(text: str) -> dict[str, object]:
    """Return what is not text in each file of a hostile report, by the file's path in the report's folder."""
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "reports" / "out"
        render(hostile(text, results=False), ["html", "md", "tex", "csv"], out)
        for path in [path for path in Path(folder).rglob("*") if path.is_file()]:
            found[path.relative_to(out).as_posix()] = SHAPES[path.suffix](path.read_bytes().decode())
    return found


def test_hostile_text_adds_nothing_but_text_to_any_file_and_no_file(attack: str) -> None:
    assert shapes(attack) == shapes("harmless")


def test_a_study_without_results_is_reported_without_figures(tmp_path: Path) -> None:
    states = {(v.name, s): ("new", "") for v in phases().variants for s in (0, 1, 2)}
    html, markdown = render(records(without=states), ["html", "md"], tmp_path)
    assert parsed(html.read_text()).seen.count("svg") == 0
    for page in (html, markdown):
        assert "No run is done yet" in page.read_text()
        assert "No run has a result yet" in page.read_text()


@pytest.mark.long
def test_the_same_records_give_the_same_files(tmp_path: Path) -> None:
    from tests.support import contents  # not for those that import this module to see that it needs no torch

    for folder in ("a", "b"):
        render(records(), ["html", "md"], tmp_path / folder)
    assert contents(tmp_path / "a") == contents(tmp_path / "b") != {}


def test_a_report_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("old")
    render(records(), ["md"], tmp_path)
    assert (tmp_path / "report.md").read_text().startswith("# Phases")
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "references.bib", "figures"}


def test_an_unknown_format_names_the_accepted_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError) as told:
        render(records(), ["md", "htm", "pdf", "htm"], tmp_path)
    assert str(told.value).splitlines() == [
        "unknown report format 'htm'; did you mean 'html'?",
        "unknown report format 'pdf'",
        "  accepted: html, md, tex, json, csv; with commas between them for several",
    ]
    assert list(tmp_path.iterdir()) == []


def test_no_format_at_all_names_the_accepted_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no report format is named\n  accepted: html, md, tex, json, csv"):
        render(records(), [], tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AblateError, match=r"cannot write .*report\.html"):
        render(records(), ["html"], tmp_path / "file")


# --- LaTeX and CSV -----------------------------------------------------------------------------------------


def test_csv_has_a_row_for_each_run_and_for_each_epoch(tmp_path: Path) -> None:
    made = records(without={("Phase 3", 1): ("failed", "the loss is nan")})
    runs, epochs, comparisons = render(made, ["csv"], tmp_path)
    assert (runs.name, epochs.name, comparisons.name) == ("runs.csv", "epochs.csv", "comparisons.csv")
    read = pd.read_csv(runs, dtype={"key": str})
    assert list(read.columns) == list(made.results.runs.columns)
    assert len(read) == 9
    assert read["test/accuracy"].tolist()[:3] == made.results.runs["test/accuracy"].tolist()[:3]
    failed = read[read["state"] == "failed"].iloc[0]
    assert (failed["variant"], failed["seed"], failed["reason"]) == ("Phase 3", 1, "the loss is nan")
    assert math.isnan(failed["test/accuracy"])
    assert len(pd.read_csv(epochs)) == len(made.results.epochs)


def test_csv_alone_draws_nothing(tmp_path: Path) -> None:
    made = records()
    without = made.results.epochs.drop(columns="test/loss")  # a figure would need it
    made = dataclasses.replace(made, results=dataclasses.replace(made.results, epochs=without))
    render(made, ["csv"], tmp_path)
    assert not (tmp_path / "figures").exists()


def test_a_report_needs_no_torch_and_no_pyplot() -> None:
    script = "\n".join(
        [
            "import sys",
            "import ablate.report.render, ablate.report.content, ablate.stats.results",
            "assert 'matplotlib' not in sys.modules",
            "from test_report import records, render",
            "import pathlib, tempfile",
            "render(records(), ['html', 'md'], pathlib.Path(tempfile.mkdtemp()))",
            "print(sorted({'torch', 'matplotlib.pyplot', 'scipy.stats', 'matplotlib.figure'} & set(sys.modules)))",
        ]
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "['matplotlib.figure']\n", "")
