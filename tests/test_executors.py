"""Executors as components: found, listed, checked, made from what a command gives, and refused with the next step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ablate
from ablate.components.discover import discover
from ablate.errors import ComponentError, InputError
from ablate.execute.inline import Inline
from ablate.execute.local import LocalProcesses
from ablate.execute.placement import Placement, Resources
from ablate.launch.executors import Asked, made, settings_of
from tests.support import ablate as typed

Write = Callable[[str, str], Path]

MINE = '''
from ablate import Executor, executor, inline_executor


@executor("mine")
def mine(*, patience: int = 3, **_):
    """Wait for nothing."""
'''.replace(", **_", "")


def test_those_that_ship_are_listed_with_their_settings() -> None:
    names = {entry.name: [setting.name for setting in entry.settings] for entry in discover().entries("executor")}
    assert names["local"] == ["devices"]
    assert names["inline"] == []


def test_they_are_made_by_name() -> None:
    registry = discover()
    assert isinstance(made(Asked(), registry), LocalProcesses)
    assert isinstance(made(Asked("inline"), registry), Inline)


def test_a_plugin_of_the_users_adds_one_that_runs_a_study(study: Path, write: Write) -> None:
    write("plugins/mine.py", MINE + "    assert patience == 5\n    return inline_executor()\n")
    run = typed("run", study, "--executor", "mine", "--with", "patience=5", "--seeds", 1, "--no-report")
    assert run.exit_code == 0, run.output
    assert "2 runs, 0 stored, 2 to make (" in run.output
    assert "mine" in typed("components", "executor").stdout


@pytest.mark.parametrize("body", ["    return patience\n", "    return object\n"])
def test_what_is_no_executor_is_named_with_its_place(study: Path, write: Write, body: str) -> None:
    write("plugins/mine.py", MINE + body)
    with pytest.raises(ComponentError, match=r"mine\.py:\d+: executor 'mine' has no check, rehearse, run, close"):
        made(Asked("mine"), discover(study))


def test_one_that_raises_is_named_with_its_place(study: Path, write: Write) -> None:
    write("plugins/mine.py", MINE + "    raise ValueError(patience)\n")
    with pytest.raises(ComponentError, match=r"mine\.py:\d+: executor 'mine' raises ValueError: 3"):
        made(Asked("mine"), discover(study))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--executor", "locla"), "unknown executor 'locla'; did you mean 'local'?"),
        (("--with", "device=[0]"), "local has no setting 'device'; did you mean 'devices'?"),
        (("--with", "devices"), "--with devices: is not NAME=VALUE"),
        (("--with", "devices=[-1]"), "devices"),
        (("--devices", "0;1"), "--devices 0;1: is not a list of GPUs by their numbers"),
        (("--devices", "77"), "--devices 77: there is no GPU 77"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(study: Path, given: tuple[str, ...], said: str) -> None:
    for command in ("run", "tune"):
        refused = typed(command, study, *given)
        assert refused.exit_code == 2
        assert said in refused.output


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a = [0, 2]", [0, 2]),
        ("a=10.0.0.1:6379", "10.0.0.1:6379"),
        ("a=true", True),
        ("a=02:00:00", "02:00:00"),
        ("a=2026-01-31", "2026-01-31"),
    ],
)
def test_a_setting_is_read_as_a_study_writes_it_or_else_as_text(text: str, value: Any) -> None:
    assert settings_of([text]) == {"a": value}


def test_a_setting_that_is_a_table_can_be_given_key_by_key() -> None:
    assert settings_of(["a.b=1", "a.c=x", "d=2"]) == {"a": {"b": 1, "c": "x"}, "d": 2}
    with pytest.raises(InputError, match=r"--with a\.b: 'a' was given a value"):
        settings_of(["a=1", "a.b=2"])


def test_the_library_takes_an_executor_by_name_or_made(study: Path) -> None:
    class Counts(Inline):
        asked: Resources | None = None
        closed = 0

        def check(self, resources: Resources) -> Placement:
            self.asked = resources
            return super().check(resources)

        def close(self) -> None:
            self.closed += 1

    mine = Counts()
    study.write_text(study.read_text().replace("seeds = 2", "seeds = 1").replace("epochs = 2", "epochs = 1"))
    assert list(ablate.run(study, executor=mine).runs["state"]) == ["stored", "stored"]
    assert (mine.asked, mine.closed) == (Resources(2, "auto"), 1)
    assert isinstance(ablate.local_executor(devices=[0]), LocalProcesses)
    assert isinstance(ablate.inline_executor(), Inline)
    with pytest.raises(InputError, match="unknown executor 'slrum'"):
        ablate.run(study, executor="slrum")
