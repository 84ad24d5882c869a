"""The metrics that a study names: read from its file, then found among the components.

What training measures, `accuracy` and `loss` on each split, needs no naming.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..components.setting_text import value_text
from ..errors import InputError, did_you_mean, listing
from ..metrics import METRICS
from .choices import read_choice
from .spec import NamedMetric, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..components.registry import Registry
    from .spec import Choice, Place, Report, Study

Problem = tuple["Place", str]
"""What is wrong with a metric: where below its table, and a text."""
PLACE: Place = ("study", "metrics")
MEASURED = tuple(dict.fromkeys(one.quantity.name for one in METRICS.values()))
"""What training measures, by name."""


def read_metrics(report: Report, raw: Sequence[str | Mapping[str, Any]]) -> tuple[NamedMetric, ...]:
    """Read `metrics` of [study]: a name, or a table with `use`, settings and, as wanted, a `name` of its own."""
    found: dict[str, NamedMetric] = {}
    for index, given in enumerate(raw):
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
