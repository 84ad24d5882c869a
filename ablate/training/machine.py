"""The machine a run trains on: device, threads, and what is recorded of both."""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .granted import granted_cores

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Machine:
    """Where a run trains: the data folder, a device by name, and the number of CPU threads."""

    data_dir: Path
    device: str = "auto"
    threads: int = 1


DEVICE = "--device"
MOST_JOBS = 4
"""A run has about 150 MB to itself, with the small model of the digits study (`benchmarks/packing.py`)."""

MOST_ON_A_GPU = 8
"""Each has a context of several hundred MB on the GPU, and a core that launches its kernels."""

RECORDED = ("torch", "torchvision", "timm", "numpy", "scikit-learn", "ablate-studies")


def cores() -> int:
    """Return the CPU cores that this process may use, with a container's quota taken into account."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    granted = granted_cores()
    return count if granted is None else min(count, max(1, int(granted)))


def default_jobs(device: str, runs: int) -> int:
    """Return how many runs to make at a time where the user does not say.

    On the CPU, one for each core up to MOST_JOBS, each with its share of the threads: small runs side by
    side finish sooner than one after the other with more threads each. One on a GPU.
    """
    return max(1, min(runs, cores(), MOST_JOBS)) if on_cpu(device) else 1


def on_cpu(device: str) -> bool:
    """Tell whether a device by name is the CPU, as far as can be told without asking torch."""
    return device == "cpu" or (device == "auto" and not _accelerator())


def on_nvidia(device: str) -> bool:
    """Tell whether a device by name is an NVIDIA GPU, as far as can be told without asking torch."""
    return device.startswith("cuda") or (device == "auto" and sys.platform == "linux" and _accelerator())


def fast_precision(device: str) -> str:
    """Return the faster precision of a device by name, without asking torch: bf16 where there is hardware for it.

    Every NVIDIA GPU counts: those without (before Ampere) compute it correctly, only slower.
    """
    if on_nvidia(device):
        return "bf16"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "fp32"
    has = re.search(r"^(?:flags|Features)\s*:.*\b(?:avx512_bf16|amx_bf16|bf16)\b", flags, re.MULTILINE)
    return "bf16" if has else "fp32"


def _accelerator() -> bool:
    """Tell whether a GPU is likely here, without the seconds that asking torch takes."""
    cuda = any(Path(place).exists() for place in ("/dev/nvidia0", "/dev/dxg", "/proc/driver/nvidia/version"))
    return cuda or (sys.platform == "darwin" and platform.machine() == "arm64") or sys.platform == "win32"


def check_device(name: str) -> None:
    """Raise InputError where a name is no device's, without asking torch whether it is there."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise InputError(f"--device {name}: there is no such device\n  accepts auto, cpu, cuda, cuda:N, mps")


def pick_device(name: str) -> torch.device:
    """Return the device for a name; `auto` is CUDA, then Apple's MPS, then the CPU."""
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)  # streams and libraries take the current one
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0].rstrip(".")[:120]
        raise InputError(
            f"{DEVICE} {name}: it cannot be used: {reason}\n"
            "  leave it out for the best device that this machine has, or give cpu; 'ablate doctor' lists them"
        ) from None
    return device


def gpu_uuid(name: str) -> str:
    """Return the UUID of the NVIDIA GPU that a device's name stands for, "" where that is none."""
    import torch

    device = pick_device(name)
    return str(torch.cuda.get_device_properties(device).uuid) if device.type == "cuda" else ""


def environment(device: torch.device, threads: int) -> dict[str, Any]:
    """Describe what a run trained on; recorded with it, and not part of its key."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
    return {"device": device.type, "device_name": name, "threads": threads, **software()}


@cache
def software() -> dict[str, Any]:
    """Describe the software that a run trains with."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {package: found for package in RECORDED if (found := _version(package))},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


@cache
def cpu_name() -> str:
    """Return what the processor calls itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
