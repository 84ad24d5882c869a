"""Datasets kept as arrays that all runs share."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ablate.components.contracts import Source, Split
from ablate.training.arrays import shared_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

IDENTITY = {"use": "made", "settings": {}, "source": "abc", "fingerprint": "0", "splits": {"train": 3}}


class Counted:
    """A dataset that counts how often it is loaded."""

    def __init__(self) -> None:
        self.loads = 0
        self.source = Source(facts=lambda: None, load=self.load)  # type: ignore[arg-type, return-value]

    def load(self) -> Mapping[str, Split]:
        self.loads += 1
        images = np.random.RandomState(0).randint(0, 256, (9, 3, 4, 4)).astype(np.uint8)
        whole = Split(images, np.arange(9, dtype=np.int64))
        return {"train": whole, "test": Split(images[:2].copy(), whole.labels[:2].copy())}


def same(found: Mapping[str, Split], wanted: Mapping[str, Split]) -> bool:
    return found.keys() == wanted.keys() and all(
        np.array_equal(found[name].images, split.images) and np.array_equal(found[name].labels, split.labels)
        for name, split in wanted.items()
    )


def test_a_dataset_is_loaded_once_and_mapped_from_then_on(folder: Path) -> None:
    made = Counted()
    for _ in range(3):
        found = shared_arrays(made.source, IDENTITY, folder / "arrays")
        assert isinstance(found["train"].images, np.memmap)
        assert same(found, Counted().load())
    assert made.loads == 1


@pytest.mark.parametrize("changed", [{"fingerprint": "1"}, {"source": "b"}, {"settings": {"size": 8}}])
def test_another_dataset_is_kept_apart(folder: Path, changed: dict[str, Any]) -> None:
    made = Counted()
    shared_arrays(made.source, IDENTITY, folder)
    shared_arrays(made.source, {**IDENTITY, "splits": {"train": 5}}, folder)
    assert made.loads == 1
    shared_arrays(made.source, {**IDENTITY, **changed}, folder)
    assert made.loads == 2


@pytest.mark.parametrize("name", ["train-images.npy", "train-labels.npy", "test-images.npy"])
@pytest.mark.parametrize("left", [None, 0, 40, 130])
def test_what_is_damaged_is_made_again(folder: Path, name: str, left: int | None) -> None:
    made = Counted()
    shared_arrays(made.source, IDENTITY, folder)
    (file,) = folder.glob(f"*/{name}")
    file.write_bytes(file.read_bytes()[:left]) if left is not None else file.unlink()
    assert same(shared_arrays(made.source, IDENTITY, folder), made.load())
    assert same(shared_arrays(made.source, IDENTITY, folder), made.load())


def test_a_folder_that_cannot_be_made_costs_only_the_sharing(folder: Path) -> None:
    made = Counted()
    (folder / "file").write_text("")
    assert same(shared_arrays(made.source, IDENTITY, folder / "file" / "arrays"), made.load())


def test_a_full_disk_costs_only_the_sharing(small_disk: Path) -> None:
    made = Counted()
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free - 8_000))
    assert same(shared_arrays(made.source, IDENTITY, small_disk / "arrays"), made.load())
    assert not list((small_disk / "arrays").glob(".*[0-9]"))
