"""Rehearsals on this machine: each variant's run is built and takes one step, before any run starts.

All in one process, which is begun again after one that dies in it.
"""

from __future__ import annotations

import signal
import time
from multiprocessing import connection
from typing import TYPE_CHECKING

from .jobs import Job, Rehearsed, Tryout, rehearsed
from .processes import died, kill, make_rehearsals
from .server import start

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

REHEARSAL_SECONDS = 900.0
WAIT_SECONDS = 0.25


def rehearse(jobs: Sequence[Job]) -> Rehearsed:
    """Build each job's run and take one step, in a process of its own."""
    told: list[Tryout] = []
    left = {job.spec.variant: job for job in jobs}
    killed: set[str] = set()
    while left:
        process, ours = start(make_rehearsals, list(left.values()))
        try:
            reason = _hear(process, ours, told, jobs[0].limits.run_timeout)
        finally:
            kill(process)  # with whatever it has left running
        ours.close()
        if not reason:
            break
        # It died in the middle of one variant, and the others still have their turn; or it could not begin.
        begun = told[-1].variant if told and told[-1].begun else ""
        left = {name: job for name, job in left.items() if name not in {trial.variant for trial in told}}
        was_killed = process.exitcode == -signal.SIGKILL and reason == died(-signal.SIGKILL)
        if begun and begun not in killed and was_killed:
            killed.add(begun)  # from outside, it may be: once more
            left[begun] = next(job for job in jobs if job.spec.variant == begun)
            told.pop()
            continue
        told += [Tryout(variant, reason) for variant in ([begun] if begun else left)]
        if not begun:
            break
    return rehearsed(told)


def _hear(process: BaseProcess, ours: Connection, told: list[Tryout], limit: float | None) -> str:
    """Take down what a process tells of rehearsals; return why it ended before they were done, or "".

    limit: seconds that one rehearsal may take; REHEARSAL_SECONDS at most.
    """
    seconds = min(limit or REHEARSAL_SECONDS, REHEARSAL_SECONDS)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        connection.wait([ours, process.sentinel], timeout=WAIT_SECONDS)
        try:
            if ours.poll():
                trial = ours.recv()
                if trial is None:
                    return ""
                told.append(trial)
                until = time.monotonic() + seconds
                continue
        except (EOFError, OSError):
            process.join(timeout=10)
        if process.exitcode is not None:
            return died(process.exitcode)
    return f"its rehearsal, one step, took longer than {seconds:g} s"
