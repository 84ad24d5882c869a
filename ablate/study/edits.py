"""One change to a whole recipe: a setting, a number or a component, as `set`, `--set` and tuning name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..components.setting_text import value_text
from ..errors import did_you_mean, listing
from .choices import SPLITS, read_choice, read_splits
from .spec import Choice, Place, Recipe
from .tables import SetTable, check_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .spec import Report

COMMAND_LINE: Place = ("--set",)


@dataclass(frozen=True)
class Edit:
    """What to change: the keys below a recipe, and the value.

    place: where it is written. owner: what messages call the variant that it is of.
    """

    keys: tuple[str, ...]
    value: Any
    place: Place
    owner: str

    @property
    def target(self) -> str:
        """Return what it changes, as in `optimizer.lr`."""
        return ".".join(self.keys)

    @property
    def where(self) -> str:
        """Return what messages call it."""
        return str(self.place[-1]) if self.place[:1] == COMMAND_LINE else f"{self.owner}: {self.target}"


def apply_edit(report: Report, recipe: Recipe, edit: Edit) -> Recipe | None:
    """Return a recipe with a change; None, and a problem, where it has nothing of this name or takes no such value."""
    head, *rest = edit.keys
    key = ".".join(rest)
    components = [kind for kind in recipe.kinds if kind != "augmentation"]
    if head in recipe.scalars and not rest:
        table, wrong = check_table(SetTable, {head: edit.value})
        if wrong or table is None:
            report(edit.place, edit.where, *wrong.values())
            return None
        numbers: dict[str, Any] = {head: getattr(table, head)}
        return replace(recipe, **numbers)
    if head == "dataset" and key in SPLITS and recipe.images:
        splits = read_splits(report, edit.owner, {key: edit.value}, edit.place)
        if splits is None:
            return None
        cut = replace(recipe.splits, **{key: getattr(splits, key)})
        return replace(recipe, splits=cut, dataset=_at(recipe.dataset, key, edit.place))
    if head in recipe.kinds and not rest:
        return _whole(report, recipe, edit)
    if head in components:
        whole = getattr(recipe, head).settings.get(rest[0])
        if len(rest) > 1 and (isinstance(whole, str) or whole is False):
            text = f"{head}.{rest[0]} is {value_text(whole)}, and no table that {rest[1]} could stand in"
            report(edit.place, edit.where, f"{text}\nreplace it: {head}.{rest[0]} = {{ ... }}")
            return None
        changes: dict[str, Any] = {head: _set(getattr(recipe, head), rest, edit)}
        return replace(recipe, **changes)
    # The name of a component may hold dots.
    use = max((c.use for c in recipe.augmentation if key.startswith(f"{c.use}.")), key=len, default="")
    if head == "augmentation" and use:
        inner = key[len(use) + 1 :].split(".")
        changed = [_set(c, inner, edit) if c.use == use else c for c in recipe.augmentation]
        return replace(recipe, augmentation=tuple(changed))
    known = [*recipe.scalars, *(f"{c}.use" for c in components), *(f"dataset.{s}" for s in SPLITS if recipe.images)]
    known += [f"{c}.{s}" for c in components for s in getattr(recipe, c).settings]
    known += [f"augmentation.{c.use}.{s}" for c in recipe.augmentation for s in c.settings]
    near = did_you_mean(edit.target, known)
    report(edit.place, edit.where, f"there is no '{edit.target}'{near}\naccepts {listing(known, 20)}")
    return None


def _whole(report: Report, recipe: Recipe, edit: Edit) -> Recipe | None:
    """Replace a whole component, as `--set` does in `baseline.scheduler={ use = "cosine" }`."""
    head, value = edit.keys[0], edit.value
    tables = value if isinstance(value, list) else [value]
    if isinstance(value, list) != (head == "augmentation") or not all(isinstance(t, dict) for t in tables):
        form = '[{ use = "..." }]' if head == "augmentation" else '{ use = "..." }'
        report(edit.place, edit.where, f"{value_text(value)} is not {form}")
        return None
    changes: dict[str, Any] = {}
    if head == "dataset":
        value = dict(value)
        cuts = {k: value.pop(k) for k in SPLITS if k in value}
        changes["splits"] = read_splits(report, edit.owner, cuts, edit.place)
        tables = [value]
    made = [read_choice(report, edit.owner, table, edit.place, head) for table in tables]
    changes[head] = tuple(made) if head == "augmentation" else made[0]
    return replace(recipe, **changes) if all(made) and changes.get("splits", True) else None


def _set(choice: Choice, keys: Sequence[str], edit: Edit) -> Choice:
    if list(keys) == ["use"]:
        return Choice(str(edit.value), {}, edit.place)
    return replace(_at(choice, keys[0], edit.place), settings=_laid(choice.settings, keys, edit.value))


def _at(choice: Choice, setting: str, place: Place) -> Choice:
    """Return a component that knows where one of its settings is written."""
    before = {name: at for name, at in choice.edited.items() if name != setting}
    return replace(choice, edited={**before, setting: place})


def _laid(table: Mapping[str, Any], keys: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a table with the value at these nested keys."""
    head, *rest = keys
    inner = table.get(head)
    return {**table, head: _laid(inner if isinstance(inner, Mapping) else {}, rest, value) if rest else value}
