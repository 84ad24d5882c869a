"""The datasets that ship: digits comes with scikit-learn, image-folder is the user's own, the rest is downloaded.

Files lie in the data folder as torchvision lays them out, so that a folder of either serves both. Their
addresses and md5s are those of torchvision 0.29; the md5s of the unpacked MNIST files were checked against
several independent listings. Every file is checked by md5 before it is read.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Interval

from ablate import DataFacts, ImageShape, Source, Split, dataset
from ablate.training.disk import present, read_checked
from ablate.training.download import Remote, missing, obtain
from ablate.training.progress import megabytes

if TYPE_CHECKING:
    import numpy as np

    Bytes = np.ndarray[Any, np.dtype[np.uint8]]

Side = Annotated[int, Interval(ge=4, le=1024)]
Splits = Mapping[str, Split]

_CIFAR10 = Remote(
    name="cifar-10-python.tar.gz",
    md5="c58f30108f718f92721af3b95e74349a",
    urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
    size_bytes=170_498_071,
    members={
        "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
        "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
        "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
        "cifar-10-batches-py/batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
)
_CIFAR100 = Remote(
    name="cifar-100-python.tar.gz",
    md5="eb9058c3a382ffc7106e4002c42a8d85",
    urls=("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
    size_bytes=169_001_437,
    members={
        "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
        "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "cifar-100-python/meta": "7973b15100ade9c7d40fb424638fde48",
    },
)
_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _idx_remotes(place: str, hosts: tuple[str, ...], files: tuple[tuple[str, int, str], ...]) -> tuple[Remote, ...]:
    """Describe four files in the order of _IDX, each by md5 and bytes of the .gz and md5 of what is in it."""
    return tuple(
        Remote(f"{place}/{name}.gz", md5, tuple(f"{h}{name}.gz" for h in hosts), size, {f"{place}/{name}": inner})
        for name, (md5, size, inner) in zip(_IDX, files, strict=True)
    )


_MNIST = _idx_remotes(
    "MNIST/raw",
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
    (
        ("f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422, "6bbc9ace898e44ae57da46a324031adb"),
        ("d53e105ee54ea40749a09fcbcd1e9432", 28_881, "a25bea736e30d166cdddb491f175f624"),
        ("9fb629c4189551a2d022fa330f9573f3", 1_648_877, "2646ac647ad5339dbf082846283269ea"),
        ("ec29112dd5afa0611ce80d1b7f02629c", 4_542, "27ae3e4e09519cfbb04c329615203637"),
    ),
)
_FASHION = _idx_remotes(
    "FashionMNIST/raw",
    ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    (
        ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880, "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
        ("25c81989df183df01b3e8a0aad5dffbe", 29_515, "9018921c3c673c538a1fc5bad174d6f9"),
        ("bef4ecab320f06d8554ea6380940ec79", 4_422_102, "8181f5470baa50b63fa0f6fddb340f0a"),
        ("bb300cfdad3c16e7a12a480ee83cd310", 5_148, "15d484375f8d13e6eb1aabb0c3f46965"),
    ),
)
_SVHN = tuple(
    Remote(name, md5, (f"http://ufldl.stanford.edu/housenumbers/{name}",), size_bytes)
    for name, md5, size_bytes in (
        ("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", 182_040_794),
        ("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", 64_275_384),
    )
)


@dataclass(frozen=True)
class Known:
    """A dataset whose files are the same everywhere.

    read: gets a function from a file's name to its checked content, and returns the splits.
    """

    name: str
    remotes: tuple[Remote, ...]
    shape: ImageShape
    classes: int
    train: int
    test: int
    read: Callable[[Callable[[str], bytes]], Splits]

    def source(self, folder: Path) -> Source:
        """Return the source that keeps its files in this data folder."""
        files = {name: md5 for remote in self.remotes for name, md5 in remote.files.items()}
        fingerprint = hashlib.sha256(" ".join(files.values()).encode()).hexdigest()[:32]
        facts = DataFacts(fingerprint, self.shape, self.classes, self.train, self.test)

        def pending() -> str:
            lacking = missing(self.remotes, folder)
            absent = [remote for remote in lacking if not present(folder / remote.name)]
            if absent:
                size = megabytes(sum(remote.size_bytes or 0 for remote in absent))
                return f"{self.name} is not in {folder}: {size} to download"
            return f"{self.name} in {folder} is to be unpacked" if lacking else ""

        return Source(
            facts=lambda: facts,
            load=lambda: self.read(lambda name: read_checked(folder / name, files[name])),
            prepare=lambda: obtain(self.remotes, folder),
            pending=pending,
        )


@dataset("digits")
def digits(folder: Path) -> Source:  # noqa: ARG001  # part of the contract; these images are not in the folder
    """Handwritten digits in 8 x 8 grey pixels: 1437 to train and 360 to test, embedded in scikit-learn.

    Grey values 0..16 are spread over 0..255. Every fifth image of each class is for the test; the same
    writers are on both sides. Source: Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten
    Digits", UCI Machine Learning Repository (its test part).
    """
    # Of the arrays below, by `facts_of`; written out because loading them takes a second.
    facts = DataFacts("92ccf4a660978be68dbe9f5ae0f5729e", ImageShape(1, 8, 8), 10, train=1437, test=360)
    return Source(facts=lambda: facts, load=_load_digits)


@dataset("cifar10")
def cifar10(folder: Path) -> Source:
    """CIFAR-10: 32 x 32 colour photographs of 10 kinds of things, 50,000 to train and 10,000 to test.

    Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
    """

    def read(raw: Callable[[str], bytes]) -> Splits:
        stem = "cifar-10-batches-py"
        train = [raw(f"{stem}/data_batch_{number}") for number in range(1, 6)]
        return {"train": parse_cifar(train, "labels"), "test": parse_cifar([raw(f"{stem}/test_batch")], "labels")}

    return Known("cifar10", (_CIFAR10,), ImageShape(3, 32, 32), 10, 50_000, 10_000, read).source(folder)


@dataset("cifar100")
def cifar100(folder: Path) -> Source:
    """CIFAR-100: 32 x 32 colour photographs of 100 kinds of things, 50,000 to train and 10,000 to test.

    Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
    """

    def read(raw: Callable[[str], bytes]) -> Splits:
        return {name: parse_cifar([raw(f"cifar-100-python/{name}")], "fine_labels") for name in ("train", "test")}

    return Known("cifar100", (_CIFAR100,), ImageShape(3, 32, 32), 100, 50_000, 10_000, read).source(folder)


@dataset("mnist")
def mnist(folder: Path) -> Source:
    """MNIST: handwritten digits in 28 x 28 grey pixels, 60,000 to train and 10,000 to test.

    Source: LeCun et al. 1998, "Gradient-Based Learning Applied to Document Recognition".
    """
    read = _idx_reader("MNIST/raw")
    return Known("mnist", _MNIST, ImageShape(1, 28, 28), 10, 60_000, 10_000, read).source(folder)


@dataset("fashion-mnist")
def fashion_mnist(folder: Path) -> Source:
    """Fashion-MNIST: pieces of clothing in 28 x 28 grey pixels, 60,000 to train and 10,000 to test.

    Source: Xiao et al. 2017, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms".
    """
    read = _idx_reader("FashionMNIST/raw")
    return Known("fashion-mnist", _FASHION, ImageShape(1, 28, 28), 10, 60_000, 10_000, read).source(folder)


@dataset("svhn")
def svhn(folder: Path) -> Source:
    """SVHN: 32 x 32 colour photographs of house numbers by their middle digit, 73,257 to train and 26,032 to test.

    Without the `extra` images. Source: Netzer et al. 2011, "Reading Digits in Natural Images with
    Unsupervised Feature Learning".
    """

    def read(raw: Callable[[str], bytes]) -> Splits:
        return {name: parse_svhn(raw(f"{name}_32x32.mat")) for name in ("train", "test")}

    return Known("svhn", _SVHN, ImageShape(3, 32, 32), 10, 73_257, 26_032, read).source(folder)


@dataset("image-folder")
def image_folder(folder: Path, *, root: str, size: Side = 32) -> Source:
    """Your own images, as root/train/CLASS/*.png or *.jpg, with val and test folders beside train where you have them.

    root: the folder that holds `train`; a relative path starts at the working folder.
    size: side in pixels; the shorter side of each image is scaled to it, and the middle of the longer kept.
    Images become RGB. They are decoded once and kept under the data folder (3 x size x size bytes each),
    and all of them are held in memory while training.
    """
    from ablate.training import imagefolder

    return imagefolder.image_folder(Path(root).expanduser().resolve(), folder, size)


def parse_cifar(parts: list[bytes], key: str) -> Split:
    """Read CIFAR's pickles; `key` names their list of labels."""
    import numpy as np

    # As bytes: these are Python 2's strings, and pixels taken for text would cost seconds.
    batches = [_ArrayUnpickler(io.BytesIO(part), encoding="bytes").load() for part in parts]
    images = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32)
    return Split(images, np.concatenate([np.array(batch[key.encode()], np.int64) for batch in batches]))


class _ArrayUnpickler(pickle.Unpickler):
    """Reads numpy arrays, numbers, texts, lists and dicts, and refuses whatever else a pickle could name."""

    def find_class(self, module: str, name: str) -> Any:
        import numpy as np

        def dtype(code: Any, align: int = 0, copy: int = 0) -> Any:
            # Old pickles hold 0 and 1 here, of which numpy 2.4.0 warns.
            return np.dtype(code, align=bool(align), copy=bool(copy))

        allowed = {"ndarray": np.ndarray, "dtype": dtype, "_reconstruct": np.empty(0).__reduce__()[0]}
        if module not in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray") or name not in allowed:
            raise pickle.UnpicklingError(f"this pickle names {module}.{name}, which no array needs")
        return allowed[name]


def parse_idx(raw: bytes) -> Bytes:
    """Read an array of bytes in the IDX format: its rank is the fourth byte, its lengths are big-endian."""
    import numpy as np

    rank = raw[3]
    lengths = np.frombuffer(raw, ">i4", rank, 4)
    return np.frombuffer(raw, np.uint8, -1, 4 + 4 * rank).reshape(lengths).copy()


def parse_svhn(raw: bytes) -> Split:
    """Read SVHN's MATLAB file: images are (H, W, C, N), and the digit 0 has the label 10."""
    import numpy as np
    from scipy.io import loadmat

    content = loadmat(io.BytesIO(raw), variable_names=("X", "y"))
    labels = content["y"].reshape(-1).astype(np.int64)
    return Split(np.ascontiguousarray(content["X"].transpose(3, 2, 0, 1)), labels % 10)


def _idx_reader(place: str) -> Callable[[Callable[[str], bytes]], Splits]:
    def read(raw: Callable[[str], bytes]) -> Splits:
        import numpy as np

        arrays = [parse_idx(raw(f"{place}/{name}")) for name in _IDX]
        train, train_labels, test, test_labels = arrays
        return {
            "train": Split(train[:, None], train_labels.astype(np.int64)),
            "test": Split(test[:, None], test_labels.astype(np.int64)),
        }

    return read


def _load_digits() -> Splits:
    import numpy as np
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    images = np.rint(pixels * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    for_test = np.zeros(len(labels), bool)
    for_test[np.argsort(labels, kind="stable")[::5]] = True
    return {
        name: Split(images[chosen], labels[chosen].astype(np.int64))
        for name, chosen in (("train", ~for_test), ("test", for_test))
    }
