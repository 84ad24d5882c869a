"""Arrays as people save them: which are found, which are mapped, and what is wrong with the others."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ablate.errors import DataError
from tests.own_data import contract, source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ablate import Source

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = np.rint(DIGITS * 255 / 16).astype(np.uint8).reshape(-1, 8, 8)[:300]
LABELS = LABELS[:300].astype(np.int64)


@pytest.fixture
def digits(folder: Path) -> Path:
    """A folder of .npy files with digits."""
    (folder / "digits").mkdir()
    for name, array in {
        "x_train": DIGITS[:200],
        "y_train": LABELS[:200],
        "x_test": DIGITS[200:],
        "y_test": LABELS[200:],
    }.items():
        np.save(folder / "digits" / f"{name}.npy", array)
    return folder / "digits"


def arrays(path: Path, **settings: Any) -> Source:
    return source("arrays", path.parent, path=path, **settings)


def test_npy_files_are_mapped_where_they_lie(digits: Path) -> None:
    made = arrays(digits)
    loaded, facts = made.load(), made.facts()
    assert isinstance(loaded["train"].images, np.memmap)
    assert np.array_equal(loaded["train"].images, DIGITS[:200, None])
    assert np.array_equal(loaded["test"].labels, LABELS[200:])
    assert (facts.shape, facts.classes, facts.train, facts.test) == ((1, 8, 8), 10, 200, 100)


def test_arrays_keep_the_contract_of_a_dataset(digits: Path) -> None:
    assert contract("arrays", digits.parent, path=digits) == {}


def test_what_is_known_of_arrays_is_kept_until_a_file_changes(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = arrays(digits).facts()
    with monkeypatch.context() as changed:
        changed.setattr("ablate.data.arrayfiles.facts_of", lambda splits: pytest.fail("was read again"))
        again = arrays(digits).facts()
    assert again == before
    assert np.array_equal(again.labels["train"], LABELS[:200])
    np.save(digits / "x_train.npy", 255 - DIGITS[:200])
    assert arrays(digits).facts().fingerprint != before.fingerprint


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_file_has_the_same_fingerprint_as_npy_files(digits: Path, save: Callable[..., None]) -> None:
    file = digits.parent / "digits.npz"
    save(
        file,
        train_images=DIGITS[:200],
        train_labels=LABELS[:200, None],
        test_images=DIGITS[200:],
        test_labels=LABELS[200:],
    )
    assert arrays(file).facts().fingerprint == arrays(digits).facts().fingerprint
    assert arrays(file).load()["test"].labels.tolist() == LABELS[200:].tolist()


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"), 3),  # MedMNIST
        (("x_train", "y_train", "x_test", "y_test"), 2),  # Keras
        (("X", "y"), 1),
        (("train/images", "train/labels", "test/images", "test/labels"), 2),
        (("images-train", "labels-train", "Images-Validation", "Labels-Validation"), 2),
    ],
)
def test_arrays_are_found_by_the_names_that_people_give_them(folder: Path, names: Sequence[str], splits: int) -> None:
    for name in names:
        file = folder / "own" / f"{name}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(
            file,
            DIGITS if {"x", "images"} & set(name.lower().replace("/", "_").replace("-", "_").split("_")) else LABELS,
        )
    np.save(folder / "own" / "weights.npy", np.zeros(3))
    facts = arrays(folder / "own").facts()
    assert len(facts.sizes) == splits
    assert [tuple(each) for each in facts.left_out] == [("own", "arrays of other names", 1)]


@pytest.mark.parametrize("order", ["C", "F"])
def test_channels_are_found_where_they_are(folder: Path, order: Any) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (20, 3, 9, 8), dtype=np.uint8)
    for name, images in {"first": colour, "last": colour.transpose(0, 2, 3, 1)}.items():
        (folder / name).mkdir()
        np.save(folder / name / "images.npy", np.array(images, order=order))
        np.save(folder / name / "labels.npy", np.arange(20) % 2)
    first, last = (arrays(folder / name) for name in ("first", "last"))
    assert first.facts().fingerprint == last.facts().fingerprint
    assert np.array_equal(last.load()["train"].images, colour)
    assert first.load()["train"].images.flags.c_contiguous == (order == "C")
    assert arrays(folder / "last", channels="first").facts().shape == (9, 8, 3)


def test_labels_may_be_texts_and_name_the_classes(folder: Path) -> None:
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])[LABELS]
    np.savez(folder / "a.npz", train_x=DIGITS[:200], train_y=names[:200], test_x=DIGITS[200:], test_y=names[200:])
    facts = arrays(folder / "a.npz").facts()
    assert facts.names[:3] == ("eight", "five", "four")
    assert np.array_equal(np.array(facts.names)[facts.labels["test"]], names[200:])
    np.savez(folder / "a.npz", train_x=DIGITS[:200], train_y=names[:200], test_x=DIGITS[:2], test_y=["zero", "ten"])
    with pytest.raises(DataError, match="test_y has classes that train lacks: ten\n  train has eight, five"):
        arrays(folder / "a.npz").facts()


GOOD = {"images": DIGITS, "labels": LABELS}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({**GOOD, "images": DIGITS / 255}, "float64 (300, 8, 8) from 0 to 1, not uint8 (0 to 255)\n  save numpy.rint"),
        ({**GOOD, "images": DIGITS * np.nan}, "images is float64 (300, 8, 8) with nan, not uint8"),
        ({**GOOD, "images": DIGITS.astype(np.int32)}, "from 0 to 255, not uint8 (0 to 255)\n  save them as numpy"),
        ({**GOOD, "images": DIGITS[0]}, "images has the shape (8, 8), which is not images"),
        ({**GOOD, "images": DIGITS[:0], "labels": LABELS[:0]}, "images has the shape (0, 8, 8), which is not images"),
        ({**GOOD, "images": np.zeros((300, 3, 8, 3), np.uint8)}, 'channels = "first" or channels = "last"'),
        ({**GOOD, "images": np.zeros((300, 9, 8, 7), np.uint8)}, "whether its channels come first or last is"),
        ({**GOOD, "labels": LABELS[1:]}, "labels has the shape (299,), and each of 300 images has one label"),
        ({**GOOD, "labels": np.eye(10)[LABELS]}, "of one-hot labels, save labels.argmax(1)"),
        ({**GOOD, "labels": LABELS * np.nan}, "labels is float64, not labels\n  300 of its 300 labels are nan"),
        ({**GOOD, "labels": LABELS / 2}, "save whole numbers from 0, or texts"),
        ({**GOOD, "labels": LABELS - 1}, "labels runs from -1 to 8; classes are numbered from 0"),
        ({**GOOD, "labels": LABELS * 2}, "labels run from 0 to 18, and none is 1, 3, 5, 7, 9"),
        ({**GOOD, "labels": LABELS * 0}, "all training images are of one class"),
        ({"images": DIGITS}, "has no array of labels for train; it has images\n  accepts an .npz file"),
        ({"test_x": DIGITS, "test_y": LABELS}, "has no array of images for train; it has test_x, test_y"),
        ({**GOOD, "test_images": DIGITS}, "has no array of labels for test"),
        ({**GOOD, "x": DIGITS}, "has two arrays for the images of train: images and x"),
        ({**GOOD, "group": LABELS[1:]}, "group has the shape (299,), and each of 300 images has one group"),
        ({**GOOD, "group": LABELS / 2}, "group is float64, and groups are whole numbers or texts"),
        ({**GOOD, "group": LABELS, "x_test": DIGITS, "y_test": LABELS}, "has no array 'group' for test"),
        ({"weights": DIGITS}, "has no array of images for train; it has weights"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["npy", "npz"])
def test_arrays_that_are_no_dataset_are_named(folder: Path, content: Mapping[str, Any], text: str, form: str) -> None:
    if form == "npz":
        np.savez(folder / "own.npz", **content)
    else:
        (folder / "own").mkdir()
        for name, array in content.items():
            np.save(folder / "own" / f"{name}.npy", array)
    path = folder / ("own.npz" if form == "npz" else "own")
    with pytest.raises(DataError) as told:
        arrays(path).facts()
    assert text in str(told.value)
    assert str(told.value).startswith(f"arrays: {path}")


class Harm:
    """What a pickle would do to whoever reads it."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("harm"),)


