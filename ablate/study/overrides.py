"""`--set`: changes of a resolved recipe from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ..components.contracts import Count
from ..components.schema import Setting, value_text
from ..errors import did_you_mean, listing
from .choices import COMPONENTS, SPLITS, Report, read_choice, read_splits
from .spec import Choice, Place, Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND_LINE: Place = ("--set",)
_COUNT = Setting("count", Count, adapter=TypeAdapter(Count))


@dataclass(frozen=True)
class Override:
    """One `--set`: the variant's name, the keys below it, the value, and the text left of the `=`."""

    variant: str
    keys: tuple[str, ...]
    value: Any
    text: str


def apply_override(report: Report, recipe: Recipe, override: Override) -> Recipe:
    """Apply one `--set` to a resolved recipe."""
    head, *rest = override.keys
    place = (*COMMAND_LINE, override.text)
    key = ".".join(rest)
    if head in ("epochs", "batch_size") and not rest:
        number, wrong = _COUNT.check(override.value)
        if wrong:
            report(place, override.text, wrong)
            return recipe
        numbers: dict[str, Any] = {head: number}
        return replace(recipe, **numbers)
    if head == "dataset" and key in SPLITS:
        splits = read_splits(report, override.text, {key: override.value}, place)
        if splits is None:
            return recipe
        cut = replace(recipe.splits, **{key: getattr(splits, key)})
        return replace(recipe, splits=cut, dataset=replace(recipe.dataset, place=place))
    if head in (*COMPONENTS, "augmentation") and not rest:
        return _whole(report, recipe, override, place)
    if head in COMPONENTS and rest:
        changes: dict[str, Any] = {head: _set(getattr(recipe, head), rest, override.value, place)}
        return replace(recipe, **changes)
    # The name of a component may hold dots.
    use = max((c.use for c in recipe.augmentation if key.startswith(f"{c.use}.")), key=len, default="")
    if head == "augmentation" and use:
        inner = key[len(use) + 1 :].split(".")
        changed = [_set(c, inner, override.value, place) if c.use == use else c for c in recipe.augmentation]
        return replace(recipe, augmentation=tuple(changed))
    known = ["epochs", "batch_size", *(f"{c}.use" for c in COMPONENTS), *(f"dataset.{s}" for s in SPLITS)]
    known += [f"{c}.{s}" for c in COMPONENTS for s in getattr(recipe, c).settings]
    known += [f"augmentation.{c.use}.{s}" for c in recipe.augmentation for s in c.settings]
    target = ".".join(override.keys)
    report(place, override.text, f"there is no '{target}'{did_you_mean(target, known)}\naccepts {listing(known, 20)}")
    return recipe


def _whole(report: Report, recipe: Recipe, override: Override, place: Place) -> Recipe:
    """Apply a `--set` that replaces a whole component, as in `baseline.scheduler={ use = "cosine" }`."""
    head, value = override.keys[0], override.value
    tables = value if isinstance(value, list) else [value]
    if isinstance(value, list) != (head == "augmentation") or not all(isinstance(t, dict) for t in tables):
        form = '[{ use = "..." }]' if head == "augmentation" else '{ use = "..." }'
        report(place, override.text, f"{value_text(value)} is not {form}")
        return recipe
    changes: dict[str, Any] = {}
    if head == "dataset":
        value = dict(value)
        changes["splits"] = read_splits(report, override.text, {k: value.pop(k) for k in SPLITS if k in value}, place)
        tables = [value]
    made = [read_choice(report, override.text, table, place, head) for table in tables]
    changes[head] = tuple(made) if head == "augmentation" else made[0]
    return replace(recipe, **changes) if all(made) and changes.get("splits", True) else recipe


def _set(choice: Choice, keys: Sequence[str], value: Any, place: Place) -> Choice:
    if list(keys) == ["use"]:
        return Choice(str(value), {}, place)
    return Choice(choice.use, _laid(choice.settings, keys, value), place)


def _laid(table: Mapping[str, Any], keys: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a table with the value at these nested keys."""
    head, *rest = keys
    inner = table.get(head)
    return {**table, head: _laid(inner if isinstance(inner, Mapping) else {}, rest, value) if rest else value}
