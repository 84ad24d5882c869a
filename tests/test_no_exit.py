"""A component that tries to end the process is an error that names its line; the user's Ctrl-C stays one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from ablate.cli import app
from ablate.components.no_exit import no_exit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str, str], Path]

ENDS = """
from ablate import augmentation

@augmentation("ends")
def ends():
    def apply(images, generator):
        raise {}
    return apply
"""
CONTRACT = """
from pathlib import Path
from ablate.testing import AugmentationContract

class TestEnds(AugmentationContract):
    component = "ends"
    plugin = Path("mine/ends.py")
"""
RAISED = pytest.mark.parametrize("raised", ["SystemExit(0)", "KeyboardInterrupt"])


@RAISED
def test_a_check_fails_where_the_component_would_end_the_process(write: Write, raised: str) -> None:
    write("plugins/ends.py", ENDS.format(raised))
    done = CliRunner().invoke(app, ["components", "check", "ends"])
    assert done.exit_code == 1
    assert f"plugins/ends.py:7: raises {raised.replace('(0)', ': 0')}\n" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 passed, 11 failed, 1 skipped"


@pytest.mark.parametrize("raised", ["SystemExit(0)", pytest.param("KeyboardInterrupt", marks=pytest.mark.long)])
def test_so_does_a_test_of_a_contract_class(write: Write, folder: Path, raised: str) -> None:
    write("mine/ends.py", ENDS.format(raised))
    write("test_mine.py", CONTRACT)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)
    assert done.returncode == 1
    assert "11 failed, 1 passed, 1 skipped" in done.stdout


def test_ctrl_c_stays_one() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), no_exit(), no_exit():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_stops_a_check(write: Write) -> None:
    write("plugins/ends.py", ENDS.format("__import__('os').kill(__import__('os').getpid(), 2)"))
    done = CliRunner().invoke(app, ["components", "check", "ends"])
    assert (done.exit_code, done.stderr) == (130, "\nstopped\n")


def test_where_nobody_can_tell_an_interrupt_is_the_users() -> None:
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        with pytest.raises(KeyboardInterrupt), no_exit():
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_plan_names_a_schedule_that_would_end_the_process(study: Path, write: Write) -> None:
    plugin = "import torch\nfrom ablate import scheduler\n\n@scheduler('ends', steps='epoch')\n"
    write("plugins/ends.py", f"{plugin}def ends(optimizer, horizon):\n    raise SystemExit(0)\n")
    done = CliRunner().invoke(app, ["plan", str(study), "--set", "baseline.scheduler.use=ends"])
    assert done.exit_code == 2
    assert "plugins/ends.py:6: raises SystemExit: 0" in done.stderr
