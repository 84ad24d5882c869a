"""Started as a script: runs a program in a process group of its own, which ends with whoever started this.

`guardian.py STATUS PROGRAM ARGUMENT...`: standard input is a pipe that the starter holds. Once that closes, by whatever
death, all that the program started is killed. When the program ends, its exit code (minus a signal's number) is written
to the descriptor STATUS, and what it left running is killed. On Linux that includes processes in sessions of their own,
as torchrun starts. It imports nothing of ablate's, so that it starts at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
GENERATIONS = 1000


def _adopt() -> None:
    """Become the parent of what loses its own one below this process, so that `_end` finds it."""
    with contextlib.suppress(OSError, AttributeError):  # only Linux has it
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children() -> list[int]:
    found = []
    for place in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # its thread has ended
            found += [int(pid) for pid in place.read_text().split()]
    return found


def _end() -> None:
    """Kill all that was started, generation by generation, then the group with this process."""
    for _ in range(GENERATIONS):
        if not (children := _children()):
            break
        for pid in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
    os.killpg(0, signal.SIGKILL)


def _end_with_starter() -> None:
    while os.read(0, 1024):
        pass
    _end()


def main(status: int, command: list[str]) -> None:
    """Run a program, tell how it ended, and end what it started."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # they are for the program, which begins with the usual handlers
    _adopt()
    threading.Thread(target=_end_with_starter, daemon=True).start()
    try:
        told = str(subprocess.Popen(command, stdin=subprocess.DEVNULL).wait())  # noqa: S603  # the study names it
    except OSError as error:
        told = f"{command[0]}: {error.strerror}"
    os.write(status, told.encode())
    _end()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
