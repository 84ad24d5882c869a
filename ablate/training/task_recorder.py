"""What a run of a task reports to: a recorder, and one that keeps nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..data.predictions import Predictions
    from .checkpoint import State
    from .run import Record


class TaskRecorder(Protocol):
    """What a run of a task reports, and what it asks for: as `run.Recorder`, with a folder for the run's own files."""

    def resume(self) -> State | None:
        """Return the state to resume from, or None to begin."""
        ...

    def started(self, environment: Mapping[str, Any], records: Sequence[Record]) -> None:
        """Note the machine and the lines logged before; called before the task is."""
        ...

    def epoch(self, record: Record) -> None:
        """Note a line of the history."""
        ...

    def keep(self, state: State) -> None:
        """Keep the state, in place of the previous one."""
        ...

    def keep_predictions(self, predictions: Predictions) -> None:
        """Keep what the run predicted; called once, when its task has returned."""
        ...

    def own_folder(self, fresh: bool) -> Path:
        """Return the folder for the run's own files. fresh: the run begins, and finds none of an earlier try."""
        ...

    def stopping(self) -> bool:
        """Tell whether the run is asked to keep its state and stop."""
        ...


@dataclass
class Unrecorded:
    """Takes what a run reports, and keeps nothing. folder: for the run's own files."""

    folder: Path

    def resume(self) -> State | None:
        """Return nothing to resume from."""
        return None

    def started(self, environment: Mapping[str, Any], records: Sequence[Record]) -> None:
        """Take note of the machine."""

    def epoch(self, record: Record) -> None:
        """Take a line of the history."""

    def keep(self, state: State) -> None:
        """Take a state."""

    def keep_predictions(self, predictions: Predictions) -> None:
        """Take what was predicted."""

    def own_folder(self, fresh: bool) -> Path:  # noqa: ARG002  # it is empty
        """Return the folder."""
        return self.folder

    def stopping(self) -> bool:
        """Let the run go on."""
        return False
