"""Progress of runs in a notebook: one output of the cell, updated as they go."""

from __future__ import annotations

import sys
import time
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from ..errors import for_terminal
from .html import table_html
from .progress import Board

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..execute.jobs import Event, OnEvent
    from ..study.spec import RunSpec

REFRESH_SECONDS = 0.25
LINES = 200
"""How many of the last lines a cell's output keeps."""


def in_notebook() -> bool:
    """Tell whether this process is a notebook's kernel."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class Notebook:
    """Shows lines in the cell's output, with a table of the runs under way beneath them.

    display: IPython's, or a test's own.
    """

    def __init__(self, display: Callable[..., Any] | None = None) -> None:
        self._display = display or import_module("IPython.display").display
        self._handle: Any = None
        self._lines: list[str] = []
        self._board: Board | None = None
        self._shown = 0.0

    def note(self, line: str) -> None:
        """Add a line."""
        self._lines.append(for_terminal(line))
        self._show()

    def runs(self, specs: Sequence[RunSpec], seconds: Callable[[RunSpec], float | None]) -> Self:
        """Return what shows the events of runs."""
        self._board = Board(specs, seconds)
        return self

    def __enter__(self) -> OnEvent:
        self._show()
        return self.tell

    def __exit__(self, *_: object) -> None:
        self._board = None
        self._show()

    def tell(self, event: Event) -> None:
        """Change the table; a run that ended leaves a line above it."""
        assert self._board is not None  # it was entered
        line = self._board.take(event)
        if line:
            self._lines.append(for_terminal(line))
        if line or time.monotonic() - self._shown > REFRESH_SECONDS:
            self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        said = self._lines[-LINES:]
        html = f"<pre>{escape(chr(10).join(said))}</pre>"
        if self._board is not None:
            said = [*said, self._board.title(), *("  ".join(row) for row in self._board.rows())]
            html += f"<p><b>{escape(self._board.title())}</b></p>"
            html += table_html(self._board.HEAD, self._board.rows(), numbers=True)
        form = {"text/html": html, "text/plain": "\n".join(said)}
        if self._handle is None:
            self._handle = self._display(form, raw=True, display_id=True)
        else:
            self._handle.update(form, raw=True)
