from __future__ import annotations

import json
import re
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest

from ablate.report import drawing, figures_curves
from ablate.report.content import Records, report

from .test_figures import accuracy_data, loss_data, records


def svg(name: str = "accuracy", title: str = "Test accuracy & more", seeds: int = 2) -> str:
    return drawing.inline_svg(figures_curves.draw_accuracy(accuracy_data(records(seeds=seeds))), name, title)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_stays_text_and_is_in_fonts_of_one_width() -> None:
    texts = list(ET.fromstring(svg()).iter("text"))
    assert {"Phase 1", "Phase 2", "Learning rate", "Epoch"} <= {one.text for one in texts}
    assert all("font-family: 'DejaVu Sans', Verdana, sans-serif" in one.get("style", "") for one in texts)


def test_the_figure_is_an_image_with_a_title_that_is_escaped() -> None:
    root = ET.fromstring(svg(title="a < b & c"))
    assert root.get("role") == "img"
    title = root.find("title")
    assert title is not None
    assert (title.text, title.get("id")) == ("a < b & c", root.get("aria-labelledby"))


def test_ids_begin_with_the_figures_name_and_are_all_that_is_pointed_to() -> None:
    made = svg(name="first")
    ids = re.findall(r' id="([^"]+)"', made)
    assert len(ids) == len(set(ids))
    assert all(one.startswith("first-") for one in ids)
    pointed = {*re.findall(r'href="#([^"]+)"', made), *re.findall(r"url\(#([^)]+)\)", made)}
    assert pointed <= set(ids)
    assert pointed


def test_nothing_in_it_styles_the_page_and_no_colour_is_left_that_a_page_cannot_change() -> None:
    made = svg()
    assert "<style" not in made
    assert set(re.findall(r"(?<!, )#[0-9a-f]{6}", made)) == set()
    assert {"--ink", "--muted", "--grid", "--paper", "--v0", "--v1"} <= set(re.findall(r"var\((--\w+), #", made))


def test_what_belongs_to_a_variant_or_a_seed_can_be_found() -> None:
    root = ET.fromstring(svg(seeds=3))
    groups = [one.get("class", "").split() for one in root.iter("g") if one.get("class")]
    seeds = [one for one in groups if "seed" in one]
    assert sorted(seeds) == sorted(["v", f"v{index}", "seed", f"s{seed}"] for index in range(2) for seed in range(3))
    assert {"v0", "v1"} == {one[1] for one in groups}
    labels = {text.text: one.get("class") for one in root.iter("g") if one.get("class") for text in one.iter("text")}
    assert labels == {"Phase 1": "v v0", "Phase 2": "v v1"}


def test_axes_say_where_they_are_and_what_they_show() -> None:
    root = ET.fromstring(svg())
    upper, lower = json.loads(root.get("data-axes", ""))
    assert upper["series"] == [{"variant": index, "metric": "test/accuracy"} for index in range(2)]
    assert [one["metric"] for one in lower["series"]] == ["lr", "lr"]
    assert (upper["log_x"], upper["log_y"]) == (False, False)
    # A point of the line lies where the box and the ends of the scales say.
    left, top, right, bottom = upper["box"]
    curve = accuracy_data(records()).curves[0]
    line = next(
        path.get("d", "")
        for one in root.iter("g")
        if one.get("class") == "v v0"
        for path in one.iter("path")
        if path.get("d", "").count("L") == 4 and "fill: none" in path.get("style", "")
    )
    x, y = (float(one) for one in line.split()[1:3])
    share = [(curve.epochs[0] - upper["x"][0]) / (upper["x"][1] - upper["x"][0])]
    share.append((curve.mean[0] - upper["y"][0]) / (upper["y"][1] - upper["y"][0]))
    assert x == pytest.approx(left + share[0] * (right - left), abs=0.05)
    assert y == pytest.approx(bottom - share[1] * (bottom - top), abs=0.05)


def test_the_same_report_gives_the_same_element_and_hostile_names_stay_text() -> None:
    made = records({"<script>alert(1)</script>": 2, 'a" onload="x': 2})
    first, second = (drawing.inline_svg(figures_curves.draw_loss(loss_data(made)), "loss") for _ in range(2))
    assert first == second
    assert "<script" not in first
    assert "onload" not in {name for one in ET.fromstring(first).iter() for name in one.attrib}
    assert report(Records(made)).histories[0].variant in {one.text for one in ET.fromstring(first).iter("text")}


def test_no_colour_is_hard_to_see_or_the_same_grey_as_another() -> None:
    for colours, paper in ((drawing.COLOURS, "#ffffff"), (drawing.DARK_COLOURS, "#14161a")):
        assert min(contrast(colour, paper) for colour in colours) >= 4.5
        assert all(abs(luminance(a) - luminance(b)) > 0.01 for a, b in combinations(colours, 2))
    assert min(contrast(colour, drawing.PAPER) for colour in (drawing.INK, drawing.MUTED, drawing.GOOD)) >= 4.5
