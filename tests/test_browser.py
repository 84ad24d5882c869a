"""The HTML report in a real browser, with the network off: what a reader clicks, types, prints and hears."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re
import shutil
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from markdown_it import MarkdownIt
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from ablate import compare
from ablate.report import filters
from ablate.report.content import Records, Report, report
from ablate.report.render import render
from ablate.study.comparisons import Comparing
from ablate.study.spec import Choice, Recipe, Study, Variant

from .conftest import ATTACKS
from .planted import planted
from .test_report_designs import records as factorial
from .test_report_tuning import realistic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here (Debian: apt-get install chromium)")

NARROW, WIDE = {"width": 375, "height": 800}, {"width": 1280, "height": 900}
HOSTILE = [
    "</script><script>document.title = 'owned'</script>",
    "<!--<script>",
    "quotes \" ' ` \\ {{ 1 }}",
    "\u202eright to left\u202c עברית العربية",
    "emoji 🧪🏽 and ünïcödé",
    "long" * 60,
    *list(ATTACKS.values())[:6],
]


def study(names: Sequence[str], seeds: int, epochs: int = 6, **changes: Any) -> Study:
    """Variants that each change one or two things against the first."""
    first = Recipe(epochs, 128, Choice("cifar100"), Choice("simple-cnn"), Choice("adam", {"lr": 0.001}))
    variants = [Variant(names[0], first, None, reported={"accuracy": 0.36})]
    for place, name in enumerate(names[1:], 1):
        recipe = dataclasses.replace(first, model=Choice("simple-cnn", {"width": 16 + place}), batch_size=64 + place)
        variants.append(Variant(name, recipe, names[0], note=f"Why {name} ought to help."))
    return Study("made", "What helps", tuple(variants), tuple(range(seeds)), comparing=Comparing("paired"), **changes)


def drawn(names: Sequence[str]) -> Callable[[str, int, int], list[dict[str, float]]]:
    """Give each variant 2 points more than the one before it, and each seed a little more in later epochs."""
    places = {name: place for place, name in enumerate(names)}

    def draw(variant: str, seed: int, epochs: int) -> list[dict[str, float]]:
        made = []
        for epoch in range(1, epochs + 1):
            accuracy = (0.3 + 0.02 * (places[variant] % 20) + 0.003 * seed) * epoch / epochs
            losses = {"test/loss": 2 - accuracy, "train/loss": 2.1 - accuracy}
            made.append({"test/accuracy": accuracy, **losses, "lr": 0.1 / epoch})
        return made

    return draw


def records(names: Sequence[str], seeds: int = 3, **changes: Any) -> Records:
    results = planted(study(names, seeds, **changes), drawn(names))
    return Records(results, made="2026-01-02", commands=("ablate run x.toml",))


def numbered(count: int) -> list[str]:
    return ["baseline", *(f"variant {place}" for place in range(1, count))]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Report]]:
    """Return the page of a study, by name, with its facts; each is rendered once."""
    known: dict[str, tuple[Path, Report]] = {}

    def make(name: str) -> tuple[Path, Report]:
        if name not in known:
            found = STUDIES[name]()
            (page,) = render(found, ["html"], tmp_path_factory.mktemp("page"))
            known[name] = page, report(found)
        return known[name]

    return make


def five() -> Records:
    """Five variants of which one lost a run to a failure and one has an accuracy that is not finite."""
    found = records(numbered(5))
    runs = found.results.runs
    runs.loc[(runs["variant"] == "variant 2") & (runs["seed"] == 1), "test/accuracy"] = math.nan
    runs.loc[(runs["variant"] == "variant 3") & (runs["seed"] == 2), ["state", "reason"]] = ["failed", "boom"]
    return found


STUDIES: dict[str, Callable[[], Records]] = {
    "1": lambda: records(numbered(1), 1),
    "5": five,
    "30": lambda: records(numbered(30)),
    "200": lambda: records(numbered(200), 2, epochs=3),
    "hostile": lambda: records(HOSTILE),
    "tuned": realistic,
    "factors": factorial,
}
EVERY = [
    "1",
    "5",
    "hostile",
    pytest.param("tuned", marks=pytest.mark.slow),
    pytest.param("factors", marks=pytest.mark.long),
    pytest.param("30", marks=pytest.mark.slow),
    pytest.param("200", marks=pytest.mark.long),
]


class Opened:
    """A page that is open, with all that it asked for and complained of."""

    def __init__(self, context: BrowserContext, path: Path) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page = context.new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(path.as_uri())

    def outside(self) -> list[str]:
        """Return what was asked for beside the page itself."""
        return [url for url in self.asked[1:] if not url.startswith(("data:", "blob:"))]


@pytest.fixture
def context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Return a browser without a network, as on a reader's machine."""
    opened: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        opened.append(browser.new_context(offline=True, **({"viewport": WIDE} | options)))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def show(context: Callable[..., BrowserContext], made: Callable[[str], tuple[Path, Report]]) -> Callable[..., Page]:
    """Open the page of a study; what it asked for and complained of is checked where a test says `quiet`."""
    return lambda name="5", **options: Opened(context(**options), made(name)[0]).page


