"""Who makes a trial, and whether that driver still lives: its process where it can be seen, its heartbeat elsewhere."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

from ..store.owner import DEAD_SECONDS, Owner, has_ended, this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

BEAT_SECONDS = 15.0
NAMELESS_SECONDS = 20.0
"""A trial that nobody has put a name to for so long was asked for by a driver that died at once."""


def new_owner() -> dict[str, Any]:
    """Return what this process signs its trials with, its heart not beaten yet."""
    return vars(this_process()) | {"beat": 0}


class Owners:
    """The owners of trials that have not ended, as this process (`me`) sees them over time."""

    def __init__(self, me: Mapping[str, Any]) -> None:
        self._me = me
        self._beats: dict[Hashable, tuple[Mapping[str, Any], float]] = {}

    def gone(self, trial: Hashable, owner: Mapping[str, Any], now: float | None = None) -> bool:
        """Tell whether the driver of a trial is gone: its process has ended, or its heart has stopped for a while.

        owner: as the trial has it now. now: the time by this machine's steady clock, which is read where it is not
        given.
        """
        with contextlib.suppress(KeyError, TypeError, ValueError):
            known = Owner(str(owner["host"]), str(owner["boot"]), int(owner["pid"]), str(owner["since"]))
            ours = all(owner[name] == self._me[name] for name in ("host", "boot", "pid"))
            if ours or (known.here and has_ended(known)):  # ours: of a driver before this one in the same process
                return True
        now = time.monotonic() if now is None else now
        beat, since = self._beats.setdefault(trial, (dict(owner), now))
        if beat != dict(owner):
            self._beats[trial] = dict(owner), now
            return False
        return now - since >= (DEAD_SECONDS if owner else NAMELESS_SECONDS)


@contextlib.contextmanager
def beating(beat: Callable[[int], None]) -> Iterator[None]:
    """Call `beat` with 1, 2, ... every BEAT_SECONDS from a thread of its own until this ends, whatever it raises."""
    over = threading.Event()

    def run() -> None:
        for number in itertools.count(1):
            if over.wait(BEAT_SECONDS):
                return
            with contextlib.suppress(Exception):  # the next beat may get through
                beat(number)

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)
