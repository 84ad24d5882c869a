"""What is said of a component that is not found."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ablate.components.discover import discover
from ablate.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

DIM = """
from ablate import augmentation

@augmentation("dim-more")
def dim():
    return lambda images, generator: images / 2
"""
LOOK = """
from ablate.components.discover import discover
try:
    discover().get("augmentation", "dim-more")
except Exception as error:
    print(error)
"""
ELSEWHERE = 'name a file elsewhere in the study: plugins = ["noise.py"]'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def last_line(study: Path | None = None, *named: Path) -> str:
    with pytest.raises(InputError) as caught:
        discover(study, named).get("augmentation", "dim-more")
    return str(caught.value).splitlines()[-1]


def test_the_last_line_says_where_it_was_looked_for(here: Path) -> None:
    (here / "studies").mkdir()
    (here / "studies" / "plugins").mkdir()
    (here / "noise.py").write_text(DIM.replace("dim-more", "noise"))
    assert last_line() == f"looked in plugins/ (no such folder); {ELSEWHERE}"
    assert last_line(here / "studies" / "s.toml", here / "noise.py") == (
        f"looked in plugins/ (no such folder), studies/plugins/, noise.py; {ELSEWHERE}"
    )


@pytest.mark.parametrize(("before", "place"), [("", "the script look.py"), ("get_ipython = None\n", "a notebook cell")])
def test_a_component_of_a_notebook_cell_or_a_script_is_to_be_moved(here: Path, before: str, place: str) -> None:
    (here / "look.py").write_text(before + DIM + LOOK)
    done = subprocess.run([sys.executable, "look.py"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        f"unknown augmentation 'dim-more'; it is defined in {place}: move it to plugins/dim_more.py\naccepts affine"
    )
