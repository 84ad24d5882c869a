"""A study's results from Python: frames, figures, report files, and what its runs trained."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from ablate.api.load import load_study
from ablate.api.notebook import Comparison, results_html
from ablate.api.results import StudyResults, results
from ablate.commands.run import run_study
from ablate.errors import AblateError, InputError
from ablate.execute.inline import Inline
from ablate.launch.make import RunOptions
from ablate.launch.study import Options
from ablate.stats.results import Results
from ablate.study.toml import Changes

from .conftest import STUDY, TINY

KEPT = 'name = "tiny"\nkeep_checkpoints = true'


def run(file: Path, *settings: str, pilot: bool = False) -> None:
    options = Options(
        file, Path("ablate-store").resolve(), Path("data").resolve(), Changes(settings, None, pilot), (), "cpu"
    )
    assert run_study(options, RunOptions(jobs=1), Inline()) == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny study, run with its weights kept."""
    place = tmp_path_factory.mktemp("trained")
    for name, text in (("plugins/tiny.py", TINY), ("studies/tiny.toml", STUDY.replace('name = "tiny"', KEPT))):
        (place / name).parent.mkdir()
        (place / name).write_text(text)
    with pytest.MonkeyPatch.context() as here:
        here.chdir(place)
        run(place / "studies" / "tiny.toml")
    return place


