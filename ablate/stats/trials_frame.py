"""What tuning found as a tidy frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from ..tune.records import VariantTuning

_COLUMNS = ["variant", "trial", "state", "default", "repeats", "key", "reason", "epochs", "trial_seconds"]
"""Of a frame without trials, which has neither objectives nor settings."""


def trials_frame(tunings: Iterable[VariantTuning]) -> pd.DataFrame:
    """Return a row for each trial, with a column for each objective and for each setting that any variant has."""
    import pandas as pd

    rows = [
        {
            "variant": tuning.variant,
            "trial": trial.number,
            "state": trial.state,
            "default": str(trial.default).lower(),
            "repeats": tuning.repeats.get(trial.number),
            "key": trial.key,
            "reason": trial.reason,
            "epochs": trial.epochs,
            # Of a run once, at its first trial; the objective `seconds` has a column of its own.
            "trial_seconds": None if trial.number in tuning.repeats else trial.seconds,
            **dict(zip(tuning.objectives, trial.values, strict=False)),
            **{label: _plain(value) for label, value in trial.settings.items()},
        }
        for tuning in tunings
        for trial in tuning.trials
    ]
    return pd.DataFrame(rows, columns=None if rows else _COLUMNS, dtype=object)


def _plain(value: Any) -> Any:
    """Return a setting as a number or a text."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None or isinstance(value, str | int | float) else str(value)
