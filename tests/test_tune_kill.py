"""A tuning that is killed goes on: the long form is benchmarks/tune_faults.py, run here briefly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "tune_faults.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the script finds processes in /proc")
def test_a_tuning_that_is_killed_ends_with_every_trial_once(folder: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--kills", "2", "--trials", "5", "--seed", "1"]
    done = subprocess.run([*command, "--workdir", str(folder / "faults")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line[:40].strip(): line[40:].strip() for line in done.stdout.splitlines()}
    assert rows["kills"].split()[0] == "2"
    assert rows["trials"].startswith("10 of 2 x 5 ")
    assert {what: count for what, count in rows.items() if what.startswith(("trials ", "a best", "processes"))} == {
        "trials missing or too many": "0",
        "trials told twice": "0",
        "trials changed after they ended": "0",
        "trials still running": "0",
        "trials that differ from their run": "0",
        "a best that its history does not say": "0",
        "processes left": "0",
    }
