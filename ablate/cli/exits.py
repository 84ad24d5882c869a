"""Errors and signals as messages and exit codes."""

from __future__ import annotations

import functools
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from .. import stdio
from ..errors import AblateError, TerminatedError, for_terminal

if TYPE_CHECKING:
    from collections.abc import Callable


def exits(function: Callable[..., int]) -> Callable[..., None]:
    """Turn a command's return value and errors into an exit code and a message."""
    return _exits(function, "stopped")


def exits_resumable(function: Callable[..., int]) -> Callable[..., None]:
    """Do as `exits`, for a command that continues where it was stopped."""
    return _exits(function, "stopped; finished runs are stored; run the same command again to continue")


def refused(error: OSError) -> tuple[str, int]:
    """Return what to say of a file or an output that cannot be written or read, and the exit code."""
    if isinstance(error, BrokenPipeError):  # the reader of our output (head, a pager) is gone, and has seen enough
        stdio.drop_output()
        return "", 141
    if error.filename == "standard output":
        stdio.drop_output()
    place = f"{error.filename}: " if error.filename else ""
    return f"error: {place}{error.strerror or error}", 1


def _exits(function: Callable[..., int], stopped: str) -> Callable[..., None]:
    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> None:
        from ..console.text import results_apart

        try:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, _terminate)
            with results_apart():
                code = function(*args, **kwargs)
        except AblateError as error:
            _stop(f"error: {error}", error.exit_code)
        except OSError as error:
            _stop(*refused(error))
        except RuntimeError as error:
            if "Symlink loop" not in str(error):  # what Python 3.11 and 3.12 raise of a path
                raise
            _stop(f"error: {error}", 1)
        except SystemExit as error:  # no command raises it: code of a component or a library does
            from ..components.no_exit import exit_error

            wrong = exit_error(error)
            _stop(f"error: {wrong}", wrong.exit_code)
        except KeyboardInterrupt as error:
            number = signal.SIGTERM if isinstance(error, TerminatedError) else signal.SIGINT
            _stop(f"\n{stopped}", 128 + number)
        except typer.Abort:  # Ctrl-C at a question
            _stop("\nstopped", 128 + signal.SIGINT)
        raise typer.Exit(code)

    return command


def _terminate(number: int, frame: object) -> NoReturn:  # noqa: ARG001  # the form of a handler
    raise TerminatedError


def _stop(message: str, code: int) -> NoReturn:
    if message:
        sys.stderr.write(for_terminal(message) + "\n")
    raise typer.Exit(code)
