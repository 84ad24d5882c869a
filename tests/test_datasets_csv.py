"""Images that a CSV file lists, also by group, from the file to the runs."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from ablate.data import arrays as kept
from ablate.data import imagedecode
from ablate.errors import DataError
from tests.own_data import contract, source, tiles
from tests.support import ablate

if TYPE_CHECKING:
    from pathlib import Path

    from ablate import Source


@pytest.fixture
def photos(folder: Path) -> Path:
    """A CSV file of 64 parts of photos in two folders; four parts that lie beside each other are a group."""
    lines = ["path,label,split,site"]
    for number, (tile, name) in enumerate(tiles(64)):
        file = folder / ("left" if number % 2 else "right") / f"{number}.{'jpg' if number % 3 else 'png'}"
        file.parent.mkdir(exist_ok=True)
        tile.save(file)
        lines.append(f"{file.parent.name}/{file.name},{name},{'test' if number % 32 >= 24 else 'train'},{number // 4}")
    (folder / "photos.csv").write_text("\n".join(lines) + "\n")
    return folder / "photos.csv"


def listed(file: Path, **settings: Any) -> Source:
    return source("csv-images", file.parent, file=file, size=8, **settings)


def rewritten(file: Path, old: str, new: str) -> Path:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return file


def test_listed_images_are_decoded_as_those_of_a_folder(photos: Path) -> None:
    facts, loaded = listed(photos).facts(), listed(photos).load()
    assert (facts.train, facts.test, facts.names, facts.shape) == (48, 16, ("china", "flower"), (3, 8, 8))
    assert loaded["train"].labels.tolist() == [0] * 24 + [1] * 24
    assert np.array_equal(loaded["train"].images[1], imagedecode.decode(photos.parent / "left" / "1.jpg", 8))
    assert facts.groups == {}


def test_listed_images_keep_the_contract_of_a_dataset(photos: Path) -> None:
    assert contract("csv-images", photos.parent, file=photos, size=8, group="site") == {}


def test_without_a_split_the_study_cuts(photos: Path) -> None:
    assert listed(photos, split="").facts().sizes == {"train": 64}
    assert listed(rewritten(photos, "split", "part")).facts().sizes == {"train": 64}
    assert listed(photos, split="part").facts().sizes == {"train": 48, "test": 16}


def test_each_column_may_have_another_name_and_the_file_another_dialect(photos: Path) -> None:
    before = listed(photos, group="site").facts()
    rows = list(csv.reader(photos.read_text().splitlines()))
    order = [3, 1, 0, 2]
    text = "\r\n".join(";".join(f'"{row[place]}"' for place in order) for row in rows) + "\r\n\r\n"
    photos.write_bytes(b"\xef\xbb\xbf" + text.replace('"label"', '"Klasse"').encode())
    after = listed(photos, group="site", label="Klasse").facts()
    assert after.fingerprint == before.fingerprint
    assert after.groups["train"].tolist() == before.groups["train"].tolist()


def test_classes_that_are_whole_numbers_are_in_their_order(photos: Path) -> None:
    photos.write_text(photos.read_text().replace("china", "10").replace("flower", "9"))
    assert listed(photos).facts().names == ("9", "10")


def test_only_images_that_changed_are_decoded_again(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(photos).prepare()
    decoded: list[str] = []
    decode = imagedecode.decode

    def noting(path: Path, size: int) -> Any:
        decoded.append(path.name)
        return decode(path, size)

    monkeypatch.setattr(imagedecode, "decode", noting)
    rewritten(photos, "left/1.jpg,china", "left/1.jpg,flower")
    assert listed(photos).facts().counts["train"] == (23, 25)
    Image.new("L", (9, 9)).save(photos.parent / "left" / "5.jpg")
    listed(photos).prepare()
    assert decoded == ["5.jpg"]


def test_two_studies_that_read_other_columns_keep_both(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(photos).prepare()
    listed(photos, label="site", split="").prepare()
    monkeypatch.setattr(imagedecode, "decode_all", lambda *_: pytest.fail("decodes again"))
    assert [listed(photos).pending(), listed(photos, label="site", split="").pending()] == ["", ""]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("path,", "file,", "has no column 'path'; it has file, label, split, site\n  accepts a table with a header"),
        ("label", "class", "has no column 'label'; it has path, class, split, site\n  name the column with"),
        ("label,", "path,", "has two columns 'path'"),
        ("left/1.jpg,china,train", "left/1.jpg,dog,test", "1 image cannot be used\n  line 3: dog is the class of no"),
        ("left/1.jpg,china,train", "left/1.jpg,,train", "line 3: has no label"),
        ("left/1.jpg,china,train", "left/1.jpg,china,holdout", "line 3: split holdout is none of train, validation"),
        ("left/1.jpg,china,train,0", "left/1.jpg,china", "line 3: has 2 values, fewer than the header"),
        ("left/1.jpg", "left/none.jpg", "line 3: left/none.jpg: No such file or directory\n  paths start at"),
        ("left/1.jpg", "left", "line 3: left: is no regular file"),
        ("left/5.jpg", "left/../left/1.jpg", "line 7: left/../left/1.jpg is listed before, in line 3"),
        ("left/1.jpg", 'left/"1.jpg', "photos.csv"),
        ("left/1.jpg", '"left/1.jpg', "unexpected end of data"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_used_is_named(photos: Path, old: str, new: str, text: str) -> None:
    rewritten(photos, old, new)
    with pytest.raises(DataError) as told:
        listed(photos).facts()
    assert text in str(told.value)
    assert str(told.value).startswith(f"csv-images: {photos}")


def test_all_lines_with_a_problem_are_told_at_once(photos: Path) -> None:
    for number in (1, 5, 7):
        (photos.parent / "left" / f"{number}.jpg").write_bytes(b"no image")
    with pytest.raises(
        DataError, match=r"3 images cannot be decoded\n  line 3: left/1\.jpg: .*\n  line 7: .*\n  line 9: "
    ):
        listed(photos).prepare()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "has no column 'path'; it has nothing"),
        (b"path,label\n", "lists no image to train on"),
        (b"path,label\nleft/1.jpg,one\n", "has too few classes in column 'label': one"),
        (b"path,label\n\xff.png,one\n", "is not UTF-8"),
        (b"path,label\na\0.png,one\nb.png,two\n", "line 2: .*null"),
    ],
)
def test_a_file_that_is_no_table_is_refused(photos: Path, content: bytes, text: str) -> None:
    photos.write_bytes(content)
    with pytest.raises(DataError, match=text):
        listed(photos).facts()


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no\.csv: No such file or directory\n  name another file"):
        listed(folder / "no.csv").facts()
    with pytest.raises(DataError, match="is a folder"):
        listed(folder).facts()


def test_a_program_under_the_name_of_an_image_is_not_run(photos: Path) -> None:
    """Pillow gives PostScript to Ghostscript, whatever the file's suffix is."""
    (photos.parent / "left" / "1.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n")
    with pytest.raises(DataError, match=r"line 3: left/1\.jpg: cannot be decoded: no image that Pillow knows"):
        listed(photos).prepare()


