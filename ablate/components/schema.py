"""A component's settings: read from its signature, checked against a study's values.

A setting is a keyword parameter. Its annotation is its type (anything that a TOML value can become:
int, float, bool, str, Literal, lists, tuples, unions of those, Annotated ranges), its default is used
where a study leaves it out. Values are checked strictly: no "3" for 3, no 1 for true; a whole number
may stand for a float.
"""

from __future__ import annotations

import collections.abc
import inspect
import json
import types
import typing
from dataclasses import dataclass, field
from datetime import date, time
from typing import TYPE_CHECKING, Any

import annotated_types
from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from ..errors import did_you_mean, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

REQUIRED = inspect.Parameter.empty
LONGEST_VALUE = 200
"""Of a value that is longer as text, messages show the beginning."""


@dataclass(frozen=True)
class Setting:
    """One setting: its name, its type, and its default (`REQUIRED` where it has none)."""

    name: str
    annotation: Any
    default: Any = REQUIRED
    adapter: TypeAdapter[Any] | None = field(default=None, compare=False, repr=False)

    @property
    def type(self) -> str:
        """Return the type as a reader writes it, as in `int > 0`."""
        return type_text(self.annotation)

    def __str__(self) -> str:
        head = f"{self.name}: {self.type}"
        return head if self.default is REQUIRED else f"{head} = {value_text(self.default)}"

    def check(self, value: Any) -> tuple[Any, str]:
        """Return the value as the factory gets it, and what is wrong with it (or an empty string)."""
        try:
            text = json.dumps(value)  # a TypeError for what is no value of JSON, such as a date of TOML
            return (value if self.adapter is None else self.adapter.validate_json(text, strict=True)), ""
        except TypeError:
            return value, f"{value_text(value)} is not {self.type}"
        except ValidationError as error:
            return value, f"{value_text(value)} is not {self.type}{_reason(error)}"


@dataclass(frozen=True)
class Checked:
    """Settings after a check: complete and plain (JSON values); `problems` pairs a setting with a text."""

    settings: Mapping[str, Any]
    problems: tuple[tuple[str, str], ...] = ()


def check_settings(
    owner: str, settings: tuple[Setting, ...], given: Mapping[str, Any], *, fill: bool = True
) -> Checked:
    """Check a study's values against a component's settings.

    fill: add the defaults, which makes them part of a run's identity, so that writing one out changes
        nothing. Not for a library's components: its defaults are its own business and move with its version.
    """
    known = {s.name: s for s in settings}
    problems = [
        (name, f"{owner} has no setting '{name}'{did_you_mean(name, known)}") for name in given if name not in known
    ]
    filled: dict[str, Any] = {}
    for setting in settings:
        if setting.name in given:
            value, wrong = setting.check(given[setting.name])
            if wrong:
                problems.append((setting.name, wrong))
            filled[setting.name] = _plain(setting, value)
        elif setting.default is REQUIRED:
            problems.append((setting.name, f"{owner} needs a value for '{setting.name}' ({setting.type})"))
        elif fill:
            filled[setting.name] = _plain(setting, setting.default)
    return Checked(filled, tuple(problems))


