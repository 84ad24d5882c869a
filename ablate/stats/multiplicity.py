"""What p has to be where several comparisons are made at once: false alarms of all of them together are what counts.

Sources: Holm 1979, "A simple sequentially rejective multiple test procedure"; Dunnett 1955, "A multiple comparison
procedure for comparing several treatments with a control".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln, ndtr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .methods import Floats, Layout


def holm(alone: Sequence[float | None]) -> list[float | None]:
    """Return p adjusted by Holm's method, those that are absent as they are."""
    known = [place for place, p in enumerate(alone) if p is not None]
    found: list[float | None] = [None] * len(alone)
    for place, p in zip(known, holm_array(np.array([alone[place] for place in known], dtype=float)), strict=True):
        found[place] = float(p)
    return found


def holm_array(alone: Floats) -> Floats:
    """Return p adjusted by Holm's method over the last axis."""
    order = np.argsort(alone, -1)
    ranked = np.take_along_axis(alone, order, -1) * np.arange(alone.shape[-1], 0, -1)
    found = np.empty_like(alone)
    np.put_along_axis(found, order, np.minimum(np.maximum.accumulate(ranked, -1), 1.0), -1)
    return found


def dunnett(t: Floats, df: float, layout: Layout) -> Floats:
    """Return two-sided p of each comparison with a common reference, adjusted by Dunnett's method.

    t: difference / standard error of each comparison, shape (comparisons,), with one pooled variance. df: of it.
    Integrates over the reference's mean and the pooled spread (Gauss and Legendre), to about 1e-9.
    """
    runs = layout.runs[layout.candidates]
    load = np.sqrt(runs / (runs + layout.runs[layout.references[0]]))  # correlations are products of two of these
    mean, mean_weight = _nodes(-9.0, 9.0)
    mean_weight = mean_weight * np.exp(-(mean**2) / 2) / np.sqrt(2 * np.pi)
    spread, spread_weight = _nodes(max(0.0, 1 - 9 / np.sqrt(2 * df)), 1 + 9 / np.sqrt(2 * df) + 4 / df)
    log_density = np.log(2) + df / 2 * np.log(df / 2) - gammaln(df / 2) + (df - 1) * np.log(spread) - df * spread**2 / 2
    spread_weight = spread_weight * np.exp(log_density)
    rest = np.sqrt(1 - load**2)
    found = []
    for one in np.abs(np.asarray(t, dtype=float)):
        reach = one * spread[:, None, None]
        inside = ndtr((reach + load * mean[:, None]) / rest) - ndtr((-reach + load * mean[:, None]) / rest)
        found.append(1 - spread_weight @ inside.prod(-1) @ mean_weight)
    clipped: Floats = np.clip(np.array(found, dtype=float), 0.0, 1.0)
    return clipped


def _nodes(low: float, high: float) -> tuple[Floats, Floats]:
    places, weights = np.polynomial.legendre.leggauss(80)
    return (high - low) / 2 * places + (high + low) / 2, (high - low) / 2 * weights