def rows(page: Page) -> list[str]:
    """Return the names of the variants in the order in which the table has them."""
    return page.locator("#table tbody tr:not([hidden]) th").all_inner_texts()


def overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def read_through(page: Page) -> None:
    """Scroll through the page, as a reader does, so that all that waits for that is done."""
    page.evaluate("document.querySelectorAll('section, footer').forEach((part) => part.scrollIntoView())")
    if page.locator("#compare-part").count():
        page.locator("#compare-part").scroll_into_view_if_needed()
        page.wait_for_selector("#pair table")


# --- it opens ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_the_page_asks_for_nothing_complains_of_nothing_and_never_scrolls_sideways(
    name: str, size: dict[str, int], context: Any, made: Any
) -> None:
    opened = Opened(context(viewport=size), made(name)[0])
    if name != "1":
        read_through(opened.page)
    assert overflow(opened.page) == 0
    assert opened.outside() == []
    assert opened.said == []
    assert opened.page.title() != "owned"


@pytest.mark.parametrize("name", EVERY[:-1])  # 200 variants have the parts of 30, and take minutes
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(name: str, scheme: str, show: Any) -> None:
    page = show(name, color_scheme=scheme)
    if name != "1":
        read_through(page)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["impact"], [node["target"] for node in one["nodes"]][:3]) for one in found] == []


def test_headings_never_skip_a_level(show: Any) -> None:
    page = show()
    read_through(page)
    tags = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map((one) => one.tagName)")
    levels = [int(tag[1]) for tag in tags]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_answer_stands_directly_below_the_title(show: Any, made: Any) -> None:
    page = show()
    below = page.locator("header + section")
    assert below.locator("h2").inner_text().startswith("The answer")
    assert "variant 1" in below.inner_text()


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_no_column_breaks_a_word(size: dict[str, int], show: Any) -> None:
    page = show(viewport=size)
    read_through(page)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    broken = page.evaluate("""() => {
      const found = [];
      for (const cell of document.querySelectorAll("th, td, dt, dd, summary, h3, h4")) {
        const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
        for (let text = walker.nextNode(); text; text = walker.nextNode()) {
          for (const word of text.data.matchAll(/\\p{L}+/gu)) {
            const range = document.createRange();
            range.setStart(text, word.index);
            range.setEnd(text, word.index + word[0].length);
            const tops = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
            if (tops.size > 1) found.push(word[0]);
          }
        }
      }
      return found;
    }""")
    assert broken == []


def test_the_page_is_whole_without_a_script(show: Any, made: Any) -> None:
    page = show(java_script_enabled=False)
    assert page.locator("button:visible, select:visible, input:visible").count() == 0
    for name in numbered(5):
        assert page.locator("#table").get_by_role("link", name=name, exact=True).is_visible()
    for section in made("5")[1].sections:
        told = page.locator(f"#{section.anchor}").text_content() or ""
        assert told.strip().startswith(section.name)
    fold = page.locator("footer summary").first
    fold.click()
    assert "2026-01-02" in page.locator(".facts").first.inner_text()


# --- the table ---------------------------------------------------------------------------------------------------


def test_a_column_sorts_by_what_is_better_first_and_what_is_absent_is_last(show: Any) -> None:
    page = show()
    accuracy = page.locator("#table thead").get_by_role("button", name="mean").nth(1)
    accuracy.focus()
    page.keyboard.press("Enter")
    assert rows(page) == ["variant 4", "variant 3", "variant 1", "baseline", "variant 2"]
    assert page.locator("#table [aria-sort]").get_attribute("aria-sort") == "descending"
    page.keyboard.press("Enter")
    assert rows(page) == ["baseline", "variant 1", "variant 3", "variant 4", "variant 2"]
    page.keyboard.press("Enter")
    assert rows(page) == numbered(5)
    assert page.locator("#table [aria-sort]").count() == 0


