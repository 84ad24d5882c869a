"""What the facts of a report are written as: the filters of its templates, each from numbers to a text.

Digits and units are those of `numbers`; what belongs to a format (escapes, markup) is not done here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import numbers
from ..components.contracts import Range
from ..errors import counted, listing
from . import verdict_text
from .facts import Amount
from .image_text import image_by_image
from .verdict_text import answer, bare, basis, difference, interval, per_seed, terms, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..components.contracts import Values
    from ..metrics import Metric
    from ..stats.claims import ReportedDifference
    from ..stats.estimates import Estimate
    from .facts import Fact
    from .sections import FoundRate, ReportedChange, Section, SectionComparison
    from .table import Column, ComparisonTable, TableRow
    from .tuned_comparison import Flip, Sides
    from .tuning import TuningRow


def value(fact: Fact) -> str:
    """Write the value of a fact, with its unit."""
    found = fact.value
    return numbers.with_unit(found.value, found.quantity, found.decimals) if isinstance(found, Amount) else str(found)


def detail(fact: Fact) -> str:
    """Write what stands beside a fact in smaller print: its detail, else its interval; empty where there is neither."""
    if fact.detail or not isinstance(fact.value, Amount):
        return fact.detail
    found = fact.value
    decimals = found.quantity.plain if found.decimals is None else found.decimals
    return _or_empty(numbers.ends(found.low, found.high, found.quantity, decimals))


# --- the comparison table --------------------------------------------------------------------------------------


def cell(row: TableRow, column: Column) -> str:
    """Write the number of a row of the comparison table in one of its columns."""
    quantity, found = column.metric.quantity, row.estimates[column.metric.name]
    match column.kind:
        case "mean":
            return numbers.value(found.mean, quantity, column.decimals)
        case "interval":
            return numbers.ends(found.low, found.high, quantity, column.decimals)
        case "reported":
            return numbers.aligned(numbers.as_given(row.reported.get(column.metric.name), quantity), column.decimals)


def reported_gap(row: TableRow, column: Column) -> str:
    """Say how far our mean is from the reported number: "ours is 4.1 points higher"; empty for no gap."""
    gap = row.gap(column.metric)
    if gap is None:
        return ""
    quantity, way = column.metric.quantity, "higher" if gap > 0 else "lower"
    size = numbers.with_sign(abs(gap), quantity, _gap_digits(row, column)).lstrip("+")
    return f"ours is {size} {way}" if any(sign in "123456789" for sign in size) else "ours is the same"


def enhancements(row: TableRow) -> str:
    """Write what is new in a variant."""
    return ", ".join(row.enhancements)


def runs(row: TableRow) -> str:
    """Write how many of a variant's runs have a result, and how the others stand: "2 of 3, 1 failed"."""
    ordered = sorted(row.runs.items(), key=lambda state: -state[1])
    others = [f"{count}{numbers.NBSP}{state}" for state, count in ordered if state != "stored" and count]
    return ", ".join([f"{row.runs.get('stored', 0)} of {sum(row.runs.values())}", *others])


def change(row: TableRow, table: ComparisonTable) -> str:
    """Write a row's difference without its unit, its decimal point below those of the other rows."""
    if row.compared is None:
        return ""
    return numbers.aligned(bare(row.compared), table._decimals)  # noqa: SLF001  # not for templates


def to_baseline_verdict(row: TableRow) -> str:
    """Write the verdict of a row against the baseline, marked where it stands alone; empty without one."""
    found = row.to_baseline
    return "" if found is None else f"{verdict(found)}{', alone' if found.alone else ''}"


def parameters(row: TableRow) -> str:
    """Write how many parameters a variant's model has; empty where no run says."""
    return "" if row.parameters is None else numbers.count(row.parameters)


def run_time(row: TableRow) -> str:
    """Write how long a run of a variant trains; empty where no run says."""
    return "" if row.seconds is None else numbers.duration(row.seconds)


def wording_said(section: Section) -> list[str]:
    """Say, a sentence each, where an author's words for what is new do not fit what changed."""
    found = section.wording
    said = [f"Changed too, and not in the words for what is new: {listing(found.silent)}."] if found.silent else []
    for words, factor in found.unfounded:
        name, _, now = factor.partition(": ")
        is_ = f"{name} {'are' if name == 'epochs' else 'is'} {now}" if now else f"no {name} changed"
        said.append(f"The words say “{words}”, and {is_}.")
    return said


# --- comparisons -----------------------------------------------------------------------------------------------


def sentence(compared: SectionComparison) -> str:
    """Say what a comparison comes to, with all that it rests on."""
    return verdict_text.sentence(compared.result)


def reported_difference(change: ReportedChange | ReportedDifference) -> str:
    """Write the difference of two numbers that someone else reported, with the digits of the finer one."""
    return numbers.with_sign(change.after - change.before, change.metric.quantity, _given_digits(change))


