"""A program in any language as a run: settings go into its arguments, and its metrics are read from what it prints."""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from ..errors import RunError, one_line, printable
from .program_settings import FOLDS, GIVEN, filled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..components.tasks import Run

LONGEST = 1_000_000
"""The longest line of standard output, in bytes: more is a program that never ends its line."""
GRACE_SECONDS = 10.0
"""How long a program may take to end after SIGTERM."""
LINGER_SECONDS = 5.0
"""How long standard output is read on that something holds open once the program has ended."""
MOST_LINES = 64
"""So many lines of standard output wait to be logged."""
MOST_PASSED_ON = 10_000_000
"""So many bytes of standard error are passed on: more is a program that would fill a disk."""
LAST_LINES = 5
"""So many of the last lines on standard error are told of a program that failed."""
POLL_SECONDS = 0.1
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_GUARDIAN = Path(__file__).with_name("guardian.py")


def run_program(
    run: Run,
    command: Sequence[str],
    settings: Mapping[str, Any],
    *,
    env: Mapping[str, str] = {},  # read only
    metrics_file: str = "",
    resume: bool = False,
) -> dict[str, float]:
    """Run a program to its end, logging what it measures, and return its result: metrics by name.

    It prints JSON objects, a line each: one with a "step" is logged, one without is the result, and one of "steps"
    alone says how many there will be. command, env: with placeholders, as `{lr}` for a setting, and those of GIVEN and
    FOLDS. metrics_file: in the run's folder; these lines are read from there once the program ends, and standard output
    is free. resume: the program goes on by itself, from what it finds in `{folder}`. It begins in the folder of the
    study. Raises RunError that says how it ended otherwise.
    """
    given = {name: getattr(run, name) for name in GIVEN if name != "python"} | {"python": sys.executable}
    values = {**{name: getattr(run, name, None) for name in FOLDS}, **settings, **given}
    made = [filled(part, values) for part in command]
    threads = dict.fromkeys(THREADS, str(run.threads))
    around = {**os.environ, **threads, **{name: filled(text, values) for name, text in env.items()}}
    place = run.folder / metrics_file if metrics_file else None
    if place and not resume:
        place.unlink(missing_ok=True)
    told = _Told(run, resume)
    with _Program(made, around, run.study_dir) as program:
        for text in program.lines(lambda: run.stop_wanted):
            if place is None:
                told.take(_object(text, "standard output"))
    if program.stopped:
        return {}  # the run was told to stop, and nothing of it is kept
    program.check(said=place is not None)
    for line in _written(place) if place else ():
        told.take(line)
    if not told.result:
        raise RunError(f"the program ended without a result: no line of it is without a step; {_FORM}")
    return told.result


class _Told:
    """What a program has told of a run so far. result: of its lines without a step."""

    def __init__(self, run: Run, resume: bool) -> None:
        self._run, self._resume = run, resume
        self._known = (run.restored() or {}).get("step", -1) if resume else -1
        if resume:
            run.save({"step": self._known})  # from here on what it leaves in its folder is kept
        self.result: dict[str, float] = {}

    def take(self, line: Mapping[str, Any]) -> None:
        """Log a line that has a step, and keep one that has none. Raises RunError for a result that was told before."""
        if line.keys() == {"steps"}:
            self._run.steps = line["steps"]
            return
        if "step" not in line:
            self._keep(line)
            return
        step = line["step"]
        if isinstance(step, int) and step <= self._known:
            return  # a resumed program may repeat its last steps
        self._run.log(step=step, metrics={name: value for name, value in line.items() if name != "step"})
        if self._resume:
            self._run.save({"step": step})

    def _keep(self, line: Mapping[str, Any]) -> None:
        for name, value in line.items():
            if name in self.result and self.result[name] != value:
                told = f"{one_line(repr(self.result[name]), 80)}, then {one_line(repr(value), 80)}"
                raise RunError(
                    f"the program gave {one_line(printable(name), 80)} twice as its result: {told}\n"
                    '  print it once, at the end; a line on the way has a step, as in {"step": 3, "validation/f1": 0.8}'
                )
            self.result[name] = value


_FORM = 'it prints one as in {"test/f1": 0.9}'


def _object(text: bytes, where: str) -> Mapping[str, Any]:
    """Return a line as a JSON object. Raises RunError for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        line = one_line(printable(text.decode(errors="replace").strip()), 120)
        what = f"{where} has a line that is no JSON object: {line!r}"
        raise RunError(f"{what}\n  print other text to standard error, or write metrics to a metrics_file")
    return found


def _written(place: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a metrics file: one, a list of them, or a line each."""
    try:
        content = place.read_bytes()
    except OSError as error:
        raise RunError(f"{place.name}: the program wrote no metrics file that can be read: {error.strerror}") from None
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, dict):
        yield whole
    elif isinstance(whole, list) and all(isinstance(one, dict) for one in whole):
        yield from whole
    else:
        yield from (_object(line, place.name) for line in content.splitlines() if line.strip())


