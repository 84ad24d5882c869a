"""What a dataset holds once it is cut, told from counts alone, and what is doubtful about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ablate.checks.study import findings
from ablate.components.datasets import LeftOut, Split, facts_of, groups_of
from ablate.data.images import cut_rows
from ablate.errors import ComponentError, InputError
from ablate.study.counts import count_splits
from ablate.study.cut import Cut
from ablate.study.splits import Splits
from ablate.study.toml import parse_study

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ablate.checks.finding import Finding
    from ablate.study.spec import Study

RARE = {"train": (40, 10, 3, 2, 1), "test": (8, 4, 2, 1, 1)}


def split(counts: tuple[int, ...]) -> Split:
    labels = np.repeat(np.arange(len(counts)), counts)
    return Split(np.zeros((len(labels), 1, 1, 1), np.uint8), labels)


def cut(counts: Mapping[str, tuple[int, ...]], splits: Splits, names: tuple[str, ...] = ()) -> Cut:
    facts = facts_of({name: split(each) for name, each in counts.items()})
    return Cut.of(replace(facts, names=names), count_splits(facts, splits))


def mixed(counts: tuple[int, ...], draw: np.random.RandomState) -> Split:
    whole = split(counts)
    return Split(whole.images, draw.permutation(whole.labels))


@pytest.mark.parametrize("seed", range(60))
def test_what_is_reported_is_what_the_cut_does(seed: int) -> None:
    draw = np.random.RandomState(seed)
    classes = draw.randint(3, 9)
    loaded = {"train": mixed(tuple(draw.randint(1, [4, 30][seed % 2], classes).tolist()), draw)}
    if seed % 3:
        loaded["test"] = mixed((*draw.randint(0, 5, classes - 1).tolist(), 3), draw)
    share = draw.randint(0, 40) / 100
    facts = facts_of(loaded)
    splits = count_splits(facts, Splits([None, 0.4][seed % 2], share or None, 0.3))
    rows = cut_rows(loaded, splits)
    there = {name: set(loaded[of].labels[taken].tolist()) for name, (of, taken) in rows.items()}
    empty = {n: tuple(f"class {i}" for i in range(classes) if i not in each) for n, each in there.items()}
    exact, estimated = Cut.of(facts, splits), Cut.of(replace(facts, labels={}), splits)
    assert exact.sizes == estimated.sizes == {name: len(rows[name][1]) for name in exact.sizes}
    assert exact.present == {name: len(each) for name, each in there.items()}
    assert exact.without == {name: who for name, who in empty.items() if who}
    for name, count in estimated.present.items():
        assert abs(count - exact.present[name]) <= 1
        assert set(estimated.without.get(name, ())) <= set(empty[name])


@pytest.mark.parametrize("labels", [np.array([0, -1]), np.array([0.0, 1.0]), np.array([[0, 1]])])
def test_labels_that_are_none_are_not_used(labels: Any) -> None:
    facts = replace(facts_of({"train": split((1, 1))}), labels={"train": labels})
    assert Cut.of(facts, Splits(2, 0, 0)).present == {"train": 2}


def test_a_class_that_a_cut_empties_is_named() -> None:
    found = cut(RARE, Splits(validation=0.7), tuple("abcde"))
    assert found.sizes == {"train": 17, "validation": 39, "test": 16}
    assert found.present == {"train": 4, "validation": 5, "test": 5}
    assert found.without == {"train": ("e",)}
    assert found.images == (
        "train 17 images of 4 of 5 classes, validation 39 images of 5 classes, test 16 images of 5 classes"
    )


def test_which_of_equal_classes_goes_first_is_left_open_where_labels_are_not_known() -> None:
    facts = facts_of({"train": split((10,) * 20), "test": split((1,) * 20)})
    found = Cut.of(replace(facts, labels={}), Splits(5, 0, 20))
    assert (found.present, found.without) == ({"train": 5, "test": 20}, {})


def test_counts_that_do_not_add_up_are_not_used() -> None:
    facts = facts_of({name: split(each) for name, each in RARE.items()})
    facts = replace(facts, labels={})
    wrong = replace(facts, counts={"train": (1, 2), "test": RARE["test"]})
    assert Cut.of(wrong, Splits(50, 6, 16)).present == {}
    assert Cut.of(replace(facts, counts={}), Splits(50, 6, 16)).images == (
        "train 50, validation 6, test 16 images of 5 classes"
    )


def test_what_is_left_out_is_reported_by_class() -> None:
    left = (LeftOut("train/cat", ".heic", 3), LeftOut("train/cat", "hidden", 1), LeftOut("train/dog", ".txt", 1200))
    facts = replace(facts_of({"train": split((2, 2))}), left_out=left)
    found = Cut.of(facts, Splits(3, 0, 1))
    assert found.unused == "train/cat: 3 .heic, 1 hidden; train/dog: 1,200 .txt"
    assert found.text.endswith(f"; left out: {found.unused}")


def test_what_is_recorded_is_read_again() -> None:
    found = replace(cut(RARE, Splits(validation=0.7)), left_out=(LeftOut("train/cat", ".heic", 3),))
    assert Cut.read(found.document()) == found


HEAD = """\
[study]
name = "s"
metric = "METRIC"
[baseline]
epochs = 1
batch_size = 8
dataset = { use = "d" }
model = { use = "m" }
optimizer = { use = "o", lr = 1e-3 }
[[variant]]
name = "more"
set = { epochs = 2 }
"""


def doubts(code: str, splits: Splits, metric: str = "test/accuracy") -> list[Finding]:
    return [finding for finding in findings(study(splits, metric)) if finding.code == code]


def study(splits: Splits, metric: str = "test/accuracy") -> Study:
    read = parse_study(HEAD.replace("METRIC", metric), Path("s.toml")).done()
    facts = facts_of({name: split(each) for name, each in RARE.items()})
    counted = count_splits(facts, splits)
    variants = [
        replace(v, recipe=replace(v.recipe, splits=counted), data=Cut.of(facts, counted)) for v in read.variants
    ]
    return replace(read, variants=tuple(variants))


def test_classes_without_images_are_doubtful() -> None:
    (finding,) = doubts("class-without-images", Splits(validation=0.7))
    assert finding.where == "every variant"
    assert finding.reason.startswith("no training image of 1 of 5 classes (class 4): such a class cannot")
    assert doubts("class-without-images", Splits(validation=5))[0].reason.startswith(
        "no validation image of 3 of 5 classes (class 2, class 3, class 4): such"
    )
    assert doubts("class-without-images", Splits(test=8))[0].reason.startswith(
        "no test image of 1 of 5 classes (class "
    )
    assert doubts("class-without-images", Splits()) == []


def test_a_split_of_a_handful_is_doubtful() -> None:
    (finding,) = doubts("few-images", Splits(test=1))
    assert finding.reason == "1 test image: each is 100.0 points of accuracy"
    assert "a whole number counts them" in finding.remedy
    assert [f.reason.split(":")[0] for f in doubts("few-images", Splits(validation=20), "validation/accuracy")] == [
        "16 test images", "20 validation images",
    ]  # fmt: skip


def test_data_is_reported_once_for_all_variants_that_share_it() -> None:
    (data,) = study(Splits(validation=0.7)).described_data().items()
    assert data[0].startswith("d: train 17 images of 4 of 5 classes, validation 39")
    assert data[1] == ["baseline", "more"]


# Groups


def grouped(groups: int, classes: int = 3, *, seed: int = 0, mixed: bool = False) -> Split:
    """Return images of this many groups of 1 to 20 images; each group is of one class unless mixed."""
    draw = np.random.RandomState(seed)
    sizes = draw.randint(1, 21, groups)
    of = draw.permutation(np.repeat(np.arange(groups), sizes))
    labels = draw.randint(0, classes, len(of)) if mixed else of % classes
    return Split(np.zeros((len(of), 1, 1, 1), np.uint8), labels.astype(np.int64), of.astype(np.int64))


def members(loaded: Mapping[str, Split], splits: Splits) -> dict[str, set[int]]:
    """Return the groups that each split's images are of."""
    rows = cut_rows(loaded, splits)
    return {name: set(groups_of(loaded)[of][taken].tolist()) for name, (of, taken) in rows.items()}


