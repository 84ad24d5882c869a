from __future__ import annotations

import dataclasses
import itertools
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from ablate.metrics import METRICS
from ablate.report import drawing, figure_labels, figure_scales, figures_curves
from ablate.report.content import Records, report
from ablate.stats.results import Results
from ablate.study.spec import Choice, Recipe, Study, Variant
from tests.planted import framed

RECIPE = Recipe(5, 32, Choice("digits"), Choice("mlp"), Choice("sgd", {"lr": 0.1}))
EPOCHS = {"Phase 1": 5, "Phase 2": 12}


def records(epochs: dict[str, int] = EPOCHS, seeds: int = 2, failed: tuple[tuple[str, int], ...] = ()) -> Results:
    """Runs with a loss of 1/epoch and an accuracy of 0.1 plus a hundredth for each epoch and seed."""
    variants = tuple(
        Variant(name, dataclasses.replace(RECIPE, epochs=count), reported={"accuracy": 0.362})
        for name, count in epochs.items()
    )
    history = [
        {
            "variant": name,
            "seed": seed,
            "epoch": epoch,
            "lr": 0.1,
            "train/loss": 1 / epoch,
            "test/loss": 1.1 / epoch,
            "test/accuracy": 0.1 + 0.01 * (epoch + seed),
        }
        for name, count in epochs.items()
        for seed in range(seeds)
        for epoch in range(1, count + 1)
    ]
    runs = [
        {
            "variant": name,
            "seed": seed,
            "key": f"{name}{seed}",
            "state": "failed" if (name, seed) in failed else "stored",
            "reason": "",
            "weights": "",
            "parameters": 1e6,
            "dead_weights": 0.0,
            "seconds": 1.0,
            **dict.fromkeys(METRICS, math.nan),
        }
        for name in epochs
        for seed in range(seeds)
    ]
    study = Study("tiny", "Tiny", variants, tuple(range(seeds)))
    columns = ["variant", "seed", "epoch", "lr", "train/loss", "test/loss", "test/accuracy"]
    return Results(study, framed(runs), framed(history, columns))


def loss_data(results: Results) -> figures_curves.FigureData:
    return figures_curves.loss_data(report(Records(results)))


def accuracy_data(results: Results) -> figures_curves.FigureData:
    return figures_curves.accuracy_data(report(Records(results)))


def test_every_variant_has_a_training_and_a_test_curve_of_its_own_length() -> None:
    data = loss_data(records())
    assert [(c.variant, c.part, c.epochs[-1]) for c in data.curves] == [
        ("Phase 1", "train", 5),
        ("Phase 2", "train", 12),
        ("Phase 1", "test", 5),
        ("Phase 2", "test", 12),
    ]
    assert data.absent == ""


def test_accuracy_is_in_percent_with_mean_and_range_over_seeds() -> None:
    curve = accuracy_data(records(seeds=3)).curves[0]
    assert curve.mean[0] == pytest.approx(12.0)
    assert (curve.low[0], curve.high[0]) == pytest.approx((11.0, 13.0))
    assert [seed[0] for seed in curve.seeds] == pytest.approx([11.0, 12.0, 13.0])


def test_the_caption_says_which_lines_are_means_and_which_single_seeds() -> None:
    made = records(seeds=3)
    assert "Lines are means over 3 seeds; the shade" in loss_data(made).caption
    assert "Thick lines are means over 3 seeds, thin ones single seeds; the shade" in accuracy_data(made).caption
    first = Results(made.study, made.runs, made.epochs[made.epochs["epoch"] == 1])
    assert "Marks are means over 3 seeds. " in accuracy_data(first).caption


def test_runs_that_are_not_done_are_not_drawn_and_the_caption_says_so() -> None:
    data = accuracy_data(records(failed=(("Phase 1", 1), ("Phase 2", 0), ("Phase 2", 1))))
    assert [(c.variant, len(c.seeds)) for c in data.curves] == [("Phase 1", 1)]
    assert [mark.variant for mark in data.reported] == ["Phase 1"]
    assert "Phase 2" in data.caption


def test_without_a_finished_run_there_is_a_reason_instead_of_a_figure() -> None:
    nothing = records(seeds=1, failed=(("Phase 1", 0), ("Phase 2", 0)))
    for data in (loss_data(nothing), accuracy_data(nothing)):
        assert data.curves == ()
        assert data.absent.startswith("No run is done yet")


def test_epochs_without_a_measurement_are_left_out_of_a_curve() -> None:
    made = records(seeds=1)
    made.epochs.loc[made.epochs["epoch"] % 2 == 1, "test/accuracy"] = math.nan
    assert accuracy_data(made).curves[0].epochs == (2, 4)


