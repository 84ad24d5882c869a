"""Tables of runs made elsewhere, without pandas: CSV, TSV, JSON lines, a frame, a list of dicts, a dict of columns.

Whatever is wrong with a file is one InputError that names its line.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from ..errors import InputError, listing, one_line, quoted

JSON_SUFFIXES = {".jsonl", ".ndjson", ".json"}
DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons"}
BINARY = {
    b"PK\x03\x04": "a spreadsheet or an archive: export it as CSV",
    b"\x1f\x8b": "compressed: 'gunzip -c FILE | ablate compare -' reads it",
    b"PAR1": "Parquet: in Python, ablate.compare(pandas.read_parquet(FILE), ...) takes it",
    b"\x89HDF": "HDF5: in Python, ablate.compare(frame, ...) takes a frame",
}
"""How files begin that are often at hand where a table of runs is meant, with what to do instead."""


@dataclass(frozen=True)
class RunTable:
    """Rows of a table with the names of its columns.

    source: what messages call it. places: where each row stands, as a number; place: of what ("line", "row").
    """

    source: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    places: Sequence[int]
    place: str = "line"

    def column(self, name: str) -> list[Any]:
        """Return the values of a column."""
        at = self.columns.index(name)
        return [row[at] for row in self.rows]

    def where(self, row: int) -> str:
        """Return where a row stands: "line 5"."""
        return f"{self.place} {self.places[row]:,}"

    def error(self, reason: str, row: int | None = None) -> InputError:
        """Return what to raise of the table, or of one of its rows."""
        return InputError(f"{self.source}: {reason}" if row is None else f"{self.source}: {self.where(row)}: {reason}")


def read_bytes(source: str, content: bytes, suffix: str = "") -> RunTable:
    """Read the content of a file. suffix: of its name, in small letters; empty where only the content can tell."""
    text = _decoded(source, content)
    first = text.lstrip()[:1]
    if not first:
        raise InputError(f"{source}: is empty\n  it has to have a line with the names of its columns, then one a run")
    if suffix in JSON_SUFFIXES or (suffix not in (".csv", ".tsv") and first in "{["):
        return _json_array(source, text) if first == "[" else _json_lines(source, text)
    return _separated(source, text, "\t" if suffix == ".tsv" else None)


def _decoded(source: str, content: bytes) -> str:
    for begins, what in BINARY.items():
        if content.startswith(begins):
            raise InputError(f"{source}: is {what}")
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if not wide and b"\0" in content:
        raise InputError(f"{source}: is not a text file\n  accepts CSV, TSV and JSON lines")
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{source}: line {line:,}: is not UTF-8 text; save the file as UTF-8") from None


# --- CSV and TSV -------------------------------------------------------------------------------------------------


def _separated(source: str, text: str, delimiter: str | None) -> RunTable:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or _delimiter(text), strict=True)
    rows, places, began = [], [], 1
    try:
        for row in reader:
            if any(field.strip() for field in row):  # an empty line is none
                rows.append(row)
                places.append(began)
            began = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{source}: line {began:,}: is no row of a table: {error}") from None
    head_line, head = places[0], _head(source, rows[0], places[0])
    rows, places = rows[1:], places[1:]
    if all(len(row) == len(head) for row in rows):
        head, rows = _without_index(head, rows)
    table = RunTable(source, head, rows, places)
    if not rows:
        raise table.error(f"has the names of columns and no row of a run\n  has {listing(quoted(head), 20)}")
    ragged = next((place for place, row in enumerate(rows) if len(row) != len(head)), None)
    if ragged is not None:
        raise table.error(
            f"has {_fields(len(rows[ragged]))}, and line {head_line:,} names {len(head)} columns\n"
            "  a text with the separator in it stands in double quotes",
            ragged,
        )
    return table if reader.dialect.delimiter == "," else replace(table, rows=_with_points(rows))


def _without_index(head: tuple[str, ...], rows: list[list[str]]) -> tuple[tuple[str, ...], list[list[str]]]:
    """Return a table without the index that pandas writes first, which has no name and counts the rows."""
    if len(head) < 2 or not re.fullmatch("column 1|Unnamed: 0", head[0]):
        return head, rows
    numbers = [int(row[0]) if row[0].isascii() and row[0].isdigit() else -1 for row in rows]
    if any(after <= before for before, after in pairwise([-1, *numbers])):
        return head, rows
    return head[1:], [row[1:] for row in rows]


def _with_points(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return rows whose numbers have decimal points, in columns that have decimal commas and nothing else.

    A column is left alone where its commas might set thousands apart, as in 1,234.
    """
    columns = [list(column) for column in zip(*rows, strict=True)]
    for place, column in enumerate(columns):
        given = [field.strip() for field in column if field.strip()]
        commas = [field for field in given if "," in field]
        plain = all(re.fullmatch(r"[+-]?\d+(,\d+)?", field) for field in given)
        if commas and plain and not all(re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", field) for field in commas):
            columns[place] = [field.replace(",", ".") for field in column]
    return [list(row) for row in zip(*columns, strict=True)]


def _fields(number: int) -> str:
    return "1 field" if number == 1 else f"{number} fields"


def _delimiter(text: str) -> str:
    """Return what separates the names in the first line that is not empty."""
    first = text.lstrip().partition("\n")[0]
    return max(DELIMITERS, key=first.count)


def _head(source: str, row: Sequence[str], line: int) -> tuple[str, ...]:
    """Return the names of columns. Raises InputError where they are numbers, or one of them comes twice."""
    names = tuple(name.strip() or f"column {place}" for place, name in enumerate(row, 1))
    if all(_is_number(name) for name in names):
        raise InputError(f"{source}: line {line}: holds numbers, and has to name the columns")
    _check_names(source, names, f"line {line}: ")
    return names


def _check_names(source: str, names: Sequence[str], where: str = "") -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"{source}: {where}two columns are called '{one_line(name, 80)}'; rename one of them")
        seen.add(name)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# --- JSON --------------------------------------------------------------------------------------------------------