@pytest.mark.parametrize("seed", range(20))
def test_no_group_is_in_two_splits_and_the_planned_sizes_are_those_of_the_cut(seed: int) -> None:
    loaded = {"train": grouped(30 + seed, seed=seed, mixed=bool(seed % 2))}
    facts = facts_of(loaded)
    counted = count_splits(facts, Splits([None, 50][seed % 2], 0.2, [0.3, 70][seed % 2]))
    rows = cut_rows(loaded, counted)
    assert {name: len(taken) for name, (_, taken) in rows.items()} == {n: getattr(counted, n) for n in rows}
    train, validation, test = (members(loaded, counted)[name] for name in ("train", "validation", "test"))
    assert len(train) + len(validation) + len(test) == len(train | validation | test)
    assert count_splits(facts, counted) == counted
    assert Cut.of(facts, counted).groups == {"train": len(train), "validation": len(validation), "test": len(test)}


def test_groups_that_are_each_of_one_class_are_cut_with_the_classes_in_proportion() -> None:
    loaded = {"train": grouped(600, 5)}
    counted = count_splits(facts_of(loaded), Splits(None, None, 0.2))
    whole = np.bincount(loaded["train"].labels)
    of_test = np.bincount(loaded["train"].labels[cut_rows(loaded, counted)["test"][1]])
    assert np.abs(of_test / whole - 0.2).max() < 0.02
    assert abs(int(counted.test or 0) - 0.2 * whole.sum()) <= 10


