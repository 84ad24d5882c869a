"""Folders of Parquet and Arrow files, as the library `datasets` saves them."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from ablate.data import imagedecode
from ablate.errors import DataError
from tests.own_data import contract, encoded, entry_of, source, tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ablate import Source

FEATURES: dict[str, Any] = {
    "image": {"_type": "Image"},
    "label": {"names": ["zebra", "china", "flower"], "_type": "ClassLabel"},
}


def table(rows: Sequence[tuple[Image.Image, str]], features: Mapping[str, Any] = FEATURES, **columns: Any) -> Any:
    """Return an Arrow table as `datasets` makes it of a feature Image and a ClassLabel."""
    pa = pytest.importorskip("pyarrow")
    names = FEATURES["label"]["names"]
    of_image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    content = {
        "image": pa.array([{"bytes": encoded(image), "path": None} for image, _ in rows], of_image),
        "label": pa.array([names.index(name) for _, name in rows], pa.int64()),
        **columns,
    }
    made = pa.table({name: column for name, column in content.items() if column is not None})
    return made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def save_arrow(made: Any, file: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    file.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_stream(out, made.schema) as writer:
        writer.write_table(made, max_chunksize=10)


def save_parquet(made: Any, file: Path) -> Path:
    parquet = pytest.importorskip("pyarrow.parquet")
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(made, file, row_group_size=10)
    return file.parent


@pytest.fixture
def saved(folder: Path) -> Path:
    """A folder as `save_to_disk` writes it, of two splits, one of them in two files."""
    rows = tiles(64)
    parts = {"train": (rows[:24] + rows[32:40], rows[40:56]), "test": (rows[24:32] + rows[56:],)}
    for split, files in parts.items():
        names = [f"data-{number:05}-of-{len(files):05}.arrow" for number in range(len(files))]
        for name, content in zip(names, files, strict=True):
            save_arrow(table(content), folder / "saved" / split / name)
        state = {"_data_files": [{"filename": name} for name in names], "_split": split}
        (folder / "saved" / split / "state.json").write_text(json.dumps(state))
    (folder / "saved" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    return folder / "saved"


def hub(root: Path, **settings: Any) -> Source:
    return source("huggingface", root.parent, root=root, size=8, **settings)


def test_what_save_to_disk_wrote_is_read_with_the_names_of_its_classes(saved: Path) -> None:
    facts, loaded = hub(saved).facts(), hub(saved).load()
    assert (facts.train, facts.test, facts.names) == (48, 16, ("china", "flower"))
    assert loaded["train"].labels.tolist() == [0] * 24 + [1] * 24
    first = imagedecode.decode(lambda: io.BytesIO(encoded(tiles(2)[0][0])), 8)
    assert np.array_equal(loaded["train"].images[0], first)


def test_a_saved_folder_keeps_the_contract_of_a_dataset(saved: Path) -> None:
    assert contract("huggingface", saved.parent, root=saved, size=8) == {}


@pytest.mark.parametrize(
    "names", [("train-00000-of-00001", "test-00000-of-00001"), ("default/train/0", "default/test/0")]
)
def test_parquet_files_are_the_same_dataset(saved: Path, names: tuple[str, str]) -> None:
    rows = tiles(64)
    save_parquet(table(rows[:24] + rows[32:56]), saved.parent / "files" / f"{names[0]}.parquet")
    save_parquet(table(rows[24:32] + rows[56:]), saved.parent / "files" / f"{names[1]}.parquet")
    (saved.parent / "files" / "README.md").write_text("")
    assert hub(saved.parent / "files").facts().fingerprint == hub(saved).facts().fingerprint


def test_one_file_of_no_split_is_cut_by_the_study_and_may_have_other_columns(folder: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    rows = tiles(20)
    columns = {
        "img": pa.array([encoded(image, "JPEG") for image, _ in rows]),
        "kind": pa.array([name for _, name in rows]).dictionary_encode(),
        "site": pa.array([f"s{number // 4}" for number in range(20)]),
    }
    root = save_parquet(table(rows, {}, image=None, label=None, **columns), folder / "files" / "photos.parquet")
    facts = hub(root, image="img", label="kind", group="site").facts()
    assert (facts.sizes, facts.names) == ({"train": 20}, ("china", "flower"))
    assert facts.groups["train"].tolist() == [f"s{number // 4}" for number in range(20)]


def test_a_damaged_image_is_named_by_its_row(folder: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    rows = tiles(8)
    content: list[dict[str, Any] | None] = [{"bytes": encoded(image), "path": None} for image, _ in rows]
    content[3], content[5], content[6] = {"bytes": b"no", "path": None}, {"bytes": None, "path": "a.png"}, None
    of_image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    root = save_parquet(table(rows, image=pa.array(content, of_image)), folder / "files" / "train.parquet")
    with pytest.raises(DataError) as told:
        hub(root).prepare()
    assert str(told.value).splitlines()[1:4] == [
        "  train.parquet, row 3: cannot be decoded: no image that Pillow knows",
        "  train.parquet, row 5: has only the path a.png, not the image: save the dataset with its images in it",
        "  train.parquet, row 6: has no image",
    ]


def broken(content: Mapping[str, Any]) -> Callable[[Path], Any]:
    """Return what saves a table that has these columns."""
    return lambda root: save_parquet(table(tiles(8), **{n: c() for n, c in content.items()}), root / "train.parquet")


def column(values: Sequence[Any], kind: str = "") -> Callable[[], Any]:
    def made() -> Any:
        pa = pytest.importorskip("pyarrow")
        return pa.array(values, getattr(pa, kind)() if kind else None)

    return made


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (broken({"image": lambda: None}), "has no column 'image'; it has label\n  name the column with"),
        (broken({"label": lambda: None}), "has no column 'label'; it has image"),
        (broken({"image": column(range(8))}), "column 'image' holds int64, not encoded images"),
        (broken({"label": column([0.5] * 8)}), "column 'label' holds double, not whole numbers or texts"),
        (broken({"label": column([1, 2, 1, -1, 9, None, 1, 2])}), "3 images cannot be used\n  train.parquet, row 3: "),
        (broken({"label": column([1] * 8)}), "has too few classes in column 'label': china"),
        (broken({"group": column([1, 2, 3, None, 5, 6, 7, 8])}), "train.parquet, row 3: has no group"),
        (broken({"group": column([0.5] * 8)}), "column 'group' holds double"),
        (lambda root: save_parquet(table([]), root / "train.parquet"), "has no image to train on"),
        (lambda root: (root / "train.parquet").write_bytes(b"PAR1"), "train.parquet cannot be read"),
        (lambda root: (root / "train.arrow").write_bytes(b"no"), "train.arrow cannot be read"),
        (lambda root: (root / "train.parquet").write_bytes(b"version https://git-lfs.github.com"), "git lfs pull"),
        (lambda root: (root / "a.txt").write_bytes(b""), "holds no .parquet or .arrow file; it holds a.txt"),
        (lambda root: save_parquet(table(tiles(8)), root / "test-0001-of-0003.parquet"), "has no test-0000-of-0003"),
        (lambda root: save_parquet(table(tiles(8)), root / "test.parquet"), "has no image to train on; it has test"),
        (lambda root: (root / "dataset_dict.json").write_text("{"), "dataset_dict.json is damaged"),
        (lambda root: (root / "state.json").write_text('{"_data_files": [{"filename": "a"}]}'), "a: No such file"),
    ],
)  # fmt: skip
def test_what_is_no_dataset_of_images_is_named(folder: Path, make: Callable[[Path], Any], text: str) -> None:
    pytest.importorskip("pyarrow")
    (folder / "files").mkdir()
    make(folder / "files")
    with pytest.raises(DataError) as told:
        hub(folder / "files").facts()
    assert text in str(told.value)
    assert str(told.value).startswith("huggingface: ") or "No such file" in text


def test_several_configurations_are_told_apart(folder: Path) -> None:
    for name in ("coarse", "fine"):
        root = save_parquet(table(tiles(8)), folder / "files" / name / "train.parquet").parent
    with pytest.raises(
        DataError, match=r"has files for train in several folders: .*coarse, .*fine\n  name one of them"
    ):
        hub(root).facts()
    assert hub(root / "fine").facts().train == 8


def test_a_class_of_a_test_image_that_train_lacks_is_named(folder: Path) -> None:
    save_parquet(table(tiles(8)), folder / "files" / "train.parquet")
    root = save_parquet(table([(tiles(2)[0][0], "zebra")]), folder / "files" / "test.parquet")
    with pytest.raises(DataError, match=r"test\.parquet, row 0: zebra is the class of no training image"):
        hub(root).facts()


def test_without_pyarrow_one_line_says_how_to_install_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (folder / "files").mkdir()
    (folder / "files" / "train.parquet").write_bytes(b"")
    with pytest.raises(DataError) as told:
        hub(folder / "files").facts()
    assert str(told.value) == 'huggingface: reading it takes pyarrow: pip install "ablate-studies[huggingface]"'


@pytest.mark.slow
def test_cifar100_in_each_form_is_the_same_dataset(folder: Path, cifar100: Path) -> None:
    built = entry_of("cifar100").build(cifar100, settings={})
    test = built.load()["test"]
    images, labels = test.images[:2000], test.labels[:2000]
    np.savez(folder / "cifar.npz", images=images.transpose(0, 2, 3, 1), labels=labels)
    found = {source("arrays", folder, path=folder / "cifar.npz").facts().fingerprint}
    rows = [
        (Image.fromarray(image.transpose(1, 2, 0)), int(label)) for image, label in zip(images, labels, strict=True)
    ]
    with (folder / "cifar.csv").open("w") as out:
        out.write("path,label\n")
        for number, (image, label) in enumerate(rows):
            image.save(folder / f"{number}.png")
            out.write(f"{number}.png,{label}\n")
    found.add(source("csv-images", folder, file=folder / "cifar.csv").facts().fingerprint)
    assert len(found) == 1
    pa = pytest.importorskip("pyarrow")
    columns = {
        "image": pa.array([encoded(image) for image, _ in rows]),
        "label": pa.array([label for _, label in rows]),
    }
    save_parquet(table([], {}, **columns), folder / "files" / "train.parquet")
    found.add(source("huggingface", folder, root=folder / "files").facts().fingerprint)
    assert len(found) == 1
