"""What a comparison comes to, in words: here for the terminal, every form of a report, and notebooks alike.

Numbers have the digits that the comparison's own interval asks for, so that they read the same wherever it is shown.
Names and words are plain text; each form escapes them.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from .. import numbers
from ..errors import counted, listing
from ..numbers import NBSP
from ..stats.comparison import ALPHA, Verdict
from ..stats.power import MOST_FURTHER
from ..stats.tested import SEED_BY_SEED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..stats.comparison import Comparison
    from ..stats.contrasts import Contrast
    from ..stats.effects import Effect

Noun = Literal["seed", "run", "fold", "dataset"]
"""What repeats a variant: seeds, runs that nobody numbered, folds of cross-validation, or the datasets of a study."""

METHODS: Mapping[str, str] = {
    "paired": "a paired t interval, from the differences of the seeds that both sides have",
    "welch": "Welch’s t interval, where each side has a spread of its own",
    "pooled": "a t interval with one spread, pooled over all variants",
    "moderated": "a moderated t interval, where the spreads of all variants steady that of each",
    "corrected": (
        "a t interval of the differences fold by fold, corrected for the training images that folds share (Nadeau and "
        "Bengio 2003)"
    ),
    "shrinkage": "a t interval where each variant’s spread is drawn towards that of the others, as far as they agree",
}
"""What each method does, as a part of a sentence."""
MOST_NAMED = 6


@dataclass(frozen=True)
class Line:
    """One comparison as the cells of a line."""

    pair: str
    difference: str
    interval: str
    verdict: str
    remark: str


def line(found: Comparison, changes: int = 1, noun: Noun = "seed", said: str = "") -> Line:
    """Return a comparison as the cells of a line.

    changes: in how many factors the two differ. said: what is known of the two beside that, in place of the remark.
    """
    within = f"({interval(found)}, {counts(found, noun)})" if interval(found) else f"({counts(found, noun)})"
    return Line(f"{found.candidate} against {found.reference}", difference(found), within, verdict(found),
                said or remark(found, changes, noun))  # fmt: skip


# --- its parts ---------------------------------------------------------------------------------------------------


def difference(found: Comparison | Contrast | None) -> str:
    """Write a difference with its sign and unit; a dash where there is none."""
    return numbers.ABSENT if found is None else numbers.with_sign(found.mean, found.metric.quantity, _digits(found))


def bare(found: Comparison | None) -> str:
    """Write a difference with its sign and without its unit, for a column that says the unit."""
    if found is None:
        return numbers.ABSENT
    quantity = found.metric.quantity
    return numbers.fixed(found.mean * quantity.factor, _digits(found), signed=True)


def interval(found: Comparison | None) -> str:
    """Write the interval of a difference; empty where there is none."""
    if found is None:
        return ""
    text = numbers.ends(found.low, found.high, found.metric.quantity, _digits(found), signed=True)
    return "" if text == numbers.ABSENT else text


def counts(found: Comparison, noun: Noun = "seed") -> str:
    """Write how many runs stand behind a difference: "3 seeds", "5 and 3 seeds", the candidate's first."""
    ours, theirs, noun = found.n_candidate, found.n_reference, _noun(found, noun)
    if not ours or not theirs:
        return "no result for both"
    if ours == theirs:
        return f"one {noun}" if ours == 1 else counted(ours, noun)
    return f"{ours} and {theirs} {noun}s"


def basis(found: Comparison, noun: Noun = "seed") -> str:
    """Say what a difference rests on."""
    noun = _noun(found, noun)
    if not found.n_candidate or not found.n_reference:
        return f"no {noun} has a result for both"
    if found.low is None:
        return f"{counts(found, noun)}, which give{'s' * (found.n_candidate == found.n_reference == 1)} no interval"
    if found.n_candidate != found.n_reference:
        return counts(found, noun)
    n = found.n_candidate
    if noun == "dataset":
        return f"{n} datasets"
    return f"{n} paired {noun}s" if found.method in SEED_BY_SEED else f"{n} {noun}s each"


def _noun(found: Comparison, noun: Noun) -> Noun:
    """Return what repeats the variants of a comparison: each seed of cross-validation is a fold."""
    return "fold" if found.method == "corrected" else noun


def cross_validation(folds: int, repetitions: int) -> str:
    """Name a cross-validation: "5-fold cross-validation, 2 repetitions"."""
    return f"{folds}-fold cross-validation" + (f", {repetitions} repetitions" if repetitions > 1 else "")