def test_the_order_of_the_images_does_not_matter_to_which_groups_are_held_back() -> None:
    one = grouped(40, mixed=True)
    order = np.random.RandomState(1).permutation(len(one.labels))
    assert one.groups is not None
    other = Split(one.images, one.labels[order], one.groups[order])
    counted = count_splits(facts_of({"train": one}), Splits(None, 0.2, 0.2))
    assert members({"train": one}, counted) == members({"train": other}, counted)


def test_a_dataset_of_one_group_cannot_be_cut() -> None:
    labels = np.arange(10) % 2
    one = Split(np.zeros((10, 1, 1, 1), np.uint8), labels, np.full(10, "only"))
    with pytest.raises(InputError, match=r"test takes whole groups, and all .* are of one group"):
        count_splits(facts_of({"train": one}), Splits(None, None, 2))


def test_a_group_in_two_of_the_datasets_own_splits_is_an_error_where_both_are_used() -> None:
    one = grouped(30)
    assert one.groups is not None
    half = {"train": one, "validation": Split(one.images[:9], one.labels[:9], one.groups[:9] + 100), "test": one}
    with pytest.raises(InputError, match=r"30 of the \d+ groups are in more than one .*: 0 \(train and test\), 1 \("):
        count_splits(facts_of(half), Splits())
    half["test"] = Split(one.images[:9], one.labels[:9], one.groups[:9] + 100)
    with pytest.raises(InputError, match=r"\(validation and test\)"):
        count_splits(facts_of(half), Splits())
    assert count_splits(facts_of(half), Splits(validation=0)).test == 9


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        (np.zeros(3), r"train: groups are float64 \(3,\), not int64 or text \(4,\)"),
        ([1, 2, 3, 4], "train: groups are list, not a numpy array"),
        (np.array([1, 2, 3, None]), "train: groups are object"),
    ],
)
def test_groups_that_are_none_are_refused(groups: Any, text: str) -> None:
    with pytest.raises(ComponentError, match=text):
        facts_of({"train": Split(np.zeros((4, 1, 1, 1), np.uint8), np.array([0, 1, 0, 1]), groups)})


def test_groups_of_one_split_alone_are_refused() -> None:
    one = grouped(4)
    with pytest.raises(ComponentError, match="has no groups for test; give the groups of every split, or of none"):
        facts_of({"train": one, "test": Split(one.images, one.labels)})


def test_a_cut_that_was_recorded_before_there_were_groups_is_read() -> None:
    document = cut(RARE, Splits(validation=0.2)).document()
    del document["groups"]
    assert Cut.read(document).groups == {}
