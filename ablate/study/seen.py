"""How large a run's images are where its model gets them: an augmentation may bring them to a size of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..components.contracts import ImageShape
    from ..components.registry import Registry
    from .spec import Recipe, RunSpec


def side_of(recipe: Recipe, registry: Registry) -> int:
    """Return how many pixels a side images have after the augmentations; 0 where these keep their size."""
    sides = (registry.get("augmentation", one.use).side_after(one.settings) for one in recipe.augmentation)
    return next((side for side in reversed([*sides]) if side), 0)


def seen_shape(spec: RunSpec, registry: Registry) -> ImageShape:
    """Return the shape of the images that a run calls its model with, in training and in evaluation."""
    side = side_of(spec.recipe, registry)
    return spec.shape._replace(height=side, width=side) if side else spec.shape


def pixels_of(spec: RunSpec, registry: Registry) -> int:
    """Return how many pixels of an image a run's model computes on: those it is called with, or resizes them to."""
    asked = spec.recipe.model.added.get("pretrained") or {}
    size, shape = asked.get("input_size"), seen_shape(spec, registry)
    return int(size) ** 2 if size else shape.height * shape.width
