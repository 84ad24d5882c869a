"""The report's part on a factorial: the same numbers in every form."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from ablate.report.content import Records, report
from ablate.report.document import document
from ablate.report.render import render
from ablate.stats.results import Results
from ablate.study.toml import parse_study
from tests.planted import framed
from tests.support import whole
from tests.test_effects import STUDY
from tests.worded import worded

if TYPE_CHECKING:
    from collections.abc import Collection


def records(
    design: str = 'kind = "factorial"',
    metric: str = "test/accuracy",
    lacking: Collection[tuple[str, int]] = (),
    seeds: int | str = 3,
    names: str = "abc",
) -> Records:
    """A study of three factors: the first adds 10 points and 4 more beside the second, the third nothing."""
    text = STUDY.replace("seeds = 3", f'seeds = {seeds}\nmetric = "{metric}"') + design
    for old, new in zip("abc", names, strict=True):
        text = text.replace(f"[factor.{old}]", f'[factor."{new}"]')
    study = parse_study(text, Path("s.toml")).done()
    assert study.design is not None
    assert study.design.variants is not None
    draw, rows = np.random.default_rng(0), []
    for cell, name in study.design.variants.items():
        first, second, _ = (one in cell for one in study.design.factors)
        for seed in study.seeds:
            value = 0.5 + 0.1 * first + 0.04 * (first and second) + draw.normal(0, 0.002)
            state = "failed" if (name, seed) in lacking else "stored"
            found = math.nan if state == "failed" else value
            rows.append({"variant": name, "seed": seed, "state": state, "reason": "", "test/accuracy": found}
                        | {"test/loss": 1 - found, "validation/accuracy": found, "validation/loss": 1 - found}
                        | {"train/loss": 1 - found, "seconds": 1.0, "parameters": 10, "dead_weights": 0}
                        | {"key": f"{name}{seed}", "weights": f"{name}{seed}"})  # fmt: skip
    epochs = pd.DataFrame(columns=["variant", "seed", "epoch", "lr", "train/loss", "validation/loss",
                                   "validation/accuracy", "test/loss", "test/accuracy", "seconds"])  # fmt: skip
    return Records(Results(study, framed(rows), epochs), made="2026-01-01 00:00")


def written(found: Records, folder: Path, form: str) -> str:
    return "".join(whole(path) for path in worded(found, [form], folder) if path.suffix != ".png")


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("&nbsp;", " ").replace("\N{MINUS SIGN}", "-")


def test_what_is_new_in_a_variant_of_a_design_is_its_factors_whatever_it_comes_from() -> None:
    made = report(records('kind = "leave-one-out"'))
    rows = {row.name: row for row in made.table.rows}
    assert rows["all"].enhancements == ("a", "b", "c")
    assert rows["all but b"].enhancements == ("a", "c")
    study = records('kind = ["leave-one-out", "ladder"]').results.study
    assert study.variant("all").parent == "all but c"


def test_the_page_says_what_each_factor_does_and_what_two_do_together(tmp_path: Path) -> None:
    text = plain(written(records(), tmp_path, "html"))
    assert '<h2 id="factors">Factors' in text
    assert "On test accuracy, on average over the combinations of the others: helped: a (+11.90 points)" in text
    assert "no practical difference: c (" in text
    assert "a adds +13.81 points beside b and +9.99 points without it." in text
    assert '<th scope="row">a × b</th>' in text
    assert "p is adjusted over the 6 effects together." in text
    assert "All factors together: +14." in text
    assert "The order matters most for b: it adds +0.06 points first and +4.18 points after a, c." in text


@pytest.mark.parametrize("form", ["html", "md", "tex"])
def test_every_form_has_the_same_effects_and_shares(tmp_path: Path, form: str) -> None:
    found = records()
    text = plain(written(found, tmp_path, form)).replace("$-$", "-").replace("\\,", " ").replace("~", " ")
    effects, shares = found.results.effects, found.results.shapley
    assert effects is not None
    assert shares is not None
    for one in (*effects.effects, *shares.shares, shares.total):
        size = f"{abs(100 * one.mean):.2f}".rstrip("0").rstrip(".")
        assert size in text or f"{abs(100 * one.mean):.1f}" in text or f"{abs(100 * one.mean):.2f}" in text


def test_markdown_has_both_as_tables(tmp_path: Path) -> None:
    page = MarkdownIt("commonmark").enable("table").render(written(records(), tmp_path, "md"))
    assert "<th>Effect</th>" in page
    assert "<th>Factor</th>" in page
    assert "<td>all together</td>" in page


def test_csv_has_all_digits(tmp_path: Path) -> None:
    found = records()
    paths = {path.name: path for path in render(found, ["csv"], tmp_path)}
    rows = list(csv.DictReader(paths["effects.csv"].read_text().splitlines()))
    effects = found.results.effects
    assert effects is not None
    assert [float(row["difference"]) for row in rows] == [one.mean for one in effects.effects]
    assert [row["verdict"] for row in rows] == [one.verdict for one in effects.effects]
    shares = list(csv.DictReader(paths["shares.csv"].read_text().splitlines()))
    assert [row["factor"] for row in shares] == ["a", "b", "c"]
    assert shares[1]["as_written_after"] == "a"


def test_json_has_every_number(tmp_path: Path) -> None:
    found: dict[str, Any] = json.loads(json.dumps(document(report(records()))))
    assert [effect["factors"] for effect in found["effects"]["effects"]][:2] == [["a"], ["b"]]
    assert found["effects"]["effects"][0]["verdict"] == "helped"
    assert len(found["effects"]["effects"][0]["per_seed"]) == 3
    assert found["shares"]["shares"][0]["most"]["to"] == ["b", "c"]
    assert found["shares"]["total"]["mean"] == pytest.approx(0.14, abs=0.01)


def test_a_study_without_a_factorial_has_no_such_part(tmp_path: Path) -> None:
    found = records('kind = "ladder"')
    assert 'id="factors"' not in written(found, tmp_path, "html")
    assert "effects.csv" not in {path.name for path in render(found, ["csv"], tmp_path)}
    assert document(report(found))["effects"] is None


def test_a_fraction_says_what_is_seen_together(tmp_path: Path) -> None:
    text = plain(written(records('kind = "factorial"\nresolution = 3'), tmp_path, "html"))
    assert "These are 4 of the 8 combinations." in text
    assert '<td class="words">- b × c</td>' in text
    assert "Whose gain it is" not in text


def test_lower_is_better_for_a_loss(tmp_path: Path) -> None:
    text = plain(written(records(metric="test/loss"), tmp_path, "md"))
    assert "On test loss, on average over the combinations of the others: helped: a (-0.1190), b" in text


def test_seeds_that_some_variant_lacks_are_named(tmp_path: Path) -> None:
    text = plain(written(records(lacking=[("a + b", 1)]), tmp_path, "html"))
    assert "Left out of all variants, since some have no finite result: seed 1 (a + b)." in text
    none = plain(written(records(lacking=[("a + b", seed) for seed in range(3)]), tmp_path, "html"))
    assert "So there are no effects yet: they take a seed that every variant has." in none
    assert "Whose gain it is" not in none


def test_one_seed_gives_effects_without_intervals(tmp_path: Path) -> None:
    text = plain(written(records(seeds=1), tmp_path, "html"))
    assert "One seed gives no interval: what looks like an effect may be chance." in text
    assert "not decided: a (+11.92 points), b (+2.09 points)" in text


def test_names_of_factors_are_escaped(tmp_path: Path) -> None:
    for form in ("html", "md", "tex"):
        text = written(records(names="<x&"), tmp_path, form)
        assert {"html": "&lt;", "md": "&lt;", "tex": "\\&"}[form] in text


def test_effects_of_a_growing_study_are_of_the_seeds_that_all_were_asked_for_and_the_others_are_not_missing(
    tmp_path: Path,
) -> None:
    every = records('kind = ["factorial", "one-at-a-time"]', seeds="{ min = 2, max = 4 }")
    look = every.results.looks[-1]
    assert sorted(look.seeds.values())[:5] == [2] * 5  # no comparison of the study is about most cells
    assert max(look.seeds.values()) > 2
    runs = every.results.runs
    asked = runs[[seed < look.seeds[name] for name, seed in zip(runs["variant"], runs["seed"], strict=True)]]
    found = replace(every, results=replace(every.results, runs=asked))
    effects = found.results.effects
    assert effects is not None
    assert (effects.seeds, effects.missing, effects.look) == ((0, 1), (), 2)
    text = plain(written(found, tmp_path, "md"))
    assert "over 2 seeds each." in text
    assert "Effects are of the first 2, which all these variants were asked for" in text
    assert "Left out" not in text


def test_claims_reports_and_results_take_the_same_reference_where_nobody_names_one() -> None:
    claimed = '\n[[claim]]\ntext = "together they help"\nvariant = "all"\nsays = "better"\n'
    results = records(f'kind = ["one-at-a-time", "leave-one-out", "ladder"]{claimed}').results
    made = results.study
    assert made.variant("all").parent == "all but c"
    assert made.reference("all") == made.claims[0].against == results.reference("all") == "all but a"
    assert made.comparisons[-1].kind != "claim"
    assert made.reference("all but b") == "all"  # which is only ever compared with
    assert made.reference(made.variants[0].name) is None
