"""What is asked of Slurm by its commands: whether a job could be placed, how all of ours are doing, to cancel some.

One call of squeue for all jobs, not one for each: it answers from the controller, without accounting (sacct), and knows
how a job ended for as long as the controller remembers it (MinJobAge, five minutes by default).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import AblateError, InputError, listing, one_line
from .slurm_options import arguments, seconds_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "srun")
"""What has to be on the machine that submits; submitit looks for srun, and does not call it."""
ANSWER_SECONDS = 60.0
"""How long a command of Slurm may take; it waits for a busy controller by itself."""
TAKEN = ("BOOT_FAIL", "CANCELLED", "DEADLINE", "NODE_FAIL", "PREEMPTED", "REVOKED", "TIMEOUT")
"""How jobs end that Slurm or somebody else ended."""
ENDED = (*TAKEN, "COMPLETED", "FAILED", "OUT_OF_MEMORY")
GONE = "GONE"
_NEVER = (
    "BadConstraints",
    "DependencyNeverSatisfied",
    "InvalidAccount",
    "InvalidQOS",
    "PartitionNodeLimit",
    "PartitionTimeLimit",
)
"""What Slurm says of jobs that wait for ever; beside these, limits for each job, as QOSMaxWallDurationPerJobLimit."""
_AWAY = ("Unable to contact", "timed out", "Connection refused", "Socket", "communication", "controller")
"""Words of a controller that does not answer."""


@dataclass(frozen=True)
class Seen:
    """A job as the queue has it. state: in Slurm's words, GONE where the queue has forgotten it. reason: of waiting."""

    state: str = GONE
    reason: str = ""
    node: str = ""

    @property
    def ended(self) -> bool:
        """Tell whether it has ended, with all its processes."""
        return self.state in (*ENDED, GONE)

    @property
    def taken(self) -> bool:
        """Tell whether Slurm or somebody else ended it."""
        return self.state in TAKEN

    @property
    def never(self) -> bool:
        """Tell whether it waits for what cannot come."""
        return self.state == "PENDING" and (self.reason in _NEVER or "PerJob" in self.reason)

    @property
    def words(self) -> str:
        """Say how it ended."""
        how = "is not in the queue any more" if self.state == GONE else f"ended as {self.state}"
        return how + (f" on {self.node}" if self.node else "")


def check(flags: Mapping[str, Any]) -> None:
    """Have Slurm say whether a job could ever be placed; nothing is submitted. Raises InputError where it could not."""
    if shutil.which("sbatch") is None:
        raise InputError(
            "--executor slurm: there is no sbatch on this machine\n"
            "  run the command where jobs are submitted, on a login node of the cluster"
        )
    tried = _asked("sbatch", "--test-only", *arguments(flags), "--wrap=true")
    if tried.returncode:
        said = _said(tried)
        if any(word in said for word in _AWAY) and "allocation failure" not in said:
            raise AblateError(
                f"--executor slurm: Slurm does not answer: {said}\n  'scontrol ping' says whether it is up"
            )
        raise InputError(
            f"--executor slurm: Slurm would never start a run: {said}\n"
            f"  asked for: {shown(flags)}\n"
            "  'sinfo' says what there is; ask for less, or name another partition: --slurm partition=NAME"
        )
    _check_time(flags)


def _check_time(flags: Mapping[str, Any]) -> None:
    """Raise InputError for a time limit that is longer than the partition's, which Slurm takes and never starts."""
    asked = seconds_of(flags.get("time", ""))
    named = str(flags.get("partition", ""))
    if asked is None:
        return
    told = _asked("sinfo", "--noheader", "--format=%R|%P|%l", *([f"--partition={named}"] if named else []))
    rows = [line.split("|") for line in told.stdout.splitlines() if line.count("|") == 2]
    limits = {name: limit for name, shown, limit in rows if named or shown.endswith("*")}
    longest = {name: seconds_of(limit) for name, limit in limits.items()}
    if longest and all(limit is not None and limit < asked for limit in longest.values()):
        most = listing(f"partition {name} ({limit})" for name, limit in limits.items())
        raise InputError(
            f"--executor slurm: Slurm would never start a run: time={flags['time']} is longer than {most} allows\n"
            "  ask for less: a run that needs longer goes on from its checkpoint"
        )


def look() -> dict[str, Seen] | None:
    """Return this user's jobs by their id, ARRAY_TASK for one of an array; None where Slurm does not answer."""
    told = _asked("squeue", "--me", "--array", "--noheader", "--states=all", "--format=%i|%T|%r|%N")
    if told.returncode:
        return None
    rows = [line.split("|") for line in told.stdout.splitlines() if line.count("|") == 3]
    return {name: Seen(state, reason, node) for name, state, reason, node in rows}


def cancel(jobs: Iterable[str]) -> None:
    """Cancel jobs: one that runs gets SIGTERM, and after a while (KillWait) SIGKILL. Those that have ended are left."""
    named = list(jobs)
    if named:
        _asked("scancel", "--quiet", *named)


def version() -> str:
    """Return what Slurm's commands on this machine are called and their version, "" without any."""
    return _asked("sbatch", "--version").stdout.strip() if shutil.which("sbatch") else ""


def _asked(*command: str) -> subprocess.CompletedProcess[str]:
    """Call a command of Slurm, out of reach of the terminal's Ctrl-C.

    A user's own view of the queue (SQUEUE_PARTITION and the like) would hide jobs from us.
    """
    shown = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    try:
        return subprocess.run(  # noqa: S603
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=ANSWER_SECONDS,
            start_new_session=True,
            env={**shown, "SLURM_TIME_FORMAT": "standard"},
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "timed out")
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _said(told: subprocess.CompletedProcess[str]) -> str:
    """Return what a command said of its failure, in one line."""
    lines = [line.strip().removeprefix("sbatch: error: ") for line in told.stderr.splitlines() if line.strip()]
    return one_line("; ".join(line for line in lines if not line.startswith("Try ")), 300) or "it does not say why"
