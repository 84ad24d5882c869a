"""Training in a process that is not ours, such as a notebook's: as in a new process, and without a trace afterwards."""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..components.import_hook import isolated_imports
from .randomness import preserved_random

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ANY = object()


@dataclass(frozen=True)
class _Setting:
    """One of torch's settings for a whole process: how to read and write it, and its value in a new process."""

    read: Callable[[], Any]
    write: Callable[[Any], object]
    new: Any = _ANY

    def set(self, value: Any) -> None:
        """Write a value where the setting has another one."""
        if value is not _ANY and _read(self) != value:
            self.write(value)


def _flag(owner: Any, name: str, new: Any) -> _Setting:
    return _Setting(lambda: getattr(owner, name, _ANY), lambda value: setattr(owner, name, value), new)


def _autocast(device: str) -> _Setting:
    return _Setting(
        lambda: torch.is_autocast_enabled(device), lambda value: torch.set_autocast_enabled(device, value), new=False
    )


_BACKENDS: Any = torch.backends
_SETTINGS = (
    _Setting(torch.get_num_threads, torch.set_num_threads),
    _Setting(torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    _Setting(torch.is_grad_enabled, torch.set_grad_enabled, new=True),
    _autocast("cpu"),
    _autocast("cuda"),
    _Setting(
        lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
        lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
        (False, False),
    ),
    _flag(_BACKENDS.cudnn, "enabled", new=True),
    _flag(_BACKENDS.cudnn, "benchmark", new=False),
    _flag(_BACKENDS.cudnn, "deterministic", new=False),
    _Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
    # Since torch 2.9 these replace it, and it cannot be read once one of them was set. Broader ones come first.
    *(
        _flag(owner, "fp32_precision", new)
        for owner, new in (
            (_BACKENDS, "none"),
            (_BACKENDS.cudnn, "none"),
            (_BACKENDS.cuda.matmul, "none"),
            (getattr(_BACKENDS.cudnn, "conv", None), "tf32"),
            (getattr(_BACKENDS.cudnn, "rnn", None), "tf32"),
            (getattr(_BACKENDS.mkldnn, "matmul", None), "none"),
            (getattr(_BACKENDS.mkldnn, "conv", None), "none"),
            (getattr(_BACKENDS.mkldnn, "rnn", None), "none"),
        )
        if hasattr(owner, "fp32_precision")
    ),
    *(
        _flag(_BACKENDS.cuda.matmul, name, new)
        for name, new in (
            ("allow_fp16_reduced_precision_reduction", True),
            ("allow_bf16_reduced_precision_reduction", True),
            ("allow_fp16_accumulation", False),
        )
        if hasattr(_BACKENDS.cuda.matmul, name)
    ),
)


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Make this process like a new one for a run, and restore it afterwards, also when the run raises.

    This covers torch's settings (threads, determinism, precision, default dtype and device, autograd and autocast) and
    random states, the modules of the user's plugins, warning filters, environment variables, `sys.path` and the
    working folder. So a run in a notebook gives the same bits as one in its own process, whatever the notebook has set.

    Not covered: torch's interop threads, which can be set only once in a process and which no run sets; and the global
    state of other libraries.
    """
    with isolated_imports(), warnings.catch_warnings(), isolated_torch():
        yield


@contextlib.contextmanager
def isolated_torch() -> Iterator[None]:
    """Give torch's settings the values of a new process inside; restore them and all random states afterwards."""
    before = [_read(setting) for setting in _SETTINGS]
    device, cuda = torch.get_default_device(), _cuda_device()
    try:
        with preserved_random(), contextlib.ExitStack() as inside:
            if torch.is_inference_mode_enabled():
                inside.enter_context(torch.inference_mode(mode=False))
            if device.type != "cpu":
                inside.enter_context(torch.device("cpu"))
            for setting in _SETTINGS:
                setting.set(setting.new)
            yield
    finally:
        for setting, value in zip(_SETTINGS, before, strict=True):
            setting.set(value)
        if _cuda_device() != cuda:
            torch.cuda.set_device(cuda)
        if torch.get_default_device() != device:
            torch.set_default_device(None if device.type == "cpu" else device)


def _read(setting: _Setting) -> Any:
    try:
        return setting.read()
    except RuntimeError:  # an older setting, unreadable once newer ones were set
        return _ANY


def _cuda_device() -> int:
    """Return the current CUDA device, 0 where CUDA has not begun, without starting it."""
    return torch.cuda.current_device() if torch.cuda.is_initialized() else 0  # type: ignore[no-untyped-call]
