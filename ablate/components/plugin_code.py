"""The code that a command runs: the files of plugins, each as it was when it was first read.

Modules are compiled from these very bytes (`import_hook`), and these bytes are hashed. A run is sent those that it
needs, so that it runs what was planned, whatever happens to the files meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from dataclasses import dataclass, field
from importlib.machinery import EXTENSION_SUFFIXES
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STANDARD = sys.stdlib_module_names
INSTALLED = ("site-packages", "dist-packages")
"""Folders that installers put packages into."""


@dataclass
class PluginCode:
    """Files and their bytes.

    folders: where the user's own modules are looked for after all installed ones, as helpers beside plugins.
    packages: installed packages that are plugins, by name. frozen: no other files are read.
    environment_changes: environment variables that imports have changed, each with its value before and after.
    path_additions: what imports have put on `sys.path`.
    """

    files: dict[Path, bytes] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    packages: set[str] = field(default_factory=set)
    frozen: bool = False
    environment_changes: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    path_additions: list[str] = field(default_factory=list)
    _names: dict[Path, set[str]] = field(default_factory=dict)

    @contextlib.contextmanager
    def noting_effects(self) -> Iterator[None]:
        """Note what an import changes in the environment and on the path: other processes start without it."""
        environment, path = dict(os.environ), [*sys.path]
        try:
            # In a command a plugin's filters would be everybody's.
            with contextlib.nullcontext() if self.frozen else warnings.catch_warnings():
                yield
        finally:
            for name in {*environment, *os.environ}:
                was, now = environment.get(name), os.environ.get(name)
                if was != now:
                    self.environment_changes[name] = (self.environment_changes.get(name, (was, was))[0], now)
            self.path_additions += [place for place in sys.path if place not in path]

    @contextlib.contextmanager
    def without_effects(self) -> Iterator[None]:
        """Undo for a moment what imports have changed, where nobody has changed it since."""
        mine = {name: was for name, (was, now) in self.environment_changes.items() if os.environ.get(name) == now}
        path = [*sys.path]
        _set_environment(mine)
        sys.path[:] = [place for place in path if place not in self.path_additions]
        try:
            yield
        finally:
            _set_environment({name: self.environment_changes[name][1] for name in mine})
            sys.path[:] = path

    def has(self, file: Path) -> bool:
        """Tell whether there is such a file."""
        return file in self.files or (not self.frozen and file.is_file())

    def read(self, file: Path) -> bytes:
        """Return a file's bytes. Raises OSError."""
        if file not in self.files:
            if self.frozen:
                raise FileNotFoundError(2, "was not read when the command started", str(file))
            self.files[file] = file.read_bytes()
        return self.files[file]

    def changed(self) -> list[Path]:
        """Return the files that are no longer on the disk as they were read."""
        return [file for file, text in self.files.items() if bytes_of(file) != text]

    def names(self, folder: Path) -> set[str]:
        """Return what a folder has that could be imported: a look at each possible file would take long."""
        if folder not in self._names:
            files = [file.relative_to(folder).parts[0] for file in self.files if file.is_relative_to(folder)]
            with contextlib.suppress(OSError):
                files += [] if self.frozen else [file.name for file in folder.iterdir()]
            self._names[folder] = {name.partition(".")[0] for name in files}
        return self._names[folder]

    def module_file(self, module: Path) -> Path | None:
        """Return the file of a module, given by its path without a suffix, or None."""
        suffixes = (".py", *EXTENSION_SUFFIXES)
        files = [module / "__init__.py", *(module.with_name(module.name + suffix) for suffix in suffixes)]
        return next((file for file in files if self.has(file)), None)


def _set_environment(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def bytes_of(file: Path) -> bytes | None:
    """Return the content of a file, None where it cannot be read."""
    with contextlib.suppress(OSError):
        return file.read_bytes()
    return None


def is_source(file: Path | str) -> bool:
    """Tell whether a file is Python's text."""
    return str(file).endswith(".py")


def sources_in(folder: Path) -> Iterator[Path]:
    """Yield all Python files of a folder and below it, without hidden folders and virtual environments."""
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        if place.is_dir():
            if not place.name.startswith((".", "__pycache__")) and not (place / "pyvenv.cfg").exists():
                yield from sources_in(place)
        elif is_source(place):
            yield place
