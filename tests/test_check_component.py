"""`ablate components check`: a line for each check, and an exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from ablate.cli import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Write = Callable[[str, str], Path]

BRIGHT = """
from ablate import augmentation

@augmentation("bright")
def bright(*, more: float = 0.25):
    return lambda images, generator: images + more
"""


def check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["components", "check", *arguments])


def test_every_check_has_a_line(folder: Path) -> None:
    done = check("cutout")
    assert done.exit_code == 0
    head, *lines, counts = done.stdout.splitlines()
    assert head.startswith("augmentation cutout   ")
    assert "  passed   every memory layout gives the same pixels" in lines
    assert lines[lines.index("  skipped  partners and shares fit the batch") + 1] == f"{'':11}it does not mix images"
    assert counts == "12 passed, 1 skipped"


def test_a_check_that_fails_says_why_and_the_exit_code_is_1(write: Write) -> None:
    write("plugins/bright.py", BRIGHT)
    done = check("bright")
    assert done.exit_code == 1
    assert "augmentation bright   plugins/bright.py:4\n" in done.stdout
    assert "  failed   it keeps pixels finite and in range\n           makes pixels from 0.25 to 1.25; " in done.stdout
    assert done.stdout.splitlines()[-1] == "9 passed, 1 failed, 3 skipped"


def test_settings_and_shape_are_those_that_are_given(write: Write) -> None:
    write("plugins/bright.py", BRIGHT)
    assert check("bright", "--set", "more=0.0", "--shape", "1x4x6").exit_code == 0


def test_a_file_outside_a_plugins_folder_is_named(write: Write) -> None:
    write("bright.py", BRIGHT)
    write("more/dark.py", BRIGHT.replace("bright", "dark"))
    plugins = ("--plugin", "bright.py", "--plugin", "more")
    assert [check(name, "--set", "more=0.0", *plugins).exit_code for name in ("bright", "dark")] == [0, 0]
    assert "looked in plugins/ (no such folder), bright.py, more/; name a" in check("brigt", *plugins).stderr


def test_json_has_every_check(write: Write) -> None:
    write("plugins/bright.py", BRIGHT)
    done = check("augmentation:bright", "--json")
    document = json.loads(done.stdout)
    assert (document["kind"], document["name"], document["place"]) == ("augmentation", "bright", "plugins/bright.py:4")
    assert [one["fact"] for one in document["checks"] if one["outcome"] == "failed"] == [
        "it keeps pixels finite and in range"
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["cutot"], "unknown component 'cutot'; did you mean 'cutout'?"),
        (["model:cutout"], "unknown model 'cutout'"),
        (["timm:resnet19"], "timm has no model 'resnet19'; did you mean 'resnet1"),
        (["rotate"], "rotate needs a value for 'degrees'"),
        (["cutout", "--set", "sise=3"], "cutout has no setting 'sise'; did you mean 'size'?"),
        (["nois"], "looked in plugins/ (no such folder); name a file elsewhere with --plugin FILE"),
        (
            ["noise.py"],
            "noise.py: is a file; name a component that it registers\n  ablate components check NAME --plugin",
        ),
        (["cutout", "--set", "size"], "--set size: is not NAME=VALUE, as in size=8"),
        (["cutout", "--shape", "28x28"], "--shape 28x28: is not CxHxW, as in 1x28x28"),
    ],
)
def test_what_cannot_be_checked_is_an_error_with_the_nearest_name(
    folder: Path, arguments: list[str], text: str
) -> None:
    done = check(*arguments)
    assert done.exit_code == 2
    assert text in done.stderr
    assert done.stdout == ""


def test_a_name_of_several_kinds_is_asked_for_with_its_kind(write: Write) -> None:
    write("plugins/bright.py", BRIGHT.replace("bright", "adam"))
    done = check("adam")
    assert done.exit_code == 2
    assert "'adam' names components of 2 kinds\n  write one of augmentation:adam, optimizer:adam" in done.stderr
    assert check("augmentation:adam").exit_code == 1


@pytest.mark.parametrize("arguments", [[], ["model"], ["model", "simple-cnn"], ["--json"], ["scheduler", "torch:"]])
def test_show_may_be_left_out(folder: Path, arguments: list[str]) -> None:
    shown, same = (CliRunner().invoke(app, ["components", *first, *arguments]) for first in ([], ["show"]))
    assert shown.exit_code == same.exit_code == 0
    assert shown.stdout == same.stdout != ""
