"""Images that are listed in a CSV file: what each line must say, and what is wrong with those that do not."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import stat
from collections import Counter
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from ..errors import DataError, listing, printable
from .decoded import Decoded
from .disk import on_disk
from .listed import SPLIT_NAMES, File, Listing, classes_in_order, files_error, stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ..components.datasets import Source

_PATH = "path"
FORM = "accepts a table with a header, as in path,label,split; paths start at its folder"


@dataclass(frozen=True)
class Columns:
    """The columns that are read beside `path`; empty for none. Those with their usual name may be missing."""

    label: str = "label"
    split: str = "split"
    group: str = "group"


def csv_images_source(file: Path, folder: Path, size: int, columns: Mapping[str, str]) -> Source:
    """Return the images that a CSV file lists as a source of RGB images of `size` x `size`.

    file: has a column `path`, relative to its own folder; folder: ablate's data folder, for the decoded arrays.
    columns: what the columns `label`, `split` and `group` are called there; `split` and `group` may be empty for none.
    The source's functions raise DataError, which names each line with a problem.
    """
    named = Columns(**columns)
    listed = astuple(named)
    return Decoded("csv-images", file, folder, size, lambda: list_csv(file, named), listed).source


def list_csv(file: Path, columns: Columns) -> Listing:
    """List the images of a CSV file. Raises DataError if its lines are not accepted, or files cannot be read."""
    rows = _Rows(file, columns)
    return rows.listing()


@dataclass(frozen=True)
class _Row:
    """One line: its number, and what it says; `split` is what the dataset calls it."""

    line: int
    path: str
    label: str
    split: str
    group: str | None


class _Rows:
    """The lines of a CSV file, and what is wrong with them, by line."""

    def __init__(self, file: Path, columns: Columns) -> None:
        self.file, self.columns = file, columns
        self.wrong: dict[str, str] = {}
        self.head = f"csv-images: {printable(str(file))}"

    def listing(self) -> Listing:
        """Check all lines, and list their images."""
        rows = list(self._rows())
        self._check_twice(rows)
        self._refuse("cannot be used", "correct these lines")
        train = [row.label for row in rows if row.split == "train"]
        if not train:
            raise DataError(f"{self.head} lists no image to train on\n  {FORM}")
        classes = classes_in_order(train)
        if len(classes) < 2:
            raise DataError(f"{self.head} has too few classes in column '{self.columns.label}': {listing(classes)}")
        labels = {name: label for label, name in enumerate(classes)}
        for row in rows:
            if row.label not in labels:
                self.wrong[f"line {row.line}"] = f"{row.label} is the class of no training image"
        self._refuse("cannot be used", f"train has {printable(listing(classes))}")
        digest = hashlib.sha256(os.fsencode(self.file))
        files: dict[str, list[File]] = {name: [] for name in ("train", "validation", "test")}
        for row in rows:
            path = self.file.parent / row.path
            stamp = self._stamp(row, path)
            said = "\0".join((row.path, str(labels[row.label]), row.split, repr(row.group), stamp, ""))
            digest.update(said.encode(errors="surrogateescape"))
            called = f"line {row.line}: {row.path}"
            files[row.split].append(File(path, labels[row.label], stamp, called, row.group))
        self._refuse("cannot be read", f"paths start at {printable(str(self.file.parent))}")
        names = tuple(printable(name) for name in classes)
        return Listing(names, {name: each for name, each in files.items() if each}, (), digest.hexdigest())

    def _rows(self) -> Iterator[_Row]:
        with on_disk(self.file, "name another file with the dataset's setting 'file'"):
            if self.file.is_dir():
                raise DataError(f"{self.head} is a folder\n  {FORM}")
            try:
                text = self.file.read_bytes().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise DataError(f"{self.head} is not UTF-8: {error.reason}\n  save it as UTF-8") from error
        header = text.partition("\n")[0]
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
        try:
            places = self._places([name.strip() for name in next(reader, [])])
            for values in reader:
                if any(value.strip() for value in values):
                    row = self._row(reader.line_num, values, places)
                    if row:
                        yield row
        except csv.Error as error:
            raise DataError(f"{self.head}: line {reader.line_num}: {error}\n  {FORM}") from error

    def _places(self, header: list[str]) -> dict[str, int]:
        """Return where each column that is read stands."""
        found: dict[str, int] = {}
        there = printable(listing(filter(None, header))) or "nothing"
        for kind, name, usual in (
            ("path", _PATH, ""), ("label", self.columns.label, ""),
            ("split", self.columns.split, Columns.split), ("group", self.columns.group, Columns.group),
        ):  # fmt: skip
            if header.count(name) > 1:
                raise DataError(f"{self.head} has two columns '{printable(name)}'")
            if name in header:
                found[kind] = header.index(name)
            elif kind == "path":
                raise DataError(f"{self.head} has no column 'path'; it has {there}\n  {FORM}")
            elif name != usual and (name or kind == "label"):
                raise DataError(
                    f"{self.head} has no column '{printable(name)}'; it has {there}\n"
                    f"  name the column with the dataset's setting '{kind}'"
                )
        return found

    def _row(self, line: int, values: list[str], places: Mapping[str, int]) -> _Row | None:
        """Return what a line says; None, and a problem, where it does not say all."""
        if len(values) <= max(places.values()):
            self.wrong[f"line {line}"] = f"has {len(values)} values, fewer than the header"
            return None
        said = {kind: values[place].strip() for kind, place in places.items()}
        lacking = [getattr(self.columns, kind, _PATH) for kind, value in said.items() if not value]
        if lacking:
            self.wrong[f"line {line}"] = f"has no {listing(lacking)}"
            return None
        split = SPLIT_NAMES.get(said.get("split", "train").casefold())
        if split is None:
            self.wrong[f"line {line}"] = f"split {said['split']} is none of train, validation (or val) and test"
            return None
        return _Row(line, said["path"], said["label"], split, said.get("group"))

    def _check_twice(self, rows: list[_Row]) -> None:
        counts = Counter(os.path.normpath(row.path) for row in rows)
        first: dict[str, int] = {}
        for row in rows:
            path = os.path.normpath(row.path)
            if counts[path] > 1:
                if path in first:
                    self.wrong[f"line {row.line}"] = f"{row.path} is listed before, in line {first[path]}"
                first.setdefault(path, row.line)

    def _stamp(self, row: _Row, path: Path) -> str:
        try:
            status = path.stat()
        except (OSError, ValueError) as error:
            self.wrong[f"line {row.line}: {row.path}"] = getattr(error, "strerror", None) or str(error)
            return ""
        if not stat.S_ISREG(status.st_mode):
            self.wrong[f"line {row.line}: {row.path}"] = "is no regular file"
        return stamp_of(status)

    def _refuse(self, what: str, step: str) -> None:
        """Raise DataError if any lines are wrong."""
        if self.wrong:
            raise files_error(self.head, what, self.wrong, step)
