"""What is said while runs are made: on standard error, or nothing."""

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
    """Hears how it goes, and says so or not."""

    def note(self, line: str) -> None:
        """Take a line for the user."""
        ...

    def runs(
        self, specs: Sequence[RunSpec], seconds: Callable[[RunSpec], float | None]
    ) -> AbstractContextManager[OnEvent]:
        """Return what takes the events of runs. seconds: what a run is expected to take, or None."""
        ...


class Terminal:
    """Says it on standard error: lines, and on a terminal a live table of the runs under way."""

    def note(self, line: str) -> None:
        """Write a line."""
        text.note(line)

    def runs(
        self, specs: Sequence[RunSpec], seconds: Callable[[RunSpec], float | None]
    ) -> AbstractContextManager[OnEvent]:
        """Return what shows the events of runs."""
        return progress(specs, seconds)


class Silent:
    """Says nothing."""

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
    """Return what says how it goes: always, never, or (None) where a person watches, on a terminal or in a notebook."""
    if progress is False:
        return Silent()
    if in_notebook():
        return Notebook()
    return Terminal() if progress or sys.stderr.isatty() else Silent()
