from __future__ import annotations

import dataclasses
import math
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from ablate.report.content import report
from ablate.report.escapes import escape_latex, latex_code_block
from ablate.report.methods_text import bibtex
from ablate.report.references import Reference, bibitems, bibtex_file, cited, references
from ablate.report.render import TEX_PARTS, render
from tests import test_report_designs, test_report_tuning
from tests.test_report import hostile, phases, records
from tests.worded import worded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ablate.report.content import Records

compiles = pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")


def table(made: Records, out: Path) -> str:
    """Return the comparison table of a report in LaTeX, with the small print of a cell after its number."""
    worded(made, ["tex"], out)
    text = (out / "parts" / "table.tex").read_text()
    stacked = r"\\begin{tabular}\[t\]{@{}r@{}}(.*?)\\\\\[-2pt\]{\\scriptsize (.*?)}\\end{tabular}"
    return re.sub(stacked, r"\1 (\2)", text)


def rows(text: str) -> list[str]:
    """Return the rows of a table, less its head."""
    return [
        line.strip()
        for line in text.split(r"\midrule")[1].split(r"\bottomrule", maxsplit=1)[0].splitlines()
        if line.strip()
    ]


def test_the_table_says_what_the_other_tables_say(tmp_path: Path) -> None:
    text = table(records(), tmp_path)
    assert r"\caption{Phases on CIFAR-100}" in text
    assert r"\label{tab:cifar100-phases}" in text
    head = text.split(r"\midrule")[0]
    assert (
        r"Phase & Model & Key enhancements & Epochs & $n$ & \multicolumn{2}{c}{Test loss} & \multicolumn{2}{c}" in head
    )
    assert re.findall(r"\\cmidrule\(lr\){(.*?)}", head) == ["6-7", "8-9", "10-11"]
    first, second, third = rows(text)
    assert first.startswith(
        r"Phase 1 & Simple CNN & Baseline & 5 & 3 & 2.200 (2.200~to~2.200) & 2.49 (gap $-$0.290) & 32.0 ("
    )
    assert first.endswith(r"& 36.2\phantom{0} (gap $-$4.2) &  &  \\")
    assert (
        r"& 42.1 (36.9~to~47.3) & 54.68 (gap $-$12.6) & +10.10 (+9.85~to~+10.35)"
        r" & helped\newline{\scriptsize against Phase 1}" in second
    )
    assert third.startswith("Phase 4 & ")
    assert "Our numbers are means over 3 seeds" in text


def test_every_row_has_as_many_cells_as_the_table_has_columns(tmp_path: Path) -> None:
    text = table(records(without={("Phase 3", 1): ("failed", "")}), tmp_path)
    columns = re.findall(r"\\begin{tabular}{@{}(.*)@{}}", text)[0]
    wanted = len(re.findall(r"[lrp]", re.sub(r">{.*?}p{.*?}", "p", columns)))
    assert {row.count("&") + 1 for row in rows(text)} == {wanted}
    assert " & 12 & 2 & " in text  # two of three runs count
    runs = text.split(r"\label{tab:cifar100-phases-runs}")[1]
    columns = re.findall(r"\\begin{tabular}{@{}(\w*)@{}}", runs)[0]
    assert r"& Runs done \\" in runs
    assert r"& 2 of 3, 1~failed \\" in runs
    assert {row.count("&") + 1 for row in rows(runs)} == {len(columns)}


def test_a_number_that_is_not_finite_is_a_dash_and_empty_in_csv(tmp_path: Path) -> None:
    made = records()
    made.results.runs.loc[made.results.runs["variant"] == "Phase 3", "test/accuracy"] = math.nan
    _, runs, *_ = worded(made, ["tex", "csv"], tmp_path)
    text = (tmp_path / "parts" / "table.tex").read_text()
    assert "– & 54.68" in text, text
    assert "nan" not in text + runs.read_text()
    assert pd.read_csv(runs)["test/accuracy"].isna().sum() == 3


def test_one_seed_has_one_heading_for_each_measure(tmp_path: Path) -> None:
    study = phases(seeds=(0,), variants=tuple(dataclasses.replace(v, reported={}) for v in phases().variants))
    text = table(records(study), tmp_path)
    assert r"Epochs & $n$ & Test loss & Test accuracy (\%) & \multicolumn{2}{c}{Difference" in text
    assert "scriptsize 2" not in text  # no interval


def test_a_second_table_has_differences_to_the_baseline_and_what_runs_take(tmp_path: Path) -> None:
    text = table(records(), tmp_path)
    first, second = text.split(r"\label{tab:cifar100-phases-runs}")
    assert "marks a verdict against Phase 1 that the study does not plan" in first
    assert r"Table~\ref{tab:cifar100-phases-runs} has each difference to Phase 1" in first
    assert r"\multicolumn{3}{c}{Against Phase 1 (points of test accuracy)}" in second
    assert rows(second)[0] == r"Phase 1 &  &  &  & 11.2~M & 1~min 30~s \\"
    assert rows(second)[2] == r"Phase 4 & +20.20 & +19.70~to~+20.70 & helped, alone & 11.2~M & 1~min 30~s \\"


