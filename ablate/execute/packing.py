"""How many runs are made at a time: a number that somebody gave, or on a GPU as many as that has time and memory for.

A small run leaves a GPU idle while it starts, evaluates, and between its kernels. Processes take turns on a GPU, so one
that is never idle makes no more progress with another process: the total rate has stopped rising.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .gpu import GONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gpu import Reading

FULL = 0.95
"""A GPU that is busy for this share of the time has none left for another run."""
WINDOW_SECONDS = 8.0
"""How long to look; the driver's own average is over less than a second."""
READ_SECONDS = 0.5
MEMORY_MARGIN = 1.3
"""How much more memory than a run takes on average has to be free for another: the next may be larger."""
NEXT = "the next one"


class Packing:
    """Says whether there is room for another run, and learns from what it is told."""

    def __init__(
        self, most: int, read: Callable[[], Reading] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Allow `most` runs at a time; with a GPU to read one at first, and one more for as long as it is idle."""
        self._most, self._read, self._clock = most, read, clock
        self.level = 1 if read else most
        self.too_large: set[str] = set()
        """Variants that were out of memory alone."""
        first = read() if read else GONE
        self._idle_bytes = first.used_bytes
        self._each = 0.0  # bytes of a run, the most of this window
        self._newest = NEXT  # the run that a raise of the level brought, until it trains
        self._busy: list[float] = []
        self._since = self._last = clock()

    def room(self, running: int) -> bool:
        """Tell whether another run may begin beside so many."""
        if self._read is None or not running:
            return running < self.level
        fits = self._seen(running).free_bytes >= MEMORY_MARGIN * self._each
        if running == self.level < self._most and self._has_time():
            self.level += 1
            self._newest = NEXT
        return running < self.level and fits

    def began(self, key: str) -> None:
        """Take note of a run that begins."""
        if self._newest == NEXT:
            self._newest = key

    def heard(self, key: str) -> None:
        """Take note of a run that trains, or has ended."""
        if key == self._newest:
            self._newest = ""
            self._begin_window()

    def fewer(self) -> None:
        """Allow one run fewer from now on: memory ran out."""
        self.level = self._most = max(1, self.level - 1)

    def _seen(self, running: int) -> Reading:
        """Read the GPU; now and then it counts."""
        assert self._read is not None  # asked only where there is one
        reading, now = self._read(), self._clock()
        if reading == GONE:
            return reading
        self._each = max(self._each, (reading.used_bytes - self._idle_bytes) / running)
        if not self._newest and now - self._last >= READ_SECONDS:
            self._last = now
            self._busy.append(reading.busy)
        return reading

    def _has_time(self) -> bool:
        """Tell at the end of a window whether the GPU was idle for part of it."""
        if self._newest or not self._busy or self._clock() - self._since < WINDOW_SECONDS:
            return False
        busy = sum(self._busy) / len(self._busy)
        self._begin_window()
        return busy < FULL

    def _begin_window(self) -> None:
        self._busy.clear()
        self._each = 0.0
        self._since = self._last = self._clock()
