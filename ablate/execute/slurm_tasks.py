"""What Slurm's jobs do: make one attempt and tell of it, or rehearse a study. submitit calls these on the node.

The job is this very process (the batch script becomes it), so that Slurm's early warning comes to it alone, and not to
what a run has forked.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from ..errors import DeviceError
from .attempts import STOP_SECONDS, WorkerExited
from .mailbox import append, code_in
from .notices import Silence
from .rehearsals import rehearse
from .relay import Errand, Taking, at_home, misplaced, not_taken, own_version, relayed
from .server import own_server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import FrameType

    from .jobs import Job, RehearsalReport

WARNINGS = {
    signal.SIGUSR2: Taking("its time limit in Slurm was near"),  # Slurm ends the job when it is over
    signal.SIGTERM: Taking("Slurm asked its job to end", STOP_SECONDS),
}
"""The signals that say that the job's place will be taken: of `sbatch --signal`, and of scancel and preemption."""
NO_DRIVER = Taking("its command was gone", STOP_SECONDS)


def attempt(errand: Errand, code: Path, letters: Path) -> None:
    """Make an attempt and tell of it. code: the file of its plugins' code. letters: the file that takes its news."""
    taken = _taken(errand)
    if os.environ.get("SLURM_RESTART_COUNT", "0") != "0":
        append(letters, WorkerExited("Slurm began its job once more, which is the command's to decide", taken=True))
        return
    with own_server():
        for news in relayed(at_home(errand, code_in(code)), _place(), own_version(), taken):
            append(letters, news)


def rehearsals(jobs: Sequence[Job], errand: Errand) -> RehearsalReport | DeviceError | str:
    """Rehearse jobs; return why that cannot be done here, if so."""
    if why := misplaced(errand, own_version()):
        return why
    for number in WARNINGS:
        signal.signal(number, signal.SIG_DFL)
    with own_server():
        try:
            return rehearse(jobs)
        except DeviceError as error:
            return error


def _taken(errand: Errand) -> Callable[[], Taking]:
    """Listen to what Slurm warns of; return what tells whether this place is about to be taken from the attempt."""
    came: list[Taking] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the form of a handler
        came.append(WARNINGS[signal.Signals(number)])

    for number in WARNINGS:
        signal.signal(number, note)
    silence = Silence(errand.notices)
    return lambda: came[-1] if came else NO_DRIVER if silence.lasts() else not_taken()


def _place() -> str:
    """Return what an attempt shares memory in: its node, and its GPUs where it has some."""
    return " ".join(os.environ.get(name, "") for name in ("SLURMD_NODENAME", "SLURM_JOB_GPUS")).strip()
