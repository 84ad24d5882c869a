"""Variants resolved: `from`, `set`, `add` and `remove` (and `--set`) become a whole recipe each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from pydantic import TypeAdapter

from ..components.contracts import Count
from ..components.schema import Setting, value_text
from ..errors import did_you_mean, listing
from .spec import Choice, Place, Recipe, Splits, Variant

Report = Callable[[Place, str, str], None]
COMMAND_LINE: Place = ("--set",)
COMPONENTS = ("dataset", "model", "optimizer", "scheduler")
SPLITS = tuple(f.name for f in fields(Splits))
_COUNT = Setting("count", Count, adapter=TypeAdapter(Count))


@dataclass(frozen=True)
class Override:
    """One `--set`: the variant's name, the keys below it, the value, and the text left of the `=`."""

    variant: str
    keys: tuple[str, ...]
    value: Any
    text: str


class Told(Protocol):
    """What the tables of the baseline and of a variant have in common."""

    name: str
    model_label: str
    enhancements: list[str]
    reported: dict[Any, float]
    note: str


@dataclass(frozen=True)
class Written:
    """A variant as the file has it. `recipe` holds raw values by key; the baseline's is complete.

    good is False for a table that could not be read, of which only name, place and parent are known.
    """

    name: str
    place: Place
    recipe: Mapping[str, Any]
    parent: str | None
    add: Sequence[dict[str, Any]]
    remove: Sequence[str]
    told: Told
    good: bool = True

    @classmethod
    def of(cls, table: Any, place: Place, recipe: Mapping[str, Any], parent: str | None) -> Written:
        """Take a validated table apart."""
        add = table.add.augmentation if hasattr(table, "add") else []
        return cls(table.name, place, recipe, parent, add, getattr(table, "remove", []), table)

    @property
    def reported(self) -> Mapping[str, float]:
        """Return the numbers that a paper reported."""
        return dict(self.told.reported)

    @property
    def where(self) -> str:
        """Return what a message calls it."""
        return "baseline" if self.place == ("baseline",) else f"variant {value_text(self.name)}"


@dataclass(frozen=True)
class _Pieces:
    """A variant's values after reading: the good ones, and whether all were."""

    written: Written
    values: Mapping[str, Any]
    added: tuple[Choice, ...]
    good: bool