def test_a_reported_accuracy_stands_at_the_last_epoch() -> None:
    marks = accuracy_data(records()).reported
    assert [(m.variant, m.epoch) for m in marks] == [("Phase 1", 5), ("Phase 2", 12)]
    assert [m.value for m in marks] == pytest.approx([36.2, 36.2])


def test_a_pilot_shows_no_reported_accuracy() -> None:
    made = records()
    made = dataclasses.replace(made, study=dataclasses.replace(made.study, pilot=True))
    assert accuracy_data(made).reported == ()


@pytest.mark.parametrize(("lowest", "log"), [(0.1, False), (0.006, False), (0.004, True), (0.0, False)])
def test_the_learning_rate_needs_a_log_scale_only_where_it_spans_far(lowest: float, log: bool) -> None:
    made = records(seeds=1)
    made.epochs.loc[made.epochs["epoch"] == 5, "lr"] = lowest
    data = accuracy_data(made)
    assert data.log_rate is log
    assert ("log scale" in data.caption) is log


def test_a_caption_tells_runs_without_finite_values_from_those_that_are_not_done() -> None:
    made = records({"first": 3, "second": 3, "third": 3, "fourth": 3}, failed=(("second", 0), ("second", 1)))
    made.epochs.loc[made.epochs["variant"] == "third", "test/accuracy"] = math.nan
    late = (made.epochs["variant"] == "fourth") & (made.epochs["epoch"] > 1) & (made.epochs["seed"] == 1)
    made.epochs.loc[late, "test/accuracy"] = math.nan
    data = accuracy_data(made)
    assert [curve.epochs[-1] for curve in data.curves] == [3, 1]
    for told in (
        "Not drawn, without a run that is done: second.",
        "Not drawn, without epochs of finite values: third.",
        "Ends early, where a seed has no finite value any more: fourth.",
    ):
        assert told in data.caption
    made.epochs["test/accuracy"] = math.nan
    assert accuracy_data(made).absent.startswith("No run that is done has epochs with a finite value")


def test_no_two_variants_look_alike_and_the_baselines_colour_is_its_own() -> None:
    looks = [(drawing.colour_of(i), drawing.marker_of(i)) for i in range(60)]
    assert len(set(looks)) == 60
    assert [colour for colour, _ in looks].count(drawing.COLOURS[0]) == 1
    made = records({f"variant {i}": 12 for i in range(9)}, seeds=1)
    axes = drawing.new_figure(2.0).subplots()
    for curve in accuracy_data(made).curves:
        drawing.draw_curve(axes, curve, each_seed=False)
    along = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert [(line.get_color(), line.get_marker()) for line in along[:2]] == looks[7:9]


def test_names_that_begin_alike_are_not_shortened_to_the_same() -> None:
    names = ["one long name that goes on and ends in a", "one long name that goes on and ends in b", "short"]
    short = figure_labels.short_names(names)
    assert [short[name] for name in names] == ["one long nam…nd ends in a", "one long nam…nd ends in b", "short"]
    middle = [f"the same at the beginning {i} and the same at the end" for i in range(3)]
    assert len(set(figure_labels.short_names(middle).values())) == 3
    assert max(map(len, figure_labels.short_names(middle).values())) <= 26


def test_the_caption_says_what_the_shade_is() -> None:
    assert "lowest seed to the highest" in loss_data(records()).caption
    assert "One seed each" in loss_data(records(seeds=1)).caption


def test_the_text_instead_of_a_figure_gives_its_last_values() -> None:
    assert "Phase 1 15.50 after epoch 5" in accuracy_data(records()).alt


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_same_records_give_the_same_bytes(kind: str) -> None:
    files = [drawing.encoded(figures_curves.draw_accuracy(accuracy_data(records())), kind) for _ in range(2)]
    assert files[0] == files[1]
    if kind == "svg":
        assert b"<dc:date>" not in files[0]


@pytest.mark.parametrize("epochs", [{"Phase 1": 1}, {f"variant {i}": 3 + i % 2 for i in range(5)}])
def test_one_epoch_and_five_variants_can_be_drawn(epochs: dict[str, int]) -> None:
    made = records(epochs, seeds=1)
    loss = figures_curves.draw_loss(loss_data(made))
    accuracy = figures_curves.draw_accuracy(accuracy_data(made))
    assert {text.get_text() for text in loss.axes[0].texts} == set(epochs)
    assert len(accuracy.axes) == 2
    assert all(tick >= 1 and tick == int(tick) for tick in loss.axes[0].get_xticks() if tick > 0.5)


