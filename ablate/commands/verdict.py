"""`ablate verdict`: what each comparison of a study comes to, on the terminal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..api.compare import check_named, method_of
from ..api.records import read_records
from ..api.run_values import checked_margin
from ..console import text
from ..console.claims import claim_lines
from ..console.verdicts import paragraph, verdict_lines
from ..errors import InputError
from ..launch.last import changed_since
from ..launch.over import study_meant
from ..metrics import metric
from ..report.claim_text import claim_facts
from ..report.content import PILOT
from ..report.plain import comparison_facts, image_facts
from ..report.sections import changes_at_once
from ..report.verdict_text import answer, terms
from ..stats.family import compare_all, how_of
from ..store.over import StudyOver
from ..store.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..stats.comparison import Comparison
    from ..stats.results import Results


@dataclass(frozen=True)
class Otherwise:
    """How a study is compared where that is not as it says; None for as it says."""

    method: str | None = None
    margin: float | None = None
    metric: str | None = None
    reference: str | None = None


@dataclass(frozen=True)
class VerdictOptions:
    """Which study (file, name, or None for the one run last) in which store, and how it is compared.

    datasets: of a study over several, these alone.
    """

    study: str | None
    store: Path
    otherwise: Otherwise = Otherwise()
    pilot: bool | None = None
    json: bool = False
    datasets: Sequence[str] = ()


def show_verdicts(options: VerdictOptions) -> int:
    """Print the verdicts of a study, and return the exit code."""
    meant = study_meant(Store(options.store), options.study, "ablate verdict", options.pilot, options.datasets)
    if isinstance(meant, StudyOver):
        raise InputError(f"{meant.name}: is a study over several datasets; name one of them: --dataset NAME")
    home, record = meant
    named = options.study in (None, record.name)
    records = read_records(home, record, text.note, by_name=named)
    results = compared_otherwise(records.results, options.otherwise)
    found = against(results, options.otherwise.reference) if options.otherwise.reference else None
    study = results.study
    if options.json:
        about = {"study": study.name, "pilot": study.pilot, "store": str(home.root), "metric": study.metric}
        text.say_json(about | verdicts_document(results, found))
        return 0
    if changed := changed_since(home, record):
        text.note(changed)
    if study.pilot:
        text.note(f"{PILOT} So nothing is compared.")
        return 0
    for line in verdicts_text(results, found) or ["nothing to compare: the study has one variant"]:
        text.say(line)
    return 0


def compared_otherwise(results: Results, otherwise: Otherwise) -> Results:
    """Return results that are compared by another method, margin or metric. InputError for one that there is not."""
    study, comparing, looked = results.study, results.study.comparing, None
    if otherwise.metric is not None and otherwise.metric != study.metric:
        study = replace(study, metric=metric(otherwise.metric, study.measures).name)
        comparing = replace(comparing, margin=None)  # what the study states is of its own metric
        looked = results.looks  # which asked for the runs, whatever they are compared on
    if otherwise.method is not None:
        check_named(study, otherwise.method)
        comparing = replace(comparing, method=method_of(otherwise.method))
    if otherwise.margin is not None:
        comparing = replace(comparing, margin=checked_margin(otherwise.margin, study.compared))
    return replace(results, study=replace(study, comparing=comparing), looked=looked)


def against(results: Results, reference: str) -> tuple[Comparison, ...]:
    """Compare all variants that have runs with one of them, as a family of its own. InputError for an unknown name."""
    results.stored_of(reference)
    if results.study.looks:
        raise InputError(
            "--reference: this study adds seeds where its own comparisons are not decided, and others would have to "
            "pay for that too\n  list the pairs that matter as [[comparison]] in the study"
        )
    pairs = [(variant.name, reference) for variant in results.study.variants if variant.name != reference]
    one = results.study.compared
    return tuple(compare_all(results.samples(one), pairs, how_of(results.study, one)))


def verdicts_text(results: Results, found: Sequence[Comparison] | None = None) -> list[str]:
    """Return a line for each comparison, on what terms they stand, and what they say of the study's claims.

    found: other comparisons than those of the study, which say nothing of its claims.
    """
    claims = results.claims if found is None else ()
    found = results.comparisons if found is None else found
    changes = {(one.candidate, one.reference): changes_at_once(results.study, one) for one in found}
    return [*verdict_lines(found, changes), *paragraph(terms(found)), *claim_lines(claims)]


def verdicts_document(results: Results, found: Sequence[Comparison] | None = None) -> dict[str, Any]:
    """Return the same as plain JSON, with the answer in words and what is known image by image."""
    claims = [claim_facts(judged) for judged in (results.claims if found is None else ())]
    found = results.comparisons if found is None else found
    compared = [
        {
            **comparison_facts(one),
            "changed_factors": changes_at_once(results.study, one),
            "images": image_facts(results.image_comparison(one.candidate, one.reference)),
        }
        for one in found
    ]
    return {"answer": answer(found), "comparisons": compared, "claims": claims}
