"""Encoded images as a dataset: decoded once, kept as arrays, named by a hash of their pixels.

The arrays are kept in the data folder, or in the user's cache if that cannot be written, as `USE/HASH`: first a hash of
the root and the size, then of the files' names, sizes, times of change and numbers on the disk, so that only changed
files are decoded again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..components.datasets import Source, Split, facts_of, groups_of
from ..errors import ComponentError, DataError, printable
from ..paths import arrays_dir
from .arrays import can_be_written, finish, images_file, kept_arrays, kept_facts, kept_groups, kept_labels, making
from .disk import ANOTHER_FOLDER, locked, on_disk
from .listed import File, Listing, files_error
from .parts import at_a_time, mapped, write_images
from .progress import Progress, megabytes, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np

    from ..components.datasets import DataFacts
    from .imagedecode import Pixels

_FILES = "files.json"
_ROOT_DIGITS, _DIGITS = 12, 32
_UNREADABLE = (OSError, ValueError, EOFError)
_UNFINISHED = "0" * (_DIGITS - _ROOT_DIGITS)


@dataclass(frozen=True)
class Decoded:
    """Encoded images as a dataset of RGB images of `size` x `size`.

    use: the name of the dataset's component. root: what messages call the data, and where it is. folder: ablate's data
    folder. find: lists the images; raises DataError for what cannot be accepted. columns: the settings that decide what
    is listed, so that what another study lists of the same root is kept beside it.
    """

    use: str
    root: Path
    folder: Path
    size: int
    find: Callable[[], Listing]
    columns: tuple[str, ...] = ()

    @property
    def source(self) -> Source:
        """Return it as a dataset's source."""
        return Source(self.facts, self.load, self.prepare, self.pending)

    @cached_property
    def listing(self) -> Listing:
        """Return what there is, listed once."""
        return self.find()

    @cached_property
    def kept(self) -> Path:
        """Return where the arrays are, or are going to be."""
        from .imagedecode import DECODING

        named = b"".join(b"\0" + column.encode(errors="surrogateescape") for column in self.columns)
        family = hashlib.sha256(f"{DECODING} {self.size} ".encode() + os.fsencode(self.root) + named).hexdigest()
        name = (family[:_ROOT_DIGITS] + self.listing.digest)[:_DIGITS]
        # Never among the images themselves, where they would look like a class.
        own = [self.folder] if self.root not in (self.folder, *self.folder.parents) else []
        places = [folder / self.use for folder in (*own, arrays_dir())]
        there = [place / name for place in places if kept_facts(place / name)]
        return there[0] if there else next((p for p in places if can_be_written(p)), places[-1]) / name

    def pending(self) -> str:
        """Say how many images there are to decode."""
        if kept_facts(self.kept):
            return ""
        room = megabytes(self.listing.count * 3 * self.size**2)
        what = f"{self.listing.count:,} images in {printable(str(self.root))}"
        return f"{what} to decode to {self.size} x {self.size}, {room} on disk"

    def prepare(self) -> None:
        """Decode what is not decoded yet."""
        if not kept_facts(self.kept):
            with self._locked():
                if not kept_facts(self.kept):
                    self._make()

    def facts(self) -> DataFacts:
        """Return what is known of the images; decodes them first."""
        self.prepare()
        facts = kept_facts(self.kept)
        if facts is None:
            raise DataError(f"{self.kept}: was removed while it was read\n  run the command again")
        with contextlib.suppress(*_UNREADABLE):  # labels are checked before anything is trained on them
            facts = replace(facts, labels=kept_labels(self.kept, facts), groups=kept_groups(self.kept, facts))
        if (
            self.listing.grouped and facts.groups.keys() != facts.sizes.keys()
        ):  # they decide the cut, so that no plan can do without
            splits = self.load()
            labels = {name: split.labels for name, split in splits.items()}
            return replace(facts, labels=labels, groups=groups_of(splits))
        return facts

    def load(self) -> Mapping[str, Split]:
        """Map the decoded images, and decode them again where they are damaged."""
        self.prepare()
        found = kept_arrays(self.kept)
        if found is not None:
            return found
        say(f"{self.kept}: the decoded images are damaged; decoding them again")
        with self._locked():
            return kept_arrays(self.kept) or self._make()

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return locked(self.kept, f"decodes {printable(str(self.root))}")

    def _make(self) -> Mapping[str, Split]:
        """Decode what was not decoded before, and keep everything."""
        self._check_room()
        known = self._decoded_before()
        splits: dict[str, Split] = {}
        damaged: dict[str, str] = {}
        stamps: dict[str, list[str]] = {}
        with on_disk(self.kept), making(self.kept) as folder:
            for name, files in self.listing.files.items():
                odd: dict[int, str] = {}
                blocks = self._decoded(name, files, known, odd)
                write_images(images_file(folder, name), (3, self.size, self.size), blocks)
                sound = [file for index, file in enumerate(files) if index not in odd]
                splits[name] = _split(mapped(images_file(folder, name)), sound)
                damaged |= {self._called(files[index]): why for index, why in sorted(odd.items())}
                stamps[name] = [file.stamp for file in sound]
            if damaged:
                with contextlib.suppress(ComponentError):  # no image is left of a class, or none to train on
                    place = self.kept.with_name(self.kept.name[:_ROOT_DIGITS] + _UNFINISHED)
                    self._finish(folder, splits, place, stamps)
                raise files_error(f"{self.use}: {printable(str(self.root))}", "cannot be decoded", damaged)
            if self.find().digest != self.listing.digest:
                raise DataError(
                    f"{self.use}: {printable(str(self.root))} changed while it was decoded\n  run the command again"
                )
            self._finish(folder, splits, self.kept, stamps)
        for other in self._others():
            shutil.rmtree(other, ignore_errors=True)
        return splits

    def _check_room(self) -> None:
        """Raise DataError where the decoded images do not fit on the disk: it would be full hours later."""
        need = self.listing.count * 3 * self.size**2
        with on_disk(self.kept):
            free = shutil.disk_usage(self.kept.parent).free
        if need > free:
            raise DataError(
                f"{self.use}: {printable(str(self.root))}: {self.listing.count:,} images "
                f"of {self.size} x {self.size} take {megabytes(need)}, and "
                f"{printable(str(self.kept.parent))} has {megabytes(free)} free\n"
                f"  free some space, take a smaller size, or {ANOTHER_FOLDER}"
            )

    def _decoded(
        self, name: str, files: Sequence[File], known: Mapping[str, tuple[Pixels, int]], odd: dict[int, str]
    ) -> Iterator[Pixels]:
        """Yield the images of a split in parts, without those that cannot be decoded.

        odd: is given the reasons for those, by index.
        """
        import numpy as np

        from .imagedecode import decode_all

        before, new = 0, sum(file.stamp not in known for file in files)
        step = at_a_time(3 * self.size**2)
        with Progress(f"decoding {printable(self.root.name)}/{name}", new, "{:,} images".format) as progress:
            for start in range(0, len(files), step):
                some = files[start : start + step]
                fresh = [index for index, file in enumerate(some) if file.stamp not in known]

                def tell(done: int, before: int = before) -> None:
                    progress.to(before + done)

                decoded, wrong = decode_all([some[index].path for index in fresh], self.size, tell)
                before += len(fresh)
                images = decoded
                if len(fresh) < len(some):
                    images = np.empty((len(some), *decoded.shape[1:]), np.uint8)
                    images[fresh] = decoded
                for index, file in enumerate(some):
                    if file.stamp in known:
                        earlier, row = known[file.stamp]
                        images[index] = earlier[row]
                out = {fresh[place] for place in wrong}
                odd.update({start + fresh[place]: why for place, why in wrong.items()})
                yield images[[index for index in range(len(some)) if index not in out]] if out else images

    def _finish(self, folder: Path, splits: Mapping[str, Split], place: Path, stamps: Mapping[str, Any]) -> None:
        facts = replace(facts_of(splits), names=self.listing.classes, left_out=self.listing.left_out)
        finish(folder, splits, facts, place, {_FILES: json.dumps(stamps)})

    def _called(self, file: File) -> str:
        if file.called or not isinstance(file.path, Path):
            return file.called
        return str(file.path.relative_to(self.root))

    def _others(self) -> list[Path]:
        """Return what else is kept of this root in this size: its earlier states."""
        family = self.kept.name[:_ROOT_DIGITS]
        found = [place for place in self.kept.parent.glob(f"{family}*") if len(place.name) == _DIGITS]
        return [place for place in found if place != self.kept]

    def _decoded_before(self) -> dict[str, tuple[Pixels, int]]:
        """Return where the pixels are of files that were decoded before, by stamp: the array, and the row in it."""
        known: dict[str, tuple[Pixels, int]] = {}
        for place in self._others():
            splits = kept_arrays(place)
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stamps = json.loads((place / _FILES).read_text(encoding="utf-8"))
                for name, split in (splits or {}).items():
                    rows = zip(stamps.get(name, ()), range(len(split.labels)), strict=False)
                    known |= {stamp: (split.images, row) for stamp, row in rows}
        return known


def _split(images: Pixels, files: Sequence[File]) -> Split:
    import numpy as np

    return Split(images, np.array([file.label for file in files], np.int64), _groups(files))


def _groups(files: Sequence[File]) -> np.ndarray[Any, Any] | None:
    """Return the groups of images as an array, or None where they have none."""
    import numpy as np

    if not files or files[0].group is None:
        return None
    groups = [file.group for file in files]
    return np.array(groups, np.str_ if isinstance(groups[0], str) else np.int64)