def reported_ends(change: ReportedChange | ReportedDifference) -> str:
    """Write two numbers that someone else reported, as in "36.2 → 54.68 %"."""
    quantity = change.metric.quantity
    unit = numbers.NBSP + quantity.unit if quantity.unit else ""
    return f"{numbers.as_given(change.before, quantity)} → {numbers.as_given(change.after, quantity)}{unit}"


def reported_share(change: ReportedChange | ReportedDifference) -> str:
    """Write a change of what someone else reported as a share of what it was: "−25.6 % of the accuracy"."""
    if not change.before:
        return ""
    share = numbers.fixed(100 * (change.after - change.before) / abs(change.before), 1, signed=True)
    return f"{share}{numbers.NBSP}% of the {change.metric.quantity.label}"


def found_by(rate: FoundRate) -> str:
    """Write which rule found a learning rate, and what the other one would have taken."""
    return f"{rate.rule}; {rate.other} {numbers.rate(rate.other_lr)}"


# --- tuning ----------------------------------------------------------------------------------------------------


def side(found: Estimate, sides: Sides) -> str:
    """Write a mean of the comparison of default with tuned settings."""
    return numbers.value(found.mean, sides.metric.quantity, sides.decimals)


def side_interval(found: Estimate, sides: Sides) -> str:
    """Write an interval of the comparison of default with tuned settings; empty where there is none."""
    return _or_empty(numbers.ends(found.low, found.high, sides.metric.quantity, sides.decimals))


def flipped(flip: Flip) -> str:
    """Say of two variants that change places how far apart they are with both settings."""
    default, tuned = (
        difference(found) + (f" ({interval(found)})" if interval(found) else "") for found in (flip.default, flip.tuned)
    )
    return (
        f"{flip.candidate} overtakes {flip.reference}: its difference to it is {default} by default and {tuned} tuned."
    )


def trials(row: TuningRow) -> str:
    """Write how many are over and how they ended: "50: 41 done, 9 pruned", "7 of 50: 6 done, 1 repeat, exhausted"."""
    counts = [f"{count}{numbers.NBSP}{state}" for state, count in row.states.items()]
    counts += [counted(row.repeats, "repeat")] if row.repeats else []
    counts += [f"all {row.exhausted} settings tried"] if row.exhausted else []
    return f"{row.over}{f' of {row.wanted}' * (row.over < row.wanted)}: {', '.join(counts)}"


def objective(found: float | None, of: Metric) -> str:
    """Write a value of an objective, without its unit."""
    return numbers.value(found, of.quantity)


def gain(row: TuningRow) -> str:
    """Write what tuning gained, with its sign and unit."""
    return numbers.with_sign(row.change, row.objective.quantity)


def quartiles(row: TuningRow) -> str:
    """Write the quartiles of a variant's trials."""
    if row.quartiles is None:
        return numbers.ABSENT
    low, high = (numbers.value(end, row.objective.quantity) for end in row.quartiles)
    return f"{low}{numbers.NBSP}to{numbers.NBSP}{high}"


def best_settings(row: TuningRow) -> str:
    """Write the settings of a variant's best trial."""
    if row.settings is None:
        return numbers.ABSENT
    return ("the default: " if row.best_is_default else "") + numbers.settings(row.settings)


def settings(found: Mapping[str, Any]) -> str:
    """Write settings on one line."""
    return numbers.settings(found)


def where(part: Range | Values) -> str:
    """Say where tuning looked for one setting."""
    if not isinstance(part, Range):
        return "one of " + ", ".join(map(numbers.setting, part.values))
    ends = f"{part.low:g} to {part.high:g}"
    return ends + (f" in steps of {part.step:g}" if part.step else "") + (", log scale" if part.log else "")


def share(found: float | None) -> str:
    """Write a share as a whole percentage."""
    return numbers.percent(found, 0)


def names(variants: Sequence[str]) -> str:
    """Name several variants."""
    return listing(variants)


def sentence_case(text: str) -> str:
    """Write a note with a capital at its start."""
    return text[:1].upper() + text[1:]


def or_dash(found: object) -> str:
    """Write what may be absent."""
    return numbers.ABSENT if found is None else str(found)


FILTERS: dict[str, Callable[..., str | list[str]]] = {
    function.__name__: function
    for function in (
        value, detail, cell, enhancements, runs, change, answer, terms, sentence, verdict, difference, interval, basis,
        per_seed, reported_difference, reported_ends, reported_share, found_by, side, side_interval, flipped, trials,
        objective, gain, quartiles, best_settings, settings, where, share, names, sentence_case, or_dash,
        image_by_image, reported_gap, to_baseline_verdict, parameters, run_time, wording_said,
    )
} | {"rate": numbers.rate, "bare": bare}  # fmt: skip
"""By the names that templates call them by."""


def _given_digits(change: ReportedChange | ReportedDifference) -> int:
    return max(numbers.decimals_given(number, change.metric.quantity) for number in (change.before, change.after))


def _gap_digits(row: TableRow, column: Column) -> int:
    return numbers.digits(column.metric.quantity, [row.estimates[column.metric.name].half_width])


def _or_empty(text: str) -> str:
    return "" if text == numbers.ABSENT else text
