"""Datasets on disk as Hugging Face's `datasets` saves them: a column of encoded images and one of labels."""

from __future__ import annotations

import hashlib
import os
from dataclasses import astuple, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..components.datasets import LeftOut
from ..errors import DataError, listing, printable
from .decoded import Decoded
from .huggingfiles import FORM, Rows, split_files
from .listed import File, Listing, classes_in_order, files_error, stamp_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..components.datasets import Source

    Group = str | int


@dataclass(frozen=True)
class Columns:
    """The columns that are read; `group` is empty for none, and may be missing if it is called so."""

    image: str = "image"
    label: str = "label"
    group: str = "group"


def huggingface_source(root: Path, folder: Path, size: int, columns: Mapping[str, str]) -> Source:
    """Return a folder that the library `datasets` saved as a source of RGB images of `size` x `size`.

    root: the folder. folder: ablate's data folder, for the decoded arrays. columns: what the columns `image`, `label`
    and `group` are called there. The source's functions raise DataError for what cannot be read, and where pyarrow is
    not installed.
    """
    named = Columns(**columns)
    return Decoded("huggingface", root, folder, size, lambda: list_rows(root, named), astuple(named)).source


def list_rows(root: Path, columns: Columns) -> Listing:
    """List the rows of a folder of Parquet or Arrow files. Raises DataError for what cannot be used."""
    head = f"huggingface: {printable(str(root))}"
    splits, rest = split_files(root)
    tables = {split: [_Table(Rows(file), columns) for file in files] for split, files in splits.items()}
    if not any(table.rows.count for table in tables.get("train", ())):
        raise DataError(f"{head} has no image to train on; it has {listing(splits) or 'no split'}\n  {FORM}")
    for split, each in tables.items():
        if not any(table.rows.count for table in each):
            raise DataError(f"{head} has no image for {split}")
    grouped = {table.groups is not None for each in tables.values() for table in each}
    if len(grouped) > 1:
        raise DataError(f"{head}: only some of its files have the column '{columns.group}'")
    order = {name: place for table in tables["train"] for place, name in enumerate(table.names)}
    present = {label for table in tables["train"] for label in table.labels if label is not None}
    classes = tuple(sorted(present, key=order.__getitem__)) if present <= order.keys() else classes_in_order(present)
    if len(classes) < 2:
        raise DataError(
            f"{head} has too few classes in column '{columns.label}': {printable(listing(classes)) or 'none'}"
        )
    place = {name: label for label, name in enumerate(classes)}
    wrong: dict[str, str] = {}
    digest = hashlib.sha256(os.fsencode(root) + repr(astuple(columns)).encode())
    files: dict[str, list[File]] = {}
    for split, each in tables.items():
        files[split] = []
        for table in each:
            digest.update(os.fsencode(table.rows.file) + f"\0{split} {table.stamp}\0".encode())
            wrong |= table.wrong(place)
            if not wrong:
                files[split] += table.files(place)
    if wrong:
        raise files_error(head, "cannot be used", wrong, f"train has the classes {printable(listing(classes))}")
    left = (LeftOut(printable(root.name), "files of no split", len(rest)),) if rest else ()
    return Listing(tuple(map(printable, classes)), files, left, digest.hexdigest())


class _Table:
    """One file: its labels by name, and its groups."""

    def __init__(self, rows: Rows, columns: Columns) -> None:
        self.rows, self.columns = rows, columns
        self.where = f"huggingface: {printable(str(rows.file))}"
        self.stamp = stamp_of(rows.file.stat())
        names = rows.schema.names
        for kind in ("image", "label"):
            self._check_there(kind, names)
        if columns.group not in ("", "group"):
            self._check_there("group", names)
        self._check_image()
        feature = rows.features.get(columns.label)
        listed = feature.get("names") if isinstance(feature, dict) else None
        self.names: list[str] = list(map(str, listed)) if isinstance(listed, list) else []
        self.labels = self._labels()
        self.groups: list[Group | None] | None = self._groups() if columns.group in names else None

    def wrong(self, place: Mapping[str, int]) -> dict[str, str]:
        """Return what is wrong with labels and groups, by row."""
        found: dict[str, str] = {}
        for row, label in enumerate(self.labels):
            if label is None:
                found[self._called(row)] = "has no label"
            elif label not in place:
                found[self._called(row)] = f"{label} is the class of no training image"
            elif self.groups and self.groups[row] is None:
                found[self._called(row)] = f"has no {self.columns.group}"
        return found

    def files(self, place: Mapping[str, int]) -> list[File]:
        """Return the images of all rows."""
        groups = self.groups or [None] * self.rows.count
        return [
            File(partial(self.rows.image, self.columns.image, row), place[str(label)], f"{self.stamp} {row}",
                 self._called(row), groups[row])
            for row, label in enumerate(self.labels)
        ]  # fmt: skip

    def _called(self, row: int) -> str:
        return f"{self.rows.file.name}, row {row}"

    def _check_there(self, kind: str, names: list[str]) -> None:
        name = getattr(self.columns, kind)
        if names.count(name) != 1:
            many = "no" if name not in names else "several"
            raise DataError(
                f"{self.where} has {many} column '{printable(name)}'; it has {printable(listing(names))}\n"
                f"  name the column with the dataset's setting '{kind}'"
            )

    def _check_image(self) -> None:
        import pyarrow.types as t

        kind = self.rows.schema.field(self.columns.image).type
        fields = {kind.field(i).name for i in range(kind.num_fields)} if t.is_struct(kind) else set()
        if "bytes" not in fields and not t.is_binary(kind) and not t.is_large_binary(kind):
            raise self._odd("image", kind, "encoded images, as of the feature Image()")

    def _labels(self) -> list[str | None]:
        """Return the class of each row by name; None where there is none."""
        import pyarrow.types as t

        column, kind = self._column(self.columns.label)
        if t.is_integer(kind):
            most = len(self.names) or None
            return [self._name(value, most) for value in column]
        if _is_text(kind):
            return [str(value) if value else None for value in column]
        raise self._odd("label", kind, "whole numbers or texts")

    def _name(self, value: int | None, most: int | None) -> str | None:
        """Return what the class with a number is called; the feature ClassLabel has -1 where there is no label."""
        if value is None or value < 0 or (most is not None and value >= most):
            return None
        return self.names[value] if most else str(value)

    def _groups(self) -> list[Group | None]:
        import pyarrow.types as t

        column, kind = self._column(self.columns.group)
        if not t.is_integer(kind) and not _is_text(kind):
            raise self._odd("group", kind, "whole numbers or texts")
        return [None if value == "" else value for value in column]

    def _column(self, name: str) -> tuple[list[Any], Any]:
        """Return the values of a column, and the type of what they are."""
        import pyarrow.types as t

        column = self.rows.column(name)
        kind = column.type.value_type if t.is_dictionary(column.type) else column.type
        return column.to_pylist(), kind

    def _odd(self, kind: str, found: Any, wanted: str) -> DataError:
        name = printable(getattr(self.columns, kind))
        return DataError(
            f"{self.where}: column '{name}' holds {printable(str(found))}, not {wanted}\n"
            f"  name another column with the dataset's setting '{kind}'"
        )


def _is_text(kind: Any) -> bool:
    import pyarrow.types as t

    return bool(t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind))
