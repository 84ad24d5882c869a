"""The task that a study names: which files its runs depend on, so that their content is part of a run's key."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..components.no_exit import no_exit
from ..components.tasks import Covered
from ..errors import AblateError, ComponentError, InputError, error_text
from ..paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..components.registry import Entry

SKIPPED = "__pycache__"


def covered(entry: Entry, settings: Mapping[str, Any], folder: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the digest of each file that runs of a task depend on, by its name below a folder, and what is uncovered.

    settings: complete, with absolute paths. folder: of the study.
    Raises InputError for settings that the task refuses, and for a file that is not there.
    """
    found = Covered()
    if entry.task and entry.task.check:
        given = entry.arguments(settings)
        try:
            with no_exit():
                found = entry.task.check(folder, **given) or found
        except AblateError:
            raise
        except Exception as error:
            raise ComponentError(f"the check of its settings raises {error_text(error)}\nsee {entry.place}") from error
    named = [Path(settings[s.name]) for s in entry.settings if s.annotation is Path and settings.get(s.name)]
    return _digests([*named, *map(Path, found.files)], folder), tuple(found.uncovered)


def _digests(paths: Iterable[Path], folder: Path) -> dict[str, str]:
    digests: dict[str, str] = {}
    for path in paths:
        whole = folder / path
        if not whole.exists():
            raise InputError(f"{shown(whole)}: no such file or folder; it is looked for beside the study")
        for file in _files(whole):
            name = Path(os.path.relpath(file, folder)).as_posix()
            try:
                with file.open("rb") as content:
                    digests[name] = hashlib.file_digest(content, "sha256").hexdigest()[:20]
            except OSError as error:
                raise InputError(f"{shown(file)}: cannot be read: {error.strerror}") from None
    return dict(sorted(digests.items()))


def _files(path: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield a file, or those below a folder but for hidden ones, Python's caches, and links to nothing or in a circle.

    above: the folders that it stands in.
    """
    if path.is_file():
        yield path
    elif path.is_dir() and (real := path.resolve()) not in above:
        try:
            listed = sorted(path.iterdir())
        except OSError as error:
            raise InputError(f"{shown(path)}: cannot be read: {error.strerror}") from None
        for inner in listed:
            if not inner.name.startswith(".") and inner.name != SKIPPED:
                yield from _files(inner, above | {real})
