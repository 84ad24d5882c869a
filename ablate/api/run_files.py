"""Files with runs made elsewhere: what is no such file, and what has no end, is refused."""

from __future__ import annotations

import stat
import sys
from typing import TYPE_CHECKING, BinaryIO

from ..errors import InputError, did_you_mean
from ..paths import dangling, shown
from .run_tables import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from .run_tables import RunTable

LARGEST_FILE = 10**9
"""In bytes: a million runs have a hundredth of it."""


def read_file(path: Path) -> RunTable:
    """Read a file by its suffix and its content; `-` is standard input. Raises InputError for what cannot be read."""
    if str(path) == "-":
        if sys.stdin is None:
            raise InputError("standard input: is closed; name a file, or give one: ablate compare - < FILE")
        return read_bytes("standard input", _content("standard input", sys.stdin.buffer))
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISDIR(mode)):
            raise InputError(f"{shown(path)}: is neither a file nor a pipe; '-' reads standard input")
        with path.open("rb") as file:
            return read_bytes(shown(path), _content(shown(path), file), path.suffix.lower())
    except OSError as error:
        raise InputError(f"{shown(path)}: {_refused(path, error)}") from None


def _content(source: str, file: BinaryIO) -> bytes:
    """Read a file to its end. Raises InputError where that is too far away for a table of runs."""
    parts, size = [], 0
    while part := file.read(1 << 20):
        size += len(part)
        if size > LARGEST_FILE:
            raise InputError(
                f"{source}: is larger than {LARGEST_FILE // 10**9} GB\n  a run has one row, as after its last epoch"
            )
        parts.append(part)
    return b"".join(parts)


def _refused(path: Path, error: OSError) -> str:
    """Say why a file cannot be read, with the nearest name where there is none of its own."""
    if isinstance(error, IsADirectoryError):
        return "is a folder\n  accepts a file of runs, or two stores or studies"
    if not isinstance(error, FileNotFoundError):
        return f"cannot be read: {error.strerror or error}"
    there = [file.name for file in path.parent.iterdir() if file.is_file()] if path.parent.is_dir() else []
    return dangling(path) or f"there is no such file{did_you_mean(path.name, there)}"
