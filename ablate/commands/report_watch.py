"""`ablate report --watch`: a report written again whenever the results have changed, until all runs have ended.

`ablate run --live` starts it beside its runs, and ends it.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
from typing import TYPE_CHECKING

from ..console import text
from ..console.progress import QUIET_SECONDS
from ..errors import TerminatedError, counted
from ..files import replace_file
from ..report.figure_files import styles_of
from ..report.render import check_formats
from ..store.stamps import study_stamp
from ..store.store import Store
from ..store.studies import find_study
from .open_page import open_page
from .report import found_study, say_files
from .report_files import gathered, write

if TYPE_CHECKING:
    from pathlib import Path

    from ..report.content import Records
    from ..store.stamps import Stamp
    from .report import ReportOptions

POLL_SECONDS = 1.0
_LIVE = re.compile(rb"<!--live-->.*?<!--/live-->\n?", re.DOTALL)
"""What a page has that loads itself again, and no other (`report.html.jinja`)."""
LEAST_SECONDS, SHARE = 3.0, 4.0
"""Between two reports, at least: so many seconds, and so many times what the last one took."""


def watch_report(options: ReportOptions, beside_runs: bool = False) -> int:
    """Keep a report fresh until all runs are stored or failed, and return the exit code.

    beside_runs: of a command that makes the runs, which ends this one, or by ending itself the standard input.
    However it ends, the report is left as one that loads itself no more. Raises KeyboardInterrupt on Ctrl-C.
    """
    styles_of(options.form.style)
    check_formats(options.form.formats, options.form.templates)
    watch = Watch(options, beside_runs)
    try:
        if beside_runs:
            _give_way()
            ended = threading.Event()
            threading.Thread(target=_until_input_ends, args=(ended,), daemon=True).start()
            while not ended.is_set():
                watch.look()
                ended.wait(POLL_SECONDS)
            watch.write_last()  # the command that made runs is gone, and nothing more is to come
            return 0
        while not watch.done:
            watch.look()
            time.sleep(0.0 if watch.done else POLL_SECONDS)
    except BaseException as error:
        if not (beside_runs and isinstance(error, TerminatedError)):  # who made the runs writes the last report itself
            watch.end()
        raise
    say_files(options, watch.record.name, watch.files)
    return 0


class Watch:
    """The report of one study: written when what it is made of has changed, and not too often."""

    def __init__(self, options: ReportOptions, beside_runs: bool) -> None:
        self.home, self.record = found_study(options)
        self.files: list[Path] = []
        self.done = False
        self._options, self._beside_runs = options, beside_runs
        self._by_name = options.study in (None, self.record.name)
        self._stamp: Stamp | None = None
        self._next = 0.0
        self._said_at = -QUIET_SECONDS
        self._noted: set[str] = set()

    def look(self) -> None:
        """Write the report where something has changed since the last one and the time has come."""
        began = time.monotonic()
        stamp = study_stamp(self.home, self.record)
        if stamp == self._stamp or began < self._next:
            return
        if self._stamp is not None and stamp[0] != self._stamp[0]:
            self.home, self.record = find_study(Store(self._options.store), self.record.name, self.record.changes.pilot)
        first, self._stamp = self._stamp is None, stamp
        records = gathered(self.home, self.record, self._options.form, self._note_once, self._by_name)
        self.done = not self._beside_runs and not {"new", "unfinished"} & set(records.results.runs["state"])
        self._write(records, live=not self.done)
        self._say(records)
        if first and self._options.opened:
            open_page(self.files)
        self._next = time.monotonic() + max(LEAST_SECONDS, SHARE * (time.monotonic() - began))

    def write_last(self) -> None:
        """Write the report as of now, as one that loads itself no more."""
        self._write(gathered(self.home, self.record, self._options.form, by_name=self._by_name), live=False)

    def end(self) -> None:
        """Leave the page, if there is one, as one that loads itself no more: as of now, or else as it is."""
        if not self.files:
            return
        try:
            self.write_last()
        except BaseException as error:  # what ended the watch, such as a template or a full disk, may end this too
            for file in self.files:
                if file.suffix == ".html":
                    with contextlib.suppress(OSError):
                        replace_file(file, _LIVE.sub(b"", file.read_bytes()))
            if not isinstance(error, Exception):
                raise

    def _write(self, records: Records, live: bool) -> None:
        self.files = write(records, self.record, self._options.form, live, self._note_once)

    def _say(self, records: Records) -> None:
        """Say how things stand: a line for each report on a terminal, elsewhere now and then."""
        now = time.monotonic()
        if not (self.done or sys.stderr.isatty() or now - self._said_at >= QUIET_SECONDS):
            return
        self._said_at = now
        states = list(records.results.runs["state"])
        failed = f", {states.count('failed')} failed" if "failed" in states else ""
        more = "" if self.done else "; until all are, or Ctrl-C"
        text.note(f"{self.record.name}: {states.count('stored')} of {counted(len(states), 'run')} done{failed}{more}")

    def _note_once(self, line: str) -> None:
        if line not in self._noted:
            self._noted.add(line)
            text.note(line)


def _give_way() -> None:
    """Take a core only while no run wants it."""
    with contextlib.suppress(OSError, AttributeError):  # Windows has no such thing
        os.nice(19)


def _until_input_ends(ended: threading.Event) -> None:
    with contextlib.suppress(OSError, ValueError):
        while os.read(0, 4096):  # a buffered reader would hold a lock that the end of the interpreter waits for
            pass
    ended.set()
