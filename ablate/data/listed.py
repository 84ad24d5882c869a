"""What is listed of a dataset of encoded images before they are decoded: its classes, and the images of each split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..errors import DataError, counted, printable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from ..components.datasets import LeftOut

    Encoded = Path | Callable[[], BinaryIO]

MOST_TOLD = 30
# Of what Pillow opens: EPS is a program that Ghostscript would run, MPEG a film, the others it only recognizes.
NO_IMAGES = frozenset({"EPS", "MPEG", "BUFR", "GRIB", "HDF5", "WMF"})
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What splits are called in files that people have, in small letters."""


class File(NamedTuple):
    """An encoded image: where it is, its class, and a stamp that changes with its content.

    path: its file, or a function that opens it. called: how messages name it; empty for its path below the root.
    group: what it is of, if images have groups.
    """

    path: Encoded
    label: int
    stamp: str
    called: str = ""
    group: str | int | None = None


@dataclass(frozen=True)
class Listing:
    """What is in a dataset: its classes, the encoded images of each split, and what is left out.

    `digest` names all of it, with what shows that a file changes: size, times, number on the disk.
    """

    classes: tuple[str, ...]
    files: Mapping[str, Sequence[File]]
    left_out: tuple[LeftOut, ...]
    digest: str

    @property
    def count(self) -> int:
        """Return the number of images in all splits."""
        return sum(len(files) for files in self.files.values())

    @property
    def grouped(self) -> bool:
        """Tell whether images have groups."""
        return any(file.group is not None for files in self.files.values() for file in files[:1])


def files_error(
    head: str, what: str, files: Mapping[str, str], step: str = "replace them, or move them away"
) -> DataError:
    """Return the error that names all files with a problem. files: the problem, by file."""
    lines = [f"{printable(name)}: {printable(why)}" for name, why in list(files.items())[:MOST_TOLD]]
    more = [f"… and {len(files) - MOST_TOLD:,} more"] * (len(files) > MOST_TOLD)
    return DataError("\n  ".join([f"{head}: {counted(len(files), 'image')} {what}", *lines, *more, step]))


def stamp_of(status: os.stat_result) -> str:
    """Return what identifies a file's content.

    The time of change is set by the system alone, unlike the time of writing; the file's number shows that folders
    whose files were made in the same moment have changed places.
    """
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def classes_in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the classes in the order of their labels: by number where all names are whole numbers, else by name."""
    distinct = set(names)
    if all(name.isascii() and name.isdecimal() for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (int(name), name)))
    return tuple(sorted(distinct))