def test_a_loss_sorts_with_the_lowest_first(show: Any) -> None:
    page = show()
    page.locator("#table thead").get_by_role("button", name="mean").nth(0).click()
    assert page.locator("#table [aria-sort]").get_attribute("aria-sort") == "ascending"
    assert rows(page)[0] == "variant 4"


def test_every_column_sorts_by_its_own_cells(show: Any) -> None:
    page = show()
    for heading in page.locator("#table thead [data-sort]").all():
        heading.get_by_role("button").click()
        assert sorted(rows(page)) == sorted(numbered(5))
        if heading.inner_text().startswith("Epochs"):
            assert rows(page) == numbered(5)
        if heading.inner_text().startswith("Verdict"):
            assert rows(page)[-1] == "baseline"


def test_what_is_copied_is_the_table_as_it_stands(show: Any, made: Any) -> None:
    page = show(permissions=["clipboard-read", "clipboard-write"])
    page.locator("#table thead").get_by_role("button", name="mean").nth(1).click()

    def copied(kind: str) -> str:
        page.get_by_role("button", name=kind, exact=True).click()
        expect(page.locator("#table-said")).to_have_text(f"Copied as {kind}")
        return str(page.evaluate("navigator.clipboard.readText()"))

    fields = list(csv.reader(io.StringIO(copied("CSV"))))
    assert [row[0] for row in fields[1:]] == rows(page)
    table = made("5")[1].table
    best = next(row for row in table.rows if row.name == "variant 4")
    shown = {column.title: filters.cell(best, column) for column in table.columns}
    assert shown["Test accuracy (%)"] in fields[1]
    tokens = MarkdownIt("commonmark").enable("table").parse(copied("Markdown"))
    assert [token.type for token in tokens].count("tr_open") == 6
    latex = copied("LaTeX")
    assert latex.startswith("\\begin{tabular}")
    assert latex.rstrip().endswith("\\end{tabular}")


@pytest.mark.long
def test_of_200_variants_the_rows_are_found_by_a_word(show: Any) -> None:
    page = show("200")
    page.get_by_role("searchbox").fill("variant 19")
    assert rows(page) == ["variant 19", *(f"variant {place}" for place in range(190, 200))]
    expect(page.locator("#table-said")).to_have_text("11 of 200 rows")


# --- two variants ------------------------------------------------------------------------------------------------


def test_two_variants_are_compared_by_the_numbers_that_python_computed(show: Any, made: Any) -> None:
    page, facts = show(), made("5")[1]
    read_through(page)
    page.get_by_label("Compare", exact=True).select_option("variant 4")
    page.get_by_label("with", exact=True).select_option("variant 1")
    pair = next(one for one in facts.pairs if (one.candidate, one.reference) == ("variant 4", "variant 1"))
    assert not pair.planned
    shown = page.locator("#compare-part")
    expect(shown).to_contain_text("variant 4 helped: +6.00 points in test accuracy against variant 1")
    expect(shown).to_contain_text("The study does not plan this comparison: its p stands alone.")
    expect(shown.get_by_role("region", name="What differs")).to_contain_text("batch size")
    seeds = shown.get_by_role("region", name="Seed by seed").locator("tbody tr").all_inner_texts()
    assert re.split(r"\s+", seeds[0]) == ["0", "32.00", "38.00", "+6.00"]
    assert shown.locator("figure").count() == 4
    assert shown.locator("figure svg").first.locator(".seed").count() == 6


