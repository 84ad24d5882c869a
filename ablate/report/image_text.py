"""What a comparison image by image comes to, in words: the same on the terminal and in every form of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import numbers
from ..metrics import ACCURACY
from .verdict_text import p

if TYPE_CHECKING:
    from ..stats.images import ImageComparison
    from ..study.spec import Noun


def image_by_image(found: ImageComparison) -> str:
    """Say which images only one of two variants recognises, and how large the noise of the test images is."""
    seeds, each = [pair.seed for pair in found.pairs], repeat(found.folds)
    several = len(seeds) > 1
    if not found.gained and not found.lost:
        return (
            f"{by_one(found.noun)}: both recognise the same of the {found.images:,} {found.noun}s, with every {each}."
        )
    over = f", on average over {len(seeds)} {each}s" if several else f" ({each} {seeds[0]})"
    tests = f"McNemar’s test{f' by {each}' * several}: {', '.join(p(pair.p) for pair in found.pairs)}"
    return (
        f"{by_one(found.noun)}: of {found.images:,} {found.noun}s {found.candidate} alone recognises "
        f"{_mean(found.gained, found)}, {found.reference} alone {_mean(found.lost, found)}{over} ({tests}). "
        f"{noise(found)}"
    )


def by_one(noun: Noun) -> str:
    """Say how two variants are compared on what both were tested on, at the beginning of a sentence."""
    return f"{noun.capitalize()} by {noun}"


def noise(found: ImageComparison) -> str:
    """Say how large the noises of the test images and of the seeds are, and which is the larger."""
    images, each = _error(found.image_error), repeat(found.folds)
    if found.seed_error is None:
        said = f"Other test {found.noun}s would move the difference in accuracy by {images} (a standard error)"
        return f"{said}; how much other {each}s would, one {each} cannot tell."
    seeds, larger = _error(found.seed_error), f"test {found.noun}s" if found.larger == "images" else f"{each}s"
    alone = f", and the difference is within what other test {found.noun}s alone may do"
    within = alone if found.within_image_noise else ""
    return (
        f"The larger noise is that of the {larger}: as a standard error of the difference in accuracy, {images} "
        f"from the test {found.noun}s and {seeds} from the {each}s{within}."
    )


def repeat(folds: int | None) -> str:
    """Return what repeats a test of the same images: a seed, or with folds a repetition of all of them."""
    return "repetition" if folds else "seed"


def _mean(count: float, found: ImageComparison) -> str:
    return numbers.fixed(count, 1 if len(found.pairs) > 1 else 0)


def _error(error: float) -> str:
    return numbers.with_sign(error, ACCURACY, 2).removeprefix("+")
