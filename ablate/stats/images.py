"""Two variants compared image by image, and how sure a finite test set makes their difference.

Seeds say how much a difference changes when training is repeated, on the same test images. It would change with other
test images, too: that noise is seen in how the difference varies from image to image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import bdtr

from .estimates import SPARSE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ..study.spec import Noun

    Right = NDArray[np.bool_]


@dataclass(frozen=True)
class SeedPair:
    """One seed's two runs on the same images: how many only one of them recognises.

    gained: only the candidate; lost: only the reference. p: of McNemar's exact test that both are as likely.
    """

    seed: int
    gained: int
    lost: int
    p: float


@dataclass(frozen=True)
class ImageComparison:
    """Candidate against reference, image by image, over the seeds that both kept predictions for.

    images: how many there are. difference: of the accuracies, a fraction. pairs: one for each seed.
    image_error: the standard error of the difference from the images being a sample. seed_error: that from the seeds,
    of the same differences; None for one seed. noun: what one of them is called: a task may tell anything apart.
    folds: of cross-validation; then each of `pairs` is of a repetition, all folds of which test each image once, and
    `seed` is its number.
    Limits: what training draws for each image anew is in both errors, so that together they are a little too large.
    """

    candidate: str
    reference: str
    images: int
    difference: float
    pairs: tuple[SeedPair, ...]
    image_error: float
    seed_error: float | None
    noun: Noun = "image"
    folds: int | None = field(default=None, metadata=SPARSE)

    @property
    def gained(self) -> float:
        """Return how many images only the candidate recognises, on average over the seeds."""
        return sum(pair.gained for pair in self.pairs) / len(self.pairs)

    @property
    def lost(self) -> float:
        """Return how many images only the reference recognises, on average over the seeds."""
        return sum(pair.lost for pair in self.pairs) / len(self.pairs)

    @property
    def larger(self) -> Literal["images", "seeds", ""]:
        """Return which of the two noises is the larger; empty for one seed, of which nothing is known of the seeds."""
        if self.seed_error is None:
            return ""
        return "images" if self.image_error > self.seed_error else "seeds"

    @property
    def within_image_noise(self) -> bool:
        """Tell whether other test images alone might turn the difference: it is within 1.96 of their standard errors.

        1.96 and not Student's t, since there are as many values as images.
        """
        return abs(self.difference) <= 1.96 * self.image_error


def compare_images(
    candidate: tuple[str, Mapping[int, Right]], reference: tuple[str, Mapping[int, Right]], folds: int | None = None
) -> ImageComparison | None:
    """Compare two variants, each its name and, by seed, which images (N,) it recognises; None without a common seed.

    folds: of cross-validation, where what stands for seeds are repetitions of it.

    ValueError where two of them are of different numbers of images.
    """
    (ours, one), (theirs, other) = candidate, reference
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        return None
    if len({len(right) for side in (one, other) for right in side.values()}) > 1:
        raise ValueError("different numbers of images")
    pairs = tuple(SeedPair(seed, *_discordant(one[seed], other[seed])) for seed in seeds)
    apart = np.mean([one[seed].astype(np.float64) - other[seed] for seed in seeds], axis=0)
    by_seed = np.array([pair.gained - pair.lost for pair in pairs]) / len(apart)
    return ImageComparison(
        candidate=ours,
        reference=theirs,
        images=len(apart),
        difference=float(apart.mean()),
        pairs=pairs,
        image_error=_standard_error(apart) if len(apart) > 1 else math.nan,
        seed_error=_standard_error(by_seed) if len(seeds) > 1 else None,
        folds=folds,
    )


def mcnemar(gained: int, lost: int) -> float:
    """Return the p of McNemar's exact test: that an image which only one recognises is as likely either's.

    Two-sided, from the binomial distribution, which is exact for few and for many such images.
    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions".
    """
    several = gained + lost
    return min(1.0, 2 * float(bdtr(min(gained, lost), several, 0.5))) if several else 1.0


def _discordant(one: Right, other: Right) -> tuple[int, int, float]:
    gained, lost = int((one & ~other).sum()), int((other & ~one).sum())
    return gained, lost, mcnemar(gained, lost)


def _standard_error(values: NDArray[Any]) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))
