"""Variants resolved: `from`, `set`, `add` and `remove` (and `--set`) become a whole recipe each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..components.schema import value_text
from ..errors import did_you_mean, listing
from .choices import COMPONENTS, SPLITS, Report, read_choice, read_choices, read_splits
from .overrides import Override, apply_override
from .spec import Choice, Place, Recipe, Variant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
                    recipe = apply_override(self._report, recipe, override)
            self._recipes[name] = recipe
        return self._recipes[name]

    def _pieces(self, one: Written) -> _Pieces:
        """Read the raw values of a variant, reporting those that are wrong."""
        place = one.place if one.place == ("baseline",) else (*one.place, "set")
        values: dict[str, Any] = {}
        for key, raw in one.recipe.items():
            at = (*place, key)
            if key == "augmentation":
                values[key] = read_choices(self._report, one.where, raw or [], at)
            elif key in COMPONENTS:
                table = dict(raw or {})
                if key == "dataset":
                    cuts = {k: table.pop(k) for k in SPLITS if k in table}
                    values["splits"] = read_splits(self._report, one.where, cuts, at)
                values[key] = read_choice(self._report, one.where, table, at, key)
            else:
                values[key] = raw
        added = read_choices(self._report, one.where, one.add, (*one.place, "add", "augmentation"))
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


def _variant(one: Written, recipe: Recipe, parent: str | None) -> Variant:
    told = one.told
    return Variant(
        one.name, recipe, parent, told.model_label, tuple(told.enhancements), one.reported, told.note, one.place
    )  # fmt: skip
