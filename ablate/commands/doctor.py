"""`ablate doctor`: what is wrong with this installation and machine, and what helps."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import TYPE_CHECKING

from ..console import text
from ..errors import printable
from ..training.disk import ANOTHER_FOLDER
from ..training.machine import cores
from . import checks, checks_machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .checks import Check

_COLOURS = {"ok": "32", "warning": "33", "problem": "31"}
_WIDE = len("dependencies")
_INDENT = " " * (len("problem") + 2 + _WIDE + 2)


def examine(store: Path, data: Path, as_json: bool = False) -> int:
    """Check everything that a run needs, print what was found as it comes, and return the exit code.

    store, data: the folders of runs and of datasets. Nothing is left behind in either.
    Returns 1 where a problem would stop a run, else 0.
    """
    found: list[Check] = []
    for check in _all(store, data):
        found.append(check)
        if not as_json:
            _say(check)
    if as_json:
        # ASCII, for here the output's encoding is itself in question.
        text.say(json.dumps([dataclasses.asdict(check) for check in found], indent=2))
    else:
        text.say(_sum(found))
    return 1 if any(check.state == "problem" for check in found) else 0


def _all(store: Path, data: Path) -> Iterator[Check]:
    yield from checks.guarded("python", lambda: [checks.python_check()])
    yield from checks.guarded("ablate", lambda: [checks.ablate_check()])
    yield from checks.guarded("dependencies", lambda: [checks.dependencies_check()])
    yield from checks.guarded("torch", checks.library_checks)
    yield from checks.guarded("machine", _machine)
    yield from checks.guarded("store", lambda: checks_machine.store_checks(store), checks_machine.ANOTHER_STORE)
    yield from checks.guarded("data folder", lambda: checks_machine.data_checks(data), ANOTHER_FOLDER)


def _machine() -> Iterator[Check]:
    granted = checks_machine.granted_cores()
    yield checks_machine.cores_check(cores(), granted)
    yield checks_machine.memory_check(checks_machine.total_bytes(), checks_machine.granted_bytes())
    yield checks_machine.threads_check(os.environ, min(cores(), granted or cores()))
    yield checks_machine.open_files_check(checks_machine.open_files_limit())
    yield checks_machine.output_check(sys.stdout.encoding)


def _say(check: Check) -> None:
    mark = f"{check.state:<7}"
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        mark = f"\x1b[{_COLOURS[check.state]}m{mark}\x1b[0m"
    first, *more = [_plain(line.strip()) for line in f"{check.found}\n{check.remedy}".strip().splitlines()]
    text.say(f"{mark}  {check.name:<{_WIDE}}  {first}")
    for line in more:
        text.say(_INDENT + line)
    sys.stdout.flush()


def _plain(line: str) -> str:
    """Return a line that any output can hold, with no control character in it: paths have what they like."""
    shown = printable(line)
    return shown.encode(sys.stdout.encoding or "ascii", "backslashreplace").decode(sys.stdout.encoding or "ascii")


def _sum(found: list[Check]) -> str:
    counts = {state: sum(check.state == state for check in found) for state in ("problem", "warning")}
    if not any(counts.values()):
        return "everything is in order"
    return ", ".join(f"{count} {state}{'' if count == 1 else 's'}" for state, count in counts.items())
