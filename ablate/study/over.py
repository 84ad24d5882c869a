"""`datasets` of [study]: the same variants on each of several datasets, every one an ordinary study of its own.

The raw table of such a study is narrowed to one dataset before anything else reads it, so that nothing else knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..components.setting_text import value_text
from ..components.tasks import IMAGES
from ..errors import did_you_mean, listing
from .edits import COMMAND_LINE
from .written import NAME_RULE, good_name, task_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .overrides import Override
    from .spec import Place, Report

MOST = 200
PLACE: Place = ("study", "datasets")
WHERE = "study: datasets"


def part_name(study: str, dataset: str) -> str:
    """Return what the ordinary study on one dataset is called."""
    return f"{study}-{dataset}"


def narrow(
    report: Report,
    raw: dict[str, Any],
    lines: dict[Place, int],
    overrides: Sequence[Override],
    wanted: str,
) -> tuple[str, ...]:
    """Make the raw table of a study over datasets that of the ordinary study on one of them; return all their names.

    wanted: which one; without a name the study is read as that on the first, and that is a problem. Nothing is changed,
    and there are no names, where the study has no `datasets`. lines: of the file's keys; those of the dataset are added
    where the ordinary study would have them.
    """
    head = raw.get("study")
    if not isinstance(head, dict) or "datasets" not in head:
        if wanted:
            report(PLACE, "--dataset", f"{wanted}: this study has no list of datasets; leave --dataset out")
        return ()
    images = task_named(raw) == IMAGES
    parts = _parts(report, head.pop("datasets"), images)
    for place, where, text in _misplaced(raw, overrides, images):
        report(place, where, text)
    names = tuple(parts)
    if not names:
        _put(raw, {"use": "missing"}, images)
        return ()
    if not wanted:
        how = "--dataset NAME takes one of them; in Python, ablate.load_datasets loads all"
        text = f"is a study over {len(names)} datasets: {listing(names, 12)}\n{how}"
        report(PLACE, WHERE, text)
    elif wanted not in parts:
        near = did_you_mean(wanted, names)
        report(PLACE, "--dataset", f"'{wanted}' is none of the study's datasets{near}\naccepts {listing(names, 20)}")
    name = wanted if wanted in parts else names[0]
    index, table = parts[name]
    _put(raw, table, images)
    key = "dataset" if images else "task"
    there: Place = (*PLACE, index)
    lines |= {("baseline", key, *at[3:]): line for at, line in lines.items() if at[:3] == there}
    for named in ("name", "title"):
        if isinstance(head.get(named), str) and head[named]:
            head[named] = part_name(head[named], name) if named == "name" else f"{head[named]}: {name}"
    return names


def _parts(report: Report, given: Any, images: bool) -> dict[str, tuple[int, Mapping[str, Any]]]:
    """Return the place in the list and the table of each dataset, by its name."""
    if not isinstance(given, list) or not all(isinstance(one, (str, dict)) for one in given):
        report(PLACE, WHERE, 'is no list of datasets\nwrite datasets = ["cifar10", { use = "svhn", validation = 0.1 }]')
        return {}
    if len(given) > MOST:
        report(PLACE, WHERE, f"{len(given):,} datasets are too many (at most {MOST})")
        return {}
    found: dict[str, tuple[int, Mapping[str, Any]]] = {}
    wrong = False
    for index, one in enumerate(given):
        name, table, text = _part(one, images)
        if not text and name in found:
            text = f"there are two datasets '{name}'\ntell them apart: {{ {_first(images)}, name = \"{name}-2\" }}"
        twin = next((other for other, (_, there) in found.items() if there == table), None)
        if not text and twin is not None:
            text = f"'{name}' is the same data as '{twin}': it would count twice\nleave one of them out"
        if text:
            report((*PLACE, index), f"{WHERE}[{index}]", text)
            wrong = True
        else:
            found[name] = index, table
    if len(found) < 2 and not wrong:
        hint = (
            "write it as 'dataset' in [baseline], or name a second one" if images else "write it as the task's setting"
        )
        report(
            PLACE, WHERE, f"{len(found) or 'no'} dataset: it takes two or more to say anything over datasets\n{hint}"
        )
    return found


def _part(one: str | dict[str, Any], images: bool) -> tuple[str, Mapping[str, Any], str]:
    """Return the name of a dataset, its table, and what is wrong with it ("" for nothing)."""
    if isinstance(one, str):
        hint = '{ name = "a", SETTING = "a.csv" }'
        wrong = "" if images else f"a task has no datasets by name, it takes them as a setting\nwrite {hint}"
        table: dict[str, Any] = {"use": one}
    else:
        table, wrong = dict(one), ""
    name = table.pop("name", table.get("use"))
    if not wrong and images and "use" not in table:
        wrong = '\'use\' is missing\nwrite { use = "image-folder", root = "...", name = "..." }'
    if not wrong and not isinstance(table.get("use", ""), str):
        wrong = f"'use' is {value_text(table['use'])}, which names no dataset"
    if not wrong and not images and (not name or "use" in table):
        wrong = "is to have a name, the settings of the task that differ, and no 'use': the task stands in [baseline]"
    if not wrong and not (isinstance(name, str) and good_name(name)):
        wrong = f'{value_text(name)} cannot name a dataset\n{NAME_RULE}; name = "..." gives it one'
    return str(name), table, wrong


def _first(images: bool) -> str:
    return 'use = "..."' if images else 'SETTING = "..."'


def _put(raw: dict[str, Any], table: Mapping[str, Any], images: bool) -> None:
    """Make a table the dataset of the baseline; of another task, lay its settings over those of the task."""
    base = raw.get("baseline")
    if isinstance(base, dict) and images:
        base["dataset"] = dict(table)
    elif isinstance(base, dict) and isinstance(base.get("task"), dict):
        base["task"] = {**base["task"], **{key: value for key, value in table.items() if key != "use"}}


def _misplaced(raw: Mapping[str, Any], overrides: Sequence[Override], images: bool) -> Iterator[tuple[Place, str, str]]:
    """Yield what names a dataset beside the study's list: its place, what to call that, and a text."""
    key = "dataset" if images else "task"
    base = raw.get("baseline")
    if images and isinstance(base, dict) and "dataset" in base:
        text = (
            "the study has a list of datasets\nleave it out here, and write its settings with each dataset of the list"
        )
        yield ("baseline", key), f"baseline: {key}", text
    text = (
        f"a variant of a study over datasets has no {key} of its own: it is run on each of the list\n"
        f'one setting of all can be changed: "{key}.{"validation" if images else "SETTING"}" = ...'
    )
    variants = raw.get("variant")
    owners = list(enumerate(variants)) if isinstance(variants, list) else []
    factors = raw.get("factor")
    named = list(factors.items()) if isinstance(factors, dict) else []
    for kind, tables in (("variant", owners), ("factor", named)):
        for at, table in tables:
            changes = table.get("set") if isinstance(table, dict) else None
            if isinstance(changes, dict) and key in changes:
                name = value_text(table.get("name", at)) if kind == "variant" else value_text(at)
                yield (kind, at, "set", key), f"{kind} {name}: set.{key}", text
    for one in overrides:
        if one.edit.keys in ((key,), (key, "use")):
            hint = "leave it out here; --dataset takes some of them" if images else text.partition("\n")[2]
            yield (*COMMAND_LINE, one.edit.target), one.edit.where, f"the study has a list of datasets\n{hint}"
