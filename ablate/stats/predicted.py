"""What a study's stored runs predicted, read when it is asked for: image by image, and for frames by class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .images import compare_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from ..data.predictions import Predicted, Predictions
    from .images import ImageComparison, Right

    Seen = dict[int, tuple[NDArray[Any], Right]]


class PredictedRuns:
    """Predictions on one split, of the runs that kept them. Which images a run recognises is read once."""

    def __init__(
        self,
        split: str,
        stored_of: Callable[[str], Mapping[int, Mapping[str, Any]]],
        load: Callable[[str], Predictions],
    ) -> None:
        """Read nothing yet. stored_of: a variant's stored runs by seed; load: what a run, by its key, predicted."""
        self._split, self._stored_of, self._load = split, stored_of, load
        self._seen: dict[str, Seen] = {}

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
        ours, theirs = self._recognised(candidate), self._recognised(reference)
        if len({labels.tobytes() for side in (ours, theirs) for labels, _ in side.values()}) > 1:
            return None
        one, other = ({seed: right for seed, (_, right) in side.items()} for side in (ours, theirs))
        return compare_images((candidate, one), (reference, other))

    def _recognised(self, variant: str) -> Seen:
        """Return, by seed, the labels of a variant's images, and which of them it recognises."""
        if variant not in self._seen:
            self._seen[variant] = {seed: (predicted.labels, predicted.right) for seed, predicted in self.of(variant)}
        return self._seen[variant]
