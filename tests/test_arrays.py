"""Datasets kept as arrays that all runs share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ablate.components.contracts import ImageShape
from ablate.components.datasets import DataFacts, Source, Split, facts_of
from ablate.data.arrays import keep_arrays, kept_arrays, kept_facts, shared_arrays
from ablate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

IMAGES = np.arange(96, dtype=np.uint8).reshape(2, 3, 4, 4)
IDENTITY = {"use": "made", "settings": {}, "source": "abc", "fingerprint": "0", "splits": {"train": 3}}


class Counted:
    """A dataset that counts how often it is loaded."""

    def __init__(self) -> None:
        self.loads = 0
        self.facts = DataFacts("0", ImageShape(3, 4, 4), 9, train=9, test=2)
        self.source = Source(lambda: self.facts, self.load)

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
    made.facts = replace(made.facts, fingerprint={**IDENTITY, **changed}["fingerprint"])
    shared_arrays(made.source, {**IDENTITY, **changed}, folder)
    assert made.loads == 2


@pytest.mark.parametrize("name", ["train-images.npy", "train-labels.npy", "test-images.npy", "facts.json"])
@pytest.mark.parametrize("left", [None, 0, 40, 130])
def test_what_is_damaged_is_made_again(folder: Path, name: str, left: int | None) -> None:
    made = Counted()
    shared_arrays(made.source, IDENTITY, folder)
    (file,) = folder.glob(f"*/{name}")
    file.write_bytes(file.read_bytes()[:left]) if left is not None else file.unlink()
    assert same(shared_arrays(made.source, IDENTITY, folder), made.load())
    assert same(shared_arrays(made.source, IDENTITY, folder), made.load())


@pytest.mark.parametrize("name", ["train-images.npy", "train-labels.npy", "test-images.npy", "test-labels.npy"])
def test_other_content_of_the_same_shape_is_not_used(folder: Path, name: str) -> None:
    made = Counted()
    shared_arrays(made.source, IDENTITY, folder)
    (file,) = folder.glob(f"*/{name}")
    np.save(file, np.roll(np.load(file), 1))
    assert same(shared_arrays(made.source, IDENTITY, folder), made.load())
    assert same(kept_arrays(file.parent) or {}, made.load())


@pytest.mark.parametrize("name", ["train-images.npy", "train-labels.npy"])
def test_content_of_another_type_is_made_again(folder: Path, name: str) -> None:
    made = Counted()
    shared_arrays(made.source, IDENTITY, folder)
    (file,) = folder.glob(f"*/{name}")
    np.save(file, np.load(file).astype(np.float32))
    assert same(shared_arrays(made.source, IDENTITY, folder), made.load())


def test_a_dataset_that_is_not_what_was_planned_is_refused_and_not_kept(folder: Path) -> None:
    made = Counted()
    made.facts = replace(made.facts, fingerprint="another")
    for place in (folder / "arrays", folder / "arrays"):
        with pytest.raises(DataError, match="the data of 'made' changed after this run was planned\n  run the study"):
            shared_arrays(made.source, IDENTITY, place)
    assert not list(folder.glob("arrays/*/*"))


def test_a_dataset_that_is_replaced_while_it_is_loaded_is_refused(folder: Path) -> None:
    made = Counted()

    def load() -> Mapping[str, Split]:
        made.facts = replace(made.facts, fingerprint="another")
        return made.load()

    with pytest.raises(DataError, match="changed after this run was planned"):
        shared_arrays(Source(lambda: made.facts, load), IDENTITY, folder)


@pytest.mark.parametrize("wrong", [{"train": 8}, {"test": 3}, {"validation": 1}, {"test": 0}])
def test_facts_that_tell_of_other_numbers_of_images_are_refused(folder: Path, wrong: dict[str, int]) -> None:
    made = Counted()
    made.facts = replace(made.facts, **wrong)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"dataset 'made': its facts say .* images, and it loads 9 train, 2 test"):
        shared_arrays(made.source, IDENTITY, folder)


def test_a_split_without_images_is_none(folder: Path) -> None:
    made = Counted()
    whole = made.load()
    empty = Split(whole["test"].images[:0], whole["test"].labels[:0])
    source = Source(lambda: replace(made.facts, test=0), lambda: {**whole, "test": empty})
    for _ in range(2):
        assert shared_arrays(source, IDENTITY, folder).keys() == {"train"}


def test_facts_of_arrays_count_each_class() -> None:
    facts = facts_of({"train": Split(np.zeros((4, 1, 2, 2), np.uint8), np.array([0, 2, 2, 1]))})
    assert facts.counts == {"train": (1, 1, 2)}
    assert facts.sizes == {"train": 4}


def test_a_fingerprint_is_of_the_pixels_in_their_order_whatever_their_order_in_memory() -> None:
    images = np.random.RandomState(0).randint(0, 256, (5, 4, 6, 3)).astype(np.uint8).transpose(0, 3, 1, 2)
    labels = np.arange(5)
    assert facts_of({"train": Split(images, labels)}) == facts_of({"train": Split(images.copy("C"), labels)})


# What a process that was killed leaves behind.


def begun(folder: Path, name: str, seconds_ago: float) -> Path:
    part = folder / name
    part.mkdir(parents=True)
    (part / "train-images.npy").write_bytes(bytes(100))
    for each in (part / "train-images.npy", part):
        os.utime(each, (time.time() - seconds_ago,) * 2)
    return part


@pytest.mark.parametrize("name", [f".{'a' * 24}.12345", f".{'a' * 24}.part", f"{'a' * 32}.part"])
def test_what_a_killed_process_began_goes_with_the_next_dataset_that_is_kept(folder: Path, name: str) -> None:
    part = begun(folder, name, seconds_ago=7200)
    shared_arrays(Counted().source, IDENTITY, folder)
    assert not part.exists()


def test_what_another_process_is_making_stays(folder: Path) -> None:
    mine = begun(folder, f".{'a' * 24}.part", seconds_ago=7200)
    recent = begun(folder, f".{'b' * 24}.part", seconds_ago=0)
    others = begun(folder, "notes.part", seconds_ago=7200)
    code = "import sys, filelock\nwith filelock.FileLock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(folder / f"{'a' * 24}.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        shared_arrays(Counted().source, IDENTITY, folder)
        holder.communicate("")
    assert [part.exists() for part in (mine, recent, others)] == [True] * 3


def test_facts_are_kept_with_the_arrays(folder: Path) -> None:
    made = Counted()
    shared_arrays(made.source, IDENTITY, folder)
    (file,) = folder.glob("*/facts.json")
    assert kept_facts(file.parent) == facts_of(made.load())


def test_a_folder_that_cannot_be_made_costs_only_the_sharing(folder: Path) -> None:
    made = Counted()
    (folder / "file").write_text("")
    assert same(shared_arrays(made.source, IDENTITY, folder / "file" / "arrays"), made.load())


def test_a_full_disk_costs_only_the_sharing(small_disk: Path) -> None:
    made = Counted()
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free - 8_000))
    assert same(shared_arrays(made.source, IDENTITY, small_disk / "arrays"), made.load())
    assert not list((small_disk / "arrays").glob(".*[0-9]"))


# Groups


@pytest.mark.parametrize("groups", [np.array(["p1", "p2"]), np.array([7, 9])])
def test_groups_are_kept_and_are_part_of_the_fingerprint(folder: Path, groups: Any) -> None:
    splits = {"train": Split(IMAGES[:2], np.array([0, 1]), groups)}
    keep_arrays(splits, facts_of(splits), folder / "kept")
    kept = kept_arrays(folder / "kept")
    assert kept is not None
    assert kept["train"].groups is not None
    assert kept["train"].groups.tolist() == groups.tolist()
    others = {None: None, "reversed": groups[::-1]}
    found = {name: facts_of({"train": Split(IMAGES[:2], np.array([0, 1]), other)}) for name, other in others.items()}
    assert len({facts_of(splits).fingerprint, *(facts.fingerprint for facts in found.values())}) == 3


def test_arrays_whose_groups_are_gone_or_others_are_not_used(folder: Path) -> None:
    splits = {"train": Split(IMAGES[:2], np.array([0, 1]), np.array([7, 9]))}
    keep_arrays(splits, facts_of(splits), folder / "kept")
    np.save(folder / "kept" / "train-groups.npy", np.array([7, 7]))
    assert kept_arrays(folder / "kept") is None
    (folder / "kept" / "train-groups.npy").unlink()
    assert kept_arrays(folder / "kept") is None


def test_facts_that_give_other_groups_than_are_loaded_are_refused(folder: Path) -> None:
    splits = {"train": Split(IMAGES[:2], np.array([0, 1]), np.array([7, 9]))}
    facts = facts_of(splits)
    source = Source(lambda: replace(facts, groups={"train": np.array([7, 7])}), lambda: splits)
    with pytest.raises(DataError, match="loads other groups than its facts give"):
        shared_arrays(source, {"use": "mine", "fingerprint": facts.fingerprint}, folder)
