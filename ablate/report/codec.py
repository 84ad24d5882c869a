"""Records of facts as JSON, and back, by their type hints: nothing here knows what a report says.

A fact is a text, a whole number, a number, a truth value, None, one of a `Literal`, bytes (base64), a tuple, a mapping
from texts, or a dataclass of such. A whole number counts something, and is not negative. A number that is not finite is
null, and null where a number has to be is nan.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from .hints import Hint, UnwritableError, hints_of, taken_apart

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 2**63
"""A whole number beyond this is in no report, and may be too large for what takes it."""


class UnreadableError(ValueError):
    """A part of a document is not what stands in a report at its place."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: {what}" if place else what)


@dataclass(frozen=True)
class Field:
    """A field of a dataclass. name: in Python; key: in JSON. given: to the constructor. sparse: left out where None."""

    name: str
    key: str
    hint: Hint
    required: bool
    given: bool
    sparse: bool = False


@dataclass(frozen=True)
class Codec:
    """How records are written beside what their hints say.

    keys: by class, fields that are called otherwise in JSON. derived: by class, what JSON has beside the fields, with
    its hint; it is not read. named: classes whose records stand as a name, with how that is made of one; `records`
    gives them back by that name. wrong: yields what a record that was read cannot say, each field with the reason.
    """

    keys: Mapping[type, Mapping[str, str]] = field(default_factory=dict)
    derived: Mapping[type, Mapping[str, tuple[Hint, Callable[[Any], Any]]]] = field(default_factory=dict)
    named: Mapping[type, Callable[[Any], str]] = field(default_factory=dict)
    records: Mapping[tuple[type, str], Any] = field(default_factory=dict)
    wrong: Callable[[Any], Iterable[tuple[str, str]]] = lambda _: ()

    def fields(self, cls: type) -> tuple[Field, ...]:
        """Return the fields of a dataclass, in its order."""
        hints, keys = hints_of(cls), self.keys.get(cls, {})
        return tuple(
            Field(
                name=one.name,
                key=keys.get(one.name, one.name),
                hint=hints[one.name],
                required=one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING and one.init,
                given=one.init,
                sparse=bool(one.metadata.get("sparse")),
            )
            for one in dataclasses.fields(cls)
        )

    def encode(self, value: Any, hint: Hint, place: str = "") -> Any:
        """Return a fact of a type as plain JSON. UnwritableError where it has no form there, or is of another type."""
        kind, parts = taken_apart(hint, place)
        match kind:
            case "any":
                return self._encode_any(value, place)
            case "union":
                return self.encode(value, _option(value, parts, place), place)
            case "literal" if value in parts:
                return value
            case "tuple" if isinstance(value, tuple) and (parts[-1:] == (...,) or len(parts) == len(value)):
                each = parts[:1] * len(value) if parts[-1:] == (...,) else parts
                return [
                    self.encode(one, of, f"{place}[{at}]") for at, (one, of) in enumerate(zip(value, each, strict=True))
                ]
            case "mapping" if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
                return {_text(key): self.encode(one, parts[1], f"{place}[{key!r}]") for key, one in value.items()}
            case "class" if _is_of(value, parts[0]):
                return self._encode_class(value, parts[0], place)
        raise UnwritableError(f"{place}: {value!r} is no {hint}")

    def _encode_class(self, value: Any, cls: type, place: str) -> Any:
        if cls in self.named:
            return self.named[cls](value)
        if not dataclasses.is_dataclass(cls):
            return _PLAIN[cls][0](value)
        if type(value) is not cls:  # it has fields that nothing would write
            raise UnwritableError(f"{place}: a {type(value).__name__} where the hint says {cls.__name__}")
        found = {
            one.key: self.encode(getattr(value, one.name), one.hint, _inside(place, one.name))
            for one in self.fields(cls)
            if not one.sparse or getattr(value, one.name) is not None
        }
        for name, (hint, derive) in self.derived.get(cls, {}).items():
            found[name] = self.encode(derive(value), hint, _inside(place, name))
        return found

    def _encode_any(self, value: Any, place: str) -> Any:
        match value:
            case None | bool():
                return value
            case str():
                return _text(value)
            case Mapping():
                return {_text(str(key)): self._encode_any(one, f"{place}[{key!r}]") for key, one in value.items()}
            case list() | tuple():
                return [self._encode_any(one, f"{place}[{at}]") for at, one in enumerate(value)]
            case Real():
                return _PLAIN[float][0](value)
        raise UnwritableError(f"{place}: {value!r} is nothing that JSON has")

    def decode(self, value: Any, hint: Hint, place: str = "") -> Any:
        """Return the fact of a type that stands in JSON. UnreadableError, which says where, for anything else."""
        kind, parts = taken_apart(hint, place)
        match kind:
            case "any":
                return value
            case "union":
                return self._decode_union(value, parts, place)
            case "literal":
                if not any(value == one and type(value) is type(one) for one in parts):
                    accepted = ", ".join(map(repr, parts))
                    raise UnreadableError(place, f"{_shown(value)} where one of these has to be: {accepted}")
                return value
            case "tuple":
                return self._decode_tuple(value, parts, place)
            case "mapping":
                if not isinstance(value, dict):
                    raise UnreadableError(place, f"{_shown(value)} where an object has to be")
                return {key: self.decode(one, parts[1], f"{place}[{key!r}]") for key, one in value.items()}
            case _:
                return self._decode_class(value, parts[0], place)

    def _decode_tuple(self, value: Any, parts: tuple[Hint, ...], place: str) -> tuple[Any, ...]:
        many = parts[-1:] == (...,)
        if not isinstance(value, list) or not (many or len(value) == len(parts)):
            size = "" if many else f" of {len(parts)}"
            raise UnreadableError(place, f"{_shown(value)} where a list{size} has to be")
        each = parts[:1] * len(value) if many else parts
        return tuple(
            self.decode(one, of, f"{place}[{at}]") for at, (one, of) in enumerate(zip(value, each, strict=True))
        )

    def _decode_union(self, value: Any, options: tuple[Hint, ...], place: str) -> Any:
        errors = []
        if value is None and type(None) in options:
            return None
        for option in options:
            try:
                return self.decode(value, option, place)
            except UnreadableError as error:
                errors.append(error)
        # What came furthest was meant.
        raise max(errors, key=lambda error: len(str(error).partition(": ")[0]))

    def _decode_class(self, value: Any, cls: type, place: str) -> Any:
        if cls in self.named:
            if not isinstance(value, str) or (cls, value) not in self.records:
                raise UnreadableError(place, f"{_shown(value)} is no {cls.__name__.lower()} that is described")
            return self.records[cls, value]
        if not dataclasses.is_dataclass(cls):
            return _PLAIN[cls][1](value, place)
        if not isinstance(value, dict):
            raise UnreadableError(place, f"{_shown(value)} where an object has to be")
        fields = self.fields(cls)
        known = {one.key for one in fields} | self.derived.get(cls, {}).keys()
        if unknown := [key for key in value if key not in known]:
            raise UnreadableError(_inside(place, unknown[0]), "is nothing that a report has there")
        if missing := [one.key for one in fields if one.required and one.key not in value]:
            raise UnreadableError(_inside(place, missing[0]), "is missing")
        found = {
            one.name: self.decode(value[one.key], one.hint, _inside(place, one.key))
            for one in fields
            if one.given and one.key in value
        }
        try:
            made = cls(**found)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise UnreadableError(place, f"is no {cls.__name__}: {error}") from error
        for name, reason in self.wrong(made):
            raise UnreadableError(_inside(place, self.keys.get(cls, {}).get(name, name)), reason)
        return made


