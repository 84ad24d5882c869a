"""`ablate.run`: a study run from Python, as on the command line, without a trace in the caller's process."""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import tomllib
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

import ablate
from ablate.cli import app
from ablate.console.notebook import Notebook
from ablate.console.reporter import Silent, Terminal, Unfailing, reporter
from ablate.errors import InputError
from ablate.execute.inline import Inline
from ablate.execute.jobs import EpochDone, Finished, Job, OnEvent, RehearsalReport, Started, Stopping, never

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@pytest.fixture
def short(study: Path) -> Path:
    """The tiny study with one seed and one epoch."""
    study.write_text(study.read_text().replace("seeds = 2", "seeds = 1").replace("epochs = 2", "epochs = 1"))
    return study


def states(results: Any) -> list[str]:
    return list(results.runs["state"])


def test_a_dict_is_run_and_found_again_by_its_name(short: Path, capfd: pytest.CaptureFixture[str]) -> None:
    results = ablate.run(tomllib.loads(short.read_text()), executor="inline")
    assert states(results) == ["stored", "stored"]
    assert capfd.readouterr() == ("", "")
    short.unlink()
    assert states(ablate.results("tiny")) == ["stored", "stored"]
    told = CliRunner().invoke(app, ["report", "tiny", "--format", "csv"])
    assert (told.exit_code, told.stderr) == (0, "tiny: 2 of 2 runs done\n")
    listed = CliRunner().invoke(app, ["status"])
    assert "tiny" in listed.stdout
    again = CliRunner().invoke(app, ["run"])
    assert again.exit_code == 2
    assert "'tiny', has no file: it was run from Python" in again.stderr


def test_a_dict_runs_under_the_name_of_no_file(short: Path) -> None:
    ablate.run(short, executor="inline")
    with pytest.raises(ablate.InputError, match=r"study 'tiny': the name 'tiny' is that of studies/tiny\.toml"):
        ablate.load_study(tomllib.loads(short.read_text()))


def test_what_is_stored_is_not_made_again(short: Path) -> None:
    ablate.run(short, executor="inline")

    class Never(Inline):
        def run(self, jobs: Iterable[Job], tell: OnEvent, stopping: Stopping = never) -> None:
            raise AssertionError

        def rehearse(self, jobs: Sequence[Job]) -> RehearsalReport:
            raise AssertionError

    assert states(ablate.run(short, executor=Never())) == ["stored", "stored"]


def test_what_trying_variants_out_warned_of_is_a_note_of_the_results(short: Path) -> None:
    class Warns(Inline):
        def rehearse(self, jobs: Sequence[Job]) -> RehearsalReport:
            return replace(super().rehearse(jobs), warnings={"flipped": "looks odd"})

    assert ablate.run(short, executor=Warns()).notes == ("warning: flipped: looks odd",)
    assert ablate.run(short, executor=Warns()).notes == ()  # nothing was left to try out


def test_a_failed_run_is_a_row_and_tried_again_where_asked(short: Path) -> None:
    class Fails(Inline):
        def run(self, jobs: Iterable[Job], tell: OnEvent, stopping: Stopping = never) -> None:
            from ablate.store.store import Store

            for job in jobs:
                Store(job.store).writer(job.spec.key).begin({"key": job.spec.key})
                Store(job.store).writer(job.spec.key).record_failure("failed", "for a test")

    assert states(ablate.run(short, executor=Fails())) == ["failed", "failed"]
    assert states(ablate.run(short, executor="inline")) == ["failed", "failed"]
    assert states(ablate.run(short, executor="inline", retry_failed=True)) == ["stored", "stored"]


def test_what_cannot_be_trained_raises_before_anything_is(study: Path, capfd: pytest.CaptureFixture[str]) -> None:
    study.write_text(study.read_text().replace("hidden = 8", "hidden = 8, dropout = 7.0"))
    with pytest.raises(ablate.AblateError):
        ablate.run(study, executor="inline")
    assert capfd.readouterr().out == ""


