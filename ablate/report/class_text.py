"""What moved most between two variants, class by class, in words."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from .. import numbers
from ..metrics import ACCURACY
from .classes import by_side
from .image_text import repeat
from .verdict_text import p

NAMED = 3
MANY = {"gain": "gains", "loss": "losses"}

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..stats.class_changes import ClassChange, ConfusionChange
    from ..study.spec import Noun
    from .classes import ChangedClasses, ChangedImage


def class_sentences(found: ChangedClasses) -> list[str]:
    """Say which classes and confusions moved most between two variants, and how sure that is."""
    one = found.result
    several, noun = len(one.seeds) > 1, repeat(one.folds)
    shown = {
        side: [change for change in of if change.shown] for side, of in (("gain", one.better), ("loss", one.worse))
    }
    said = []
    if not several:
        said.append(f"One {noun} does not tell which classes changed: what follows may be chance.")
        shown = {"gain": list(one.better), "loss": list(one.worse)}
    elif one.shown_better or one.shown_worse:
        said.append(
            f"Of {one.tested} classes {one.shown_better} {_are(one.shown_better)} shown to be recognised better and "
            f"{one.shown_worse} worse, over {len(one.seeds)} {noun}s (p below 0.05, adjusted over the classes by Holm)."
        )
    else:
        largest = max((*one.better, *one.worse), key=lambda change: abs(change.change), default=None)
        said.append(
            f"None of {one.tested} classes is shown to change, over {len(one.seeds)} {noun}s"
            + (f"; the largest change is that of {_classes([largest])}." if largest else ".")
        )
    said += [
        f"The largest {side if len(of) == 1 else MANY[side]}: {_classes(of[:NAMED])}."
        for side, of in shown.items()
        if of
    ]
    sure = {way: [c for c in of if c.every_seed and c.counts][:NAMED]
            for way, of in (("more", one.commoner), ("less", one.rarer))}  # fmt: skip
    said += [
        f"Taken for another class {way} often{f', with every {noun}' * several}: {_confusions(of, one.noun)}."
        for way, of in sure.items()
        if of
    ]
    if found.gained or found.lost:
        alone = f"{one.candidate} alone recognises {found.gained:,}, {one.reference} alone {found.lost:,}"
        said.append(f"Of {one.images:,} {one.noun}s {alone}{f', with every {noun}' * several}.")
    return said


def changed_image(found: ChangedImage) -> str:
    """Say what an image shows and what it was taken for."""
    return f"{found.name}, taken for {found.taken_for}"


def pictures_said(found: ChangedClasses) -> list[str]:
    """Say, a sentence for each row of the sheet of images that changed sides, what its images show."""
    rows = by_side(found.pictures)
    alone = {"gained": found.result.candidate, "lost": found.result.reference}
    each = {side: "; ".join(map(changed_image, of)) for side, of in rows.items()}
    alone_there = "The image" if len(found.pictures) == 1 else "From left to right"
    names = ("Above", "Below") if len(rows) > 1 else (alone_there,)
    return [
        f"{name}, right in {alone[side]} alone with every {repeat(found.result.folds)}: {text}."
        for name, (side, text) in zip(names, each.items(), strict=True)
    ]


def image_data(found: ChangedImage) -> str:
    """Return an image as an address that has it inside."""
    return "data:image/png;base64," + base64.b64encode(found.png).decode()


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _classes(changes: Sequence[ClassChange]) -> str:
    told = []
    for one in changes:
        ends = f"{numbers.value(one.before, ACCURACY, 1)} to {numbers.percent(one.after, 1)}"
        sure = f", {p(one.p)}" if one.p is not None else ""
        told.append(f"{one.name} ({numbers.with_sign(one.change, ACCURACY, 1)}, {ends}{sure})")
    return ", ".join(told)


def _confusions(changes: Sequence[ConfusionChange], noun: Noun) -> str:
    return ", ".join(
        f"{one.name} for {one.taken_for_name} ({numbers.fixed(one.before, 1)} to {numbers.fixed(one.after, 1)} of "
        f"{one.images} {noun}s)"
        for one in changes
    )


FILTERS = {function.__name__: function for function in (class_sentences, changed_image, pictures_said, image_data)}
"""By the names that templates call them by."""