def _json_lines(source: str, text: str) -> RunTable:
    objects, places = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            objects.append(_object(source, line, number))
            places.append(number)
    return _of_objects(source, objects, places)


def _object(source: str, line: str, number: int) -> Mapping[str, Any]:
    try:
        found = json.loads(line, object_pairs_hook=_pairs)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{source}: line {number:,}: is not JSON: {_wrong(error)}\n  accepts one object a line, one line a run"
        ) from None
    if isinstance(found, _Twice):
        raise InputError(f"{source}: line {number:,}: {found}")
    if not isinstance(found, dict):
        raise InputError(f"{source}: line {number:,}: is no object\n  accepts one object a line, one line a run")
    return found


class _Twice(str):
    """What stands in place of an object that has a key twice, and says so."""

    __slots__ = ()


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Twice:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return _Twice(f"has '{one_line(twice, 80)}' twice; one value a run")


def _wrong(error: ValueError | RecursionError) -> str:
    """Say why JSON could not be read."""
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return "it is nested too deeply" if isinstance(error, RecursionError) else "a whole number has thousands of digits"


def _json_array(source: str, text: str) -> RunTable:
    try:
        found = json.loads(text, object_pairs_hook=_pairs)
    except (ValueError, RecursionError) as error:
        where = f"line {error.lineno:,}: " if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{source}: {where}is not JSON: {_wrong(error)}") from None
    for number, one in enumerate(found, 1):
        if isinstance(one, _Twice):
            raise InputError(f"{source}: item {number:,}: {one}")
        if not isinstance(one, dict):
            raise InputError(f"{source}: item {number:,}: is no object\n  accepts an array of objects, one a run")
    return _of_objects(source, found, range(1, len(found) + 1), "item")


def _of_objects(
    source: str, objects: Sequence[Mapping[str, Any]], places: Sequence[int], place: str = "line"
) -> RunTable:
    names = tuple(dict.fromkeys(str(name) for one in objects for name in one))
    if not names:
        raise InputError(f"{source}: has no runs in it")
    return RunTable(source, names, [[one.get(name) for name in names] for one in objects], places, place)


# --- from Python -------------------------------------------------------------------------------------------------


def of_frame(frame: Any) -> RunTable:
    """Read a pandas frame, a list of dicts, or a dict of columns. Raises InputError for anything else."""
    source = "the frame"
    if hasattr(frame, "columns") and hasattr(frame, "itertuples"):
        names = tuple(str(name) for name in frame.columns)
        _check_names(source, names)
        rows: Sequence[Sequence[Any]] = list(frame.itertuples(index=False, name=None))
    elif isinstance(frame, Mapping):
        names = tuple(str(name) for name in frame)
        columns = [list(values) if _is_column(values) else None for values in frame.values()]
        if None in columns or len({len(values) for values in columns if values is not None}) > 1:
            raise InputError("the frame: is a dict whose values are not columns of the same length")
        rows = list(zip(*(values for values in columns if values is not None), strict=True))
    elif isinstance(frame, Sequence) and not isinstance(frame, str) and all(isinstance(r, Mapping) for r in frame):
        if not frame:
            raise InputError("the frame: has no rows")
        return _of_objects(source, frame, range(len(frame)), "row")
    else:
        raise InputError(
            f"a {type(frame).__name__}: is no table of runs\n"
            "  accepts a pandas frame, a list of dicts, or a dict of columns"
        )
    if not rows:
        raise InputError("the frame: has no rows")
    return RunTable(source, names, rows, range(len(rows)), "row")


def _is_column(values: object) -> bool:
    return hasattr(values, "__iter__") and not isinstance(values, (str, bytes, Mapping))
