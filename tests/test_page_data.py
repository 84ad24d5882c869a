"""What the HTML page's script reads, and the table as text to paste elsewhere."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math

import pytest
from markdown_it import MarkdownIt

from ablate.report import page_data
from ablate.report.content import Records, Report, report
from ablate.report.page_data import for_sorting, verdict_rank
from ablate.report.pairs import MOST_VARIANTS
from ablate.report.table_copies import table_copies
from ablate.study.comparisons import Comparing
from ablate.study.spec import Choice, Recipe, Study, Variant

from .conftest import ATTACKS
from .planted import finals, planted
from .reports import phases

FIRST = Recipe(2, 64, Choice("cifar100"), Choice("simple-cnn"), Choice("adam", {"lr": 0.001}))


def told(names: list[str], seeds: int = 3, **changes: object) -> Report:
    """A report of variants each of which is 2 points better than the one before it."""
    variants = [
        Variant(name, dataclasses.replace(FIRST, batch_size=64 + place), names[0] if place else None)
        for place, name in enumerate(names)
    ]
    study = Study("made", "Made", tuple(variants), tuple(range(seeds)), comparing=Comparing("paired"), **changes)  # type: ignore[arg-type]
    values = {
        name: [0.3 + 0.02 * place + 0.001 * place * seed for seed in range(seeds)] for place, name in enumerate(names)
    }
    return report(Records(planted(study, finals(values))))


def test_every_pair_is_compared_once_and_those_that_are_planned_come_first() -> None:
    pairs = told(["a", "b", "c"]).pairs
    assert [(one.candidate, one.reference, one.planned) for one in pairs] == [
        ("b", "a", True),
        ("c", "a", True),
        ("c", "b", False),
    ]
    assert pairs[2].changes == (("batch size", "65", "66"),)
    assert [one.metric.name for one in pairs[2].compared] == ["test/accuracy", "test/loss"]
    assert pairs[2].compared[0].mean == pytest.approx(0.021)


def test_beyond_20_variants_only_the_planned_pairs_are_compared() -> None:
    names = [f"v{place}" for place in range(MOST_VARIANTS + 1)]
    assert len(told(names[:-1], 2).pairs) == MOST_VARIANTS * (MOST_VARIANTS - 1) // 2
    assert [one.reference for one in told(names, 2).pairs] == ["v0"] * MOST_VARIANTS


def test_a_pilot_has_no_pairs() -> None:
    assert told(["a", "b"], 1, pilot=True).pairs == ()


def test_the_script_reads_numbers_that_python_computed() -> None:
    made = told(["a", "b", "c"])
    found = json.loads(page_data.page_data(made))
    accuracy = found["curves"]["test/accuracy"]
    assert accuracy["variants"]["1"]["mean"] == pytest.approx([16.05, 32.1])
    assert len(accuracy["variants"]["1"]["values"]) == 3
    assert found["pairs"][0]["compared"][0]["difference"] == "+2.10\xa0points"
    assert found["pairs"][0]["compared"][0]["seeds"] == [[0, "+2.00"], [1, "+2.10"], [2, "+2.20"]]
    assert found["variants"][1]["seeds"] == {"0": "32.00", "1": "32.10", "2": "32.20"}
    assert found["seeds"] == [0, 1, 2]


def test_a_pair_the_other_way_round_has_the_same_digits_with_the_other_sign() -> None:
    found = json.loads(page_data.page_data(told(["a", "b", "c"])))["pairs"][2]
    one, back = found["compared"][0], found["turned"][0]
    swapped = str.maketrans("+−", "−+")
    assert back["difference"] == one["difference"].translate(swapped)
    ends = one["interval"].translate(swapped).split("\xa0to\xa0")
    assert back["interval"] == "\xa0to\xa0".join(reversed(ends))
    assert back["seeds"] == [[seed, change.translate(swapped)] for seed, change in one["seeds"]]
    assert (one["verdict"], back["verdict"], back["tone"]) == ("helped", "hurt", "hurt")
    assert back["told"].startswith("b hurt: −2.10\xa0points in test accuracy against c")


def test_no_name_ends_the_script_element() -> None:
    hostile = ["</script>", "<!--<script>", "\u2028 \u202e", *ATTACKS.values()]
    text = page_data.page_data(told(hostile))
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text)["variants"][0]["name"] == "</script>"


def test_of_many_numbers_the_means_alone_are_in_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_data, "MOST_NUMBERS", 10)
    found = json.loads(page_data.page_data(told(["a", "b"])))
    assert set(found["curves"]["test/loss"]["variants"]["0"]) == {"epochs", "mean"}


def test_a_column_sorts_by_all_digits_and_what_is_absent_has_none() -> None:
    assert [for_sorting(one) for one in (0.1 + 0.2, 0, None, math.nan, -math.inf)] == [
        "0.30000000000000004", "0.0", "", "", "",
    ]  # fmt: skip
    row = told(["a", "b"]).table.rows
    assert [verdict_rank(one.compared) for one in row] == ["", "3"]


def test_the_table_is_pasted_whole_in_each_format_whatever_names_hold() -> None:
    names = ["plain", *ATTACKS.values()]
    made = table_copies(told(names).table)
    whole = {kind: "\n".join([copy.head, *copy.rows, copy.foot]) for kind, copy in made.items()}
    fields = list(csv.reader(io.StringIO(whole["csv"].strip()), strict=True))
    assert {len(row) for row in fields} == {len(fields[0])}
    assert fields[1][0] == "plain"
    assert not [field for row in fields for field in row if field.startswith(("=", "@", "+ "))]
    tokens = MarkdownIt("commonmark").enable("table").parse(whole["markdown"])
    assert [token.type for token in tokens].count("tr_open") == len(names) + 1
    every = [token for block in tokens for token in [block, *(block.children or [])]]
    assert not {token.type for token in every} & {"html_inline", "link_open", "em_open"}
    assert {row.replace(r"\&", "").count(" & ") for row in made["latex"].rows} == {len(fields[0]) - 1}
    assert all(row.endswith(r" \\") for row in made["latex"].rows)


def test_what_is_pasted_has_the_costs_and_the_difference_to_the_baseline_too() -> None:
    table = told(["a", "b"]).table
    rows = tuple(
        dataclasses.replace(row, parameters=1.5e6, seconds=61.0, to_baseline=row.compared) for row in table.rows
    )
    made = table_copies(dataclasses.replace(table, rows=rows, baseline="a"))["csv"]
    head, first, second = csv.reader([made.head, *made.rows])
    against = "Against a (points of test accuracy)"
    assert head[-5:] == [against, "95 % interval", "Verdict", "Parameters", "Time a run"]
    assert first[-5:] == ["", "", "", "1.50 M", "1 min 1 s"]
    assert second[-5:] == ["+2.10", "'+1.85 to +2.35", "helped", "1.50 M", "1 min 1 s"]
    assert (head[4], first[4]) == ("n", "3")


def test_what_is_pasted_has_the_gap_to_what_was_reported() -> None:
    made = table_copies(report(phases()).table)["csv"]
    head, first, *_ = csv.reader([made.head, *made.rows])
    assert first[head.index("Test accuracy (%), ours \N{MINUS SIGN} reported")] == "-4.2"


def test_a_pasted_number_is_one_for_a_spreadsheet() -> None:
    made = table_copies(told(["a", "b"]).table)["csv"]
    head, row = csv.reader([made.head, made.rows[1]])
    assert head[0] == "Variant"
    assert {"32.10", "+2.10"} <= set(row)
