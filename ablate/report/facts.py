"""Labelled facts, with numbers as numbers: what is written of them is the business of `filters`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..metrics import Quantity

Method = TypeVar("Method", bound="Callable[..., object]")


def for_templates(method: Method) -> Method:
    """Mark a method of a record that templates may call: it reads and writes nothing, and gives a plain value.

    They read fields and properties, and call no other method (`sandbox`).
    """
    method.for_templates = True  # type: ignore[attr-defined]
    return method


@dataclass(frozen=True)
class Amount:
    """A number in the unit of data, with its interval where it has one; decimals: how many to write, if not its own."""

    value: float
    quantity: Quantity
    low: float | None = None
    high: float | None = None
    decimals: int | None = None


@dataclass(frozen=True)
class ChosenFigure:
    """A figure that a study names for its report. use: the component, or "default" for those of other studies."""

    use: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fact:
    """A labelled value; `detail` is what belongs beside it in smaller print, an amount's interval apart."""

    label: str
    value: str | int | Amount
    detail: str = ""
