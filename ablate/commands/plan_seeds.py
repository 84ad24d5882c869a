"""What `ablate plan` says of a study's seeds: those that looks may add, and the difference that they can show."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..console import text
from ..errors import counted
from ..launch.costs import expected_seconds, total_seconds
from ..launch.last import typed_again
from ..launch.look_lines import look_lines, waiting_line
from ..numbers import digits, fixed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..launch.plan import Plan
    from ..launch.power import Reach
    from ..launch.study import LoadedStudy
    from ..store.run_frames import Cost


def later_lines(planned: Plan, known: Mapping[str, Cost], at_a_time: int) -> list[str]:
    """Say what looks at a growing study came to, and how many runs they may yet ask for."""
    lines = look_lines(planned)
    if planned.later:
        seconds, most = _seconds(planned, known, at_a_time), max(spec.seed for spec in planned.later) + 1
        took = "" if seconds is None else f", {text.about(seconds)}"
        more = counted(len(planned.later), "more run")
        lines.append(f"at most {more}{took}: up to {most} seeds where fewer do not decide a comparison")
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


def reach_lines(study: LoadedStudy, found: Reach | None) -> list[str]:
    """Say which difference the seeds can show, and what more of them would buy; where nothing says it, what would."""
    if found is None:
        return []
    took = "" if found.seconds is None else f", {text.about(found.seconds)}"
    folds = study.study.folds
    noun = "fold" if folds else "seed"
    each = f"one more {'repetition' if folds else noun} is {counted(found.runs, 'run')}{took}"
    if found.spread is None:
        first = typed_again("run", replace(study.options, only=()), f"--only {shlex.quote(study.variants[0])}")
        return [
            f"smallest difference that the {noun}s can show: not known before runs show how much {noun}s differ",
            f"  {first} makes those of one variant; or write what you expect: [compare] spread = 0.004"
            if not folds
            else "  it takes runs of two variants; or write what you expect: [compare] spread = 0.004",
        ]
    quantity, most = study.study.compared.quantity, study.study.compared.difference_bounds[1]
    decimals = digits(quantity, found.differences.values())

    def shown(size: float, seeds: int) -> str:
        if size >= most:
            return f"{seeds} {noun}s can hardly show any"
        return f"{fixed(size * quantity.factor, decimals)} {quantity.step}".strip() + f" with {seeds} {noun}s"

    told = ", ".join(shown(size, n) for n, size in found.differences.items())
    differ = "variants differ from fold to fold" if folds else "seeds differ"
    spread = f"{fixed(found.spread.value * quantity.factor, decimals + 1)} {quantity.step}".strip()
    return [
        f"smallest difference shown in 4 of 5 such studies: {told}",
        f"  {counted(found.comparisons, 'comparison')}; {differ} by {spread} ({found.spread.source}); {each}",
    ]


def reach_document(found: Reach | None) -> dict[str, Any] | None:
    """Return the same for programs, in the unit of data."""
    if found is None:
        return None
    return {
        "comparisons": found.comparisons,
        "spread": found.spread and found.spread.value,
        "source": found.spread and found.spread.source,
        "differences": [{"seeds": n, "difference": value} for n, value in found.differences.items()],
        "one more seed": {"runs": found.runs, "seconds": found.seconds},
    }


def _seconds(planned: Plan, known: Mapping[str, Cost], at_a_time: int) -> float | None:
    return total_seconds(expected_seconds(planned.later, known), at_a_time)
