"""What a check finds: one record, and what a study waives of it.

A finding stops nothing. It is shown where it is known, before anything runs or after, and again in the report.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..errors import for_terminal, listing, quoted
from ..study.codes import CODES, LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..study.codes import Level, Subject, Waiver
    from ..study.spec import Study


@dataclass(frozen=True)
class Finding:
    """One doubtful thing: a stable code, where it is, why it matters, and what to do about it.

    waived: why the study's author accepts it, "" where it stands. variants: those that it is of, where `where` is a
    list of them. level: that of the code (`study.codes`).
    """

    code: str
    where: str
    reason: str
    remedy: str
    waived: str = ""
    variants: tuple[str, ...] = ()
    level: Level = field(init=False)

    def speaks_of(self, variant: str) -> bool:
        """Tell whether it is of this variant by name, and not of all of the study."""
        return variant in self.variants or (not self.variants and self.where == variant)

    def __post_init__(self) -> None:
        """Look up the level; KeyError for an unknown code."""
        object.__setattr__(self, "level", CODES[self.code].level)


class Findings(tuple[Finding, ...]):
    """Findings that Python shows one after the other, each with its reason and its remedy."""

    __slots__ = ()

    def __repr__(self) -> str:
        return for_terminal("\n".join(map(_told, self))) or "no findings"


def _told(finding: Finding) -> str:
    below = f"waived: {finding.waived}" if finding.waived else finding.remedy
    return f"{finding.level}: {finding.where}: {finding.reason}\n  {below} ({finding.code})"


def in_order(found: Iterable[Finding]) -> Findings:
    """Return findings by level, the serious ones first, and those of a level as they come."""
    return Findings(sorted(found, key=lambda finding: LEVELS.index(finding.level)))


def with_waivers(study: Study, found: Iterable[Finding], known: Iterable[Subject]) -> Findings:
    """Mark the findings that a study waives, and put all in order; a waiver that fits none becomes a note.

    known: what the findings are of. A waiver of anything else may still fit once that is known.
    """
    every = list(found)
    subjects = set(known)
    unused = [
        _unused(waiver, [finding.where for finding in every if finding.code == waiver.code])
        for waiver in study.waivers
        if CODES[waiver.code].subject in subjects and not any(_fits(waiver, finding) for finding in every)
    ]
    return in_order([*(_waived(finding, study.waivers) for finding in every), *unused])


def _fits(waiver: Waiver, finding: Finding) -> bool:
    return waiver.code == finding.code and waiver.where in (None, finding.where)


def _waived(finding: Finding, waivers: Iterable[Waiver]) -> Finding:
    reason = next((waiver.reason for waiver in waivers if _fits(waiver, finding)), "")
    return replace(finding, waived=reason) if reason else finding


def _unused(waiver: Waiver, places: list[str]) -> Finding:
    what = f"{waiver.code} at '{waiver.where}'" if waiver.where is not None else waiver.code
    there = f": it is found at {listing(quoted(places))}" if places else ""
    return Finding(
        "unused-waiver",
        "waive",
        f"the study waives {what}, which is not found{there}",
        'write one of these places, as where = "..."' if places else "take the waiver out",
    )
