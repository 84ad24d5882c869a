"""What changed from one recipe to another, in words that tables and findings use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..components.setting_text import HIDDEN, hidden
from .choices import COMPONENTS
from .spec import SCALARS, RangeTest

if TYPE_CHECKING:
    from .spec import Choice, Recipe


def differences(old: Recipe, new: Recipe) -> list[tuple[str, str, str]]:
    """List what changed from one recipe to another as (factor, before, after), in reading order.

    Factors are those in SCALARS and COMPONENTS, `task` and `augmentation`;
    a component that only changes a setting is named with that setting, as in `optimizer.lr`.
    """
    found: list[tuple[str, str, str]] = []
    for factor in ("task", *COMPONENTS):
        found += _choice_differences(factor, getattr(old, factor), getattr(new, factor))
    before, after = numbered(old.augmentation), numbered(new.augmentation)
    for use in [*before, *(u for u in after if u not in before)]:
        if use not in after:
            found.append((f"augmentation.{use}", text_of(before[use]), "none"))
        elif use not in before:
            found.append((f"augmentation.{use}", "none", text_of(after[use])))
        else:
            found += _choice_differences(f"augmentation.{use}", before[use], after[use])
    if list(before) != list(after) and set(before) == set(after):
        found.append(("augmentation", ", ".join(before), ", ".join(after)))
    for part in ("train", "validation", "test"):
        a, b = getattr(old.splits, part), getattr(new.splits, part)
        if a != b:
            found.append((f"dataset.{part}", value_text(a), value_text(b)))
    for name in SCALARS:
        a, b = getattr(old, name), getattr(new, name)
        if a != b:
            found.append((name, value_text(a), value_text(b)))
    return found


def text_of(choice: Choice) -> str:
    """Write a choice on one line, as in `sgd (lr 0.1, momentum 0.9)`; of what may be secret, the names alone."""
    every = {name: [*value] if name == HIDDEN and isinstance(value, dict) else value
             for name, value in choice.every_setting.items()}  # fmt: skip
    given = {name: value for name, value in every.items() if value is not None and value not in ("", [], {})}
    inside = ", ".join(f"{name} {value_text(value)}" for name, value in given.items())
    return f"{choice.use} ({inside})" if inside else choice.use


def numbered(choices: tuple[Choice, ...]) -> dict[str, Choice]:
    """Name each augmentation; the second of a kind is `cutout#2`."""
    named: dict[str, Choice] = {}
    for choice in choices:
        again = sum(other.use == choice.use for other in named.values())
        named[f"{choice.use}#{again + 1}" if again else choice.use] = choice
    return named


def _choice_differences(factor: str, old: Choice, new: Choice) -> list[tuple[str, str, str]]:
    if old.use != new.use:
        return [(factor, text_of(old), text_of(new))]
    before, after = old.every_setting, new.every_setting
    found = []
    for name in [*before, *(n for n in after if n not in before)]:
        was, now = before.get(name), after.get(name)
        if isinstance(was, dict) and isinstance(now, dict) and not RangeTest.read(now):  # what is another one in it
            keys = [key for key in {**was, **now} if was.get(key) != now.get(key)]
            was, now = ({key: table.get(key) for key in keys} for table in (was, now))
        if was != now:
            found.append((f"{factor}.{name}", value_text(hidden(name, was)), value_text(hidden(name, now))))
    return found


def value_text(value: Any) -> str:
    """Write a setting as tables and findings do."""
    match value:
        case {"find": True} if test := RangeTest.read(value):
            return str(test)
        case None:
            return "default"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case list() | tuple():
            return "[" + ", ".join(value_text(v) for v in value) + "]"
        case {"weights": str(digest), **others}:  # of a file, of which nothing else is known
            said = [f"{name} {value_text(part)}" for name, part in others.items() if part]
            return ", ".join([f"weights {digest[:8]}", *said])
        case dict():
            return ", ".join(f"{name} {value_text(part)}" for name, part in value.items() if part is not None)
        case _:
            return str(value)
