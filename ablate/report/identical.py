"""What is doubtful in results because it is identical: two variants' weights, their values, the values of all seeds."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ..checks.study import Finding
from ..errors import listing
from ..metrics import METRICS, metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from ..study.spec import Study

EVALUATED = tuple(name for name, one in METRICS.items() if one.split != "train")
_Runs = dict[int, "Mapping[str, Any]"]
"""The runs of one variant that are done, by seed."""


def identical(study: Study, runs: pd.DataFrame) -> tuple[Finding, ...]:
    """Return what is doubtful in results that are the same where they would differ; `runs` are those of `Records`."""
    found = {variant.name: runs_of(runs, variant.name) for variant in study.variants}
    return (*_same_weights(found), *_same_values(study, found), *_no_spread(study, found))


def runs_of(runs: pd.DataFrame, variant: str) -> _Runs:
    """Return a variant's runs that are done, by seed."""
    mine = runs[(runs["variant"] == variant) & (runs["state"] == "stored")]
    rows: list[dict[str, Any]] = mine.to_dict("records")  # type: ignore[assignment]  # columns are named by texts
    return {int(row["seed"]): row for row in rows}


def same_weights(one: _Runs, other: _Runs) -> tuple[int, ...]:
    """Return the seeds at which two variants ended with the same weights and values, though not in the same run."""
    return tuple(seed for seed in sorted(one.keys() & other.keys()) if _ended_alike(one[seed], other[seed]))


def _ended_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if not _digest(one) or _digest(one) != _digest(other) or one["key"] == other["key"]:
        return False
    # Their values too: an average of the weights is evaluated in their place, and what a model does may differ then.
    pairs = [(float(one[name]), float(other[name])) for name in EVALUATED if name in one and name in other]
    return all(math.isclose(*pair, rel_tol=1e-5) or all(map(math.isnan, pair)) for pair in pairs)


def _digest(run: Mapping[str, Any]) -> str:
    digest = run.get("weights")
    return digest if isinstance(digest, str) else ""


def _same_weights(found: Mapping[str, _Runs]) -> Iterator[Finding]:
    """Find variants that ended as an earlier one did; all that ended as the same one are told together."""
    ended: list[tuple[str, tuple[int, ...], str]] = []
    for place, (name, mine) in enumerate(found.items()):
        earlier = [(same_weights(mine, found[other]), other) for other in list(found)[:place]]
        seeds, first = max(earlier, key=lambda same: len(same[0]), default=((), ""))
        if seeds:
            ended.append((first, seeds, name))
    for (first, seeds), group in groupby(sorted(ended), key=lambda one: one[:2]):
        others = {name for *_, name in group}
        names = [first, *(name for name in found if name in others)]
        everywhere = all(set(found[first]) & set(found[name]) == set(seeds) for name in names[1:])
        which = "every seed" if everywhere else f"seed {listing(map(str, seeds))}"
        yield Finding(
            "same-weights",
            listing(names),
            f"their runs with {which} end with the same weights, bit for bit: what differs between them had no effect",
            "look at what differs: a chance of 0, a setting that nothing reads, or one that the schedule overwrites",
        )


def _same_values(study: Study, found: Mapping[str, _Runs]) -> Iterator[Finding]:
    """Find variants with the same values though not with the same weights."""
    groups: dict[tuple[tuple[int, float], ...], list[str]] = {}
    for name, mine in found.items():
        values = tuple(sorted(_values(study.metric, mine).items()))
        alike = groups.setdefault(values, [])
        if not any(len(same_weights(mine, found[other])) == len(values) for other in alike):
            alike.append(name)
    for values, names in groups.items():
        if len(values) > 1 and len(names) > 1:
            yield Finding(
                "same-values",
                listing(names),
                f"their {metric(study.metric).label} is the same with every seed, although their runs are not: "
                "it does not tell them apart",
                "look at whether what differs is used, and whether there are enough images to tell",
            )


def _no_spread(study: Study, found: Mapping[str, _Runs]) -> Iterator[Finding]:
    values = {name: list(_values(study.metric, mine).values()) for name, mine in found.items()}
    if names := [name for name, known in values.items() if len(known) > 1 and len(set(known)) == 1]:
        yield Finding(
            "no-spread",
            listing(names),
            f"the {metric(study.metric).label} is the same with every seed, so that its interval has no width and "
            "does not say how sure it is",
            "look for a network that always gives the same class, too few images, or a seed that changes nothing",
        )


def _values(name: str, runs: _Runs) -> dict[int, float]:
    return {seed: float(run[name]) for seed, run in runs.items() if math.isfinite(run[name])}
