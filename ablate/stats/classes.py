"""Which classes a variant recognises, and which it takes for which: counts of images, as tidy frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from ..data.predictions import Predicted
    from .results import Results

    Counts = NDArray[np.int64]


def confusion(predicted: Predicted) -> Counts:
    """Return how many images of each class (row) were taken for each class (column)."""
    classes = predicted.logits.shape[1]
    found = predicted.logits.argmax(1)
    together = predicted.labels.astype(np.int64) * classes + found
    return np.bincount(together, minlength=classes**2).reshape(classes, classes)


def class_frame(results: Results) -> pd.DataFrame:
    """Return a row for each stored run and class: `images` of it, how many are `right`, and their share, `accuracy`.

    Of the split that the study compares on; runs without predictions are left out. `accuracy` is nan for a class
    without images.
    """
    import pandas as pd

    columns = ["variant", "seed", "class", "images", "right", "accuracy"]
    rows: list[dict[str, Any]] = []
    for variant, seed, counts in _confusions(results):
        for number, (images, right) in enumerate(zip(counts.sum(1).tolist(), counts.diagonal().tolist(), strict=True)):
            share = right / images if images else float("nan")
            rows.append(dict(zip(columns, (variant, seed, number, images, right, share), strict=True)))
    return pd.DataFrame(rows, columns=columns).astype({"accuracy": "float64"})


def confusion_frame(results: Results) -> pd.DataFrame:
    """Return a row for each stored run, label and predicted class that occur together, with how many images."""
    import pandas as pd

    columns = ["variant", "seed", "label", "predicted", "images"]
    rows = [
        (variant, seed, int(label), int(found), int(counts[label, found]))
        for variant, seed, counts in _confusions(results)
        for label, found in np.argwhere(counts)
    ]
    return pd.DataFrame(rows, columns=columns)


def _confusions(results: Results) -> list[tuple[str, int, Counts]]:
    found = []
    for variant in results.study.variants:
        for seed, predicted in results.predicted.of(variant.name):
            found.append((variant.name, seed, confusion(predicted)))
    return found
