"""Folders of photos as people have them: what is read, what is left out, and when it is decoded again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, features

from ablate import paths
from ablate.components.datasets import LeftOut
from ablate.data import imagedecode, imagefiles, listed
from ablate.data.arrays import kept_arrays
from ablate.data.imagefiles import list_images
from ablate.data.imagefolder import image_folder_source
from ablate.errors import DataError

if TYPE_CHECKING:
    from ablate import Source

SIZE = 4


def photo(path: Path, grey: int = 0, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), grey, np.uint8)).save(path, **options)
    return path


@pytest.fixture
def pets(folder: Path) -> Path:
    """A folder of two classes with two images each to train on, and one each to test."""
    for split, count in (("train", 2), ("test", 1)):
        for place, name in enumerate(("cat", "dog")):
            for number in range(count):
                photo(folder / "pets" / split / name / f"{number}.png", 50 + 100 * place + number)
    return folder / "pets"


def made(root: Path) -> Source:
    return image_folder_source(root, root.parent / "data", SIZE)


def left_out(root: Path) -> set[tuple[str, str, int]]:
    return {(each.place, each.why, each.files) for each in list_images(root).left_out}


def greys(root: Path, split: str = "train") -> list[int]:
    """Return the brightness of each image of a folder, in order."""
    return [int(image.mean()) for image in made(root).load()[split].images]


# Types


@pytest.mark.parametrize(
    "suffix",
    ["bmp", "gif", "jfif", "jp2", "jpg", "pbm", "pgm", "png", "pnm", "ppm", "tga", "tif", "webp", "PNG", "Jpg"],
)
def test_what_pillow_reads_is_read(pets: Path, suffix: str) -> None:
    if suffix.lower() in ("webp", "jp2") and not features.check({"webp": "webp", "jp2": "jpg_2000"}[suffix]):
        pytest.skip("Pillow is built without it here")
    mode = {"pbm": "1", "pgm": "L"}.get(suffix, "RGB")
    Image.new(mode, (8, 8), 1 if mode == "1" else "white").save(
        pets / "train" / "cat" / f"9.{suffix}", {"pnm": "PPM", "jfif": "JPEG"}.get(suffix)
    )
    assert greys(pets)[2] == pytest.approx(255, abs=2)
    assert left_out(pets) == set()


def test_of_a_film_the_first_picture_is_taken(pets: Path) -> None:
    first, second = Image.new("L", (8, 8), 200), Image.new("L", (8, 8), 10)
    first.save(pets / "train" / "cat" / "9.gif", save_all=True, append_images=[second])
    assert greys(pets)[2] == 200


def test_what_is_no_image_is_counted_by_class_and_kind(pets: Path) -> None:
    for name in ("a.txt", "b.TXT", "c.heic", "README", ".hidden.png", ".DS_Store", "Thumbs.db", "desktop.ini", "a.eps"):
        (pets / "train" / "cat" / name).write_text("")
    photo(pets / "train" / "loose.png")
    photo(pets / "unsorted" / "1.png")
    photo(pets / "test" / "dog" / "__MACOSX" / "1.png")
    os.mkfifo(pets / "test" / "cat" / "pipe.png")
    assert left_out(pets) == {
        ("train/cat", ".txt", 2),
        ("train/cat", ".heic", 1),
        ("train/cat", ".eps", 1),
        ("train/cat", "without a suffix that is known", 1),
        ("train/cat", "hidden", 2),
        ("train/cat", "of the operating system", 2),
        ("train", "in no class's folder", 1),
        ("unsorted", "folder beside train", 1),
        ("test/dog", "of the operating system", 1),
        ("test/cat", "no regular file", 1),
    }
    assert made(pets).facts().left_out == list_images(pets).left_out
    assert LeftOut("train/cat", ".txt", 2) in made(pets).facts().left_out


def test_a_type_that_pillow_was_built_without_is_reported(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagefiles, "suffixes", lambda: (frozenset({".png"}), frozenset({".webp"})))
    (pets / "train" / "cat" / "9.webp").write_bytes(b"")
    assert left_out(pets) == {("train/cat", ".webp, which the Pillow installed here lacks the codec for", 1)}


def test_a_class_of_which_nothing_is_read_says_what_it_holds(pets: Path) -> None:
    (pets / "train" / "bird").mkdir()
    for number in range(3):
        (pets / "train" / "bird" / f"{number}.heic").write_bytes(b"")
    with pytest.raises(DataError, match=r"train/bird holds no image; it holds 3 \.heic\n"):
        list_images(pets)


# Folders, links and names


def test_folders_inside_a_class_are_looked_into(pets: Path) -> None:
    photo(pets / "train" / "cat" / "indoors" / "night" / "1.png", 9)
    photo(pets / "train" / "cat" / "10.png", 10)
    assert greys(pets) == [50, 51, 10, 9, 150, 151]


def test_links_to_images_and_folders_are_followed(pets: Path) -> None:
    photo(pets.parent / "elsewhere" / "one.png", 7)
    (pets / "train" / "bird").symlink_to(pets.parent / "elsewhere")
    (pets / "train" / "dog" / "9.png").symlink_to(pets.parent / "elsewhere" / "one.png")
    assert list_images(pets).classes == ("bird", "cat", "dog")
    assert greys(pets) == [7, 50, 51, 150, 151, 7]


def test_links_in_a_circle_end(pets: Path) -> None:
    (pets / "train" / "cat" / "again").symlink_to(pets / "train")
    assert list_images(pets).count == 6 + 2  # the dogs are in the class cat, too, by way of the link
    assert ("train/cat", "link to a folder that it is in", 1) in left_out(pets)


def test_a_link_to_nothing_is_damaged_only_where_it_should_be_an_image(pets: Path) -> None:
    (pets / "train" / "cat" / "notes").symlink_to("gone")
    assert left_out(pets) == {("train/cat", "without a suffix that is known", 1)}


def test_names_that_are_no_utf8_are_read_and_reported(pets: Path) -> None:
    strange = os.fsdecode(b"na\xefve")
    photo(pets / "train" / strange / os.fsdecode(b"\xff.png"), 3)
    (pets / "train" / strange / os.fsdecode(b"\xfe.txt")).write_text("")
    facts = made(pets).facts()
    assert facts.names == ("cat", "dog", "na\\udcefve")
    assert facts.left_out == (LeftOut("train/na\\udcefve", ".txt", 1),)
    assert greys(pets)[-1] == 3


def test_a_damaged_image_whose_name_is_no_utf8_can_be_told(pets: Path) -> None:
    (pets / "train" / "cat" / os.fsdecode(b"\xff.png")).write_text("no image")
    (pets / "train" / "cat" / "evil\x1b[31m.png").write_text("no image")
    with pytest.raises(DataError, match=r"cat/\\udcff\.png: cannot be decoded") as raised:
        made(pets).prepare()
    assert str(raised.value).replace("\n", "").isprintable()


# Layouts


def test_classes_without_a_train_folder_are_all_there_is_to_train_on(folder: Path) -> None:
    for name in ("b", "a", ".git"):
        photo(folder / "photos" / name / "1.png")
    photo(folder / "photos" / "loose.png")
    facts = made(folder / "photos").facts()
    assert (facts.names, facts.train, facts.test, facts.validation) == (("a", "b"), 2, 0, 0)
    assert facts.left_out == (LeftOut(".", "in no class's folder", 1),)


def test_splits_may_be_written_in_capitals(pets: Path) -> None:
    (pets / "train").rename(pets / "Train")
    (pets / "test").rename(pets / "TEST")
    assert made(pets).facts().sizes == {"train": 4, "test": 2}


@pytest.mark.parametrize("name", ["Training", "valid", "holdout"])
def test_folders_that_look_like_splits_are_not_taken_for_classes(pets: Path, name: str) -> None:
    (pets / "train").rename(pets / name)
    with pytest.raises(DataError, match="would be taken for classes: rename them to train, val and test"):
        list_images(pets)


# Pixels


def test_images_beyond_pillows_limit_are_read(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    monkeypatch.setattr(imagedecode, "LARGE", 10)
    assert greys(pets) == [50, 51, 150, 151]
    assert Image.MAX_IMAGE_PIXELS == 10


def test_an_image_that_takes_most_of_the_memory_is_reported(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagedecode, "granted_bytes", lambda: 1000)
    with pytest.raises(DataError, match=r"8 x 8 pixels take about 1 kB of memory, more than half of what"):
        made(pets).prepare()


def test_large_jpegs_look_as_if_they_were_decoded_whole(folder: Path) -> None:
    draw = np.random.default_rng(0)
    small = Image.fromarray(draw.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    small.resize((600, 600), Image.Resampling.BICUBIC).save(folder / "a.jpg", quality=95)
    Image.open(folder / "a.jpg").save(folder / "a.png")
    jpeg, png = (imagedecode.decode(folder / f"a.{suffix}", 16).astype(int) for suffix in ("jpg", "png"))
    assert np.abs(jpeg - png).max() <= 3


@pytest.mark.parametrize("levels", [np.linspace(0, 1, 64, dtype=np.float32), np.arange(64, dtype=np.int32) * 9999])
def test_levels_whose_white_is_not_known_are_refused(folder: Path, levels: Any) -> None:
    Image.fromarray(levels.reshape(8, 8)).save(folder / "a.tif")
    with pytest.raises(DataError, match="so which is white is not known"):
        imagedecode.decode(folder / "a.tif", 8)


# What is damaged, and what is decoded again


def test_all_damaged_images_are_reported_at_once(pets: Path) -> None:
    (pets / "train" / "cat" / "0.png").write_text("no image")
    (pets / "train" / "dog" / "9.webp").write_bytes(b"")
    (pets / "test" / "dog" / "0.png").write_bytes((pets / "test" / "dog" / "0.png").read_bytes()[:50])
    with pytest.raises(DataError, match="pets: 3 images cannot be decoded\n") as raised:
        made(pets).prepare()
    assert [line.split(":")[0].strip() for line in str(raised.value).splitlines()[1:-1]] == [
        "train/cat/0.png", "train/dog/9.webp", "test/dog/0.png",
    ]  # fmt: skip
    assert str(raised.value).endswith("\n  replace them, or move them away")


def test_all_links_to_nothing_are_reported_at_once(pets: Path) -> None:
    for name in ("8.png", "9.jpg"):
        (pets / "train" / "cat" / name).symlink_to("gone")
    with pytest.raises(DataError, match=r"(?s)2 images cannot be read.*8\.png.*9\.jpg"):
        list_images(pets)


def test_of_very_many_damaged_images_some_are_reported(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed, "MOST_TOLD", 2)
    for number in range(5):
        (pets / "train" / "cat" / f"x{number}.png").write_text("no image")
    with pytest.raises(DataError, match=r"5 images cannot be decoded\n.*x0.*\n.*x1.*\n  … and 3 more\n"):
        made(pets).prepare()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by the name of each file that is decoded."""
    names: list[str] = []
    decode = imagedecode.decode

    def noting(path: Path, size: int) -> Any:
        names.append(path.name)
        return decode(path, size)

    monkeypatch.setattr(imagedecode, "decode", noting)
    return names


