"""What a variant's first training steps do, as plain facts: found by taking them beforehand, kept with a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Probe:
    """How large a variant's model is, and what its first training steps give, on images of noise.

    parameters: of the model. flops: floating-point operations of its forward pass for one image; 0 where they cannot
    be counted.
    trained: digest of the weights and logits after a few steps with a constant learning rate, "" where no step was
    taken. augmented: digest of what its augmentations make of many images. Two variants with the same digests differ in
    nothing that these steps and images show.
    idle: settings, such as `model.dropout`, that could have their default without any effect on these digests.
    """

    parameters: int
    flops: int = 0
    trained: str = ""
    augmented: str = ""
    idle: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {**vars(self), "idle": list(self.idle)}

    @classmethod
    def of(cls, document: object) -> Probe | None:
        """Read a document back; None where it is no probe."""
        if not isinstance(document, Mapping) or document.keys() != cls.__annotations__.keys():
            return None
        parameters, flops, trained, augmented, idle = (document[name] for name in cls.__annotations__)
        good = all(type(one) is int for one in (parameters, flops))
        good = good and all(type(one) is str for one in (trained, augmented)) and isinstance(idle, list | tuple)
        return cls(parameters, flops, trained, augmented, tuple(map(str, idle))) if good else None
