"""Runs in this very process, one after the other: for tests, debuggers and notebooks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .jobs import BUSY_SECONDS, Busy, never

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .jobs import Event, Job, Stopping, Tell


class Inline:
    """Makes runs in the calling process. A crash here takes the caller with it."""

    def rehearse(self, jobs: Sequence[Job]) -> dict[str, str]:
        """Build each job's run and take one step; return what failed, by variant."""
        from .worker import rehearse_all

        failed: dict[str, str] = {}

        def note(told: tuple[str, str | None]) -> None:
            if told[1] is not None:
                failed[told[0]] = told[1]

        rehearse_all(jobs, note)
        return failed

    def run(self, jobs: Sequence[Job], tell: Tell, stopping: Stopping = never) -> None:
        """Make all runs in order."""
        from .worker import work

        waiting = list(jobs)
        while waiting and not stopping():
            job = waiting.pop(0)
            busy: list[Event] = []

            def note(event: Event, busy: list[Event] = busy) -> None:
                busy.append(event) if isinstance(event, Busy) else tell(event)

            work(job, note, stopping)
            if busy:
                waiting.append(job)
                time.sleep(BUSY_SECONDS)
