"""How many images each split holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError
from .spec import Splits

if TYPE_CHECKING:
    from ..components.contracts import DataFacts


def count_splits(facts: DataFacts, splits: Splits) -> Splits:
    """Turn shares and defaults into numbers of images.

    Validation images (and test images, where the source has no test set) come out of the training images,
    and `train` then limits what is left. Raises InputError where there are not enough.
    """
    left = facts.train
    if facts.test:
        test = _count("test", splits.test, facts.test)
    elif splits.test:
        test = _count("test", splits.test, left)
        left -= test
    else:
        raise InputError("this dataset has no test set\nset test = 0.2 to take one from the training images")
    if facts.validation:
        validation = _count("validation", splits.validation, facts.validation)
    else:
        validation = _count("validation", splits.validation, left) if splits.validation else 0
        left -= validation
    if left < 1:
        raise InputError(f"validation and test leave none of the {facts.train:,} training images to train on")
    return Splits(_count("train", splits.train, left), validation, test)


def _count(name: str, asked: int | float | None, there: int) -> int:  # noqa: PYI041  # an int counts, a float shares
    if asked is None:
        return there
    count = max(1, round(asked * there)) if isinstance(asked, float) else asked
    if count > there:
        raise InputError(f"{name} = {asked:,} is more than the {there:,} images there are to take it from")
    return count
