"""The logits of a run's last evaluation, as they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..data.predictions import Predicted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LOWEST = -65504.0
"""The lowest number of half precision; a class so far below the first has no probability in float32 either."""
NEXT_TO_0 = -(2.0**-24)
"""The number of half precision next to 0."""


def halved(logits: Tensor) -> Tensor:
    """Return logits (B, classes) in half precision on the CPU, each row less its largest; a row with nan is nan.

    A row's largest becomes 0, around which half precision is finest, and large logits cannot overflow. All others stay
    below 0, however close, so that the predicted class is the one of full precision; equal ones stay equal.
    """
    logits = logits.detach().cpu()
    below = (logits - logits.amax(1, keepdim=True)).clamp(min=LOWEST)
    return torch.where(below < 0, below.clamp(max=NEXT_TO_0), below).half()


def predicted(
    batches: Sequence[Tensor], labels: Tensor, classes: int, rows: NDArray[np.int64] | None = None
) -> Predicted:
    """Return what was predicted for a split from the halved logits of its batches and its labels (N,).

    rows: as of `Predicted`.
    """
    smallest = np.min_scalar_type(classes - 1)
    of = None if rows is None else rows.astype(np.min_scalar_type(int(rows.max())))
    return Predicted(torch.cat(list(batches)).numpy(), labels.cpu().numpy().astype(smallest), of)
