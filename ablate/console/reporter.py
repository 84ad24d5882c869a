"""How runs report their progress: on a terminal or in a log, in a notebook, or not at all."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Protocol

from . import text
from .notebook import Notebook, in_notebook
from .progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
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


class Unfailing:
    """Shows what another reporter shows, and nothing once that has failed: no run ends because of its display."""

    def __init__(self, shows: Reporter) -> None:
        self.shows, self._failed = shows, False

    def note(self, line: str) -> None:
        """Show a line."""
        with self._trying() as going:
            if going:
                self.shows.note(line)

    @contextlib.contextmanager
    def runs(self, specs: Sequence[RunSpec], seconds: Callable[[RunSpec], float | None]) -> Iterator[OnEvent]:
        """Return what shows the events of runs."""
        shown = None
        take: OnEvent = _drop
        with self._trying() as going:
            if going:
                shown = self.shows.runs(specs, seconds)
                take = shown.__enter__()

        def tell(event: Event) -> None:
            with self._trying() as going:
                if going:
                    take(event)

        try:
            yield tell
        finally:
            with self._trying():
                if shown is not None:
                    shown.__exit__(None, None, None)

    @contextlib.contextmanager
    def _trying(self) -> Iterator[bool]:
        """Drop an error. Yields whether there was none before."""
        try:
            yield not self._failed
        except Exception:  # noqa: BLE001  # a stream or a notebook may raise anything
            self._failed = True


def reporter(progress: bool | None) -> Reporter:
    """Return a reporter that shows progress, or none; progress None: shown on a terminal and in a notebook only.

    None of its errors is raised.
    """
    if progress is False:
        return Silent()
    if in_notebook():
        return Unfailing(Notebook())
    return Unfailing(Terminal()) if progress or _on_terminal() else Silent()


def _on_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError, OSError):  # there is no standard error, or it is closed
        return False
