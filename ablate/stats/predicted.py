"""What a study's stored runs predicted, read when it is asked for: image by image, and for frames by class.

The runs of cross-validation each test other images. Image by image they are taken together, repetition by repetition:
all folds of one test each image once, and stand for a seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .images import compare_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from ..data.predictions import Predicted, Predictions
    from .images import ImageComparison

    Labels = NDArray[np.integer[Any]]
    Seen = dict[int, tuple[Labels, Labels]]


class PredictedRuns:
    """Predictions on one split, of the runs that kept them. Which images a run recognises is read once."""

    def __init__(
        self,
        split: str,
        stored_of: Callable[[str], Mapping[int, Mapping[str, Any]]],
        load: Callable[[str], Predictions],
        folds: int | None = None,
    ) -> None:
        """Read nothing yet. stored_of: a variant's stored runs by seed; load: what a run, by its key, predicted.

        folds: of cross-validation, whose runs they are; None without.
        """
        self._split, self._stored_of, self._load, self._folds = split, stored_of, load, folds
        self._seen: dict[str, Seen] = {}
        self._classes: dict[str, int] = {}

    def of(self, variant: str) -> Iterator[tuple[int, Predicted]]:
        """Yield a variant's predictions with their seeds, ascending; those that are not finite are left out."""
        for seed, run in sorted(self._stored_of(variant).items()):
            predicted = self._load(str(run["key"])).get(self._split)
            if predicted is not None and predicted.finite:
                yield seed, predicted

    def compared(self, candidate: str, reference: str) -> ImageComparison | None:
        """Compare two variants image by image.

        None where no seed has predictions of both, or where they were not evaluated on the same images.
        """
        sides = self.taken(candidate, reference)
        if sides is None:
            return None
        labels, ours, theirs = sides
        one, other = ({seed: found == labels for seed, found in side.items()} for side in (ours, theirs))
        return compare_images((candidate, one), (reference, other), self._folds)

    def taken(self, candidate: str, reference: str) -> tuple[Labels, dict[int, Labels], dict[int, Labels]] | None:
        """Return the labels of the images (N,), and by seed which class each of two variants takes each image for.

        None where no run of one of them kept predictions, or where they were not evaluated on the same images.
        With folds by repetition, of those whose folds all kept predictions, with which images they are of.
        """
        ours, theirs = self._taken(candidate), self._taken(reference)
        labels = {labels.tobytes(): labels for side in (ours, theirs) for labels, _ in side.values()}
        if len(labels) != 1 or not ours or not theirs:
            return None
        one, other = ({seed: found for seed, (_, found) in side.items()} for side in (ours, theirs))
        return next(iter(labels.values())), one, other

    def classes(self, variant: str) -> int:
        """Return how many classes the runs of a variant tell apart; 0 where none kept predictions."""
        self._taken(variant)
        return self._classes.get(variant, 0)

    def _taken(self, variant: str) -> Seen:
        """Return, by seed, the labels of a variant's images, and which class it takes each for."""
        if variant not in self._seen:
            self._seen[variant] = {}
            parts: dict[int, list[tuple[Labels, Labels, Labels]]] = {}
            for seed, predicted in self.of(variant):
                self._classes[variant] = predicted.logits.shape[1]
                # As few bytes as hold a class: of hundreds of runs all are kept.
                small = np.min_scalar_type(max(predicted.logits.shape[1] - 1, 0))
                found = predicted.logits.argmax(1).astype(small)
                if self._folds is None:
                    self._seen[variant][seed] = (predicted.labels, found)
                elif predicted.rows is not None:
                    parts.setdefault(seed // self._folds, []).append((predicted.rows, predicted.labels, found))
            self._seen[variant] |= {one: _joined(of) for one, of in parts.items() if len(of) == self._folds}
        return self._seen[variant]


def _joined(folds: list[tuple[Labels, Labels, Labels]]) -> tuple[Labels, Labels]:
    """Return the labels and what each image was taken for, in the order of the images, of all folds of a repetition."""
    rows, labels, found = (np.concatenate(part) for part in zip(*folds, strict=True))
    order = np.argsort(rows, kind="stable")
    return labels[order], found[order]
