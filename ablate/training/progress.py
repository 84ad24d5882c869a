"""How far a long task is, told on stderr; nothing for a short one."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress as Bar

_QUIET_SECONDS = 2
_LINE_SECONDS = 10


class Progress:
    """Tells on stderr how far a long task is, once it has taken two seconds.

    A bar on a terminal; elsewhere, such as in a cluster's log, a line for each tenth or every ten seconds.
    """

    def __init__(self, what: str, total: int | None, text: Callable[[int], str]) -> None:
        self.what, self.total, self._text = what, total, text
        self._started = time.monotonic()
        self._bar: Bar | None = None
        self._plain = False
        self._next_done = self._next_seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def to(self, done: int) -> None:
        """Say that `done` of the total is done; cheap, so call it often."""
        seconds = time.monotonic() - self._started
        if seconds < _QUIET_SECONDS:
            return
        if self._bar is None and not self._plain:
            self._begin()
        text = self._text(done) + (f" of {self._text(self.total)}" if self.total else "")
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=self.total, text=text)
        elif done >= self._next_done or seconds >= self._next_seconds:
            self.note(f"{self.what}: {text}" + (f" ({100 * done / self.total:.0f} %)" if self.total else ""))
            self._next_done = done + self.total / 10 if self.total else float("inf")
            self._next_seconds = seconds + _LINE_SECONDS

    def note(self, text: str) -> None:
        """Print one line beside the bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            say(text)

    def _begin(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        self._plain = not console.is_terminal
        if not self._plain:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
            self._bar = Bar(*columns, TimeRemainingColumn(), console=console, transient=True)
            self._bar.add_task(self.what, total=self.total, text="")
            self._bar.start()


def say(text: str) -> None:
    """Print one line on stderr at once."""
    print(text, file=sys.stderr, flush=True)


def megabytes(size_bytes: int) -> str:
    """Return a size as a person reads it, in units of 10^6 bytes, or 10^9 where it is large."""
    if size_bytes >= 1e10:
        return f"{size_bytes / 1e9:,.0f} GB"
    return f"{size_bytes / 1e6:.{0 if size_bytes >= 1e8 else 1}f} MB"
