"""Files of our own, in folders that may be somebody else's: opened safely, written in one step, with a checksum.

No link is followed, and only plain files are opened: opening a named pipe would wait for ever, and writing through a
link could write to any of the user's files.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import time
import uuid
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path
    from types import ModuleType

_NEITHER_FOLLOW_NOR_WAIT = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}")
WAIT_SECONDS = 30.0
_MARK = b"ablate checkpoint\n"
"""What a file with a checksum begins with; checkpoints alone are such files."""

LINK, ODD = errno.ELOOP, errno.EINVAL
"""The error numbers of a link, and of what is neither a plain file nor a link."""


def open_plain(path: Path, flags: int) -> int:
    """Open a plain file and return its descriptor. Raises OSError, with errno LINK or ODD if it is not one."""
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
    """Append to an existing plain file. Raises OSError."""
    with os.fdopen(open_plain(path, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8") as file:
        file.write(text)


def replace_file(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file in one step: a reader sees the old one or the new one, never a part. Raises OSError."""
    with _written_beside(path, *parts) as temporary:
        temporary.replace(path)


def replace_files(files: Mapping[Path, bytes], alone: Collection[Path] = ()) -> None:
    """Write the files of one set, in their order: all are written beside first, and then moved to their places.

    A disk that fills changes none of them. Old ones are taken away before the first is moved, so that a process that is
    killed in between leaves a set with files missing, and never an old one among new ones. alone: files that mean
    something by themselves, which are replaced in one step and are there all the time. Raises OSError.
    """
    with ExitStack() as stack:
        made = {path: stack.enter_context(_written_beside(path, content)) for path, content in files.items()}
        if folder := next((path for path in files if path.is_dir() and not path.is_symlink()), None):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(folder))
        for path in files:
            if path not in alone:
                path.unlink(missing_ok=True)
        for path, temporary in made.items():
            temporary.replace(path)


@contextmanager
def only_writer(folder: Path) -> Iterator[bool]:
    """Wait until no other process writes to a folder, and keep them waiting; tell whether that is so.

    It is not where the system or the file system cannot lock a folder, and after `WAIT_SECONDS` of waiting for one that
    may have been stopped. Nothing is left in the folder.
    """
    descriptor = None
    try:
        with suppress(ImportError, OSError):
            import fcntl

            descriptor = os.open(folder, os.O_RDONLY)
        yield descriptor is not None and _locked(fcntl, descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)  # which ends the lock


def _locked(fcntl: ModuleType, descriptor: int) -> bool:
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        except OSError:
            return False
        else:
            return True


def rewrite_file(path: Path, content: bytes) -> None:
    """Write a user's file in one step; one that is there keeps its permissions. Raises OSError, also if read-only.

    To rename over a file takes permissions of its folder alone, so that it would be changed although it is read-only.
    """
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    if mode is not None and not (mode & 0o222 and os.access(path, os.W_OK)):
        raise PermissionError(errno.EACCES, "is read-only", str(path))
    with _written_beside(path, content) as temporary:
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(path)


def create_file(path: Path, content: bytes) -> bool:
    """Write a file in one step unless something stands there; tell whether this call did. Raises OSError."""
    with _written_beside(path, content) as temporary:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links; the caller's lock keeps other writers away
            if os.path.lexists(path):
                return False
            temporary.replace(path)
    return True


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file for writing, and flush it to disk at the end. Raises OSError, also if the file exists."""
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _written_beside(path: Path, *parts: bytes | memoryview) -> Iterator[Path]:
    """Write a new file beside a path, flushed to disk, to be moved there; it is removed if it was not."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with new_file(temporary) as file:
            for part in parts:
                file.write(part)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def is_temporary(name: str) -> bool:
    """Tell whether this is the name of a file that is still being written."""
    return bool(_TEMPORARY.fullmatch(name))


def checksum(content: bytes | memoryview) -> str:
    """Return the checksum that recorded files are verified by."""
    return hashlib.sha256(content).hexdigest()


def write_checked(path: Path, content: bytes | memoryview) -> None:
    """Write a file in one step with its checksum before the content, so that a changed bit is noticed."""
    replace_file(path, _MARK, bytes.fromhex(checksum(content)), content)


def read_checked(path: Path) -> bytes | None:
    """Return the content of a file from `write_checked`, or None if it was changed since. Raises OSError."""
    whole = read_plain(path)
    start = len(_MARK) + hashlib.sha256().digest_size
    content = whole[start:]
    return content if whole[:start] == _MARK + bytes.fromhex(checksum(content)) else None


def is_checked(path: Path) -> bool:
    """Tell whether a file begins as those of `write_checked` do. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(_MARK)) == _MARK


def make_folder(path: Path) -> None:
    """Make a folder if it is absent. Raises OSError, with LINK if a link stands there."""
    refuse_link(path)
    path.mkdir(exist_ok=True)


def check_lock(path: Path) -> None:
    """Raise OSError if what stands in a lock's place may be another file: older lock libraries empty it."""
    refuse_link(path)
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode) or (found.st_nlink > 1 and found.st_size):
        raise OSError(ODD, "is not a lock that ablate made", str(path))


def refuse_link(path: Path) -> None:
    """Raise OSError with LINK if a path is a link."""
    if path.is_symlink():
        raise OSError(LINK, "is a link, and links in a store are not followed", str(path))
