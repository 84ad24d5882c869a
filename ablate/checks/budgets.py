"""Whether variants get the same chance: epochs, training images, and who looked for the learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import listing
from ..study.differences import differences
from ..study.spec import RangeTest
from .finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..study.spec import Recipe, Study


def budget_findings(study: Study) -> Iterator[Finding]:
    """Find variants that train longer, on more images, or with a learning rate that was looked for."""
    yield from _epochs(study)
    yield from _images(study)
    yield from _searches(study)


def _epochs(study: Study) -> Iterator[Finding]:
    seen = {v.recipe.epochs: _seen(v.recipe) for v in study.variants}
    if len(seen) > 1:
        epochs = sorted(seen)
        # Where variants also train on different images, that is a finding of its own.
        known = len(_sizes(study)) == 1
        images = f" ({listing(f'{seen[n]:,}' for n in epochs)} images)" if known else ""
        yield Finding(
            "unequal-epochs",
            "epochs",
            f"variants train for {listing(map(str, epochs))} epochs{images}, "
            "so a difference may be the budget's and not the change's",
            "give all the same epochs, or add a variant that changes nothing but the epochs",
        )


def _images(study: Study) -> Iterator[Finding]:
    seen: dict[int, list[str]] = {}
    for variant in study.variants:
        seen.setdefault(_seen(variant.recipe), []).append(variant.name)
    if len(_sizes(study)) > 1 and len(seen) > 1:
        each = "; ".join(f"{images:,} by {listing(names, 3)}" for images, names in sorted(seen.items()))
        yield Finding(
            "unequal-images",
            "training images",
            f"variants see different numbers of them over all epochs ({each}), so a difference may be the data's",
            "cut the training images alike, or give those with fewer as many more epochs",
        )


def _sizes(study: Study) -> set[int]:
    """Return how many images the variants train on, 0 where that is not known."""
    return {_size(variant.recipe) for variant in study.variants} - {0}


def _size(recipe: Recipe) -> int:
    train = recipe.splits.train
    return train if isinstance(train, int) else 0


def _seen(recipe: Recipe) -> int:
    return recipe.epochs * _size(recipe)


def _searches(study: Study) -> Iterator[Finding]:
    """Find comparisons where one side alone has a range test: tuned against untuned."""
    for compared in study.comparisons:
        ours, theirs = study.variant(compared.candidate).recipe, study.variant(compared.reference).recipe
        one_alone = bool(RangeTest.of(ours)) != bool(RangeTest.of(theirs))
        changed = [factor for factor, _, _ in differences(theirs, ours)]
        if compared.kind == "change" and one_alone and changed != ["optimizer.lr"]:
            said = (
                f"finds its learning rate by a range test, and that of {compared.reference} is fixed"
                if RangeTest.of(ours)
                else f"has a fixed learning rate, and {compared.reference} finds its own by a range test"
            )
            yield Finding(
                "unequal-search",
                compared.candidate,
                f"{said}: a difference may be the rate's",
                "look for both, with lr = { find = true }, or for neither",
            )
