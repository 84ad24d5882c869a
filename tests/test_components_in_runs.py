"""What components do in a run beside their work: what they raise, print and change."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ablate.execute.inline import Inline
from ablate.execute.jobs import Failed
from ablate.execute.local import LocalProcesses
from ablate.launch.jobs import jobs_of
from ablate.launch.study import Options, open_study
from ablate.store.store import Store
from ablate.study.toml import Changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.execute.jobs import Event, Job

    Write = Callable[[str, str], Path]

ODD = '''
import asyncio
import os
from ablate import augmentation

class Panic(BaseException):
    """As pyo3_runtime.PanicException."""

class Silent(Exception):
    def __str__(self):
        raise ValueError("in text")

ERRORS = {
    "panic": Panic("broken"),
    "cancelled": asyncio.CancelledError(),
    "interrupt": KeyboardInterrupt(),
    "exit": SystemExit(3),
    "surrogate": ValueError("bad name \\udcff.png"),
    "silent": Silent(),
}

@augmentation("odd")
def odd(*, how: str = "panic", after: int = 3):
    """Go wrong after a few batches."""
    calls = [0]

    def transform(images, generator):
        calls[0] += 1
        if calls[0] > after:
            raise ERRORS[how]
        return images

    return transform
'''


def jobs(study: Path, *settings: str) -> list[Job]:
    prepared = open_study(Options(study, Path("store").resolve(), Path("data"), Changes(settings, (0,))))
    prepared.home.make_writable()
    return jobs_of(prepared, prepared.specs[:1], 1)


REASONS = {
    "panic": "Panic: broken",
    "cancelled": "CancelledError",
    "interrupt": "KeyboardInterrupt",
    "exit": "SystemExit: 3",
    "surrogate": r"ValueError: bad name \udcff.png",
    "silent": "Silent: (its text raises ValueError)",
}


def test_whatever_a_component_raises_is_recorded_as_the_runs_failure(study: Path, write: Write) -> None:
    write("plugins/odd.py", ODD)
    told: list[Event] = []
    todo = [jobs(study, f'baseline.augmentation=[{{ use = "odd", how = "{how}" }}]')[0] for how in REASONS]
    LocalProcesses(2).run(todo, told.append)
    failed = {event.spec.key: event.reason for event in told if isinstance(event, Failed)}
    assert [failed[job.spec.key] for job in todo] == list(REASONS.values())
    for job in todo:
        failure = Store(job.store).run(job.spec.key).failure()
        assert failure is not None
        assert failure["reason"] == failed[job.spec.key]
        assert "odd.py" in failure["traceback"]


@pytest.mark.parametrize("how", REASONS)
def test_whatever_a_component_raises_in_its_rehearsal_is_told_with_its_line(
    study: Path, write: Write, how: str
) -> None:
    if how == "interrupt":
        pytest.skip("in this very process that is an interrupt")
    write("plugins/odd.py", ODD)
    todo = jobs(study, f'baseline.augmentation=[{{ use = "odd", how = "{how}", after = 0 }}]')
    (reason,) = Inline().rehearse(todo).failed.values()
    assert reason.startswith(REASONS[how])
    assert "plugins/odd.py:" in reason


def test_an_interrupt_in_this_very_process_stays_one(study: Path, write: Write) -> None:
    write("plugins/odd.py", ODD)
    todo = jobs(study, 'baseline.augmentation=[{ use = "odd", how = "interrupt" }]')
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run with it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            Inline().run(todo, lambda _: None)
    finally:
        signal.signal(signal.SIGINT, before)


LOUD = '''
import atexit
import os
import subprocess
import sys
import threading

from ablate import augmentation

print("PRINT at import")
os.write(1, b"WRITE at import\\n")
subprocess.run(["echo", "CHILD at import"])
atexit.register(lambda: print("PRINT at exit"))
atexit.register(lambda: os.write(1, b"WRITE at exit\\n"))

@augmentation("loud")
def loud():
    """Print."""
    print("PRINT in factory")

    def transform(images, generator):
        print("PRINT in a step")
        os.write(1, b"WRITE in a step\\n")
        return images

    return transform
'''


@pytest.mark.parametrize(
    "command", [pytest.param(["plan"], marks=pytest.mark.long), ["run", "--jobs", "1"], ["components"]]
)
def test_what_components_print_is_apart_from_a_commands_result(study: Path, write: Write, command: list[str]) -> None:
    write("plugins/loud.py", LOUD)
    name, *options = command
    asked = [] if name == "components" else [str(study), '--set=baseline.augmentation=[{ use = "loud" }]', "--seeds=1"]
    done = subprocess.run(
        [sys.executable, "-m", "ablate", name, *asked, *options, "--json"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    for text in ("PRINT at import", "WRITE at import", "CHILD at import", "PRINT at exit", "WRITE at exit"):
        assert text in done.stderr
    if name == "run":
        for text in ("PRINT in factory", "PRINT in a step", "WRITE in a step"):
            assert text in done.stderr


def test_a_results_place_is_as_before_once_a_command_is_done(study: Path) -> None:
    code = (
        "import sys\nfrom ablate.console import text\n"
        "with text.results_apart():\n    print('aside')\n    text.say('result')\nprint('after')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=os.sep)
    assert (done.stdout, done.stderr) == ("result\nafter\n", "aside\n")
