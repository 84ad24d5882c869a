"""The command line itself: what a shell completes, and how commands end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ablate.cli import app
from ablate.launch.record import make_writable, record
from ablate.launch.study import Options, open_study


def completed(line: str, shell: str = "bash") -> list[str]:
    """Return what a shell is offered for the last word of a line."""
    words = line.split(" ")
    place = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    place |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = CliRunner().invoke(app, [], prog_name="ablate", env={"_ABLATE_COMPLETE": f"complete_{shell}", **place})
    assert done.exit_code == 0
    return [line for line in done.stdout.split("\n") if line]


@pytest.fixture
def recorded(study: Path) -> Path:
    """The tiny study, recorded in the store, with a variant whose name has a blank."""
    study.write_text(study.read_text().replace('name = "flipped"', 'name = "as flipped"'))
    opened = open_study(Options(study, Path("ablate-store").resolve(), Path("data")))
    make_writable(opened)
    record(opened)
    return study


def test_commands_and_study_files_are_completed(recorded: Path) -> None:
    assert completed("ablate pl") == ["plan"]
    assert completed("ablate plan studies/") == ["studies/tiny.toml"]
    assert completed("ablate plan st") == ["studies/"]


def test_studies_in_the_store_are_completed_by_name(recorded: Path) -> None:
    assert completed("ablate report ti") == ["tiny"]


@pytest.mark.parametrize("line", ["ablate status tiny a", "ablate run studies/tiny.toml --only a"])
def test_variants_are_completed_of_the_study_that_is_named(recorded: Path, line: str) -> None:
    assert completed(line) == [r"as\ flipped"]
    assert completed(line, "fish") == ["as flipped"]


def test_variants_of_a_design_are_completed(recorded: Path) -> None:
    factors = "[factor.a]\nset = { epochs = 3 }\n[factor.b]\nset = { ema = 0.5 }\n"
    recorded.write_text(f'{recorded.read_text()}{factors}[design]\nkind = "ladder"\n')
    assert completed("ablate run studies/tiny.toml --only a", "fish") == ["a", "a + b", "as flipped"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "variant = 3",
        "[[variant]]\nname = 3",
        "baseline = 1",
        "\udcff",
        "name = [",
        "design = 1",
        "[design]\nkind=1",
    ],
)
def test_what_does_not_read_completes_to_nothing(recorded: Path, text: str) -> None:
    recorded.write_bytes(text.encode(errors="surrogateescape"))
    assert completed("ablate run studies/tiny.toml --only a") == []
    assert completed("ablate run nowhere.toml --only a") == []
    Path("ablate-store/studies/tiny.json").write_text(text.replace("\udcff", "x"))
    assert completed("ablate report ti") == []


def test_completion_loads_nothing_slow(recorded: Path) -> None:
    code = (
        "import os, sys\nos.environ.update(_ABLATE_COMPLETE='complete_bash', COMP_WORDS='ablate status ti', "
        "COMP_CWORD='2')\nfrom ablate.cli import app\ntry:\n    app(prog_name='ablate')\nexcept SystemExit:\n    pass\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'numpy', 'pandas', 'scipy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["tiny", "[]"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_have_a_script_for_it(shell: str) -> None:
    done = CliRunner().invoke(app, [], prog_name="ablate", env={"_ABLATE_COMPLETE": f"source_{shell}"})
    assert done.exit_code == 0
    assert f"_ABLATE_COMPLETE=complete_{shell}" in done.stdout
