"""Ablation studies for image classification: what a plugin needs, and nothing that is slow to import."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .components.contracts import BatchTransform as BatchTransform
    from .components.contracts import Borrowed as Borrowed
    from .components.contracts import Count as Count
    from .components.contracts import DataFacts as DataFacts
    from .components.contracts import Horizon as Horizon
    from .components.contracts import ImageShape as ImageShape
    from .components.contracts import Library as Library
    from .components.contracts import Mixed as Mixed
    from .components.contracts import MixingTransform as MixingTransform
    from .components.contracts import Natural as Natural
    from .components.contracts import NonNegative as NonNegative
    from .components.contracts import Positive as Positive
    from .components.contracts import Share as Share
    from .components.contracts import Source as Source
    from .components.contracts import Split as Split
    from .components.contracts import takes_uint8 as takes_uint8
    from .components.registry import augmentation as augmentation
    from .components.registry import dataset as dataset
    from .components.registry import library as library
    from .components.registry import model as model
    from .components.registry import optimizer as optimizer
    from .components.registry import scheduler as scheduler
    from .components.schema import settings_of_library as settings_of_library
    from .errors import AblateError as AblateError

__version__ = "0.1.0"

_HOME = {
    "AblateError": "errors",
    **dict.fromkeys(["BatchTransform", "Borrowed", "DataFacts", "Horizon", "ImageShape"], "components.contracts"),
    **dict.fromkeys(["Count", "Natural", "NonNegative", "Positive", "Share"], "components.contracts"),
    **dict.fromkeys(["Library", "Mixed", "MixingTransform", "Source", "Split", "takes_uint8"], "components.contracts"),
    **dict.fromkeys(["augmentation", "dataset", "library", "model", "optimizer", "scheduler"], "components.registry"),
    "settings_of_library": "components.schema",
}
__all__ = ["__version__", *sorted(_HOME)]  # the names are strings, made from the map above  # noqa: PLE0604  # the names are strings, made from the map above


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'ablate' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
