"""Which Parquet or Arrow files in a folder are of which split, and the rows that they hold. Nothing is fetched.

    ROOT/dataset_dict.json, ROOT/SPLIT/state.json, ROOT/SPLIT/data-*.arrow      what `save_to_disk` writes
or  ROOT/state.json, ROOT/data-*.arrow                                          one split, cut by the study
or  ROOT/**/SPLIT-*.parquet, ROOT/**/SPLIT/*.parquet                            a repository's files, or one's own
"""

from __future__ import annotations

import io
import json
import re
from bisect import bisect_right
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import DataError, listing, printable
from .disk import on_disk
from .listed import SPLIT_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FORM = (
    "accepts a folder that the library `datasets` saved: by save_to_disk, or as .parquet files with the split in their "
    "names, as in\n  train-00000-of-00001.parquet"
)
INSTALL = 'reading it takes pyarrow: pip install "ablate-studies[huggingface]"'
_SUFFIXES = (".parquet", ".arrow")
_SHARD = re.compile(r"(.*?)(\d{3,})-of-(\d{3,})(\D.*)?")
_POINTER = b"version https://git-lfs"


def split_files(root: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """Return the files of each split in their order, and those that are of none. Raises DataError."""
    with on_disk(root, "name another folder with the dataset's setting 'root'"):
        if not root.is_dir():
            raise DataError(f"huggingface: {printable(str(root))} is not a folder\n  {FORM}")
        if (root / "dataset_dict.json").is_file():
            names = _json(root / "dataset_dict.json", "splits")
            known = {SPLIT_NAMES[name.casefold()]: name for name in names if name.casefold() in SPLIT_NAMES}
            return {split: _saved(root / name) for split, name in known.items()}, [
                root / name for name in names if name not in known.values()
            ]
        if (root / "state.json").is_file():
            return {"train": _saved(root)}, []
        return _named(root)


def _json(file: Path, key: str) -> list[Any]:
    with on_disk(file):
        try:
            found = json.loads(file.read_bytes())[key]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"huggingface: {printable(str(file))} is damaged: it has no list '{key}'") from error
    if not isinstance(found, list):
        raise DataError(f"huggingface: {printable(str(file))} is damaged: '{key}' is no list")
    return found


def _saved(folder: Path) -> list[Path]:
    """Return the files that `save_to_disk` wrote to a folder."""
    try:
        return [folder / str(each["filename"]) for each in _json(folder / "state.json", "_data_files")]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"huggingface: {printable(str(folder / 'state.json'))} is damaged: a file has no name"
        ) from error


