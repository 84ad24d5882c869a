"""The JSON Schema of a report's document, from the type hints that it is written by."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from ..metrics import Metric, Quantity
from .content import Report
from .document import CODEC, DESCRIBING, FORMAT, VERSION
from .hints import UnwritableError, taken_apart

if TYPE_CHECKING:
    from .codec import Codec
    from .hints import Hint

_PLAIN: dict[type, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": 0},
    float: {"type": ["number", "null"]},
    str: {"type": "string"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    type(None): {"type": "null"},
}
_ABOUT = (
    "A report of an ablation study: 'ablate report STUDY --format json' writes it, and 'ablate report FILE.json' makes "
    "every other form of it. Numbers are in the unit of data: accuracies are fractions, differences of accuracies too, "
    "times seconds. Where a number is absent or not finite there is null. What is called a metric or a quantity is a "
    "name under 'metrics' or 'quantities', which say what is better, in which unit it is written, and by which factor "
    "a number is multiplied for that."
)


def schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12). UnwritableError, naming the field, for a fact that JSON cannot hold."""
    made = _Schema(CODEC)
    whole = made.record(Report)
    described = _Schema(DESCRIBING)
    metric = described.record(Metric)
    metric["properties"]["quantity"] = {"type": "string", "description": "The name of its quantity."}
    of_one = {"Quantity": described.record(Quantity), "Metric": metric}
    head = {
        "format": {"const": FORMAT},
        "version": {"type": "integer", "const": VERSION},
        "ablate": {"type": "string", "description": "The version of ablate that wrote it."},
        "quantities": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Quantity"}},
        "metrics": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Metric"}},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Report of an ablation study",
        **whole,
        "description": f"{_ABOUT}\n\n{whole['description']}",
        "properties": head | whole["properties"],
        "required": [*head, *whole["required"]],
        "$defs": dict(sorted((of_one | made.records).items())),
    }


class _Schema:
    """The schemas of the records that one is made of. records: those of the classes met, by name."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._classes: dict[str, type] = {}
        self.records: dict[str, Any] = {}

    def of(self, hint: Hint, place: str) -> dict[str, Any]:
        """Return the schema of a type."""
        kind, parts = taken_apart(hint, place)
        match kind:
            case "any":
                return {}
            case "union":
                return _union([self.of(part, place) for part in parts])
            case "literal":
                return {"enum": list(parts)}
            case "tuple" if parts[-1:] == (...,):
                return {"type": "array", "items": self.of(parts[0], place)}
            case "tuple":
                items = [self.of(part, place) for part in parts]
                return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
            case "mapping":
                return {"type": "object", "additionalProperties": self.of(parts[1], place)}
        cls: type = parts[0]
        if cls in _PLAIN:
            return _PLAIN[cls]
        if cls in self._codec.named:
            of = "metrics" if cls is Metric else "quantities"
            return {"type": "string", "description": f"A name under '{of}'."}
        return self._reference(cls)

    def _reference(self, cls: type) -> dict[str, Any]:
        name = cls.__name__
        if self._classes.setdefault(name, cls) is not cls:
            raise UnwritableError(f"{cls.__module__} and {self._classes[name].__module__} both have a {name}")
        if name not in self.records:
            self.records[name] = {}  # so that a class which holds itself comes to an end
            self.records[name] = self.record(cls)
        return {"$ref": f"#/$defs/{name}"}

    def record(self, cls: type) -> dict[str, Any]:
        """Return the schema of a dataclass."""
        fields = self._codec.fields(cls)
        derived = self._codec.derived.get(cls, {})
        place = f"{cls.__module__}.{cls.__name__}"
        properties = {one.key: self.of(one.hint, f"{place}.{one.name}") for one in fields}
        properties |= {name: self.of(hint, place) for name, (hint, _) in derived.items()}
        return {
            "description": inspect.cleandoc(cls.__doc__ or ""),
            "type": "object",
            "properties": properties,
            "required": [one.key for one in fields if one.required],
            "additionalProperties": False,
        }


def _union(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what any of these allows; plain types of one value side by side."""
    if all(part.keys() == {"type"} for part in parts):
        types = dict.fromkeys(name for part in parts for name in _names(part["type"]))
        return {"type": list(types)}
    return {"anyOf": parts}


def _names(types: str | list[str]) -> list[str]:
    return [types] if isinstance(types, str) else types
