"""How runs report their progress: on a terminal or in a log, in a notebook, or not at all."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Protocol

from . import text
from .notebook import Notebook, in_notebook
from .progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from ..execute.jobs import Event, OnEvent
    from ..study.spec import RunSpec


class Reporter(Protocol):
    """Takes lines for the user and the events of runs."""

    def note(self, line: str) -> None:
        """Take a line for the user."""
        ...

    def runs(
        self, specs: Sequence[RunSpec], seconds: Callable[[RunSpec], float | None]
    ) -> AbstractContextManager[OnEvent]:
        """Return what takes the events of runs. seconds: what a run is expected to take, or None."""
        ...


class Terminal:
    """Writes to standard error: lines, and on a terminal a live table of the runs under way."""

    def note(self, line: str) -> None:
        """Write a line."""
        text.note(line)

    def runs(
        self, specs: Sequence[RunSpec], seconds: Callable[[RunSpec], float | None]
    ) -> AbstractContextManager[OnEvent]:
        """Return what shows the events of runs."""
        return progress(specs, seconds)


class Silent:
    """Shows nothing."""

    def note(self, line: str) -> None:
        """Drop a line."""

    def runs(
        self,
        specs: Sequence[RunSpec],  # noqa: ARG002  # the form of a reporter
        seconds: Callable[[RunSpec], float | None],  # noqa: ARG002
    ) -> AbstractContextManager[OnEvent]:
        """Return what drops events."""
        return contextlib.nullcontext(_drop)


def _drop(event: Event) -> None:
    pass


def reporter(progress: bool | None) -> Reporter:
    """Return a reporter that shows progress, or none; progress None: shown on a terminal and in a notebook only."""
    if progress is False:
        return Silent()
    if in_notebook():
        return Notebook()
    return Terminal() if progress or sys.stderr.isatty() else Silent()
