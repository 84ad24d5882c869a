"""Findings on a terminal: in brief before and after runs, in full for `ablate plan` and `ablate check`."""

from __future__ import annotations

import shutil
import textwrap
from itertools import groupby
from typing import TYPE_CHECKING

from ..errors import counted, listing, one_line
from ..study.codes import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..checks.finding import Finding

MOST = 8
"""Commands that train list at most so many findings; `ablate check` lists all."""
NARROWEST, WIDEST = 60, 100


def in_brief(found: Sequence[Finding]) -> Iterator[str]:
    """Say in a line each what is doubtful, the serious first; notes are counted, and waived ones share a line."""
    standing = [finding for finding in found if not finding.waived and finding.level != "note"]
    for finding in standing[:MOST]:
        yield f"{finding.level}: {_plain(finding.where)}: {_plain(finding.reason)} [{finding.code}]"
    notes = sum(not finding.waived and finding.level == "note" for finding in found)
    more = [counted(len(standing) - MOST, "other finding")] if len(standing) > MOST else []
    if more or notes:
        yield f"and {' and '.join([*more, *([counted(notes, 'note')] if notes else [])])}"
    yield from _waived_line(found)


def listed(found: Sequence[Finding]) -> Iterator[str]:
    """Say in full what is doubtful and what to do about it, by level; waived ones share a line.

    Findings of one code that follow each other stand together, with a remedy that they share said once.
    """
    standing = [finding for finding in found if not finding.waived]
    for level, of_level in groupby(standing, key=lambda finding: finding.level):
        these = list(of_level)
        yield f"\n{_heading(level, len(these))}"
        for code, of_code in groupby(these, key=lambda finding: finding.code):
            yield f"\n  [{code}]"
            for remedy, alike in groupby(of_code, key=lambda finding: finding.remedy):
                for finding in alike:
                    yield from _wrapped(f"{_plain(finding.where)}: {_plain(finding.reason)}", "    ", "      ")
                yield from _wrapped(f"→ {_plain(remedy)}", "    ", "      ")
    waived = list(_waived_line(found))
    yield from ["", *waived] if waived else []


def summed(found: Iterable[Finding]) -> str:
    """Count findings by level: "2 serious findings, 4 warnings, 1 waived"."""
    every = list(found)
    counts = {level: sum(f.level == level and not f.waived for f in every) for level in LEVELS}
    said = [_heading(level, count) for level, count in counts.items() if count]
    waived = sum(bool(f.waived) for f in every)
    return ", ".join([*said, *([f"{waived} waived"] if waived else [])]) or "nothing doubtful"


def _heading(level: str, count: int) -> str:
    return counted(count, "serious finding" if level == "serious" else level)


def _waived_line(found: Sequence[Finding]) -> Iterator[str]:
    waived = [f"{f.code} at {_plain(f.where)} ({_plain(f.waived)})" for f in found if f.waived]
    if waived:
        yield f"waived: {listing(waived)}"


def _plain(text: str) -> str:
    return one_line(text, 2000)


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    wide = max(NARROWEST, min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST))
    return textwrap.wrap(
        text, wide, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
