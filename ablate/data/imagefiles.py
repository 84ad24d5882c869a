"""What is in a folder of images: its classes, the images of each split, and what is left out and why.

    ROOT/train/CLASS/**    the classes are the folders here, in the order of their names
    ROOT/val, ROOT/test    optional, with the same classes; `validation` stands for `val` too, and case does not matter
or  ROOT/CLASS/**          the study cuts its splits out of all images

Folders inside the folder of a class are searched too, and links are followed. Names may be any bytes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..components.datasets import LeftOut
from ..errors import DataError, listing, printable
from .disk import on_disk
from .listed import NO_IMAGES, File, Listing, files_error, stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LAYOUT = (
    "accepts ROOT/train/CLASS/IMAGES, and beside train optionally val (or validation) and test; or ROOT/CLASS/IMAGES, "
    "cut by the study\n  a relative root starts at the study file"
)
_FOLDERS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
_LIKE_SPLITS = {"training", "val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation", "holdout"}
_OF_SYSTEMS = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}
_CODECS = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}


def list_images(root: Path) -> Listing:
    """List an image folder. Raises DataError if its layout is not accepted, or files cannot be read."""
    with on_disk(root, "name another folder with the dataset's setting 'root'"):
        if not root.is_dir():
            raise DataError(f"image-folder: {_text(root)} is not a folder\n  {LAYOUT}")
        found = _Found(root)
        places = _split_folders(root, found)
        classes = tuple(sorted(_subfolders(places["train"]), key=os.fsencode))
        if len(classes) < 2:
            raise DataError(
                f"image-folder: {_text(places['train'])} has too few classes: {_names(classes) or 'none'}\n  {LAYOUT}"
            )
        files = {split: found.split(place, classes) for split, place in places.items()}
    if found.unseen:
        raise files_error(f"image-folder: {_text(root)}", "cannot be read", found.unseen)
    for label, name in enumerate(classes):
        if all(file.label != label for file in files["train"]):
            place = places["train"] / name
            inside = [each for each in found.left_out() if each.place == found.name(place)]
            holds = f"; it holds {listing(f'{each.files:,} {each.why}' for each in inside)}" if inside else ""
            raise DataError(f"image-folder: {_text(place)} holds no image{holds}\n  {LAYOUT}")
    for split, inside_split in files.items():
        if not inside_split:
            raise DataError(f"image-folder: {_text(places[split])} holds no image\n  {LAYOUT}")
    names = tuple(printable(name) for name in classes)
    return Listing(names, files, tuple(found.left_out()), found.digest.hexdigest())


@lru_cache(maxsize=1)
def suffixes() -> tuple[frozenset[str], frozenset[str]]:
    """Return the suffixes of images that Pillow reads, and of those that it would read with another codec."""
    from PIL import Image, features

    Image.init()
    lacking = {kind for kind, codec in _CODECS.items() if not features.check(codec)}
    opened = {
        suffix: kind
        for suffix, kind in Image.registered_extensions().items()
        if (kind in Image.OPEN or kind == "MPO") and kind not in NO_IMAGES
    }
    return (
        frozenset(suffix for suffix, kind in opened.items() if kind not in lacking),
        frozenset(suffix for suffix, kind in opened.items() if kind in lacking),
    )


@dataclass
class _Found:
    """What was found so far below a root: its digest, what is left out, and files that cannot be read."""

    root: Path
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    unseen: dict[str, str] = field(default_factory=dict)
    _left: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.digest.update(os.fsencode(self.root) + b"\0")

    def name(self, place: Path) -> str:
        """Return how messages name a place: by its path below the root."""
        return printable(place.relative_to(self.root).as_posix())

    def leave_out(self, place: Path, why: str) -> None:
        """Count a file, or a folder, that is left out of a place."""
        self._left[self.name(place), why] += 1

    def left_out(self) -> Iterator[LeftOut]:
        """Yield what was left out, by place."""
        return (LeftOut(place, why, count) for (place, why), count in sorted(self._left.items()))

    def split(self, place: Path, classes: Sequence[str]) -> list[File]:
        """List one split's images in order, and add them to the digest."""
        strange = sorted(set(_subfolders(place)) - set(classes))
        if strange:
            raise DataError(
                f"image-folder: {_text(place)} has classes that train lacks: {_names(strange)}\n"
                f"  train has {_names(classes)}"
            )
        for entry in _entries(place):
            if entry.name not in classes and _is_image(entry.name) and not _passed_over(entry.name):
                self.leave_out(place, "in no class's folder")
        found: list[tuple[Path, int, str]] = []
        for label, name in enumerate(classes):
            if (place / name).is_dir():
                found += [(path, label, stamp) for path, stamp in self._walk(place / name, place / name, ())]
        for path, label, stamp in found:
            self.digest.update(os.fsencode(path.relative_to(self.root)) + f"\0{label} {stamp}\0".encode())
        return [File(path, label, stamp) for path, label, stamp in found]

    def _walk(self, folder: Path, top: Path, above: tuple[tuple[int, int], ...]) -> Iterator[tuple[Path, str]]:
        """Yield the images in a folder and in its subfolders. above: the folders that it is in."""
        here = _number(folder.stat())
        if here in above:
            self.leave_out(top, "link to a folder that it is in")
            return
        for entry in _entries(folder):
            path = folder / entry.name
            passed_over = _passed_over(entry.name)
            if passed_over:
                self.leave_out(top, passed_over)
                continue
            try:
                status = entry.stat()
            except OSError as error:  # such as a broken link
                self._not_seen(path, top, error)
                continue
            if stat.S_ISDIR(status.st_mode):
                yield from self._walk(path, top, (*above, here))
            elif not stat.S_ISREG(status.st_mode):
                self.leave_out(top, "no regular file")
            elif _is_image(entry.name):
                yield path, stamp_of(status)
            else:
                self.leave_out(top, _why_not(path.suffix))

    def _not_seen(self, path: Path, top: Path, error: OSError) -> None:
        if _is_image(path.name):
            self.unseen[str(path)] = error.strerror or str(error)
        else:
            self.leave_out(top, _why_not(path.suffix))


