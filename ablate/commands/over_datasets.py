"""Commands on a study over several datasets: each dataset in turn, as the ordinary study that it is, then all of them.

A dataset that fails does not stop the others. A signal does.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..console import text
from ..errors import AblateError, StudyError, counted, listing
from ..store.studies import file_name
from ..study.over import WHERE, part_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ..launch.study import Options

STOPPED = 128
"""An exit code from here on is that of a signal."""


def datasets_of(options: Options, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the datasets to take of a study, () for a study without a list of them.

    Raises InputError for one that there is not, and where the list itself is wrong.
    """
    names = options.read().datasets
    for name in wanted or names[:1]:
        reading = on(options, name).read()
        if any(problem.where in ("--dataset", WHERE) or problem.where.startswith(f"{WHERE}[") for problem in
               reading.problems):  # fmt: skip
            reading.done()  # says so
    return tuple(name for name in names if name in wanted) if wanted else names


def on_first(options: Options, wanted: Sequence[str]) -> Options:
    """Return options for the first dataset of a study, or of those that are wanted; a study without a list as it is."""
    names = datasets_of(options, wanted)
    if len(names) > 1:
        text.note(f"on {names[0]}, and the same on each of {counted(len(names), 'dataset')}")
    return on(options, names[0]) if names else options


def on_each(
    options: Options,
    wanted: Sequence[str],
    act: Callable[[Options], int],
    after: Callable[[Sequence[str]], Mapping[str, Any] | None] | None = None,
    json: bool = False,
) -> int:
    """Do what a command does on each dataset of a study, and return the exit code: that of the first which is not 0.

    A study without a list of datasets is done as it is. wanted: some of the datasets. after: what is done once all are
    over, with the datasets that did not fail to begin; what it returns stands in the JSON.
    """
    names = datasets_of(options, wanted)
    if not names:
        return act(options)
    if wanted and len(names) == 1:
        return act(on(options, names[0]))
    code, documents = in_turn(names, lambda name: act(on(options, name)), json)
    if code >= STOPPED:
        return code
    more = after([name for name in names if "error" not in documents.get(name, {})]) if after else None
    if json:
        study = on(options, names[0]).read().study.name.removesuffix(part_name("", names[0]))
        text.say_json({"study": study, "datasets": documents, **({"over all": more} if more is not None else {})})
    return code


def out_of(options: Options, out: Path | None) -> Path | None:
    """Return the folder that a command writes to: of a study over datasets, one of its own for each of them."""
    return out / file_name(options.changes.dataset) if out and options.changes.dataset else out


def on(options: Options, dataset: str) -> Options:
    """Return options for one dataset of a study."""
    return replace(options, changes=replace(options.changes, dataset=dataset))


def in_turn(names: Sequence[str], act: Callable[[str], int], json: bool) -> tuple[int, dict[str, Any]]:
    """Do something for each name; return the first exit code that is not 0, and in JSON what each said, by name."""
    code, documents, told = 0, dict[str, Any](), dict[str, str]()
    for place, name in enumerate(names):
        if not json:
            text.say(f"{chr(10) * (place > 0)}── {name} ({place + 1} of {len(names)})")
        said: list[Any] = []
        try:
            with text.json_into(said) if json else contextlib.nullcontext():
                one = act(name)
            documents[name] = said[0] if said else {}
        except AblateError as error:
            one = error.exit_code
            documents[name] = {"error": str(error)}
            _say_error(name, error, told)
        code = code or one
        if one >= STOPPED:
            return one, documents
    if failed := [name for name in names if "error" in documents.get(name, {})]:
        text.note(f"not done: {listing(failed, 20)} ({len(failed)} of {counted(len(names), 'dataset')})")
    return code, documents


def _say_error(name: str, error: AblateError, told: dict[str, str]) -> None:
    """Say what is wrong on a dataset; what is wrong on all of them alike is said once."""
    what = str([(one.line, one.where, one.what) for one in error.problems] if isinstance(error, StudyError) else error)
    if what in told:
        text.note(f"error: {name}: the same as for {told[what]}")
        return
    told[what] = name
    text.note(f"error: {error}" if name in str(error).partition("\n")[0] else f"error: {name}: {error}")