class Builder:
    """Resolves written variants to whole ones; problems go to `report(place, where, text)`."""

    def __init__(self, report: Report, ladder: bool, overrides: Sequence[Override]) -> None:
        self._report, self._ladder, self._overrides = report, ladder, overrides
        self._recipes: dict[str, Recipe | None] = {}

    def build(self, written: Sequence[Written]) -> tuple[Variant, ...]:
        """Return the variants in the order of the file, without those that have problems."""
        base = written[0].name
        named: dict[str, Written] = {}
        for one in written:
            if one.name in named:
                self._report(
                    (*one.place, "name"), f"{one.where}: name", f"the name '{one.name}' is taken by another variant"
                )
            named.setdefault(one.name, one)
        parents = {base: None} | self._parents(list(named.values())[1:], base, named)
        pieces = {name: self._pieces(one) for name, one in named.items()}
        made = [(one, parents[name], self._resolve(name, parents, pieces)) for name, one in named.items()]
        return tuple(_variant(one, recipe, parent) for one, parent, recipe in made if recipe)

    def _parents(self, variants: Sequence[Written], base: str, named: Mapping[str, Written]) -> dict[str, str | None]:
        """Return the variant that each comes from, with loops and unknown names reported."""
        parents: dict[str, str | None] = {}
        before = base
        for one in variants:
            default = before if self._ladder else base
            parent = base if one.parent == "baseline" and "baseline" not in named else one.parent or default
            if parent not in named:
                text = f"there is no variant '{parent}'{did_you_mean(parent, named)}\naccepts {listing(named)}"
                self._report((*one.place, "from"), f"{one.where}: from", text)
                parent = base
            parents[one.name] = parent
            before = one.name
        for one in variants:
            chain: list[str] = [one.name]
            while (up := parents.get(chain[-1])) is not None and up not in chain:
                chain.append(up)
            if up is not None:
                chain = [*chain[chain.index(up) :], up]
                text = f"comes from itself: {' from '.join(chain)}\none of them has to come from '{base}'"
                self._report((*one.place, "from"), f"{one.where}: from", text)
                parents[one.name] = base
        return parents

    def _resolve(self, name: str, parents: Mapping[str, str | None], pieces: dict[str, _Pieces]) -> Recipe | None:
        """Lay what a variant writes over the recipe it comes from; None where either has problems."""
        if name not in self._recipes:
            one, parent = pieces[name], parents[name]
            below = self._resolve(parent, parents, pieces) if parent else None
            recipe: Recipe | None = None
            if parent is None and one.good:
                recipe = Recipe(**one.values)
            elif below is not None and one.good:
                recipe = self._remove(one.written, replace(below, **one.values))
                recipe = replace(recipe, augmentation=recipe.augmentation + one.added)
            for override in self._overrides:
                if recipe and override.variant in (name, "baseline" if parent is None else name):
                    recipe = self._override(recipe, override)
            self._recipes[name] = recipe
        return self._recipes[name]

    def _pieces(self, one: Written) -> _Pieces:
        """Read the raw values of a variant, reporting those that are wrong."""
        place = one.place if one.place == ("baseline",) else (*one.place, "set")
        values: dict[str, Any] = {}
        for key, raw in one.recipe.items():
            at = (*place, key)
            if key == "augmentation":
                values[key] = self._choices(one, raw or [], at)
            elif key in COMPONENTS:
                table = dict(raw or {})
                if key == "dataset":
                    values["splits"] = self._splits(one.where, {k: table.pop(k) for k in SPLITS if k in table}, at)
                values[key] = self._choice(one.where, table, at, key)
            else:
                values[key] = raw
        added = self._choices(one, one.add, (*one.place, "add", "augmentation"))
        good = {key: value for key, value in values.items() if value is not None}
        return _Pieces(one, good, added or (), one.good and len(good) == len(values) and added is not None)

    def _remove(self, one: Written, recipe: Recipe) -> Recipe:
        for index, target in enumerate(one.remove):
            there = [f"augmentation.{use}" for use in dict.fromkeys(c.use for c in recipe.augmentation)]
            there += ["scheduler"] * (recipe.scheduler.use != "constant")
            if target not in there:
                near = did_you_mean(target, there)
                text = f"'{target}' is not there to remove{near}\naccepts {listing(there) or 'nothing'}"
                self._report((*one.place, "remove", index), f"{one.where}: remove", text)
            elif target == "scheduler":
                recipe = replace(recipe, scheduler=Choice("constant"))
            else:
                left = tuple(c for c in recipe.augmentation if f"augmentation.{c.use}" != target)
                recipe = replace(recipe, augmentation=left)
        return recipe

    def _choices(self, one: Written, raw: Sequence[Any], place: Place) -> tuple[Choice, ...] | None:
        made = [self._choice(one.where, t, (*place, i), f"augmentation[{i}]") for i, t in enumerate(raw)]
        return tuple(c for c in made if c) if all(made) else None

    def _choice(self, where: str, table: Mapping[str, Any], place: Place, name: str) -> Choice | None:
        use = table.get("use")
        if isinstance(use, str) and use:
            return Choice(use, {k: v for k, v in table.items() if k != "use"}, place)
        what = "'use' is missing" if use is None else f"{value_text(use)} is not the name of a component"
        hint = (
            "a table is replaced whole, never merged: name the component and all settings that differ from its defaults"
        )
        self._report(place, f"{where}: {name}.use", f"{what}\n{hint}")
        return None

    def _splits(self, where: str, table: Mapping[str, Any], place: Place) -> Splits | None:
        good: dict[str, int | float | None] = {}
        for name, value in table.items():
            least = 0 if name == "validation" else 1
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
            share = isinstance(value, float) and 0 < value < 1
            if whole or share:
                good[name] = value or None
            else:
                text = f"{value_text(value)} is neither a number of images nor a share between 0 and 1"
                self._report((*place, name), f"{where}: dataset.{name}", text)
        return Splits(**good) if len(good) == len(table) else None

    def _override(self, recipe: Recipe, override: Override) -> Recipe:
        """Apply one `--set` to a resolved recipe."""
        head, *rest = override.keys
        place = (*COMMAND_LINE, override.text)
        key = ".".join(rest)
        if head in ("epochs", "batch_size") and not rest:
            number, wrong = _COUNT.check(override.value)
            if wrong:
                self._report(place, override.text, wrong)
                return recipe
            numbers: dict[str, Any] = {head: number}
            return replace(recipe, **numbers)
        if head == "dataset" and key in SPLITS:
            splits = self._splits(override.text, {key: override.value}, place)
            if splits is None:
                return recipe
            cut = replace(recipe.splits, **{key: getattr(splits, key)})
            return replace(recipe, splits=cut, dataset=replace(recipe.dataset, place=place))
        if head in (*COMPONENTS, "augmentation") and not rest:
            return self._override_whole(recipe, override, place)
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
        self._report(
            place, override.text, f"there is no '{target}'{did_you_mean(target, known)}\naccepts {listing(known, 20)}"
        )
        return recipe

    def _override_whole(self, recipe: Recipe, override: Override, place: Place) -> Recipe:
        """Apply a `--set` that replaces a whole component, as in `baseline.scheduler={ use = "cosine" }`."""
        head, value = override.keys[0], override.value
        tables = value if isinstance(value, list) else [value]
        if isinstance(value, list) != (head == "augmentation") or not all(isinstance(t, dict) for t in tables):
            form = '[{ use = "..." }]' if head == "augmentation" else '{ use = "..." }'
            self._report(place, override.text, f"{value_text(value)} is not {form}")
            return recipe
        changes: dict[str, Any] = {}
        if head == "dataset":
            value = dict(value)
            changes["splits"] = self._splits(override.text, {k: value.pop(k) for k in SPLITS if k in value}, place)
            tables = [value]
        made = [self._choice(override.text, table, place, head) for table in tables]
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


def _variant(one: Written, recipe: Recipe, parent: str | None) -> Variant:
    told = one.told
    return Variant(
        one.name, recipe, parent, told.model_label, tuple(told.enhancements), one.reported, told.note, one.place
    )  # fmt: skip