def test_after_a_repair_only_what_was_repaired_is_decoded(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = counted(monkeypatch)
    (pets / "train" / "cat" / "9.png").write_text("no image")
    with pytest.raises(DataError, match="cannot be decoded"):
        made(pets).prepare()
    assert len(names) == 7
    photo(pets / "train" / "cat" / "9.png", 9)
    assert greys(pets) == [50, 51, 9, 150, 151]
    assert names[7:] == ["9.png"]


def test_a_photo_more_is_decoded_alone_and_what_was_kept_before_goes(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = counted(monkeypatch)
    made(pets).prepare()
    photo(pets / "test" / "cat" / "new.png", 9)
    (pets / "train" / "cat" / "1.png").unlink()
    assert (greys(pets), greys(pets, "test")) == ([50, 150, 151], [50, 9, 150])
    assert names[6:] == ["new.png"]
    assert len([p for p in (pets.parent / "data" / "image-folder").iterdir() if p.is_dir()]) == 1


def test_another_content_of_the_same_name_size_and_time_is_decoded_again(pets: Path) -> None:
    file = pets / "train" / "cat" / "0.bmp"
    photo(file, 20)
    os.utime(file, ns=(0, 0))
    size, before = file.stat().st_size, greys(pets)
    photo(file.with_name("other"), 30, format="BMP").replace(file)
    os.utime(file, ns=(0, 0))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (size, 0)
    assert before[0] == 20
    assert greys(pets)[0] == 30


def test_a_content_written_over_another_is_noticed_though_size_and_time_are_kept(pets: Path) -> None:
    file = photo(pets / "train" / "cat" / "0.bmp", 20)
    kept, before = file.stat(), greys(pets)
    other = photo(pets.parent / "other.bmp", 30)
    with file.open("r+b") as written:
        written.write(other.read_bytes())
    os.utime(file, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert (file.stat().st_ino, file.stat().st_size, file.stat().st_mtime_ns) == (
        kept.st_ino, kept.st_size, kept.st_mtime_ns,
    )  # fmt: skip
    assert (before[0], greys(pets)[0]) == (20, 30)


def test_classes_whose_folders_changed_places_are_told_apart(folder: Path) -> None:
    root = folder / "pets"
    for grey, name in ((10, "cat"), (20, "dog")):
        os.utime(photo(root / "train" / name / "0.bmp", grey), ns=(0, 0))
    before = greys(root)
    for old, new in (("cat", "x"), ("dog", "cat"), ("x", "dog")):
        (root / "train" / old).rename(root / "train" / new)
    assert (before, greys(root)) == ([10, 20], [20, 10])


def test_two_folders_of_like_names_sizes_and_times_are_told_apart(pets: Path) -> None:
    other = Path(shutil.copytree(pets, pets.with_name("other")))
    assert list_images(pets).digest != list_images(other).digest
    (linked,) = (pets.with_name("linked"),)
    shutil.copytree(pets, linked, copy_function=os.link)
    assert list_images(pets).digest != list_images(linked).digest


def test_photos_that_change_while_they_are_decoded_are_not_kept(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = imagedecode.decode

    def slowly(path: Path, size: int) -> Any:
        found = decode(path, size)
        photo(pets / "train" / "cat" / "0.png", 99)
        return found

    monkeypatch.setattr(imagedecode, "decode", slowly)
    with pytest.raises(DataError, match="pets changed while it was decoded\n  run the command again"):
        made(pets).prepare()
    assert not list((pets.parent / "data").rglob("*.npy"))


def test_arrays_of_a_read_only_data_folder_are_used_where_they_are(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(pets).prepare()
    (place,) = (p for p in (pets.parent / "data" / "image-folder").iterdir() if p.is_dir())
    monkeypatch.setattr("ablate.data.decoded.can_be_written", lambda folder: "data" not in folder.parts)
    assert made(pets).pending() == ""
    assert kept_arrays(place) is not None
    photo(pets / "train" / "cat" / "new.png", 9)
    assert greys(pets) == [50, 51, 9, 150, 151]
    assert list(paths.arrays_dir().glob("image-folder/*/train-images.npy"))
