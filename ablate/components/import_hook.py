"""The hook through which the user's own modules are imported, from the bytes that were read (`plugin_code`).

Python's caches of compiled modules are not used: they are trusted by a file's time and size alone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import os
import sys
import sysconfig
from functools import lru_cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..paths import shipped, shown
from .code_scope import LIBRARIES
from .plugin_code import INSTALLED, STANDARD, PluginCode, bytes_of, is_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import CodeType, ModuleType

PLUGIN = "ablate_plugin_"
"""What the names of plugins' modules begin with."""
_SHIPPED = shipped("plugins").resolve()


class _Loader(SourceFileLoader):
    """Loads a module from bytes that were read before."""

    def __init__(self, name: str, file: Path, text: bytes) -> None:
        super().__init__(name, str(file))
        self.text = text

    def exec_module(self, module: ModuleType) -> None:
        FINDER.loaded[module.__name__] = self
        super().exec_module(module)

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002  # the form of a loader
        code: CodeType = self.source_to_code(self.text, self.path)
        return code

    def get_data(self, path: Any) -> bytes:
        return self.text if str(path) == self.path else super().get_data(path)


class _Finder(MetaPathFinder):
    """Finds the user's own modules: those outside the folders of Python and of installed packages.

    Modules beside plugins come last, so that none of them hides an installed one.
    """

    def __init__(self) -> None:
        self.code = PluginCode()
        self.loaded: dict[str, _Loader] = {}
        self._theirs: set[str] = set()
        self._searching = False

    def use(self, code: PluginCode) -> None:
        """Import from this code from now on; modules of files that differ in it are loaded again."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        self.code = code
        # The name of a plugin's module is of its text; what it has imported is another matter.
        helpers = [loader for name, loader in self.loaded.items() if not name.startswith(PLUGIN)]
        if any(self._differs(Path(loader.path), loader.text) for loader in helpers):
            tops = {name.partition(".")[0] for name in self.loaded}
            for name in [name for name in sys.modules if name.partition(".")[0] in tops]:
                del sys.modules[name]  # with folders around modules, which nothing has loaded
            self.loaded.clear()

    def _differs(self, file: Path, text: bytes) -> bool:
        now = self.code.files.get(file, text if self.code.frozen else bytes_of(file))
        if now == text and not self.code.frozen:
            self.code.files[file] = text
        return now != text

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find one of the user's own modules; None for all others."""
        top = fullname.partition(".")[0]
        if self._searching or top in STANDARD or top in self._theirs:
            return None
        if path is not None:
            if not self._are_own(top, path):
                self._theirs.add(top)
                return None
            found = next((spec for place in path if (spec := self._inside(fullname, Path(place)))), None)
            return found or self._own(fullname, self._elsewhere(fullname, path, target))
        spec = self._elsewhere(fullname, path, target)
        if spec is None:
            return next((spec for folder in self.code.folders if (spec := self._inside(fullname, folder))), None)
        if not self._is_own(fullname, spec):
            self._theirs.add(fullname)
            return spec
        return self._own(fullname, spec)

    def root(self, top: str) -> Path | None:
        """Return the folder that has the user's own module of this name, None where it is not theirs, or nowhere."""
        if top in STANDARD or top in LIBRARIES or top in self._theirs:
            return None
        spec = self._elsewhere(top, None, None)
        if spec is None or not self._is_own(top, spec):
            return None
        places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else [])]
        return Path(places[0]).resolve().parent if places else None

    def _elsewhere(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        """Return what the others find."""
        self._searching = True
        try:
            for finder in sys.meta_path:
                find = getattr(finder, "find_spec", None)
                spec: ModuleSpec | None = find(name, path, target) if find and finder is not self else None
                if spec is not None:
                    return spec
            return None
        finally:
            self._searching = False

    def _is_own(self, top: str, spec: ModuleSpec) -> bool:
        places = [*(spec.submodule_search_locations or ()), *([spec.origin or ""] if spec.has_location else [])]
        return self._are_own(top, places)

    def _are_own(self, top: str, places: Sequence[str]) -> bool:
        """Tell whether what lies in these places is the user's own, or a package of plugins."""
        if top in LIBRARIES or not places:
            return False
        return top in self.code.packages or not any(_installed(place or ".") for place in places)

    def _own(self, name: str, spec: ModuleSpec | None) -> ModuleSpec | None:
        """Return what others have found, with its code from the bytes that were read."""
        if spec is None or type(spec.loader) is not SourceFileLoader or spec.origin is None:
            return spec
        return self._spec(name, Path(spec.origin).resolve()) if is_source(spec.origin) else spec

    def _inside(self, name: str, folder: Path) -> ModuleSpec | None:
        """Return a module that stands in a folder."""
        module = folder / name.rpartition(".")[2]
        file = self.code.module_file(module)
        if file is None:
            names = (parent for known in self.code.files for parent in known.parents)
            if not (module in names if self.code.frozen else module.is_dir()):
                self._refuse(name, module)
                return None
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(module)]
            return spec
        return self._spec(name, file)

    def _refuse(self, name: str, module: Path) -> None:
        """Raise ImportError for a file that is there and that no plugin was seen to import."""
        unread = PluginCode().module_file(module) if self.code.frozen else None
        if unread is not None:
            raise _unread(name, unread)

    def _spec(self, name: str, file: Path) -> ModuleSpec | None:
        places = [str(file.parent)] if file.name == "__init__.py" else None
        if not is_source(file):
            return importlib.util.spec_from_file_location(name, file)
        text = self.code.files[file] if file in self.code.files else self._read(name, file)
        return importlib.util.spec_from_file_location(
            name, file, loader=_Loader(name, file, text), submodule_search_locations=places
        )

    def _read(self, name: str, file: Path) -> bytes:
        if not self.code.frozen:
            return self.code.read(file)
        # What an installed library looks for on its own may be anywhere, and is not the plugin's.
        packages = (folder / "__init__.py" for folder in file.parents)
        if _importer() in map(str, self.code.files) or any(package in self.code.files for package in packages):
            raise _unread(name, file)
        return file.read_bytes()


