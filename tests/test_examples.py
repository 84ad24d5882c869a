"""The reports under docs/examples are what their report.json gives today."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import contents

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
REFRESH = runpy.run_path(str(EXAMPLES / "refresh.py"))
FOLDERS: list[Path] = REFRESH["examples"]()


@pytest.mark.parametrize("example", FOLDERS, ids=lambda folder: folder.name)
def test_an_example_is_what_its_json_gives(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # away from a user's templates
    refresh: Callable[[Path, Path], None] = REFRESH["refresh"]
    refresh(example, tmp_path / "made")
    made, kept = contents(tmp_path / "made"), contents(example)
    made |= {name: page for name, page in kept.items() if name not in made and name.endswith(".md")}  # words of ours
    changed = [name for name in sorted(made | kept) if made.get(name) != kept.get(name)]
    assert changed == [], "run: python docs/examples/refresh.py"


def test_there_is_an_example_and_none_is_large() -> None:
    assert "digits" in [folder.name for folder in FOLDERS]
    for folder in FOLDERS:
        assert sum(map(len, contents(folder).values())) < 3_000_000, folder
