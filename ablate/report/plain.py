"""Facts as plain JSON: numbers in the unit of data, null for those that are absent or not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from ..metrics import Metric, Quantity
from .image_text import image_by_image
from .verdict_text import sentence

if TYPE_CHECKING:
    from ..stats.comparison import Comparison
    from ..stats.images import ImageComparison
    from .verdict_text import Noun


def plain(value: Any) -> Any:
    """Return a fact, or a record of facts, as plain JSON; a metric stands as its name."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else None
        case Metric() | Quantity():
            return value.name
        case Mapping():
            return {str(name): plain(part) for name, part in value.items()}
        case list() | tuple():
            return [plain(part) for part in value]
        case _ if is_dataclass(value):
            given = ((field, getattr(value, field.name)) for field in fields(value))
            return {field.name: plain(of) for field, of in given if of is not None or not field.metadata.get("sparse")}
        case _:
            return str(value)


NAMED_FIRST = ("candidate", "reference", "kind", "metric", "verdict", "difference", "low", "high")


def comparison_facts(found: Comparison, noun: Noun = "seed") -> dict[str, Any]:
    """Return every number of a comparison, its verdict, and what they say in a sentence."""
    facts = {"difference" if name == "mean" else name: value for name, value in plain(found).items()}
    first = {name: facts.pop(name) for name in NAMED_FIRST}
    return {**first, **facts, "text": sentence(found, noun)}


def image_facts(found: ImageComparison | None) -> dict[str, Any] | None:
    """Return every number of a comparison image by image, and what they say in words; None where there is none."""
    if found is None:
        return None
    larger = {"larger": found.larger, "within_image_noise": found.within_image_noise}
    return {**plain(found), "gained": found.gained, "lost": found.lost, **larger, "text": image_by_image(found)}
