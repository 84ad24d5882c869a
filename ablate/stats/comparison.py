"""What comparing two variants comes to, as one record of numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from .estimates import Estimate

if TYPE_CHECKING:
    from ..metrics import Metric
    from ..study.comparisons import ComparisonKind, UsedMethod

Verdict = Literal["helped", "hurt", "no practical difference", "not decided"]
"""The answer to a comparison. Its words are the same on the terminal, in reports, in JSON and from Python."""
ALPHA = 0.05
"""The share of studies without any effect that may call one: over all comparisons of a study together."""


@dataclass(frozen=True, kw_only=True)
class Comparison(Estimate):
    """Candidate minus reference on one metric, in the unit of data (a fraction for accuracies).

    mean: the difference. low, high: its 95 % interval, of this comparison alone. cut: as of `Estimate`. n: seeds with
    a finite value on both sides.
    n_candidate, n_reference: runs that the method used of each side.
    seeds: those that both sides have, ascending. per_seed: the difference of each.
    left_out: seeds whose runs the method did not use, since only one side has them or a value is not finite.
    one_sided: seeds that only one of the two has, used or not.
    method: how it was computed; "corrected" of cross-validation,
    whose seeds are folds. standard_error, df: of the difference; None without an interval.
    p: of no difference, two-sided, adjusted over `family` comparisons; p_alone: not adjusted. level: what p has to be
    below.
    look: how many seeds there were at the look that it is of, where seeds were added as they were needed; None where
    all were planned. Then `level` is the part of ALPHA that this look may spend, and the interval is as much wider, so
    that all looks together keep to 95 %.
    margin: differences within it do not matter in practice; None where nobody said. p_equivalence: of a difference
    beyond the margin (two one-sided tests, the larger p).
    superiority: share of all pairs of runs, one of each side, in which the candidate is better; ties count half.
    further_seeds: how many more seeds of each side would decide it with 80 % power, where `verdict` is "not decided"
    and that can be said; 0 where no number of them would.
    kind: as what the study plans it (see `PlannedComparison`); "" for another pair.
    """

    metric: Metric
    candidate: str
    reference: str
    n_candidate: int
    n_reference: int
    seeds: tuple[int, ...]
    per_seed: tuple[float, ...]
    left_out: tuple[int, ...]
    one_sided: tuple[int, ...] = ()
    method: UsedMethod = "paired"
    standard_error: float | None = None
    df: float | None = None
    p: float | None = None
    p_alone: float | None = None
    level: float = ALPHA
    look: int | None = None
    family: int = 1
    margin: float | None = None
    p_equivalence: float | None = None
    superiority: float | None = None
    verdict: Verdict = "not decided"
    further_seeds: int | None = None
    kind: ComparisonKind | Literal[""] = ""

    @property
    def difference(self) -> float:
        """Return candidate minus reference; nan where there is none."""
        return self.mean

    @property
    def without_spread(self) -> bool:
        """Tell whether there are runs for an interval, and none because they do not differ at all."""
        return self.low is None and min(self.n_candidate, self.n_reference) > 1

    @property
    def alone(self) -> bool:
        """Tell whether the study does not plan it, so that its p is adjusted for no other comparison."""
        return not self.kind and self.family <= 1

    @property
    def clear(self) -> bool:
        """Tell whether there is an interval and it does not hold 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


_TURNED: dict[Verdict, Verdict] = {"helped": "hurt", "hurt": "helped"}


def turned(found: Comparison) -> Comparison:
    """Return a comparison the other way round: the same evidence, so the same p."""
    return replace(
        found,
        candidate=found.reference,
        reference=found.candidate,
        mean=0.0 - found.mean,
        low=None if found.high is None else 0.0 - found.high,
        high=None if found.low is None else 0.0 - found.low,
        n_candidate=found.n_reference,
        n_reference=found.n_candidate,
        per_seed=tuple(0.0 - one for one in found.per_seed),
        superiority=None if found.superiority is None else 1 - found.superiority,
        verdict=_TURNED.get(found.verdict, found.verdict),
        kind="",
    )


def verdict(
    difference: float,
    interval: tuple[float, float] | None,
    p: float | None,
    margin: float | None,
    higher: bool,
    level: float = ALPHA,
) -> Verdict:
    """Return what a comparison comes to.

    Within the margin comes first: a difference that is sure and too small to matter is no practical difference. The
    shown interval decides on that, so that nobody sees one that sticks out beside such a verdict.
    p: adjusted over the family. higher: more of the metric is better. level: what p has to be below.
    """
    if interval is None or p is None:
        return "not decided"
    if margin is not None and -margin <= interval[0] and interval[1] <= margin:
        return "no practical difference"
    if p < level:
        return "helped" if (difference > 0) == higher else "hurt"
    return "not decided"
