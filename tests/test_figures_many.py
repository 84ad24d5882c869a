"""All figures of planted studies from one variant to 200: what they show, and that no text stands on another."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.text import Text

from ablate.errors import InputError
from ablate.report import drawing, figures_cost, figures_differences, figures_panels, figures_variant, figures_waterfall
from ablate.report.content import Records, report
from ablate.report.every_figure import every_figure
from ablate.report.figure_files import figure_files
from ablate.report.figures_curves import accuracy_data, draw_accuracy, loss_data
from ablate.report.shipped_figures import MOST_ROWS
from ablate.report.styles import COLUMN, PAGE, SLIDE, STYLES, WEB
from ablate.study.spec import Choice, Recipe, Study, Variant

from .planted import planted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from ablate.report.content import Report
from ablate.report.styles import Style


def study(
    variants: int,
    seeds: int,
    *,
    ladder: bool = True,
    long: bool = False,
    epochs: int = 6,
    tuned: bool = False,
) -> Report:
    """Plant a study whose variants gain less and less, every third one loses, and later ones cost more."""
    base = Recipe(epochs, 32, Choice("digits"), Choice("mlp"), Choice("sgd", {"lr": 0.1}))
    names = [f"a rather long name of variant {i}" if long else f"variant {i}" for i in range(variants)]
    places = {name: i for i, name in enumerate(names)}
    made = tuple(
        Variant(
            name,
            dataclasses.replace(base, epochs=max(1, epochs - i % 3), model=Choice("mlp", {"width": i})),
            parent=(names[i - 1] if ladder else names[0]) if i else None,
            reported={"accuracy": 0.6} if i < 2 else {},
        )
        for i, name in enumerate(names)
    )

    if tuned:
        made += (dataclasses.replace(made[1], name="variant 1 (tuned)", parent="variant 1", tuned={"optimizer.lr": 1}),)
        places["variant 1 (tuned)"] = variants

    def draw(variant: str, seed: int, trained: int) -> list[dict[str, float]]:
        i = places[variant]
        noise = np.random.default_rng([i, seed]).normal(0, 0.006)
        top = 0.5 + 0.3 * (1 - math.exp(-i / 8)) - 0.05 * (i % 3 == 2) + noise
        reached = [top * (1 - math.exp(-epoch / 3)) for epoch in range(1, trained + 1)]
        return [{"test/accuracy": a, "test/loss": 2.3 - 2 * a, "train/loss": 2.4 - 2.4 * a, "lr": 0.1} for a in reached]

    results = planted(Study("tiny", "Tiny", made, tuple(range(seeds)), ladder=ladder), draw)
    results.runs["seconds"] = [60.0 + 40 * places[name] for name in results.runs["variant"]]
    results.runs["parameters"] = [1e5 * (1 + places[name] % 5) for name in results.runs["variant"]]
    return report(Records(results))


def texts(figure: Figure) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    """Return each text that is drawn, with its box; of ticks those within the scale."""
    found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        legend = axes.get_legend()
        found += [axes.title, axes._left_title, *axes.texts, axes.xaxis.label, axes.yaxis.label]  # type: ignore[attr-defined]
        found += legend.get_texts() if legend else []
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            found += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    for text in found:
        if text.get_visible() and text.get_text().strip():
            box = Text.get_window_extent(text)  # of an annotation, without its line
            yield text.get_text(), (box.x0, box.y0, box.x1, box.y1)


def collisions(figure: Figure) -> list[str]:
    """Return what stands on each other or leaves the canvas."""
    drawing.encoded(figure, "svg")
    figure.draw_without_rendering()
    width, height = figure.bbox.width, figure.bbox.height
    every = list(texts(figure))
    wrong = [
        f"{text!r} leaves the canvas"
        for text, (left, low, right, top) in every
        if left < -1 or low < -1 or right > width + 1 or top > height + 1
    ]
    for place, (text, one) in enumerate(every):
        for other_text, other in every[place + 1 :]:
            if min(one[2], other[2]) - max(one[0], other[0]) > 1 and min(one[3], other[3]) - max(one[1], other[1]) > 1:
                wrong.append(f"{text!r} and {other_text!r}")
    return wrong


CASES = [
    (1, 1, WEB, {"epochs": 1}),
    (2, 3, COLUMN, {"long": True}),
    (5, 3, WEB, {}),
    (5, 3, COLUMN, {"long": True}),
    (5, 1, SLIDE, {"long": True}),
    (12, 3, PAGE, {"long": True}),
    (12, 3, COLUMN, {"long": True, "ladder": False}),
    (30, 3, WEB, {"ladder": False}),
    (30, 2, SLIDE, {"long": True}),
]


@pytest.mark.parametrize(
    ("variants", "seeds", "style", "how"),
    [pytest.param(*case, marks=pytest.mark.long if case[0] >= 12 else ()) for case in CASES],
)
def test_no_text_of_any_figure_stands_on_another_or_leaves_the_canvas(
    variants: int, seeds: int, style: Style, how: dict[str, bool]
) -> None:
    drawn = 0
    curves_of_sections = 0
    for one in every_figure(study(variants, seeds, **how)):
        curves_of_sections += one.part.startswith("variant:")
        if one.absent or (one.part.startswith("variant:") and curves_of_sections > 2):
            continue  # of the sections' figures, which are alike, two are enough
        with drawing.styled(style):
            figure = one.draw()
        assert collisions(figure) == [], one.name
        assert figure.get_figwidth() == style.width
        drawn += 1
    assert drawn >= 2


@pytest.mark.long
@pytest.mark.parametrize("style", [WEB, COLUMN])
@pytest.mark.parametrize("ladder", [True, False])
def test_no_text_stands_on_another_with_200_variants(style: Style, ladder: bool) -> None:
    for one in every_figure(study(200, 3, ladder=ladder, epochs=3)):
        if not one.absent:
            with drawing.styled(style):
                assert collisions(one.draw()) == [], one.name


def test_up_to_five_variants_share_axes_and_more_have_a_panel_each() -> None:
    assert accuracy_data(study(5, 1)).panels == ()
    many = accuracy_data(study(8, 1))
    assert [(panel.variant, panel.before) for panel in many.panels][:2] == [
        ("variant 1", "variant 0"),
        ("variant 2", "variant 1"),
    ]
    assert len(many.panels) == 7


def test_each_panel_of_accuracy_has_its_own_learning_rate_beneath_it_over_that_of_the_one_before() -> None:
    data = accuracy_data(study(8, 1))
    assert {curve.variant for curve in data.rates} == {f"variant {i}" for i in range(8)}
    assert "beneath it the learning rate" in data.caption
    figure = draw_accuracy(data)
    panels, strips = figure.axes[::2], figure.axes[1::2]
    assert len(panels) == len(strips) == 7
    for strip, panel in zip(strips, data.panels, strict=True):
        rates = [curve.mean for name in (panel.before, panel.variant) for curve in data.rates if curve.variant == name]
        drawn = [tuple(np.asarray(line.get_ydata())) for line in strip.lines if np.size(line.get_xdata()) > 1]
        assert drawn == rates
    for panel_axes, strip in zip(panels, strips, strict=True):
        assert strip.get_xlim() == panel_axes.get_xlim()
        assert strip.get_position().y1 < panel_axes.get_position().y0


def test_learning_rates_that_span_far_are_on_a_log_scale_in_panels_too() -> None:
    made = study(8, 1)
    data = accuracy_data(made)
    falling = tuple(dataclasses.replace(c, mean=tuple(0.1 / 10**i for i in range(len(c.mean)))) for c in data.rates)
    figure = draw_accuracy(dataclasses.replace(data, rates=falling, log_rate=True))
    assert {axes.get_yscale() for axes in figure.axes[1::2]} == {"log"}
    assert collisions(figure) == []


def test_of_very_many_variants_those_that_differ_most_have_a_panel_and_the_caption_says_so() -> None:
    made = study(40, 1)
    data = loss_data(made)
    assert len(data.panels) == figures_panels.MOST_PANELS
    sizes = {one.candidate: abs(one.mean) for one in made.comparisons}
    shown = {panel.variant for panel in data.panels}
    assert min(sizes[name] for name in shown) >= max(size for name, size in sizes.items() if name not in shown)
    assert "Of 39 variants, the 24 that differ most have a panel; 15 are in the grey alone." in data.caption


def test_each_difference_is_drawn_with_its_interval_and_its_verdict() -> None:
    made = study(4, 3)
    data = figures_differences.difference_data(made, MOST_ROWS)
    assert [(row.candidate, row.reference, row.verdict) for row in data.rows] == [
        (one.candidate, one.reference, one.verdict) for one in made.comparisons
    ]
    first = made.comparisons[0]
    assert first.low is not None
    assert (data.rows[0].difference, data.rows[0].low) == pytest.approx((100 * first.mean, 100 * first.low))
    assert data.margin == pytest.approx(0.5)
    assert "[" in data.rows[0].said
    assert data.reference == ""
    figure = figures_differences.draw_differences(data)
    assert "better →" in figure.axes[0].get_xlabel().splitlines()[1].strip()
    assert [label.get_text().splitlines()[0] for label in figure.axes[0].get_yticklabels()] == [
        "variant 1",
        "variant 2",
        "variant 3",
    ]


def test_one_seed_has_differences_without_intervals() -> None:
    data = figures_differences.difference_data(study(3, 1), MOST_ROWS)
    assert [(row.low, row.high, row.verdict) for row in data.rows] == [(None, None, "not decided")] * 2
    assert "too few runs for intervals" in data.caption


def test_of_many_comparisons_the_largest_are_shown_and_the_others_are_counted() -> None:
    made = study(60, 2, ladder=False)
    data = figures_differences.difference_data(made, MOST_ROWS)
    assert len(data.rows) == MOST_ROWS
    left_out = sorted((abs(one.mean) for one in made.comparisons), reverse=True)[MOST_ROWS:]
    assert min(abs(row.difference) for row in data.rows) >= 100 * max(left_out)
    assert "Of 59 comparisons the 40 with the largest differences are shown. Verdicts of the other 19:" in data.caption
    assert data.reference == "variant 0"


def test_a_waterfall_goes_from_the_baseline_to_the_last_step() -> None:
    made = study(4, 3)
    data = figures_waterfall.waterfall_data(made)
    means = {row.name: 100 * row.estimates["test/accuracy"].mean for row in made.table.rows}
    assert {step.variant: step.value for step in data.steps} == pytest.approx(means)
    assert [step.before for step in data.steps[1:]] == pytest.approx([step.value for step in data.steps[:-1]])
    assert data.steps[0].before is None
    assert data.title == "From variant 0 to variant 3"
    assert figures_waterfall.waterfall_data(study(4, 1, ladder=False)).absent


def widened(made: Report, place: int) -> Report:
    """Return a report in which one interval, of a variant and of its comparison, is 200 points wide."""

    def wide(one: Any) -> Any:
        return dataclasses.replace(one, low=one.mean - 1, high=one.mean + 1)

    rows, compared = list(made.table.rows), list(made.comparisons)
    estimates = {name: wide(one) for name, one in rows[place].estimates.items()}
    rows[place] = dataclasses.replace(rows[place], estimates=estimates)
    compared[place - 1] = wide(compared[place - 1])
    return dataclasses.replace(
        made, table=dataclasses.replace(made.table, rows=tuple(rows)), comparisons=tuple(compared)
    )


def arrows(figure: Figure) -> int:
    """Return how many arrows stand at the ends of a scale."""
    return sum(np.size(line.get_xdata()) == 1 and not line.get_clip_on() for axes in figure.axes for line in axes.lines)


def test_intervals_are_drawn_whole_and_one_that_is_far_wider_has_arrows_which_the_caption_explains() -> None:
    usual = study(5, 3)
    for made, wide in ((usual, 0), (widened(usual, 2), 1)):
        fall, cost = figures_waterfall.waterfall_data(made), figures_cost.cost_data(made, "time")
        shown = [(fall.scale, (step.low, step.high)) for step in fall.steps]
        shown += [(cost.scale, (point.low, point.high)) for point in cost.panels[0].points]
        ends = [(scale, low, high) for scale, (low, high) in shown if low is not None and high is not None]
        assert len(ends) == 4 + 5
        assert sum(low < scale[0] or high > scale[1] for scale, low, high in ends) == 2 * wide
        for data, figure in (
            (fall, figures_waterfall.draw_waterfall(fall)),
            (cost, figures_cost.draw_cost(cost)),
        ):
            assert arrows(figure) == 2 * wide
            assert ("an arrow stands where it goes on beyond the scale" in data.caption) is bool(wide)
            assert "line is the 95 % interval" in data.caption
    assert "interval" not in figures_cost.cost_data(study(3, 1)).caption


def test_an_interval_clear_of_0_that_is_not_decided_is_explained_once() -> None:
    made = study(4, 3)
    clear = [dataclasses.replace(one, low=0.01, high=0.03, verdict="not decided") for one in made.comparisons]
    explained = "so one that is clear of 0 can be not decided"
    assert explained not in figures_differences.difference_data(study(3, 1), MOST_ROWS).caption
    made = dataclasses.replace(made, comparisons=tuple(clear))
    assert figures_differences.difference_data(made, MOST_ROWS).caption.count(explained) == 1
    assert figures_waterfall.waterfall_data(made).caption.count(explained) == 1


def test_tuned_variants_are_no_steps_of_a_ladder_for_the_answer_and_the_waterfall_alike() -> None:
    made = study(4, 3, tuned=True)
    assert made.ladder == ("variant 0", "variant 1", "variant 2", "variant 3")
    assert made.conclusion.kind == "ladder"
    assert tuple(step.variant for step in figures_waterfall.waterfall_data(made).steps) == made.ladder
    assert any(one.name == "waterfall" and not one.absent for one in every_figure(made))
    other = study(4, 3, ladder=False, tuned=True)
    assert (other.ladder, other.conclusion.kind) == ((), "changes")


def test_a_chain_that_is_compared_with_its_baseline_promises_no_interval() -> None:
    made = study(4, 3)
    against = [pair.compared[0] for pair in made.pairs if pair.reference == "variant 0"][1:]
    assert len(against) == 2
    data = figures_waterfall.waterfall_data(dataclasses.replace(made, comparisons=tuple(against)))
    assert not data.absent
    assert "interval" not in data.caption


def test_the_figure_of_costs_shows_the_front_that_the_sentence_and_the_json_tell() -> None:
    made = study(8, 2)
    data = figures_cost.cost_data(made)
    time, parameters = data.panels
    for panel, front in zip((time, parameters), made.costs, strict=True):
        assert {point.variant for point in panel.points if point.best} == {point.variant for point in front.front}
        assert {point.variant: point.value for point in panel.points} == pytest.approx(
            {point.variant: 100 * point.mean for point in front.points}
        )
    assert "minutes" in time.heading
    assert figures_cost.cost_data(study(8, 2), "time").panels == (time,)
    assert figures_cost.cost_data(study(1, 1)).absent


def test_a_section_has_its_curves_over_those_of_the_variant_that_it_changes() -> None:
    made = study(3, 2)
    data = figures_variant.variant_curves(made, "variant 2")
    assert {curve.variant for panel in data.panels for curve in panel.curves} == {"variant 1", "variant 2"}
    assert data.title == "variant 2 over variant 1"
    assert [one.anchor for one in figures_variant.section_curves(made)] == [s.anchor for s in made.sections[1:]]
    assert figures_variant.section_curves(study(13, 1)) == []


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_a_figure_has_the_same_bytes_each_time_in_every_style(kind: str) -> None:
    data = figures_waterfall.waterfall_data(study(3, 2))
    for style in (style for styles in STYLES.values() for style in styles):
        files = []
        for _ in range(2):
            with drawing.styled(style):
                figure = figures_waterfall.draw_waterfall(data)
            files.append(drawing.encoded(figure, kind))
        assert files[0] == files[1]
        assert not any(word in files[0] for word in (b"CreationDate", b"dc:date", b"matplotlib.org"))


@pytest.mark.long
def test_figures_are_written_in_each_width_of_a_style_as_svg_pdf_and_png() -> None:
    made = study(2, 2)
    files = figure_files(made, Path("to"), "paper")
    names = [one.name for one in every_figure(made) if not one.absent]
    assert {str(file) for file in files} == {
        f"to/{name}-{width}.{kind}" for name in names for width in ("8.4cm", "17.4cm") for kind in ("svg", "pdf", "png")
    }
    heads = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}
    assert all(content.startswith(heads[file.suffix[1:]]) for file, content in files.items())
    assert {file.name for file in figure_files(made, Path("to"), "slide")} >= {"loss.svg", "loss.pdf", "loss.png"}


def test_an_unknown_style_is_told_with_the_nearest_one() -> None:
    with pytest.raises(
        InputError, match=r"unknown style 'papr'; did you mean 'paper'\?\n  accepted: paper, slide, web"
    ):
        figure_files(study(2, 1), Path("to"), "papr")
