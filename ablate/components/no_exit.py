"""A component's code must not end the process: what it raises to do so is an error that says where."""

from __future__ import annotations

import contextlib
import signal
import threading
import traceback
from typing import TYPE_CHECKING

from ..errors import ComponentError, TerminatedError, error_text
from ..paths import shown
from .import_hook import PLUGIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_pressed: list[int] = []


@contextlib.contextmanager
def watching_interrupts() -> Iterator[Callable[[BaseException], bool]]:
    """Yield a function that tells whether an error is the user's Ctrl-C, and not raised by the code that runs.

    Where another SIGINT handler than Python's is in place, nobody can tell: there it is the user's.
    """
    before, presses = signal.getsignal(signal.SIGINT), len(_pressed)
    watched = before in (signal.default_int_handler, _press, signal.SIG_IGN)
    ours = before is signal.default_int_handler and threading.current_thread() is threading.main_thread()

    def by_user(error: BaseException) -> bool:
        if isinstance(error, TerminatedError):
            return True
        return isinstance(error, KeyboardInterrupt) and (len(_pressed) > presses or not watched)

    if ours:
        signal.signal(signal.SIGINT, _press)
    try:
        yield by_user
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def no_exit() -> Iterator[None]:
    """Run a component's code; raise ComponentError where it raises SystemExit, or a KeyboardInterrupt of its own."""
    with watching_interrupts() as by_user:
        try:
            yield
        except (SystemExit, KeyboardInterrupt) as error:
            if by_user(error):
                raise
            raise exit_error(error) from error


def exit_error(error: BaseException) -> ComponentError:
    """Return the error to raise in place of one that would end the process; it names the plugin's line."""
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [(f, line) for f, line in frames if f.f_globals.get("__name__", "").startswith(PLUGIN)]
    frame, line = (own or frames)[-1]
    return ComponentError(
        f"{shown(frame.f_code.co_filename)}:{line}: raises {error_text(error)}\n"
        "  a component must not end the process: to report an error, raise another exception, such as ValueError"
    )


def _press(number: int, frame: FrameType | None) -> None:
    """Take note of a Ctrl-C, and raise KeyboardInterrupt."""
    _pressed.append(number)
    signal.default_int_handler(number, frame)
