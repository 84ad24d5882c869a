"""Figures that a study names: read, checked, drawn in their order, and failing without a cost to anything else."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ablate as library
from ablate import Drawing
from ablate.commands.run import run_study
from ablate.components.discover import discover, within_ablate
from ablate.errors import ComponentError, InputError, StudyError
from ablate.launch.make import RunOptions
from ablate.launch.study import open_study
from ablate.report.blocks import Figures
from ablate.report.content import report
from ablate.report.document import document_text, read_document
from ablate.report.drawing import encoded
from ablate.report.every_figure import every_figure
from ablate.report.facts import ChosenFigure
from ablate.report.figures_classes import class_data
from ablate.report.figures_curves import accuracy_data
from ablate.report.shipped_figures import USUAL
from ablate.testing import example_report
from ablate.testing.checks import all_checks
from ablate.testing.subject import subject_of
from tests import reports
from tests.support import Draws, ablate, options, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.report.content import Report

HEAD = """
from ablate import Count, Drawing, InputError, figure


def bars(figure, data):
    figure.subplots().bar(range(len(data)), data)

"""
GOOD = (
    HEAD
    + '''
@figure("mine")
def mine(report, *, top: Count = 3):
    """Show the first variants."""
    numbers = [len(history.variant) for history in report.histories][:top]
    return Drawing(title=f"The first {top}", caption="As they come.", alt="Bars.", data=numbers, draw=bars)
'''
)


def named(study: Path, figures: str) -> Path:
    """Name figures in a study."""
    study.write_text(study.read_text().replace('name = "tiny"', f'name = "tiny"\nfigures = {figures}'))
    return study


def plugin(text: str, file: str = "plugins/mine.py") -> None:
    """Write a file of the user's components."""
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text(text)


@pytest.fixture
def done(study: Path) -> Path:
    """A study of which all runs are stored."""
    assert run_study(options(study), RunOptions(jobs=1), Draws({})) == 0
    return study


def names(made: Report, *chosen: str | ChosenFigure) -> list[str]:
    """Return which figures a report has, in their order. chosen: what its study names; nothing for the usual ones."""
    listed = tuple(ChosenFigure(one) if isinstance(one, str) else one for one in chosen)
    return [one.name for one in every_figure(replace(made, figures=listed or None))]


# What a study says


def test_a_study_names_figures_with_settings_and_without(study: Path) -> None:
    plugin(GOOD)
    named(study, '["loss", { use = "mine", top = 5 }, "mine", "default"]')
    found = open_study(options(study)).study.figures
    assert found is not None
    assert [(one.use, dict(one.settings)) for one in found] == [
        ("loss", {}), ("mine", {"top": 5}), ("mine", {"top": 3}), ("default", {}),
    ]  # fmt: skip


def test_naming_figures_changes_no_key(study: Path) -> None:
    before = [spec.key for spec in open_study(options(study)).specs]
    plugin(GOOD)
    named(study, '["accuracy", { use = "mine", top = 1 }]')
    assert [spec.key for spec in open_study(options(study)).specs] == before


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        ('["mien"]', "study: figures[0].use  unknown figure 'mien'; did you mean 'mine'?"),
        ('["defaults"]', "study: figures[0].use  unknown figure 'defaults'; did you mean 'default'?"),
        ('[{ use = "mine", topp = 3 }]', "study: figures[0].topp  mine has no setting 'topp'; did you mean 'top'?"),
        ('["loss", { use = "mine", top = 0 }]', "study: figures[1].top  0 is not"),
        ('[{ use = "cost", by = "money" }]', 'study: figures[0].by  "money" is not'),
        ('["loss", "loss"]', 'study: figures[1]  "loss" stands there twice'),
        ('[{ use = "default", top = 3 }]', 'study: figures[0]  "default" stands for several figures'),
        ("[{ top = 3 }]", "study: figures[0].use  'use' is missing"),
        ('"loss"', 'study: figures  "loss" is not'),
    ],
)
def test_what_is_wrong_with_a_figure_is_said_before_any_training(study: Path, figures: str, text: str) -> None:
    plugin(GOOD)
    named(study, figures)
    with pytest.raises(StudyError) as raised:
        open_study(options(study))
    assert text in re.sub(" {3,}", "  ", str(raised.value).replace("\n", "  "))


