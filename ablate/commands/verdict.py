"""`ablate verdict`: what each comparison of a study comes to, on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..console.claims import claim_lines
from ..console.verdicts import paragraph, verdict_lines
from ..report.claim_text import claim_facts
from ..report.plain import comparison_facts, image_facts
from ..report.sections import changes_at_once
from ..report.verdict_text import answer, terms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..stats.results import Results


def verdicts_text(results: Results) -> list[str]:
    """Return a line for each comparison of a study, on what terms they stand, and what they say of its claims."""
    found = results.comparisons
    return [*verdict_lines(found, _changes(results)), *paragraph(terms(found)), *claim_lines(results.claims)]


def verdicts_document(results: Results) -> dict[str, Any]:
    """Return all comparisons of a study as plain JSON, with the answer in words and its claims."""
    changes = _changes(results)
    compared = [
        {
            **comparison_facts(one),
            "changed_factors": changes[one.candidate, one.reference],
            "images": image_facts(results.image_comparison(one.candidate, one.reference)),
        }
        for one in results.comparisons
    ]
    claims = [claim_facts(judged) for judged in results.claims]
    return {"answer": answer(results.comparisons), "comparisons": compared, "claims": claims}


def _changes(results: Results) -> Mapping[tuple[str, str], int]:
    return {(one.candidate, one.reference): changes_at_once(results.study, one) for one in results.comparisons}
