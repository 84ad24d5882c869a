"""Which runs a study asks for: all of them, or, where seeds are added as they are needed, those that its looks want.

The store's results decide that and nothing else does, so that commands, reports and scripts agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..tune.records import load_tunings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..stats.looks import Look
    from ..store.store import Store
    from ..study.spec import Study


def asked_for(
    home: Store, study: Study, keys: Mapping[tuple[str, int], str]
) -> tuple[dict[tuple[str, int], str | None], tuple[Look, ...]]:
    """Return the runs that a study asks for, all variants of the first seed first, and the looks at it.

    keys: of the runs that were planned. The key of a run that never was is None. There are no looks where all seeds
    are planned; the last one may be still to come.
    """
    looks = _looks(home, study, keys) if study.looks else ()
    wanted = looks[-1].seeds if looks else {}
    runs = {
        (variant.name, seed): keys.get((variant.name, seed))
        for place, seed in enumerate(study.seeds)
        for variant in study.variants
        if place < wanted.get(variant.name, len(study.seeds))
    }
    return runs, looks


def _looks(home: Store, study: Study, keys: Mapping[tuple[str, int], str]) -> tuple[Look, ...]:
    from ..stats.results import Results  # scipy and pandas, which most studies are planned without
    from ..store.run_frames import read_frames

    tunings = load_tunings(home, study.name) if any(one.if_own_best for one in study.comparisons) else ()
    return Results(study, *read_frames(home, keys, epochs=False, measured=study.trained), tuple(tunings)).looks
