"""What Ray's workers do: make one attempt, or the rehearsals of a study.

A run has a process of its own, which ends with all that it holds, a GPU's memory above all. The worker itself loads
nothing of a run, so that it can make the next attempt too, whose process its server, which has torch loaded by then,
starts in a fraction of a second. Ray tries nothing again: that is decided by the driver.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ray

from ..errors import DeviceError
from .rehearsals import rehearse
from .relay import Errand, at_home, misplaced, own_version, relayed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..components.registry import CodeSnapshot
    from .attempts import News
    from .jobs import Job, RehearsalReport


@ray.remote(max_calls=0, max_retries=0, num_returns="streaming")
def attempt(errand: Errand, code: CodeSnapshot) -> Iterator[News]:
    """Make an attempt and yield its news. code: of the job's plugins, which Ray has once for all attempts."""
    yield from relayed(at_home(errand, code), _place(), own_version())


@ray.remote(max_calls=0, max_retries=0)
def rehearsals(jobs: Sequence[Job], errand: Errand) -> RehearsalReport | DeviceError | str:
    """Rehearse jobs; return why that cannot be done here, if so."""
    if why := misplaced(errand, own_version()):
        return why
    try:
        return rehearse(jobs)
    except DeviceError as error:
        return error


def _place() -> str:
    """Return what an attempt shares memory in: its GPU where it has only a part of one, else its node."""
    context = ray.get_runtime_context()
    gpus = context.get_accelerator_ids().get("GPU", [])
    return " ".join([context.get_node_id(), *map(str, gpus)])
