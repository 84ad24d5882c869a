"""Whether the store has room for what is about to run, and no links in its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..data.progress import megabytes
from ..errors import StoreError
from ..paths import shown
from .costs import expected_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..store.store import Store
    from ..study.spec import Limits, RunSpec


def check_links(home: Store, specs: Sequence[RunSpec]) -> None:
    """Raise StoreError with all links that are in the way of runs."""
    found: dict[str, str] = {}
    for spec in specs:
        try:
            home.writer(spec.key).refuse_links()
        except StoreError as error:
            line, _, hints = str(error).partition("\n")
            found[line] = hints
    if found:
        raise StoreError("\n".join([*found, *list(found.values())[-1:]]))


def check_space(home: Store, states: Mapping[str, int], specs: Sequence[RunSpec], jobs: int, limits: Limits) -> None:
    """Raise StoreError where the store has less room than runs will take.

    states: bytes of a run's state by variant. jobs: how many are under way at a time.
    limits: say what runs keep.
    """
    need = expected_bytes(specs, states, jobs, limits)
    free = home.free_bytes()
    own = sum(home.run(spec.key).checkpoint_bytes() for spec in specs)
    if need is not None and free + own < need:
        raise StoreError(
            f"{shown(home.root)}: {megabytes(free)} free, and the runs to make need about {megabytes(need)}; "
            "nothing was started\n"
            "  free some space ('ablate store clean' says what can go), or another place: --store DIR or ABLATE_STORE"
        )