def _named(root: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """Sort the files below a folder by the split in their names, or else in those of their folders."""
    files = sorted(path for path in root.rglob("*") if path.suffix in _SUFFIXES and not _passed_over(path, root))
    if not files:
        there = printable(listing(sorted(entry.name for entry in root.iterdir()))) or "nothing"
        raise DataError(
            f"huggingface: {printable(str(root))} holds no .parquet or .arrow file; it holds {there}\n  {FORM}"
        )
    splits: dict[str, list[Path]] = {}
    rest: list[Path] = []
    for path in files:
        split = _split_of(path, root)
        splits.setdefault(split, []).append(path) if split else rest.append(path)
    if not splits:
        splits, rest = {"train": rest}, []
    for split, found in splits.items():
        folders = sorted({printable(str(path.parent)) for path in found})
        if len(folders) > 1:
            raise DataError(
                f"huggingface: {printable(str(root))} has files for {split} in several folders: {listing(folders)}\n"
                "  name one of them with the dataset's setting 'root'"
            )
        _check_complete(found)
    return splits, rest


def _passed_over(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    return any(part.startswith(".") for part in parts) or path.name.startswith("cache-")  # what `map` keeps


def _split_of(path: Path, root: Path) -> str:
    for part in reversed(path.relative_to(root).with_suffix("").parts):
        words = re.split(r"[\W_\d]+", part.casefold())
        found = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
        if found:
            return found.pop() if len(found) == 1 else ""
    return ""


def _check_complete(files: Sequence[Path]) -> None:
    """Raise DataError where files that are parts of a whole say that others are missing."""
    shards = [match for path in files if (match := _SHARD.fullmatch(path.name))]
    for shard in shards:
        there = {int(other[2]) for other in shards if (other[1], other[3], other[4]) == (shard[1], shard[3], shard[4])}
        lacking = sorted(set(range(int(shard[3]))) - there)
        if lacking:
            first = f"{shard[1]}{lacking[0]:0{len(shard[2])}}-of-{shard[3]}{shard[4]}"
            more = f", and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise DataError(f"huggingface: {printable(str(files[0].parent))} has no {printable(first)}{more}")


class Rows:
    """The rows of one file: small columns at once, images one at a time.

    Of an Arrow file the images stay mapped; of a Parquet file one group of rows is held, since they are read in order.
    """

    def __init__(self, file: Path) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ModuleNotFoundError as error:
            raise DataError(f"huggingface: {INSTALL}") from error
        self.file = file
        self._group: tuple[int, Any] = -1, None
        self._lock = Lock()
        with on_disk(file):
            file.stat()
            try:
                if file.suffix == ".parquet":
                    self._parquet = parquet.ParquetFile(file, memory_map=True)
                    self._table = None
                    self.schema = self._parquet.schema_arrow
                    sizes = [self._parquet.metadata.row_group(i).num_rows for i in range(self._parquet.num_row_groups)]
                else:
                    self._table = _table(pa, file)
                    self.schema = self._table.schema
                    sizes = [self._table.num_rows]
            except (pa.ArrowException, OSError) as error:
                raise self._unreadable(error) from error
        self._starts = [sum(sizes[:i]) for i in range(len(sizes))]
        self.count = sum(sizes)

    @property
    def features(self) -> dict[str, Any]:
        """Return what `datasets` says of the columns; empty where it says nothing."""
        for text in ((self.schema.metadata or {}).get(b"huggingface"), self._beside()):
            try:
                info = json.loads(text or "{}")
                found = info.get("info", info)["features"]
                return found if isinstance(found, dict) else {}
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
        return {}

    def column(self, name: str) -> Any:
        """Return a column as an Arrow array."""
        import pyarrow as pa

        try:
            table = self._parquet.read(columns=[name]) if self._table is None else self._table
            return table.column(name)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def image(self, name: str, row: int) -> BinaryIO:
        """Open the encoded image in a row. Raises DataError if it has none."""
        import pyarrow as pa

        try:
            found = self._value(name, row)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot be read: {error}") from error
        if isinstance(found, dict):
            path, found = found.get("path"), found.get("bytes")
            if found is None and path:
                raise DataError(f"has only the path {path}, not the image: save the dataset with its images in it")
        if not found:
            raise DataError("has no image")
        return io.BytesIO(found)

    def _value(self, name: str, row: int) -> Any:
        if self._table is not None:
            return self._table.column(name)[row].as_py()
        part = bisect_right(self._starts, row) - 1
        with self._lock:
            if self._group[0] != part:
                self._group = part, self._parquet.read_row_group(part, columns=[name]).column(0)
            column = self._group[1]
        return column[row - self._starts[part]].as_py()

    def _beside(self) -> str:
        try:
            return (self.file.parent / "dataset_info.json").read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""

    def _unreadable(self, error: Exception) -> DataError:
        with self.file.open("rb") as file:
            pointer = file.read(len(_POINTER)) == _POINTER
        hint = "\n  it is a pointer of Git LFS: fetch the file itself with git lfs pull" if pointer else ""
        return DataError(f"huggingface: {printable(str(self.file))} cannot be read: {printable(str(error))}{hint}")


def _table(pa: Any, file: Path) -> Any:
    """Map an Arrow file: a stream, as `datasets` writes it, or a file with an index."""
    mapped = pa.memory_map(str(file))
    try:
        return pa.ipc.open_stream(mapped).read_all()
    except pa.ArrowInvalid:
        return pa.ipc.open_file(mapped).read_all()
