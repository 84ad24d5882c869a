"""Arrays of images in files: mapped, and read and written in parts, since they may be larger than memory."""

from __future__ import annotations

import shutil
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np

from ..files import new_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from zipfile import ZipFile

    Array = np.ndarray[Any, Any]
    Pixels = np.ndarray[Any, np.dtype[np.uint8]]

PART_BYTES = 1 << 25
"""About so many bytes of an array are held at a time."""


def mapped(file: Path) -> Array:
    """Map the array of a .npy file that holds no Python objects; nobody can write to it.

    The system refuses a map that could be written to privately where it is larger than the machine's memory.
    """
    found: Array = np.load(file, mmap_mode="r", allow_pickle=False)
    return found


def unpacked(archive: ZipFile, member: str, folder: Path) -> Array:
    """Map an array of an archive, without holding it in memory, from a file that goes with the map.

    member: a .npy file. folder: where there is room for it. Raises OSError, and ValueError for what is no array.
    """
    with TemporaryFile(dir=folder) as file, archive.open(member) as packed:
        shutil.copyfileobj(packed, file, PART_BYTES)
        file.seek(0)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read(file)
        if dtype.hasobject:
            raise ValueError("holds Python objects")
        order: Any = "F" if by_columns else "C"
        # No memmap, which would stand for a file that others can map.
        return np.asarray(np.memmap(file, dtype, "r", file.tell(), shape, order))


def at_a_time(image_bytes: int) -> int:
    """Return how many images of so many bytes make a part."""
    return max(1, PART_BYTES // max(1, image_bytes))


def in_parts(images: Pixels) -> Iterator[Pixels]:
    """Yield images (N, C, H, W) in their order, in parts that are contiguous: what already is, is not copied."""
    step = at_a_time(images[:1].nbytes)
    for start in range(0, len(images), step):
        yield np.ascontiguousarray(images[start : start + step])


def write_images(file: Path, shape: tuple[int, ...], blocks: Iterable[Pixels]) -> None:
    """Write blocks of images (n, C, H, W) one after another into a new .npy file.

    shape: of one image. How many there are need not be known before. Raises OSError.
    """
    count = 0
    with new_file(file) as opened:
        _begin(opened, (0, *shape))
        for block in blocks:
            count += len(block)
            opened.write(np.ascontiguousarray(block).data)
        opened.seek(0)
        _begin(opened, (count, *shape))  # NumPy leaves room for any number of rows, so that this is as long


def _begin(opened: Any, shape: tuple[int, ...]) -> None:
    form = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(opened, form)
