from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib.util
import io
import os
import pickle
import subprocess
import sys
import tarfile
import warnings
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from ablate import ImageShape, Source, Split, downloaded_source, paths
from ablate.components.datasets import facts_of
from ablate.components.registry import Entry, marked
from ablate.data import imagedecode
from ablate.data.download import Remote
from ablate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("digits", "cifar10", "cifar100", "mnist", "fashion-mnist", "svhn")
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
LABELS = [3, 1, 4, 1, 5, 9]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def _plugin() -> Any:
    """Load plugins/datasets.py alone, so that these tests do not depend on the other plugins."""
    file = paths.shipped("plugins") / "datasets.py"
    spec = importlib.util.spec_from_file_location("plugin_datasets_under_test", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


plugin = _plugin()
ENTRIES = {e.name: e for e in marked(plugin, Path(plugin.__file__)) if isinstance(e, Entry)}


def source(name: str, folder: Path, **settings: Any) -> Source:
    checked = ENTRIES[name].check(settings)
    assert not checked.problems
    built: Source = ENTRIES[name].build(folder, settings=checked.settings)
    return built


def md5(raw: bytes) -> str:
    return hashlib.md5(raw).hexdigest()


def test_the_plugin_registers_these_datasets() -> None:
    assert sorted(ENTRIES) == sorted([*NAMES, "image-folder"])


def test_listing_datasets_and_their_facts_imports_nothing_slow() -> None:
    code = (
        "import sys; sys.path.append('plugins'); import datasets; from pathlib import Path\n"
        "for name in ('digits', 'cifar10', 'cifar100', 'mnist', 'fashion_mnist', 'svhn'):\n"
        "    source = getattr(datasets, name)(Path('nowhere')); source.facts(); source.pending()\n"
        "slow = ('torch', 'torchvision', 'sklearn', 'scipy', 'PIL', 'numpy', 'rich', 'filelock')\n"
        "print([name for name in slow if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("name", NAMES)
def test_facts_of_a_known_dataset_need_no_disk(name: str, tmp_path: Path) -> None:
    facts = source(name, tmp_path / "absent").facts()
    assert len(facts.fingerprint) == 32
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("name", NAMES)
def test_facts_count_every_image_in_its_class(name: str, tmp_path: Path) -> None:
    facts = source(name, tmp_path).facts()
    assert {split: sum(each) for split, each in facts.counts.items()} == facts.sizes
    assert {len(each) for each in facts.counts.values()} == {facts.classes}


def test_no_two_datasets_share_a_fingerprint(tmp_path: Path) -> None:
    assert len({source(name, tmp_path).facts().fingerprint for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cifar10", "170 MB to download"),
        ("cifar100", "169 MB to download"),
        ("mnist", "11.6 MB to download"),
        ("fashion-mnist", "30.9 MB to download"),
        ("svhn", "246 MB to download"),
    ],
)
def test_pending_says_where_and_how_much(name: str, text: str, tmp_path: Path) -> None:
    assert source(name, tmp_path).pending() == f"{name} is not in {tmp_path}: {text}"


def test_addresses_and_md5s_are_torchvisions() -> None:
    from torchvision.datasets import CIFAR10, CIFAR100, MNIST, SVHN, FashionMNIST

    for remote, theirs in ((plugin._CIFAR10, CIFAR10), (plugin._CIFAR100, CIFAR100)):
        inner = [*theirs.train_list, *theirs.test_list, [theirs.meta["filename"], theirs.meta["md5"]]]
        assert (remote.urls, remote.name, remote.md5) == ((theirs.url,), theirs.filename, theirs.tgz_md5)
        assert dict(remote.members) == {f"{theirs.base_folder}/{name}": value for name, value in inner}
    for remotes, theirs in ((plugin._MNIST, MNIST), (plugin._FASHION, FashionMNIST)):
        assert [(Path(r.name).name, r.md5) for r in remotes] == theirs.resources
        assert {r.urls for r in remotes} == {tuple(m + n for m in theirs.mirrors) for n, _ in theirs.resources}
        assert {str(Path(r.name).parent) for r in remotes} == {f"{theirs.__name__}/raw"}
    assert [[r.urls[0], r.name, r.md5] for r in plugin._SVHN] == [SVHN.split_list[name] for name in ("train", "test")]


def test_digits_spread_grey_over_all_of_a_byte(tmp_path: Path) -> None:
    images = source("digits", tmp_path).load()["train"].images
    assert sorted(np.unique(images)) == [round(grey * 255 / 16) for grey in range(17)]


def test_digits_keep_the_classes_in_proportion(tmp_path: Path) -> None:
    splits = source("digits", tmp_path).load()
    train, test = (np.bincount(splits[name].labels) for name in ("train", "test"))
    assert np.abs(test - (train + test) / 5).max() < 1


def test_digits_split_every_image_to_one_side(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    splits = source("digits", tmp_path).load()
    ours = np.concatenate([split.images.reshape(-1, 64) for split in splits.values()])
    theirs = np.rint(load_digits().data * 255 / 16)
    assert sorted(map(bytes, ours)) == sorted(map(bytes, theirs.astype(np.uint8)))


@pytest.fixture
def cifar100_folder() -> Path:
    folder = paths.data_dir()
    if not (folder / "cifar-100-python" / "train").is_file():
        pytest.skip(f"needs cifar-100-python in ABLATE_DATA_DIR ({folder})")
    return folder


def test_cifar100_is_torchvisions_array_for_array(cifar100_folder: Path) -> None:
    from torchvision.datasets import CIFAR100

    built = source("cifar100", cifar100_folder)
    assert built.pending() == ""
    built.prepare()
    splits = built.load()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy 2.4.0 warns of how torchvision reads old pickles
        theirs = {name: CIFAR100(cifar100_folder, train=name == "train") for name in ("train", "test")}
    for name, split in splits.items():
        assert np.array_equal(split.images, theirs[name].data.transpose(0, 3, 1, 2))
        assert split.labels.tolist() == theirs[name].targets


def test_a_damaged_file_is_named_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "cifar-100-python").mkdir()
    for name in ("train", "test", "meta"):
        (tmp_path / "cifar-100-python" / name).write_bytes(b"damaged")
    for use in (source("cifar100", tmp_path).load, source("cifar100", tmp_path).prepare):
        with pytest.raises(DataError, match=r"cifar-100-python/train: damaged: its md5 is \w+, expected 16019d7e"):
            use()


def test_loading_what_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train_32x32.mat is not there\n  'ablate run' downloads it, or name another"):
        source("svhn", tmp_path).load()


def cifar_batch(key: str, images: Bytes, labels: list[int]) -> bytes:
    return pickle.dumps({b"data": images.reshape(len(images), -1), key.encode(): labels}, protocol=4)


def test_cifar_batches_are_joined_in_order() -> None:
    parts = [cifar_batch("labels", PIXELS[:4], LABELS[:4]), cifar_batch("labels", PIXELS[4:], LABELS[4:])]
    split = plugin.parse_cifar(parts, "labels")
    assert np.array_equal(split.images, PIXELS)
    assert (split.labels.tolist(), split.labels.dtype) == (LABELS, np.int64)


@pytest.mark.parametrize("function", [os.system, eval, np.load, np.frombuffer])
def test_a_pickle_that_names_anything_but_arrays_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(pickle.UnpicklingError, match="which no array needs"):
        plugin.parse_cifar([pickle.dumps({b"data": function})], "labels")


def idx(array: Bytes) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.tobytes()


def test_idx_files_hold_bytes_of_any_rank() -> None:
    images = PIXELS[:, 0]
    assert np.array_equal(plugin.parse_idx(idx(images)), images)
    assert plugin.parse_idx(idx(np.array(LABELS, np.uint8))).tolist() == LABELS


def test_svhn_puts_the_channels_first_and_calls_zero_zero(tmp_path: Path) -> None:
    labels = np.array([[10], [1], [2], [9], [10], [5]], np.uint8)
    savemat(tmp_path / "a.mat", {"X": PIXELS.transpose(2, 3, 1, 0), "y": labels})
    split = plugin.parse_svhn((tmp_path / "a.mat").read_bytes())
    assert np.array_equal(split.images, PIXELS)
    assert split.labels.tolist() == [0, 1, 2, 9, 0, 5]
    assert split.images.flags.c_contiguous


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def packed(host: Path, url: str, name: str, members: dict[str, bytes]) -> Remote:
    """Put an archive of these members where the host serves it."""
    file = host / Path(name).name
    if name.endswith(".tar.gz"):
        with tarfile.open(file, "w:gz") as tar:
            for member, content in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    else:
        file.write_bytes(gzip.compress(next(iter(members.values()))))
    raw = file.read_bytes()
    return Remote(name, md5(raw), (f"{url}/{file.name}",), len(raw), {m: md5(c) for m, c in members.items()})


def test_a_known_dataset_is_downloaded_unpacked_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    host, folder = tmp_path / "host", tmp_path / "data"
    host.mkdir()
    batch = cifar_batch("labels", PIXELS, LABELS)

    def read(raw: Callable[[str], bytes]) -> dict[str, Split]:
        return {name: plugin.parse_cifar([raw(f"tiny/{name}")], "labels") for name in ("train", "test")}

    with served(host) as url:
        remote = packed(host, url, "tiny.tar.gz", {"tiny/train": batch, "tiny/test": batch})
        counts = {"train": (6,), "test": (6,)}
        built = downloaded_source("tiny", [remote], folder, shape=ImageShape(3, 32, 32), counts=counts, read=read)
        assert built.pending() == f"tiny is not in {folder}: 19 kB to download"
        built.prepare()
    assert built.pending() == ""
    assert np.array_equal(built.load()["test"].images, PIXELS)


def test_an_archive_that_lies_there_is_only_unpacked(tmp_path: Path) -> None:
    image = idx(PIXELS[:, 0])
    (tmp_path / "raw").mkdir()
    remote = packed(tmp_path / "raw", "http://127.0.0.1:9", "raw/a.gz", {"raw/a": image})

    def read(raw: Callable[[str], bytes]) -> dict[str, Split]:
        return {"train": Split(plugin.parse_idx(raw("raw/a"))[:, None], np.zeros(6, np.int64))}

    counts = {"train": (6,)}
    built = downloaded_source("tiny", [remote], tmp_path, shape=ImageShape(1, 32, 32), counts=counts, read=read)
    assert built.pending() == f"tiny in {tmp_path} has to be unpacked"
    built.prepare()
    assert np.array_equal(built.load()["train"].images, PIXELS[:, :1])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make an image folder of two classes: 3 + 2 images to train, 1 + 1 each for validation and test."""
    root = tmp_path / "pets"
    rng = np.random.default_rng(1)
    for split, name, count in (("train", "cat", 3), ("train", "dog", 2), ("val", "cat", 1), ("val", "dog", 1)):
        place = root / split / name
        place.mkdir(parents=True)
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(place / f"{number}.png")
    for name, suffix in (("cat", "JPG"), ("dog", "jpeg")):
        (root / "test" / name).mkdir(parents=True)
        Image.new("RGB", (20, 10), (250, 0, 0)).save(root / "test" / name / f"0.{suffix}", "JPEG")
    return root


def folder_source(tree: Path, size: int = 8) -> Source:
    return source("image-folder", tree.parent / "data", root=str(tree), size=size)


def test_an_image_folder_has_classes_by_name_and_all_its_splits(tree: Path) -> None:
    built = folder_source(tree)
    splits = built.load()
    assert {name: split.labels.tolist() for name, split in splits.items()} == {
        "train": [0, 0, 0, 1, 1],
        "validation": [0, 1],
        "test": [0, 1],
    }
    assert built.facts() == replace(facts_of(splits), names=("cat", "dog"))
    assert (built.facts().shape, built.facts().classes, built.facts().validation) == (ImageShape(3, 8, 8), 2, 2)


def test_images_that_have_the_size_are_kept_pixel_for_pixel(tree: Path) -> None:
    first = folder_source(tree).load()["train"].images[0]
    assert np.array_equal(first.transpose(1, 2, 0), np.asarray(Image.open(tree / "train" / "cat" / "0.png")))


def test_the_middle_of_the_longer_side_is_kept(tmp_path: Path) -> None:
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = 255
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert imagedecode.decode(tmp_path / "a.png", 8)[:, :, 1:-1].min() == 255


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_becomes_rgb_of_the_same_brightness(mode: str, tmp_path: Path) -> None:
    white = Image.fromarray(np.full((8, 8), 65535, np.uint16)) if mode == "I;16" else Image.new("L", (8, 8), 255)
    (white if mode == "I;16" else white.convert(mode)).save(tmp_path / "a.png")
    assert imagedecode.decode(tmp_path / "a.png", 8).tolist() == np.full((3, 8, 8), 255).tolist()


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 100 * 257, np.uint16)).save(tmp_path / "a.png")
    assert np.unique(imagedecode.decode(tmp_path / "a.png", 8)).tolist() == [100]


def test_a_palette_with_transparency_does_not_warn(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 9, 9, 9, 7, 7, 7])
    image.save(tmp_path / "a.png", transparency=b"\x10\x20\x30")
    assert np.unique(imagedecode.decode(tmp_path / "a.png", 8)).tolist() == [9]


def test_the_cameras_orientation_is_applied(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    assert imagedecode.decode(tmp_path / "a.png", 8)[:, -1].min() == 255


def test_an_image_folder_is_decoded_once(tree: Path) -> None:
    first = folder_source(tree)
    assert first.pending() == f"9 images in {tree} to decode to 8 x 8, 2 kB on disk"
    first.prepare()
    kept = {p: p.stat().st_mtime_ns for p in (tree.parent / "data").rglob("*.npy")}
    second = folder_source(tree)
    assert second.pending() == ""
    second.load()
    assert kept == {p: p.stat().st_mtime_ns for p in (tree.parent / "data").rglob("*.npy")}


def test_a_changed_image_is_decoded_again(tree: Path) -> None:
    before = folder_source(tree).facts().fingerprint
    Image.new("RGB", (8, 8)).save(tree / "train" / "cat" / "0.png")
    assert folder_source(tree).facts().fingerprint != before


def test_another_size_is_another_dataset(tree: Path) -> None:
    assert folder_source(tree, 16).facts().fingerprint != folder_source(tree).facts().fingerprint


def test_the_same_pixels_elsewhere_have_the_same_fingerprint(tree: Path) -> None:
    before = folder_source(tree).facts()
    assert folder_source(tree.rename(tree.with_name("moved"))).facts() == before


def test_several_processes_decode_once(tree: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ablate import image_folder_source\n"
        "print(image_folder_source(Path(sys.argv[1]), Path(sys.argv[2]), 8).facts().fingerprint)"
    )
    command = [sys.executable, "-c", code, str(tree), str(tree.parent / "data")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(4)]
    assert len({child.communicate(timeout=60)[0] for child in running}) == 1
    assert [child.returncode for child in running] == [0] * 4
    kept = [p.name for p in (tree.parent / "data" / "image-folder").iterdir() if p.is_dir()]
    assert len(kept) == 1


def test_a_truncated_image_is_named_and_the_folder_stays_undecoded(tree: Path) -> None:
    file = tree / "test" / "dog" / "0.jpeg"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"test/dog/0\.jpeg: cannot be decoded: (?i:.*truncated.*)\n  replace them"):
        folder_source(tree).prepare()
    assert folder_source(tree).pending() == f"9 images in {tree} to decode to 8 x 8, 2 kB on disk"


def test_a_file_that_is_no_image_is_named(tree: Path) -> None:
    (tree / "train" / "dog" / "9.png").write_text("not an image")
    with pytest.raises(DataError, match=r"train/dog/9\.png: cannot be decoded"):
        folder_source(tree).facts()


def test_other_files_and_hidden_ones_are_passed_over(tree: Path) -> None:
    for name in ("notes.txt", "._0.png", ".DS_Store"):
        (tree / "train" / "dog" / name).write_text("")
    assert folder_source(tree).facts().train == 5


def test_damaged_arrays_are_made_again(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = folder_source(tree).load()["train"].images.copy()
    (file,) = (tree.parent / "data").rglob("train-images.npy")
    np.save(file, np.roll(before, 1))
    assert np.array_equal(folder_source(tree).load()["train"].images, before)
    assert "the decoded images are damaged; decoding them again" in capsys.readouterr().err
    assert np.array_equal(np.load(file), before)


def test_a_killed_decoding_is_begun_again(tree: Path) -> None:
    built = folder_source(tree)
    built.prepare()
    (kept,) = (p for p in (tree.parent / "data" / "image-folder").iterdir() if p.is_dir())
    kept.rename(kept.with_name(f"{kept.name}.part"))
    assert folder_source(tree).facts() == built.facts()


def _no_root(tree: Path) -> None:
    tree.rename(tree.with_name("elsewhere"))


def _no_train(tree: Path) -> None:
    (tree / "train").rename(tree / "training")


def _one_class(tree: Path) -> None:
    (tree / "train" / "dog").rename(tree / "dog")


def _empty_class(tree: Path) -> None:
    (tree / "train" / "bird").mkdir()


def _two_validations(tree: Path) -> None:
    (tree / "validation").mkdir()


def _strange_class(tree: Path) -> None:
    (tree / "test" / "dog").rename(tree / "test" / "dogs")


def _empty_test(tree: Path) -> None:
    for file in (tree / "test").glob("*/*"):
        file.unlink()


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (_no_root, "pets is not a folder\n  accepts ROOT/train/CLASS/IMAGES"),
        (
            _no_train,
            "pets has no folder 'train'; it holds test, training, val\n  test, training, val would be taken for",
        ),
        (_one_class, "train has too few classes: cat\n"),
        (_empty_class, r"train/bird holds no image\n"),
        (_two_validations, "pets has both 'val' and 'validation', each for validation\n  move one"),
        (_strange_class, "test has classes that train lacks: dogs\n  train has cat, dog"),
        (_empty_test, "test holds no image"),
    ],
)
def test_a_folder_of_another_layout_is_reported_with_what_is_wrong(
    spoil: Callable[[Path], None], text: str, tree: Path
) -> None:
    spoil(tree)
    with pytest.raises(DataError, match=text):
        folder_source(tree).pending()


def test_a_relative_root_starts_at_the_working_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.parent)
    assert source("image-folder", tree.parent / "data", root="pets", size=8).facts().train == 5


def test_a_split_that_cannot_be_listed_is_named(tree: Path) -> None:
    (tree / "train" / "dog" / "9.png").symlink_to("gone")
    with pytest.raises(DataError, match=r"1 image cannot be read\n.*/9\.png: No such file or directory\n  replace"):
        folder_source(tree).pending()


def test_decoded_images_go_to_the_users_cache_where_the_data_folder_cannot_be_written(tree: Path) -> None:
    (tree.parent / "data").write_text("a file")
    folder_source(tree).prepare()
    assert list(paths.arrays_dir().glob("image-folder/*/train-images.npy"))


def test_decoded_images_never_go_among_the_photos(tree: Path) -> None:
    for folder in (tree, tree / "train" / "cat"):
        before = sorted(tree.rglob("*"))
        source("image-folder", folder, root=str(tree), size=8).prepare()
        assert sorted(tree.rglob("*")) == before


def test_decoded_images_need_some_folder_that_can_be_written(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree.parent / "data").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tree.parent / "data"))
    with pytest.raises(DataError, match=r"data: .*\n  a file stands where a folder should be"):
        folder_source(tree).prepare()


@pytest.mark.parametrize("size", [3, 2000, "32"])
def test_a_size_out_of_range_is_a_problem_of_the_study(size: object) -> None:
    (problem,) = ENTRIES["image-folder"].check({"root": "x", "size": size}).problems
    assert problem[0] == "size"
