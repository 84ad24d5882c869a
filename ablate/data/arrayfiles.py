"""Images that are kept as NumPy arrays: an .npz file, or a folder of .npy files, which are mapped where that can be.

Which array is what is told by its name: the word `images` or `labels` (or x and y), with the split before or after it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..components.datasets import LeftOut, Source, Split, facts_of
from ..errors import ComponentError, DataError, listing, printable
from ..paths import arrays_dir
from .ahead import in_memory
from .arraychecks import Channels, checked_groups, checked_images, checked_labels
from .arrays import can_be_written, keep_arrays, kept_facts, kept_groups, kept_labels
from .disk import ANOTHER_FOLDER, locked, on_disk
from .listed import SPLIT_NAMES, stamp_of
from .parts import mapped, unpacked
from .progress import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ..components.datasets import DataFacts

    Array = np.ndarray[Any, Any]
    Named = tuple[str, Array]

FORM = (
    "accepts an .npz file or a folder of .npy files, with train_images and train_labels (or x_train and y_train) and\n"
    "  optionally those of val and test; or with images and labels, cut by the study"
)
GROUP = "group"
_KINDS = {**dict.fromkeys(("images", "image", "x"), "images"), **dict.fromkeys(("labels", "label", "y"), "labels")}
_DAMAGED = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)  # the last of one with a password


def array_source(path: Path, folder: Path, *, channels: Channels = "auto", group: str = GROUP) -> Source:
    """Return arrays of images and labels as a source.

    path: an .npz file, or a folder of .npy files, which may also stand one folder further down. folder: ablate's data
    folder, for what is known of them. channels: where they stand in an image's shape; "auto" sees 1, 3 and 4.
    group: the word that names the array of each image's group, which may be missing if it is "group"; "" for none.
    Nothing is unpickled. The source's functions raise DataError for what is no dataset.
    """
    arrays = _Arrays(path, folder, channels, group)
    return Source(arrays.facts, arrays.load)


@dataclass(frozen=True)
class _Arrays:
    path: Path
    folder: Path
    channels: Channels
    group: str

    @property
    def head(self) -> str:
        return f"arrays: {printable(str(self.path))}"

    @cached_property
    def files(self) -> list[Path]:
        """Return the files that hold arrays."""
        with on_disk(self.path, "name another file or folder with the dataset's setting 'path'"):
            if not self.path.is_dir():
                self.path.stat()
                return [self.path]
            found = [*self.path.glob("*.npy"), *self.path.glob("*/*.npy")]
            there = sorted(entry.name for entry in self.path.iterdir())
        if not found:
            raise DataError(
                f"{self.head} holds no .npy file; it holds {printable(listing(there)) or 'nothing'}\n  {FORM}"
            )
        return sorted(found)

    @cached_property
    def digest(self) -> str:
        """Return a hash of how the files are read, and of what shows that they are others."""
        return self._digest()

    def _digest(self) -> str:
        digest = hashlib.sha256(repr((self.channels, self.group)).encode())
        with on_disk(self.path):
            for file in self.files:
                digest.update(os.fsencode(file) + f"\0{stamp_of(file.stat())}\0".encode())
        return digest.hexdigest()[:32]

    def facts(self) -> DataFacts:
        """Return what is known of the arrays; that is kept, so that they are hashed once until they change."""
        places = [place / self.digest for place in self._places]
        for place in places:
            with contextlib.suppress(OSError, ValueError, EOFError):
                kept = kept_facts(place)
                if kept is not None:
                    return replace(kept, labels=kept_labels(place, kept), groups=kept_groups(place, kept))
        splits, facts = self._read()
        if self._digest() != self.digest:
            raise DataError(f"{self.head} changed while it was read\n  run the command again")
        for place in [place for place in places if can_be_written(place.parent)][:1]:
            with contextlib.suppress(OSError), locked(place, f"reads {printable(str(self.path))}"):
                keep_arrays(splits, facts, place, images=False)
        return facts

    def load(self) -> Mapping[str, Split]:
        """Return the splits, with images that are mapped where they lie as a run needs them."""
        return self._splits()[0]

    def _read(self) -> tuple[dict[str, Split], DataFacts]:
        splits, names, unused = self._splits()
        try:
            facts = facts_of(splits)
        except ComponentError as error:
            raise DataError(f"{self.head}: {error}") from error
        left_out = (LeftOut(printable(self.path.name), "arrays of other names", len(unused)),) if unused else ()
        return splits, replace(facts, names=tuple(map(printable, names)), left_out=left_out)

    def _splits(self) -> tuple[dict[str, Split], tuple[str, ...], list[str]]:
        """Return the splits, the names of the classes where labels are texts, and the arrays that are not used."""
        arrays, unused = self._arrays()
        self._check_complete(arrays, unused)
        names: tuple[str, ...] = ()
        found: dict[str, Split] = {}
        for split in ("train", "validation", "test"):
            if (split, "images") in arrays:
                images = checked_images(*self._called(arrays[split, "images"]), self.channels)
                labels, names = checked_labels(*self._called(arrays[split, "labels"]), len(images), names)
                of = arrays.get((split, GROUP))
                found[split] = Split(images, labels, checked_groups(*self._called(of), len(images)) if of else None)
        if len(np.unique(found["train"].labels)) < 2:
            raise DataError(f"{self.head}: all training images are of one class")
        return found, names, unused

    def _check_complete(self, arrays: Mapping[tuple[str, str], Named], unused: list[str]) -> None:
        there = printable(listing([*(name for name, _ in arrays.values()), *unused])) or "no array"
        splits = {split for split, _ in arrays} | {"train"}
        grouped = {split for split, kind in arrays if kind == GROUP}
        for split in sorted(splits):
            for kind in ("images", "labels"):
                if (split, kind) not in arrays:
                    raise DataError(f"{self.head} has no array of {kind} for {split}; it has {there}\n  {FORM}")
            if split not in grouped and (grouped or self.group not in ("", GROUP)):
                lacking = f"has no array '{printable(self.group)}' for {split}; it has {there}"
                raise DataError(f'{self.head} {lacking}\n  group = "" does without groups')

    def _called(self, named: Named) -> Named:
        """Return an array with what messages call it."""
        return f"{self.head}: {printable(named[0])}", named[1]

    def _arrays(self) -> tuple[dict[tuple[str, str], Named], list[str]]:
        """Return each array that is used with its name, by split and kind, and the names of the others."""
        used: dict[tuple[str, str], Named] = {}
        unused: list[str] = []
        with contextlib.ExitStack() as opened:
            for name, array in self._opened(opened).items():
                what = self._meant(name)
                if what is None:
                    unused.append(name)
                    continue
                if what in used:
                    both = f"{printable(used[what][0])} and {printable(name)}"
                    raise DataError(f"{self.head} has two arrays for the {what[1]} of {what[0]}: {both}")
                with self._reading(name):
                    used[what] = name, array()
        return used, unused

    def _opened(self, opened: contextlib.ExitStack) -> dict[str, Callable[[], Array]]:
        """Return by name what reads each array."""
        if self.path.is_dir():
            names = {file.relative_to(self.path).with_suffix("").as_posix(): file for file in self.files}
            return {name: partial(mapped, file) for name, file in names.items()}
        with self._reading(self.path.name):
            # Opened here, since numpy does not close an archive that turns out to be damaged.
            found = np.load(opened.enter_context(self.path.open("rb")), allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise DataError(f"{self.head} is one array\n  {FORM}")
        archive = opened.enter_context(found)
        return {name: partial(self._unpacked, archive, name) for name in archive}

    def _unpacked(self, archive: np.lib.npyio.NpzFile, name: str) -> Array:
        """Return an array of an archive: in memory, or mapped where it does not fit there."""
        packed = archive.zip
        assert packed is not None  # it is open
        sizes = {each.filename: each.file_size for each in packed.infolist()}
        member = f"{name}.npy"
        if in_memory(sizes.get(member, 0)):
            found: Array = archive[name]
            return found
        place = next((place for place in self._places if can_be_written(place)), None)
        if place is None or (free := shutil.disk_usage(place).free) < sizes[member]:
            room = f"{megabytes(free)} free in {place}" if place else "no folder for it can be written"
            need = f"{printable(name)} takes {megabytes(sizes[member])}, more than memory can keep"
            raise DataError(f"{self.head}: {need}, and there is {room}\n  free some space, or {ANOTHER_FOLDER}")
        return unpacked(packed, member, place)

    @property
    def _places(self) -> list[Path]:
        """Return where something may be kept, the best place first."""
        return [folder / "arrays" for folder in (self.folder, arrays_dir())]

    def _meant(self, name: str) -> tuple[str, str] | None:
        """Return which split and kind of array a name stands for; None where it stands for none."""
        words = _words(name)
        splits = [word for word in words if word in SPLIT_NAMES]
        rest = [word for word in words if word not in SPLIT_NAMES]
        split = SPLIT_NAMES[splits[0]] if splits else "train"
        if len(splits) > 1 or not rest:
            return None
        group = _words(self.group)
        if group and rest in (group, [*group[:-1], f"{group[-1]}s"]):
            return split, GROUP
        kind = _KINDS.get(rest[0]) if len(rest) == 1 else None
        return (split, kind) if kind else None

    @contextlib.contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Turn what NumPy raises of a file into a DataError."""
        with on_disk(self.path):
            try:
                yield
            except _DAMAGED as error:
                text = str(error)
                if "pickle" in text or "Python objects" in text:
                    text = "holds Python objects, which are never read: save numbers, or texts as numpy.array(texts)"
                raise DataError(f"{self.head}: {printable(name)}: {text or type(error).__name__}") from error


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", name.casefold()) if word]
