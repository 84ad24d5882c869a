"""Decoding image files of any kind that Pillow reads to pixels of one size."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import DataError
from ..host import granted_bytes
from .listed import NO_IMAGES
from .progress import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .listed import Encoded

    Pixels = np.ndarray[Any, np.dtype[np.uint8]]

DECODING = "2"
"""Changes whenever `decode` changes its pixels, so that nothing decoded earlier is used."""
LARGE = 50_000_000
"""Images with more pixels are decoded one at a time."""
_BYTES_A_PIXEL = 8  # as it is read, and as RGB
_CHUNK = 256
_one_at_a_time = Lock()


def decode_all(paths: Sequence[Encoded], size: int, tell: Callable[[int], None]) -> tuple[Pixels, dict[int, str]]:
    """Decode images to uint8 (N, 3, size, size); return them, and the reasons why some could not be decoded, by index.

    Those are black. tell: called with the number of images done.
    """
    images = np.zeros((len(paths), 3, size, size), np.uint8)
    damaged: dict[int, str] = {}

    def one(index: int) -> None:
        try:
            images[index] = decode(paths[index], size)
        except DataError as error:
            damaged[index] = str(error)

    with any_size(), ThreadPoolExecutor() as pool:
        # By chunks, so that Ctrl-C ends it soon; Pillow frees the interpreter while it decodes.
        for start in range(0, len(paths), _CHUNK):
            for done, _ in enumerate(pool.map(one, range(start, min(start + _CHUNK, len(paths)))), start + 1):
                tell(done)
    return images, damaged


@contextmanager
def any_size() -> Iterator[None]:
    """Let Pillow open images beyond its limit, since only a small copy of each is kept; and hide its warnings."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mostly about metadata, in thousands of files
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Return the formats that are opened: a file's content decides, whatever its suffix says."""
    Image.init()
    return tuple(name for name in Image.ID if name not in NO_IMAGES)


def decode(path: Encoded, size: int) -> Pixels:
    """Decode one image to uint8 (3, size, size).

    The shorter side is scaled to `size` (bilinear, with antialiasing) and the middle of the longer is kept.
    The camera's orientation is applied, transparency is ignored, grey becomes RGB, 16 bits become 8, and of a film
    the first picture is taken. Raises DataError with the reason if it is damaged or no image.
    """
    try:
        with Image.open(path if isinstance(path, Path) else path(), formats=_formats()) as image:
            # A JPEG is decoded at an eighth, a quarter or half of its size if that is still far larger.
            image.draft(None, (4 * size, 4 * size))
            with _one_at_a_time if _pixels(image) > LARGE else nullcontext():
                upright = ImageOps.exif_transpose(image)
                fitted = ImageOps.fit(_rgb(upright), (size, size), method=Image.Resampling.BILINEAR)
    except DataError:
        raise
    except Exception as error:
        # Pillow's readers raise nearly any type on a damaged file.
        reason = "no image that Pillow knows" if isinstance(error, UnidentifiedImageError) else str(error)
        raise DataError(f"cannot be decoded: {reason or type(error).__name__}") from error
    return np.ascontiguousarray(np.asarray(fitted).transpose(2, 0, 1))


def _pixels(image: Image.Image) -> int:
    """Return the number of pixels of an image. Raises DataError if decoding it would take most of the memory."""
    pixels = image.width * image.height
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 2 * _BYTES_A_PIXEL * pixels > min(most, granted_bytes() or most):
        need = f"about {megabytes(_BYTES_A_PIXEL * pixels)} of memory, more than half of what is available"
        raise DataError(f"{image.width:,} x {image.height:,} pixels take {need}")
    return pixels


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits: Pillow's own conversion would clip at 255
        levels = np.asarray(image, np.float64)
        if levels.min() < 0 or levels.max() > 65535:
            raise DataError("its levels are no 8 or 16 bits, so which is white is not known")
        image = Image.fromarray(np.rint(levels / 257).astype(np.uint8))
    if image.mode == "F":
        raise DataError("its levels are floating-point numbers, so which is white is not known")
    if image.mode == "P":  # a palette with transparency warns unless it goes by way of RGBA
        image = image.convert("RGBA")
    return image.convert("RGB")
