"""Seeds that are added where a comparison is not decided: what that costs and saves; prints the table of docs/seeds.md.

    python benchmarks/looks.py                      # a few minutes of one core
    python benchmarks/looks.py --studies 2000       # rougher
    python benchmarks/looks.py --choose             # the spending functions and schedules that were tried, too

Each simulated study has a baseline and variants that are compared with it. It begins with 3 seeds of each and may have
12; after each look only the variants of comparisons that are not decided, and the baseline with them, get more. Spreads
and effects are in units of the usual spread. Methods and levels are those that studies are compared with.

    false alarms    studies in which a variant without an effect is called better or worse
    falsely alike   variants that differ by exactly the margin and are called no practical difference
    power           variants with an effect that are called so, with their sign
    at the first    the same, at the first look
    seeds           of a variant, on average
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from ablate.stats.family import GROWING_PAIR
from ablate.stats.methods import Layout, paired
from ablate.stats.methods_shrinkage import caution
from ablate.stats.multiplicity import holm_array
from ablate.stats.spending import levels, spent
from ablate.stats.tested import DEFAULT, UNPAIRED
from ablate.study.seeds import look_sizes

if TYPE_CHECKING:
    from collections.abc import Callable

ALPHA = 0.05
LEAST, MOST = 3, 12
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Case:
    """Studies that are alike: the effect and spread of each variant, the baseline's first, and the margin.

    ladder: each variant is compared with the one before it. effects are of comparisons, and add up then.
    """

    name: str
    effects: tuple[float, ...]
    spreads: tuple[float, ...]
    margin: float = 0.0
    ladder: bool = False


def case(
    name: str,
    effects: list[float],
    spread: float = 1.0,
    last: float = 1.0,
    margin: float = 0.0,
    ladder: bool = False,
) -> Case:
    """Return a case. spread: of the baseline. last: of the last variant; others have 1."""
    return Case(name, (0.0, *effects), (spread, *[1.0] * (len(effects) - 1), last), margin, ladder)


CASES = [
    case("1, no effect", [0.0]),
    case("1, no effect, baseline spreads threefold", [0.0], spread=3.0),
    case("1, no effect, baseline spreads tenfold", [0.0], spread=10.0),
    case("4, no effect", [0.0] * 4),
    case("4, no effect, baseline spreads threefold", [0.0] * 4, spread=3.0),
    case("4, no effect, one spreads threefold", [0.0] * 4, last=3.0),
    case("4, no effect, one spreads tenfold", [0.0] * 4, last=10.0),
    case("9, no effect", [0.0] * 9),
    case("9, no effect, baseline spreads threefold", [0.0] * 9, spread=3.0),
    case("9, no effect, one spreads tenfold", [0.0] * 9, last=10.0),
    case("4, a ladder, no effect", [0.0] * 4, ladder=True),
    case("4, a ladder, the baseline spreads threefold", [0.0] * 4, spread=3.0, ladder=True),
    case("4, a ladder, the last spreads tenfold", [0.0] * 4, last=10.0, ladder=True),
    case("9, a ladder, no effect", [0.0] * 9, ladder=True),
    case("4, one of 3 spreads", [3.0, 0.0, 0.0, 0.0]),
    case("4, all of 1.5 spreads", [1.5] * 4),
    case("4, all of 3 spreads", [3.0] * 4),
    case("4, all of 6 spreads", [6.0] * 4),
    case("1, as large as the margin of 2", [2.0], margin=2.0),
    case("4, one as large as the margin of 2", [2.0, 0.0, 0.0, 0.0], margin=2.0),
    case("4, the same, baseline spreads threefold", [4.0, 0.0, 0.0, 0.0], spread=3.0, margin=4.0),
]


@dataclass(frozen=True)
class Plan:
    """When studies are looked at, and what each look may spend (None: all of it each time)."""

    name: str
    looks: tuple[int, ...]
    spending: Callable[[float, float], float] | None = spent

    def levels(self, family: int) -> tuple[float, ...]:
        """Return what p has to be below at each look."""
        if self.spending is None:
            return (ALPHA,) * len(self.looks)
        return levels(self.looks, ALPHA, family, self.spending)


def _obrien_fleming(share: float, alpha: float) -> float:
    return 4 * float(ndtr(ndtri(alpha / 4) / math.sqrt(share))) if share else 0.0


SIZES = look_sizes(LEAST, MOST)
PLANS = [Plan("looks", SIZES), Plan("at 5 once", (5,)), Plan("at 12 once", (12,))]
TRIED = [
    Plan("5 % at each", SIZES, None),
    Plan("linear", SIZES, lambda share, alpha: alpha * share),
    Plan("power 2", SIZES, lambda share, alpha: alpha * share**2),
    Plan("like Pocock", SIZES, lambda share, alpha: alpha * math.log1p((math.e - 1) * share)),
    Plan("like O'Brien and Fleming", SIZES, _obrien_fleming),
    Plan("each seed", tuple(range(LEAST, MOST + 1))),
    Plan("3, 6, 12", (3, 6, 12)),
]


def simulate(case: Case, plan: Plan, studies: int, method: str) -> dict[str, float]:
    """Return what studies come to: the columns of the table."""
    draw = np.random.default_rng(1)  # the same for all plans
    values = draw.normal(size=(studies, len(case.effects), MOST)) * np.array(case.spreads)[:, None]
    values += (np.cumsum(case.effects) if case.ladder else np.array(case.effects))[:, None]
    candidates = np.arange(1, len(case.effects))
    references = candidates - 1 if case.ladder else np.zeros_like(candidates)
    family, alone = plan.levels(len(case.effects) - 1), plan.levels(1)
    decided = np.zeros((studies, len(case.effects) - 1), dtype=int)  # 1 and -1 for a sign, 2 for no difference
    runs, at_first = np.full((studies, len(case.effects)), plan.looks[0]), decided
    for n, level, level_alone in zip(plan.looks, family, alone, strict=True):
        still = decided == 0
        for at, (candidate, reference) in enumerate(zip(candidates, references, strict=True)):
            runs[still[:, at, None] & np.isin(np.arange(runs.shape[1]), (candidate, reference))] = n
        difference, error, df = compare(values, runs, (candidates, references), method)
        reach = np.abs(difference) + stdtrit(df, 1 - level_alone / 2) * error
        alike = still & (reach <= case.margin)
        p = holm_array(2 * stdtr(df, -np.abs(difference) / error))
        p *= cautions(runs.min(1), len(candidates), common=not case.ladder)[:, None] if method == "shrinkage" else 1.0
        sure = still & ~alike & (p < level)
        decided = np.where(alike, 2, np.where(sure, np.sign(difference).astype(int), decided))
        at_first = decided if n == plan.looks[0] else at_first
    effects = np.array(case.effects[1:])
    none, edge = effects == 0, (effects == case.margin) & (case.margin > 0)
    return {
        "false alarms": _share(np.abs(decided[:, none]) == 1, studies=True),
        "falsely alike": _share(decided[:, edge] == 2),
        "power": _share(decided[:, ~none] == 1),
        "at the first": _share(at_first[:, ~none] == 1),
        "seeds": float(runs.mean()),
    }


def _share(found: np.ndarray, *, studies: bool = False) -> float:
    return float((found.any(1) if studies else found).mean()) if found.shape[1] else math.nan


def cautions(runs: np.ndarray, comparisons: int, *, common: bool) -> Floats:
    """Return what the default method multiplies adjusted p by, by the fewest runs that a variant has."""
    known = {count: caution(int(count), comparisons, common) for count in np.unique(runs)}
    return np.array([known[count] for count in runs])


def compare(
    values: Floats, runs: np.ndarray, pairs: tuple[np.ndarray, np.ndarray], method: str
) -> tuple[Floats, Floats, Floats]:
    """Return differences, their standard errors and degrees of freedom.

    values: (studies, variants, seeds). runs: how many of the first seeds each variant has, (studies, variants).
    pairs: places of candidates and references.
    """
    shape = (len(values), values.shape[1] - 1)
    difference, error, df = np.empty(shape), np.empty(shape), np.empty(shape)
    layouts, which = np.unique(runs, axis=0, return_inverse=True)
    for place, counts in enumerate(layouts):
        chosen = values[which.ravel() == place]
        there = np.arange(values.shape[2]) < counts[:, None]
        mean = (chosen * there).sum(-1) / counts
        variance = ((chosen - mean[..., None]) ** 2 * there).sum(-1) / (counts - 1)
        layout = Layout(counts, *pairs)
        found = _sureness(method, chosen, variance, layout)
        at = which.ravel() == place
        difference[at], error[at], df[at] = mean[:, pairs[0]] - mean[:, pairs[1]], found[0], found[1]
    return difference, error, df


def _sureness(method: str, values: Floats, variance: Floats, layout: Layout) -> tuple[Floats, Floats]:
    if method != "paired":
        return UNPAIRED[method](variance, layout)
    pairs = [(c, r, layout.runs[[c, r]].min()) for c, r in zip(layout.candidates, layout.references, strict=True)]
    each = [paired(values[:, c, :n] - values[:, r, :n]) for c, r, n in pairs]
    return np.stack([one[0] for one in each], -1), np.stack([one[1] for one in each], -1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--method", choices=("paired", *UNPAIRED))
    parser.add_argument("--choose", action="store_true")
    given = parser.parse_args()
    columns = ("false alarms", "falsely alike", "power", "at the first", "seeds")
    say = sys.stdout.write
    say(f"comparisons, effects | plan | {' | '.join(columns)}\n")
    for one in CASES:
        for plan in [*PLANS, *(TRIED if given.choose else [])]:
            usual = GROWING_PAIR if len(one.effects) == 2 and len(plan.looks) > 1 else DEFAULT
            found = simulate(one, plan, given.studies, given.method or usual)
            cells = [
                "" if math.isnan(v) else f"{v:.1f}" if name == "seeds" else f"{v:.1%}" for name, v in found.items()
            ]
            say(f"{one.name} | {plan.name} | {' | '.join(cells)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
