"""Every error that a user can meet.

    AblateError                    exit 1: something went wrong that is not the user's input
    ├── InputError                 exit 2: something the user wrote or named
    │   ├── StudyError             a study file, with all its problems at once
    │   └── ComponentError         a plugin or a component, with file and line
    ├── DataError                  exit 2: a dataset that is absent, damaged or cannot be fetched
    ├── StoreError                 exit 1: the store cannot be read or written
    └── RunError                   exit 1: one run failed; the study goes on
        ├── DivergedError          the loss stopped being finite
        └── StoppedError           the run was asked to stop, and kept its state

An error's text is written for a person: what is wrong, where, what is accepted, and the next step.
The command prints it without a traceback and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class AblateError(Exception):
    """Base of all errors that `ablate` raises on purpose."""

    exit_code = 1


class InputError(AblateError):
    """What the user wrote or named cannot be used."""

    exit_code = 2


class ComponentError(InputError):
    """A plugin or a component breaks its contract; the text begins with file and line."""


class DataError(AblateError):
    """A dataset is absent, damaged or cannot be fetched."""

    exit_code = 2


class StoreError(AblateError):
    """The store cannot be read or written."""


class RunError(AblateError):
    """One run failed."""


class DivergedError(RunError):
    """The training loss stopped being finite."""


class StoppedError(RunError):
    """The run was asked to stop, and kept its state."""


MOST_PROBLEMS = 50
"""So many are told at once: whoever has more has one mistake that they all come from."""
LONGEST_LINE = 500


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in a study.

    `line` is 1-based, or 0 where it has no place in the file (a command-line setting).
    `where` names the place as a reader would, `what` says what is wrong, `hint` what is accepted.
    """

    line: int
    where: str
    what: str
    hint: str = ""


class StudyError(InputError):
    """A study file cannot be used; carries every problem found, in the order of the file."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = sorted(set(problems))
        super().__init__(self._text())

    def _text(self) -> str:
        count = len(self.problems)
        told = [replace(p, where=one_line(p.where, 160)) for p in self.problems[:MOST_PROBLEMS]]
        places = [(f"line {p.line}" if p.line else "--set", p) for p in told]
        side = max(len(place) for place, _ in places)
        wide = min(max(len(p.where) for p in told), 60)
        rows = [f"{self.source}: {count:,} problem{'s' if count != 1 else ''}"]
        for place, p in places:
            rows.append(f"  {place:<{side}}  {p.where:<{wide}}  {one_line(p.what)}".rstrip())
            rows.extend(f"  {'':<{side}}  {'':<{wide}}  {one_line(line)}" for line in p.hint.split("\n") if line)
        rows += [f"  … and {count - len(told):,} more"] * (count > len(told))
        return "\n".join(rows)


def printable(text: str, keep: str = "") -> str:
    """Escape, as TOML does, what a terminal would obey or cannot write; not the characters in `keep`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escaped(c) for c in text)


def one_line(text: str, most: int = LONGEST_LINE) -> str:
    """Return a text as one line of at most so many characters; what is left out of a longer one is its end."""
    return printable(text if len(text) <= most else f"{text[: most - 1]}…")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode().replace("\\x", "\\u00")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the nearest known name, or an empty string."""
    names = list(known)
    folded = {other.casefold(): other for other in names}
    near = [folded[name.casefold()]] if name.casefold() in folded else []
    near = near or difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    near = near or [folded[match] for match in difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)]
    return f"; did you mean '{near[0]}'?" if near else ""


def listing(names: Iterable[str], most: int = 12) -> str:
    """Join names with commas, and say how many were left out past `most`."""
    items = list(names)
    more = f", … ({len(items) - most} more)" if len(items) > most else ""
    return ", ".join(items[:most]) + more
