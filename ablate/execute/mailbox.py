"""What attempts tell a driver where the engine carries no news: a file for each attempt, in a folder of the store.

The driver makes the file before it sends the attempt. One process appends to it, a line for each piece of news, and
closes it each time; the driver opens it anew. So NFS, which promises no more than that what was closed on one machine
is seen by whoever opens it on another one afterwards, is enough. The folder's name is that of a temporary file: what a
killed driver leaves, `ablate store clean` removes.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import uuid
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ..components.registry import CodeSnapshot
from ..files import append_plain, new_file, open_plain, read_plain
from ..store.documents import store_errors
from ..store.owner import touched
from .attempts import Placed, WorkerExited
from .jobs import (
    Aborted,
    Busy,
    Damaged,
    EpochDone,
    EpochProgress,
    Failed,
    Finished,
    Started,
    Stopped,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..study.spec import RunSpec
    from .attempts import News

KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Placed,
        Started,
        EpochProgress,
        EpochDone,
        Busy,
        Damaged,
        Aborted,
        Stopped,
        Finished,
        Failed,
        WorkerExited,
    )
}
"""What an attempt tells."""


@dataclass
class Mailbox:
    """A driver's folder. It names every file in it but those of the engine."""

    folder: Path
    _codes: list[tuple[CodeSnapshot, Path]] = field(default_factory=list)

    @classmethod
    @contextlib.contextmanager
    def posted(cls, store: Path) -> Iterator[Mailbox]:
        """Have a driver's folder in a store while this lasts; nobody else can read it. Raises StoreError."""
        folder = store / f".mailbox.{uuid.uuid4().hex[:8]}"
        with store_errors(folder):
            folder.mkdir(mode=0o700)
        try:
            with touched(folder):
                yield cls(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def letters(self, attempt: str) -> Path:
        """Make the file of an attempt's news. Raises StoreError."""
        path = self.folder / f"{attempt}.news"
        with store_errors(path), new_file(path):
            pass
        return path

    def code(self, code: CodeSnapshot) -> Path:
        """Return the file of a snapshot, written once. Raises StoreError."""
        for known, path in self._codes:
            if known is code:
                return path
        path = self.folder / f"code-{len(self._codes)}"
        with store_errors(path), new_file(path) as file:
            pickle.dump(code, file)
        self._codes.append((code, path))
        return path


def code_in(path: Path) -> CodeSnapshot:
    """Return the snapshot that a file holds; its folder is the driver's own."""
    found = pickle.loads(read_plain(path))  # noqa: S301  # as the job itself, which the engine sends as a pickle
    assert isinstance(found, CodeSnapshot)  # by `Mailbox.code`
    return found


def append(path: Path, news: News) -> None:
    """Append a piece of news to an attempt's file, for its driver, who knows the run. Raises OSError."""
    said = {one.name: getattr(news, one.name) for one in fields(news) if one.name != "spec"}
    append_plain(path, json.dumps([type(news).__name__, said], default=str) + "\n")


@dataclass
class Letters:
    """An attempt's file, as its driver reads it. at: the bytes that were read."""

    path: Path
    spec: RunSpec
    at: int = 0

    def new(self) -> list[News]:
        """Return what came since the last look; a line that is not whole, or a store that does not answer, waits."""
        try:
            with os.fdopen(open_plain(self.path, os.O_RDONLY), "rb") as file:
                file.seek(self.at)
                lines = file.read().split(b"\n")[:-1]
        except OSError:
            return []
        found = []
        for line in lines:
            try:
                found.append(self._news(line))
            except ValueError:  # a page of it is still to come, or never does: its machine was lost
                break
            self.at += len(line) + 1
        return found

    def close(self) -> None:
        """Remove the file, once the last piece was read."""
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _news(self, line: bytes) -> News:
        name, said = json.loads(line)
        kind = KINDS[name]
        of_run = {"spec": self.spec} if any(one.name == "spec" for one in fields(kind)) else {}
        news: News = kind(**of_run, **said)
        return news