def verdict(found: Comparison | None) -> str:
    """Write the verdict, with the margin it rests on: "no practical difference (within 0.5 points)"; empty for none."""
    if found is None:
        return ""
    within = f" (within {margin(found)})" if found.verdict == "no practical difference" else ""
    return found.verdict + within


def margin(found: Comparison | Effect) -> str:
    """Write the margin with its unit and the digits it was given, empty where there is none."""
    if found.margin is None:
        return ""
    quantity = found.metric.quantity
    return numbers.as_given(found.margin, quantity) + (NBSP + quantity.step if quantity.step else "")


def p(value: float, level: float = ALPHA) -> str:
    """Write a p to two digits, or as many as it takes to stay on its side of the level that it has to be below."""
    if value < 0.001 <= level:
        return f"p{NBSP}<{NBSP}0.001"
    written = (f"{value:.{digits}g}" for digits in range(2, 17))
    return f"p{NBSP}={NBSP}{next(text for text in written if (float(text) < level) == (value < level))}"


def among(found: Comparison) -> str:
    """Say after a p how many comparisons it is adjusted over; empty for one of its own."""
    return f" over {found.family} comparisons" if found.family > 1 else ""


def remark(found: Comparison, changes: int = 1, noun: Noun = "seed") -> str:
    """Say what limits a verdict, or would decide it; empty where there is nothing to add."""
    parts = [_undecided(found, noun)] if found.verdict == "not decided" else []
    parts += [several(changes)] if found.n_candidate and found.n_reference else []
    parts += [f"{_seeds(found.left_out, noun)} left out" if found.left_out else ""]
    parts += [f"{_seeds(alone, noun)} on one side only" if (alone := one_sided(found, noun)) else ""]
    return "; ".join(part for part in parts if part)


def one_sided(found: Comparison, noun: Noun = "seed") -> list[int]:
    """Return the seeds that only one side has a result for, those that are left out apart; runs have none."""
    both = noun == "seed" and found.n_candidate and found.n_reference
    return [seed for seed in found.one_sided if seed not in found.left_out] if both else []


def several(changes: int) -> str:
    """Say that a difference belongs to more than one change; empty where it belongs to one."""
    return f"{changes} changes at once: cannot be credited to one" if changes > 1 else ""


def per_seed(found: Comparison) -> list[str]:
    """Write each seed's own difference, where there is more than one."""
    quantity = found.metric.quantity
    return [
        f"seed{NBSP}{seed} {numbers.fixed(one * quantity.factor, quantity.plain, signed=True)}"
        for seed, one in zip(found.seeds, found.per_seed, strict=True)
        if found.n > 1
    ]


def _undecided(found: Comparison, noun: Noun) -> str:
    noun = _noun(found, noun)
    if not found.n_candidate or not found.n_reference:
        return "not both have a result"
    if found.without_spread:
        return f"no {noun} differs from another: how sure this is cannot be said"
    if found.low is None or found.p is None:
        sides = {found.candidate: found.n_candidate, found.reference: found.n_reference}
        single = [name for name, n in sides.items() if n == 1]
        return f"one {noun}{f' of {single[0]}' if len(single) == 1 else ''} gives no interval"
    alone = f"clear alone, not among {found.family} comparisons ({p(found.p, found.level)})" if found.clear else ""
    return "; ".join(part for part in (alone, _more(found, noun)) if part)


def _more(found: Comparison, noun: Noun) -> str:
    if found.further_seeds is None:
        return ""
    noun = _noun(found, noun)
    # Of a difference within the margin, the margin is what they are counted for (`stats.power`).
    within = found.margin is not None and abs(found.mean) < found.margin
    size = margin(found) if within else difference(found).lstrip(f"+{numbers.MINUS}")
    some = within or float(bare(found).replace(numbers.MINUS, "-")) != 0
    if not found.further_seeds:
        what = f"tell {size} from zero" if some else "decide it"
        never = f"no number of repetitions would be enough to {what}: they share the images"
        return f"if folds go on differing as much, {never}"
    many = f"more than {MOST_FURTHER}" if found.further_seeds > MOST_FURTHER else f"about {found.further_seeds}"
    seeds = f"{many} more {noun}{'s' * (found.further_seeds != 1)}"
    return f"{seeds} would {f'be enough to tell {size} from zero' if some else 'decide it'}"


