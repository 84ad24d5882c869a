"""How many images each split of a dataset gets: shares and defaults as numbers, and groups that stay whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import InputError, listing, printable
from .cut import cut_labels
from .folds import check_folds

if TYPE_CHECKING:
    from ..components.datasets import DataFacts
    from .splits import Splits


def count_splits(facts: DataFacts, splits: Splits) -> Splits:
    """Turn shares and defaults into numbers of images.

    Validation images (and test images, where the source has no test set) come out of the training images,
    and `train` then limits what is left. Where the dataset has groups, whole groups come out, and the numbers are those
    of the nearest cut. With folds, the test images are those of the fold of this turn.
    Raises InputError where there are not enough, and where a group would be in two splits.
    """
    left = facts.train
    if splits.folds is not None:
        check_folds(facts, splits.folds)
        whole = len(range(splits.fold or 0, left, splits.folds))
        test = min(whole, splits.test or whole)
        left -= whole
    elif facts.test:
        test = _count("test", splits.test, facts.test)
    elif splits.test:
        test = _count("test", splits.test, left)
        left -= test
    else:
        raise InputError("this dataset has no test set\nset test = 0.2 to take one from the training images")
    if splits.validation == 0:
        validation = 0
    elif facts.validation:
        validation = _count("validation", splits.validation, facts.validation)
    else:
        validation = _count("validation", splits.validation, left) if splits.validation else 0
        left -= validation
    if left < 1:
        raise InputError(f"validation and test leave none of the {facts.train:,} training images to train on")
    if facts.groups:
        asked = replace(splits, train=None, validation=validation, test=splits.test if splits.folds else test)
        left, validation, test = _by_group(facts, asked)
    return replace(splits, train=_count("train", splits.train, left), validation=validation, test=test)


def _by_group(facts: DataFacts, asked: Splits) -> tuple[int, int, int]:
    """Return how many images are left to train on, validate and test where groups stay whole."""
    unused = "test" if asked.folds else ""
    used = [name for name in facts.groups if name == "train" or (getattr(asked, name) and name != unused)]
    where: dict[object, list[str]] = {}
    for name in used:
        for group in sorted(set(facts.groups[name].tolist())):
            where.setdefault(group, []).append(name)
    shared = [f"{group} ({' and '.join(names)})" for group, names in where.items() if len(names) > 1]
    if shared:
        raise InputError(
            f"{len(shared):,} of the {len(where):,} groups are in more than one of the dataset's own splits: "
            f"{printable(listing(shared, 5))}\n"
            "give each group to one split, have the study cut the images, or leave the groups out of the dataset"
        )
    rows = cut_labels(facts.labels, asked, facts.groups)
    sizes = {name: len(rows[name][1]) if name in rows else 0 for name in ("train", "validation", "test")}
    for name in ("validation", "test"):
        if getattr(asked, name) and not sizes[name]:
            raise InputError(f"{name} takes whole groups, and all images that are left for it are of one group")
    return sizes["train"], sizes["validation"], sizes["test"]


def _count(name: str, asked: int | float | None, there: int) -> int:  # noqa: PYI041  # an int counts, a float shares
    if asked is None:
        return there
    count = max(1, round(asked * there)) if isinstance(asked, float) else asked
    if count > there:
        raise InputError(f"{name} = {asked:,} is more than the {there:,} images there are to take it from")
    return count