class _Program:
    """A program under way, in a process group that ends with this process (see `guardian`)."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        self._command, self._env, self._folder = command, env, folder
        self._lines: queue.Queue[bytes | None] = queue.Queue(maxsize=MOST_LINES)
        self._errors: deque[str] = deque(maxlen=LAST_LINES)
        self._printed, self._status, self.stopped = False, "", False

    def __enter__(self) -> Self:
        self._read, write = os.pipe()
        words = [sys.executable, "-I", "-S", str(_GUARDIAN), str(write), *self._command]
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        try:
            self._guardian = subprocess.Popen(  # noqa: S603  # the study names it
                words, **pipes, env=dict(self._env), cwd=self._folder, start_new_session=True, pass_fds=[write]
            )
        except OSError as error:  # its folder is not there on this machine
            os.close(self._read)
            raise RunError(f"the program could not be started: {error.filename}: {error.strerror}") from None
        finally:
            os.close(write)
        assert self._guardian.stdout is not None
        assert self._guardian.stderr is not None
        self._readers = [
            threading.Thread(target=self._take, args=(self._guardian.stdout,), daemon=True),
            threading.Thread(target=self._pass_on, args=(self._guardian.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._guardian.stdin is not None
        self._guardian.stdin.close()  # which has the guardian kill all that it started
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._guardian.wait(GRACE_SECONDS)
        self._signal(signal.SIGKILL)
        self._guardian.wait()
        with os.fdopen(self._read, "rb") as status:
            self._status = status.read().decode(errors="replace")
        until = time.monotonic() + LINGER_SECONDS  # something out of reach may hold its pipes
        while self._readers[0].is_alive() and time.monotonic() < until:  # it may wait for room in the queue
            with contextlib.suppress(queue.Empty):
                self._lines.get(timeout=POLL_SECONDS)
        self._readers[1].join(max(0.0, until - time.monotonic()))
        for reader, pipe in zip(self._readers, (self._guardian.stdout, self._guardian.stderr), strict=True):
            if pipe and not reader.is_alive():
                pipe.close()

    def lines(self, stop_wanted: Callable[[], bool]) -> Iterator[bytes]:
        """Yield the lines of standard output until the program ends; where a stop is wanted, end it first."""
        until = math.inf
        while time.monotonic() < until:
            if not self.stopped and stop_wanted():
                self.stopped, until = True, time.monotonic() + GRACE_SECONDS
                self._signal(signal.SIGTERM)
            try:
                line = self._lines.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if self._guardian.poll() is not None:
                    until = min(until, time.monotonic() + LINGER_SECONDS)
                continue
            if line is None:  # it may have closed its standard output and go on
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._guardian.wait(POLL_SECONDS)
                    return
                self._lines.put(None)
                continue
            if len(line) > LONGEST:
                raise RunError(f"standard output has a line of more than {LONGEST:,} bytes")
            if line.strip() and not self.stopped:
                self._printed = True
                yield line

    def check(self, said: bool) -> None:
        """Raise RunError unless the program ended well. said: it need not print anything."""
        told = "; ".join(self._errors)
        last = f"; its last words: {one_line(printable(told), 300)}" if told else ""
        if not re.fullmatch(r"-?\d+", self._status):
            if not self._status:
                raise RunError(f"the program was killed with its whole process group{last}")
            raise RunError(f"the program could not be started: {self._status}")
        code = int(self._status)
        if code < 0:
            raise RunError(f"the program was ended by {_signal_name(-code)}{last}")
        if code:
            raise RunError(f"the program ended with exit code {code}{last}")
        if not said and not self._printed:
            raise RunError(f"the program ended without a result: it printed nothing on standard output; {_FORM}{last}")

    def _take(self, pipe: IO[bytes]) -> None:
        while line := pipe.readline(LONGEST + 1):
            self._lines.put(line)
            if len(line) > LONGEST:
                break
        self._lines.put(None)

    def _pass_on(self, pipe: IO[bytes]) -> None:
        room = MOST_PASSED_ON
        while line := pipe.readline(LONGEST):
            text = line.decode(errors="replace")
            self._errors.append(text.strip())
            if room > 0:
                room -= len(line)
                more = "" if room > 0 else "\nwhat the program says further on standard error is left out\n"
                with contextlib.suppress(OSError, ValueError):  # else the program would wait for a reader for ever
                    sys.stderr.write(text + more)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guardian.pid, number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"
