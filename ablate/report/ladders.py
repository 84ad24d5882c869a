"""Whether a study is a ladder: what its answer speaks of and its waterfall shows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..study.spec import Study


def ladder(study: Study) -> tuple[str, ...]:
    """Return the steps of a study in which each variant changes the one before it, over two changes or more; else none.

    A variant with settings that tuning found is no step: it is the one that it was tuned from.
    """
    own = [variant for variant in study.variants if not variant.tuned]
    steps = len(own) > 2 and all(later.parent == one.name for one, later in pairwise(own))
    return tuple(variant.name for variant in own) if steps else ()
