"""A study planned from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..launch import plan as plans
from ..launch.costs import expected_seconds, measured_costs
from .load import loaded_study

if TYPE_CHECKING:
    import pandas as pd

    from ..launch.study import LoadedStudy
    from .load import StudySource


def plan(study: LoadedStudy | StudySource) -> pd.DataFrame:
    """Return what would run, what is stored and how long it would take; train nothing.

    study: a loaded study, the path of a study file, or a dict of the same form.

    Returns a row for each run, in the order in which they are made: variant, seed, state (new, unfinished, failed or
    stored), why it is new, the seconds that it is expected to take (nan where that is unknown, or there is nothing to
    train), and its key. Raises AblateError as `load_study`.
    """
    import pandas as pd

    loaded = loaded_study(study)
    planned = plans.plan(loaded)
    seconds = expected_seconds(planned.todo(), measured_costs(loaded.options.store, loaded.name))
    rows = [
        (run.spec.variant, run.spec.seed, run.state, run.why, seconds.get(run.spec.key), run.spec.key)
        for run in planned.runs
    ]
    frame = pd.DataFrame(rows, columns=["variant", "seed", "state", "why", "seconds", "key"])
    return frame.astype({"seconds": "float64"})
