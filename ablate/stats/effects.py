"""Effects of the factors of a factorial, or of a fraction of one: main effects, and interactions of two factors.

The effect of a factor is the mean of all cells with it minus the mean of all cells without. The interaction of two is
half the difference between the effect of one with the other and its effect without it: beside the other, a factor adds
that much more than its main effect, and without the other that much less. This is the usual convention, in which all
effects of a design have the same standard error.
Source: Box, Hunter and Hunter, Statistics for Experimenters (2nd edition, 2005), chapters 5 and 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from ..errors import InputError, did_you_mean, listing, quoted
from .comparison import ALPHA, verdict
from .contrasts import CellValues, Contrast, Missing
from .multiplicity import holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..metrics import Metric
    from .comparison import Verdict


@dataclass(frozen=True)
class Alias:
    """An effect that a fraction cannot tell from another: what is seen is their sum (sign 1), or difference (-1)."""

    factors: tuple[str, ...]
    sign: Literal[1, -1]


@dataclass(frozen=True, kw_only=True)
class Effect(Contrast):
    """The main effect of one factor, or the interaction of two; see the module.

    factors: one or two. p: adjusted (Holm) over `family` effects. aliases: what it cannot be told from, up to
    interactions of two factors. margin: an effect within it does not matter in practice; None where nobody said.
    """

    factors: tuple[str, ...]
    p: float | None = None
    family: int = 1
    margin: float | None = None
    aliases: tuple[Alias, ...] = ()
    verdict: Verdict = "not decided"


@dataclass(frozen=True, repr=False)
class FactorialEffects:
    """All main effects and interactions of two factors of a factorial, on one metric.

    cells: how many there are; those of a full factorial are 2 ** len(factors). missing: seeds that were left out.
    level, look: as of `Comparison`.
    """

    metric: Metric
    factors: tuple[str, ...]
    cells: int
    effects: tuple[Effect, ...]
    seeds: tuple[int, ...]
    missing: tuple[Missing, ...]
    level: float = ALPHA
    look: int | None = None

    @property
    def full(self) -> bool:
        """Tell whether it has every combination of its factors."""
        return self.cells == 1 << len(self.factors)

    def effect(self, *factors: str) -> Effect:
        """Return the effect of a factor or of two; InputError where there is none of its own, with the nearest name."""
        found = {frozenset(effect.factors): effect for effect in self.effects}
        if effect := found.get(frozenset(factors)):
            return effect
        if unknown := [factor for factor in factors if factor not in self.factors]:
            text = f"there is no factor {unknown[0]!r}{did_you_mean(str(unknown[0]), self.factors)}"
            raise InputError(f"{text}\n  accepts one or two of {listing(quoted(self.factors), 20)}")
        called = listing(quoted(map(str, factors)))
        alias = next((e for e in self.effects if frozenset(factors) in {frozenset(a.factors) for a in e.aliases}), None)
        if alias is None:
            raise InputError(f"there is no effect of {called or 'no factor'}\n  accepts one factor, or two")
        raise InputError(f"this fraction cannot tell the effect of {called} from that of {listing(alias.factors)}")

    def __repr__(self) -> str:
        main = ", ".join(f"{e.factors[0]} {e.mean:+.4g}" for e in self.effects if len(e.factors) == 1)
        return f"<effects on {self.metric.name}: {main}; {len(self.effects)} in all>"


def effects(values: CellValues, factors: Sequence[str]) -> FactorialEffects:
    """Return the effects of factors, main effects first.

    values: of all cells of a factorial or of a fraction whose cells have every factor as often on as off.
    """
    words = [word for size in (1, 2) for word in combinations(factors, size)]
    groups: dict[tuple[int, ...], list[tuple[tuple[str, ...], int]]] = {}
    for word in words:
        signs = values.signs(word)
        groups.setdefault(tuple(sign * signs[0] for sign in signs), []).append((word, signs[0]))
    made = []
    for (word, sign), *others in groups.values():
        weight = 2 / len(values.cells)
        levels = zip(values.cells, values.signs(word), strict=True)
        found = values.contrast({cell: weight * level for cell, level in levels})
        aliases = tuple(Alias(other, 1 if sign == its else -1) for other, its in others)
        made.append(Effect(**vars(found), factors=word, margin=values.how.margin, aliases=aliases))
    adjusted = holm([effect.p_alone for effect in made])
    family = sum(p is not None for p in adjusted)
    return FactorialEffects(
        values.how.metric,
        tuple(factors),
        len(values.cells),
        tuple(_judged(effect, p, family, values.how.level) for effect, p in zip(made, adjusted, strict=True)),
        values.seeds,
        values.missing,
        values.how.level,
        values.how.look,
    )


def _judged(effect: Effect, p: float | None, family: int, level: float) -> Effect:
    interval = None if effect.low is None or effect.high is None else (effect.low, effect.high)
    found = verdict(effect.mean, interval, p, effect.margin, effect.metric.higher_is_better, level)
    return Effect(**{**vars(effect), "p": p, "family": family, "verdict": found})