def arguments(settings: tuple[Setting, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn plain values (as stored) into what the factory's annotations promise, such as tuples and paths."""
    known = {s.name: s for s in settings}
    return {name: known[name].check(value)[0] if name in known else value for name, value in values.items()}


def settings_of(factory: Callable[..., Any]) -> Iterator[Setting]:
    """Read a plugin factory's settings: its keyword-only parameters, for a class those of its `__init__`.

    Raises TypeError with a reason for a parameter without annotation or with one no TOML value can become.
    """
    parameters = [p for p in inspect.signature(factory).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for p in parameters:
        if p.annotation is REQUIRED:
            raise TypeError(f"parameter '{p.name}' has no annotation; write its type, as in '{p.name}: int = 1'")
    owner = factory.__init__ if inspect.isclass(factory) else inspect.unwrap(factory)
    hints = _hints(owner, [p.name for p in parameters])
    for p in parameters:
        annotation = hints[p.name]
        try:
            adapter = TypeAdapter(annotation)
        except (PydanticSchemaGenerationError, PydanticUserError):
            raise TypeError(
                f"parameter '{p.name}' has the type {type_text(annotation)}, which no value of a study file can become"
            ) from None
        setting = Setting(p.name, annotation, p.default, adapter)
        if p.default is not REQUIRED and p.default is not None and setting.check(_plain(setting, p.default))[1]:
            raise TypeError(f"the default of '{p.name}', {value_text(p.default)}, is not {type_text(annotation)}")
        yield setting


def settings_of_library(
    target: Callable[..., Any], skip: Collection[str] = (), defaults: Mapping[str, Any] = types.MappingProxyType({})
) -> tuple[Setting, ...]:
    """Read the settings of a library's class or function: its named parameters but `skip`.

    defaults: what a wrapper passes in place of the target's own defaults.
    A type is narrowed to what a study file can hold, as `float | Tensor` to `float`; a parameter of
    which nothing is left (a callable, a module) is no setting, unless it has to be given. A type that
    cannot be read is accepted as it comes: the library has the last word, when the component is built,
    which `ablate run` does once before the first run starts.
    """
    owner = target.__init__ if inspect.isclass(target) else target
    found = []
    for p in inspect.signature(target).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.POSITIONAL_ONLY) or p.name in skip:
            continue
        default = defaults.get(p.name, p.default)
        annotation, adapter = _library_type(owner, p, default)
        if annotation is None and default is not REQUIRED:
            continue
        if default is not REQUIRED and not _is_plain(default):
            # Such as `act_layer: str | Callable = nn.ReLU`: a name may stand for it, its default has none.
            default = None
        found.append(Setting(p.name, p.annotation if annotation is None else annotation, default, adapter))
    return tuple(found)


def _library_type(owner: Any, p: inspect.Parameter, default: Any) -> tuple[Any, TypeAdapter[Any] | None]:
    """Return what a library's parameter accepts from a study file (None where nothing) and how to check it."""
    if p.annotation is REQUIRED:
        # Of a default 0 one cannot tell whether 0.5 is meant to be possible.
        annotation: Any = {bool: bool, int: int | float, float: float, str: str}.get(type(default), Any)
    else:
        try:
            annotation = _toml_form(_hints(owner, [p.name], vars(collections.abc)).get(p.name, Any))
        except TypeError:
            annotation = Any
    if annotation is None or annotation is type(None):
        return None, None
    try:
        return annotation, None if annotation is Any else TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return Any, None


def _toml_form(annotation: Any) -> Any:
    """Narrow a type to what a value of a study file can become, or return None where nothing is left."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (Any, None, type(None), bool, int, float, str, list, tuple, dict) or origin is typing.Literal:
        return type(None) if annotation is None else annotation
    if origin is typing.Annotated:
        return annotation if _toml_form(args[0]) is not None else None
    if origin in (typing.Union, types.UnionType):
        forms = [form for form in map(_toml_form, args) if form is not None]
        return typing.Union[tuple(forms)] if forms else None  # noqa: UP007  # made from a list of types
    if origin in (list, tuple, dict, collections.abc.Sequence, collections.abc.Iterable):
        forms = [arg if arg is Ellipsis else _toml_form(arg) for arg in args]
        # An Iterable would be read once and lazily: a list says the same to a reader, and can be read again.
        return None if None in forms else (list if origin.__module__ == "collections.abc" else origin)[tuple(forms)]
    return None


def _is_plain(value: Any) -> bool:
    """Say whether a study file could hold this value (or leave it out, for None)."""
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str, dict))


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


def _hints(owner: Any, names: Collection[str], known: Mapping[str, Any] = types.MappingProxyType({})) -> dict[str, Any]:
    """Evaluate the annotations of these parameters only: others may name types imported for type checking.

    known: names that the owner's module may have imported for type checking alone.
    """
    annotations = {n: a for n, a in getattr(owner, "__annotations__", {}).items() if n in names}
    try:
        return typing.get_type_hints(
            types.SimpleNamespace(__annotations__=annotations),
            globalns={**known, **getattr(owner, "__globals__", {})},
            include_extras=True,
        )
    except NameError as error:
        raise TypeError(f"the annotation {error.name!r} is not defined when the plugin is loaded") from None


def _plain(setting: Setting, value: Any) -> Any:
    """Return a value as JSON holds it, so that identities and files need no types."""
    if setting.adapter is None:
        return value
    try:
        return setting.adapter.dump_python(value, mode="json", warnings=False)
    except (ValueError, TypeError):
        return value


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


def _reason(error: ValidationError) -> str:
    """Return pydantic's own reason where it adds to the type, as for the third item of a list."""
    first = error.errors(include_url=False)[0]
    return f" (item {first['loc'][0]}: {first['msg']})" if first["loc"] and isinstance(first["loc"][0], int) else ""
