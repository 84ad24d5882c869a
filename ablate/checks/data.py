"""What is doubtful in a study's data once it is cut: classes without images, and splits of a handful of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import counted, listing, printable
from .finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..study.spec import Study

FEW = 50
"""Of fewer images than this, each is more than two points of accuracy."""
_MEANS = {
    "train": ("training", "cannot be learnt, and counts as wrong wherever it is tested"),
    "validation": ("validation", "plays no part in what is decided by it"),
    "test": ("test", "plays no part in the result"),
}


def data_findings(study: Study) -> Iterator[Finding]:
    """Find what is doubtful in how the data is cut, with one finding for all variants that share it."""
    variants: dict[tuple[str, str, str], list[str]] = {}
    for variant in study.variants:
        for doubt in (*_without_images(study, variant.name), *_few(study, variant.name)):
            variants.setdefault(doubt, []).append(variant.name)
    for (code, reason, remedy), names in variants.items():
        everywhere = len(names) == len(study.variants)
        where, those = ("every variant", ()) if everywhere else (listing(names), tuple(names))
        yield Finding(code, where, reason, remedy, variants=those)


def _without_images(study: Study, name: str) -> Iterator[tuple[str, str, str]]:
    cut = study.variant(name).data
    for split, present in cut.present.items() if cut else ():
        if cut and present < cut.classes:
            count, known = cut.classes - present, cut.without.get(split, ())
            who = f" ({printable(listing(known))}{', and others' * (len(known) < count)})" if known else ""
            kind, meaning = _MEANS[split]
            yield (
                "class-without-images",
                f"no {kind} image of {count:,} of {cut.classes:,} classes{who}: such a class {meaning}",
                f"cut so that {split} has more images, add images of them, or leave these classes out",
            )


def _few(study: Study, name: str) -> Iterator[tuple[str, str, str]]:
    splits = study.variant(name).recipe.splits
    for split in dict.fromkeys(("test", study.compared.split)):
        size = getattr(splits, split)
        if isinstance(size, int) and 0 < abs(size) < FEW:
            count = abs(size)
            yield (
                "few-images",
                f"{counted(count, f'{split} image')}: each is {100 / count:.1f} points of accuracy",
                f"use more: a whole number counts them and a fraction is a share, as {split} = 0.2 for a fifth",
            )
