"""Short texts for the terminal. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from ..report.numbers import duration, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def say(text: str = "") -> None:
    """Write a line of a command's result."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """Write a line beside the result: progress, warnings, what to do next."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def say_json(document: Any) -> None:
    """Write the whole result as JSON."""
    say(json.dumps(document, ensure_ascii=False, indent=2, default=str))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Lay rows out in columns under a head; columns in `right` are aligned to the right."""
    wide = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        laid = (f"{c:>{w}}" if i in right else f"{c:<{w}}" for i, (c, w) in enumerate(zip(cells, wide, strict=True)))
        return "  ".join(laid).rstrip()

    return "\n".join([line(head), line(["─" * w for w in wide]), *(line(row) for row in rows)])


def epoch_text(record: Mapping[str, Any]) -> str:
    """Write an epoch's figures on one line."""
    parts = [f"loss {record['train/loss']:.3f}"]
    if record.get("validation/accuracy") is not None:
        parts.append(f"validation {percent(record['validation/accuracy'])}")
    parts.append(f"test {percent(record['test/accuracy'])}")
    parts.append(f"{record['images_per_second']:,.0f} images/s")
    return "  ".join(parts)


def about(seconds: float | None) -> str:
    """Write an expected time, or that there is nothing to expect it from."""
    return "time not known yet; --pilot measures it" if seconds is None else f"about {duration(seconds)}"
