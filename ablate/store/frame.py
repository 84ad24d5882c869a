"""Runs read back as tidy frames: one of runs, one of epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..study.plan import cost_key

if TYPE_CHECKING:
    import pandas as pd

    from .store import Store

METRIC_COLUMNS = ("train/loss", "validation/loss", "validation/accuracy", "test/loss", "test/accuracy")
RUN_COLUMNS = ("variant", "seed", "key", "state", "reason", "parameters", "dead_weights", "seconds", *METRIC_COLUMNS)
EPOCH_COLUMNS = ("variant", "seed", "epoch", "lr", *METRIC_COLUMNS, "seconds", "images_per_second")

_STATE = {"stored": "done", "failed": "failed", "unfinished": "unfinished", "new": "missing"}


def read_frames(store: Store, wanted: Mapping[tuple[str, int], str | None]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the frame of runs (RUN_COLUMNS) and of their epochs (EPOCH_COLUMNS).

    wanted: the key of each variant and seed, None for a run that was never planned; its state is `missing`.
    Only finished runs have metrics and epochs: a half-trained curve beside whole ones would mislead.
    """
    import pandas as pd

    runs: list[dict[str, Any]] = []
    epochs: list[dict[str, Any]] = []
    for (variant, seed), key in wanted.items():
        row: dict[str, Any] = {"variant": variant, "seed": seed, "key": key or "", "state": "missing", "reason": ""}
        if key:
            folder = store.run(key)
            result = folder.result()
            row["state"] = "done" if result else _STATE[folder.state()]
            if result:
                row |= {name: result.get(name) for name in RUN_COLUMNS[5:]}
                if folder.history_fits():
                    epochs += [{**record, "variant": variant, "seed": seed} for record in folder.history()]
                else:
                    row["reason"] = "its epochs are damaged, and left out of the curves"
            else:
                row["reason"] = str((folder.failure() or {}).get("reason", ""))
        runs.append(row)
    numeric = [c for c in {*RUN_COLUMNS[5:], *EPOCH_COLUMNS[2:]} if c != "epoch"]
    frames = pd.DataFrame(runs, columns=list(RUN_COLUMNS)), pd.DataFrame(epochs, columns=list(EPOCH_COLUMNS))
    for frame in frames:
        for column in set(numeric) & set(frame.columns):
            frame[column] = pd.to_numeric(frame[column], errors="coerce").astype("float64")
    frames[1]["epoch"] = frames[1]["epoch"].astype("int64")
    return frames


def environment_lines(store: Store, keys: list[str]) -> tuple[str, ...]:
    """Describe the machines that runs were made on, each different one once."""
    lines: dict[str, None] = {}
    for key in keys:
        environment = (store.run(key).spec() or {}).get("environment")
        if isinstance(environment, Mapping):
            named = environment.get("versions")
            versions = ", ".join(f"{k} {v}" for k, v in (named if isinstance(named, Mapping) else {}).items())
            threads = environment.get("threads")
            device = f"{environment.get('device')} ({environment.get('device_name')})"
            lines[f"{device}, {threads} threads; Python {environment.get('python')}, {versions}"] = None
    return tuple(lines)


class Cost(NamedTuple):
    """What a run was measured to cost: seconds for each image trained on and evaluated, bytes of its state.

    dead: the share of the model's weights that never meet a pixel.
    """

    training: float
    evaluation: float
    state_bytes: int
    dead: float = 0.0


def costs(store: Store, keys: list[str]) -> dict[str, Cost]:
    """Return what finished runs cost, by cost key."""
    found: dict[str, Cost] = {}
    for key in keys:
        folder = store.run(key)
        result, spec = folder.result(), folder.spec()
        if result and spec and "identity" in spec:
            each, evaluation = result.get("seconds_per_image"), result.get("evaluation_seconds_per_image")
            size = result.get("state_bytes")
            if isinstance(each, float) and isinstance(evaluation, float) and isinstance(size, int):
                dead, of = result.get("dead_weights"), result.get("parameters")
                share = dead / of if isinstance(dead, int) and isinstance(of, int) and of else 0.0
                found[cost_key(spec["identity"])] = Cost(each, evaluation, size, share)
    return found
