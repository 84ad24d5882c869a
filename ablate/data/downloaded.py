"""A dataset whose files are the same everywhere: downloaded once, and trusted by their md5s."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ..components.contracts import ImageShape
from ..components.datasets import DataFacts, Source
from .disk import present, read_by_md5
from .download import missing, obtain
from .progress import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ..components.datasets import Split
    from .download import Remote


def downloaded_source(
    name: str,
    remotes: Sequence[Remote],
    folder: Path,
    *,
    shape: ImageShape,
    counts: Mapping[str, Sequence[int]],
    read: Callable[[Callable[[str], bytes]], Mapping[str, Split]],
) -> Source:
    """Return a dataset that is downloaded once and read from files that are checked by md5.

    Its facts are known without the files: the fingerprint is a hash of the md5s.

    name: what messages call it. remotes: the files. folder: ablate's data folder, as the dataset's function gets it.
    shape: channels, height and width of the images. counts: the images of each class, for "train", "test" and, where
        there is one, "validation".
    read: gets a function from a file's name to its checked bytes, and returns the splits.
    The source's functions raise DataError where a file is absent, damaged or cannot be fetched.
    """
    files = {file: md5 for remote in remotes for file, md5 in remote.files.items()}
    sizes = {split: sum(each) for split, each in counts.items()}
    facts = DataFacts(
        fingerprint=hashlib.sha256(" ".join(files.values()).encode()).hexdigest()[:32],
        shape=ImageShape(*shape),
        classes=len(counts["train"]),
        train=sizes["train"],
        test=sizes.get("test", 0),
        validation=sizes.get("validation", 0),
        counts={split: tuple(each) for split, each in counts.items()},
    )

    def pending() -> str:
        lacking = missing(remotes, folder)
        absent = [remote for remote in lacking if not present(folder / remote.name)]
        if absent:
            size = megabytes(sum(remote.size_bytes or 0 for remote in absent))
            return f"{name} is not in {folder}: {size} to download"
        return f"{name} in {folder} has to be unpacked" if lacking else ""

    return Source(
        facts=lambda: facts,
        load=lambda: read(lambda file: read_by_md5(folder / file, files[file])),
        prepare=lambda: obtain(remotes, folder),
        pending=pending,
    )
