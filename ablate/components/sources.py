"""The digest of a component's source, so that an edit makes its runs new and leaves all others stored.

Covered: the factory, every top-level statement of its file that defines or changes a name it reaches,
and, whole, every file beside the plugin, or of its own package, that those import. Not covered: comments,
docstrings, blank lines, other components in the same file, and the code of `ablate` itself and of
installed libraries (the engine's result version and the recorded environment speak for those).
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import inspect
import io
import tokenize
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ComponentError
from ..paths import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)


def source_digest(factory: Callable[..., Any]) -> str:
    """Return a short hash of all source that decides what this factory builds."""
    file = inspect.getsourcefile(inspect.unwrap(factory))
    if file is None:
        return "none"
    path = Path(file)
    pieces = _reached(path, factory.__name__)
    return hashlib.sha256("\n".join(pieces).encode()).hexdigest()[:16]


def _reached(path: Path, name: str) -> list[str]:
    """Return the normalised source of `name` and of everything it reaches, in a stable order."""
    module = _Module.read(str(path))
    if name not in module.definitions:
        return [module.text(), *_texts(_closure(set(_imported_files(path, module.tree, path.parent)), path.parent))]
    pieces: list[str] = []
    files: set[Path] = set()
    # What `from helper import *` defines cannot be told from here, so it is reached by all.
    todo = [name, *({"*"} & module.definitions.keys())]
    seen = set(todo)
    while todo:
        for node in module.definitions[todo.pop()]:
            pieces.append(module.text(node))
            files.update(_imported_files(path, node, path.parent))
            new = sorted((_names(node) & module.definitions.keys()) - seen)
            seen.update(new)
            todo.extend(new)
    return [*sorted(pieces), *_texts(_closure(files, path.parent))]


def _texts(files: set[Path]) -> list[str]:
    return [piece for file in sorted(files) for piece in (file.name, _Module.read(str(file)).text())]


def _closure(files: set[Path], home: Path) -> set[Path]:
    seen: set[Path] = set()
    todo = set(files)
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo.update(_imported_files(file, _Module.read(str(file)).tree, home))
    return seen


def _imported_files(path: Path, node: ast.AST, home: Path) -> Iterator[Path]:
    """Yield the files in the plugin's folder `home`, or in the package of `path`, that imports inside `node` run."""
    for parts, level, name in _imports(node):
        folder = path.parents[level - 1] if level else _root(path, parts[0], home)
        if folder is None or (parts and parts[0] not in _inside(folder)):
            continue
        module = folder.joinpath(*parts)
        # The packages around it run first; those around `path` as well have run already.
        packages = [folder.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)]
        files = [_module_file(package) for package in packages if package not in path.parents]
        files.append((_module_file(module / name) if name else None) or _module_file(module))
        yield from (file for file in files if file is not None and file != path)


@lru_cache(maxsize=4096)
def _imports(node: ast.AST) -> tuple[tuple[tuple[str, ...], int, str], ...]:
    """Return what imports inside `node` name: the parts of a module's name, the level of dots, and a name of it."""
    wanted: list[tuple[tuple[str, ...], int, str]] = []
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            wanted += [(tuple(alias.name.split(".")), 0, "") for alias in found.names]
        elif isinstance(found, ast.ImportFrom):
            stem = tuple(found.module.split(".")) if found.module else ()
            wanted += [(stem, found.level, alias.name) for alias in found.names]
    return tuple(wanted)


def _inside(folder: Path) -> set[str]:
    """Return what a folder has that could be imported, which a look at each possible file would take long to tell."""
    with contextlib.suppress(OSError):
        return {file.name.partition(".")[0] for file in folder.iterdir()}
    return set()


def _module_file(module: Path) -> Path | None:
    files = (module / "__init__.py", module.with_name(f"{module.name}.py"))
    return next((file for file in files if file.is_file()), None)


def _root(path: Path, top: str, home: Path) -> Path | None:
    """Return the folder in which an absolute import of `top` is looked up; None for an installed library."""
    folder = path.parent
    while (folder / "__init__.py").is_file():
        if folder.name == top:
            return folder.parent
        folder = folder.parent
    return None if home.name in ("site-packages", "dist-packages") else home


class _Module:
    """One source file: its top-level definitions by name, and its text without what cannot matter."""

    def __init__(self, text: str) -> None:
        self.tree = ast.parse(text)
        self._lines = _without_comments(text)
        for node in ast.walk(self.tree):
            if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                self._blank(node.body[0])
        self.definitions: dict[str, list[ast.AST]] = {}
        for statement, conditions in _statements(self.tree.body):
            for name in _bound(statement):
                self.definitions.setdefault(name, []).extend([statement, *conditions])

    @staticmethod
    @lru_cache(maxsize=256)
    def _read(path: str, _stamp: tuple[int, int]) -> _Module:
        try:
            with tokenize.open(path) as file:  # in the encoding that the file declares
                return _Module(file.read())
        except (SyntaxError, ValueError) as error:  # in a helper that nothing has imported yet
            line = getattr(error, "lineno", None) or 1
            raise ComponentError(f"{shown(path)}:{line}: cannot be read: {type(error).__name__}: {error}") from None

    @classmethod
    def read(cls, path: str) -> _Module:
        stat = Path(path).stat()
        return cls._read(path, (stat.st_mtime_ns, stat.st_size))

    def _blank(self, doc: ast.stmt) -> None:
        """Take a docstring out, and leave what else stands on its lines (columns count bytes)."""
        first, last = doc.lineno - 1, (doc.end_lineno or doc.lineno) - 1
        before, after = self._lines[first].encode()[: doc.col_offset], self._lines[last].encode()[doc.end_col_offset :]
        self._lines[first : last + 1] = [(before + after).decode(), *[""] * (last - first)]

    def text(self, node: ast.AST | None = None) -> str:
        lines = self._lines
        if isinstance(node, (ast.stmt, ast.expr)):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            lines = self._lines[first - 1 : node.end_lineno]
        return "\n".join(line.rstrip() for line in lines if line.strip())


def _statements(
    body: list[ast.stmt], above: tuple[ast.expr, ...] = ()
) -> Iterator[tuple[ast.stmt, tuple[ast.expr, ...]]]:
    """Yield top-level statements, looking into `if`, `try` and `with` blocks, with the conditions they stand under."""
    for statement in body:
        if not isinstance(statement, (ast.If, ast.Try, ast.With)):
            yield statement, above
            continue
        items = [item.context_expr for item in getattr(statement, "items", [])]
        conditions = (*above, *items, *([statement.test] if isinstance(statement, ast.If) else []))
        for part in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, part, []), conditions)
        for handler in getattr(statement, "handlers", []):
            yield from _statements(handler.body, conditions)


@lru_cache(maxsize=4096)
def _names(node: ast.AST) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name))


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement defines or may change, as `TABLE["a"] = 1` and `TABLE.update(b)` do."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {statement.name}
        case ast.Import() | ast.ImportFrom():
            return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    found: set[str] = set()
    for node in ast.walk(statement):
        stored = isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))
        if isinstance(node, ast.Expr) or (stored and isinstance(node, (ast.Name, ast.Subscript, ast.Attribute))):
            found |= _names(node)
    return found


def _without_comments(text: str) -> list[str]:
    lines = text.split("\n")  # not splitlines: a form feed or U+2028 ends no line of Python
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return lines
