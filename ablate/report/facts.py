"""Labelled facts, with numbers as numbers: what is written of them is the business of `filters`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..metrics import Quantity


@dataclass(frozen=True)
class Amount:
    """A number in the unit of data, with its interval where it has one; decimals: how many to write, if not its own."""

    value: float
    quantity: Quantity
    low: float | None = None
    high: float | None = None
    decimals: int | None = None


@dataclass(frozen=True)
class Fact:
    """A labelled value; `detail` is what belongs beside it in smaller print, an amount's interval apart."""

    label: str
    value: str | int | Amount
    detail: str = ""
