"""The files of the components that a study was run with, and whether they changed, without importing them."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LARGEST_BYTES = 10_000_000
"""No plugin is larger, but a store may name any file as one."""


def digest(content: bytes) -> str:
    """Return a hash of a file's content."""
    return hashlib.sha256(content).hexdigest()[:16]


def changed(sources: Mapping[Path, str]) -> list[Path]:
    """Return the files whose content changed, including those that are gone."""
    return sorted(file for file, before in sources.items() if _content(file) != before)


def _content(file: Path) -> str:
    try:
        # Without waiting if it is a pipe.
        with os.fdopen(os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as opened:
            regular = stat.S_ISREG(os.fstat(opened.fileno()).st_mode)
            return digest(opened.read(LARGEST_BYTES)) if regular else ""
    except (OSError, ValueError):
        return ""