def test_progress_is_shown_where_asked(short: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ablate.run(short, executor="inline", progress=True)
    said = capfd.readouterr()
    assert said.out == ""
    assert "tiny: 2 runs, 0 stored, 2 to make" in said.err
    assert "done    flipped, seed 0" in said.err


def test_warnings_of_a_dict_are_explained_in_python(short: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loaded = ablate.load_study(tomllib.loads(short.read_text()))
    ablate.run(loaded, executor="inline", progress=True)
    said = capfd.readouterr().err
    assert "  serious: study.seeds: with one seed no difference has an error bar [one-seed]\n" in said
    assert "what to do: study.findings\n" in said
    assert "one-seed" in {finding.code for finding in loaded.findings}


def test_nobody_watches_a_pipe() -> None:
    assert isinstance(reporter(None), Silent)
    assert isinstance(reporter(False), Silent)
    shown = reporter(True)
    assert isinstance(shown, Unfailing)
    assert isinstance(shown.shows, Terminal)


class Breaking(io.StringIO):
    """A stream that takes one line, and then breaks."""

    def write(self, text: str) -> int:
        if self.getvalue():
            raise OSError(errno.EPIPE, "broken")
        return super().write(text)


@pytest.mark.parametrize("stream", [None, "closed", "breaking"])
def test_no_run_ends_for_want_of_a_stream_to_show_progress_on(
    short: Path, stream: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = Breaking() if stream == "breaking" else io.StringIO()
    if stream == "closed":
        error.close()
    monkeypatch.setattr(sys, "stderr", error if stream else None)
    assert isinstance(reporter(None), Silent)
    assert states(ablate.run(short, executor="inline", progress=True)) == ["stored", "stored"]
    assert stream != "breaking" or error.getvalue().startswith("tiny: 2 runs")


@pytest.mark.parametrize("jobs", [-1, "2", 1.5, True])
def test_what_is_no_number_of_jobs_is_refused(short: Path, jobs: Any) -> None:
    with pytest.raises(InputError, match=r"accepts a whole number, 0 for as many as fit, or None"):
        ablate.run(short, jobs=jobs)


@pytest.mark.parametrize("executor", ["Inline", "inlin", None, 3, Inline])
def test_an_executor_that_is_none_is_refused_with_the_nearest_name(short: Path, executor: Any) -> None:
    near = "did you mean 'inline'" if isinstance(executor, str) else 'accepts "processes", "inline", or'
    with pytest.raises(InputError, match=near):
        ablate.run(short, executor=executor)


def test_a_worker_that_may_have_no_processes_is_told_to_run_inline(short: Path) -> None:
    script = (
        "import sys, multiprocessing, ablate\n"
        "multiprocessing.current_process()._config['daemon'] = True\n"
        f"try:\n    ablate.run({str(short)!r})\n"
        "except ablate.AblateError as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 'give executor="inline"' in told.stdout


def test_a_study_is_that_of_the_folder_it_was_loaded_in(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = short.resolve()
    loaded = ablate.load_study(os.path.relpath(file))
    home = Path.cwd()
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert states(ablate.run(loaded, executor="inline")) == ["stored", "stored"]
    monkeypatch.chdir(home)
    assert states(ablate.results(file)) == ["stored", "stored"]


def test_threads_load_and_run_studies_one_after_the_other(short: Path) -> None:
    written, found = tomllib.loads(short.read_text()), dict[str, Any]()

    def make(name: str) -> None:
        mine = {**written, "study": {**written["study"], "name": name}}
        for _ in range(3):
            ablate.plan(ablate.load_study(mine))
        found[name] = states(ablate.run(mine, executor="inline"))

    threads = [threading.Thread(target=make, args=(name,)) for name in ("one", "two", "three", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: ["stored", "stored"] for name in ("one", "two", "three")}


class Display:
    """What a cell of a notebook shows."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []

    def __call__(self, form: dict[str, str], **_: Any) -> Display:
        self.forms.append(form)
        return self

    def update(self, form: dict[str, str], **_: Any) -> None:
        self.forms.append(form)


def test_a_notebook_shows_runs_under_way_in_one_place(study: Path) -> None:
    spec = ablate.load_study(study).specs[0]
    cell = Display()
    notebook = Notebook(cell)
    notebook.note("tiny: <4> runs")
    with notebook.runs([spec], lambda _: 10.0) as tell:
        tell(Started(spec))
        tell(EpochDone(spec, {"epoch": 1, "train/loss": 0.5, "test/accuracy": 0.5, "images_per_second": 1e4}))
        notebook.note("another line")
        row = re.sub("<[^>]*>", "|", cell.forms[-1]["text/html"].splitlines()[-2])
        assert row.startswith("||baseline, seed 0||1.0 of 2||0.500||")
        tell(Finished(spec, {"test/accuracy": 0.5, "test/loss": 1.0}))
    assert "tiny: &lt;4&gt; runs\nanother line\ndone    baseline, seed 0: test 50.00" in cell.forms[-1]["text/html"]
    assert "<table>" not in cell.forms[-1]["text/html"]


def of_this_process() -> dict[str, Any]:
    """Return what a run could change in the process that calls it."""
    import multiprocessing.forkserver as server

    import scipy.special  # noqa: F401  # which adds filters of warnings where it is imported first

    return {
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "environment": dict(os.environ),
        "path": [*sys.path],
        "finders": [*sys.meta_path],
        "modules": {name for name in sys.modules if name.startswith(("ablate_plugin_", "helper"))},
        "folder": Path.cwd(),
        "filters": [*warnings.filters],
        "logging": (logging.root.level, [*logging.root.handlers]),
        "streams": (sys.stdout, sys.stderr),
        "server": (server.ensure_running, server.connect_to_new_process, vars(server._forkserver)["_forkserver_pid"]),
        "main": sys.modules["__main__"],
        "threads": {thread.name for thread in threading.enumerate()},
    }


@pytest.fixture
def meddling(short: Path) -> Path:
    """The short study with a plugin that changes the process that imports it."""
    Path("plugins/helper.py").write_text("VALUE = 1\n")
    Path("plugins/meddles.py").write_text(
        "import os\nimport sys\nfrom ablate import augmentation\nfrom helper import VALUE\n"
        "os.environ['MEDDLED'] = '1'\nsys.path.append('meddled')\n"
        '@augmentation(\'meddles\')\ndef meddles():\n    """Nothing."""\n    import helper\n'
        "    return lambda images, generator: images * helper.VALUE\n"
    )
    short.write_text(short.read_text().replace('use = "flip"', 'use = "meddles"'))
    return short


def test_plugins_leave_no_trace_in_the_callers_process(meddling: Path) -> None:
    before = of_this_process()
    loaded = ablate.load_study(meddling)
    assert of_this_process() == before
    ablate.load_study({**tomllib.loads(meddling.read_text()), "study": {"name": "another", "seeds": 1}})
    assert states(ablate.run(loaded, executor="inline")) == ["stored", "stored"]
    assert of_this_process() == before


def test_runs_in_processes_leave_no_trace_in_the_callers(short: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = of_this_process()
    assert states(ablate.run(short, jobs=2)) == ["stored", "stored"]
    assert of_this_process() == before
    assert capfd.readouterr() == ("", "")


def test_a_study_runs_in_another_thread_than_the_main_one(short: Path) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(ablate.run(short)))
    thread.start()
    thread.join()
    assert states(found[0]) == ["stored", "stored"]


class Interrupted(Inline):
    """Is interrupted in its first run."""

    def __init__(self, number: int) -> None:
        self.number = number

    def run(self, jobs: Iterable[Job], tell: OnEvent, stopping: Stopping = never) -> None:
        def told(event: Any) -> bool | None:
            if isinstance(event, EpochDone):
                os.kill(os.getpid(), self.number)
            return tell(event)

        super().run(jobs, told, stopping)


def test_an_interrupt_raises_once_the_runs_under_way_are_kept(study: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        ablate.run(study, executor=Interrupted(signal.SIGINT))
    assert signal.getsignal(signal.SIGINT) is before
    assert list(ablate.plan(study)["state"]) == ["unfinished", "new", "new", "new"]
    assert states(ablate.run(study, executor="inline")) == ["stored"] * 4


def test_another_signal_does_what_the_caller_has_it_do(study: Path) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with pytest.raises(KeyboardInterrupt):
            ablate.run(study, executor=Interrupted(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


@pytest.mark.long
def test_a_script_without_a_main_guard_runs_a_study(short: Path) -> None:
    """Its processes are not made of the script, which would run it again in each."""
    script = f"import ablate\nprint(list(ablate.run({str(short)!r}, jobs=2).runs['state']))\n"
    Path("script.py").write_text(script)
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "['stored', 'stored']\n", "")