@pytest.fixture
def done(folder: Path, trained: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    """The study of `trained`, in a copy of its folder."""
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    capfd.readouterr()
    return folder / "studies" / "tiny.toml"


def test_results_are_found_by_name_and_by_file_and_print_nothing(done: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for found in (results("tiny"), results(done), results(str(done)), results("tiny", store="ablate-store")):
        assert repr(found) == "<results of tiny: 4 stored>"
        assert found.report("out", formats="csv")[0].parent == Path("out")
    assert found.report("out", formats=["html", "md", "csv"])[0] == Path("out/report.html")
    assert capfd.readouterr() == ("", "")


def test_a_study_that_was_never_run_is_an_error_with_the_nearest_name(done: Path) -> None:
    with pytest.raises(AblateError, match=r"no study of this name .* did you mean 'tiny'"):
        results("tinny")
    with pytest.raises(AblateError, match="no pilot of a study"):
        results("tiny", pilot=True)
    with pytest.raises(AblateError, match="it has: nothing yet"):
        results("tiny", store="elsewhere")


def test_frames_have_a_row_for_each_run_and_epoch_and_are_the_callers_own(done: Path) -> None:
    found = results("tiny")
    assert list(found.runs["state"]) == ["stored"] * 4
    assert found.runs["test/accuracy"].between(0, 1).all()
    assert len(found.epochs) == 8
    assert set(found.epochs["epoch"]) == {1, 2}
    assert found.trials.empty
    assert list(found.trials.columns[:3]) == ["variant", "trial", "state"]
    runs, epochs = found.runs, found.epochs
    runs["state"], epochs["lr"] = "gone", 0
    assert list(found.runs["state"]) == ["stored"] * 4
    assert (found.epochs["lr"] > 0).all()


def test_runs_that_are_missing_are_in_the_frame_without_numbers(done: Path) -> None:
    done.write_text(done.read_text().replace("seeds = 2", "seeds = 3"))
    found = results(done)
    assert repr(found) == "<results of tiny: 4 stored, 2 new>"
    assert found.runs[found.runs["state"] == "new"]["test/accuracy"].isna().all()


def test_notes_say_what_is_not_as_one_may_expect(done: Path) -> None:
    assert results(done).notes == ()
    done.write_text(done.read_text().replace("epochs = 2", "epochs = 5"))
    found = results(done)
    assert "has changed since it was run" in found.notes[0]
    assert found.study.variants[0].recipe.epochs == 2


def test_results_of_a_loaded_study_are_of_what_was_loaded(done: Path) -> None:
    loaded = load_study(done)
    done.write_text(done.read_text().replace("seeds = 2", "seeds = 5").replace('"flipped"', '"mirrored"'))
    found = results(loaded)
    assert [variant.name for variant in found.study.variants] == ["baseline", "flipped"]
    assert list(found.runs["state"]) == ["stored"] * 4
    assert [variant.name for variant in results(done).study.variants] == ["baseline", "mirrored"]


def test_the_table_and_a_comparison_are_numbers_that_agree(done: Path) -> None:
    found = results("tiny")
    loss = found.table.query("metric == 'test/loss'").set_index("variant")
    by_hand = found.runs.groupby("variant")["test/loss"].mean()
    assert loss["mean"].to_dict() == pytest.approx(by_hand.to_dict())
    assert found.comparison("flipped") == found.comparison("flipped", "baseline", "test/accuracy")
    gain = found.comparison("flipped", metric="test/loss")
    assert gain.mean == pytest.approx(by_hand["flipped"] - by_hand["baseline"])
    assert (gain.seeds, gain.mean, gain.low) == (
        (0, 1),
        loss["difference"]["flipped"],
        loss["difference_low"]["flipped"],
    )
    assert gain.metric.name == "test/loss"


def test_a_program_gets_all_that_the_report_says(done: Path) -> None:
    found = results("tiny")
    told = json.loads(json.dumps(found.document(), allow_nan=False))
    assert [section["name"] for section in told["sections"]] == ["baseline", "flipped"]
    assert told["sections"][1]["comparisons"][0]["result"]["difference"] == found.comparison("flipped").mean


def test_a_comparison_of_what_does_not_exist_is_an_error_with_the_nearest_name(done: Path) -> None:
    found = results("tiny")
    with pytest.raises(InputError, match="did you mean 'flipped'"):
        found.comparison("fliped")
    with pytest.raises(InputError, match="did you mean 'baseline'"):
        found.comparison("flipped", "base line")
    for metric in ("test/los", "loss"):
        with pytest.raises(InputError, match="did you mean 'test/loss'"):
            found.comparison("flipped", metric=metric)
    for pair in (["baseline"], ["flipped", "flipped"]):
        with pytest.raises(InputError, match=r"cannot be compared with itself: name a reference\n  accepts [bf]"):
            found.comparison(*pair)
    with pytest.raises(InputError, match="did you mean 'test/loss'"):
        found.comparison("flipped", metric="test/los")


def test_a_notebook_shows_table_intervals_and_what_is_missing(done: Path) -> None:
    done.write_text(done.read_text().replace("seeds = 2", "seeds = 3"))
    found = results(done)
    shown = found._repr_html_()
    assert "6 runs: 4 stored, 2 new" in shown
    assert re.search(r"flipped</td>.*>2 of 3, 1.new</td>", shown)
    assert "95\xa0% interval" in shown
    compared = found.comparison("flipped", metric="test/loss")._repr_html_()
    assert "flipped − baseline" in compared
    assert re.search(r"\S+ in test loss against baseline \(95.% interval .* seeds", compared)


def test_a_notebook_shows_names_and_reasons_as_text_whatever_they_are(done: Path, attack: str) -> None:
    found = results(done)
    [*variants] = found.study.variants
    named = replace(found.study, title=attack, variants=(*variants[:-1], replace(variants[-1], name=attack)))
    frame = found.runs.astype(dict.fromkeys(("variant", "state", "reason"), object))  # Arrow takes no lone surrogates
    runs = frame.replace({"variant": {"flipped": attack}})
    runs.loc[runs["variant"] == attack, ["state", "reason"]] = ["failed", attack]
    shown = results_html(Results(named, runs, found.epochs), attack, [attack])
    plain = Results(found.study, found.runs, found.epochs)
    assert tags(shown) <= tags(results_html(plain, "", ["", ""]))
    compared = Results(named, runs.assign(state="stored"), found.epochs).comparison(attack, "baseline")
    assert tags(Comparison(**vars(compared))._repr_html_()) == tags(found.comparison("flipped")._repr_html_())


def tags(html: str) -> set[str]:
    """Return every tag with its attributes."""
    return set(re.findall(r"<[^>]*>", html))


def test_figures_are_drawn_when_asked_for_and_new_each_time(done: Path) -> None:
    figures = results("tiny").figures
    assert list(figures)[:3] == ["differences", "loss", "accuracy"]
    assert len(figures) == len(list(figures))
    first, second = figures["accuracy"], figures["accuracy"]
    assert first is not second
    first.savefig("accuracy.png")
    assert Path("accuracy.png").stat().st_size > 0
    assert repr(figures).startswith("<figures: differences, loss, accuracy, ")


def test_a_figure_that_is_not_there_is_an_error_and_a_key_error(done: Path) -> None:
    figures = results("tiny").figures
    with pytest.raises(InputError, match=r"^there is no figure 'acuracy'; did you mean 'accuracy'\?\n"):
        figures["acuracy"]
    assert "acuracy" not in figures
    assert figures.get("acuracy") is None


def test_a_figure_without_anything_to_draw_says_why(done: Path) -> None:
    shutil.rmtree("ablate-store/runs")
    figures = results("tiny").figures
    assert list(figures) == []
    with pytest.raises(InputError, match="figure 'loss': No run is"):
        figures["loss"]


def test_a_report_takes_one_format_or_several(done: Path) -> None:
    found = results("tiny")
    assert found.report("out", "html, md") == [Path("out/report.html"), Path("out/report.md")]
    assert found.report("out", "md") == [Path("out/report.md")]
    with pytest.raises(InputError, match="unknown report format 'mdd'; did you mean 'md'"):
        found.report("out", ["mdd"])


def test_a_trained_model_gives_what_is_stored_of_its_run(done: Path) -> None:
    found = results(done)
    for row in found.runs.to_dict("records"):
        variant, seed = str(row["variant"]), int(row["seed"])
        model, images = found.model(variant, seed), found.data(variant)
        assert not model.training
        assert images.evaluate(model) == {"loss": row["test/loss"], "accuracy": row["test/accuracy"]}
    assert len(found.data("baseline", "validation")) == 16


def test_only_a_pilot_is_told_from_nothing_and_from_results(study: Path) -> None:
    run(study, pilot=True)
    for named in ("tiny", study):
        with pytest.raises(InputError, match=r"only a pilot of this study has been run .*\n.*pilot=True in Python"):
            results(named)
    found = results("tiny", pilot=True)
    assert repr(found) == "<results of tiny: pilot, whose numbers mean nothing: 2 stored>"
    assert "pilot, whose numbers mean nothing: 2 stored" in found._repr_html_()


def test_results_of_a_dict_are_of_its_name(done: Path) -> None:
    given = tomllib.loads(done.read_text())
    done.unlink()
    assert repr(results(given)) == "<results of tiny: 4 stored>"


def test_a_variant_that_failed_says_so_where_its_model_is_asked_for(done: Path) -> None:
    found = results("tiny")
    runs = found.runs
    runs.loc[runs["variant"] == "flipped", "state"] = "failed"
    found._results = Results(found.study, runs, found.epochs)
    with pytest.raises(InputError, match=r"flipped: no run is stored \(2 failed\)\n  results.runs .*retry_failed=True"):
        found.model("flipped")


def test_a_study_and_its_findings_are_short_to_read(done: Path) -> None:
    found = results("tiny")
    assert repr(found.study) == "<study 'tiny': 'baseline', 'flipped'; seeds (0, 1)>"
    first = found.findings[0]
    assert repr(found.findings).startswith(
        f"{first.level}: {first.where}: {first.reason}\n  {first.remedy} ({first.code})"
    )


def test_a_pilots_model_is_its_own(done: Path) -> None:
    run(done, pilot=True)
    found = results("tiny", pilot=True)
    assert found.data("flipped").evaluate(found.model("flipped"))["accuracy"] == found.runs["test/accuracy"][1]


def test_a_run_that_is_not_stored_or_not_there_has_no_model(done: Path) -> None:
    found = results("tiny")
    with pytest.raises(InputError, match="there is no variant 'fliped'; did you mean 'flipped'"):
        found.model("fliped")
    with pytest.raises(InputError, match="flipped: seed 7 is not stored; seeds 0, 1 are"):
        found.model("flipped", seed=7)
    shutil.rmtree("ablate-store/runs")
    with pytest.raises(InputError, match="flipped: no run is stored"):
        results("tiny").model("flipped")


def test_weights_that_were_not_kept_are_an_error_that_says_how_to_keep_them(study: Path) -> None:
    run(study)
    with pytest.raises(InputError, match=r"baseline, seed 0: its weights were not kept\n  'keep_checkpoints = true'"):
        results(study).model("baseline")


def test_a_model_whose_source_has_changed_is_an_error(done: Path) -> None:
    (done.parent.parent / "plugins" / "mine.py").write_text(
        "from torch import nn\nfrom ablate import model\n\n\n@model('mine')\ndef mine(shape, classes):\n"
        "    '''Sees little.'''\n    return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))\n"
    )
    done.write_text(done.read_text().replace('use = "simple-cnn", width = 4, hidden = 8', 'use = "mine"'))
    run(done)
    found, modules, path = results(done), set(sys.modules), list(sys.path)
    assert found.data("baseline").evaluate(found.model("baseline"))["accuracy"] == found.runs["test/accuracy"][0]
    assert (set(sys.modules), sys.path) == (modules, path)
    plugin = done.parent.parent / "plugins" / "mine.py"
    plugin.write_text(plugin.read_text().replace("nn.Flatten()", "nn.Flatten(), nn.ReLU()"))
    with pytest.raises(
        InputError, match=r"source of model 'mine' has changed since the run was made \(plugins/mine.py"
    ):
        found.model("baseline")


def test_a_damaged_checkpoint_is_an_error(done: Path) -> None:
    for checkpoint in Path("ablate-store/runs").glob("*/checkpoint.pt"):
        checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"checkpoint.pt: its checksum does not match"):
        results(done).model("baseline")


def test_code_of_a_study_that_is_only_named_has_to_be_where_one_works(
    done: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Path("ablate-store").resolve()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    found = results("tiny", store=store)
    assert found.runs["test/accuracy"].notna().all()
    with pytest.raises(
        InputError, match=r"is not in the working folder.*\n.*give the study instead of its name: ablate.results\("
    ):
        found.model("baseline")
    named = results(done, store=store)
    assert named.data("baseline").evaluate(named.model("baseline"))["accuracy"] == found.runs["test/accuracy"][0]


def test_reading_results_imports_no_torch_and_runs_no_plugin(done: Path) -> None:
    (done.parent.parent / "plugins" / "tiny.py").write_text("raise SystemExit('was run')")
    code = (
        "import sys; from ablate.api.results import results; found = results('tiny'); found.runs, found.epochs, "
        "found.findings; found.figures['loss']; found.report('out'); "
        "print(sorted({'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (said.stdout, said.stderr) == ("[]\n", "")


def test_results_of_a_loaded_record_are_of_the_moment_they_were_read(done: Path) -> None:
    found = results("tiny")
    shutil.rmtree("ablate-store/runs")
    assert isinstance(found, StudyResults)
    assert list(found.runs["state"]) == ["stored"] * 4


def test_results_of_a_study_whose_plugin_is_gone_are_of_the_study_as_it_was_run(study: Path) -> None:
    mine = study.parent / "mine.py"
    mine.write_text("")
    text = study.read_text()
    study.write_text(text.replace('name = "tiny"', 'name = "tiny"\nplugins = ["mine.py"]'))
    run(study)
    mine.unlink()
    found = results("tiny")
    assert list(found.runs["state"]) == ["stored"] * 4
    assert "has problems now: this is the study as it was run" in found.notes[0]
    assert found.report("out", "md") == [Path("out/report.md")]


def test_results_of_a_study_whose_file_is_no_toml_any_more_are_of_the_study_as_it_was_run(done: Path) -> None:
    done.write_text("[study")
    found = results(done)
    assert list(found.runs["state"]) == ["stored"] * 4
    assert "has problems now: this is the study as it was run" in found.notes[0]


def test_a_cost_is_no_metric_of_a_comparison(done: Path) -> None:
    with pytest.raises(InputError, match="there is no metric 'flops'") as raised:
        results(done).comparison("flipped", metric="flops")
    assert "seconds" not in str(raised.value)


def test_figures_come_in_the_styles_of_papers_and_slides(done: Path) -> None:
    figures = results("tiny").figures
    widths = [
        figures.styled(*how, wide=wide)["loss"].get_figwidth()
        for how, wide in ((("paper",), False), (("paper",), True), (("slide",), False))
    ]
    assert widths == pytest.approx([8.4 / 2.54, 17.4 / 2.54, 12.0])
    assert list(figures.styled("slide")) == list(figures)
    with pytest.raises(InputError, match=r"unknown style 'slides'; did you mean 'slide'"):
        figures.styled("slides")
