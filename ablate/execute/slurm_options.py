"""How runs are placed by Slurm: what a user asks for, as the options of `sbatch`, checked without asking Slurm."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import InputError, listing

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS = {
    "array": "runs become arrays by themselves, max_parallel says how many run at a time",
    "begin": "",
    "clusters": "the queue that is looked at is the one of this machine's cluster",
    "cpus-per-task": "it is cpus_per_run",
    "error": "what a run prints is in its folder",
    "input": "",
    "no-requeue": "",
    "nodes": "a run is made on one node",
    "ntasks": "a run is one task",
    "open-mode": "",
    "output": "what a run prints is in its folder",
    "parsable": "",
    "quiet": "",
    "requeue": "a run that loses its place is submitted again",
    "signal": "stop_before says how long before its time limit a run saves its state",
    "test-only": "",
    "wait": "",
    "wrap": "",
}
"""Options of sbatch that are set here, and what to use instead."""
_GPUS = ("gres", "gpus", "gpus-per-node", "gpus-per-task")
_NAME = re.compile(r"[a-z][a-z0-9-]*")
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<first>\d+)(?::(?P<second>\d+))?(?::(?P<third>\d+))?")


@dataclass(frozen=True)
class SlurmOptions:
    """What each run asks Slurm for.

    gpus_per_run: None for one where the command's device is a GPU, else none. max_parallel: how many runs at a time.
    stop_before: seconds before its time limit at which a run saves its state. options: of sbatch, by their long names.
    """

    cpus_per_run: int = 1
    gpus_per_run: float | None = None
    max_parallel: int = 32
    stop_before: int = 90
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", _checked(self.options))
        limit = self.options.get("time")
        seconds = seconds_of(limit) if limit is not None else None
        if seconds and seconds <= self.stop_before:  # 0 asks Slurm for no limit
            raise InputError(
                f"--executor slurm: the time limit {limit} is {seconds} s, and a run saves its state "
                f"{self.stop_before} s before it\n  give a longer time, or a shorter --with stop_before=SECONDS"
            )
        if self.gpus_per_run is not None and self.gpus_per_run != int(self.gpus_per_run):
            raise InputError(
                f"--gpus-per-run {self.gpus_per_run:g}: Slurm gives whole GPUs\n"
                "  for a share of one, where the cluster has them: --gpus-per-run 0 --with options.gres=shard:1"
            )

    @property
    def where(self) -> str:
        """Say where runs are made."""
        partition = self.options.get("partition")
        return f"Slurm ({partition})" if partition else "Slurm"

    def flags(self, gpus: int) -> dict[str, Any]:
        """Return the options of sbatch for one run, by name; True for one without a value. gpus: of the run."""
        flags: dict[str, Any] = {
            "job-name": "ablate",
            **self.options,
            "cpus-per-task": self.cpus_per_run,
            "ntasks": 1,
            "no-requeue": True,  # ablate decides what is tried again
            "signal": f"B:USR2@{self.stop_before}",
        }
        if gpus and not any(name in flags for name in _GPUS):
            flags["gres"] = f"gpu:{gpus}"
        return flags


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are set, by sbatch's names for them. Raises InputError for what cannot be given."""
    given = {name: value for name, value in options.items() if value != "" and value is not False}
    named = {name.replace("_", "-").removeprefix("--"): value for name, value in given.items()}
    problems = []
    for name, value in named.items():
        if name in OURS:
            problems.append(f"{name} cannot be given" + (f": {OURS[name]}" if OURS[name] else ""))
        elif not _NAME.fullmatch(name):
            problems.append(f"{name!r} is not the long name of an option")
        elif not isinstance(value, (str, int, float)) or not str(value).isprintable():
            problems.append(f"{name} is neither a text, a number nor true")
        elif name == "time" and seconds_of(value) is None:
            problems.append(f"time={value} is none that Slurm knows: MINUTES, HH:MM:SS or DAYS-HH:MM:SS")
    if problems:
        raise InputError("\n  ".join(["--executor slurm: options of sbatch", *problems]))
    return named


def seconds_of(time: object) -> int | None:
    """Return a time limit as Slurm writes it, in seconds; None for one that it does not know, or for no limit.

    Source: sbatch(1), --time: minutes, minutes:seconds, hours:minutes:seconds, and after days- hours, minutes, seconds.
    """
    found = _TIME.fullmatch(str(time))
    if found is None:
        return None
    parts = [int(part) for part in found.group("first", "second", "third") if part is not None]
    if found["days"] is not None:
        hours, minutes, seconds = [*parts, 0, 0][:3]
        return ((int(found["days"]) * 24 + hours) * 60 + minutes) * 60 + seconds
    hours, minutes, seconds = parts if len(parts) == 3 else [0, *parts, 0][:3]
    return (hours * 60 + minutes) * 60 + seconds


def arguments(flags: Mapping[str, Any]) -> list[str]:
    """Return options as they are given to a command."""
    return [f"--{name}" if value is True else f"--{name}={value}" for name, value in flags.items()]


def shown(flags: Mapping[str, Any]) -> str:
    """Say in short what a run asks for."""
    hidden = ("job-name", "ntasks", "no-requeue", "signal")
    return listing(part[2:] for part in arguments({k: v for k, v in flags.items() if k not in hidden}))
