"""How often the 95 % interval of an effect, and of a Shapley share, holds the true one; prints a table in a minute.

    python benchmarks/effects_coverage.py --seeds 3

Three ways to an interval: a t interval of each seed's own value of the contrast; one variance pooled over all cells,
with seeds as blocks; and what ablate does, each cell's own variance with Satterthwaite's degrees of freedom. For each:
the lowest coverage of main effects and interactions, that of shares, and the median width against the pooled one's.
"""

from __future__ import annotations

import argparse
import sys
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
from scipy.special import stdtrit

SCENARIOS = ("equal", "correlated 0.5", "correlated 0.9", "threefold", "one cell tenfold", "skewed", "shared by model")
Floats = np.ndarray[Any, np.dtype[np.float64]]


def contrasts(factors: int) -> tuple[Floats, Floats, Floats]:
    """Return each cell's factors as 0 or 1, the weights of effects, and those of Shapley shares."""
    cells = np.arange(2**factors)
    on = cells[:, None] >> np.arange(factors) & 1
    levels = 2 * on - 1
    pairs = [levels[:, a] * levels[:, b] for a, b in combinations(range(factors), 2)]
    effects = np.array([*levels.T, *pairs]) * 2 / len(cells)
    shares = np.zeros((factors, len(cells)))
    for factor in range(factors):
        for cell in cells[on[:, factor] == 0]:
            size = int(on[cell].sum())
            weight = factorial(size) * factorial(factors - size - 1) / factorial(factors)
            shares[factor, cell | 1 << factor] += weight
            shares[factor, cell] -= weight
    return on, effects, shares


def noise(scenario: str, draw: np.random.Generator, shape: tuple[int, int, int], on: Floats) -> Floats:
    """Return the noise of studies, seeds and cells."""
    own = draw.normal(size=shape)
    match scenario.split():
        case ["correlated", share]:
            found = np.sqrt(1 - float(share)) * own + np.sqrt(float(share)) * draw.normal(size=(*shape[:2], 1))
        case ["threefold"]:
            found = own * np.where(on[:, 0], 3, 1)
        case ["one", *_]:
            found = own * np.where(np.arange(shape[2]) == 0, 10, 1)
        case ["skewed"]:
            found = np.exp(0.75**2 / 2) - np.exp(0.75 * own)
        case ["shared", *_]:
            found = np.sqrt(0.5) * (own + draw.normal(size=(*shape[:2], 2))[:, :, on[:, 0].astype(int)])
        case _:
            found = own
    return np.asarray(found)


def ways(values: Floats, weights: Floats) -> dict[str, tuple[Floats, Floats]]:
    """Return each way's estimates and half widths, by study and contrast."""
    _, seeds, cells = values.shape
    each = np.einsum("rnc,wc->rnw", values, weights)
    found = each.mean(1)
    left = values - values.mean(1, keepdims=True) - values.mean(2, keepdims=True) + values.mean((1, 2), keepdims=True)
    squares = (left**2).sum(1) / (seeds - 1)
    total = squares.sum(1, keepdims=True) * cells / (cells - 1)
    own = np.maximum((squares - total / cells**2) / (1 - 2 / cells), 0)
    parts = np.einsum("rc,wc->rwc", own * (total / own.sum(1, keepdims=True)), weights**2) / seeds
    most = (cells - 1) * (seeds - 1)
    df = np.clip(parts.sum(2) ** 2 / ((parts**2).sum(2) / (seeds - 1)), seeds - 1, most)
    alone = stdtrit(seeds - 1, 0.975) * each.std(1, ddof=1) / np.sqrt(seeds)
    pooled = stdtrit(most, 0.975) * np.sqrt(total / cells * (weights**2).sum(1) / seeds)
    return {
        "each seed": (found, alone),
        "pooled": (found, pooled),
        "each cell": (found, stdtrit(df, 0.975) * np.sqrt(parts.sum(2))),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    for option, default in (("factors", 3), ("seeds", 3), ("studies", 20_000)):
        parser.add_argument(f"--{option}", type=int, default=default)
    given = parser.parse_args()
    on, *kinds = contrasts(given.factors)
    draw = np.random.default_rng(14)
    head = "".join(f"{way + ': effects, shares, width':>36}" for way in ("each seed", "pooled", "each cell"))
    sys.stdout.write(f"{'':18}{head}\n")
    for scenario in SCENARIOS:
        values = noise(scenario, draw, (given.studies, given.seeds, 2**given.factors), on)
        held: dict[str, list[float]] = {}
        widths: dict[str, float] = {}
        for weights in kinds:
            for way, (found, half) in ways(values, weights).items():
                held.setdefault(way, []).append(float((np.abs(found) <= half).mean(0).min()))
                widths.setdefault(way, float(np.median(half)))
        cells = (f"{h[0]:.1%}  {h[1]:.1%}  {widths[way] / widths['pooled']:.2f}" for way, h in held.items())
        sys.stdout.write(f"{scenario:18}" + "".join(f"{cell:>36}" for cell in cells) + "\n")


if __name__ == "__main__":
    main()
