"""What runs predicted, as a file in their folders: an `.npz` of NumPy's that names no class and holds no code."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..data.predictions import Predicted, Predictions

SPLITS = ("validation", "test")


def packed(predictions: Predictions) -> bytes:
    """Return predictions as the content of a file; the same ones give the same bytes."""
    import numpy as np

    written = io.BytesIO()
    arrays = {
        f"{split}_{name}": array
        for split, found in predictions.items()
        for name in ("logits", "labels", "rows")
        if (array := getattr(found, name)) is not None
    }
    np.savez(written, **arrays)
    return written.getvalue()


def unpacked(content: bytes) -> Predictions:
    """Return the predictions in a file, which may be anybody's. Raises ValueError where it does not hold any."""
    import numpy as np

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            plain = all(part.compress_type == zipfile.ZIP_STORED for part in archive.infolist())
        # Compressed, a few bytes could become any number of them.
        with np.load(io.BytesIO(content if plain else b""), allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except Exception as error:
        raise ValueError(str(error)) from error
    splits = [split for split in SPLITS if f"{split}_logits" in arrays]
    return {
        split: _checked(*(arrays.get(f"{split}_{name}") for name in ("logits", "labels", "rows"))) for split in splits
    }


def _checked(logits: object, labels: object, rows: object) -> Predicted:
    import numpy as np

    from ..data.predictions import Predicted

    sound = (
        isinstance(logits, np.ndarray)
        and isinstance(labels, np.ndarray)
        and logits.dtype == np.float16
        and np.issubdtype(labels.dtype, np.integer)
        and logits.ndim == 2
        and labels.shape == logits.shape[:1]
        and (not len(labels) or 0 <= labels.min() <= labels.max() < logits.shape[1])
        and (rows is None or _are_rows(rows, len(labels)))
    )
    if not sound:
        raise ValueError("no logits and labels")
    return Predicted(logits, labels, rows)  # type: ignore[arg-type]  # they were checked


def _are_rows(rows: object, images: int) -> bool:
    import numpy as np

    if not isinstance(rows, np.ndarray) or not np.issubdtype(rows.dtype, np.integer) or rows.shape != (images,):
        return False
    return len(set(rows.tolist())) == images
