"""Runs as an executor takes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..execute.jobs import Job
from ..metrics import FRACTION
from ..training.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..execute.jobs import Executor
    from ..study.spec import RunSpec
    from .study import LoadedStudy


@dataclass(frozen=True)
class Ready:
    """What makes runs, and how many threads each has.

    usual_layout: why, of the variants whose models are trained in torch's usual layout.
    notes: what trying the variants out found that stops none of them.
    """

    executor: Executor
    threads: int
    usual_layout: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def jobs_of(
    study: LoadedStudy,
    specs: Sequence[RunSpec],
    threads: int,
    usual_layout: Mapping[str, str] = {},  # read only
    retried: Collection[str] = (),
) -> list[Job]:
    """Return the jobs of runs, to rehearse or to make them.

    threads: of each. usual_layout: as in `Ready`. retried: the keys of runs that
    failed before and are made again.
    """
    options = study.options

    def job(spec: RunSpec) -> Job:
        machine = Machine(options.data_dir, options.device, threads, usual_layout.get(spec.variant, ""))
        code, limits = study.code(spec.recipe), study.written.limits
        if not spec.recipe.images:
            fractions = frozenset(name for name, one in study.study.trained.items() if one.bounds == FRACTION)
            limits = replace(limits, metric=study.study.metric, fractions=fractions)
        return Job(spec, study.home.root, machine, code, limits, retry=spec.key in retried)

    return [job(spec) for spec in specs]