def test_a_figure_is_refused_that_breaks_the_form_or_takes_a_name_that_is_taken(folder: Path) -> None:
    plugin("from ablate import figure\n@figure('default')\ndef f(report): ...\n")
    with pytest.raises(ComponentError, match=r"mine.py:2: figure 'default': this name stands for the figures"):
        discover()
    plugin("from ablate import figure\n@figure('mine')\ndef f(): ...\n")
    with pytest.raises(ComponentError, match=r"ablate passes 1: def f\(report, \*, ...settings\)"):
        discover()
    plugin("from ablate import figure\n@figure('loss')\ndef f(report): ...\n")
    with pytest.raises(ComponentError, match=r"the figure name 'loss' is taken by .*shipped_figures.py"):
        discover()


def test_those_that_ship_are_listed_and_the_usual_ones_are_all_of_them(folder: Path) -> None:
    assert sorted(USUAL) == [one.name for one in discover().entries("figure")]
    assert {one.kind for one in within_ablate()} == {"figure"}
    assert 'figures = [{ use = "cost" }]' in ablate("components", "figure", "cost").stdout


# Which there are, and where


def test_without_figures_named_there_are_those_that_there_is_a_reason_for() -> None:
    sections = [f"curves-variant-{place}" for place in (2, 3, 4)]
    assert names(example_report()) == ["differences", "loss", "accuracy", *sections, "cost", "classes"]
    assert names(report(reports.phases()))[:2] == ["differences", "waterfall"]
    assert "lr-find" in names(report(reports.range_tests()))
    assert names(report(reports.nothing()))[:4] == ["differences", "waterfall", "loss", "accuracy"]


def test_figures_that_are_named_stand_together_in_their_order() -> None:
    made = replace(example_report(), figures=tuple(map(ChosenFigure, ("cost", "accuracy", "differences"))))
    found = every_figure(made)
    assert [(one.name, one.part) for one in found] == [(n, "curves") for n in ("cost", "accuracy", "differences")]
    assert every_figure(replace(made, figures=())) == []


def test_default_stands_for_all_others_at_their_usual_places() -> None:
    usual = names(example_report())
    made = replace(example_report(), figures=(ChosenFigure("accuracy"), ChosenFigure("default")))
    found = [one.name for one in every_figure(made)]
    assert sorted(found) == sorted(usual)
    assert found[:3] == ["differences", "accuracy", "loss"]


def test_a_figure_that_is_named_says_why_it_is_not_drawn() -> None:
    made = replace(example_report(), figures=tuple(map(ChosenFigure, ("waterfall", "lr-find", "tuning"))))
    assert [one.absent for one in every_figure(made)] == [
        "The study is no ladder, in which each variant changes the one before it.",
        "No run found its own learning rate.",
        "Nothing was tuned.",
    ]
    assert not any(one.failed for one in every_figure(made))


def test_settings_decide_what_a_shipped_figure_shows() -> None:
    chosen = (
        ChosenFigure("differences", {"most": 2}),
        ChosenFigure("differences"),
        ChosenFigure("cost", {"by": "time"}),
    )
    few, all_, cost = every_figure(replace(example_report(), figures=chosen))
    assert (len(few.data.rows), len(all_.data.rows), len(cost.data.panels)) == (2, 3, 1)
    assert (few.name, all_.name) == ("differences", "differences-2")


def test_a_report_from_json_has_the_same_figures(folder: Path) -> None:
    made = replace(example_report(), figures=(ChosenFigure("loss"), ChosenFigure("mine", {"top": 2})))
    again = read_document(document_text(made))
    assert again.figures == made.figures
    loss, mine = every_figure(again)
    assert not loss.absent
    assert "its code is not here" in mine.absent
    plugin(GOOD)
    assert every_figure(again)[1].title == "The first 2"


# Drawn