def test_names_with_dollars_and_foreign_letters_are_drawn_as_they_are() -> None:
    made = records({"$x_1$ 模型": 2}, seeds=1)
    figure = figures_curves.draw_loss(loss_data(made))
    assert [text.get_text() for text in figure.axes[0].texts] == ["$x_1$ 模型"]
    assert drawing.encoded(figure, "svg").startswith(b"<?xml")


def test_drawing_leaves_matplotlibs_settings_as_they_were() -> None:
    import matplotlib as mpl  # not before: the tests of how it starts import this module

    before = dict(mpl.rcParams)
    drawing.encoded(figures_curves.draw_loss(loss_data(records())), "svg")
    assert dict(mpl.rcParams) == before


def picture() -> str:
    return drawing.encoded(figures_curves.draw_loss(loss_data(records())), "svg").decode()


def in_a_process(folder: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that works in a folder, with this environment besides."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("MPL")}
    usual |= {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]), "HOME": str(folder)}
    command = [sys.executable, "-c", f"import sys, test_figures as t\n{code}"]
    return subprocess.run(command, cwd=folder, env=usual | environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    "backend",
    ["module://not_installed.backend_inline", *(pytest.param(b, marks=pytest.mark.long) for b in ("Qt4Agg", "TkAgg"))],
)
def test_figures_are_the_same_whatever_backend_style_and_folder_the_user_has(backend: str, tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("backend: none\nlines.linewidth: 9\nno colon\nnot.a.key: 1\n")
    (tmp_path / "taken").write_text("")
    styles = tmp_path / ".config" / "matplotlib" / "stylelib"
    styles.mkdir(parents=True)
    (styles / "odd.mplstyle").write_bytes(b"\xff: \xff\n")
    place = {} if backend == "TkAgg" else {"MPLCONFIGDIR": str(tmp_path / "taken")}
    done = in_a_process(tmp_path, "sys.stdout.write(t.picture())", MPLBACKEND=backend, **place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == picture()


def test_a_backend_that_can_be_used_stays_the_users() -> None:
    code = "t.picture(); import matplotlib, os; print(matplotlib.rcParams['backend'], os.environ['MPLBACKEND'])"
    done = in_a_process(Path.cwd(), code, MPLBACKEND="svg")
    assert (done.stdout, done.stderr) == ("svg svg\n", "")


def test_a_figure_shows_itself_in_a_notebook_and_can_be_kept() -> None:
    figure = figures_curves.draw_loss(loss_data(records()))
    found = pickle.loads(pickle.dumps(figure))._repr_png_()
    assert found[0].startswith(b"\x89PNG")
    assert found[1]["width"] == 740


def test_a_matplotlibrc_that_does_not_read_is_told_with_what_helps(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_bytes(b"lines.linewidth: \xff\n")
    code = "from ablate.errors import InputError\ntry:\n  t.picture()\nexcept InputError as error:\n  print(error)"
    done = in_a_process(tmp_path, code)
    assert "matplotlib, which draws the figures, does not start: 'utf-8'" in done.stdout, done.stderr
    assert "a file matplotlibrc that is damaged" in done.stdout


def test_tick_labels_that_would_stand_on_each_other_are_left_out() -> None:
    with drawing.styled():
        figure = drawing.new_figure(height=2.0)
        axes, free = figure.subplots(1, 2, width_ratios=(1, 3))
        axes.set_xticks([100_000 + 10_000 * i for i in range(8)])
        axes.set_xlim(100_000, 170_000)
        before = free.get_xticks().tolist()
        figure_scales.thin_ticks(figure)
        figure.draw_without_rendering()
        ends = [tick.label1.get_window_extent() for tick in axes.xaxis.get_major_ticks()]
    assert 1 < len(ends) < 8
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(ends))
    assert free.get_xticks().tolist() == before


def test_ticks_that_stand_apart_stay_also_where_sides_are_shared() -> None:
    figure = figures_curves.draw_accuracy(accuracy_data(records()))
    figure.draw_without_rendering()
    before = [axis.get_ticklocs().tolist() for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    drawing.encoded(figure, "svg")
    assert [axis.get_ticklocs().tolist() for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)] == before
    assert len(before[0]) > 4


def test_labels_move_apart_and_stay_in_order() -> None:
    places = figure_labels.spread([0.0, 1.0, 2.0, 50.0], gap=10.0)
    assert places == pytest.approx([-9.0, 1.0, 11.0, 50.0])
    assert figure_labels.spread([], gap=10.0) == []
