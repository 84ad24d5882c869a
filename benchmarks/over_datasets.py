"""What a verdict over several datasets is worth: coverage, false alarms and power, of simulated studies.

    python benchmarks/over_datasets.py

Prints the tables of docs/statistics.md in under a minute. Four variants share a baseline; on every dataset each has an
effect of its own, drawn as the row says with a mean of 0, and seeds add noise to it.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr, stdtrit

from ablate.stats.multiplicity import holm_array

STUDIES, VARIANTS = 40_000, 4
EFFECTS = {
    "normal": lambda draw, shape: draw.normal(size=shape),
    "t, 3 degrees of freedom": lambda draw, shape: draw.standard_t(3, shape),
    "skewed (exponential)": lambda draw, shape: draw.exponential(size=shape) - 1,
    "much on one in five": lambda draw, shape: np.where(draw.random(shape) < 0.2, 2.0, -0.5),
    "some react 15 times as strongly": lambda draw, shape: draw.normal(size=shape) * np.linspace(0.2, 3, shape[-1]),
}


def tested(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean, half the interval's width and the adjusted p of differences (studies, comparisons, datasets)."""
    count = differences.shape[-1]
    mean, error = differences.mean(-1), differences.std(-1, ddof=1) / np.sqrt(count)
    return mean, stdtrit(count - 1, 0.975) * error, holm_array(2 * stdtr(count - 1, -np.abs(mean) / error))


def main() -> None:
    """Print the tables."""
    draw = np.random.default_rng(0)
    for name, effects in EFFECTS.items():
        cells = []
        for count in (2, 3, 5, 8, 15):
            shape = (STUDIES, VARIANTS, count)
            noise = 0.3 * draw.normal(size=shape) + 0.3 * draw.normal(size=(STUDIES, 1, count))
            mean, half, p = tested(effects(draw, shape) + noise)
            cells.append(f"{100 * (np.abs(mean) <= half).mean():.1f} / {100 * (p < 0.05).any(-1).mean():.1f}")
        print(f"| {name} | {' | '.join(cells)} |")
    for comparisons in (1, VARIANTS):
        cells = []
        for count in (2, 3, 5, 6, 8, 15):
            found = []
            for effect in (1, 2):
                differences = draw.normal(size=(STUDIES // 2, comparisons, count))
                differences[:, 0] += effect
                found.append(f"{100 * (tested(differences)[2][:, 0] < 0.05).mean():.0f}")
            cells.append(", ".join(found))
        print(f"| {comparisons} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
