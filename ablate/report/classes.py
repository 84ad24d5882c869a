"""Which classes and confusions moved most between two variants, and images that changed sides."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..stats.class_changes import ClassComparison, always_apart, class_comparison
from ..stats.classes import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from ..data.kept_images import Images
    from ..stats.comparison import Comparison
    from ..stats.results import Results

    Pictures = Callable[[str, str, Any], Images | NDArray[np.uint8] | None]
    """Takes a run's key, a split and its labels: its images (N, C, H, W), or None where they are absent."""

Side = Literal["gained", "lost"]
MOST_PAIRS = 12
"""Of a study with more comparisons, those with the largest differences: each has its own part of the page."""
EACH = 6
"""So many images of each direction are shown."""
GAP = 6
"""So many pixels stand between two images of a sheet."""
PIXELS = 96
"""A shown image is enlarged in whole steps as far as it stays within so many pixels a side."""


ABSENT = "No images are shown: the decoded data of these runs is not on the machine that made this report."


@dataclass(frozen=True)
class ChangedImage:
    """An image that changed sides, with every seed. side: "gained" is right in the candidate alone.

    place: in the split, from 0. name: of its class. taken_for: what the variant that is wrong takes it for most often.
    png: the image, enlarged without smoothing; width, height: in pixels.
    """

    side: Side
    place: int
    name: str
    taken_for: str
    png: bytes
    width: int
    height: int


@dataclass(frozen=True)
class ChangedClasses:
    """Two variants class by class. gained, lost: how many images only one recognises with every seed.

    pictures: some of them; no_pictures: why there are none, where that is worth a line.
    """

    result: ClassComparison
    gained: int
    lost: int
    pictures: tuple[ChangedImage, ...] = ()
    no_pictures: str = ""


def changed_classes(results: Results, pictures: Pictures | None) -> tuple[ChangedClasses, ...]:
    """Compare the variants that the study compares class by class; those that kept no predictions are left out.

    pictures: None to show no images. Those of the comparison with the largest difference that has any are shown.
    """
    if results.study.pilot:
        return ()
    known = [one for one in results.comparisons if one.kind != "claim" and math.isfinite(one.mean)]
    largest = sorted(known, key=lambda one: -abs(one.mean))[:MOST_PAIRS]
    made = {one: changed for one in largest if (changed := _changed(results, one)) is not None}
    weighty = next((one for one, changed in made.items() if changed.gained or changed.lost), None)
    if weighty and pictures and results.study.images:
        made[weighty] = _with_pictures(results, made[weighty], pictures)
    return tuple(made[one] for one in known if one in made)


def _changed(results: Results, one: Comparison) -> ChangedClasses | None:
    found, sides = class_comparison(results, one.candidate, one.reference), _taken(results, one)
    if found is None or sides is None:
        return None
    gained, lost = always_apart(*sides)
    return ChangedClasses(found, len(gained), len(lost))


def _taken(results: Results, one: Comparison | ClassComparison) -> Any:
    return results.predicted.taken(one.candidate, one.reference)


def _with_pictures(results: Results, changed: ChangedClasses, pictures: Pictures) -> ChangedClasses:
    """Add some of the images that changed sides, or why there are none."""
    found = changed.result
    labels, ours, theirs = _taken(results, found)
    seed = found.seeds[0] * (found.folds or 1)  # the first fold of a repetition
    images = pictures(str(results.stored_of(found.candidate)[seed]["key"]), found.split, labels)
    if images is None:
        return replace(changed, no_pictures=ABSENT)
    count = results.predicted.classes(found.candidate)
    gained, lost = always_apart(labels, ours, theirs)
    sides: list[tuple[Side, Any, Any]] = [("gained", gained, theirs), ("lost", lost, ours)]
    shown = []
    for side, places, wrong in sides:
        for place in spread(places, labels)[:EACH]:
            votes = np.bincount([int(wrong[seed][place]) for seed in found.seeds])
            png, width, height = enlarged(images[place])
            name, other = (name_of(results, int(label), count) for label in (labels[place], votes.argmax()))
            shown.append(ChangedImage(side, place, name, other, png, width, height))
    return replace(changed, pictures=tuple(shown))


def spread(places: NDArray[Any], labels: NDArray[Any]) -> list[int]:
    """Order places so that classes take turns, each in the order of the split: nobody picks what looks best."""
    turns: dict[int, int] = {}
    order = []
    for place in places.tolist():
        label = int(labels[place])
        turns[label] = turns.get(label, 0) + 1
        order.append((turns[label], place))
    return [place for _, place in sorted(order)]


def enlarged(image: NDArray[np.uint8]) -> tuple[bytes, int, int]:
    """Return an image (C, H, W) as PNG, enlarged in whole steps without smoothing, with its width and height."""
    from PIL import Image

    channels, height, width = image.shape
    times = max(1, PIXELS // max(height, width))
    large = np.repeat(np.repeat(image, times, 1), times, 2)
    pixels = large[0] if channels == 1 else np.moveaxis(large[:3], 0, 2)
    made = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(made, "PNG", optimize=True)
    return made.getvalue(), width * times, height * times


def sheet(pictures: Sequence[ChangedImage]) -> bytes:
    """Return images as one PNG, on white, with a row for each side in the order of the images."""
    from PIL import Image

    rows = [[Image.open(io.BytesIO(one.png)) for one in of] for of in by_side(pictures).values()]
    width = max(sum(one.width + GAP for one in row) for row in rows) - GAP
    heights = [max(one.height for one in row) for row in rows]
    page = Image.new("RGB", (width, sum(heights) + GAP * (len(rows) - 1)), "white")
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for one in row:
            page.paste(one, (left, top))
            left += one.width + GAP
        top += height + GAP
    made = io.BytesIO()
    page.save(made, "PNG", optimize=True)
    return made.getvalue()


def by_side(pictures: Iterable[ChangedImage]) -> dict[Side, list[ChangedImage]]:
    """Gather images by their side; a side without any is left out."""
    sides: dict[Side, list[ChangedImage]] = {}
    for one in sorted(pictures, key=lambda one: one.side):  # "gained" before "lost"
        sides.setdefault(one.side, []).append(one)
    return sides
