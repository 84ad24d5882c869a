"""Effects and shares of a factorial as frames: a row for each, numbers in the unit of data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from .design_text import aliases, factors

if TYPE_CHECKING:
    from ..stats.effects import FactorialEffects
    from ..stats.shapley import Gain, ShapleyShares


def effects_frame(found: FactorialEffects) -> pd.DataFrame:
    """Return a row for each effect, with what it is seen together with."""
    numbers = ("low", "high", "standard_error", "df", "p_alone", "p", "margin")
    rows = [
        {"effect": factors(one), "metric": found.metric.name, "seeds": one.n, "difference": one.mean}
        | {name: getattr(one, name) for name in numbers}
        | {"verdict": one.verdict, "seen_with": aliases(one)}
        for one in found.effects
    ]
    return pd.DataFrame(rows)


def shares_frame(found: ShapleyShares) -> pd.DataFrame:
    """Return a row for each factor's share, with its gain in the factors' own order and over all orders."""

    def gain(name: str, of: Gain) -> dict[str, float | str | None]:
        after = ", ".join(of.to)
        return {name: of.mean, f"{name}_low": of.low, f"{name}_high": of.high, f"{name}_after": after}

    rows = [
        {"factor": one.factor, "metric": found.metric.name, "seeds": one.n, "share": one.mean}
        | {"low": one.low, "high": one.high, "standard_error": one.standard_error, "df": one.df}
        | gain("as_written", one.as_written)
        | gain("least", one.least)
        | gain("most", one.most)
        for one in found.shares
    ]
    return pd.DataFrame(rows)
