"""What an NVIDIA GPU says of itself, through its driver; nothing of it needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Reading:
    """How a GPU stands: the share of the last moment in which it computed anything, and its memory in bytes."""

    busy: float
    used_bytes: int
    free_bytes: int


def gauge(uuid: str) -> Callable[[], Reading] | None:
    """Return what reads a GPU, or None where it cannot be read: no driver, or a part of a GPU, which does not tell.

    uuid: as torch has it, which is the same in a container and with CUDA_VISIBLE_DEVICES; "" for no GPU.
    Source: NVML, https://docs.nvidia.com/deploy/nvml-api/.
    """
    if not uuid:
        return None
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid.removeprefix('GPU-')}")

        def read() -> Reading:
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            return Reading(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100, memory.used, memory.free)

        read()
    except pynvml.NVMLError:
        return None
    return read
