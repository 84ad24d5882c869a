"""What a schedule does over a run, as plain facts: found by walking it beforehand, kept with a study."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Walk:
    """What the schedule of a run does, from its first step to its last and beyond.

    Rates are the highest of all parameter groups. Places are in epochs from the start, nan for none.
    trace: digest of all that optimizer and schedule set at every step; runs alike in all else train alike where it
    is the same. taken: settings of the optimizer that have no effect, such as `lr` and `betas[0]`, as the schedule
    puts its own values in their place.
    peak, last, after: the highest rate, that of the last step, and the one that a further step would have. flat:
    whether no group's rate ever changes.
    first: where a rate changes first. idle: from where on the rate is 0, to the end.
    turn: where the rate is lowest before it rises again. back: where it is at its highest again, and times: how often
    it is, in the run. jump: it rises in one step. end, floor: where the schedule ends, if that is beyond the run, and
    the lowest rate until there.
    """

    trace: str
    peak: float
    last: float
    after: float
    flat: bool = False
    taken: tuple[str, ...] = ()
    first: float = math.nan
    idle: float = math.nan
    turn: float = math.nan
    back: float = math.nan
    jump: bool = False
    times: int = 0
    end: float = math.nan
    floor: float = math.nan

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON, without what is nan."""
        return {name: value for name, value in vars(self).items() if value == value}  # noqa: PLR0124  # nan is not

    @classmethod
    def of(cls, document: object) -> Walk | None:
        """Read a document back; None where it is no walk."""
        if (
            not isinstance(document, Mapping)
            or not {"trace", "peak", "last", "after"} <= document.keys() <= _KINDS.keys()
        ):
            return None
        if not all(isinstance(value, _KINDS[name]) for name, value in document.items()):
            return None
        return cls(**{**document, "taken": tuple(map(str, document.get("taken", ())))})


_TYPES: Mapping[str, tuple[type, ...]] = {"str": (str,), "bool": (bool,), "int": (int,), "float": (int, float)}
_KINDS = {field.name: _TYPES.get(str(field.type), (list, tuple)) for field in fields(Walk)}
