"""Where the shipped folders are, and where a user's folders may be.

`plugins/`, `studies/` and `templates/` stand beside the package in a checkout and inside it
(`ablate/shipped/`) in an installed wheel. `shipped` is the one place that knows.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

Folder = Literal["plugins", "studies", "templates"]

_PACKAGE = Path(__file__).resolve().parent


def shipped(folder: Folder) -> Path:
    """Return the folder of this name that ships with `ablate`."""
    installed = _PACKAGE / "shipped" / folder
    return installed if installed.is_dir() else _PACKAGE.parent / folder


def of_user(folder: Folder, study: Path | None = None) -> list[Path]:
    """Return the user's folders of this name that exist, nearest first, without the shipped one.

    Looked for in the working folder, beside the study file, and, when the study file stands in a
    folder called `studies`, beside that folder.
    """
    bases = [Path.cwd()]
    if study is not None:
        beside = study.resolve().parent
        bases += [beside, *([beside.parent] if beside.name == "studies" else [])]
    found: list[Path] = []
    for base in bases:
        path = (base / folder).resolve()
        if path.is_dir() and path != shipped(folder).resolve() and path not in found:
            found.append(path)
    return found


def data_dir(given: Path | None = None) -> Path:
    """Return the folder that holds datasets: as given, else ABLATE_DATA_DIR, else the user's cache."""
    if given is None and os.environ.get("ABLATE_DATA_DIR"):
        given = Path(os.environ["ABLATE_DATA_DIR"])
    return (given or _cache_home() / "ablate" / "data").expanduser().resolve()


def arrays_dir() -> Path:
    """Return the folder that holds decoded datasets for all runs of a machine; it can be removed at any time."""
    return (_cache_home() / "ablate" / "arrays").expanduser().resolve()


def store_dir(given: Path | None = None) -> Path:
    """Return the folder that holds runs: as given, else ABLATE_STORE, else `ablate-store` here."""
    if given is None and os.environ.get("ABLATE_STORE"):
        given = Path(os.environ["ABLATE_STORE"])
    return (given or Path("ablate-store")).expanduser().resolve()


def shown(path: Path | str) -> str:
    """Return a path as a person would type it: relative to the working folder where it lies inside."""
    path = Path(path)
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _cache_home() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given) if given else Path.home() / ".cache"
