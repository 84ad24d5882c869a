"""What it was measured to save to record a run's steps, remembered in the user's cache."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..files import replace_file
from ..study.plan import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..study.spec import RunSpec

KEPT_SECONDS = 7 * 24 * 3600.0
"""Then it is measured again: other runs may have been on the GPU."""


@dataclass(frozen=True)
class Measured:
    """The times of a step, recorded and not.

    step_seconds, replayed_seconds: of a plain forward and backward pass, and of a replayed one. recording_seconds: the
    time to record them. refused: why they cannot be recorded, "" if they can. tries: how often a recording was begun
    and never ended.
    """

    step_seconds: float = 0.0
    replayed_seconds: float = 0.0
    recording_seconds: float = 0.0
    refused: str = ""
    tries: int = 0

    def pays(self, steps: int) -> bool:
        """Tell whether recording makes a run of this many steps faster."""
        return not self.refused and steps * (self.step_seconds - self.replayed_seconds) > self.recording_seconds


def measured_file(folder: Path, spec: RunSpec, device: torch.device) -> Path:
    """Return the file for what was measured, named by a hash of all that decides how long a step takes."""
    parts = ("engine", "model", "augmentation", "batch_size", "precision", "crop_kernels", "label_smoothing", "loss")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    facts = {part: spec.identity[part] for part in parts if part in spec.identity} | {
        "torch": str(torch.__version__),
        "device": name,
    }
    key = key_of({**facts, "shape": spec.shape, "classes": spec.classes})
    return folder / f"{key}.json"


def read_measured(file: Path) -> Measured | None:
    """Return what was measured, or None if it is not there, too old or unreadable."""
    try:
        if time.time() - file.stat().st_mtime > KEPT_SECONDS:
            return None
        document: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return Measured(**document)
    except (OSError, ValueError, TypeError):
        return None


def write_measured(file: Path, measured: Measured) -> None:
    """Remember what was measured; if that fails, the next run measures again."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, json.dumps(asdict(measured)).encode())
