"""Fill a registry: the shipped plugins, installed packages, then the user's folders.

All three come through one door. A plugin that does not import stops the command and names file and
line, because a study without one of its components would mislead.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from .. import paths
from ..errors import AblateError, ComponentError
from .registry import Registry, marked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ENTRY_POINTS = "ablate.plugins"


def discover(study: Path | None = None, named: Sequence[Path] = ()) -> Registry:
    """Return a registry of everything a study can name.

    study: the study file, beside which a `plugins` folder may stand.
    named: files or folders that the study names itself.
    Raises ComponentError for a taken name or a plugin that does not import.
    """
    registry = Registry()
    for file in _files([paths.shipped("plugins")]):
        _load(registry, file)
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda p: p.name):
        place = f"{ENTRY_POINTS} entry point '{point.name}' ({point.value})"
        try:
            module = point.load()
        except AblateError:
            raise
        except (Exception, SystemExit) as error:
            raise ComponentError(f"{place}: does not import: {type(error).__name__}: {error}") from error
        if not isinstance(module, ModuleType) or module.__file__ is None:
            raise ComponentError(f"{place}: names no module; write 'package.module' without a colon")
        if not _collect(registry, module, Path(module.__file__).resolve()):
            raise ComponentError(f"{place}: the module defines no component, nor imports one from its package")
    users = _files([*paths.of_user("plugins", study), *named])
    _check_helpers({file.parent for file in users})
    for file in users:
        if file not in registry.files:
            _load(registry, file)
    return registry


def _files(places: Iterable[Path]) -> list[Path]:
    """Return the files named and those of the folders named, where a leading underscore marks a helper."""
    files: list[Path] = []
    for place in places:
        inside = sorted(f for f in place.glob("*.py") if not f.name.startswith("_")) if place.is_dir() else [place]
        files += [file.resolve() for file in inside]
    return list(dict.fromkeys(files))


def _load(registry: Registry, file: Path) -> None:
    # The text is part of the name: in a long-lived process, such as a notebook, an edited file is loaded anew.
    text = file.read_bytes() if file.is_file() else b""
    digest = hashlib.sha256(str(file).encode() + b"\0" + text).hexdigest()[:12]
    name = f"ablate_plugin_{digest}_{file.stem.replace('-', '_')}"
    module = sys.modules.get(name) or _import(name, file, text)
    _collect(registry, module, file)


def _import(name: str, file: Path, text: bytes) -> ModuleType:
    """Import a plugin from the very bytes that were read: a cached compilation may be of another text."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or not file.is_file():
        raise ComponentError(f"{paths.shown(file)}: not a Python file that can be loaded")
    # A user's plugin can import its helpers. Appended, so that none of them hides an installed package.
    if file.parent != paths.shipped("plugins").resolve() and str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        exec(compile(text, str(file), "exec"), module.__dict__)  # noqa: S102  # this is what importing a plugin is
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, AblateError) or not isinstance(error, (Exception, SystemExit)):
            raise
        line = _line_in(error, file)
        raise ComponentError(
            f"{paths.shown(file)}:{line}: this plugin does not import: {type(error).__name__}: {error}\n"
            "  mend the file, or move it out of the plugins folder"
        ) from error
    return module


def _line_in(error: BaseException, file: Path) -> int:
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == file:
        return error.lineno or 1
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == file]
    return (lines[-1] if lines else None) or 1


def _check_helpers(folders: Iterable[Path]) -> None:
    """Refuse two plugin folders with a helper of the same name: the second's plugins would import the first's."""
    seen: dict[str, Path] = {}
    for folder in sorted(folders):
        for helper in sorted(folder.glob("_*.py")):
            if helper.name in seen and helper.name != "__init__.py":
                raise ComponentError(
                    f"{paths.shown(helper)}: another plugin folder has a helper of this name\n"
                    f"  give this one or {paths.shown(seen[helper.name])} another name"
                )
            seen[helper.name] = helper


def _collect(registry: Registry, module: ModuleType, file: Path) -> bool:
    """Register a module's components; tell whether it has any."""
    found = marked(module, file)
    for one in found:
        registry.add(one)
    registry.files.append(file)
    return bool(found)