def test_a_part_says_what_the_page_says(tmp_path: Path) -> None:
    made = dataclasses.replace(records(), sources=(("plugins/my_own.py", "abc12"),), git="commit 123")
    worded(made, ["tex"], tmp_path)
    provenance, variants = ((tmp_path / "parts" / f"{part}.tex").read_text() for part in ("provenance", "variants"))
    assert r"\item source: \texttt{plugins/my\_own.py} \texttt{abc12}" in provenance
    assert r"\item study file: commit 123" in provenance
    key = made.results.runs["key"][0]
    assert escape_latex(key) in provenance.split("Keys of all runs")[1]
    assert "By seed: seed~0 +10.00, seed~1 +10.10, seed~2 +10.20." in variants


def test_changes_are_a_diff_that_no_text_gets_out_of(tmp_path: Path) -> None:
    worded(records(), ["tex"], tmp_path)
    text = (tmp_path / "parts" / "variants.tex").read_text()
    assert "- optimizer = adam\\\\\n+ optimizer = sgd\\\\\n- optimizer: lr = 0.001\\\\\n+ optimizer: lr = 0.05" in text
    out = r"\end{verbatim}\end{flushleft}\input{x}"
    assert latex_code_block([out], "diff").count(r"\end{") == 1


def test_what_to_cite_is_cited_and_compiles_without_bibtex(tmp_path: Path) -> None:
    made = records()
    worded(made, ["tex", "md"], tmp_path)
    facts = report(made).methods
    assert facts
    keys = [one.key for one in facts.references]
    parts = {part: (tmp_path / "parts" / f"{part}.tex").read_text() for part in ("methods", "references")}
    assert re.findall(r"\\cite\{(\w+)\}", parts["methods"]) == keys != []
    assert re.findall(r"\\bibitem\{(\w+)\}", parts["references"]) == keys
    assert (tmp_path / "references.bib").read_text().strip() == bibtex(facts)
    page = (tmp_path / "report.md").read_text()
    assert "[references.bib](references.bib)" in page
    assert all(f"`{key}`" in page for key in keys)


def test_a_report_from_a_file_adds_nothing_of_its_own_to_a_bibliography() -> None:
    ours = references(["torch"])[0]
    hostile = [Reference("x", "x", r"@misc{x, title={\input{y}}}"), dataclasses.replace(ours, bibtex=r"\input{y}")]
    assert [entry.bibtex for entry in cited(hostile)] == [ours.bibtex]
    assert "input" not in bibtex_file(hostile) + "".join(bibitems(hostile))


def test_factors_without_seeds_say_why_there_are_no_effects(tmp_path: Path) -> None:
    made = test_report_designs.records(lacking=[("a + b", seed) for seed in range(3)])
    worded(made, ["tex"], tmp_path)
    assert "So there are no effects yet" in (tmp_path / "parts" / "design.tex").read_text()


def test_the_part_on_factors_says_what_its_tables_come_to(tmp_path: Path) -> None:
    worded(test_report_designs.records(), ["tex"], tmp_path)
    text = (tmp_path / "parts" / "design.tex").read_text()
    for said in ("helped: a (+11.90~points)", "p is adjusted over the 6 effects", "The order matters most for b"):
        assert said in text


def test_the_part_on_tuning_has_the_spread_of_trials_and_where_they_looked(tmp_path: Path) -> None:
    worded(test_report_tuning.realistic(), ["tex", "md"], tmp_path)
    text = (tmp_path / "parts" / "tuning.tex").read_text()
    assert "& Median & Quartiles &" in text
    for said in ("Where and how it was looked for", "trials asked for", "share of what explains"):
        assert said in text
        assert said in (tmp_path / "report.md").read_text()


def test_a_pilots_table_says_so(tmp_path: Path) -> None:
    assert r"\textbf{Pilot: one seed" in table(records(phases(pilot=True)), tmp_path)


def test_a_comment_says_what_made_it_as_it_is_typed(tmp_path: Path) -> None:
    made = dataclasses.replace(
        records(), commands=("ablate run my_study.toml --set 'x=\"50%\"'\n\\input{x}", "ablate report")
    )
    (page,) = worded(made, ["tex"], tmp_path)
    assert page.read_text().splitlines()[:3] == [
        "% Made of the study cifar100-phases, newest result of 2026-01-02, by:",
        "%   ablate run my_study.toml --set 'x=\"50%\"' \\input{x}",
        "%   ablate report",
    ]


