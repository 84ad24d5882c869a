"""The images that runs were evaluated on, where their decoded data is still on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..study.cut import cut_labels
from .arrays import images_file, kept_facts, kept_groups, kept_labels
from .parts import mapped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from ..components.datasets import DataFacts
    from ..study.splits import Splits


@dataclass(frozen=True)
class Images:
    """The images of a split, (N, C, H, W), each read from its file when it is asked for."""

    kept: NDArray[np.uint8]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> NDArray[np.uint8]:
        """Return one image (C, H, W)."""
        return np.array(self.kept[self.rows[place]])


def kept_of(fingerprint: str, folder: Path) -> tuple[Path, DataFacts] | None:
    """Return where the arrays with this fingerprint are kept below a folder, and their facts; None if they are not.

    Of a dataset that is mapped from elsewhere only the facts are kept.
    """
    kept = ((place, kept_facts(place)) for place in _places(folder))
    found = [(place, facts) for place, facts in kept if facts is not None and facts.fingerprint == fingerprint]
    return max(found, key=lambda each: (each[0] / "train-images.npy").exists(), default=None)


def evaluated_images(kept: tuple[Path, DataFacts], splits: Splits, split: str, labels: NDArray[Any]) -> Images | None:
    """Return the images that these labels (N,) are of.

    kept: as `kept_of` returns it. splits: how the data was cut, counted; split: which part of it. The tested images of
    cross-validation are those of all folds.
    None where the arrays are damaged, or where labels are not those that were evaluated.
    """
    try:
        place, facts = kept
        known = kept_labels(place, facts)
        if splits.folds and split == "test":  # all folds together
            source, rows = "train", np.arange(len(known["train"]))
        else:
            source, rows = cut_labels(known, splits, kept_groups(place, facts))[split]
        if not np.array_equal(known[source][rows], labels):
            return None
        return Images(mapped(images_file(place, source)), rows)
    except (OSError, ValueError, EOFError, KeyError, IndexError):
        return None


def _places(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(path.parent for path in folder.glob("**/facts.json"))
    except OSError:
        return
