"""Line numbers for a TOML file: `tomllib` gives values without places, so this reads the places alone.

The text is known to be valid TOML (tomllib parsed it first); the scanner only has to follow keys,
headers and nesting, and to step over strings and comments.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .spec import Place

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_PLAIN = re.compile(r"[^,\]}#\n]*")


def positions(text: str) -> dict[Place, int]:
    """Map each key's path (keys and list indices from the top) to its 1-based line."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def line_of(lines: dict[Place, int], place: Place) -> int:
    """Return the line of a path, or of the nearest enclosing path that has one; 0 for the command line."""
    for length in range(len(place), 0, -1):
        if place[:length] in lines:
            return lines[place[:length]]
    return 0


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.lines: dict[Place, int] = {}
        self._counts: dict[Place, int] = {}
        self._ends = [found.start() for found in re.finditer("\n", text)]

    def document(self) -> None:
        table: Place = ()
        while self._skip():
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Place:
        start = self.at
        width = 2 if self.text.startswith("[[", start) else 1
        self.at += width
        table = self._real(self._keys())
        self.at += width
        if width == 2:
            self._counts[table] = self._counts.get(table, -1) + 1
            table = (*table, self._counts[table])
        for length in range(1, len(table)):
            self._mark(table[:length], start)
        # A header that comes after one of its own sub-tables is still the better place.
        self.lines[table] = self._line(start)
        return table

    def _real(self, keys: Place) -> Place:
        """Put the index of the last element where a header passes through an array of tables."""
        path: Place = ()
        for depth, key in enumerate(keys):
            path = (*path, key)
            if path in self._counts and depth < len(keys) - 1:
                path = (*path, self._counts[path])
        return path

    def _pair(self, table: Place) -> None:
        start = self.at
        path = (*table, *self._keys())
        for length in range(len(table) + 1, len(path) + 1):
            self._mark(path[:length], start)
        self._skip()
        self.at += 1  # the equals sign
        self._skip()
        self._value(path)

    def _keys(self) -> Place:
        keys: list[str] = []
        while True:
            self._skip()
            if self.text[self.at] in "\"'":
                start = self.at
                self._string()
                keys.append(tomllib.loads(f"key = {self.text[start : self.at]}")["key"])
            else:
                match = _BARE.match(self.text, self.at)
                assert match is not None  # the text is valid TOML
                keys.append(match.group())
                self.at = match.end()
            self._skip()
            if self.text[self.at] != ".":
                return tuple(keys)
            self.at += 1

    def _value(self, path: Place) -> None:
        match self.text[self.at]:
            case "{":
                self.at += 1
                while self._skip() and self.text[self.at] != "}":
                    self._pair(path)
                    self._comma()
                self.at += 1
            case "[":
                self.at += 1
                index = 0
                while self._skip() and self.text[self.at] != "]":
                    self._mark((*path, index), self.at)
                    self._value((*path, index))
                    self._comma()
                    index += 1
                self.at += 1
            case '"' | "'":
                self._string()
            case _:
                match = _PLAIN.match(self.text, self.at)
                self.at = match.end() if match else self.at + 1

    def _comma(self) -> None:
        self._skip()
        if self.text[self.at] == ",":
            self.at += 1

    def _string(self) -> None:
        quote = self.text[self.at]
        end = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self.at += len(end)
        while not self.text.startswith(end, self.at):
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += len(end)
        if len(end) == 3:  # up to two quotes may stand before the closing three
            while self.text.startswith(quote, self.at):
                self.at += 1

    def _skip(self) -> bool:
        """Step over blanks and comments; False at the end of the text."""
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at < len(self.text)

    def _mark(self, path: Place, at: int) -> None:
        self.lines.setdefault(path, self._line(at))

    def _line(self, at: int) -> int:
        return bisect_left(self._ends, at) + 1
