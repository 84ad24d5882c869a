"""What changed from one recipe to another, setting by setting, as a diff has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..components.setting_text import hidden
from ..study.choices import COMPONENTS
from ..study.differences import differences, numbered, value_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..study.spec import Choice, Recipe


@dataclass(frozen=True)
class Change:
    """One setting, or a component. setting: as in `optimizer`, `optimizer: lr` or `batch size`.

    before, after: as they are written; empty where it was not there, or is there no more.
    """

    kind: Literal["added", "removed", "changed"]
    setting: str
    before: str
    after: str


def changes(old: Recipe, new: Recipe) -> tuple[Change, ...]:
    """Return what changed, in reading order; of a component that takes another's place, its settings one by one too."""
    made: list[Change] = []
    ours, theirs = numbered(new.augmentation), numbered(old.augmentation)
    for factor, before, after in differences(old, new):
        whole, _, part = factor.partition(".")
        name = factor.replace("_", " ") if not part else f"{whole}: {part}"
        if whole in COMPONENTS and not part:
            was, now = getattr(old, whole), getattr(new, whole)
            made += [Change("changed", whole, was.use, now.use), *_settings(whole, was, now)]
        elif whole == "augmentation" and part in ours and part not in theirs:
            made.append(Change("added", name, "", after))
        elif whole == "augmentation" and part in theirs and part not in ours:
            made.append(Change("removed", name, before, ""))
        else:
            made.append(Change("changed", name, before, after))
    return tuple(made)


def diff_lines(found: Iterable[Change]) -> list[str]:
    """Write changes as lines of a diff: "- optimizer: lr = 0.001" before "+ optimizer: lr = 0.1"."""
    lines: list[str] = []
    for one in found:
        whole, _, part = one.setting.partition(": ")
        component = whole == "augmentation" and part and one.kind != "changed"  # its value names it
        name = f"{whole}: " if component else f"{one.setting} = "
        lines += [f"- {name}{one.before}"] if one.before else []
        lines += [f"+ {name}{one.after}"] if one.after else []
    return lines


def _settings(factor: str, was: Choice, now: Choice) -> Iterator[Change]:
    """Yield what differs in the settings of two components; what neither says is the component's own default."""
    for name in (*was.settings, *(name for name in now.settings if name not in was.settings)):
        before, after = was.settings.get(name), now.settings.get(name)
        if before == after:
            continue
        old, new = ("" if value is None else value_text(hidden(name, value)) for value in (before, after))
        kind: Literal["added", "removed", "changed"] = (
            "added" if before is None else "removed" if after is None else "changed"
        )
        yield Change(kind, f"{factor}: {name}", old, new)
