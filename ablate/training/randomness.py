"""The random state of a process: torch's, NumPy's and Python's global generators, which anything may draw from."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def process_random() -> dict[str, Any]:
    """Return every random state of the process, as plain data and tensors."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002  # a plugin may use it
    assert not isinstance(keys, str)  # in the types it may be, for the form that is not asked for
    version, internal, carried = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
        "numpy": [kind, keys.tolist(), position, has_gauss, gauss],
        "python": [version, list(internal), carried],
    }


def restore_process_random(state: Mapping[str, Any]) -> None:
    """Restore every random state of the process."""
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    if state["mps"] is not None:
        torch.mps.set_rng_state(state["mps"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002
    version, internal, carried = state["python"]
    random.setstate((version, tuple(internal), carried))


@contextlib.contextmanager
def preserved_random() -> Iterator[None]:
    """Restore every random state of the process afterwards."""
    state = process_random()
    try:
        yield
    finally:
        restore_process_random(state)


def drawn_from(before: Mapping[str, Any]) -> list[str]:
    """Return the libraries whose generators were drawn from, or seeded, since a state was taken."""
    now = process_random()
    found = []
    if not all(a is b or torch.equal(a, b) for a, b in zip(_of_torch(before), _of_torch(now), strict=True)):
        found.append("torch")
    return found + [name for name in ("numpy", "python") if before[name] != now[name]]


def _of_torch(state: Mapping[str, Any]) -> list[torch.Tensor]:
    return [state["torch"], *state["cuda"], *([] if state["mps"] is None else [state["mps"]])]