@pytest.mark.parametrize(
    "template",
    ["<< x >>", "<< x | safe >>", "<< '' ~ x >>", "<% set y = x %><< y >>", "<% for y in [x] %><< y >><% endfor %>",
     "<% macro m(y) %><< y >><% endmacro %><< m(x) >>", "<% set y %><< x >><% endset %><< y >>"],
)  # fmt: skip
def test_a_users_template_cannot_write_a_value_unescaped(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "report.tex.jinja").write_text("<% set x = report.title %>" + template)
    monkeypatch.chdir(tmp_path)
    (page,) = worded(records(phases(title=r"\input{x}")), ["tex"], tmp_path / "out")
    assert page.read_text().splitlines()[1] == r"\textbackslash{}input\{x\}"


def test_the_figures_are_vectors_beside_it_with_captions_and_labels(tmp_path: Path) -> None:
    render(records(), ["tex"], tmp_path)
    text = (tmp_path / "parts" / "figures.tex").read_text()
    places = re.findall(r"\\includegraphics\[.*?\]\{([^}]+)\}", text)
    labels = re.findall(r"\\label\{fig:cifar100-phases-(.+)\}", text)
    assert places == [f"figures/{name}.pdf" for name in labels] != []
    for place in places:
        drawn = (tmp_path / place).read_bytes()
        assert drawn.startswith(b"%PDF")
        assert b"/FontFile2" in drawn  # embedded, as TrueType
        assert b"/Type3" not in drawn
        assert b"/Subtype /Image" not in drawn


def test_every_part_is_a_file_of_its_own_also_where_there_is_nothing_to_say(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "claims.tex").write_text("of an earlier report")
    (page,) = worded(records(), ["tex"], tmp_path)
    assert {file.stem for file in (tmp_path / "parts").iterdir()} == set(TEX_PARTS)
    assert "earlier" not in (tmp_path / "parts" / "claims.tex").read_text()
    assert set(re.findall(r"\\input\{parts/(\w+)\}", page.read_text())) <= set(TEX_PARTS)


# --- compiled ----------------------------------------------------------------------------------------------


def compiled(folder: Path, document: str = "report", options: Sequence[str] = ("-halt-on-error",)) -> str:
    """Compile a document as often as its references take, and return the log."""
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", *options, document]
    for _ in range(2):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-3000:]
    assert (folder / f"{document}.pdf").read_bytes().startswith(b"%PDF")
    return done.stdout


def complaints(log: str) -> list[str]:
    return re.findall(r"Overfull.*|LaTeX Warning.*|Package .* Warning.*|Missing character.*", log)


def every_form_of_records() -> dict[str, Records]:
    nothing = {(v.name, s): ("new", "") for v in phases().variants for s in phases().seeds}
    return {
        "complete": records(),
        "partial": records(without={("Phase 3", 1): ("failed", "the loss is nan")}),
        "empty": records(without=nothing),
        "failed": records(without=dict.fromkeys(nothing, ("failed", "CUDA out of memory"))),
        "one seed": records(phases(seeds=(0,))),
    }


@compiles
@pytest.mark.slow
@pytest.mark.parametrize("kind", every_form_of_records())
def test_the_document_compiles_as_it_is_without_a_complaint(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    render(every_form_of_records()[kind], ["tex"], folder)
    assert complaints(compiled(folder)) == []


@compiles
@pytest.mark.slow
def test_a_document_compiles_with_any_text_in_any_place(tmp_path: Path, attacks: dict[str, str]) -> None:
    text = " ".join(text[:500] for text in attacks.values())
    render(hostile(text), ["tex"], tmp_path)
    compiled(tmp_path)


@compiles
@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["OT1", "T1"])
def test_hostile_parts_compile_in_a_paper_of_ones_own(encoding: str, tmp_path: Path, attacks: dict[str, str]) -> None:
    # What is left out needs a font or an engine that has such letters.
    latin = [text for name, text in attacks.items() if name not in {"emoji", "surrogate", "wide"}]
    made = records(
        phases(
            variants=tuple(
                dataclasses.replace(phases().variants[0], name=text, model_label=text, enhancements=(text, text))
                for text in latin
            ),
            title=" ".join(latin),
            label=latin[0],
        ),
        without={(text, 0): ("failed", text) for text in latin},
    )
    render(made, ["tex"], tmp_path / "reports" / "of it")
    parts = "".join(rf"\input{{reports/of it/parts/{part}}}" for part in TEX_PARTS)
    (tmp_path / "paper.tex").write_text(
        rf"\documentclass[twocolumn]{{article}}\usepackage[{encoding}]{{fontenc}}\usepackage{{array,booktabs,graphicx}}"
        rf"\graphicspath{{{{reports/of it/}}}}\begin{{document}}{parts}\end{{document}}"
    )
    compiled(tmp_path, "paper")
