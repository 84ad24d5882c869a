"""The metrics that a study names: read from its file, then found among the components.

What training measures, `accuracy` and `loss` on each split, needs no naming.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..components.setting_text import value_text
from ..components.tasks import IMAGES, Metric, wrong_name
from ..errors import InputError, did_you_mean, listing
from ..metrics import FRACTION, METRICS, TASK_METRICS
from ..metrics import Metric as Measured
from .choices import read_choice
from .spec import NamedMetric, Origin
from .tables import ReportedTable, check_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..components.registry import Registry
    from ..components.tasks import Direction
    from .spec import Choice, Place, Report, Study
    from .tables import StudyTable

Problem = tuple["Place", str]
"""What is wrong with a metric: where below its table, and a text."""
PLACE: Place = ("study", "metrics")
MEASURED = tuple(dict.fromkeys(one.quantity.name for one in METRICS.values()))
"""What training measures, by name."""


def read_metrics(report: Report, raw: Sequence[str | Mapping[str, Any]]) -> tuple[NamedMetric, ...]:
    """Read `metrics` of [study]: a name, or a table with `use`, settings and, as wanted, a `name` of its own.

    Those that say a direction are what a task reports (see `read_reported`).
    """
    found: dict[str, NamedMetric] = {}
    for index, given in enumerate(raw):
        if _is_reported(given):
            continue
        table, place = {"use": given} if isinstance(given, str) else dict(given), (*PLACE, index)
        name = table.pop("name", None)
        choice = read_choice(report, "study", table, place, f"metrics[{index}]")
        if choice is None or (choice.use in MEASURED and name is None and not choice.settings):
            continue
        one = NamedMetric(name or _name(choice), choice)
        if wrong := _wrong_name(one.name, [*MEASURED, *found]):
            report(place, f"study: metrics[{index}]", wrong)
        else:
            found[one.name] = one
    return tuple(found.values())


def _name(choice: Choice) -> str:
    """Return what a metric is called that has no name of its own: as in `top-k` or `top-k(k=3)`."""
    written = ", ".join(f"{name}={value_text(value)}" for name, value in choice.settings.items())
    return f"{choice.use}({written})" if written else choice.use


def _wrong_name(name: Any, taken: Sequence[str]) -> str:
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 80 or "/" in name:
        return f"{value_text(name)} cannot name a metric\na name has 1 to 80 printable characters, and no '/'"
    if name in taken:
        return f"the name {value_text(name)} is taken\ngive this one a name of its own: {{ use = ..., name = ... }}"
    return ""


def check_compared(report: Report, study: Study) -> Study:
    """Return a study that is compared on a metric that there is; a problem where its `metric` is none."""
    accepted = [name for name, one in study.measures.items() if one.split != "train"]
    if not study.images:
        # What a task reports is known once it is found.
        return study if study.metric in accepted else replace(study, metric="test/accuracy")
    if study.metric in accepted and study.looks and study.metric not in METRICS:
        text = f"{value_text(study.metric)} is computed when runs are done, and cannot decide which seeds are added"
        hint = "name a number of seeds, or compare on what training measures: accuracy or loss"
        report(("study", "metric"), "study: metric", f"{text}\n{hint}")
    if study.metric in accepted:
        return study
    near = f"; did you mean 'test/{study.metric}'?" if f"test/{study.metric}" in accepted else ""
    near = near or did_you_mean(study.metric, accepted)
    hint = f'accepts {listing(accepted, 20)}\nany other is named first, as in metrics = ["top-k"]'
    report(("study", "metric"), "study: metric", f"{value_text(study.metric)} is no metric{near}\n{hint}")
    return replace(study, metric="test/accuracy")


def read_reported(report: Report, table: StudyTable, task: str) -> tuple[Measured, ...]:
    """Return the metric that a study of another task is compared on, as far as its file says what that is."""
    name, given = table.metric, {"direction": table.direction, "unit": table.unit}
    if task == IMAGES:
        own = "is of a study whose task reports metrics of its own\nleave it out: accuracy and loss have theirs"
        for key in [key for key, value in given.items() if value]:
            report(("study", key), f"study: {key}", f"{key} = {value_text(given[key])} {own}")
        for index in [index for index, one in enumerate(table.metrics) if _is_reported(one)]:
            report((*PLACE, index), f"study: metrics[{index}]", f"a metric with a direction {own}")
        return ()
    if wrong := wrong_name(name):
        report(("study", "metric"), "study: metric", wrong.replace("; ", "\n"))
        return ()
    found = {name: reported_by(name, None, table.direction, table.unit)}
    for index, written in enumerate(table.metrics):
        one = _further(report, written, index) if _is_reported(written) else None
        if one is not None:
            found[one.name] = one
    return tuple(found.values())


def _is_reported(given: object) -> bool:
    """Tell whether one of `metrics` is what a task reports, as in `{ name = "test/auroc", direction = "maximize" }`."""
    return isinstance(given, Mapping) and "direction" in given and "use" not in given


def _further(report: Report, given: str | Mapping[str, Any], index: int) -> Measured | None:
    """Read what a task reports beside the metric that is compared."""
    assert isinstance(given, Mapping)  # see `_is_reported`
    one, problems = check_table(ReportedTable, given)
    where = f"study: metrics[{index}]"
    for path, text in problems.items():
        report((*PLACE, index, *path), where, text)
    if one is None or problems:
        return None
    if wrong := wrong_name(one.name):
        report((*PLACE, index, "name"), where, wrong.replace("; ", "\n"))
        return None
    return Metric(one.name, one.direction, one.unit, one.label, one.margin).measured


def reported_by(name: str, declared: Metric | None, direction: Direction | None, unit: str) -> Measured:
    """Return a metric that a task declares, or that only the study speaks of, which has the last word."""
    if name in TASK_METRICS and not (declared or direction or unit):
        return TASK_METRICS[name]
    one = declared or Metric(name, direction or "maximize", unit)
    return replace(one, direction=direction or one.direction, unit=unit or one.unit).measured


def check_quoted(report: Report, study: Study, quoted: Iterable[tuple[Place, str, Mapping[str, float]]]) -> None:
    """Report problems of numbers that a study quotes from a paper, which measured them on its test split.

    quoted: of each variant its place, what it is called, and the numbers by quantity.
    """
    known = {one.quantity.name: one for one in study.measures.values() if one.split == "test"}
    for place, where, numbers in quoted:
        for name, number in numbers.items():
            text = ""
            if name not in known:
                text = f"{value_text(name)} is no metric of the study{did_you_mean(name, known)}\n"
                text += f"accepts {listing(known, 20)}"
            elif known[name].bounds == FRACTION and not 0 <= number <= 1:
                text = f"{number:g} is not a fraction" + (f"; write {number / 100:g}" if 1 < number <= 100 else "")
            if text:
                report((*place, "reported", name), f"{where}: reported.{name}", text)


def found_reported(study: Study, declared: Mapping[str, Metric]) -> tuple[tuple[Measured, ...], str]:
    """Return what the tasks of a study report, first the metric that it is compared on, and what is wrong with that.

    declared: the metrics that its tasks declare, by name. What the study says of its metric goes for all splits.
    """
    quantity = study.metric.partition("/")[2]
    declared = {
        name: replace(one, direction=study.direction or one.direction, unit=study.unit or one.unit)
        if name.partition("/")[2] == quantity
        else one
        for name, one in declared.items()
    }
    own = declared.get(study.metric)
    others = {name: one.measured for name, one in declared.items()} | {one.name: one for one in study.reported[1:]}
    others.pop(study.metric, None)
    reported = (reported_by(study.metric, own, study.direction, study.unit), *others.values())
    if own or study.direction:
        return reported, ""
    if declared:
        near = did_you_mean(study.metric, declared)
        return (
            reported,
            f"{value_text(study.metric)} is not what the task reports{near}\naccepts {listing(declared, 20)}",
        )
    if study.metric in METRICS:
        return reported, ""
    hint = 'say which way is better: direction = "maximize", or "minimize"'
    return reported, f"{value_text(study.metric)} has no direction\n{hint}"


def found_metric(one: NamedMetric, registry: Registry) -> tuple[NamedMetric, list[Problem]]:
    """Return a metric with its component found and its settings filled in, and what is wrong with it."""
    try:
        entry = registry.get("metric", one.choice.use)
    except InputError as error:
        return one, [(("use",), str(error))]
    checked = entry.check(one.choice.settings)
    if checked.problems:
        accepts = f"accepts {entry.signature}   ({entry.place})"
        return one, [((name,), f"{what}\n{accepts}") for name, what in checked.problems]
    choice = replace(one.choice, settings=checked.settings, origin=Origin(entry.source, entry.place))
    quantity = entry.quantity
    assert quantity is not None  # its decorator or its library was checked
    label = one.name if one.name != _name(one.choice) else quantity.label.format(**checked.settings)
    return NamedMetric(one.name, choice, replace(quantity, name=one.name, label=label)), []
