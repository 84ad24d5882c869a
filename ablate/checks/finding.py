"""What a check finds: one record, and the codes of all kinds of findings.

A finding stops nothing. It is shown where it is known, before anything runs or after, and again in the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import for_terminal

StudyCode = Literal[
    "one-seed", "two-seeds", "no-validation", "unequal-epochs", "several-factors", "whole-kernels-in-bf16",
    "no-effect", "rate-constant", "rate-zero", "rate-rises-again", "schedule-unfinished",
    "class-without-images", "few-images",
]  # fmt: skip
"""Of a study and its data, known before anything runs."""
ResultCode = Literal["same-weights", "same-values", "no-spread"]
"""Of what runs gave."""
TuningCode = Literal[
    "steers-by-test", "seed-in-use", "not-tuned", "unequal-objectives", "unequal-trials", "unequal-trial-epochs",
    "unequal-spaces", "no-result", "no-default", "default-is-best", "edge-of-space", "few-trials", "not-settled",
    "tuned-again",
]  # fmt: skip
"""Of how a study was tuned."""


@dataclass(frozen=True)
class Finding:
    """One doubtful thing: a stable code, where it is, why it matters, and what to do about it."""

    code: StudyCode | ResultCode | TuningCode
    where: str
    reason: str
    remedy: str


class Findings(tuple[Finding, ...]):
    """Findings that Python shows one after the other, each with its reason and its remedy."""

    __slots__ = ()

    def __repr__(self) -> str:
        lines = (f"{f.where}: {f.reason}\n  {f.remedy} ({f.code})" for f in self)
        return for_terminal("\n".join(lines)) or "no findings"
