"""What a finished run predicted: kept with its result, so that a metric needs neither its data nor its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Predicted:
    """The logits of a split's images and their labels, in the split's own order, which is that of every run on it.

    logits: (N, classes) float16, each row less its largest, which changes no probability: a row's 0 is its prediction,
    every other class is below, and no logit is lower than -65504. A row that was not finite is nan.
    labels: (N,) whole numbers from 0. rows: (N,) of a fold of cross-validation, where each image stands among those
    that are cut into folds; else None.
    """

    logits: NDArray[np.float16]
    labels: NDArray[np.integer[Any]]
    rows: NDArray[np.integer[Any]] | None = None

    @property
    def right(self) -> NDArray[np.bool_]:
        """Return which images (N,) are recognised: their label is the class with the largest logit."""
        return np.asarray(self.logits.argmax(1) == self.labels)

    @property
    def finite(self) -> bool:
        """Tell whether every logit is a number."""
        return bool(np.isfinite(self.logits).all())


Predictions = Mapping[str, Predicted]
"""What a run predicted, by split: `test` and, where there is one, `validation`."""
