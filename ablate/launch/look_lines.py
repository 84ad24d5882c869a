"""What the looks at a growing study came to, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import counted, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..stats.looks import Look
    from .plan import Plan

MOST = 4
"""A line names at most so many comparisons or runs."""


def look_lines(plan: Plan, known: int = 0) -> list[str]:
    """Say what each look came to that was made, and what the one to come gets.

    known: how many of them were told before.
    """
    looks = plan.looks
    made = [look for look in looks if look.made]
    lines = [_made(look) for look in made[known:]]
    if not lines:
        return []
    last = made[-1]
    if last is not looks[-1]:
        runs = sum(run.state in ("new", "unfinished") for run in plan.runs)
        lines[-1] += f": {looks[-1].size} seeds next, {counted(runs, 'more run')}" if runs else ""
    elif last.undecided:
        lines[-1] += f", and {last.size} seeds are the most"
    return lines


def waiting_line(plan: Plan) -> str:
    """Say which runs the look to come waits for that are not among the plan's; "" where there are none."""
    planned = {(run.spec.variant, run.spec.seed) for run in plan.runs}
    elsewhere = [run for run in (plan.looks[-1].waiting if plan.looks else ()) if run not in planned]
    if not elsewhere:
        return ""
    return f"the look at {plan.looks[-1].size} seeds waits for runs that were not asked for: {_runs(elsewhere)}"


def _made(look: Look) -> str:
    done = [f"{one.candidate} against {one.reference} {one.verdict}" for one in look.decided]
    left = len(look.undecided)
    said = [listing(done, MOST)] if done else []
    total = counted(len(look.open), "open comparison")
    said += [f"{left} of {total} not decided" if left else f"all {total} decided" if not done else ""]
    without = f" (without {_runs(look.failed)}, which failed)" if look.failed else ""
    return f"looked at {look.size} seeds{without}: " + "; ".join(part for part in said if part)


def _runs(runs: Sequence[tuple[str, int]]) -> str:
    return listing((f"{name} seed {seed}" for name, seed in runs), MOST)
