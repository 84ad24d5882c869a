"""Recipes as plain documents: how a study's record keeps them, and what it knows them by."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..components.contracts import USUAL_LOSS
from ..metrics import Metric, Quantity
from ..study.choices import COMPONENTS
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
        added = {"added": dict(choice.added)} if choice.added else {}
        return {"use": choice.use, "settings": dict(choice.settings), **added}

    if not recipe.images:
        return {"task": plain(recipe.task), "pilot": recipe.pilot, **recipe.splits.fold_document()}
    chosen = {kind: plain(getattr(recipe, kind)) for kind in COMPONENTS}
    if recipe.loss == Choice(USUAL_LOSS):
        del chosen["loss"]  # so that records from before a study could name one have the same digest
    augmentation = [plain(choice) for choice in recipe.augmentation]
    numbers = {name: getattr(recipe, name) for name in SCALARS}
    return {**numbers, **chosen, "augmentation": augmentation, "splits": recipe.splits.document()}


def metric_document(one: Metric) -> Document:
    """Return what a metric is as plain values, for a report that loads no task."""
    low, high = one.quantity.bounds
    bounds = [low if math.isfinite(low) else None, high if math.isfinite(high) else None]
    return {"name": one.name, "split": one.split, "quantity": {**asdict(one.quantity), "bounds": bounds}}


def metric_of(document: Mapping[str, Any]) -> Metric:
    """Return the metric that was recorded as a document."""
    (low, high), quantity = document["quantity"]["bounds"], dict(document["quantity"])
    quantity["bounds"] = (-math.inf if low is None else float(low), math.inf if high is None else float(high))
    return Metric(str(document["name"]), Quantity(**quantity), document["split"])


def recipe_of(document: Mapping[str, Any]) -> Recipe:
    """Return the recipe that was recorded as a document."""

    def choice(part: Mapping[str, Any]) -> Choice:
        return Choice(str(part["use"]), dict(part["settings"]), added=dict(part.get("added", {})))

    if "task" in document:
        folds = Splits(folds=int(document["folds"])) if "folds" in document else Splits()
        return Recipe(task=choice(document["task"]), pilot=bool(document["pilot"]), splits=folds)
    numbers = SetTable.model_validate({name: document[name] for name in SCALARS})
    # Raises if a size is no number, or none that can be counted with.
    splits = Splits(
        **{name: None if size is None else size + int(0 * float(size)) for name, size in document["splits"].items()}
    )
    values: dict[str, Any] = {name: getattr(numbers, name) for name in SCALARS}
    values |= {kind: choice(document[kind]) for kind in COMPONENTS if kind in document or kind != "loss"}
    return Recipe(**values, augmentation=tuple(choice(part) for part in document["augmentation"]), splits=splits)
