"""What `ablate plan` says of a study's seeds: those that looks may add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..console import text
from ..errors import counted
from ..launch.costs import expected_seconds, total_seconds
from ..launch.look_lines import look_lines, waiting_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..launch.plan import Plan
    from ..store.run_frames import Cost


def later_lines(planned: Plan, known: Mapping[str, Cost], at_a_time: int) -> list[str]:
    """Say what looks at a growing study came to, and how many runs they may yet ask for."""
    lines = look_lines(planned)
    if planned.later:
        most, took = max(spec.seed for spec in planned.later) + 1, text.about(_seconds(planned, known, at_a_time))
        more = f"at most {counted(len(planned.later), 'more run')}, {took}"
        lines.append(f"{more}: up to {most} seeds where a comparison is not decided by fewer")
    return [*lines, *filter(None, [waiting_line(planned)])]


def later_document(planned: Plan, known: Mapping[str, Cost], at_a_time: int) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "runs": len(planned.later),
        "seconds": _seconds(planned, known, at_a_time),
        "looks": [
            {
                "seeds": look.size,
                "level": look.level,
                "made": look.made,
                "decided": {f"{one.candidate} - {one.reference}": one.verdict for one in look.decided},
                "not decided": [f"{candidate} - {reference}" for candidate, reference in look.undecided],
            }
            for look in planned.looks
        ],
    }


def _seconds(planned: Plan, known: Mapping[str, Cost], at_a_time: int) -> float | None:
    return total_seconds(expected_seconds(planned.later, known), at_a_time)