def test_the_two_are_exchanged_with_all_that_is_said_and_one_against_itself_is_said(show: Any) -> None:
    page = show()
    read_through(page)
    shown = page.locator("#compare-part")
    expect(shown).to_contain_text("variant 1 helped: +2.00 points in test accuracy against baseline")
    numbers = shown.get_by_role("region", name="Numbers of both")
    changed = shown.get_by_role("region", name="What differs").locator("tbody td").all_inner_texts()
    by_seed = shown.get_by_role("region", name="Seed by seed").locator("tbody tr")
    before = [re.split(r"\s+", row) for row in by_seed.all_inner_texts()]
    page.get_by_role("button", name="Exchange the two").click()
    assert page.get_by_label("with", exact=True).input_value() == "1"
    expect(shown).to_contain_text("baseline helped: −2.00 points in test accuracy against variant 1")
    expect(numbers.locator("thead th").nth(1)).to_have_text("variant 1")
    expect(numbers.locator("tr").filter(has_text="test accuracy").locator(".change b")).to_have_text("−2.00\xa0points")
    expect(numbers.locator("tr").filter(has_text="test accuracy").locator(".judged")).to_have_text("not decided")
    turned = shown.get_by_role("region", name="What differs").locator("tbody td").all_inner_texts()
    assert turned == [text for pair in zip(changed[1::2], changed[::2], strict=True) for text in pair]
    exchanged = [[seed, two, one, change.replace("+", "−")] for seed, one, two, change in before]
    assert [re.split(r"\s+", row) for row in by_seed.all_inner_texts()] == exchanged
    page.get_by_label("Compare", exact=True).select_option("variant 1")
    expect(page.locator("#pair")).to_have_text("Choose two different ones.")


@pytest.mark.slow
def test_beyond_20_variants_only_planned_comparisons_have_an_interval_and_the_page_says_so(show: Any) -> None:
    page = show("30")
    read_through(page)
    page.get_by_label("with", exact=True).select_option("variant 2")
    expect(page.locator("#pair")).to_contain_text("these two are none")
    assert page.locator("#pair .change b").count() == 0
    page.get_by_label("with", exact=True).select_option("baseline")
    expect(page.locator("#pair")).to_contain_text("variant 1 helped")


# --- the figures -------------------------------------------------------------------------------------------------


def test_variants_and_seeds_are_switched_by_keyboard_in_all_figures(show: Any) -> None:
    page = show()

    def shown(which: str) -> set[bool]:
        found = page.locator(f"figure:not(.pair) svg .{which}").all()
        assert found
        return {one.evaluate("(one) => getComputedStyle(one).display !== 'none'") for one in found}

    variant = page.locator("#shown-variants").get_by_role("button", name="variant 2")
    variant.focus()
    page.keyboard.press("Space")
    assert variant.get_attribute("aria-pressed") == "false"
    assert (shown("v2"), shown("v1")) == ({False}, {True})
    page.keyboard.press("Enter")
    assert variant.get_attribute("aria-pressed") == "true"
    assert shown("v2") == {True}
    page.locator("#shown-seeds").get_by_role("button", name="1").press("Space")
    assert (shown("seed.s1"), shown("seed.s0")) == ({False}, {True})
    page.get_by_role("button", name="none").press("Enter")
    assert shown("v") == {False}
    page.get_by_role("button", name="all", exact=True).press("Enter")
    assert shown("v1:not(.seed)") == {True}


def test_a_value_under_the_pointer_is_the_mean_that_python_computed(show: Any, made: Any) -> None:
    page, facts = show(), made("5")[1]
    card = page.locator("#figure-accuracy .card")
    card.focus()
    page.keyboard.press("ArrowRight")
    readout = page.locator("#figure-accuracy .readout")
    for history in facts.histories:
        expect(readout).to_contain_text(f"{100 * history.series['test/accuracy'].mean[-1]:.2f}")
    page.locator("#shown-variants").get_by_role("button", name="baseline").click()
    box = card.locator("svg").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    expect(readout).to_contain_text("variant 4")
    expect(readout).not_to_contain_text("baseline")


def test_a_figure_is_copied_as_svg_and_png(show: Any) -> None:
    page = show(permissions=["clipboard-read", "clipboard-write"])
    figure = page.locator("#figure-loss")
    figure.get_by_role("button", name="Copy as SVG").click()
    expect(figure.get_by_role("status").last).to_have_text("SVG copied")
    assert ET.fromstring(page.evaluate("navigator.clipboard.readText()")).get("viewBox")
    figure.get_by_role("button", name="Copy as PNG").click()
    expect(figure.get_by_role("status").last).to_have_text("PNG copied")
    kinds = page.evaluate("navigator.clipboard.read().then((items) => items.flatMap((one) => one.types))")
    assert kinds == ["image/png"]


def test_a_saved_figure_lacks_what_is_switched_off(show: Any) -> None:
    page = show()
    page.locator("#shown-variants").get_by_role("button", name="variant 1").click()
    with page.expect_download() as saved:
        page.locator("#figure-loss").get_by_role("button", name="Save as SVG").click()
    assert saved.value.suggested_filename == "loss.svg"
    root = ET.fromstring(Path(saved.value.path()).read_text())
    classes = {name for one in root.iter() for name in one.get("class", "").split()}
    assert {"v0", "v2"} <= classes
    assert "v1" not in classes


