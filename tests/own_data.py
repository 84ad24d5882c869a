"""What the tests of the user's own data share: datasets as a study names them, and parts of real photos."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from sklearn.datasets import load_sample_images

from ablate.components.discover import discover
from ablate.testing.checks import all_checks
from ablate.testing.subject import subject_of

if TYPE_CHECKING:
    from ablate import Source


@lru_cache
def entry_of(name: str) -> Any:
    """Return a shipped dataset; found once, since finding plugins takes longer than most of these tests."""
    return discover().get("dataset", name)


def source(name: str, folder: Path, **settings: Any) -> Source:
    entry = entry_of(name)
    checked = entry.check({key: str(value) if isinstance(value, Path) else value for key, value in settings.items()})
    assert not checked.problems
    built: Source = entry.build(folder / "data", settings=checked.settings)
    return built


def contract(name: str, folder: Path, **settings: Any) -> dict[str, str]:
    """Return what the contract's checks found that did not pass."""
    given = {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
    subject = subject_of(entry_of(name), given, folder / "data")
    subject.build(subject.folder).prepare()
    return {check.fact: check.text for check in all_checks(subject) if check.outcome != "passed"}


def tiles(count: int) -> list[tuple[Image.Image, str]]:
    """Return parts of the two photos that scikit-learn ships, each with what it is of."""
    found = []
    for photo, name in zip(load_sample_images().images, ("china", "flower"), strict=True):
        for number in range(count // 2):
            row, column = divmod(number, 8)
            found.append((Image.fromarray(photo[row * 40 : row * 40 + 40, column * 60 : column * 60 + 60]), name))
    return found


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()
