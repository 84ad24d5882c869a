"""What a study's results say of the claims that it makes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..study.claims import credited

if TYPE_CHECKING:
    from ..metrics import Metric
    from ..study.comparisons import Claim, Says
    from ..study.spec import Study
    from .comparison import Comparison, Verdict

ClaimVerdict = Literal["supported", "contradicted", "not decided", "cannot be told"]
"""What a claim comes to, in the same words everywhere."""


@dataclass(frozen=True)
class ReportedDifference:
    """What the numbers that a study quotes say of a claim: one number of each side, so without an interval.

    before, after: of the variant that is compared with, and of the one that the claim is about, in the unit of data.
    agrees: whether they point the way that the claim does.
    """

    metric: Metric
    before: float
    after: float
    agrees: bool


@dataclass(frozen=True, repr=False)
class JudgedClaim:
    """A claim with its evidence.

    evidence: the comparison of its two variants, which the study may plan either way round. factors: all that differs
    between the two where the claim credits one factor, that one first; empty for a claim about the difference alone.
    reported: None where the study quotes no number for both.
    """

    claim: Claim
    verdict: ClaimVerdict
    evidence: Comparison
    factors: tuple[str, ...] = ()
    reported: ReportedDifference | None = None

    def __repr__(self) -> str:
        return f"<claim {self.claim.text!r}: {self.verdict}>"


def judge(claim: Claim, evidence: Comparison, study: Study) -> JudgedClaim:
    """Return what the evidence says of a claim.

    A difference that contradicts the claim does so whatever changed. One that does not cannot support that a single
    factor is to be credited where several changed, however many seeds there are.
    evidence: of the claim's two variants, either way round.
    """
    verdict = _of_difference(claim, evidence)
    factors = credited(study, claim) if claim.because else ()
    if claim.because and verdict != "contradicted" and (len(factors) > 1 or claim.because not in factors):
        verdict = "cannot be told"
    reported = reported_difference(claim, study, evidence.metric, evidence.margin)
    return JudgedClaim(claim, verdict, evidence, factors, reported)


def _of_difference(claim: Claim, evidence: Comparison) -> ClaimVerdict:
    """Return what a claim comes to as far as it is about the difference alone."""
    if evidence.verdict == "not decided":
        return "not decided"
    found = _FOUND[evidence.verdict]
    if evidence.candidate != claim.variant:
        found = _MIRRORED[found]
    return "supported" if found == claim.says else "contradicted"


_FOUND: dict[Verdict, Says] = {"helped": "better", "hurt": "worse", "no practical difference": "no difference"}
_MIRRORED: dict[Says, Says] = {"better": "worse", "worse": "better", "no difference": "no difference"}


def reported_difference(claim: Claim, study: Study, one: Metric, margin: float | None) -> ReportedDifference | None:
    """Return what the numbers that a study quotes say of a claim; None where it quotes none for both variants.

    one: the metric. margin: how far apart two numbers may be that make no difference; None for not at all.
    """
    if one.split != "test":  # what others report is of the test split
        return None
    before, after = (study.variant(name).reported.get(one.quantity.name) for name in (claim.against, claim.variant))
    if before is None or after is None or not math.isfinite(after - before):
        return None
    gain = (after - before) * (1 if one.higher_is_better else -1)
    says: dict[Says, bool] = {
        "better": gain > 0,
        "worse": gain < 0,
        "no difference": abs(gain) <= (margin or 0),
    }
    return ReportedDifference(one, before, after, says[claim.says])