def _split_folders(root: Path, found: _Found) -> dict[str, Path]:
    """Return the folder of each split; for `train` the root itself, if it only has folders of classes."""
    folders = _subfolders(root)
    present = {split: [n for n in folders if n.casefold() in names] for split, names in _FOLDERS.items()}
    if not present["train"]:
        beside = _names(sorted(entry.name for entry in _entries(root))) or "nothing"
        odd = [name for name in folders if name.casefold() in _LIKE_SPLITS]
        if odd or not folders:
            hint = f"\n  {_names(odd)} would be taken for classes: rename them to train, val and test" if odd else ""
            raise DataError(f"image-folder: {_text(root)} has no folder 'train'; it holds {beside}{hint}\n  {LAYOUT}")
        return {"train": root}
    for split, names in present.items():
        if len(names) > 1:
            raise DataError(
                f"image-folder: {_text(root)} has both {' and '.join(map(repr, sorted(names)))}, each for {split}\n"
                "  move one of them away"
            )
    splits = {split: root / names[0] for split, names in present.items() if names}
    for name in folders:
        if root / name not in splits.values():
            found.leave_out(root / name, f"folder beside {splits['train'].name}")
    return splits


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: os.fsencode(entry.name))


def _subfolders(place: Path) -> list[str]:
    return [entry.name for entry in _entries(place) if not _passed_over(entry.name) and entry.is_dir()]


def _passed_over(name: str) -> str:
    """Return why a file or folder is skipped whatever it holds, or an empty string."""
    if name.startswith("."):
        return "hidden"
    return "of the operating system" if name.casefold() in _OF_SYSTEMS else ""


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in suffixes()[0]


def _why_not(suffix: str) -> str:
    """Say why a file with this suffix is left out."""
    suffix = printable(suffix.lower())
    if suffix in suffixes()[1]:
        return f"{suffix}, which the Pillow installed here lacks the codec for"
    return suffix if 1 < len(suffix) <= 12 else "without a suffix that is known"


def _number(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _names(names: Sequence[str]) -> str:
    return printable(listing(names))


def _text(path: Path | str) -> str:
    return printable(str(path))
