"""A folder of images as a dataset: decoded once, kept as arrays, named by a hash of its pixels.

    ROOT/train/CLASS/*.png|jpg|jpeg     the classes are the folders here, in the order of their names
    ROOT/val or ROOT/validation         optional, same classes
    ROOT/test                           optional, same classes

The arrays are kept under `DATA FOLDER/image-folder/HASH`, where the hash is of the files' names, sizes and
times of change, so that a changed file is decoded anew. A folder with that name is complete.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..components.contracts import DataFacts, ImageShape, Source, Split, facts_of
from ..errors import DataError, listing
from .disk import locked, on_disk
from .progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from PIL.Image import Image

    Pixels = np.ndarray[Any, np.dtype[np.uint8]]

SUFFIXES = (".png", ".jpg", ".jpeg")
_FOLDERS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
_LAYOUT = "accepts ROOT/train/CLASS/*.png|jpg|jpeg, and beside train optionally val (or validation) and test"
_DECODING = "1"  # raised whenever `decode` gives other pixels, so that nothing decoded before is used
_CHUNK = 256


@dataclass(frozen=True)
class Listing:
    """What stands in an image folder: its classes, and for each split its files with their labels.

    `digest` names the files with their sizes and times of change.
    """

    classes: tuple[str, ...]
    files: Mapping[str, Sequence[tuple[Path, int]]]
    digest: str

    @property
    def count(self) -> int:
        """Return the number of images in all splits."""
        return sum(len(files) for files in self.files.values())


def image_folder(root: Path, folder: Path, size: int) -> Source:
    """Return a folder of images as a source of RGB images of `size` x `size`.

    root: the folder that holds `train`; folder: ablate's data folder, for the decoded arrays.
    The source's functions raise DataError for a layout that is not accepted, an image that does not
    decode, and a data folder that cannot be written.
    """
    found = _ImageFolder(root, folder, size)
    return Source(found.facts, found.load, found.prepare, found.pending)


def list_images(root: Path) -> Listing:
    """List an image folder; raises DataError where its layout is not accepted. Hidden files are passed over."""
    with on_disk(root, "name another folder with the dataset's setting 'root'"):
        if not root.is_dir():
            raise DataError(f"image-folder: {root} is not a folder\n  {_LAYOUT}")
        present = {split: [root / n for n in names if (root / n).is_dir()] for split, names in _FOLDERS.items()}
        if not present["train"]:
            beside = listing(sorted(p.name for p in root.iterdir())) or "nothing"
            raise DataError(f"image-folder: {root} has no folder 'train'; it holds {beside}\n  {_LAYOUT}")
        if len(present["validation"]) > 1:
            raise DataError(f"image-folder: {root} has both 'val' and 'validation'\n  move one of them away")
        classes = tuple(_subfolders(present["train"][0]))
        if len(classes) < 2:
            raise DataError(
                f"image-folder: {present['train'][0]} has too few classes: {listing(classes) or 'none'}\n  {_LAYOUT}"
            )
        digest = hashlib.sha256()
        files = {split: _list_split(places[0], classes, digest) for split, places in present.items() if places}
    for label, name in enumerate(classes):
        if all(each != label for _, each in files["train"]):
            raise DataError(
                f"image-folder: {present['train'][0] / name} holds no {', '.join(SUFFIXES)} file\n  {_LAYOUT}"
            )
    return Listing(classes, files, digest.hexdigest())


def decode(path: Path, size: int) -> Pixels:
    """Decode one image to uint8 (3, size, size).

    The shorter side is scaled to `size` (bilinear, with antialiasing) and the middle of the longer is kept.
    The camera's orientation is applied, transparency is ignored, grey becomes RGB, 16 bits become 8.
    Raises DataError naming the file where it is damaged or no image.
    """
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            fitted = ImageOps.fit(_rgb(upright), (size, size), method=Image.Resampling.BILINEAR)
    except Exception as error:
        # Pillow's readers raise nearly any type on a damaged file.
        raise DataError(
            f"{path}: cannot be decoded: {error or type(error).__name__}\n  replace this file, or move it away"
        ) from error
    return np.ascontiguousarray(np.asarray(fitted).transpose(2, 0, 1))


@dataclass(frozen=True)
class _ImageFolder:
    root: Path
    folder: Path
    size: int

    @cached_property
    def listing(self) -> Listing:
        return list_images(self.root)

    @cached_property
    def kept(self) -> Path:
        name = hashlib.sha256(f"{_DECODING} {self.size} {self.listing.digest}".encode()).hexdigest()[:32]
        return self.folder / "image-folder" / name

    def pending(self) -> str:
        if self._is_kept():
            return ""
        return f"{self.listing.count:,} images in {self.root} to decode to {self.size} x {self.size}"

    def prepare(self) -> None:
        if self._is_kept():
            return
        with locked(self.kept, f"decodes {self.root}"):
            if not self._is_kept():
                self._keep({name: self._decode(name, files) for name, files in self.listing.files.items()})

    def facts(self) -> DataFacts:
        self.prepare()
        try:
            with on_disk(self.kept):
                plain = json.loads((self.kept / "facts.json").read_text(encoding="utf-8"))
            return DataFacts(**{**plain, "shape": ImageShape(*plain["shape"])})
        except (ValueError, TypeError, KeyError) as error:
            raise self._damaged() from error

    def load(self) -> dict[str, Split]:
        import numpy as np

        facts = self.facts()
        splits = {}
        try:
            with on_disk(self.kept):
                for name in self.listing.files:
                    images, labels = (np.load(self.kept / f"{name}-{part}.npy") for part in ("images", "labels"))
                    splits[name] = Split(images, labels)
        except (ValueError, EOFError) as error:
            raise self._damaged() from error
        if facts_of(splits) != facts:
            raise self._damaged()
        return splits

    def _is_kept(self) -> bool:
        with on_disk(self.kept):
            return self.kept.is_dir()

    def _decode(self, name: str, files: Sequence[tuple[Path, int]]) -> Split:
        import numpy as np

        images = np.empty((len(files), 3, self.size, self.size), np.uint8)
        what = f"decoding {self.root.name}/{name}"
        with ThreadPoolExecutor() as pool, Progress(what, len(files), "{:,} images".format) as progress:
            # By chunks, so that an error or Ctrl-C ends it soon; Pillow frees the interpreter while it decodes.
            for start in range(0, len(files), _CHUNK):
                paths = [path for path, _ in files[start : start + _CHUNK]]
                for offset, pixels in enumerate(pool.map(lambda path: decode(path, self.size), paths)):
                    images[start + offset] = pixels
                    progress.to(start + offset + 1)
        return Split(images, np.array([label for _, label in files], np.int64))

    def _keep(self, splits: Mapping[str, Split]) -> None:
        import numpy as np

        making = self.kept.with_name(f"{self.kept.name}.part")
        with on_disk(making):
            shutil.rmtree(making, ignore_errors=True)  # of a process that was killed
            making.mkdir()
            try:
                for name, split in splits.items():
                    np.save(making / f"{name}-images.npy", split.images)
                    np.save(making / f"{name}-labels.npy", split.labels)
                plain = json.dumps(asdict(facts_of(splits)))
                (making / "facts.json").write_text(plain + "\n", encoding="utf-8")
                making.rename(self.kept)
            finally:
                shutil.rmtree(making, ignore_errors=True)

    def _damaged(self) -> DataError:
        return DataError(f"{self.kept}: the decoded images are damaged\n  delete this folder; they are decoded anew")


def _subfolders(place: Path) -> list[str]:
    return sorted(p.name for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))


def _list_split(place: Path, classes: tuple[str, ...], digest: hashlib._Hash) -> list[tuple[Path, int]]:
    """List one split's images in order, and add them to the digest."""
    strange = sorted(set(_subfolders(place)) - set(classes))
    if strange:
        raise DataError(
            f"image-folder: {place} has classes that train lacks: {listing(strange)}\n  train has {listing(classes)}"
        )
    files: list[tuple[Path, int]] = []
    for label, name in enumerate(classes):
        inside = sorted((place / name).iterdir()) if (place / name).is_dir() else []
        for path in inside:
            if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                status = path.stat()
                digest.update(f"{place.name}/{name}/{path.name}\0{status.st_size} {status.st_mtime_ns}\0".encode())
                files.append((path, label))
    if not files:
        raise DataError(f"image-folder: {place} holds no image\n  {_LAYOUT}")
    return files


def _rgb(image: Image) -> Image:
    import numpy as np
    from PIL import Image as Images

    if image.mode.startswith("I"):  # 16 bits: Pillow's own conversion would clip at 255
        image = Images.fromarray(np.rint(np.asarray(image, np.float64) / 257).astype(np.uint8))
    if image.mode == "P":  # a palette with transparency warns unless it goes by way of RGBA
        image = image.convert("RGBA")
    return image.convert("RGB")
