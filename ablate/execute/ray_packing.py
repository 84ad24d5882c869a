"""How many runs a cluster has room for, as its nodes come and go."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .packing import Packing

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_SECONDS = 5.0


class ClusterRoom(Packing):
    """Allows as many runs at a time as a cluster has slots for, so that few wait in its queue, or a given number.

    Tuning asks for its next trial only when there is room for it, and so knows all results there are by then.
    """

    def __init__(
        self, slots: Callable[[], int], most: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slots, self._given, self._fewer = slots, most, 0
        super().__init__(most or max(1, slots()), clock=clock)
        self._look = clock()

    def room(self, running: int) -> bool:
        """Tell whether another run may be submitted beside so many."""
        if self._given is None and self._clock() - self._look >= LOOK_SECONDS:
            self._look = self._clock()
            self.level = max(1, self._slots() - self._fewer)
        return running < self.level

    def reduce(self) -> None:
        """Allow one run fewer from now on: memory ran out."""
        self._fewer += 1
        super().reduce()
