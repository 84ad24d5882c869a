"""A cache of metrics that were computed from predictions, which are only computed once.

A value belongs to what was predicted and to how it is computed, so it is never stale, whichever runs there are, and
stays when the predictions are removed. Where two commands write at once, what one of them found is computed again.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from .documents import read_document, write_document

if TYPE_CHECKING:
    from .store import Store

MOST = 50_000
"""How many predictions have values kept; the oldest go first."""


class MetricCache:
    """The values of metrics, by the checksum of the predictions and a digest of how they are computed."""

    def __init__(self, store: Store) -> None:
        self._file = store.metric_cache_file
        self._values: dict[str, Any] | None = None
        self._fresh = False

    def get(self, predictions: str, digest: str) -> float | None:
        """Return a value, or None where it is not known; nan is a value."""
        if self._values is None:
            self._values = read_document(self._file) or {}
        known = self._values.get(predictions)
        if not isinstance(known, dict) or digest not in known:
            return None
        value = known[digest]
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan

    def put(self, predictions: str, digest: str, value: float) -> None:
        """Remember a value."""
        self.get(predictions, digest)
        assert self._values is not None
        known = self._values.get(predictions)
        self._values[predictions] = {**(known if isinstance(known, dict) else {}), digest: value}
        self._fresh = True

    def save(self) -> None:
        """Write what is new; where that cannot be done, the next command computes it again."""
        if self._fresh and self._values is not None:
            with contextlib.suppress(StoreError):
                write_document(self._file, dict(list(self._values.items())[-MOST:]))