def _unread(name: str, file: Path) -> ImportError:
    """Return what an import of a file raises that no key covers."""
    return ImportError(
        f"{shown(file)} was not read when the command started: no import names it that could be followed then; "
        f"write 'import {name}' in the plugin that uses it, below what puts its folder on the path, "
        "both at the top of the file",
        name=name,
    )


def _importer() -> str:
    """Return the file whose code imports at the moment."""
    frame = inspect.currentframe()
    while frame and (frame.f_code.co_filename == __file__ or "importlib" in frame.f_code.co_filename):
        frame = frame.f_back
    return frame.f_code.co_filename if frame else ""


FINDER = _Finder()


@contextlib.contextmanager
def isolated_imports() -> Iterator[None]:
    """Import the user's own modules again inside, as a new process would, and restore all that imports change.

    That is `sys.modules`, `sys.path`, the environment and the working folder. Libraries stay imported, as do shipped
    plugins, which change nothing when they are imported.
    """
    variables, folder = dict(os.environ), Path.cwd()
    code, path, finders = FINDER.code, [*sys.path], [*sys.meta_path]
    loaded = dict(FINDER.loaded)
    shipped_modules = {name for name, loader in loaded.items() if Path(loader.path).is_relative_to(_SHIPPED)}
    theirs = _modules_of(loaded.keys() - shipped_modules)
    FINDER.loaded = {name: loaded[name] for name in shipped_modules}
    for name in theirs:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in _modules_of(FINDER.loaded.keys() - shipped_modules):
            del sys.modules[name]
        sys.modules.update(theirs)
        sys.path[:], sys.meta_path[:] = path, finders
        FINDER.code, FINDER.loaded = code, loaded
        for name in {*variables, *os.environ}:
            if name not in variables:
                del os.environ[name]
            elif os.environ.get(name) != variables[name]:
                os.environ[name] = variables[name]
        os.chdir(folder)


def _modules_of(names: Iterable[str]) -> dict[str, ModuleType]:
    """Return these modules and all that belongs to their packages: folders around modules were loaded by nothing."""
    tops = {name.partition(".")[0] for name in names}
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in tops}


def load(name: str, file: Path, code: PluginCode) -> ModuleType:
    """Import a file under a name from its bytes in `code`. Raises whatever the file raises."""
    spec = importlib.util.spec_from_file_location(name, file, loader=_Loader(name, file, code.read(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


@lru_cache(maxsize=1024)
def _installed(place: str) -> bool:
    """Tell whether a path lies where Python or an installer puts packages."""
    path = Path(place).resolve()
    if any(part in INSTALLED for part in path.parts):
        return True
    return any(path.is_relative_to(folder) for folder in _standard_folders())


@lru_cache(maxsize=1)
def _standard_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple(Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))
