"""The fault suite itself, briefly: studies that are killed lose nothing and end with the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "faults.py"
# Two kills, none after a minute: what else may happen takes as long as the machine needs, and ends.
BRIEFLY = ["--kills", "2", "--seconds", "60", "--seeds", "1", "--seed", "2"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the suite finds processes in /proc")
def test_killed_studies_lose_nothing_and_end_with_the_same_bits(folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ABLATE_DATA_DIR"}
    command = [sys.executable, str(SCRIPT), *BRIEFLY, "--workdir", str(folder / "faults")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    for what in ("runs lost", "runs trained twice to the end", "results that differ in any bit", "orphans"):
        assert rows[what].strip() == "0"
    assert rows["kills"].split()[0] in ("1", "2")
