"""Independent random streams from one seed.

Weights, data order, augmentation and dropout each draw from their own stream, so that a change to one of
them (another model, one more augmentation) leaves the others as they were: all variants of one seed see
the same images in the same order.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Stream = Literal["weights", "order", "augmentation", "dropout"]


def stream_seed(seed: int, stream: Stream) -> int:
    """Return a 63-bit seed for one stream of a run; different streams of one seed share nothing."""
    return int.from_bytes(hashlib.sha256(f"{stream} {seed}".encode()).digest()[:8], "big") >> 1
