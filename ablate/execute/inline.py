"""Runs in this very process, one after the other: for tests, debuggers and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .jobs import Job, Tell


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

    def run(self, jobs: Sequence[Job], tell: Tell) -> None:
        """Make all runs in order."""
        from .worker import work

        for job in jobs:
            work(job, tell)
