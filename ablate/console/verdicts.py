"""Verdicts on a terminal: a line for each comparison, in columns where they fit."""

from __future__ import annotations

import shutil
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import printable
from ..numbers import NBSP
from ..report.verdict_text import line
from .text import output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..report.verdict_text import Line, Noun
    from ..stats.comparison import Comparison

NARROWEST = 30
"""Of the column of verdicts and remarks, and of that of names; below it lines stand below one another instead."""
WIDEST = 14
"""Of a verdict in its column: "no practical difference", which says its margin after it, reaches into the next one."""


def verdict_lines(
    found: Sequence[Comparison],
    changes: Mapping[tuple[str, str], int] | None = None,
    noun: Noun = "seed",
    width: int | None = None,
    said: Mapping[tuple[str, str], str] | None = None,
) -> list[str]:
    """Return a line for each comparison, in columns; on a terminal that is too narrow long names are shortened.

    What does not fit the last column goes on below it, or below the line where there is no room for that either.
    changes, said: in how many factors two variants differ, and what else is known of them, by candidate and reference.
    width: of the terminal, by default that of standard output; elsewhere, as in a file, a line may have any length.
    """
    pairs = [(one.candidate, one.reference) for one in found]
    lines = [
        line(one, (changes or {}).get(pair, 1), noun, (said or {}).get(pair, ""))
        for one, pair in zip(found, pairs, strict=True)
    ]
    heads, judged = _heads(lines), [_judged(one) for one in lines]
    laid = [f"{head}   {text}" for head, text in zip(heads, judged, strict=True)]
    width = terminal_width() if width is None else width
    if not width or all(len(text) <= width for text in laid):
        return laid
    longest = max(len(_shown(one.pair)) for one in lines)
    room = width - (len(heads[0]) - longest) - 3 - NARROWEST
    if room < min(longest, NARROWEST):
        return [text for one, pair in zip(lines, pairs, strict=True) for text in _wrapped(one, pair, width)]
    heads = _heads([replace(one, pair=_shortened(pair, room)) for one, pair in zip(lines, pairs, strict=True)])
    return [text for head, rest in zip(heads, judged, strict=True) for text in _beside(f"{head}   ", rest, width)]


def terminal_width() -> int | None:
    """Return how many characters a line of standard output has; None where that is no terminal."""
    return shutil.get_terminal_size().columns if output().isatty() else None


def _heads(lines: Sequence[Line]) -> list[str]:
    """Return the columns before the verdict, all of one width."""
    cells = [[_shown(part) for part in (one.pair, one.difference, one.interval)] for one in lines]
    pair, difference, interval = ([len(row[place]) for row in cells] for place in range(3))
    return [f"{row[0]:<{max(pair)}}   {row[1]:>{max(difference)}}  {row[2]:<{max(interval)}}" for row in cells]


def _judged(one: Line) -> str:
    """Write a verdict in its column, and what limits it after it."""
    if not one.remark:
        return _shown(one.verdict)
    apart = "; " if len(one.verdict) > WIDEST else "  "
    return _shown(f"{one.verdict:<{WIDEST}}{apart}{one.remark}")


def _beside(head: str, rest: str, width: int) -> list[str]:
    """Return a line whose last column goes on below itself."""
    return textwrap.wrap(rest, width, initial_indent=head, subsequent_indent=" " * len(head))


def _shortened(pair: Iterable[str], most: int) -> str:
    """Name a comparison in at most so many characters, the longer of its names with an ellipsis within."""
    names, between = [_shown(name) for name in pair], " against "
    room = most - len(between)
    if sum(map(len, names)) > room:
        half = room // 2
        sizes = [max(half, room - len(other)) for other in reversed(names)]
        names = [
            name if len(name) <= size else f"{name[: (size - 1) // 2]}…{name[len(name) - size + 1 + (size - 1) // 2 :]}"
            for name, size in zip(names, sizes, strict=True)
        ]
    return between.join(names)


def _wrapped(one: Line, pair: Iterable[str], width: int) -> list[str]:
    rest = f"{one.difference} {one.interval}" + (f"; {one.remark}" if one.remark else "")
    verdict = _shown(one.verdict)
    named = _shortened(pair, max(width - len(verdict) - 2, NARROWEST))
    head = textwrap.wrap(f"{named}: {verdict}", width, subsequent_indent="  ")
    return [*head, *textwrap.wrap(_shown(rest), width, initial_indent="  ", subsequent_indent="  ")]


def _shown(text: str) -> str:
    return printable(text.replace(NBSP, " "))


def paragraph(text: str, width: int | None = None) -> list[str]:
    """Return a text as lines that fit the terminal; as one line elsewhere."""
    width = terminal_width() if width is None else width
    return textwrap.wrap(_shown(text), width) if width else [_shown(text)] * bool(text)
