"""What a factorial comes to, in words: the filters of the templates' parts on it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

from .. import numbers
from ..errors import counted, listing
from ..numbers import NBSP
from ..stats.comparison import Verdict
from .verdict_text import difference, margin, p

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..stats.contrasts import Missing
    from ..stats.effects import Alias, Effect, FactorialEffects
    from ..stats.shapley import Gain, ShapleyShares

TIMES = " × "


def factors(of: Effect | Alias) -> str:
    """Name an effect: its factor, or both of an interaction."""
    return TIMES.join(of.factors)


def aliases(effect: Effect) -> str:
    """Name what an effect cannot be told from, with the sign that it has there; empty where it stands alone."""
    return ", ".join(f"{numbers.MINUS if alias.sign < 0 else '+'}{NBSP}{factors(alias)}" for alias in effect.aliases)


def beside(gain: Gain) -> str:
    """Say what was on before a factor was added."""
    return f"after {listing(gain.to)}" if gain.to else "first"


def effects_said(found: FactorialEffects) -> list[str]:
    """Say what the main effects and the interactions come to."""
    main = [effect for effect in found.effects if len(effect.factors) == 1]
    said = []
    for verdict in get_args(Verdict):
        of = [f"{factors(effect)} ({difference(effect)})" for effect in main if effect.verdict == verdict]
        said += [f"{verdict}: {listing(of)}"] if of and not math.isnan(main[0].mean) else []
    over = "on average over the combinations of the others"
    paragraphs = [f"On {found.metric.label}, {over}: {'; '.join(said)}."] if said else []
    paragraphs += [_interaction(found, effect) for effect in found.effects if _worth_saying(effect)]
    return paragraphs


def effects_notes(found: FactorialEffects) -> list[str]:
    """Say what the effects rest on."""
    if not found.seeds:
        return [*_missing(found.missing), "So there are no effects yet: they take a seed that every variant has."]
    half = found.cells // 2
    rests = (
        f"An effect is the mean of the {half} variants with a factor minus that of the {half} without it, over "
        f"{counted(len(found.seeds), 'seed')} each. An interaction is how much more one adds beside the other than on "
        "average."
    )
    notes = [rests]
    if found.effects[0].p is not None:
        notes.append(f"p is adjusted over the {found.effects[0].family} effects together.{_level(found)}")
    elif len(found.seeds) == 1:
        notes.append("One seed gives no interval: what looks like an effect may be chance.")
    else:
        notes.append(
            "Runs differ by no more than their seed does to all variants alike: no spread to judge effects by."
        )
    if not found.full:
        mixed = (
            " An effect is seen together with those named beside it." if any(e.aliases for e in found.effects) else ""
        )
        notes.append(
            f"These are {found.cells} of the {2 ** len(found.factors)} combinations.{mixed} Effects of three and more "
            "factors are taken to be absent."
        )
    if any(effect.verdict == "no practical difference" for effect in found.effects):
        notes.append(f"No practical difference: the interval lies within ±{margin(found.effects[0])}.")
    return [*notes, *_missing(found.missing)]


def _level(found: FactorialEffects) -> str:
    """Say which seeds effects are of where seeds were added, and what p has to be below."""
    if found.look is None:
        return ""
    return (
        f" Seeds were added while a comparison was not decided. Effects are of the first {found.look}, which all these "
        "variants were asked for: what only some were asked for is not missing, and serves their comparisons. p has to "
        f"be below {found.level:.2g} with so many seeds, and intervals are as much wider."
    )


def shares_said(found: ShapleyShares) -> list[str]:
    """Say what the shares are, and how much a ladder's answer depends on its order."""
    if math.isnan(found.total.mean):
        return []
    widest = max(found.shares, key=lambda share: share.spread)
    total = (
        f"All factors together: {difference(found.total)} in {found.metric.label}. The shares sum to that: each is "
        "what a factor adds when they are added one after the other, on average over all orders."
    )
    paragraphs = [total]
    if widest.spread > 0:
        ends = (f"{difference(gain)} {beside(gain)}" for gain in (widest.least, widest.most))
        paragraphs.append(
            f"The order matters most for {widest.factor}: it adds {' and '.join(ends)}. The lowest and the highest of "
            "many estimates lie further apart than the true ones do."
        )
    return paragraphs


def p_value(value: float | None) -> str:
    """Write a p for a column that says so."""
    return numbers.ABSENT if value is None else p(value).removeprefix(f"p{NBSP}").removeprefix(f"={NBSP}")


def _worth_saying(effect: Effect) -> bool:
    return len(effect.factors) == 2 and effect.verdict in ("helped", "hurt") and not effect.aliases


def _interaction(found: FactorialEffects, effect: Effect) -> str:
    """Say what an interaction means for the effect of its first factor."""
    first, second = effect.factors
    quantity, decimals = found.metric.quantity, numbers.digits(found.metric.quantity, [effect.half_width])
    alone = found.effect(first).mean
    ends = (numbers.with_sign(alone + sign * effect.mean, quantity, decimals) for sign in (1, -1))
    return f"{first} adds {f' beside {second} and '.join(ends)} without it."


def _missing(missing: Iterable[Missing]) -> list[str]:
    named = [f"seed {one.seed} ({listing(one.variants, 4)})" for one in missing]
    return [f"Left out of all variants, since some have no finite result: {listing(named, 6)}."] if named else []


FILTERS: dict[str, Callable[..., str | Sequence[str]]] = {
    function.__name__: function
    for function in (factors, aliases, beside, effects_said, effects_notes, shares_said, p_value)
}
