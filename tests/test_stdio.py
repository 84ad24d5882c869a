"""Standard output and error that are closed, full, gone, or without some of our signs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ablate.store.store import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shells differ")
ABLATE = f"{sys.executable} -m ablate"


def shell(command: str, **environment: str) -> tuple[int, str]:
    """Return the exit code of a command and what it said on the streams that are left open."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, env={**os.environ, **environment}
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        pytest.param("components >&-", 0, "", marks=pytest.mark.long),
        pytest.param("components 2>&-", 0, "simple-cnn", marks=pytest.mark.long),
        ("components >&- 2>&- <&-", 0, ""),
        pytest.param("status nosuch 2>&-", 2, "", marks=pytest.mark.long),
        ("status nosuch 2>/dev/full", 2, ""),
        ("components >/dev/full", 1, "error: standard output: No space left on device\n"),
        ("--help >/dev/full", 1, "error: standard output: No space left on device\n"),
        pytest.param("components | true", 141, "", marks=pytest.mark.long),
        ("components --json | head -n 1", 141, "{"),
    ],
)
def test_a_stream_that_takes_nothing_ends_in_no_traceback(folder: Path, command: str, code: int, text: str) -> None:
    found, told = shell(f"{ABLATE} {command}")
    if "|" in command:  # the reader may be too slow in going away
        assert found in (0, code)
    else:
        assert found == code
    assert "Traceback" not in told
    assert "Exception ignored" not in told
    assert text in told if text else not told


@pytest.mark.long
def test_runs_go_on_where_the_streams_are_closed_and_nothing_is_written_into_a_file_instead(study: Path) -> None:
    code, told = shell(f"{ABLATE} run {study} --device cpu --jobs 1 --set baseline.epochs=1 2>&- >&-")
    assert (code, told) == (0, "")
    documents = [json.loads(file.read_text()) for file in Path("ablate-store").rglob("*.json")]
    assert len(documents) > 8  # two for each of four runs, and the store's own


@pytest.mark.long
def test_runs_go_on_where_what_is_said_of_them_cannot_be_written(study: Path) -> None:
    code, _ = shell(f"{ABLATE} run {study} --device cpu --jobs 1 2>/dev/full")
    assert code == 0


def test_signs_of_ours_have_a_plain_form_and_others_stay_readable(folder: Path) -> None:
    code = (
        "import sys, json; from ablate import stdio; from ablate.console import text; stdio.prepare()\n"
        "text.say(text.table(['Größe'], [['±1 – 2…']])); text.note('→ é'); text.say_json({'a': 'ä🚀'})"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stderr == "-> \\u00e9\n"
    head, rule, row, *document = done.stdout.splitlines()
    assert head == "Gr\\u00f6\\u00dfe"
    assert set(rule) == {"-"}
    assert row == "+/-1 - 2..."
    assert json.loads("\n".join(document)) == {"a": "ä🚀"}


def test_a_terminal_that_goes_away_stops_the_command_with_all_kept(study: Path) -> None:
    command = [sys.executable, "-m", "ablate", "run", str(study), "--device", "cpu", "--jobs", "1"]
    command += ["--set", "baseline.epochs=100000", "--set", "study.checkpoint_seconds=1000"]
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    signal.signal(signal.SIGHUP, before)
    with running:
        assert running.stderr is not None
        while b"start " not in running.stderr.readline():
            assert running.poll() is None
        while not any(file.stat().st_size for file in Path("ablate-store/runs").glob("*/history.jsonl")):
            assert running.poll() is None
            time.sleep(0.05)
        running.stderr.close()
        os.killpg(running.pid, signal.SIGHUP)  # to the command, and to the server of its runs
        assert running.wait(timeout=60) == 128 + signal.SIGHUP
    store = Store(Path("ablate-store"))
    assert any(store.run(one.name).checkpoint.exists() for one in Path("ablate-store/runs").iterdir())
