from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from ablate.report.escapes import fenced
from ablate.report.render import render
from tests.test_report import HOSTILE, hostile, phases, records

if TYPE_CHECKING:
    from pathlib import Path

    from markdown_it.token import Token

    from ablate.report.content import Records


def tokens(made: Records, out: Path) -> list[Token]:
    """Return what a CommonMark parser (with GitHub's tables) reads in a report, each inline token after its block."""
    (page,) = render(made, ["md"], out)
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page.read_text())
    return [token for block in parsed for token in [block, *(block.children or [])]]


def headings(found: list[Token]) -> list[tuple[str, str]]:
    return [(token.tag, text.content) for token, text in pairwise(found) if token.type == "heading_open"]


def tables(found: list[Token]) -> list[list[list[str]]]:
    """Return the cells of each row of each table."""
    made: list[list[list[str]]] = []
    for token in found:
        match token.type:
            case "table_open":
                made.append([])
            case "tr_open":
                made[-1].append([])
            case "th_open" | "td_open":
                made[-1][-1].append("")
            case "text" | "text_special" if made and made[-1] and token.level == 0:
                made[-1][-1][-1] += token.content
    return made


def test_it_has_the_parts_of_the_page_in_their_order(tmp_path: Path) -> None:
    found = tokens(records(without={("Phase 3", 1): ("failed", "")}), tmp_path)
    assert headings(found)[0] == ("h1", "Phases on CIFAR-100")
    assert [text for tag, text in headings(found) if tag == "h2"] == [
        "The answer", "Comparison", "Differences", "Training curves", "One by one", "What to keep in mind", "Methods",
        "How it was made",
    ]  # fmt: skip
    assert [text for tag, text in headings(found) if tag == "h3"][:3] == [
        "Phase 1 (Simple CNN)", "Phase 3 (ResNet18)", "Phase 4 (timm:resnet34)",
    ]  # fmt: skip


def test_the_comparison_table_has_differences_and_verdicts(tmp_path: Path) -> None:
    head, *rows = tables(tokens(records(), tmp_path))[0]
    assert head[:5] == ["Phase", "Model", "Key enhancements", "Epochs", "n"]
    shown = head.index("Against")
    assert head[shown:] == [
        "Against", "Difference (points of test accuracy)", "95 % interval", "Verdict",
        "Against Phase 1 (points of test accuracy)", "95 % interval", "Verdict", "Parameters", "Time a run",
    ]  # fmt: skip
    assert [row[0] for row in rows] == ["Phase 1", "Phase 3", "Phase 4"]
    found = ["+10.10", "+9.85\xa0to\xa0+10.35", "helped"]
    assert rows[1][shown:] == ["Phase 1", *found, *found, "11.2\xa0M", "1\xa0min 30\xa0s"]
    assert {len(row) for row in rows} == {len(head)}
    assert [row[head.index("n")] for row in rows] == ["3", "3", "3"]
    assert rows[0][head.index("Test accuracy (%), ours \N{MINUS SIGN} reported")] == "\N{MINUS SIGN}4.2"


def test_what_changed_is_a_diff(tmp_path: Path) -> None:
    blocks = [token for token in tokens(records(), tmp_path) if token.type == "fence"]
    assert {token.info for token in blocks} == {"diff"}
    assert (
        "- optimizer = adam\n+ optimizer = sgd\n- optimizer: lr = 0.001\n+ optimizer: lr = 0.05\n" in blocks[0].content
    )
    assert fenced(["```"], "diff").splitlines() == ["````diff", "```", "````"]


def test_it_has_the_keys_of_its_runs(tmp_path: Path) -> None:
    made = records()
    keys = [row[2] for row in tables(tokens(made, tmp_path))[-1][1:]]
    assert keys == [*made.results.runs["key"]]


@pytest.mark.parametrize("folder", ["reports", "my reports/of (it) & 100 %"])
def test_its_figures_stand_beside_it_as_svg_and_as_png(folder: str, tmp_path: Path) -> None:
    found = tokens(records(), tmp_path / folder)
    images = [str(token.attrs["src"]) for token in found if token.type == "image"]
    links = [str(token.attrs["href"]) for token in found if token.type == "link_open"]
    assert images
    assert links.pop() == "references.bib"
    assert links == [image.replace(".svg", ".png") for image in images]
    for image, link in zip(images, links, strict=True):
        assert (tmp_path / folder / unquote(image)).read_bytes().lstrip().startswith(b"<?xml")
        assert (tmp_path / folder / unquote(link)).read_bytes().startswith(b"\x89PNG")
    assert {file.name for file in (tmp_path / folder / "figures").iterdir()} == {
        place.removeprefix("figures/") for place in images + links
    }


def test_each_image_says_what_it_shows(tmp_path: Path) -> None:
    found = tokens(records(), tmp_path)
    assert all(len(token.content) > 40 for token in found if token.type == "image")


def test_no_value_becomes_markup(tmp_path: Path) -> None:
    found, plain = (tokens(hostile(text), tmp_path / str(place)) for place, text in enumerate([HOSTILE, "harmless"]))
    assert not {token.type for token in found} & {"html_inline", "html_block", "em_open", "s_open"}
    for kind in ("image", "link_open", "heading_open", "table_open", "td_open", "list_item_open", "strong_open"):
        count = [len([token for token in every if token.type == kind]) for every in (found, plain)]
        assert count[0] == count[1], kind
    assert [token.attrs for token in found if token.type in {"image", "link_open"}] == [
        token.attrs for token in plain if token.type in {"image", "link_open"}
    ]
    assert [token.tag for token in found if token.type == "heading_open"].count("h1") == 1
    assert HOSTILE in "".join(token.content for token in found if token.type == "text")


def test_a_study_without_results_has_no_image_and_says_why(tmp_path: Path) -> None:
    nothing = {(v.name, s): ("new", "") for v in phases().variants for s in phases().seeds}
    found = tokens(records(without=nothing), tmp_path)
    assert not [token for token in found if token.type == "image"]
    assert re.search("No run is done yet", "".join(token.content for token in found if token.type == "inline"))
    assert not (tmp_path / "figures").exists()