def test_arrow_keys_show_the_values_of_a_figure(show: Any) -> None:
    page = show()
    read_through(page)
    card = page.locator("#pair-curves figure").filter(has_text="Test accuracy").locator(".card")
    card.focus()
    page.keyboard.press("ArrowRight")
    readout = page.locator("#pair-curves .readout:visible")
    expect(readout).to_contain_text("Epoch 6")
    expect(readout).to_contain_text("32.30")
    page.keyboard.press("ArrowLeft")
    expect(readout).to_contain_text("Epoch 5")
    page.keyboard.press("Escape")
    expect(readout).to_have_count(0)


def test_a_figure_is_saved_as_svg_and_png(show: Any) -> None:
    page = show(color_scheme="dark")
    read_through(page)
    figure = page.locator("figure:has(svg)").first
    with page.expect_download() as saved:
        figure.get_by_role("button", name="Save as SVG").click()
    text = Path(saved.value.path()).read_text()
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in text
    assert "#e6e8eb" not in text  # the ink of the dark page
    with page.expect_download() as saved:
        figure.get_by_role("button", name="Save as PNG").click()
    assert Path(saved.value.path()).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_section_has_the_curves_of_its_variant_over_those_of_the_one_it_comes_from(show: Any) -> None:
    page = show("30")  # of so many variants the report has no figure for each
    page.locator("#variant-3").scroll_into_view_if_needed()
    page.wait_for_selector("#variant-3 figure")
    assert page.locator("#variant-3 figcaption b").all_inner_texts() == ["Test loss.", "Test accuracy (%)."]
    drawn_of = page.locator("#variant-3 svg").first.evaluate(
        "(svg) => [...svg.querySelectorAll('.v:not(.seed)')].map((one) => one.getAttribute('class'))"
    )
    assert drawn_of == ["v v0", "v v2"]
    assert page.locator("#variant-1 figure").count() == 0


# --- light, dark, paper ------------------------------------------------------------------------------------------


def test_the_page_is_dark_where_the_system_is_and_the_reader_can_turn_it(show: Any) -> None:
    page = show(color_scheme="dark")

    def paper() -> list[int]:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return [int(part) for part in re.findall(r"\d+", colour)]

    assert max(paper()[:3]) < 60
    page.get_by_role("button", name="Light page").click()
    assert min(paper()[:3]) > 240
    page.reload()
    assert max(paper()[:3]) < 60


def test_paper_shows_what_is_folded_and_nothing_that_is_pressed(show: Any) -> None:
    page = show(color_scheme="dark")
    assert page.locator("footer dl").bounding_box() is None or not page.locator("footer dl").is_visible()
    page.emulate_media(media="print")
    assert page.locator("button:visible").filter(has_text="Save").count() == 0
    assert page.locator("footer dl").bounding_box()["height"] > 40
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


# --- a page of other runs ----------------------------------------------------------------------------------------


def test_a_comparison_of_other_runs_is_a_page_of_the_same_kind(context: Any, tmp_path: Path) -> None:
    runs = [
        {"arm": arm, "seed": s, "acc": 0.5 + 0.001 * s} for arm in ("base", "y" * 120, HOSTILE[0]) for s in range(3)
    ]
    compare(runs).report(tmp_path)
    opened = Opened(context(viewport=NARROW), tmp_path / "compare.html")
    assert (overflow(opened.page), opened.outside(), opened.said) == (0, [], [])
    assert Axe().run(opened.page).response["violations"] == []
    wide = Opened(context(), tmp_path / "compare.html").page
    box = wide.locator(".comparison td.mean").first.bounding_box()
    assert box
    assert box["x"] + box["width"] < WIDE["width"]  # a long name leaves the numbers in sight


# --- many --------------------------------------------------------------------------------------------------------


def test_five_variants_take_less_than_two_megabytes(made: Any) -> None:
    assert made("5")[0].stat().st_size < 2_000_000


@pytest.mark.slow
def test_of_200_variants_little_is_laid_out_before_it_is_read(show: Any) -> None:
    page = show("200")
    assert page.locator("#pair-curves figure").count() == 0
    drawn_now = page.evaluate("""[...document.querySelectorAll(".variants article")]
      .filter((one) => one.querySelector("h3").checkVisibility({ contentVisibilityAuto: true })).length""")
    assert drawn_now < 20
