"""One run in a store, as it is read: its folder, and what stands there."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ..files import checksum, read_plain
from ..study.plan import key_of
from .documents import Document, read_committed, read_document
from .filenames import CHECKPOINT, FAILURE, HISTORY, OWNER, PREDICTIONS, RANGE_TEST, RESULT, RUN
from .owner import Owner, live_owner
from .predictions import unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..data.predictions import Predictions
    from ..metrics import RunState


class NoPredictionsError(Exception):
    """What a run predicted cannot be read; the text says why, as in "were removed"."""


class RunFolder:
    """One run's folder, which need not exist. Reading never fails on what it holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / CHECKPOINT

    def state(self) -> RunState:
        """Return the state of the run; a result whose checksum does not match does not count."""
        if self.result() is not None:
            return "stored"
        if (self.path / FAILURE).exists():
            return "failed"
        return "unfinished" if (self.path / RUN).exists() else "new"

    def result(self) -> Document | None:
        """Return the committed result, or None if there is none or it is another run's."""
        return self._committed(RESULT)

    def has_damaged_result(self) -> bool:
        """Tell whether there is a result that cannot be used."""
        return os.path.lexists(self.path / RESULT) and self.result() is None

    def spec(self) -> Document | None:
        """Return what was written when the run started: `identity`, `variant`, `seed`, `environment`.

        Without `identity` if the run's key is not its hash.
        """
        found = read_document(self.path / RUN)
        if found is not None and not is_identity(found.get("identity"), self.path.name):
            found.pop("identity", None)
        return found

    def failure(self) -> Document | None:
        """Return why the last try failed (`kind`, an Ending, `reason`, `traceback`), or None."""
        return read_document(self.path / FAILURE)

    def range_test(self) -> Document | None:
        """Return the range test that the run began with, or None if none was committed."""
        return self._committed(RANGE_TEST)

    def history(self) -> list[Document]:
        """Return the epochs recorded so far, up to the first line that is not the next epoch's record."""
        records: list[Document] = []
        for line in self.history_lines():
            record = _record(line)
            if record is None or record.get("epoch") != len(records) + 1:
                break
            records.append(record)
        return records

    def history_lines(self) -> list[str]:
        """Return the lines of the history with their line ends; bytes that are not UTF-8 are replaced."""
        try:
            return read_plain(self.path / HISTORY).decode(errors="replace").splitlines(keepends=True)
        except OSError:
            return []

    def history_checksum(self) -> str:
        """Return the checksum of the history, which the result is committed with."""
        return checksum("".join(self.history_lines()).encode())

    def history_fits(self, result: Mapping[str, Any]) -> bool:
        """Tell whether a result was committed with this history."""
        return result.get("history") == self.history_checksum()

    def predictions(self, result: Mapping[str, Any]) -> Predictions:
        """Return what the run predicted when it was evaluated last. Raises NoPredictionsError.

        result: of the run, which names the checksum of its predictions where they were kept.
        """
        if not result.get("predictions"):
            raise NoPredictionsError("were not kept")
        try:
            content = read_plain(self.path / PREDICTIONS)
            if checksum(content) != result["predictions"]:
                raise NoPredictionsError("are damaged")
            return unpacked(content)
        except FileNotFoundError as error:
            raise NoPredictionsError("were removed") from error
        except (OSError, ValueError) as error:
            raise NoPredictionsError("cannot be read") from error

    def checkpoint_bytes(self) -> int:
        """Return the size of the checkpoint, 0 if there is none."""
        try:
            return self.checkpoint.lstat().st_size
        except OSError:
            return 0

    def owner(self) -> Owner | None:
        """Return the process that is making the run now, or None."""
        return live_owner(self.path / OWNER)

    def _committed(self, name: str) -> Document | None:
        body = read_committed(self.path / name)
        return body if body is not None and body.get("key") == self.path.name else None


def _record(line: str) -> Document | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def is_identity(found: Any, key: str) -> bool:
    """Tell whether a run's key is the hash of this."""
    try:
        return isinstance(found, dict) and key_of(found) == key
    except RecursionError:  # nested too deeply, though it could be read
        return False
