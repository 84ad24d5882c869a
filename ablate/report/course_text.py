"""What a variant's curves show, in sentences: what is seen, and never why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import numbers
from ..errors import counted
from ..metrics import ACCURACY, LOSS
from ..numbers import NBSP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..metrics import Metric
    from ..stats.courses import Course, Dip, Fall, Lead, Pace, Peak

ROUND = 0.005
"""A share of a learning rate this close to the whole is the whole."""


def course_sentences(found: Course | None) -> list[str]:
    """Say what a variant's curves show, a sentence each; nothing where it has none."""
    if found is None:
        return []
    said = [*_diverged(found), *(_fall(one, found.seeds) for one in found.falls[:1]), *map(_fall, found.falls[1:])]
    if found.dip:
        said.append(_dip(found.dip))
    if found.peak and not (found.dip and found.peak.epoch == found.dip.top):
        said.append(_peak(found.peak))
    if found.overfit:
        said.append(_overfit(found.overfit))
    if found.apart:
        trained, tested = (numbers.value(one, LOSS, 2) for one in found.apart)
        said.append(
            f"At the end the training loss is {trained} and the loss on images that it did not train on {tested}."
        )
    if found.lead:
        said.append(_lead(found.lead))
    return said + ([_pace(found.pace)] if found.pace else [])


def _diverged(found: Course) -> Iterator[str]:
    for seed, why in found.diverged:
        yield f"Seed {seed}: {why.rstrip('.')}."


def _fall(one: Fall, seeds: int = 0) -> str:
    first, last = (numbers.value(value, LOSS, 2) for value in (one.first, one.last))
    mean = f", on average over {seeds} seeds" if seeds > 1 else ""
    if one.flat:
        return f"{_start(one.metric)} does not fall: {first} after the first epoch, {last} after {one.epochs}{mean}."
    way = "falls" if one.last < one.first else "rises"
    level = f"; from epoch {one.level} on less than 2{NBSP}% of that fall is left" if one.level else ""
    return f"{_start(one.metric)} {way} from {first} to {last} over {counted(one.epochs, 'epoch')}{mean}{level}."


def _dip(one: Dip) -> str:
    fell = numbers.with_sign(one.before - one.lowest, ACCURACY, 1).lstrip("+")
    text = (
        f"{_start(one.metric)} dips by {fell}, from {numbers.percent(one.before, 1)} at "
        f"epoch {one.top} to {numbers.percent(one.lowest, 1)} at epoch {one.low}"
    )
    if one.rate_before is not None and one.rate_lowest is not None:
        then, now = _share(one.rate_before), _share(one.rate_lowest)
        way = "had risen" if one.restart else "went"
        course = f"{way} from {then} to {now}" if then != now else f"stood at {now}"
        text += f", when the learning rate {course} of its maximum"
    return f"{text}; by epoch {one.recovered} it is at {numbers.percent(one.after, 1)}."


def _start(metric: Metric) -> str:
    """Name a metric at the start of a sentence."""
    return metric.label[:1].upper() + metric.label[1:]


def _share(rate: float) -> str:
    return f"100{NBSP}%" if rate > 1 - ROUND else f"{100 * rate:.0f}{NBSP}%" if rate >= 0.01 else f"less than 1{NBSP}%"


def _peak(one: Peak) -> str:
    best, last = numbers.percent(one.best, 1), numbers.percent(one.last, 1)
    return f"{_start(one.metric)} is highest at epoch {one.epoch} of {one.epochs}, {best}, and ends at {last}."


def _overfit(one: Peak) -> str:
    best, last = (numbers.value(value, LOSS, 2) for value in (one.best, one.last))
    return (
        f"{_start(one.metric)} is lowest at epoch {one.epoch} of {one.epochs}, {best}, and rises to {last} while the "
        "training loss goes on falling."
    )


def _lead(one: Lead) -> str:
    quantity = one.metric.quantity
    digits = numbers.digits(quantity, [one.half_width])  # those that the verdict has
    there, final = (numbers.with_sign(size, quantity, digits) for size in (one.there, one.final))
    if not one.same_length:
        return (
            f"After epoch {one.common}, the last that both have, its {one.metric.label} differs from that of "
            f"{one.reference} by {there}; after the last epoch of each, by {final}."
        )
    if one.half is None:
        return f"The difference to {one.reference} in {one.metric.label}, {final}, is there in the last epoch only."
    if one.half == 1:
        return f"At least half of the difference to {one.reference}, {final}, is there after every epoch."
    when = f"from epoch {one.half} of {one.common} on"
    return f"At least half of the difference to {one.reference}, {final}, is there {when}."


def _pace(one: Pace) -> str:
    each = f", {numbers.duration(one.seconds / one.epochs)} an epoch" if one.epochs > 1 else ""
    times = f"; {one.times:.1f} times as long as {one.reference}" if one.times is not None else ""
    took = numbers.duration(one.seconds)
    ends = f" Its runs took {numbers.duration(one.low)} to {numbers.duration(one.high)}; {took} is their median."
    return f"A run {'trains for' if one.epochs else 'takes'} {took}{each}{times}.{ends if one.uneven else ''}"


FILTERS = {function.__name__: function for function in (course_sentences,)}
"""By the names that templates call them by."""
