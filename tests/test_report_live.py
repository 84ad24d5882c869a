"""Reports beside runs: shown in a browser, written when runs end, and kept fresh while they are made."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ablate.commands.run import run_study
from ablate.commands.run_report import RunReport
from ablate.execute.jobs import EpochProgress, Finished, never
from ablate.launch.make import RunOptions
from tests.support import Draws, KilledError, ablate, options, planned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ablate.execute.jobs import Event, Job, OnEvent, Stopping
    from tests.conftest import Write


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Type a command, in a process of its own."""
    typed = [sys.executable, "-m", "ablate", *map(str, arguments)]
    return subprocess.run(typed, capture_output=True, text=True, env={**os.environ, **environment}, timeout=120)


def wait_for(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something holds; a test that waits in vain fails."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def made(study: Path, draws: Draws | None = None, report: RunReport | None = None, *, pilot: bool = False) -> int:
    """Make a study's runs by drawing their results, and return the exit code."""
    draws = draws or Draws({"flipped": 0.1})
    return run_study(options(study, pilot=pilot), RunOptions(jobs=1), draws, report=report)


def page_of(name: str = "tiny") -> str:
    """Return the page as a reader finds it now; empty where there is none yet."""
    try:
        return Path("reports", name, "report.html").read_text()
    except FileNotFoundError:
        return ""


def reloads(page: str) -> bool:
    """Tell whether a page loads itself again."""
    found = [part in page for part in ("location.reload()", 'http-equiv="refresh"', "Not all runs are done yet")]
    assert len(set(found)) == 1
    return found[0]


# In a browser


@pytest.fixture
def browser(write: Write) -> Path:
    """A browser that writes down what it is to show, and then stays open."""
    file = write("my-browser", '#!/bin/sh\necho "$1" > "$0.shown.part"\nmv "$0.shown.part" "$0.shown"\nsleep 2\n')
    file.chmod(0o755)
    return file


def test_open_shows_the_page_in_the_users_browser_and_writes_it_where_another_format_was_asked_for(
    study: Path, browser: Path
) -> None:
    made(study)
    done = command("report", study, "--format", "csv", "--open", "--json", BROWSER=str(browser))
    assert done.returncode == 0, done.stderr
    page = Path("reports/tiny/report.html").resolve()
    assert str(page) in json.loads(done.stdout)["files"]
    shown = Path(f"{browser}.shown")
    wait_for(shown.exists)
    assert shown.read_text().strip() == page.as_uri()


def test_open_says_where_there_is_no_browser(study: Path) -> None:
    made(study)
    nowhere = {"BROWSER": "no-such-browser-here", "DISPLAY": "", "WAYLAND_DISPLAY": "", "TERM": ""}
    done = command("report", study, "--format", "html", "--open", **nowhere)
    assert done.returncode == 0
    assert done.stdout == "reports/tiny/report.html\n"
    assert "no browser was found to show it in; open reports/tiny/report.html yourself" in done.stderr


# At the end of runs


def test_run_ends_with_its_report_and_says_where(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert made(study, report=RunReport()) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "report: reports/tiny/report.html and reports/tiny/report.md"
    written = page_of()
    assert "4 of 4" in written
    assert not reloads(written)
    assert made(study, report=RunReport(), pilot=True) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[-2] == "report: reports/tiny-pilot/report.html and reports/tiny-pilot/report.md"
    assert told[-1].startswith("next: ablate run")
    assert "Pilot: one seed" in page_of("tiny-pilot")
    assert page_of() == written


def test_no_report_leaves_none_and_says_the_command_that_writes_it(study: Path) -> None:
    made(study)
    done = ablate("run", study, "--no-report", "--device", "cpu")
    assert done.exit_code == 0
    assert done.stderr.splitlines()[-1] == "next: ablate report"
    assert not Path("reports").exists()
    assert json.loads(ablate("run", study, "--no-report", "--device", "cpu", "--json").stdout)["files"] == []
    for other in ("--live", "--open"):
        refused = ablate("run", study, "--no-report", other)
        assert (refused.exit_code, refused.stderr.startswith("error: --no-report and --live or --open")) == (2, True)


def test_the_json_of_a_run_names_the_files_of_its_report(study: Path) -> None:
    made(study)
    done = ablate("run", study, "--json", "--device", "cpu")
    assert json.loads(done.stdout)["files"] == [str(Path("reports/tiny", name).resolve())
                                                for name in ("report.html", "report.md")]  # fmt: skip


def test_failed_runs_are_in_the_report_that_a_run_leaves_and_it_ends_with_1(study: Path) -> None:
    fails = {("flipped", 0), ("flipped", 1), ("baseline", 1)}
    assert made(study, Draws({}, fails=fails), RunReport()) == 1
    assert "1 of 4" in page_of()
    assert "its draw was a blank" in page_of()


@pytest.mark.parametrize("failing", ["folder", "template"])
def test_a_report_that_cannot_be_written_hides_no_result_and_changes_no_exit_code(
    study: Path, write: Write, failing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if failing == "folder":
        write("reports", "")
    else:
        write("templates/report.html.jinja", "{{ 1 / 0 }}")
    assert made(study, report=RunReport()) == 0
    told = capsys.readouterr()
    assert "flipped" in told.out
    assert "the report was not written: " in told.err
    assert told.err.splitlines()[-1] == "  try again: ablate report"
    assert made(study, Draws({}, fails={("flipped", 0)}), RunReport()) == 0  # all are stored
    study.write_text(study.read_text().replace("epochs = 2", "epochs = 3"))
    assert made(study, Draws({}, fails={("flipped", 0)}), RunReport()) == 1
    told = capsys.readouterr()
    assert "failed: flipped, seed 0: its draw was a blank" in told.err
    done = ablate("run", study, "--json", "--device", "cpu")
    assert (done.exit_code, json.loads(done.stdout)["files"]) == (1, [])


# While runs are made


class Watched(Draws):
    """Draws results, and after each one waits for the page to tell of it; a reader looks at the page all the time."""

    def __init__(self, pages: list[str]) -> None:
        super().__init__({})
        self._pages = pages

    def run(self, jobs: Iterable[Job], on_event: OnEvent, stopping: Stopping = never) -> None:
        jobs = list(jobs)

        def told(event: Event) -> None:
            on_event(event)
            if isinstance(event, Finished) and len(self.made) in (1, len(jobs)):
                wait_for(lambda: f"{len(self.made)} of {len(jobs)}" in self._read())

        super().run(jobs, told, stopping)

    def _read(self) -> str:
        page = page_of()
        if page and page not in self._pages:
            self._pages.append(page)
        return page


def test_live_keeps_the_page_fresh_while_runs_finish_and_leaves_one_that_reloads_no_more(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages: list[str] = []
    assert made(study, Watched(pages), RunReport(live=True)) == 0
    assert len(pages) >= 2
    assert all(reloads(page) and page.startswith("<!DOCTYPE html>") and page.endswith("</html>") for page in pages)
    assert not reloads(page_of())
    told = capsys.readouterr().err.splitlines()
    assert "live: reports/tiny/report.html is kept fresh while runs finish" in told
    assert told[-1] == "report: reports/tiny/report.html and reports/tiny/report.md"
    assert not any("not kept fresh" in line for line in told)


def test_a_live_report_that_cannot_be_written_is_said_and_stops_no_run(
    study: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("templates/report.html.jinja", "{% if live %}{{ report.nothing }}{% endif %}")

    class Slow(Draws):
        def run(self, jobs: Iterable[Job], on_event: OnEvent, stopping: Stopping = never) -> None:
            super().run(jobs, on_event, stopping)
            wait_for(lambda: on_event(EpochProgress(first, 1, 0.5)) or "not kept fresh" in capsys.readouterr().err)

    first = planned(study)[0][0]
    assert made(study, Slow({}), RunReport(live=True)) == 0
    assert Path("reports/tiny/report.html").read_text() == ""


DRIVER = """
import time
from pathlib import Path
from ablate.commands.run_report import RunReport
from tests.support import Draws
from tests.test_report_live import made

class Hangs(Draws):
    def run(self, jobs, on_event, stopping):
        super().run(list(jobs)[:2], on_event, stopping)
        while not stopping():
            time.sleep(0.1)

made(Path("studies/tiny.toml"), Hangs({}), RunReport(live=True))
"""


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGKILL])
def test_an_end_during_live_loses_nothing_and_leaves_nobody_behind(study: Path, number: signal.Signals) -> None:
    path = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], env={**os.environ, "PYTHONPATH": path})
    try:
        wait_for(lambda: "2 of 4" in page_of())
        assert reloads(page_of())
        driver.send_signal(number)
        driver.wait(60)
    finally:
        driver.kill()
    wait_for(lambda: not reloads(page_of()))  # killed or not, its writer knows that nothing more is to come
    assert "2 of 4" in page_of()
    draws = Draws({})
    assert made(study, draws, RunReport()) == 0
    assert len(draws.made) == 2
    assert "4 of 4" in page_of()


# From another terminal


def watching(*arguments: str) -> subprocess.Popen[str]:
    typed = [sys.executable, "-m", "ablate", "report", "tiny", "--watch", *arguments]
    return subprocess.Popen(typed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_watch_writes_the_report_again_when_results_come_and_ends_when_all_are_there(study: Path) -> None:
    with pytest.raises(KilledError):
        made(study, Draws({}, stops_after=1))
    watch = watching()
    try:
        wait_for(lambda: "1 of 4" in page_of())
        assert reloads(page_of())
        made(study, Draws({}, fails={("flipped", 1)}))
        out, err = watch.communicate(timeout=60)
    finally:
        watch.kill()
    assert watch.returncode == 0
    assert out.splitlines() == ["reports/tiny/report.html", "reports/tiny/report.md"]
    assert err.splitlines() == [
        "tiny: 1 of 4 runs done; until all are, or Ctrl-C",
        "tiny: 3 of 4 runs done, 1 failed",
    ]
    assert "3 of 4" in page_of()
    assert not reloads(page_of())


def test_ctrl_c_ends_watch_with_130_and_a_page_that_reloads_no_more(study: Path) -> None:
    with pytest.raises(KilledError):
        made(study, Draws({}, stops_after=1))
    watch = watching("--format", "html")
    try:
        wait_for(lambda: reloads(page_of()))
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=60)
    finally:
        watch.kill()
    assert watch.returncode == 130
    assert not reloads(page_of())


@pytest.mark.parametrize("how", ["an error", "SIGTERM"])
def test_whatever_ends_watch_the_page_reloads_no_more(study: Path, write: Write, how: str) -> None:
    with pytest.raises(KilledError):
        made(study, Draws({}, stops_after=1))
    watch = watching("--format", "html")
    try:
        wait_for(lambda: reloads(page_of()))
        if how == "SIGTERM":
            watch.terminate()
        else:
            write("templates/report.header.html.jinja", "{{ nothing }}")
            made(study, Draws({}))  # whose own report cannot be written, either
        _, err = watch.communicate(timeout=60)
    finally:
        watch.kill()
    assert watch.returncode == (143 if how == "SIGTERM" else 2)
    assert ("templates/report.header.html.jinja:1: 'nothing' is not defined" in err) == (how == "an error")
    page = page_of()
    assert "1 of 4" in page
    assert not reloads(page)


def test_watch_of_a_study_that_is_done_writes_it_once_and_ends(study: Path) -> None:
    made(study)
    done = command("report", "--watch", "--json", "--format", "md")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"study": "tiny", "files": [str(Path("reports/tiny/report.md").resolve())]}
    refused = command("report", "another", "--watch")
    assert (refused.returncode, "no study of this name" in refused.stderr) == (2, True)
