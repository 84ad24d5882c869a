"""Runs in this very process, one after the other: for tests, debuggers and notebooks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..errors import StoreError
from .jobs import BUSY_SECONDS, Busy, Halted, Rehearsed, Trial, never, rehearsed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .jobs import Event, Job, Stopping, Tell


class Inline:
    """Makes runs in the calling process. A crash here takes the caller with it."""

    def rehearse(self, jobs: Sequence[Job]) -> Rehearsed:
        """Build each job's run and take one step."""
        from .worker import rehearse_all

        told: list[Trial] = []
        rehearse_all(jobs, told.append)
        return rehearsed(told)

    def run(self, jobs: Sequence[Job], tell: Tell, stopping: Stopping = never) -> None:
        """Make all runs in order."""
        from .worker import work

        waiting = list(jobs)
        while waiting and not stopping():
            job = waiting.pop(0)
            odd: list[Busy | Halted] = []

            def note(event: Event, odd: list[Busy | Halted] = odd) -> None:
                odd.append(event) if isinstance(event, (Busy, Halted)) else tell(event)

            work(job, note, stopping)
            for event in odd:
                if isinstance(event, Halted):
                    raise StoreError(event.reason)
                waiting.append(job)
                time.sleep(BUSY_SECONDS)
