"""Which classes a variant recognises, and which it takes for which: counts of images, as tidy frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from ..data.predictions import Predicted
    from .predicted import Labels
    from .results import Results

    Counts = NDArray[np.int64]


def confusion(predicted: Predicted) -> Counts:
    """Return how many images of each class (row) were taken for each class (column)."""
    return confusion_of(predicted.labels, predicted.logits.argmax(1), predicted.logits.shape[1])


def confusion_of(labels: Labels, found: Labels, classes: int) -> Counts:
    """Return how many images of each class (row) were taken for each class (column), from both by image (N,)."""
    together = labels.astype(np.int64) * classes + found
    return np.bincount(together, minlength=classes**2).reshape(classes, classes)


def name_of(results: Results, label: int, classes: int) -> str:
    """Return what a class is called; its number where that is not known."""
    return results.class_names[label] if len(results.class_names) == classes else str(label)


def class_frame(results: Results) -> pd.DataFrame:
    """Return a row for each stored run and class: its `name`, its `images`, how many are `right`, their `accuracy`.

    Of the split that the study compares on; runs without predictions are left out. `accuracy` is nan for a class
    without images.
    """
    import pandas as pd

    columns = ["variant", "seed", "class", "name", "images", "right", "accuracy"]
    rows: list[dict[str, Any]] = []
    for variant, seed, counts in _confusions(results):
        for number, (images, right) in enumerate(zip(counts.sum(1).tolist(), counts.diagonal().tolist(), strict=True)):
            share = right / images if images else float("nan")
            name = name_of(results, number, len(counts))
            rows.append(dict(zip(columns, (variant, seed, number, name, images, right, share), strict=True)))
    return pd.DataFrame(rows, columns=columns).astype({"accuracy": "float64"})


def confusion_frame(results: Results) -> pd.DataFrame:
    """Return a row for each stored run, label and predicted class that occur together, with how many images."""
    import pandas as pd

    columns = ["variant", "seed", "label", "predicted", "images", "label_name", "predicted_name"]
    rows = [
        (
            variant,
            seed,
            int(label),
            int(found),
            int(counts[label, found]),
            *(name_of(results, int(one), len(counts)) for one in (label, found)),
        )
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
