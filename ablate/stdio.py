"""Standard output and error in every condition: closed, full, without a terminal, or short of some characters."""

from __future__ import annotations

import codecs
import io
import os
import sys

# What replaces characters that an output's encoding lacks.
_PLAIN = {"─": "-", "–": "-", "−": "-", "…": "...", "±": "+/-", "×": "x", "→": "->", "≈": "~", "≤": "<=", "≥": ">="}
_PLAIN |= {"’": "'", "│": "|", "├": "|", "└": "|", "µ": "u", "²": "2"}


def prepare() -> None:
    """Make a command's streams ready. What cannot be written to standard error is dropped, and raises nothing."""
    _open_closed()
    codecs.register_error("ablate", _in_plain_signs)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = forgiving(sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="ablate")


def forgiving(stream: object) -> io.TextIOWrapper:
    """Return a stream that writes to standard error, and drops what can no longer be written."""
    encoding = stream.encoding if isinstance(stream, io.TextIOWrapper) else "utf-8"
    return _Forgiving(io.BufferedWriter(io.FileIO(2, "w", closefd=False)), encoding, "ablate", line_buffering=True)


def drop_output() -> None:
    """Discard what is still to be written to standard output: Python would complain about it again when it ends."""
    _send_nowhere(1)


class _Forgiving(io.TextIOWrapper):
    def write(self, text: str) -> int:
        """Write, or drop what cannot be written."""
        try:
            return super().write(text)
        except OSError:
            _send_nowhere(2)
            return len(text)

    def flush(self) -> None:
        """Flush, or drop what cannot be written."""
        try:
            super().flush()
        except OSError:
            _send_nowhere(2)


def _send_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _open_closed() -> None:
    """Open the null device in place of closed streams, or the next file that is opened would get their text."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(number, True)
    os.close(number)


def _in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_PLAIN.get(sign) or _escaped(sign) for sign in error.object[error.start : error.end]), error.end


def _escaped(sign: str) -> str:
    """Write a character as JSON does, so that a JSON document stays the same document."""
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
