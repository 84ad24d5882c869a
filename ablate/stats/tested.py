"""Runs of variants in, by a method the sureness of each comparison out, and p adjusted over all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr, stdtrit  # scipy.stats has the same, and takes 0.7 s to import

from .methods import Floats, Layout, Sureness, moderated, overlap, paired, pooled, welch
from .methods_shrinkage import caution, shrinkage
from .multiplicity import dunnett, holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..study.comparisons import Method, UsedMethod

Samples = Mapping[str, Mapping[int, float]]
"""The value of each run, by variant and seed."""
Pair = tuple[str, str]
"""Candidate and reference, by name."""
CONFIDENCE = 0.95
DEFAULT: Method = "shrinkage"
"""What compares where nobody names a method."""
SEED_BY_SEED: tuple[UsedMethod, ...] = ("paired", "corrected")
"""The methods that compare the differences of the seeds that both sides have."""
NO_SPREAD = 1e-12
"""A standard error below this part of the values is rounding, not spread."""
UNPAIRED: Mapping[UsedMethod, Callable[[Floats, Layout], Sureness]] = {
    "welch": welch,
    "pooled": pooled,
    "moderated": moderated,
    "shrinkage": shrinkage,
}


@dataclass(frozen=True)
class Tested:
    """One comparison by one method: the difference, how sure it is, and how likely it is without any effect."""

    difference: float
    standard_error: float
    df: float

    def spread(self, ours: int, theirs: int, folds: int | None = None) -> float:
        """Return the spread of a variant's runs that the standard error stands for, by the runs of each side."""
        return self.standard_error / math.sqrt(1 / ours + 1 / theirs + 2 * overlap(folds))

    def half(self, confidence: float = CONFIDENCE) -> float:
        """Return half the width of the interval."""
        return float(stdtrit(self.df, (1 + confidence) / 2)) * self.standard_error

    def p(self, distance: float = 0.0) -> float:
        """Return the two-sided p of a true difference of `distance`."""
        off = abs(self.difference - distance)
        if self.standard_error == 0:
            return 1.0 if off == 0 else 0.0
        return 2 * float(stdtr(self.df, -off / self.standard_error))

    def p_equivalence(self, margin: float) -> float:
        """Return the larger p of the two one-sided tests of a difference beyond the margin."""
        if self.standard_error == 0:
            return 0.0 if abs(self.difference) < margin else 1.0
        return max(
            float(stdtr(self.df, -(self.difference + margin) / self.standard_error)),
            float(stdtr(self.df, (self.difference - margin) / self.standard_error)),
        )


def method_of(asked: UsedMethod, samples: Samples) -> UsedMethod:
    """Return the method that compares these runs, which is `paired` in place of another only where seeds match."""
    several = [runs.keys() for runs in samples.values() if len(runs) > 1]
    matching = len(several) == 2 and several[0] == several[1]
    return by_design(asked, len(several), len(several[0])) if matching else asked


def by_design(asked: UsedMethod, variants: int, runs: int) -> UsedMethod:
    """Return the method that compares so many variants with so many runs each.

    Two runs each of two variants are too few for the default, which covers more than it says there: they are paired.
    """
    return "paired" if (asked, variants, runs) == ("shrinkage", 2, 2) else asked


def tests_of(samples: Samples, pairs: Sequence[Pair], method: UsedMethod, folds: int | None) -> list[Tested | None]:
    """Return each pair's comparison; None where a side has no two runs, or where none of them spread.

    samples: finite values of every variant of the study, also of those in no pair: most methods learn from all of them
    how much runs spread. Runs that do not spread at all (every seed gave the same) say nothing of how much they could:
    whoever called that certain would report p = 0. folds: of cross-validation, which `corrected` is about.
    """
    if method in SEED_BY_SEED:
        found = [_paired(samples, pair, overlap(folds)) for pair in pairs]
    else:
        found = _unpaired(samples, pairs, UNPAIRED[method])
    return [
        None if one is None or one.standard_error <= NO_SPREAD * _size(samples, pair) else one
        for one, pair in zip(found, pairs, strict=True)
    ]


def adjusted(
    tests: Sequence[Tested | None], samples: Samples, pairs: Sequence[Pair], method: UsedMethod
) -> list[float | None]:
    """Return each p adjusted over all known, by Holm's method; by Dunnett's where `pooled` compares all with one."""
    known = [place for place, one in enumerate(tests) if one is not None]
    common = len({pairs[place][1] for place in known}) == 1
    if method != "pooled" or not common:
        runs = min((len(samples[name]) for place in known for name in pairs[place]), default=2)
        more = caution(runs, len(known), common) if method == "shrinkage" else 1.0
        return [
            None if p is None else min(1.0, more * p) for p in holm([None if one is None else one.p() for one in tests])
        ]
    chosen = [one for one in tests if one is not None]
    t = np.array([one.difference / one.standard_error for one in chosen])
    layout = _layout(samples, [pairs[place] for place in known], [name for pair in pairs for name in pair])
    found: list[float | None] = [None] * len(tests)
    for place, p in zip(known, dunnett(t, chosen[0].df, layout), strict=True):
        found[place] = float(p)
    return found


def _paired(samples: Samples, pair: Pair, overlap: float) -> Tested | None:
    """Compare by the differences of the seeds that both have. overlap: of folds, 0 without."""
    ours, theirs = (samples[name] for name in pair)
    differences = np.array([ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())])
    if differences.size < 2:
        return None
    error, df = paired(differences, overlap)
    return Tested(float(differences.mean()), float(error), float(df))


def _unpaired(
    samples: Samples, pairs: Sequence[Pair], how: Callable[[Floats, Layout], Sureness]
) -> list[Tested | None]:
    """Compare means, each of all runs of its variant."""
    several = [name for name, runs in samples.items() if len(runs) > 1]
    known = [place for place, pair in enumerate(pairs) if set(pair) <= set(several)]
    found: list[Tested | None] = [None] * len(pairs)
    if not known:
        return found
    values = {name: np.array(list(samples[name].values()), dtype=float) for name in several}
    layout = _layout(samples, [pairs[place] for place in known], several)
    sure = how(np.array([values[name].var(ddof=1) for name in several]), layout)
    for place, error, df in zip(known, *sure, strict=True):
        candidate, reference = pairs[place]
        difference = float(values[candidate].mean() - values[reference].mean())
        found[place] = Tested(difference, float(error), float(df))
    return found


def _layout(samples: Samples, pairs: Sequence[Pair], names: Sequence[str]) -> Layout:
    place = {name: at for at, name in enumerate(dict.fromkeys(names))}
    candidates, references = (np.array([place[pair[side]] for pair in pairs]) for side in (0, 1))
    return Layout(np.array([len(samples[name]) for name in place]), candidates, references)


def _size(samples: Samples, pair: Pair) -> float:
    return max((abs(value) for name in pair for value in samples[name].values()), default=math.nan)