def test_a_figure_of_the_users_own_is_in_every_form(done: Path) -> None:
    plugin(GOOD)
    named(done, '["differences", { use = "mine", top = 1 }, "mine"]')
    said = ablate(
        "report", done, "--format", "html,md,tex,json", "--out", "out", "--figures", "apart", "--style", "web"
    )
    assert said.exit_code == 0
    assert "figure '" not in said.stderr
    page = Path("out/report.html").read_text()
    assert '<figure id="figure-mine">' in page
    assert "The first 1.</b> As they come." in page
    assert '<h2 id="curves">Figures' in page
    text = Path("out/report.md").read_text()
    assert "![Bars.](figures/mine.svg)" in text
    assert "[PNG](figures/mine-2.png)" in text
    latex = whole(Path("out/report.tex"))
    assert "{figures/mine.pdf}" in latex
    assert {file.name for file in Path("out/figures").glob("mine*")} == {
        f"mine{again}.{kind}" for again in ("", "-2") for kind in ("svg", "png", "pdf")
    }
    assert {file.name for file in Path("apart").glob("mine*")} >= {"mine.svg", "mine-2.pdf"}
    numbers = [int(number) for number in re.findall(r"<b>Figure (\d+)", page)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_notebook_has_it_too_and_its_code_may_have_changed_since_the_runs(done: Path) -> None:
    plugin(GOOD)
    named(done, '["mine"]')
    figures = library.results(str(done), store="ablate-store").figures
    assert list(figures) == ["mine"]
    assert len(figures["mine"].axes[0].patches) == 2
    assert encoded(figures["mine"], "png").startswith(b"\x89PNG")
    plugin(GOOD.replace("[:top]", "[:1]"))
    again = library.results(str(done), store="ablate-store").figures
    assert len(again.styled("slide")["mine"].axes[0].patches) == 1


BROKEN: dict[str, tuple[str, str]] = {
    "raises": ("    return 1 / 0", "plugins/mine.py:11: ZeroDivisionError: division by zero"),
    "says what is wrong": ("    raise InputError('no such\\nvariant')", "plugins/mine.py:11: no such"),
    "nonsense": ("    return 3", "plugins/mine.py:9: returns int, not a Drawing"),
    "no drawing": ("    return []", "plugins/mine.py:9: returns no drawing"),
    "no draw": ("    return Drawing(title='a')", "plugins/mine.py:11: there is no draw, which is called as"),
    "no title": ("    return Drawing(title=' ', draw=bars)", "plugins/mine.py:11: title is empty"),
    "a number for a text": ("    return Drawing(title='a', alt=1, draw=bars)", "plugins/mine.py:11: alt is int, not a"),
    "a tower": ("    return Drawing(title='a', draw=bars, height=1e9)", "plugins/mine.py:11: height = 1000000000.0 is"),
    "draw raises": (
        "    return Drawing(title='a', data=None, draw=bars)",
        "plugins/mine.py:6: TypeError: object of type",
    ),
    "draws nothing": ("    return Drawing(title='a', draw=lambda *_: None)", "plugins/mine.py:9: draws nothing into"),
    "ends the process": ("    raise SystemExit(3)", "plugins/mine.py:11: raises SystemExit: 3"),
    "goes elsewhere": (
        "    import os\n    os.chdir('/')\n    return Drawing(title='a', draw=bars)",
        "plugins/mine.py:9: changes the working folder, which a figure must not",
    ),
    "an error without a text": (
        "    class Mute(InputError):\n        def __str__(self):\n            return 1 / 0\n    raise Mute('x')",
        "plugins/mine.py:14: (its text raises ZeroDivisionError)",
    ),
    "an error with an odd text": (
        "    class Odd(Exception):\n        def __str__(self):\n            return 3\n    raise Odd('x')",
        "plugins/mine.py:14: Odd: (its text raises TypeError)",
    ),
    "a title that does nothing": (
        "    class Title(str):\n        strip = None\n    return Drawing(title=Title('a'), draw=bars)",
        "plugins/mine.py:13: TypeError: 'NoneType' object is not callable",
    ),
    "draws a wall": (
        "    return Drawing(title='a', draw=lambda figure, _: figure.set_size_inches(1e5, 1e5) or figure.subplots())",
        "plugins/mine.py:9: makes the figure 100000 by 100000 inches with 100 dots to the inch; at most 60 inches a",
    ),
    "cannot be written": (
        "    return Drawing(title='a', draw=lambda figure, _: figure.text(0, 0, 'x').set_path_effects([1]))",
        "plugins/mine.py:9: AttributeError: 'int' object",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_figure_that_fails_says_where_and_why_in_its_place(folder: Path, how: str) -> None:
    body, reason = BROKEN[how]
    plugin(f'{HEAD}\n@figure("mine")\ndef mine(report):\n{body}\n')
    made = replace(example_report(), figures=(ChosenFigure("mine"), ChosenFigure("differences")))
    told: list[str] = []
    figures = Figures(every_figure(made), told.append)
    for kinds in (("inline",), ("svg", "png"), ("pdf",)):
        (mine, differences), written = figures.placed(kinds)
        assert mine.failed
        assert mine.absent.startswith(reason)
        assert (mine.number, differences.number) == (None, 1)
        assert all("differences" in file for file in written)
    assert told == [f"figure 'mine' is not drawn: {mine.absent}"]


@pytest.mark.parametrize("how", ["raises", "draw raises", "cannot be written"])
def test_a_figure_that_fails_costs_its_own_place_and_nothing_else(done: Path, how: str) -> None:
    body, reason = BROKEN[how]
    plugin(f'{HEAD}\n@figure("mine")\ndef mine(report):\n{body}\n')
    named(done, '["mine", "differences"]')
    said = ablate("report", done, "--format", "html,md,tex", "--out", "out", "--figures", "apart", "--style", "web")
    assert said.exit_code == 0
    lines = [line for line in said.stderr.splitlines() if line.startswith("figure ")]
    assert len(lines) == 1
    assert lines[0].startswith(f"figure 'mine' is not drawn: {reason}")
    for form, there in (("html", "Differences in test accuracy.</b>"), ("md", "**Figure 1. Differences")):
        text = Path(f"out/report.{form}").read_text()
        assert there in text
        assert reason.split(": ")[0] in text.replace("\\", "")
    assert reason.split(":")[0] in whole(Path("out/report.tex"))
    assert {file.name for file in Path("apart").iterdir()} == {f"differences.{kind}" for kind in ("svg", "pdf", "png")}
    figures = library.results(str(done), store="ablate-store").figures
    if how != "cannot be written":  # which shows where it is written
        with pytest.raises(InputError, match=re.escape(reason)):
            figures["mine"]


def test_a_figure_whose_plugin_is_gone_or_broken_since_costs_no_report(done: Path) -> None:
    named(done, '["mine", "differences"]')
    said = ablate("report", done, "--out", "out")
    assert said.exit_code == 0
    assert "figure 'mine' is not drawn: unknown figure 'mine'" in said.stderr
    plugin("import nowhere_at_all")
    said = ablate("report", done, "--out", "out")
    assert said.exit_code == 0
    assert "plugins/mine.py:1: this plugin does not import" in said.stderr
    assert "does not import" in Path("out/report.html").read_text()


def test_a_store_of_somebody_elses_runs_none_of_its_code(done: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    plugin(GOOD + "\nopen('ran', 'w').close()\n")
    named(done, '["mine"]')
    elsewhere, store = tmp_path_factory.mktemp("elsewhere"), Path("ablate-store").resolve()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(elsewhere)
        said = ablate("report", "tiny", "--store", store, "--out", "out")
    assert said.exit_code == 0
    assert "unknown figure 'mine'; looked in plugins/ (no such folder)" in said.stderr
    assert not (elsewhere / "ran").exists()


def test_hostile_texts_of_a_figure_are_texts_in_every_form(done: Path) -> None:
    text = " ".join([*reports.HOSTILE, "half \ud800"])
    said = f"Drawing(title={text!r}, caption={text!r}, alt={text!r}, data=[1], draw=bars)"
    plugin(f'{HEAD}\n@figure("mine")\ndef mine(report):\n    return {said}\n')
    named(done, '["mine"]')
    found = ablate("report", done, "--format", "html,md,tex", "--out", "out")
    assert "figure 'mine'" not in found.stderr
    page = Path("out/report.html").read_text()
    assert page.count("<script>alert") == 0
    assert Path("out/figures/mine.svg").is_file()
    latex = whole(Path("out/report.tex"))
    assert r"\input{x}" not in latex


@pytest.mark.parametrize(
    "draw",
    [
        "figure.add_subplot(projection='polar').plot([0, 1], [1, 2])",
        "figure.colorbar(figure.subplots().imshow([[1, 2], [3, 4]]))",
        "[axes.loglog([1, 10], [1, 1e6]) for axes in figure.subplots(2, 2).flat]",
        "figure.text(0.5, 0.5, 'only text')",
    ],
)
def test_any_kind_of_axes_becomes_a_file_of_every_kind(done: Path, draw: str) -> None:
    plugin(
        f"{HEAD}\n@figure(\"mine\")\ndef mine(report):\n    return Drawing(title='a', draw=lambda figure, _: {draw})\n"
    )
    named(done, '["mine"]')
    said = ablate("report", done, "--format", "html,md,tex", "--out", "out")
    assert "figure 'mine'" not in said.stderr
    assert {file.name for file in Path("out/figures").iterdir()} == {"mine.svg", "mine.png", "mine.pdf"}


def test_a_figure_that_changes_the_facts_changes_a_copy(folder: Path) -> None:
    clears = "    for row in report.table.rows:\n        row.estimates.clear()\n"
    body = clears + "    return Drawing(title='a', absent='Not yet.')"
    plugin(f'{HEAD}\n@figure("mine")\ndef mine(report):\n{body}\n')
    made = replace(example_report(), figures=(ChosenFigure("mine"),))
    every_figure(made)
    assert all(row.estimates for row in made.table.rows)


def test_several_drawings_of_one_figure_have_numbers() -> None:
    found = _with(lambda _: [Drawing(title=f"Part {at}", absent="Not yet.") for at in (1, 2)])
    assert [(one.name, one.title, one.absent) for one in found] == [
        ("mine-1", "Part 1", "Not yet."), ("mine-2", "Part 2", "Not yet."),
    ]  # fmt: skip


def test_a_title_without_an_end_is_cut_and_is_a_text_whatever_its_class(folder: Path) -> None:
    plugin(
        f"{HEAD}\nclass Title(str):\n    def split(self, *_):\n        raise ValueError\n\n"
        "@figure('mine')\ndef mine(report):\n    return Drawing(title=Title('a' * 10 ** 7), draw=bars, data=[1])\n"
    )
    (one,) = every_figure(replace(example_report(), figures=(ChosenFigure("mine"),)))
    assert (one.title, type(one.title)) == ("a" * 5000 + "…", str)
    assert not one.failed


def test_a_title_loses_its_full_stop_and_stands_for_a_text_that_is_missing() -> None:
    (one,) = _with(lambda _: Drawing(title="Two\nlines.", draw=lambda *_: None))
    assert (one.title, one.alt) == ("Two lines", "Two lines.")


def _with(make: Callable[[Any], Any]) -> list[Any]:
    entry = replace(next(one for one in discover().entries("figure") if one.name == "loss"), name="mine", factory=make)
    return every_figure(replace(example_report(), figures=(ChosenFigure("mine"),)), {"mine": entry})


def test_the_figure_in_the_documentation_keeps_its_contract(folder: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "components.md").read_text()
    found = re.search(r"### A figure\n\n```python\n(.*?)```", text, re.DOTALL)
    assert found
    plugin(found[1])
    checks = list(all_checks(subject_of(discover().get("figure", "parameters"), {}, folder)))
    assert [check for check in checks if check.outcome == "failed"] == []
    (one,) = every_figure(replace(example_report(), figures=(ChosenFigure("parameters", {"most": 2}),)))
    assert [size for _, _, size in one.data] == [40000.0, 30000.0]


def test_reports_with_figures_of_those_that_ship_load_no_plugin_and_no_torch(done: Path) -> None:
    named(done, '["differences", "cost"]')
    loaded = "sorted(m for m in sys.modules if m in ('torch', 'matplotlib') or m.startswith('ablate_plugin'))"
    code = f"""
import sys
from ablate.cli import app
app(["report", "tiny", "--format", "json", "--out", "out"], standalone_mode=False)
print({loaded}, file=sys.stderr)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stderr.splitlines()[-1] == "[]"


# Those that ship


def test_classes_are_shown_of_the_variants_that_are_furthest_apart_or_that_are_named() -> None:
    made = example_report()
    data = class_data(made)
    assert (data.candidate, data.reference) == ("cosine", "baseline")
    found = next(one.result for one in made.classes if one.result.candidate == "cosine")
    first = found.better[0]
    assert data.classes[0].name == first.name
    assert data.classes[0].after == pytest.approx(100 * first.after)
    assert [row.sure for row in data.classes[: len(found.better)]] == [one.shown for one in found.better]
    assert class_data(made, "cutout").candidate == "cutout"
    assert len(class_data(made, most=1).confusions) <= 2
    assert class_data(made, "cutout", "wider").absent == "cutout is not compared with wider, class by class."
    assert class_data(report(reports.phases())).absent == "No two variants that are compared kept what they predicted."


def test_the_caption_says_where_the_learning_rate_is_drawn_for_few_and_for_many() -> None:
    few, many = (accuracy_data(report(reports.many(count))) for count in (5, 6))
    assert "beneath it the learning rate" in few.caption
    assert "beneath it the learning rate" in many.caption