@pytest.mark.parametrize("name", ["own.npz", "own/images.npy", "own/labels.npy", "raw.npz"])
def test_nothing_is_unpickled(folder: Path, name: str) -> None:
    (folder / "own").mkdir()
    np.save(folder / "own" / "images.npy", DIGITS)
    np.save(folder / "own" / "labels.npy", LABELS)
    odd = np.array([Harm()] * 300)
    if name == "raw.npz":
        (folder / name).write_bytes(pickle.dumps(odd))
    elif name == "own.npz":
        np.savez(folder / name, images=DIGITS, labels=odd)
    else:
        np.save(folder / name, odd)
    with pytest.raises(DataError, match="holds Python objects, which are never read"):
        arrays(folder / name if name.endswith("npz") else folder / "own").facts()
    assert not Path("harm").exists()


@pytest.mark.parametrize("name", ["own.npz", "own/images.npy", "own/labels.npy"])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_files_that_are_cut_short_are_named(folder: Path, name: str, share: float) -> None:
    (folder / "own").mkdir()
    np.save(folder / "own" / "images.npy", DIGITS)
    np.save(folder / "own" / "labels.npy", LABELS)
    np.savez_compressed(folder / "own.npz", images=DIGITS, labels=LABELS)
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(DataError, match=f"arrays: {folder}/own.*: "):
        arrays(folder / name if name.endswith("npz") else folder / "own").facts()


def test_a_place_without_arrays_says_what_is_there(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no: No such file or directory\n  name another file or folder"):
        arrays(folder / "no").facts()
    (folder / "own").mkdir()
    (folder / "own" / "a.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"own holds no \.npy file; it holds a\.npz\n  accepts"):
        arrays(folder / "own").facts()
    np.save(folder / "one.npy", DIGITS)
    with pytest.raises(DataError, match=r"one\.npy is one array\n  accepts"):
        arrays(folder / "one.npy").facts()


def test_arrays_on_a_disk_that_cannot_be_written_are_read(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablate.data.arrayfiles.can_be_written", lambda folder: False)
    assert arrays(digits).facts().train == 200


def test_arrays_have_groups_too(digits: Path) -> None:
    for split, size in (("train", 200), ("test", 100)):
        np.save(digits / f"{split}_groups.npy", np.arange(size) // 10 + 100 * (split == "test"))
        np.save(digits / f"{split}_writer.npy", np.array(["ann", "bob"])[np.arange(size) % 2])
    assert arrays(digits).facts().groups["train"].tolist() == [n // 10 for n in range(200)]
    assert arrays(digits).load()["test"].groups is not None
    assert arrays(digits, group="writer").facts().groups["test"][:2].tolist() == ["ann", "bob"]
    assert arrays(digits, group="").facts().groups == {}
    with pytest.raises(DataError, match="has no array 'hand' for test; it has"):
        arrays(digits, group="hand").facts()
