"""The type hints of records, taken apart: what says how a fact is written as JSON, and what its schema is."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Union

Hint = Any
"""A type, or what `typing` has in its place."""
PLAIN = (bool, int, float, str, bytes, type(None))
"""What stands in JSON by itself."""


class UnwritableError(TypeError):
    """A field has a type, or a value, that has no form in JSON."""


def taken_apart(hint: Hint, place: str = "") -> tuple[str, tuple[Hint, ...]]:
    """Return what kind of type a hint is ("any", "union", "literal", "tuple", "mapping", "class"), and its parts."""
    origin: Any = typing.get_origin(hint)
    parts = typing.get_args(hint)
    if hint is Any:
        return "any", ()
    if origin in (Union, types.UnionType):
        return "union", parts
    if origin is Literal:
        return "literal", parts
    if origin is tuple:
        return "tuple", () if parts == ((),) else parts
    if origin is Mapping and parts[0] is str:
        return "mapping", parts
    if hint in PLAIN or (isinstance(hint, type) and dataclasses.is_dataclass(hint)):
        return "class", (hint,)
    raise UnwritableError(
        f"{place}: a field of the type {hint} has no form in JSON; a fact is a str, int, float, bool, None, Literal, "
        "bytes, tuple, Mapping[str, ...] or a dataclass of these"
    )


@cache
def hints_of(cls: type) -> dict[str, Hint]:
    """Return the type of each field of a dataclass, also where its name is imported for type checkers alone."""
    try:
        return typing.get_type_hints(cls, localns=_Names(cls))
    except NameError as error:
        raise UnwritableError(f"{cls.__module__}.{cls.__name__}: its hints cannot be read: {error}") from error


class _Names(dict[str, Any]):
    """The names that the hints of a class may use beside those of its module, looked up when one is."""

    def __init__(self, cls: type) -> None:
        super().__init__()
        self._modules = [sys.modules[base.__module__] for base in cls.__mro__ if base is not object]

    def __missing__(self, name: str) -> Any:
        for module in self._modules:
            if hasattr(module, name):
                return getattr(module, name)
            if name in (places := _for_type_checkers(module.__name__)):
                home, original = places[name]
                return getattr(importlib.import_module(home), original)
        raise KeyError(name)


@cache
def _for_type_checkers(module: str) -> dict[str, tuple[str, str]]:
    """Return the names that a module imports under `if TYPE_CHECKING`, each with its module and its name there."""
    found: dict[str, tuple[str, str]] = {}
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    for block in tree.body:
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING":
            for line in block.body:
                if isinstance(line, ast.ImportFrom):
                    package = module.split(".")[: -line.level] if line.level else []
                    home = ".".join([*package, *([line.module] if line.module else [])])
                    found |= {one.asname or one.name: (home, one.name) for one in line.names}
    return found
