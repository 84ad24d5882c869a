"""Types and values of settings as the author of a study reads and writes them."""

from __future__ import annotations

import json
import types
import typing
from datetime import date, time
from typing import Any

import annotated_types
from pydantic.fields import FieldInfo

from ..errors import one_line

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
