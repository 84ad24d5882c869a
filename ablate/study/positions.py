"""Line numbers for a TOML file: `tomllib` gives values without places, so this reads the places alone.

The text is known to be valid TOML (tomllib parsed it first); the scanner only has to follow keys,
headers and nesting, and to step over strings and comments.
"""

from __future__ import annotations

import json
import re
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
            if self.text.startswith("[[", self.at):
                self.at += 2
                path = self._real(self._keys())
                index = self._counts.get(path, -1) + 1
                self._counts[path] = index
                table = (*path, index)
                self.at += 2
                self._mark(table)
            elif self.text[self.at] == "[":
                self.at += 1
                table = self._real(self._keys())
                self.at += 1
                self._mark(table)
            else:
                self._pair(table)

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
                keys.append(self._string())
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
                    self._mark((*path, index))
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

    def _string(self) -> str:
        quote = self.text[self.at]
        long = quote * 3
        if self.text.startswith(long, self.at):
            end = self.at + 3
            while not self.text.startswith(long, end):
                end += 2 if quote == '"' and self.text[end] == "\\" else 1
            while self.text.startswith(quote, end + 3):
                end += 1
            inside, self.at = self.text[self.at + 3 : end], end + 3
            return inside
        end = self.at + 1
        while self.text[end] != quote:
            end += 2 if quote == '"' and self.text[end] == "\\" else 1
        inside, self.at = self.text[self.at : end + 1], end + 1
        return str(json.loads(inside)) if quote == '"' and "\\U" not in inside and "\\e" not in inside else inside[1:-1]

    def _skip(self) -> bool:
        """Step over blanks and comments; False at the end of the text."""
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at < len(self.text)

    def _mark(self, path: Place, at: int | None = None) -> None:
        self.lines.setdefault(path, bisect_left(self._ends, self.at if at is None else at) + 1)
