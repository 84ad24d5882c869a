"""What a claim comes to in words: what it says, its verdict and its evidence, for reports and the terminal."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from ..checks.claims import SAID
from ..errors import listing
from .filters import reported_difference, reported_ends, reported_share
from .plain import comparison_facts, plain
from .verdict_text import sentence

if TYPE_CHECKING:
    from ..stats.claims import JudgedClaim

SIDE = {True: "as the claim does", False: "against the claim"}


def claimed(judged: JudgedClaim) -> str:
    """Write a claim as what can be judged: "Phase 4 is better than Phase 3, because of augmentation.cutout"."""
    claim = judged.claim
    said = f"{claim.variant} {SAID[claim.says]} {claim.against}"
    return said + (f", because of {claim.because}" if claim.because else "")


def claim_verdict(judged: JudgedClaim) -> str:
    """Write what a claim comes to, with how many factors changed where that is what keeps it from being told."""
    if judged.verdict != "cannot be told":
        return judged.verdict
    because = judged.claim.because
    if because not in judged.factors:
        return f"cannot be told: {because} did not change"
    return f"cannot be told: {len(judged.factors)} factors changed"


def claim_evidence(judged: JudgedClaim) -> list[str]:
    """Write what a claim's verdict rests on, a sentence each: the comparison, what else changed, reported numbers."""
    said = [sentence(judged.evidence)]
    if len(judged.factors) > 1:
        said.append(f"What changed: {listing(judged.factors)}.")
    if judged.verdict == "cannot be told" and len(judged.factors) > 1:
        ask = (
            f"; ablate explain {shlex.quote(judged.evidence.candidate)} writes them"
            if judged.evidence.kind == "change"
            else ""
        )
        said.append(f"Variants that change one of these at a time would tell{ask}.")
    if change := judged.reported:
        share = f", {reported_share(change)}" if reported_share(change) else ""
        difference_of = f"{reported_difference(change)} ({reported_ends(change)}{share})"
        said.append(
            f"The reported numbers themselves say {difference_of}, {SIDE[change.agrees]}; "
            "one number each, so without an interval."
        )
    return said


def reported_brief(judged: JudgedClaim) -> str:
    """Write what reported numbers say of a claim: "−2.06 points, against the claim"; empty where there are none."""
    return f"{reported_difference(judged.reported)}, {SIDE[judged.reported.agrees]}" if judged.reported else ""


def claim_facts(judged: JudgedClaim) -> dict[str, Any]:
    """Return a claim with its verdict and evidence as plain JSON."""
    return {
        **{key: value for key, value in plain(judged.claim).items() if key != "place"},
        "verdict": judged.verdict,
        "verdict_text": claim_verdict(judged),
        "factors": plain(judged.factors),
        "evidence": comparison_facts(judged.evidence),
        "evidence_text": claim_evidence(judged),
        "reported": plain(judged.reported),
    }


FILTERS = {function.__name__: function for function in (claimed, claim_verdict, claim_evidence)}
"""By the names that templates call them by."""
