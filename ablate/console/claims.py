"""Claims on a terminal, below the comparisons that are their evidence: each with its verdict."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from ..errors import printable
from ..numbers import NBSP
from ..report.claim_text import claim_verdict, claimed, reported_brief
from .verdicts import terminal_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..stats.claims import JudgedClaim


def claim_lines(claims: Sequence[JudgedClaim], width: int | None = None) -> list[str]:
    """Return a heading and each claim with its verdict; nothing where there is no claim.

    width: of the terminal, by default that of standard output; elsewhere a line may have any length.
    """
    width = terminal_width() if width is None else width
    lines = []
    for judged in claims:
        lines += _wrapped(f"{claim_verdict(judged)}: {judged.claim.text}", "  ", width)
        against = f"; the reported numbers themselves say {reported_brief(judged)}" if judged.reported else ""
        lines += _wrapped(f"{claimed(judged)}{against}", "      ", width)
    return ["", "Claims", *lines] if lines else []


def _wrapped(text: str, indent: str, width: int | None) -> list[str]:
    shown = printable(text.replace(NBSP, " "))
    if not width:
        return [indent + shown]
    return textwrap.wrap(shown, width, initial_indent=indent, subsequent_indent=indent)
