"""What a study comes to in words: two sentences for its answer, and a line for each thing that is open."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from .. import numbers
from ..errors import counted, listing
from ..numbers import NBSP
from . import verdict_text
from .gaps import NO_VALUE
from .verdict_text import among, basis, difference, interval, p

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..metrics import Metric
    from ..stats.comparison import Comparison
    from .conclusion import Conclusion, VariantMean

MOST_OPEN = 3
"""More undecided comparisons than this are counted, not named: the table has them all."""


def answer_sentences(found: Conclusion) -> list[str]:
    """Say what the question of a study comes to, in one or two sentences with numbers and how sure they are."""
    match found.kind:
        case "pilot":
            return ["This is a pilot: it shows that everything runs, and answers nothing."]
        case "nothing":
            return [f"Nothing is known yet: none of the {counted(found.planned, 'run')} has a result."]
        case "alone":
            return _alone(found)
        case "ladder":
            return _ladder(found)
        case "changes":
            return _changes(found)


def answer_open(found: Conclusion) -> list[str]:
    """Say what keeps the answer from being whole, a line each: what is not decided, and which runs are missing."""
    lines = []
    if single := [one for one in found.open if one.n_candidate == one.n_reference == 1]:
        lines.append(
            f"{_named(single)} rest{'s' * (len(single) == 1)} on one seed: that gives no interval, so "
            "each difference may be chance. Two seeds of each variant are the least that can decide; three or more "
            "are better."
        )
    others = [one for one in found.open if one not in single]
    if others and len(found.compared) > 1:  # of a single one the answer itself says it
        told = [_undecided(one) for one in others[:MOST_OPEN]]
        more = f"; and {len(others) - MOST_OPEN} more" if len(others) > MOST_OPEN else ""
        lines.append(f"Not decided: {'; '.join(told)}{more}.")
    return lines + list(_missing(found))


def _alone(found: Conclusion) -> list[str]:
    if found.first is None:
        return []
    first, digits = found.first, _digits(found, found.first)
    sure = ", ".join(_mean_sure(found, first, digits))
    said = f"{first.variant} reaches {_mean(found, first, digits)} {found.metric.label} ({sure})"
    return [f"{said}; no other variant with a result is compared with it."]


def _ladder(found: Conclusion) -> list[str]:
    if found.total is None or found.first is None or found.last is None:
        return ["Nothing can be said of the steps yet: fewer than two of them have a result."]
    total, first, last = found.total, found.first, found.last
    best = found.best if found.best and found.best.variant != last.variant else None
    digits = _digits(found, first, last, *([best] if best else []))
    said = {
        "helped": "",
        "hurt": ", a loss",
        "no practical difference": f", no practical difference (within ±{verdict_text.margin(total)})",
        "not decided": ", which does not decide whether the steps together help",
    }[total.verdict]
    until = "" if last.variant == found.end else f", the last step with a result of those up to {found.end}"
    one = (
        f"From {first.variant} to {last.variant}{until}, {found.metric.label} goes from {_mean(found, first, digits)} "
        f"to {_mean(found, last, digits)}: {difference(total)} ({_sure(total)}){said}."
    )
    told = _extremes(found) or ["no single step is shown to help or to hurt"]
    if best:
        sure = ", ".join(_mean_sure(found, best, digits))
        told.append(
            f"the best mean is that of {best.variant}, {_mean(found, best, digits)} ({sure}), not the last step’s"
        )
    return [one, _sentence(told)]


def _changes(found: Conclusion) -> list[str]:
    if all(math.isnan(one.mean) for one in found.compared):
        label = found.metric.label
        return [f"Nothing can be said about {label} yet: no two variants that are compared have a result."]
    if len(found.compared) == 1:
        return [verdict_text.sentence(found.compared[0])]
    told = _extremes(found)
    if not told:
        largest = max((one for one in found.compared if not math.isnan(one.mean)), key=lambda one: abs(one.mean))
        told = ["no change is shown to help or to hurt", f"the largest difference is {_against(found, largest)}"]
    return [f"On {found.metric.label}, {'; '.join(told)}.", _tally(found.compared)]


def _tally(compared: Sequence[Comparison]) -> str:
    """Count the verdicts: "Of 4 comparisons, 1 shows a gain, 1 shows a loss and 2 are not decided"."""
    many = Counter("no result" if math.isnan(one.mean) else one.verdict for one in compared)
    told = [said[many[what] > 1].format(many[what]) for what, said in _SAID.items() if many[what]]
    joined = told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"
    return f"Of {counted(len(compared), 'comparison')}, {joined}."


_SAID = {
    "helped": ("{} shows a gain", "{} show a gain"),
    "hurt": ("{} shows a loss", "{} show a loss"),
    "no practical difference": ("{} shows no practical difference", "{} show no practical difference"),
    "not decided": ("{} is not decided", "{} are not decided"),
    "no result": ("{} has no result yet", "{} have no result yet"),
}


def _undecided(one: Comparison) -> str:
    said = verdict_text.remark(one)
    return f"{one.candidate} against {one.reference} ({difference(one)}{f'; {said}' if said else ''})"


def _missing(found: Conclusion) -> Iterator[str]:
    """Say how many runs have no result, and why: variants with the same seeds and the same reason together."""
    if found.kind == "pilot" or not found.gaps:
        return
    alike: dict[tuple[tuple[int, ...], str, str], list[str]] = {}
    for gap in found.gaps:
        alike.setdefault((gap.seeds, gap.state, gap.reason), []).append(gap.variant)
    told = [_gap(found.metric, variants, *why) for why, variants in [*alike.items()][:MOST_OPEN]]
    more = [f"{len(alike) - MOST_OPEN} more below"] if len(alike) > MOST_OPEN else []
    whole = "" if found.kind == "nothing" else f"{found.done} of {found.planned} runs have a result: "
    yield f"{whole}{'; '.join([*told, *more])}."


def _gap(metric: Metric, variants: Sequence[str], seeds: tuple[int, ...], state: str, reason: str) -> str:
    numbered = f"seed{'s' * (len(seeds) > 1)} {listing(map(str, seeds), 6)}"
    why = " ".join(reason.partition("\n")[0].split()).rstrip(".")
    what = _STATES.get(state, state)
    if state == NO_VALUE:
        what = f"{'have' if len(variants) > 1 else 'has'} no finite {metric.label}"
    return f"{listing(variants, 6)} {what} with {numbered}{f' ({why})' if why else ''}"


_STATES = {"new": "not run yet", "unfinished": "not finished"}


def _extremes(found: Conclusion) -> list[str]:
    """Name the largest gain and the largest loss that are shown."""
    shown = (("gain", found.gained), ("loss", found.lost))
    return [f"the largest {what} is {_against(found, one)}" for what, one in shown if one]


def _against(found: Conclusion, one: Comparison) -> str:
    """Write a difference, with how many things changed where no single one can be credited."""
    changes = dict(zip(found.compared, found.changes, strict=True)).get(one, 1)
    several = f", {changes} changes at once" if changes > 1 else ""
    return f"that of {one.candidate} against {one.reference}{several}: {difference(one)} ({_sure(one)})"


def _sure(one: Comparison) -> str:
    """Say how sure a difference is: its interval, on how many seeds, its p and for how many comparisons that holds."""
    how = [f"95{NBSP}% interval {interval(one)}"] if interval(one) else []
    how.append(basis(one))
    if one.p is not None and one.verdict != "no practical difference":
        how.append(p(one.p, one.level) + (" alone" if one.alone else among(one)))
    return ", ".join(how)


def _mean(found: Conclusion, one: VariantMean, digits: int) -> str:
    return numbers.with_unit(one.mean.mean, found.metric.quantity, digits)


def _mean_sure(found: Conclusion, one: VariantMean, digits: int) -> list[str]:
    """Say how sure a mean is: its interval, where there is one, and on how many seeds."""
    mean = one.mean
    ends = numbers.ends(mean.low, mean.high, found.metric.quantity, digits)
    return [*([f"95{NBSP}% interval {ends}"] if mean.low is not None else []), counted(mean.n, "seed")]


def _digits(found: Conclusion, *means: VariantMean) -> int:
    """Return the decimals that means in one sentence share."""
    return numbers.digits(found.metric.quantity, [one.mean.half_width for one in means])


def _named(compared: Sequence[Comparison]) -> str:
    names = [f"{one.candidate} against {one.reference} ({difference(one)})" for one in compared[:MOST_OPEN]]
    more = len(compared) - MOST_OPEN
    return listing([*names, f"{more} more"] if more > 0 else names)


def _sentence(parts: Iterable[str]) -> str:
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


FILTERS = {function.__name__: function for function in (answer_sentences, answer_open)}
"""By the names that templates call them by."""
