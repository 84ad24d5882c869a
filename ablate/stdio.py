"""Standard output and error as they come: closed, full, of a terminal that is gone, or without some of our signs."""

from __future__ import annotations

import codecs
import io
import os
import sys

# What stands in for signs of ours that an output's encoding does not have.
_PLAIN = {"─": "-", "–": "-", "−": "-", "…": "...", "±": "+/-", "×": "x", "→": "->", "≈": "~", "≤": "<=", "≥": ">="}
_PLAIN |= {"’": "'", "│": "|", "├": "|", "└": "|", "µ": "u", "²": "2"}


def prepare() -> None:
    """Make a command's streams ready. What cannot be told on standard error is lost, and stops nothing."""
    _open_closed()
    codecs.register_error("ablate", _in_plain_signs)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = forgiving(sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="ablate")


def forgiving(stream: object) -> io.TextIOWrapper:
    """Return what writes to standard error, and where that is not possible any more drops what is written."""
    encoding = stream.encoding if isinstance(stream, io.TextIOWrapper) else "utf-8"
    return _Forgiving(io.BufferedWriter(io.FileIO(2, "w", closefd=False)), encoding, "ablate", line_buffering=True)


def drop_output() -> None:
    """Send what is still to be written to standard output nowhere: Python would complain of it again at its end."""
    _send_nowhere(1)


class _Forgiving(io.TextIOWrapper):
    def write(self, text: str) -> int:
        """Write, or lose what cannot be written."""
        try:
            return super().write(text)
        except OSError:
            _send_nowhere(2)
            return len(text)

    def flush(self) -> None:
        """Flush, or lose what cannot be written."""
        try:
            super().flush()
        except OSError:
            _send_nowhere(2)


def _send_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _open_closed() -> None:
    """Open nothing in the place of closed streams, or the next file that is opened would get what is written."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(number, True)
    os.close(number)


def _in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_PLAIN.get(sign) or _escaped(sign) for sign in error.object[error.start : error.end]), error.end


def _escaped(sign: str) -> str:
    """Write a sign as JSON does, so that a document in which one is replaced stays what it is."""
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
