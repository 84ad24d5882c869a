"""Runs without a result, gathered by variant and reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from ..stats.results import Results


NO_VALUE = "no finite value"


@dataclass(frozen=True)
class Gap:
    """Runs of one variant which gave no result, for one reason.

    state: that of the runs, or NO_VALUE of those that are done and have no finite value of the study's metric.
    """

    variant: str
    seeds: tuple[int, ...]
    state: str
    reason: str


def with_value(results: Results) -> pd.Series[bool]:
    """Tell of each run whether it is done and has a finite value of the study's metric."""
    runs = results.runs
    return (runs["state"] == "stored") & runs[results.study.metric].abs().lt(math.inf)


def gaps(results: Results) -> tuple[Gap, ...]:
    """Gather the runs without a finite value of the study's metric, by variant, state and reason, as planned."""
    seeds: dict[tuple[str, str, str], list[int]] = {}
    for row in results.runs[~with_value(results)].to_dict("records"):
        state = NO_VALUE if row["state"] == "stored" else str(row["state"])
        seeds.setdefault((str(row["variant"]), state, str(row["reason"] or "")), []).append(int(row["seed"]))
    return tuple(Gap(variant, tuple(found), state, reason) for (variant, state, reason), found in seeds.items())
