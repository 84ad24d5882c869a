"""Files that are whole or not there: written beside, flushed to disk, then renamed or linked into place."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from ..paths import shown

if TYPE_CHECKING:
    from pathlib import Path

Document = dict[str, Any]

GAVE_WAY = frozenset(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EIO", "EMFILE", "ENFILE", "ESTALE", "ENODEV", "ENXIO")
    if hasattr(errno, name)
)
"""What the system says when it is the machine that gave way: the disk, or the number of open files."""

_HINTS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EMFILE: "allow more open files (ulimit -n 4096), or make fewer runs at a time (--jobs)",
    errno.ENFILE: "the whole system has too many files open",
    errno.ENOENT: "is its disk still there?",
}


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Put a JSON document in place in one step, over an older one."""
    with _beside(path, document) as temporary:
        temporary.replace(path)


def commit_document(path: Path, body: Mapping[str, Any]) -> bool:
    """Put a document with a checksum in place unless one stands there; tell whether this call did."""
    with _beside(path, {"checksum": _checksum(plain(body)), "body": body}) as temporary:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links; the run's lock keeps other writers away
            if path.exists():
                return False
            temporary.replace(path)
    return True


def read_document(path: Path) -> Document | None:
    """Return a document, or None where there is none or it cannot be read as one."""
    try:
        written = path.read_bytes()
        found = json.loads(written)
        if b"\\ud" in written.lower():  # half of a surrogate pair, which raises here, is in no text that was written
            json.dumps(found, ensure_ascii=False).encode()
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_committed(path: Path) -> Document | None:
    """Return the body of a committed document, or None where it is absent or its checksum does not fit."""
    found = read_document(path) or {}
    body = found.get("body")
    try:
        return body if isinstance(body, dict) and found.get("checksum") == _checksum(body) else None
    except RecursionError:  # too deep a nest, though it could be read
        return None


def plain(value: Any) -> Any:
    """Return a value that strict JSON holds: numbers that are not finite become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def dumps(document: Mapping[str, Any], indent: int | None = None) -> str:
    """Write a document as strict JSON."""
    return json.dumps(plain(document), ensure_ascii=False, allow_nan=False, indent=indent, default=str)


@contextlib.contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into one StoreError that names the place and the next step."""
    try:
        yield
    except OSError as error:
        raise StoreError(refusal(path, error)) from error


def refusal(path: Path, error: OSError) -> str:
    """Say what the system refused, and how to go on."""
    hint = f"  {_HINTS[error.errno]}\n" if error.errno in _HINTS else ""
    return (
        f"{shown(path)}: {error.strerror or error}\n{hint}"
        "  what is stored stays readable; once the store can be written, the same command goes on\n"
        "  another place: --store DIR or ABLATE_STORE"
    )


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@contextlib.contextmanager
def _beside(path: Path, document: Mapping[str, Any]) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    with store_errors(path):
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(dumps(document, indent=1))
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
