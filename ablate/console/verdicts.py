"""Verdicts on a terminal: a line for each comparison, in columns where they fit."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

from ..errors import printable
from ..numbers import NBSP
from ..report.verdict_text import line
from .text import output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..report.verdict_text import Line, Noun
    from ..stats.comparison import Comparison

WIDEST = 14
"""Of a verdict in its column: "no practical difference", which says its margin after it, reaches into the next one."""


def verdict_lines(
    found: Sequence[Comparison],
    changes: Mapping[tuple[str, str], int] | None = None,
    noun: Noun = "seed",
    width: int | None = None,
) -> list[str]:
    """Return a line for each comparison; below one another where they are wider than the terminal.

    changes: in how many factors two variants differ, by candidate and reference. width: of the terminal, by default
    that of standard output; elsewhere, as in a file, a line may have any length.
    """
    pairs = [(one.candidate, one.reference) for one in found]
    lines = [line(one, (changes or {}).get(pair, 1), noun) for one, pair in zip(found, pairs, strict=True)]
    laid = _in_columns(lines)
    width = terminal_width() if width is None else width
    if not width or all(len(text) <= width for text in laid):
        return laid
    return [text for one in lines for text in _wrapped(one, width)]


def terminal_width() -> int | None:
    """Return how many characters a line of standard output has; None where that is no terminal."""
    return shutil.get_terminal_size().columns if output().isatty() else None


def _in_columns(lines: Sequence[Line]) -> list[str]:
    cells = [[_shown(part) for part in (one.pair, one.difference, one.interval)] for one in lines]
    pair, difference, interval = ([len(row[place]) for row in cells] for place in range(3))
    return [
        f"{row[0]:<{max(pair)}}   {row[1]:>{max(difference)}}  {row[2]:<{max(interval)}}   {_judged(one)}"
        for row, one in zip(cells, lines, strict=True)
    ]


def _judged(one: Line) -> str:
    """Write a verdict in its column, and what limits it after it."""
    if not one.remark:
        return _shown(one.verdict)
    apart = "; " if len(one.verdict) > WIDEST else "  "
    return _shown(f"{one.verdict:<{WIDEST}}{apart}{one.remark}")


def _wrapped(one: Line, width: int) -> list[str]:
    rest = f"{one.difference} {one.interval}" + (f"; {one.remark}" if one.remark else "")
    head = textwrap.wrap(f"{_shown(one.pair)}: {_shown(one.verdict)}", width, subsequent_indent="  ")
    return [*head, *textwrap.wrap(_shown(rest), width, initial_indent="  ", subsequent_indent="  ")]


def _shown(text: str) -> str:
    return printable(text.replace(NBSP, " "))


def paragraph(text: str, width: int | None = None) -> list[str]:
    """Return a text as lines that fit the terminal; as one line elsewhere."""
    width = terminal_width() if width is None else width
    return textwrap.wrap(_shown(text), width) if width else [_shown(text)] * bool(text)
