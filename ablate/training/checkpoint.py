"""A run's whole state on disk, so that a run that was killed goes on and ends with the same bits.

Held: weights and buffers, optimizer, scheduler, every random state, the place in the epoch, and the records
of the epochs so far. Plain data and tensors only: a checkpoint is read with `weights_only=True`, which runs
no code from the file.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .loop import Epoch
from .sealed import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .loop import Ingredients

FORMAT = 2
State = dict[str, Any]


class NoCheckpointError(Exception):
    """A checkpoint is damaged or of another run; its text says which."""


def capture(run: Ingredients, number: int, epoch: Epoch | None, records: list[dict[str, Any]]) -> State:
    """Return the state of a run in epoch `number` (1-based); `epoch` is None where that one has not begun."""
    return {
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "scheduler": run.scheduler.state_dict(),
        "average": None if run.average is None else run.average.state_dict(),
        "random": _random_states(run),
        "number": number,
        "epoch": None if epoch is None else vars(epoch),
        "records": records,
    }


def restore(run: Ingredients, state: Mapping[str, Any]) -> tuple[int, Epoch | None, list[dict[str, Any]]]:
    """Put a run back into a captured state; return the epoch's number, the epoch, and the records so far."""
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    # Schedulers warn when they are stepped before the optimizer; after a restart it was stepped, in another life.
    run.optimizer._opt_called = True  # type: ignore[attr-defined]  # noqa: SLF001  # torch's own flag for it
    run.scheduler.load_state_dict(state["scheduler"])
    if run.average is not None:
        run.average.load_state_dict(state["average"])
    _restore_random(run, state["random"])
    epoch = None if state["epoch"] is None else Epoch(**state["epoch"])
    if epoch is not None:
        epoch.order, epoch.losses = epoch.order.to(run.data.train.place), epoch.losses.to(run.data.mean.device)
    return int(state["number"]), epoch, list(state["records"])


def write_checkpoint(path: Path, key: str, state: State) -> None:
    """Put a checkpoint in place in one step: written beside, flushed to disk, renamed."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        # In memory first: torch turns a full disk's OSError into a RuntimeError of its own.
        written = io.BytesIO()
        torch.save({"format": FORMAT, "key": key, **state}, written)
        with temporary.open("wb") as file:
            file.write(seal(written.getbuffer()))
            file.write(written.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_checkpoint(path: Path, key: str) -> State | None:
    """Return a checkpoint's state, None where there is none; NoCheckpointError where it cannot be used."""
    if not path.exists():
        return None
    try:
        content = unseal(path)
    except OSError as error:
        raise NoCheckpointError(f"it cannot be read ({error.strerror})") from error
    if content is None:
        raise NoCheckpointError("its checksum does not fit")
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise NoCheckpointError(f"it cannot be read ({type(error).__name__})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT or state.get("key") != key:
        raise NoCheckpointError("it is not this run's")
    return state


def state_bytes(run: Ingredients) -> int:
    """Return about how large a run's checkpoint is; an optimizer has its state after its first step."""
    total = 64_000  # random states and the archive itself

    def visit(part: Any) -> None:
        nonlocal total
        if isinstance(part, torch.Tensor):
            total += part.numel() * part.element_size()
        elif isinstance(part, dict):
            for value in part.values():
                visit(value)
        elif isinstance(part, (list, tuple)):
            for value in part:
                visit(value)

    visit([part.state_dict() for part in (run.model, run.optimizer, run.scheduler, run.average) if part is not None])
    return total + 8 * len(run.data.train)  # the order of the images


def weights_digest(model: torch.nn.Module) -> str:
    """Return a hash of all weights and buffers: two runs with the same digest ended with the same bits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if isinstance(tensor, torch.Tensor):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]


def _random_states(run: Ingredients) -> State:
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002  # a plugin may use it
    assert not isinstance(keys, str)  # numpy's types allow it for the form that is not asked for
    version, internal, carried = random.getstate()
    return {
        "order": run.order.get_state(),
        "noise": [generator.get_state() for generator in run.noise],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
        "numpy": [kind, keys.tolist(), position, has_gauss, gauss],
        "python": [version, list(internal), carried],
    }


def _restore_random(run: Ingredients, state: Mapping[str, Any]) -> None:
    run.order.set_state(state["order"])
    for generator, kept in zip(run.noise, state["noise"], strict=True):
        generator.set_state(kept)
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    if state["mps"] is not None:
        torch.mps.set_rng_state(state["mps"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002
    version, internal, carried = state["python"]
    random.setstate((version, tuple(internal), carried))
