"""One file over HTTP: resumed where it stopped, and tried again as long as tries get further."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .disk import length_of, on_disk
from .progress import megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse
    from pathlib import Path

    from .progress import Progress

_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True)
class Patience:
    """How long to wait for a silent connection, how often to try without progress, and the pause between tries."""

    stall_seconds: float = 30.0
    tries: int = 3
    pause_seconds: float = 1.0


class _BrokenError(Exception):
    """The connection failed in a way that may pass."""


class RefusedError(Exception):
    """This address does not give the file."""


def transfer(url: str, part: Path, patience: Patience, progress: Progress) -> None:
    """Download a file, from where an earlier try stopped. Raises RefusedError, and DataError for what the disk refuses.

    The count of tries starts again whenever one gets further than all before.
    """
    furthest, tries = length_of(part), 0
    while True:
        try:
            _attempt(url, part, patience, progress)
        except _BrokenError as error:
            tries = 1 if length_of(part) > furthest else tries + 1
            furthest = max(furthest, length_of(part))
            if tries >= patience.tries:
                raise RefusedError(f"{error} ({tries} tries)") from error
            progress.note(f"{url}: {error}; trying again ({tries + 1} of {patience.tries})")
            time.sleep(patience.pause_seconds * tries)
        else:
            return


def _attempt(url: str, part: Path, patience: Patience, progress: Progress) -> None:
    have = length_of(part)
    answer = _ask(url, part, have, patience)
    if answer is None:
        return
    with answer:
        if answer.status != 206:  # the server ignores Range, and sends the whole file
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        progress.total = total or progress.total
        with on_disk(part), part.open("ab" if have else "wb") as file:
            for block in _blocks(answer, patience):
                file.write(block)
                have += len(block)
                progress.to(have)
    if total is not None and have < total:
        raise _BrokenError(f"the connection closed after {megabytes(have)} of {megabytes(total)}")


def _ask(url: str, part: Path, have: int, patience: Patience) -> HTTPResponse | None:
    """Ask for everything from byte `have` on; return None if there is nothing more."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    headers = {"User-Agent": "ablate", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        request = Request(url, headers=headers)  # noqa: S310  # urls come from plugins, which are code
        answer: HTTPResponse = urlopen(request, timeout=patience.stall_seconds)  # noqa: S310  # as above
    except HTTPError as error:
        with error:
            _answered(error.code, error.headers.get("Content-Range", ""), part, have)
        return None
    except (OSError, HTTPException) as error:
        raise _BrokenError(_reason(error, patience)) from error
    if answer.status == 206 and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        answer.close()
        raise RefusedError("the server sends another range than asked for")
    return answer


def _answered(code: int, content_range: str, part: Path, have: int) -> None:
    """Handle an answer that is no success: return if the part is complete, else raise."""
    if code == 416 and have:
        if content_range == f"bytes */{have}":
            return
        with on_disk(part):
            part.unlink()
        raise _BrokenError(f"the server's file does not go on at {megabytes(have)}, so the download starts again")
    if code in (408, 425, 429) or code >= 500:
        raise _BrokenError(f"HTTP status {code}")
    raise RefusedError(f"HTTP status {code}")


def _blocks(answer: HTTPResponse, patience: Patience) -> Iterator[bytes]:
    """Yield what arrives; network errors become _BrokenError here, so that the caller's are the disk's."""
    from http.client import HTTPException

    try:
        while block := answer.read1(_BLOCK_BYTES):
            yield block
    except (OSError, HTTPException) as error:
        raise _BrokenError(_reason(error, patience)) from error


def _reason(error: Exception, patience: Patience) -> str:
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return f"nothing came for {patience.stall_seconds:g} s"
    return str(getattr(cause, "strerror", None) or cause or type(error).__name__)
