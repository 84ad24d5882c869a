"""`ablate explain`: the further variants that tell a variant's changes apart, with their cost, as text of the study."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..console import text
from ..errors import AblateError, InputError, counted, listing, one_line, printable
from ..files import rewrite_file
from ..launch.apart import tell_apart
from ..launch.last import typed_again
from ..launch.study import open_study
from ..numbers import duration
from ..paths import expanded, shown
from ..study.listed import renamed
from ..study.written import good_name
from ..training.machine import check_device

if TYPE_CHECKING:
    from pathlib import Path

    from ..launch.apart import Apart, Step
    from ..launch.study import LoadedStudy, Options

NOT_APART = 1
LONGEST = 40
"""Of a change in the table: a component with all its settings can be long, and stands in the text whole."""


@dataclass(frozen=True)
class ExplainOptions:
    """Which variant, whether in all orders, and the file to write the study to with what is added; None for none."""

    variant: str
    all_orders: bool = False
    add: Path | None = None
    json: bool = False


def explain(options: Options, how: ExplainOptions) -> int:
    """Print how a variant's changes are told apart, and return the exit code: 1 where they cannot be."""
    check_device(options.device)
    study = open_study(options, text.note, any_file=True)
    found = tell_apart(study, how.variant, how.all_orders)
    written = _add(study, found, how) if how.add and found.text else None
    if how.json:
        text.say_json(_document(study, found, written))
    else:
        _say(options, found, written)
    return NOT_APART if len(found.changes) > 1 and not found.steps else 0


def _say(options: Options, found: Apart, written: Path | None) -> None:
    if len(found.told) > 1:
        told = listing((f"{factor} (against {reference})" for factor, reference in found.told), 20)
        text.say(f"{found.variant}: the study's design tells its factors apart already: {told}")
        return
    if len(found.changes) < 2:
        what = found.changes[0].factor if found.changes else "nothing"
        text.say(f"{found.variant} changes {what} against {found.reference}: there is nothing to tell apart")
        return
    named = listing(change.factor for change in found.changes)
    text.say(f"{found.variant} changes {len(found.changes)} things against {found.reference}: {named}")
    for factors, why in found.barred:
        text.say(f"cannot be run with {factors} and none of the others: {why}")
    if not found.steps:
        text.say("each order of its changes has a step that cannot be run: they cannot be told apart one by one")
        return
    text.say()
    text.say(_table((*found.steps, *found.others)))
    text.say()
    if not found.text:
        text.say("nothing is missing: every step is a variant of the study, and compared with the one before it")
        return
    text.say(_cost(found))
    if len(found.pairs) > len(found.steps):
        text.say(f"each change is then compared beside every set of the others: {len(found.pairs)} comparisons")
    if written:
        text.say(f"written to {shown(written)}; next: {typed_again('run', replace(options, study=written))}")
        return
    text.say(f"to add to the study, which --add FILE writes:\n\n{found.text}".rstrip())


def _table(steps: tuple[Step, ...]) -> str:
    """Lay the steps out in columns, or, where these are wider than the terminal, each in lines of its own."""
    rows = []
    for step in steps:
        state = "in the study" if step.exists else f"{step.to_make} of {counted(step.runs, 'run')} to make"
        time = duration(step.seconds) if step.to_make and step.seconds is not None else ""
        before, after = (one_line(end, LONGEST) for end in (step.change.before, step.change.after))
        change = f"{step.change.factor}: {before} → {after}"
        rows.append([step.variant, step.parent, change, state, time])
    table, wide = text.table(["variant", "against", "change", "runs", "time"], rows, right=(4,)), text.columns()
    if all(len(line) <= wide for line in table.splitlines()):
        return table
    return "\n".join(line for row in rows for line in _in_lines(row, wide))


def _in_lines(row: list[str], wide: int) -> list[str]:
    variant, parent, change, state, time = row
    parts = [(f"{variant}: {', '.join(filter(None, [state, time]))}", ""), (f"against {parent}: {change}", "  ")]
    return [
        line
        for part, indent in parts
        for line in textwrap.wrap(printable(part), wide, initial_indent=indent, subsequent_indent="    ")
    ]


def _cost(found: Apart) -> str:
    """Say what the new variants cost."""
    if not found.new:
        return "no further variant is needed, only comparisons"
    time = f", {text.about(found.seconds)}" if found.runs else ", all of them stored"
    return f"{counted(len(found.new), 'further variant')}, {counted(found.runs, 'run')} to make{time}"


def _document(study: LoadedStudy, found: Apart, written: Path | None) -> dict[str, Any]:
    def plain(step: Step) -> dict[str, Any]:
        known = {name: value for name, value in vars(step).items() if name not in ("recipe", "below", "parent")}
        return {**known, "against": step.parent, "change": vars(step.change)}

    return {
        "study": study.name,
        "variant": found.variant,
        "reference": found.reference,
        "changes": [vars(change) for change in found.changes],
        "steps": [plain(step) for step in found.steps],
        "others": [plain(step) for step in found.others],
        "told by the design": [list(one) for one in found.told],
        "barred": [{"factors": factors, "reason": why} for factors, why in found.barred],
        "comparisons": [list(pair) for pair in found.comparisons],
        "runs_to_make": found.runs,
        "seconds": found.seconds,
        "missing": [step.variant for step in found.new],
        "text": found.text,
        "written": str(written) if written else None,
    }


def _add(study: LoadedStudy, found: Apart, how: ExplainOptions) -> Path:
    """Write the study with what is added to it, once that was found to read and to need nothing more; return the file.

    Raises InputError for a file that is there and is not the study's, and where it cannot be written.
    """
    assert how.add is not None
    source = study.options.study.resolve()
    target = expanded(how.add).resolve()
    if target.is_dir() or (target.exists() and not target.samefile(source)):
        raise InputError(
            f"{shown(target)}: is there already, and is not the study's file\n"
            f"  name {shown(source)} to add to it, or a file that does not exist"
        )
    try:
        before = source.read_bytes()
        end = b"\r\n" if b"\r\n" in before else b"\n"
        if not target.exists():
            before = _named_after(target, before, study.name)
        added = f"\n# {found.variant} against {found.reference}, one change at a time.\n\n{found.text}"
        after = before + end * (not before.endswith(b"\n")) + added.encode().replace(b"\n", end)
        _check(study, found, how, target, after)
        target.parent.mkdir(parents=True, exist_ok=True)
        rewrite_file(target, after)
    except OSError as error:
        raise InputError(f"cannot write {shown(target)}: {error.strerror or error}") from error
    return target


def _named_after(target: Path, content: bytes, name: str) -> bytes:
    """Return a study's text with the name of its new file: a store has one file of each name."""
    new = target.stem if target.stem != name else f"{name}-apart"
    made = renamed(content.decode(), new) if good_name(new) else None
    if made is None:
        text.note(
            f"the study in {shown(target)} has the name '{name}' still: give it another one to use the same store"
        )
    return content if made is None else made.encode()


def _check(study: LoadedStudy, found: Apart, how: ExplainOptions, target: Path, after: bytes) -> None:
    """Raise InputError unless a text is a study that tells the variant's changes apart."""
    content = after.decode("utf-8-sig").replace("\r\n", "\n")
    try:
        again = open_study(replace(study.options, study=target, text=content), any_file=True)
        missing = tell_apart(again, found.variant, how.all_orders).text
    except AblateError as error:
        raise InputError(f"these variants cannot be added to the study as it is written\n  {error}") from error
    if missing:
        raise InputError("these variants would not tell the changes apart in the study as it is written")
