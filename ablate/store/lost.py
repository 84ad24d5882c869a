"""Results that a store had and has no more, as far as anything in it still tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import counted
from ..paths import shown
from .documents import read_document

if TYPE_CHECKING:
    from collections.abc import Collection

    from .store import Store


def lost(store: Store, keys: Collection[str]) -> str:
    """Say that runs of a study which were planned, and had results perhaps, are gone from its store; "" if none is.

    keys: of the runs that the study's record names. A store that can be written has a folder of runs, so that one with
    a record and without that folder has lost it.
    """
    missing = [key for key in keys if store.stamp(key) is None]
    if not missing:
        return ""
    known = read_document(store.result_cache_file) or {}
    gone = sum(key in known for key in missing)
    had = f", {gone} of which had results" if gone else ""
    if not store.runs_folder.is_dir():
        return (
            f"{shown(store.runs_folder)}: is gone, and with it {counted(len(keys), 'run')} that were made{had}\n"
            "  put it back if you have a copy; 'ablate run' makes the runs again"
        )
    if gone:
        return (
            f"{shown(store.runs_folder)}: {counted(gone, 'run')} of the study had results here that are gone\n"
            "  put them back if you have a copy; 'ablate run' makes the runs again"
        )
    return ""
