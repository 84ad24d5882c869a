"""Images that do not fit into memory: what decides, and how the next batch is read while one is trained on."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..host import free_bytes
from .progress import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    Array = np.ndarray[Any, Any]

MOST_OF_MEMORY = 0.5
"""Images that take more of the free memory are read from the disk again and again: the system keeps files in what is
free, and the model and other runs need the rest."""
AHEAD = 2
"""How many batches are gathered before they are asked for."""
T = TypeVar("T")
R = TypeVar("R")


def in_memory(size: int) -> bool:
    """Tell whether so many bytes of images stay in memory once they were read from their file.

    It decides how images are read, and never which numbers come out: either way they stay in a file that is mapped.
    """
    free = free_bytes()
    return free is None or size <= MOST_OF_MEMORY * free


def read_again(size: int) -> str:
    """Say that so many bytes of images do not stay in memory; empty where they do."""
    if in_memory(size):
        return ""
    free = megabytes(free_bytes() or 0)
    return (
        f"{megabytes(size)} of training images, more than {MOST_OF_MEMORY:.0%} of the free memory ({free}): each batch "
        "is read from the disk, while the one before it is trained on"
    )


def ahead(work: Callable[[T], R], given: Iterable[T]) -> Iterator[R]:
    """Yield what `work` makes of each thing that is given, made by a thread a little before it is asked for."""
    waiting: deque[Future[R]] = deque()
    worker = ThreadPoolExecutor(1, "ablate-ahead")
    try:
        for one in given:
            waiting.append(worker.submit(work, one))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        worker.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Pages:
    """Where images lie in a file: the first one, and how many bytes each has."""

    file: Path
    first: int
    each: int

    @classmethod
    def of(cls, images: Array) -> Pages | None:
        """Return where mapped images (N, C, H, W) lie; None where they are not mapped, or not one after another."""
        if not isinstance(images, np.memmap) or not images.flags.c_contiguous or images.filename is None:
            return None
        return cls(Path(images.filename), int(images.offset), images[0].nbytes)

    def announce(self, rows: Array) -> None:
        """Have the system fetch these images, many at a time and in their order on the disk."""
        if hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError), self.file.open("rb") as file:  # the map is there without it
                for row in np.sort(rows).tolist():
                    os.posix_fadvise(file.fileno(), self.first + row * self.each, self.each, os.POSIX_FADV_WILLNEED)
