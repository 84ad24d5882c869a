"""The digest of a component's source, so that an edit makes its runs new and leaves all others stored.

Covered: the factory, every top-level definition of its file that it reaches by name, and, whole, every
file beside the plugin that those import. Not covered: comments, docstrings, blank lines, other
components in the same file, and the code of `ablate` itself and of installed libraries (the engine's
result version and the recorded environment speak for those).
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import io
import tokenize
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
        return [module.text()]
    pieces: list[str] = []
    files: set[Path] = set()
    todo, seen = [name], {name}
    while todo:
        for node in module.definitions[todo.pop()]:
            pieces.append(module.text(node))
            files.update(_imported_files(path, node))
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            new = sorted((names & module.definitions.keys()) - seen)
            seen.update(new)
            todo.extend(new)
    pieces.sort()
    return pieces + [piece for file in sorted(_closure(files)) for piece in (file.name, _Module.read(str(file)).text())]


def _closure(files: set[Path]) -> set[Path]:
    seen: set[Path] = set()
    todo = set(files)
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo.update(_imported_files(file, _Module.read(str(file)).tree))
    return seen


def _imported_files(path: Path, node: ast.AST) -> Iterator[Path]:
    """Yield the files beside `path` that imports inside `node` name."""
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            modules = [(alias.name, 0) for alias in found.names]
        elif isinstance(found, ast.ImportFrom):
            stem = found.module or ""
            modules = [(stem, found.level)] + [(f"{stem}.{a.name}".strip("."), found.level) for a in found.names]
        else:
            continue
        for module, level in modules:
            folder = path.parents[max(level - 1, 0)]
            target = folder.joinpath(*module.split(".")) if module else folder
            for file in (target.with_suffix(".py"), target / "__init__.py"):
                if module and file.is_file() and file != path:
                    yield file


class _Module:
    """One source file: its top-level definitions by name, and its text without what cannot matter."""

    def __init__(self, text: str) -> None:
        self.tree = ast.parse(text)
        self._lines = _without_comments(text)
        for node in ast.walk(self.tree):
            if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                doc = node.body[0]
                for number in range(doc.lineno, (doc.end_lineno or doc.lineno) + 1):
                    self._lines[number - 1] = ""
        self.definitions: dict[str, list[ast.stmt]] = {}
        for statement in _statements(self.tree.body):
            for name in _bound(statement):
                self.definitions.setdefault(name, []).append(statement)

    @staticmethod
    @lru_cache(maxsize=256)
    def _read(path: str, _stamp: int) -> _Module:
        return _Module(Path(path).read_text(encoding="utf-8"))

    @classmethod
    def read(cls, path: str) -> _Module:
        return cls._read(path, Path(path).stat().st_mtime_ns)

    def text(self, node: ast.stmt | None = None) -> str:
        if node is None:
            lines = self._lines
        else:
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            lines = self._lines[first - 1 : node.end_lineno]
        return "\n".join(line.rstrip() for line in lines if line.strip())


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield top-level statements, looking into `if`, `try` and `with` blocks."""
    for statement in body:
        inner = [getattr(statement, part, []) for part in ("body", "orelse", "finalbody")]
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            for part in inner:
                yield from _statements(part)
            for handler in getattr(statement, "handlers", []):
                yield from _statements(handler.body)
        else:
            yield statement


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement binds."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name
        case ast.Import() | ast.ImportFrom():
            for alias in statement.names:
                yield (alias.asname or alias.name).split(".")[0]
        case _:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id


def _without_comments(text: str) -> list[str]:
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return lines
