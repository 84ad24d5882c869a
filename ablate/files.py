"""Files of our own in folders that may be somebody else's: no link is followed, and nothing but plain files is opened.

Opening a named pipe would wait for ever, and writing through a link would write to any file of the user's.
"""

from __future__ import annotations

import errno
import os
import stat
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NEITHER_FOLLOW_NOR_WAIT = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

LINK, ODD = errno.ELOOP, errno.EINVAL
"""The error numbers of a link, and of what is neither a plain file nor a link."""


def open_plain(path: Path, flags: int) -> int:
    """Open a plain file and return its descriptor. Raises OSError, with LINK or ODD where it is none."""
    refuse_link(path)
    descriptor = os.open(path, flags | _NEITHER_FOLLOW_NOR_WAIT, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(ODD, "is not a plain file", str(path))
    return descriptor


def read_plain(path: Path) -> bytes:
    """Return what is in a plain file. Raises OSError."""
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
        return file.read()


def append_plain(path: Path, text: str) -> None:
    """Append to a plain file that is there. Raises OSError."""
    with os.fdopen(open_plain(path, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8") as file:
        file.write(text)


@contextmanager
def written_beside(path: Path, *parts: bytes | memoryview) -> Iterator[Path]:
    """Write a new file beside another, flushed to disk, to be put in its place; removed where it was not."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with temporary.open("xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def put_in_place(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file in one step: a reader meets the one before or this one, whole. Raises OSError."""
    with written_beside(path, *parts) as temporary:
        temporary.replace(path)


def make_folder(path: Path) -> None:
    """Make a folder where there is none. Raises OSError, with LINK where a link stands there."""
    refuse_link(path)
    path.mkdir(exist_ok=True)


def check_lock(path: Path) -> None:
    """Raise OSError where what stands in a lock's place may be another file: older lock libraries empty it."""
    refuse_link(path)
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode) or (found.st_nlink > 1 and found.st_size):
        raise OSError(ODD, "is not a lock of ablate's", str(path))


def refuse_link(path: Path) -> None:
    """Raise OSError with LINK where a path is a link."""
    if path.is_symlink():
        raise OSError(LINK, "is a link, and none is followed in a store", str(path))
