"""What is doubtful in results: what is identical though it should differ, beside what curves and values show."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ..errors import listing
from ..metrics import METRICS
from .curves import curve_findings
from .finding import Finding, Findings, with_waivers
from .seeds import seen_seed_findings, sees_spread
from .values import value_findings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..stats.results import Results
    from ..study.codes import Subject

EVALUATED = tuple(name for name, one in METRICS.items() if one.split != "train")


def result_findings(results: Results) -> Findings:
    """Return what is doubtful in a study's results: what is the same, absent, or odd in curves and values."""
    if not results.runs["state"].isin(("stored", "failed")).any():
        return Findings()
    found = [*_same_weights(results), *_same_values(results), *_no_spread(results), *_unmeasured(results)]
    known: list[Subject] = ["results"]
    if not results.study.pilot:  # whose numbers mean nothing
        found += [*curve_findings(results), *value_findings(results), *seen_seed_findings(results)]
        known += ["spread"] if sees_spread(results) else []
    return with_waivers(results.study, found, known)


def same_weights(results: Results, one: str, other: str) -> tuple[int, ...]:
    """Return the seeds at which two variants ended with the same weights and values, though not in the same run."""
    ours, theirs = results.stored_of(one), results.stored_of(other)
    return tuple(seed for seed in sorted(ours.keys() & theirs.keys()) if _ended_alike(ours[seed], theirs[seed]))


def _ended_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if not digest_of(one) or digest_of(one) != digest_of(other) or one["key"] == other["key"]:
        return False
    # Their values too: an average of the weights is evaluated in their place, and what a model does may differ then.
    pairs = [(float(one[name]), float(other[name])) for name in EVALUATED if name in one and name in other]
    return all(math.isclose(*pair, rel_tol=1e-5) or all(map(math.isnan, pair)) for pair in pairs)


def digest_of(run: Mapping[str, Any]) -> str:
    """Return the digest of the weights that a run ended with; "" where it has none."""
    digest = run.get("weights")
    return digest if isinstance(digest, str) else ""


def _same_weights(results: Results) -> Iterator[Finding]:
    """Find variants that ended with the weights of an earlier one, with one finding for each such group."""
    names = [variant.name for variant in results.study.variants]
    ended: list[tuple[str, tuple[int, ...], str]] = []
    with_digest: dict[str, dict[str, None]] = {}  # the variants that met each digest so far, in order
    for name in names:
        digests = {digest_of(run) for run in results.stored_of(name).values()} - {""}
        met = {other for digest in digests for other in with_digest.get(digest, ())}
        earlier = [(same_weights(results, name, other), other) for other in names if other in met] if met else []
        seeds, first = max(earlier, key=lambda same: len(same[0]), default=((), ""))
        if seeds:
            ended.append((first, seeds, name))
        for digest in digests:
            with_digest.setdefault(digest, {})[name] = None
    for (first, seeds), group in groupby(sorted(ended), key=lambda one: one[:2]):
        others = {name for *_, name in group}
        alike = [first, *(name for name in names if name in others)]
        there = results.stored_of(first).keys()
        everywhere = all(there & results.stored_of(name).keys() == set(seeds) for name in alike[1:])
        which = "every seed" if everywhere else f"seed {listing(map(str, seeds))}"
        yield Finding(
            "same-weights",
            listing(alike),
            f"their runs with {which} end with the same weights, bit for bit: what differs between them had no effect",
            "look at what differs: a chance of 0, a setting that nothing reads, or one that the schedule overwrites",
            variants=tuple(alike),
        )


def _same_values(results: Results) -> Iterator[Finding]:
    """Find variants with the same values though not with the same weights."""
    groups: dict[tuple[tuple[int, float], ...], list[str]] = {}
    for variant in results.study.variants:
        values = tuple(sorted(_values(results, variant.name).items()))
        alike = groups.setdefault(values, [])
        if not any(len(same_weights(results, variant.name, other)) == len(values) for other in alike):
            alike.append(variant.name)
    for values, names in groups.items():
        if len(values) > 1 and len(names) > 1:
            yield Finding(
                "same-values",
                listing(names),
                f"their {results.study.compared.label} is the same with every seed, although their runs are not: "
                "it does not tell them apart",
                f"look at whether what differs is used, and whether there are enough {results.study.noun}s to tell",
                variants=tuple(names),
            )


def _no_spread(results: Results) -> Iterator[Finding]:
    values = {v.name: list(_values(results, v.name).values()) for v in results.study.variants}
    if names := [name for name, known in values.items() if len(known) > 1 and len(set(known)) == 1]:
        yield Finding(
            "no-spread",
            listing(names),
            f"the {results.study.compared.label} is the same with every seed, so that its interval has no width "
            "and does not say how sure it is",
            f"look for a network that always gives the same class, too few {results.study.noun}s, "
            "or a seed that changes nothing",
            variants=tuple(names),
        )


def _unmeasured(results: Results) -> Iterator[Finding]:
    """Find metrics that the study names and that were not computed, with one finding for each reason."""
    for absent in results.unmeasured:
        named = listing(absent.metrics)
        where, (why, _, more) = listing(absent.runs, 3) or named, absent.why.partition("\n")
        what = f"no {named}" if absent.runs else "not computed"
        yield Finding("metric-absent", where, f"{what}: {why}", absent.remedy or " ".join(more.split()) or "mend it")


def _values(results: Results, variant: str) -> dict[int, float]:
    name = results.study.metric
    return {seed: float(run[name]) for seed, run in results.stored_of(variant).items() if math.isfinite(run[name])}
