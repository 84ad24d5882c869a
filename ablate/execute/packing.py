"""How many runs are made at a time: a number that somebody gave, or on a GPU as many as that has time and memory for.

A small run leaves a GPU idle while it starts, evaluates, and between its kernels. Processes take turns on a GPU, so one
that is never idle makes no more progress with another process: the total rate has stopped rising.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gpu import Reading

FULL = 0.95
"""A GPU that is busy for this share of the time has none left for another run."""
GAIN = 0.03
"""By how much one more run has to raise that share; where it does not, something else is the limit."""
WINDOW_SECONDS, STEADY_SECONDS, LONGEST_WINDOW = 8.0, 20.0, 120.0
"""How long to look: at least the first; short runs until each has ended, since their starts count; long ones, of which
none ends, for the second; the third at most."""
READ_SECONDS = 0.5
MEMORY_MARGIN = 1.3
"""How much more memory than the hungriest run so far has to be free for another: the next may be larger."""

NEXT = "the next one"


class Packing:
    """Says whether there is room for another run, and learns from what it is told."""

    def __init__(
        self, most: int, read: Callable[[], Reading] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Allow `most` runs at a time; with a GPU to read one at first, and one more for as long as that helps."""
        self._most, self._read, self._clock = most, read, clock
        self.level = 1 if read else most
        self._idle_bytes = read().used_bytes if read else 0
        self._each = 0.0  # bytes of a run, the most that was seen
        self._newest = NEXT  # the run that a raise of the level brought, until it trains
        self._busy: list[float] = []
        self._ended = 0
        self._since = self._last = clock()
        self._before = -1.0  # how busy the GPU was with one run fewer

    def room(self, running: int) -> bool:
        """Tell whether another run may begin beside so many."""
        if self._read is None or not running:
            return running < self.level
        reading = self._seen(running)
        if running == self.level and self._seen_enough():
            self._judge()
        return running < self.level and reading.free_bytes >= MEMORY_MARGIN * self._each

    def began(self, key: str) -> None:
        """Take note of a run that begins."""
        if self._newest == NEXT:
            self._newest = key

    def heard(self, key: str, *, ended: bool = False) -> None:
        """Take note of a run that trains, or has ended."""
        self._ended += ended
        if key == self._newest:
            self._newest = ""
            self._begin_window()

    def fewer(self) -> None:
        """Allow one run fewer from now on: the last did not help, or memory ran out."""
        self.level = self._most = max(1, self.level - 1)
        self._before = -1.0

    def _seen(self, running: int) -> Reading:
        """Read the GPU; now and then it counts."""
        assert self._read is not None  # asked only where there is one
        reading, now = self._read(), self._clock()
        self._each = max(self._each, (reading.used_bytes - self._idle_bytes) / running)
        if not self._newest and now - self._last >= READ_SECONDS:
            self._last = now
            self._busy.append(reading.busy)
        return reading

    def _seen_enough(self) -> bool:
        """Tell whether a window is full."""
        seconds = self._clock() - self._since
        if self._newest or not self._busy or seconds < WINDOW_SECONDS:
            return False
        return self._ended > self.level or seconds >= (LONGEST_WINDOW if self._ended else STEADY_SECONDS)

    def _judge(self) -> None:
        """Allow another run where the GPU has time for it; where the last did not help, take it back for good."""
        busy = sum(self._busy) / len(self._busy)
        if busy < self._before + GAIN:
            self.fewer()
        elif busy < FULL and self.level < self._most:
            self._before = busy
            self.level += 1
            self._newest = NEXT
        else:  # the next runs may be smaller
            self._before = -1.0
        self._begin_window()

    def _begin_window(self) -> None:
        self._busy.clear()
        self._ended = 0
        self._since = self._last = self._clock()
