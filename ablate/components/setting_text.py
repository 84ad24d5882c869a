"""Types and values of settings as the author of a study reads and writes them."""

from __future__ import annotations

import hashlib
import json
import types
import typing
from collections.abc import Mapping
from datetime import date, time
from typing import Any

import annotated_types
from pydantic.fields import FieldInfo

from ..errors import one_line

HIDDEN = "env"
"""The setting whose values are shown nowhere: what programs are given in their environment may be secret."""
LONGEST_VALUE = 200
"""Of a value that is longer as text, messages show the beginning."""


def type_text(annotation: Any) -> str:
    """Write a type the way a study's author reads it."""
    if annotation is None or annotation is type(None):
        return "none"
    if annotation is Any:
        return "any"
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        limits = [text for meta in args[1:] if (text := _range_text(meta))]
        return type_text(args[0]) + (f" ({', '.join(limits)})" if limits else "")
    if origin is typing.Literal:
        return " | ".join(value_text(a) for a in args)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_text(a) for a in args)
    if origin is not None:
        inner = ", ".join("..." if a is Ellipsis else type_text(a) for a in args)
        return f"{getattr(origin, '__name__', origin)}[{inner}]"
    return str(getattr(annotation, "__name__", annotation))


def wanted_text(annotation: Any) -> str:
    """Say what a value of a type is, as in "a number above 0", to follow "is not"."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(wanted_text, args))
    one, _ = _nouns(annotation)
    return one


def _nouns(annotation: Any) -> tuple[str, str]:
    """Return how one value of a type is called, and how several are."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        limits = _limits_text([meta for meta in args[1:] if _range_text(meta)])
        one, many = _nouns(args[0])
        return one + limits, many + limits
    if origin is dict or annotation is dict:
        of = f" of {_nouns(args[1])[1]}" if args and args[1] is not Any else ""
        return f"a table{of}", f"tables{of}"
    if origin is list and args:
        of = _nouns(args[0])[1]
        return f"a list of {of}", f"lists of {of}"
    known = {int: ("an integer", "integers"), float: ("a number", "numbers"), str: ("a string", "strings")}
    if annotation in known:
        return known[annotation]
    name = "true or false" if annotation is bool else type_text(annotation)
    return name, name


def _limits_text(metas: list[Any]) -> str:
    """Write limits after a noun, as in " above 0 and at most 1"; "" for none."""
    bounds = {part.split()[0]: part.split()[1] for meta in metas for part in _range_text(meta).split(", ")}
    if {">=", "<="} == set(bounds):
        return f" from {bounds['>=']} to {bounds['<=']}"
    words = {">": "above", ">=": "of at least", "<": "below", "<=": "at most"}
    return " " + " and ".join(f"{words[sign]} {bound}" for sign, bound in bounds.items()) if bounds else ""


def hidden(name: str, value: Any) -> Any:
    """Return a setting's value as it may be shown: of HIDDEN, three digits of a check sum for each value."""
    if name != HIDDEN or not isinstance(value, Mapping):
        return value
    return {key: None if one is None else hidden_text(one) for key, one in value.items()}


def hidden_text(value: Any) -> str:
    """Write a value that is not to be shown, so that it can be told from another one."""
    return f"hidden ({hashlib.sha256(str(value).encode()).hexdigest()[:3]})"


def value_text(value: Any) -> str:
    """Write a value as TOML would, `none` for None; of a long one, its beginning."""
    return one_line(_whole_text(value), LONGEST_VALUE)


def _whole_text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_whole_text(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_whole_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (date, time)):
        return value.isoformat()
    return repr(value) if not isinstance(value, type) else value.__name__


def _range_text(meta: Any) -> str:
    match meta:
        case annotated_types.Gt(gt=bound):
            return f"> {bound}"
        case annotated_types.Ge(ge=bound):
            return f">= {bound}"
        case annotated_types.Lt(lt=bound):
            return f"< {bound}"
        case annotated_types.Le(le=bound):
            return f"<= {bound}"
        case annotated_types.Interval():
            return ", ".join(_range_text(part) for part in meta)
        case FieldInfo(metadata=parts):
            return ", ".join(text for part in parts if (text := _range_text(part)))
        case _:
            return ""
