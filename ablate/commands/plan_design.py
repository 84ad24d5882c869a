"""What each design of a study adds to its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import counted, listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..study.plan import PlannedRun
    from ..study.spec import Study


def added_by_designs(study: Study, runs: Sequence[PlannedRun]) -> list[dict[str, Any]]:
    """Return for each design of a study the variants that it adds, those it shares, and how many runs it adds.

    A variant counts for the first design that has it; one that the study lists itself counts for none.
    """
    design = study.design
    if design is None:
        return []
    found = []
    for kind, (added, shared) in design.added(tuple(design.written)).items():
        of_it = [run for run in runs if run.spec.variant in added]
        found.append(
            {
                "kind": kind,
                "resolution": design.resolution if kind == "factorial" else None,
                "adds": list(added),
                "shares": list(shared),
                "runs": len(of_it),
                "to_make": sum(run.state in ("new", "unfinished") for run in of_it),
            }
        )
    return found


def design_lines(added: Iterable[dict[str, Any]]) -> list[str]:
    """Say what each design adds."""
    lines = []
    for one in added:
        what = f"{one['kind']} of resolution {one['resolution']}" if one["resolution"] else one["kind"]
        adds = f"adds {counted(len(one['adds']), 'variant')}, {counted(one['runs'], 'run')}, {one['to_make']} to make"
        shares = f"; shares {listing(one['shares'], 6)}" if one["shares"] else ""
        lines.append(f"design {what}: {adds if one['adds'] else 'adds nothing'}{shares}")
    return lines