# --- values --------------------------------------------------------------------------------------------------------


def _option(value: Any, options: tuple[Hint, ...], place: str) -> Hint:
    """Return which part of a union a value is of."""
    for option in options:
        kind, parts = taken_apart(option, place)
        match kind:
            case "class":
                fits = _is_of(value, parts[0])
            case "literal":
                fits = isinstance(value, tuple(map(type, parts))) and value in parts
            case "tuple":
                fits = isinstance(value, tuple)
            case "mapping":
                fits = isinstance(value, Mapping)
            case _:
                fits = True
        if fits:
            return option
    raise UnwritableError(f"{place}: {value!r} is none of {options}")


def _is_of(value: Any, cls: type) -> bool:
    """Tell whether a value is of a class; numpy's numbers are numbers, and True is none."""
    of: type = {int: Integral, float: Real}.get(cls, cls)
    return isinstance(value, of) and not (of is not cls and isinstance(value, bool))


# --- plain values --------------------------------------------------------------------------------------------------


def _text(value: str) -> str:
    return value.encode(errors="replace").decode()  # half a character has no form in UTF-8


def _number(value: Real) -> int | float | None:
    if isinstance(value, Integral):
        return int(value)
    return float(value) if math.isfinite(value) else None


def _read(cls: type, called: str) -> Callable[[Any, str], Any]:
    def read(value: Any, place: str) -> Any:
        if type(value) is not cls:
            raise UnreadableError(place, f"{_shown(value)} where {called} has to be")
        return value

    return read


def _read_whole(value: Any, place: str, called: str = "a whole number") -> int:
    whole: int = _read(int, called)(value, place)
    if not -LARGEST <= whole <= LARGEST:
        raise UnreadableError(place, f"{_shown(whole)} is too large a number")
    return whole


def _read_count(value: Any, place: str) -> int:
    if (count := _read_whole(value, place)) < 0:
        raise UnreadableError(place, f"{count} is negative, and it counts something")
    return count


def _read_number(value: Any, place: str) -> float:
    if value is None:
        return math.nan
    if type(value) is float and math.isfinite(value):
        return value
    return _read_whole(value, place, "a number")


def _read_bytes(value: Any, place: str) -> bytes:
    try:
        return base64.b64decode(_read(str, "a text in base64")(value, place), validate=True)
    except binascii.Error as error:
        raise UnreadableError(place, f"is not in base64: {error}") from error


def _shown(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", type(None): "null"}
    text = kinds.get(type(value)) or repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


_PLAIN: dict[type, tuple[Callable[[Any], Any], Callable[[Any, str], Any]]] = {
    bool: (bool, _read(bool, "true or false")),
    int: (int, _read_count),
    float: (_number, _read_number),
    str: (_text, _read(str, "a text")),
    bytes: (lambda value: base64.b64encode(value).decode(), _read_bytes),
    type(None): (lambda _: None, _read(type(None), "null")),
}
"""How a plain value is written and read, by its type."""


def _inside(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