# Groups, from the file to the runs

STUDY = """
[study]
name = "sites"
seeds = 1
[baseline]
epochs = 1
batch_size = 8
dataset = { use = "csv-images", file = "photos.csv", size = 8, CUT }
model = { use = "simple-cnn", width = 4, hidden = 8 }
optimizer = { use = "adam", lr = 1e-3 }
"""


def test_a_study_by_group_says_how_many_groups_each_split_has_and_trains(photos: Path, write: Any) -> None:
    path = write("sites.toml", STUDY.replace("CUT", 'split = "", group = "site", validation = 0.2, test = 0.25'))
    planned = ablate("plan", path, "--data-dir", "data")
    said = "csv-images: train 40, validation 8, test 16 images of 2 classes; groups: train 10, validation 2, test 4"
    assert f"data: {said}" in planned.stdout
    done = ablate("run", path, "--data-dir", "data", "--jobs", "1", "--device", "cpu")
    assert done.exit_code == 0, done.output
    again = ablate("run", path, "--data-dir", "data", "--jobs", "1", "--device", "cpu")
    assert "1 run" in again.output
    assert ablate("plan", path, "--data-dir", "data", "--pilot").exit_code == 0


def test_groups_that_the_file_puts_in_two_splits_are_an_error_before_training(photos: Path, write: Any) -> None:
    path = write("sites.toml", STUDY.replace("CUT", 'group = "site"'))
    rewritten(photos, "left/1.jpg,china,train", "left/1.jpg,china,test")
    told = ablate("run", path, "--data-dir", "data")
    assert told.exit_code == 2
    assert "1 of the 16 groups are in more than one of the dataset's own splits: 0 (train and test)" in told.output
    assert "leave the groups out" in told.output


def test_groups_that_change_make_runs_new_and_groups_left_out_do_not(photos: Path) -> None:
    before = listed(photos, group="site").facts().fingerprint
    without = listed(photos, group="").facts().fingerprint
    rewritten(photos, "left/1.jpg,china,train,0", "left/1.jpg,china,train,1")
    assert listed(photos, group="site").facts().fingerprint != before
    assert listed(photos, group="").facts().fingerprint == without != before


def test_kept_groups_that_are_gone_are_made_again(photos: Path) -> None:
    before = listed(photos, group="site").facts()
    (place,) = (photos.parent / "data" / "csv-images").glob("*/train-groups.npy")
    place.unlink()
    after = listed(photos, group="site").facts()
    assert after.groups["train"].tolist() == before.groups["train"].tolist()
    assert kept.kept_arrays(place.parent) is not None
