"""What changed from one recipe to another, in words that tables and findings use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .spec import SCALARS, RangeTest

if TYPE_CHECKING:
    from .spec import Choice, Recipe


def differences(old: Recipe, new: Recipe) -> list[tuple[str, str, str]]:
    """List what changed from one recipe to another as (factor, before, after), in reading order.

    Factors are those in SCALARS, `dataset`, `model`, `augmentation`, `optimizer` and `scheduler`;
    a component that only changes a setting is named with that setting, as in `optimizer.lr`.
    """
    found: list[tuple[str, str, str]] = []
    for factor in ("dataset", "model", "optimizer", "scheduler"):
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
            found.append((f"dataset.{part}", _value(a), _value(b)))
    for name in SCALARS:
        a, b = getattr(old, name), getattr(new, name)
        if a != b:
            found.append((name, _value(a), _value(b)))
    return found


def text_of(choice: Choice) -> str:
    """Write a choice on one line, as in `sgd (lr 0.1, momentum 0.9)`."""
    inside = ", ".join(f"{name} {_value(value)}" for name, value in choice.settings.items() if value is not None)
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
    names = [*old.settings, *(n for n in new.settings if n not in old.settings)]
    return [
        (f"{factor}.{name}", _value(old.settings.get(name)), _value(new.settings.get(name)))
        for name in names
        if old.settings.get(name) != new.settings.get(name)
    ]


def _value(value: Any) -> str:
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
            return "[" + ", ".join(_value(v) for v in value) + "]"
        case _:
            return str(value)