# --- in sentences ------------------------------------------------------------------------------------------------


def sentence(found: Comparison, noun: Noun = "seed") -> str:
    """Say what a comparison comes to, with all that it rests on."""
    if math.isnan(found.mean):
        return f"{found.candidate} cannot be compared with {found.reference} yet: {basis(found, noun)}."
    said: dict[Verdict, str] = {
        "helped": f"{found.candidate} helped",
        "hurt": f"{found.candidate} hurt",
        "no practical difference": f"{found.candidate} made no practical difference",
        "not decided": f"It is not decided whether {found.candidate} helped",
    }
    how = [f"95{NBSP}% interval {interval(found)}"] if interval(found) else []
    how += [f"within ±{margin(found)}"] if found.verdict == "no practical difference" else []
    how += [basis(found, noun)]
    if found.p is not None and found.verdict != "no practical difference":
        how += [p(found.p, found.level) + among(found)]
        how += [] if found.look is None else [f"to be below {found.level:.2g} at {found.look} {noun}s"]
    told = (
        f"{said[found.verdict]}: {difference(found)} in {found.metric.label} against {found.reference} "
        f"({', '.join(how)})."
    )
    more = _more(found, noun) if found.verdict == "not decided" else ""
    return told + (f" {more[:1].upper()}{more[1:]}." if more else "")


def answer(found: Sequence[Comparison]) -> str:
    """Say what helped, what hurt and what is open, in one sentence; empty where nothing is compared."""
    if not found:
        return ""
    label = found[0].metric.label
    if all(math.isnan(one.mean) for one in found):
        return f"Nothing can be said about {label} yet: no two variants that are compared have a result."
    against = {one.reference for one in found}
    common = f" against {found[0].reference}" if len(against) == 1 else ""
    named = Counter(one.candidate for one in found)
    told = []
    for verdict_, of in ((word, [one for one in found if one.verdict == word]) for word in get_args(Verdict)):
        if of:
            names = joined([_named(one, not common, named[one.candidate] > 1) for one in of])
            told.append(f"{names} {_PREDICATES[verdict_][len(of) > 1]}")
    return f"On {label}{common}: {'; '.join(told)}."


_PREDICATES: Mapping[str, tuple[str, str]] = {
    "helped": ("helped", "helped"),
    "hurt": ("hurt", "hurt"),
    "no practical difference": ("made no practical difference", "made no practical difference"),
    "not decided": ("is not decided", "are not decided"),
}


def terms(found: Sequence[Comparison]) -> str:
    """Say on what terms the verdicts of a family stand: the method, the risk of a false alarm, the margin."""
    tested = [one for one in found if one.p is not None]
    if not tested:
        return ""
    one = tested[0]
    risk = (
        f"The {one.family} comparisons together call a difference where there is none in at most 5{NBSP}% of studies"
        if one.family > 1
        else f"A difference is called where there is none in at most 5{NBSP}% of studies"
    )
    within = f" An interval within ±{margin(one)} means no practical difference." if one.margin is not None else ""
    looks = _LOOKS if any(one.look is not None for one in tested) else ""
    return f"By {METHODS.get(one.method, one.method)}. {risk}.{within}{looks}"


_LOOKS = (
    " Seeds were added while a comparison was not decided. Each stands as it was when it was decided: its p has to be "
    f"below what that look may spend, and its interval holds in 95{NBSP}% of studies over all looks."
)


def _named(one: Comparison, against: bool, twice: bool) -> str:
    """Name a comparison with its difference; against: the reference is not said elsewhere."""
    if math.isnan(one.mean):
        return f"{one.candidate} (no result for both)"
    decided = one.verdict in ("helped", "hurt") or twice
    return f"{one.candidate} ({difference(one)}{f' against {one.reference}' if against and decided else ''})"


def joined(names: Sequence[str]) -> str:
    """Join names as a sentence does: "a, b and c"; of many the first ones, and how many more."""
    if len(names) > MOST_NAMED:
        names = [*names[: MOST_NAMED - 1], f"{len(names) - MOST_NAMED + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _seeds(seeds: Iterable[int], noun: Noun) -> str:
    listed = list(seeds)
    return f"{noun}{'s' * (len(listed) > 1)} {listing(map(str, listed), 6)}"


def _digits(found: Comparison | Contrast) -> int:
    return numbers.digits(found.metric.quantity, [found.half_width])
