"""Imported last by the fork server (Linux): what every run would do anew is done once, before the first is forked."""

from __future__ import annotations

import contextlib
import gc

from ..components.contracts import KINDS
from ..components.discover import discover


def _known() -> None:
    """Read the plugins: what is read of a file stays known by path, size and time, and a run reads what has changed."""
    registry = discover()
    for kind in KINDS:
        for found in (*registry.entries(kind), *registry.libraries(kind)):
            with contextlib.suppress(Exception):  # a run that needs it tells
                _ = found.source  # type: ignore[attr-defined]  # both have one


with contextlib.suppress(Exception):  # a plugin may raise anything, and the command tells of it
    _known()
# A run's garbage collector would look through all that the server has loaded, and copy each page of it to do so.
gc.freeze()
