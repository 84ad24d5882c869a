"""Whether an interrupted run goes on as if it had not been interrupted, tried out before any run begins.

A run takes a step, and is built again from its checkpoint; then both take the next step. If they differ, a component
has state that no checkpoint restores, and what the components hold in Python shows which one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import RunError, listing
from .checkpoint import capture, packed, restore, restore_random, unpacked
from .contracts import named
from .python_state import PLAIN, python_values, tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..components.registry import Entry
    from .ingredients import Ingredients
    from .python_state import NamedValue

REMEDY = {
    "model": "make it a buffer, or keep it with get_extra_state() and set_extra_state(state)",
    "optimizer": "keep it in its state or in its groups of parameters",
    "scheduler": "keep it in an attribute that state_dict() has",
    "augmentation": "return an object with state_dict() and load_state_dict(state), or draw from the generator alone",
}
HELD = "a checkpoint holds tensors, numbers, texts, NumPy's numbers and arrays, and lists and dicts of those"
# Types of values that change as a run goes on; a cache that is not filled yet is absent or None at first.
_CHANGING = {*(kind.__name__ for kind in PLAIN), "Generator", "RandomState", "Random", "count"} - {"NoneType"}
Reached = list["dict[str, NamedValue]"]


@dataclass(frozen=True)
class LostState:
    """What a component holds in Python that a checkpoint did not restore. changing: the paths that surely change."""

    entry: Entry
    paths: Sequence[str]
    changing: Sequence[str]


def check_resuming(
    run: Ingredients,
    entries: Sequence[Entry],
    made: Callable[[], Ingredients],
    step: Callable[[Ingredients, int], object],
) -> str:
    """Check that a run that has taken one step can be interrupted; return a warning, "" if there is none.

    entries: those of its model, optimizer, scheduler and augmentations, in this order. made: builds the run again.
    step: takes the step of the given number, and returns its result.
    Raises RunError naming the component whose state is lost.
    """
    kept = _kept(run, entries)
    before = _reached(run)
    other = made()
    try:
        restore(other, kept)
    except Exception as error:
        who = listing(named(entry) for entry in entries)
        raise RunError(
            f"what a checkpoint keeps cannot be put back: {type(error).__name__}: {error}\n  of {who}"
        ) from error
    lost = _lost(entries, before, _reached(other))
    after = _next(run, kept, step)
    if _same(after, _next(other, kept, step)):
        return "; ".join(
            f"no checkpoint keeps {listing(one.changing, 3)} of {named(one.entry)}, and training changes it"
            for one in lost
            if one.changing
        )
    if changing := [replace(one, paths=one.changing) for one in lost if one.changing]:
        raise RunError("; ".join(map(_text_of, changing)))
    third = made()
    step(third, 1)
    if _same(after, _next(third, kept, step)):
        if lost:
            raise RunError("; ".join(map(_text_of, lost)))
        who = listing(named(entry) for entry in entries)
        raise RunError(
            "a run that is interrupted would end with other numbers: a component keeps state where no checkpoint finds "
            f"it, such as in a global\n  one of {who}"
        )
    return "the same steps taken twice give other numbers, so that a seed does not repeat"


def _text_of(lost: LostState) -> str:
    return (
        f"{named(lost.entry)} keeps state that no checkpoint holds ({listing(lost.paths, 3)}): "
        f"a run that is interrupted would end with other numbers; {REMEDY[lost.entry.kind]}"
    )


def _things(run: Ingredients) -> list[Any]:
    return [run.model, run.optimizer, run.scheduler, *run.transforms]


def _reached(run: Ingredients) -> Reached:
    """Return what each component holds in Python."""
    return [
        python_values(thing, tuple(other for other in _things(run) if other is not thing)) for thing in _things(run)
    ]


def _lost(entries: Sequence[Entry], before: Reached, after: Reached) -> list[LostState]:
    found = []
    for entry, one, two in zip(entries, before, after, strict=True):
        paths = [path for path in {**one, **two} if one.get(path) != two.get(path)]
        changing = [p for p in paths if p in one and p in two and one[p][0] == two[p][0] and one[p][0] in _CHANGING]
        if paths:
            found.append(LostState(entry, paths, changing))
    return found


def _next(run: Ingredients, kept: Mapping[str, Any], step: Callable[[Ingredients, int], object]) -> object:
    """Take the next step, from the checkpoint's random states, and return its result and the state after it."""
    restore_random(run, kept["random"])
    measured = step(run, 2)
    return {"measured": measured, **capture(run, 1, None, [])}


def _same(one: Any, two: Any) -> bool:
    """Tell whether two states are the same, bit for bit."""
    if isinstance(one, (torch.Tensor, np.ndarray)):
        return (
            type(one) is type(two) and one.dtype == two.dtype and one.shape == two.shape and _bytes(one) == _bytes(two)
        )
    if isinstance(one, Mapping):
        return isinstance(two, Mapping) and one.keys() == two.keys() and all(_same(one[k], two[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(two) and len(one) == len(two) and all(map(_same, one, two))
    return type(one) is type(two) and repr(one) == repr(two)


def _bytes(values: torch.Tensor | np.ndarray[Any, Any]) -> bytes:
    return values.tobytes() if isinstance(values, np.ndarray) else tensor_bytes(values)


def _kept(run: Ingredients, entries: Sequence[Entry]) -> Mapping[str, Any]:
    """Return a run's state as a checkpoint restores it.

    Raises RunError if a checkpoint cannot hold something, or not restore it without running code.
    """
    state = capture(run, 1, None, [])
    try:
        kept: Mapping[str, Any] = unpacked(packed(state))
    except Exception as error:
        _check_plain(entries, state)
        raise RunError(f"the run's state cannot be kept: {type(error).__name__}: {error}") from error
    return kept


def _check_plain(entries: Sequence[Entry], state: Mapping[str, Any]) -> None:
    """Raise RunError naming the component, and the part of its state, that does not survive a checkpoint."""
    model, optimizer, scheduler, *augmentations = entries
    # A schedule before the optimizer whose rates it sets.
    parts = [(scheduler, state["scheduler"]), (optimizer, state["optimizer"]), (model, state["model"])]
    for entry, part in [*parts, *zip(augmentations, state["transforms"], strict=True)]:
        for path, what in _odd(part, ""):
            raise RunError(
                f"{named(entry)} has a state that cannot be kept: '{path}' is of type {what}. Leave it out of "
                f"state_dict(), or keep something plain: {HELD}"
            )


def _odd(part: object, path: str) -> Iterator[tuple[str, str]]:
    """Yield the paths in a state that do not survive a checkpoint, each with the type of its value."""
    if _survives(part):
        return
    inside: list[tuple[object, object]] = []
    if isinstance(part, Mapping):
        inside = list(part.items())
    elif isinstance(part, (list, tuple)):
        inside = list(enumerate(part))
    deeper = [one for key, value in inside for one in _odd(value, ".".join(filter(None, (path, str(key)))))]
    yield from deeper or [(path or "all of it", type(part).__name__)]


def _survives(part: object) -> bool:
    try:
        unpacked(packed({"part": part}))
    except Exception:  # noqa: BLE001  # pickling runs a user's code
        return False
    return True
