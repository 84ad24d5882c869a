"""The report that `ablate run` leaves: written at its end, and kept fresh while runs are made where that is asked for.

Runs are what the command is for: a report that cannot be written is said, and changes nothing else.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..console import text
from ..errors import AblateError, error_text
from ..launch.last import is_at_work
from ..paths import same_store, shown, typed
from ..store.store import Store
from ..store.studies import find_study

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ..console.reporter import Reporter
    from ..execute.jobs import Event, OnEvent
    from ..launch.study import LoadedStudy, Options
    from ..study.spec import RunSpec

ENDING_SECONDS = 10.0


@dataclass(frozen=True)
class RunReport:
    """What report a run leaves. live: it is also kept fresh meanwhile. opened: it is shown in a browser."""

    live: bool = False
    opened: bool = False


def write_at_end(study: LoadedStudy) -> list[Path]:
    """Write the report of a study whose runs have ended, and return its files; none, with a warning, where it fails."""
    try:
        from .report_files import Form, gathered, write  # matplotlib comes with it, and runs go first

        home, record = find_study(Store(study.options.store), study.name, study.study.pilot)
        return write(gathered(home, record, Form(), by_name=False), record, Form(), note=text.note)
    except Exception as error:  # noqa: BLE001  # the results stand whatever a template, a metric or a disk does
        said = str(error) if isinstance(error, (AblateError, OSError)) else error_text(error)
        text.note(f"the report was not written: {said}\n  try again: {report_command(study.options)}")
        return []


def report_command(options: Options) -> str:
    """Return the command that writes the report, as a user would type it."""
    file = options.study
    named = "" if is_at_work(Store(options.store), file) else f" {typed(file)}"
    of = f" --dataset {shlex.quote(options.changes.dataset)}" if options.changes.dataset else ""
    return f"ablate report{named}{of}{' --pilot' * options.changes.pilot}{same_store(options.store)}"


@contextlib.contextmanager
def kept_fresh(study: LoadedStudy, asked: RunReport, shows: Reporter) -> Iterator[Reporter]:
    """Return what takes the events of runs, and keeps their report fresh in a process of its own until they end."""
    live = LiveReport(study, asked, shows)
    try:
        yield live
    finally:
        live.end()


class LiveReport:
    """Shows runs as another reporter does, and has `ablate report --watch` write their report meanwhile.

    It is a process of its own, of low priority, so that drawing takes no time from training. It ends with this one,
    however that ends.
    """

    def __init__(self, study: LoadedStudy, asked: RunReport, shows: Reporter) -> None:
        self._study, self._asked, self._shows = study, asked, shows
        self._process: subprocess.Popen[bytes] | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `end`

    def note(self, line: str) -> None:
        """Show a line."""
        self._shows.note(line)

    @contextlib.contextmanager
    def runs(self, specs: Sequence[RunSpec], seconds: Callable[[RunSpec], float | None]) -> Iterator[OnEvent]:
        """Return what shows the events of runs. The study is recorded now, so that its report can be written."""
        self._begin()
        with self._shows.runs(specs, seconds) as shows:

            def on_event(event: Event) -> None:
                shows(event)
                self._check()

            yield on_event

    def end(self) -> None:
        """End the process, before the last report is written: it must not write an older one after that."""
        self._check()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._close()
        self._said.close()

    def _begin(self) -> None:
        if self._process is not None or self._said.closed:
            return
        options = self._study.options
        typed_ = ["report", str(options.study), "--watch", "--beside-runs", "--store", str(options.store)]
        typed_ += ["--dataset", options.changes.dataset] if options.changes.dataset else []
        typed_ += ["--pilot"] * options.changes.pilot + ["--open"] * self._asked.opened
        # Its input ends with this process, and a signal that the terminal sends to this one is not its business.
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter, with the user's own study
                [sys.executable, "-P", "-m", "ablate", *typed_],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                start_new_session=True,
                env={**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")},
            )
        except OSError as error:
            self.note(f"the report is not kept fresh: {error.strerror or error}")
            self._said.close()
        else:
            from ..report.folders import folder_of

            page = folder_of(self._study.name, self._study.study.pilot) / "report.html"
            self.note(f"live: {shown(page)} is kept fresh while runs finish")

    def _check(self) -> None:
        """Say it where the process has ended, which it does by itself only where something is wrong."""
        if self._process is None or self._process.poll() is None:
            return
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip().removeprefix("error: ")
        self.note(f"the report is not kept fresh any more: {said or f'exit code {self._process.returncode}'}")
        self._close()
        self._said.close()

    def _close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
