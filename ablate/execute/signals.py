"""Ctrl-C and SIGTERM while runs are made: once to stop with everything kept, twice to stop at once."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Counts the signals that ask the command to stop, in place of what they do otherwise.

    on_first: called in the handler of the first one; the second raises KeyboardInterrupt.
    Outside the main thread, where Python allows no handlers, nothing is counted.
    """

    def __init__(self, on_first: Callable[[], None]) -> None:
        self.signal: int | None = None
        self._on_first = on_first
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned

    def stopping(self) -> bool:
        """Tell whether a signal has come."""
        return self.signal is not None

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the form of a handler
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        self._on_first()
