"""In a real browser: a live page, which loads itself again and at the end leaves off, and the page of two sides."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ablate.report.render import render
from tests.conftest import STUDY
from tests.test_report import records
from tests.test_report_sides import drawn, sides

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a browser."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no Chromium here (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 800, "height": 400})
        yield page
        browser.close()


def loads_again(page: Page, seconds: int) -> bool:
    """Let time pass on the page's clock, and tell whether it was loaded again then."""
    from playwright.sync_api import TimeoutError as NothingError

    try:
        with page.expect_navigation(timeout=2000 if seconds > 10 else 30_000):
            page.clock.run_for(1000 * seconds)
    except NothingError:
        return False
    return True


@pytest.mark.slow
def test_a_live_page_loads_itself_again_where_its_reader_is_and_the_last_one_does_not(folder: Path, page: Page) -> None:
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    (written,) = render(records(), ["html"], folder, live=True)
    page.goto(written.as_uri())
    assert "Not all runs are done yet" in page.inner_text("body")
    page.evaluate("scrollTo(0, 700)")
    assert loads_again(page, 6)
    assert page.evaluate("scrollY") == 700
    page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
    assert not loads_again(page, 20)
    page.evaluate("getSelection().removeAllRanges()")
    render(records(), ["html"], folder)
    assert loads_again(page, 6)
    assert 500 < page.evaluate("scrollY") <= 700  # the same lines: those above are fewer
    assert "Not all runs are done yet" not in page.inner_text("body")
    assert not loads_again(page, 60)


@pytest.mark.slow
def test_two_sides_fit_a_phone_ask_for_nothing_and_axe_finds_nothing(study: Path, page: Page) -> None:
    from axe_playwright_python.sync_playwright import Axe

    study.write_text(STUDY.replace("epochs = 2", "epochs = 3") + '[[variant]]\nname = "long"\nset = { epochs = 9 }\n')
    drawn(study, "after", flipped=0.1)
    study.write_text(STUDY)
    drawn(study, "before")
    sides("before", "after")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: said.append(request.url))
    place = Path("reports/tiny+tiny/sides.html").resolve().as_uri()
    page.goto(place)
    assert said == [place]
    for width in (375, 1200):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [one["id"] for one in Axe().run(page).response["violations"]] == []
