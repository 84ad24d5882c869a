"""Recipes as plain documents: how a study's record keeps them, and what it knows them by."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from ..study.spec import SCALARS, Choice, Recipe
from ..study.splits import Splits
from ..study.tables import SetTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..study.spec import Study
    from .documents import Document


def written_digest(recipe: Recipe) -> str:
    """Return a hash of a recipe as written, before defaults are filled in."""
    document = json.dumps(recipe_document(recipe), sort_keys=True, default=str)
    return hashlib.sha256(document.encode()).hexdigest()[:16]


def written_digests(study: Study) -> dict[str, str]:
    """Return the digest of each variant's recipe, by the variant's name; the study is one as read."""
    return {variant.name: written_digest(variant.recipe) for variant in study.variants}


def recipe_document(recipe: Recipe) -> Document:
    """Return a recipe as plain values. Where its components are written and were found decides nothing."""

    def plain(choice: Choice) -> Document:
        return {"use": choice.use, "settings": dict(choice.settings)}

    chosen = {kind: plain(getattr(recipe, kind)) for kind in ("dataset", "model", "optimizer", "scheduler")}
    augmentation = [plain(choice) for choice in recipe.augmentation]
    numbers = {name: getattr(recipe, name) for name in SCALARS}
    return {**numbers, **chosen, "augmentation": augmentation, "splits": dict(vars(recipe.splits))}


def recipe_of(document: Mapping[str, Any]) -> Recipe:
    """Return the recipe that was recorded as a document."""

    def choice(part: Mapping[str, Any]) -> Choice:
        return Choice(str(part["use"]), dict(part["settings"]))

    numbers = SetTable.model_validate({name: document[name] for name in SCALARS})
    # Raises if a size is no number, or none that can be counted with.
    splits = Splits(
        **{name: None if size is None else size + int(0 * float(size)) for name, size in document["splits"].items()}
    )
    values: dict[str, Any] = {name: getattr(numbers, name) for name in SCALARS}
    values |= {kind: choice(document[kind]) for kind in ("dataset", "model", "optimizer", "scheduler")}
    return Recipe(**values, augmentation=tuple(choice(part) for part in document["augmentation"]), splits=splits)
