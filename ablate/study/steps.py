"""What a variant changes against its reference, one change at a time: the recipes between the two.

A component that is another one is one change, with all its settings. The same component with other settings is one
change for each setting. Each augmentation that comes or goes is a change; where those that stay are in another order,
or one is used twice, the whole list is one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .choices import COMPONENTS, SPLITS
from .differences import differences, numbered
from .spec import SCALARS, Choice

if TYPE_CHECKING:
    from collections.abc import Collection

    from .spec import Recipe


@dataclass(frozen=True)
class Change:
    """One change: the factor as findings and reports call it, such as `optimizer.lr`, and both its values in words."""

    factor: str
    before: str
    after: str

    @property
    def words(self) -> str:
        """Return it in a word or two, for the name of a variant."""
        whole, _, part = self.factor.partition(".")
        if whole in SCALARS:
            return f"{self.after} epochs" if whole == "epochs" else f"{whole.replace('_', ' ')} {self.after}"
        if whole == "augmentation":
            use, _, setting = part.rpartition(".")
            gone = "no " * (self.after == "none")
            return (
                f"{setting} {self.after}" if use and "none" not in (self.before, self.after) else gone + (part or whole)
            )
        return f"{part} {self.after}" if part else self.after.partition(" (")[0].rpartition(":")[2]


@dataclass(frozen=True)
class Between:
    """A reference and a variant, and all recipes between them.

    old, new: as their study writes them. filled_old, filled_new: with every setting filled in, which decides what is
    different at all.
    """

    old: Recipe
    new: Recipe
    filled_old: Recipe
    filled_new: Recipe

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """Return the changes, in reading order."""
        found = [Change(*one) for one in differences(self.filled_old, self.filled_new)]
        # Images that another split takes or leaves are no change of their own.
        derived = [f"dataset.{part}" for part in SPLITS if self._size(part, self.old) == self._size(part, self.new)]
        found = [change for change in found if change.factor not in derived]
        if self._one_list:
            lists = (", ".join(numbered(recipe.augmentation)) for recipe in (self.filled_old, self.filled_new))
            found = [change for change in found if change.factor.partition(".")[0] != "augmentation"]
            found.append(Change("augmentation", *lists))
        return tuple(found)

    def recipe(self, done: Collection[str]) -> Recipe:
        """Return the reference's recipe with some of the changes, by factor, as a study would write it."""
        values: dict[str, Any] = {
            kind: _choice(kind, getattr(self.old, kind), getattr(self.new, kind), done)
            for kind in ("task", *COMPONENTS)
        }
        values |= {name: getattr(self.new, name) for name in SCALARS if name in done}
        cut = {part: getattr(self.new.splits, part) for part in SPLITS if f"dataset.{part}" in done}
        return replace(
            self.old, **values, splits=replace(self.old.splits, **cut), augmentation=self._augmentation(done)
        )

    @cached_property
    def _one_list(self) -> bool:
        """Tell whether augmentations can only be changed together."""
        before, after = (
            [choice.use for choice in recipe.augmentation] for recipe in (self.filled_old, self.filled_new)
        )
        if self.filled_old.augmentation == self.filled_new.augmentation:
            return False
        twice = any(len(set(uses)) < len(uses) for uses in (before, after))
        return twice or [use for use in before if use in after] != [use for use in after if use in before]

    def _augmentation(self, done: Collection[str]) -> tuple[Choice, ...]:
        if "augmentation" in done:
            return self.new.augmentation
        before, after = numbered(self.old.augmentation), numbered(self.new.augmentation)
        if self._one_list:
            return self.old.augmentation
        both = [use for use in after if use in before]
        made: list[Choice] = []
        # Between two that both have, those that go stand before those that come.
        starts_old, starts_new = _stretches(list(before), both), _stretches(list(after), both)
        for place in range(len(both) + 1):
            if place:
                use = both[place - 1]
                made.append(_choice(f"augmentation.{use}", before[use], after[use], done))
            made += [before[use] for use in starts_old[place] if f"augmentation.{use}" not in done]
            made += [after[use] for use in starts_new[place] if f"augmentation.{use}" in done]
        return tuple(made)

    @staticmethod
    def _size(part: str, recipe: Recipe) -> Any:
        return getattr(recipe.splits, part)


def _stretches(names: list[str], anchors: list[str]) -> list[list[str]]:
    """Split a list at its anchors, which stand in it in this order."""
    found: list[list[str]] = [[]]
    for name in names:
        if name in anchors:
            found.append([])
        else:
            found[-1].append(name)
    return found


def _choice(owner: str, old: Choice, new: Choice, done: Collection[str]) -> Choice:
    """Return a component with some of its changes: all of it, or some settings."""
    if owner in done:
        return replace(new, place=())
    settings = dict(old.settings)
    for name in (*old.settings, *new.settings):
        if f"{owner}.{name}" in done:
            settings.pop(name, None)
            if name in new.settings:
                settings[name] = new.settings[name]
    return old if settings == old.settings else Choice(old.use, settings)
