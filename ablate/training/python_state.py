"""What an object holds in Python, by path: to find what a component changes that no checkpoint would restore."""

from __future__ import annotations

import functools
import hashlib
import itertools
import random
import types
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 20_000
"""The most values that are looked at; an object with more holds data."""
PLAIN = (type(None), bool, int, float, complex, str, bytes)
NamedValue = tuple[str, object]


def python_values(thing: object, apart: tuple[object, ...] = ()) -> dict[str, NamedValue]:
    """Return the plain values, arrays and generators that an object reaches, by path, each with its type's name.

    Parameters and buffers of modules and what PyTorch's optimizers hold are left out: those have a state_dict.
    apart: objects that are not looked into.
    """
    found: dict[str, NamedValue] = {}
    seen = {id(other) for other in apart}
    left: deque[tuple[str, object]] = deque([("", thing)])
    while left and len(found) < MOST:
        path, part = left.popleft()
        leaf = _leaf(part)
        if leaf is not None:
            found[path] = leaf
        elif id(part) not in seen:
            seen.add(id(part))
            left.extend((".".join(filter(None, (path, name))), inner) for name, inner in _inside(part))
    return found


def _leaf(part: object) -> NamedValue | None:
    """Return what identifies the value of a thing without parts; None for one with parts."""
    kind = type(part).__name__
    if isinstance(part, PLAIN):
        return kind, repr(part)
    if isinstance(part, Tensor):
        return kind, (str(part.dtype), tuple(part.shape), hashlib.sha256(tensor_bytes(part)).hexdigest())
    if isinstance(part, np.ndarray):
        return kind, (str(part.dtype), part.shape, hashlib.sha256(part.tobytes()).hexdigest())
    if isinstance(part, (np.generic, itertools.count)):
        return kind, repr(part)
    if isinstance(part, np.random.Generator):
        return kind, repr(part.bit_generator.state)
    if isinstance(part, np.random.RandomState):
        return kind, repr(part.get_state(legacy=False))
    if isinstance(part, random.Random):
        return kind, hash(part.getstate())
    if isinstance(part, torch.Generator):
        return kind, part.get_state().numpy().tobytes()
    return None


def tensor_bytes(values: Tensor) -> bytes:
    """Return a tensor's values in their order, whatever its type, device and memory layout."""
    flat = values.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def _inside(part: object) -> Iterator[tuple[str, object]]:
    """Yield the parts of a thing with their names."""
    if getattr(part if isinstance(part, types.FunctionType) else type(part), "__module__", "").startswith(_OURS):
        return  # our own plans, which are made again when they are needed
    match part:
        case types.ModuleType() | type() | types.BuiltinFunctionType():
            return
        case Mapping():
            yield from ((str(key), value) for key, value in list(part.items()))
        case list() | tuple() | deque():
            yield from ((str(place), value) for place, value in enumerate(part))
        case set() | frozenset():
            yield from ((str(place), value) for place, value in enumerate(sorted(part, key=repr)))
        case types.MethodType():
            yield "", part.__self__
        case types.FunctionType():
            yield from _of_function(part)
        case functools.partial():
            yield from (("", inner) for inner in (part.func, part.args, part.keywords))
        case _:
            yield from _attributes(part)


def _of_function(part: types.FunctionType) -> Iterator[tuple[str, object]]:
    for name, cell in zip(part.__code__.co_freevars, part.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # a variable without a value yet
            continue
    # Attributes with an underscore belong to what wraps functions, such as a compiler.
    yield from ((name, value) for name, value in vars(part).items() if not name.startswith("_"))
    yield from (("", value) for value in part.__defaults__ or ())
    yield from (part.__kwdefaults__ or {}).items()


def _attributes(part: object) -> Iterator[tuple[str, object]]:
    own: dict[str, Any] = dict(getattr(part, "__dict__", {}))
    if isinstance(part, nn.Module):
        yield from part.named_children()
        own = {name: value for name, value in own.items() if name not in _OF_MODULES}
    elif isinstance(part, Optimizer):
        own = {name: value for name, value in own.items() if name not in _OF_OPTIMIZERS}
    for base in type(part).__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in {"__dict__", "__weakref__"} and hasattr(part, name):
                own.setdefault(name, getattr(part, name))
    yield from own.items()


_OURS = f"{__name__.partition('.')[0]}."
_OF_MODULES = frozenset(vars(nn.Module()))
_OF_OPTIMIZERS = frozenset({*vars(SGD([nn.Parameter(torch.zeros(1))], lr=1.0)), "step", "_opt_called"})
