"""Datasets kept as plain arrays in the user's cache, mapped into memory: all runs of a machine share one copy.

    CACHE/ablate/arrays/HASH/SPLIT-images.npy, SPLIT-labels.npy

The hash is of all that names a dataset: its component's source and settings, and the fingerprint of its pixels.
A folder with that name is complete. It is a cache: what is missing or damaged is made again from the source.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from ..components.contracts import Split
from .disk import locked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..components.contracts import Source

def shared_arrays(source: Source, identity: Mapping[str, Any], folder: Path) -> Mapping[str, Split]:
    """Return a dataset's splits, mapped from files that are made first where they are missing.

    identity: what a run's identity says of its dataset. Where the folder cannot be written, each run holds its own.
    """
    named = {name: value for name, value in identity.items() if name != "splits"}
    digest = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:24]
    place = folder / digest
    kept = _mapped(place)
    if kept is not None:
        return kept
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(place.parent, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        return source.load()
    with locked(place, "keeps the dataset as arrays"):
        return _mapped(place) or _keep(source.load(), place)


def _mapped(place: Path) -> dict[str, Split] | None:
    """Map what is kept; None where it is not there, or not whole."""
    found: dict[str, Split] = {}
    try:
        for name in {file.name.partition("-")[0] for file in place.glob("*.npy")}:
            # Copied on write, because torch warns of memory that it may not write to; nobody does.
            images = np.load(place / f"{name}-images.npy", mmap_mode="c")
            found[name] = Split(images, np.load(place / f"{name}-labels.npy"))
    except (OSError, ValueError, EOFError):
        return None
    return found if "train" in found else None


def _keep(loaded: Mapping[str, Split], place: Path) -> Mapping[str, Split]:
    """Write splits beside and put them in place in one step; return them mapped."""
    if any(isinstance(split.images, np.memmap) for split in loaded.values()):
        return loaded  # the source shares them already
    making = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        making.mkdir()
        for name, split in loaded.items():
            for part in ("images", "labels"):
                with (making / f"{name}-{part}.npy").open("wb") as file:
                    np.save(file, getattr(split, part))
                    file.flush()
                    os.fsync(file.fileno())
        shutil.rmtree(place, ignore_errors=True)
        making.replace(place)
    except OSError:  # a full disk: the run has what it needs, and the next one tries again
        return loaded
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return _mapped(place) or loaded
