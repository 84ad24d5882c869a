"""Calls that leave the caller's process as it was."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from ..components.importer import imports_isolated

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Put back afterwards what plugins change where they are imported: modules, the path, environment variables."""
    before = dict(os.environ)
    try:
        with imports_isolated():
            yield
    finally:
        for name in {*before, *os.environ}:
            if name not in before:
                del os.environ[name]
            elif os.environ.get(name) != before[name]:
                os.environ[name] = before[name]
