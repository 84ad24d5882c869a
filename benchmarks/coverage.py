"""Which method of comparing variants keeps its promises with few seeds, and which of those finds most.

    python benchmarks/coverage.py --quick            # a look at 3 seeds
    python benchmarks/coverage.py --studies 20000    # the tables of docs/statistics.md; about 20 minutes of one core

Every cell simulates whole studies, and asks the functions that reports call. It prints, in percent:

    coverage   of the 95 % interval of one comparison: the mean over comparisons, and the worst comparison
    alarms     studies without any effect that call at least one, after adjustment
    power      studies that find one true effect among the comparisons, of `--effects` spreads

Layouts: `shared`, all against a baseline; `ladder`, each against the one before, spreads taking turns of 1 and 3.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtr

from ablate.stats.methods import Layout, moderated, moderation, paired, pooled, welch
from ablate.stats.methods_shrinkage import caution, shrinkage
from ablate.stats.multiplicity import dunnett, holm_array
from ablate.stats.tested import by_design

if TYPE_CHECKING:
    from collections.abc import Callable

Floats = np.ndarray[Any, np.dtype[np.float64]]
KINDS = (
    "equal",
    "baseline 3",
    "candidate 3",
    "candidate 10",
    "baseline 10",
    "skewed",
    "seeds 0.5",
    "seeds 0.9",
    "ladder",
)
METHODS = ("paired", "welch", "pooled", "moderated", "moderated, prior", "default")


@dataclass(frozen=True)
class Cell:
    """One design under one kind of noise."""

    seeds: int
    candidates: int
    kind: str

    @property
    def layout(self) -> Layout:
        """Return its layout."""
        candidates = np.arange(1, self.candidates + 1)
        references = candidates - 1 if self.kind == "ladder" else np.zeros_like(candidates)
        return Layout(np.full(self.candidates + 1, self.seeds), candidates, references)

    def noise(self, studies: int, draw: np.random.Generator) -> Floats:
        """Return runs without any effect, shape (studies, variants, seeds)."""
        variants = self.candidates + 1
        spreads = np.ones(variants)
        word, _, number = self.kind.partition(" ")
        if word in ("baseline", "candidate"):
            spreads[int(word == "candidate")] = float(number)
        if word == "ladder":
            spreads[1::2] = 3
        if word == "skewed":
            return draw.exponential(size=(studies, variants, self.seeds)) - 1
        noise = draw.standard_normal((studies, variants, self.seeds))
        if word == "seeds":
            shared = draw.standard_normal((studies, 1, self.seeds))
            noise = np.sqrt(float(number)) * shared + np.sqrt(1 - float(number)) * noise
        return noise * spreads[:, None]


def main() -> None:
    """Simulate and print a line for each cell and method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 5, 8, 20])
    parser.add_argument("--candidates", type=int, nargs="+", default=[1, 4, 10])
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--effects", type=float, nargs="+", default=[1.5, 3.0])
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--quick", action="store_true", help="3 seeds, 2000 studies a cell")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    seeds, studies = ([3], 2000) if options.quick else (options.seeds, options.studies)
    rows = []
    for n in seeds:
        for candidates in options.candidates:
            for kind in options.kinds:
                if kind == "ladder" and candidates == 1:
                    continue
                cell = Cell(n, candidates, kind)
                for method in options.methods:
                    row = {"seeds": n, "candidates": candidates, "kind": kind, "method": method}
                    rows.append(row | simulated(cell, method, studies, options.effects))
                    print(told(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def simulated(cell: Cell, method: str, studies: int, effects: list[float]) -> dict[str, Any]:
    """Return coverage, false alarms and power of a method in a cell, as fractions."""
    draw = np.random.default_rng([cell.seeds, cell.candidates, KINDS.index(cell.kind)])
    runs, layout = cell.noise(studies, draw), cell.layout
    differences = runs[:, layout.candidates].mean(-1) - runs[:, layout.references].mean(-1)
    error, df = sureness(method, runs, layout, draw)
    adjust = adjustment(method, cell, float(np.max(df)))

    def p(found: Floats) -> Floats:
        return 2 * stdtr(df, -np.abs(found) / error)

    covered = (p(differences) >= 0.05).mean(0)
    step = 2 if cell.kind == "ladder" else 1
    alike = [covered[:1], covered[1::step], covered[2::step]] if step == 2 else [covered[:1], covered[1:]]
    worst = min(group.mean() for group in alike if group.size)  # comparisons under the same noise are one number
    alarms = (adjust(p(differences), differences / error) < 0.05).any(-1).mean()
    power = []
    for effect in effects:
        moved = differences.copy()
        moved[:, 0] += effect
        power.append(float(((adjust(p(moved), moved / error) < 0.05) & (moved > 0))[:, 0].mean()))
    found = dict(zip(effects, power, strict=True))
    return {"coverage": covered.mean(), "worst": worst, "alarms": alarms, "power": found}


def sureness(method: str, runs: Floats, layout: Layout, draw: np.random.Generator) -> tuple[Floats, Floats]:
    """Return standard errors and degrees of freedom by a method, each of shape (studies, comparisons)."""
    of = {"welch": welch, "pooled": pooled, "moderated": moderated, "default": shrinkage}
    if method == "paired" or is_paired(method, *runs.shape[1:]):
        return paired(runs[:, layout.candidates] - runs[:, layout.references])
    variances = runs.var(-1, ddof=1)
    if method == "moderated, prior":
        return moderated(variances, layout, prior=stored_prior(len(runs), int(layout.runs[0]), draw))
    return of[method](variances, layout)


def is_paired(method: str, variants: int, seeds: int) -> bool:
    """Tell whether the default pairs a design."""
    return method == "default" and by_design("shrinkage", variants, seeds) == "paired"


def stored_prior(studies: int, seeds: int, draw: np.random.Generator) -> tuple[Floats, Floats]:
    """Return, for each study, what ten others of its store say of the spread: of five variants each, all alike."""
    variances = draw.chisquare(seeds - 1, size=(studies, 50)) / (seeds - 1)
    return moderation(variances, np.full(50, seeds - 1.0))


def adjustment(method: str, cell: Cell, df: float) -> Callable[[Floats, Floats], Floats]:
    """Return what adjusts p of all comparisons: from p and t, each of shape (studies, comparisons)."""
    shared = cell.kind != "ladder"
    if method == "pooled" and shared:
        grid = np.concatenate([np.linspace(0, 8, 161), [1e3]])
        known = dunnett(grid, df, cell.layout)
        return lambda _, t: np.interp(np.abs(t), grid, known)
    allows = method == "default" and not is_paired(method, cell.candidates + 1, cell.seeds)
    more = caution(cell.seeds, cell.candidates, shared) if allows else 1.0
    return lambda p, _: more * holm_array(p)


def told(row: dict[str, Any]) -> str:
    """Write a row as a line."""
    power = "  ".join(f"power {size:g}: {100 * found:5.1f}" for size, found in row["power"].items())
    cell = f"{row['seeds']:2} seeds  {row['candidates']:2} candidates  {row['kind']:12}  {row['method']:16}"
    coverage, worst, alarms = (100 * row[name] for name in ("coverage", "worst", "alarms"))
    return f"{cell}  coverage {coverage:5.1f}  worst {worst:5.1f}  alarms {alarms:4.1f}  {power}"


if __name__ == "__main__":
    main()
