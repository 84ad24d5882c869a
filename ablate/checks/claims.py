"""Claims of a study that the numbers which it quotes speak against, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import numbers
from ..errors import counted
from ..stats.claims import reported_difference
from .finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..study.comparisons import Says
    from ..study.spec import Study

SAID: dict[Says, str] = {
    "better": "is better than",
    "worse": "is worse than",
    "no difference": "is no different from",
}


def claim_findings(study: Study) -> Iterator[Finding]:
    """Find claims that reported numbers speak against, with one finding for all that say the same."""
    one = study.compared
    claims = dict.fromkeys((claim.variant, claim.against, claim.says) for claim in study.claims)
    for variant, against, says in claims:
        alike = [c for c in study.claims if (c.variant, c.against, c.says) == (variant, against, says)]
        found = reported_difference(alike[0], study, one, study.margin_on(one))
        if found is None or found.agrees:
            continue
        decimals = max(numbers.decimals_given(number, one.quantity) for number in (found.before, found.after))
        difference = numbers.with_sign(found.after - found.before, one.quantity, decimals)
        many = f"{counted(len(alike), 'claim')} {'says' if len(alike) == 1 else 'say'}"
        yield Finding(
            "claim-against-reported",
            variant,
            f"{many} that it {SAID[says]} {against}, and the numbers that the study quotes say {difference}",
            "look at the runs, and take back what they do not support either",
        )
