"""`ablate run`: make every run of a study that is not stored yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..console import text
from ..console.progress import progress
from ..errors import InputError, StoreError, listing
from ..execute.gpu import gauge
from ..execute.jobs import Executor, Job, Rehearsed
from ..execute.local import LocalProcesses
from ..execute.server import warm_up
from ..execute.signals import Interrupts
from ..paths import shown
from ..store.store import Store
from ..store.studies import StudyRecord, save_study, set_last
from ..study.check import findings
from ..study.toml import read_text
from ..training.machine import DEVICE, MOST_ON_A_GPU, Machine, check_device, cores, default_jobs, on_nvidia
from ..training.progress import megabytes
from .prepare import (
    Options,
    Prepared,
    expected_bytes,
    expected_costs,
    expected_seconds,
    prepare,
    total_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..study.spec import RunSpec


@dataclass(frozen=True)
class RunOptions:
    """How runs are made: processes at a time (0 for as many as fit), and whether failed ones are tried again.

    packed: `jobs` are the most; there are as many at a time as the GPU has time and memory for.
    """

    jobs: int = 0
    retry_failed: bool = False
    json: bool = False
    packed: bool = False

    @property
    def surely(self) -> int:
        """Return how many runs at a time can be counted on."""
        return 1 if self.packed else self.jobs

    @property
    def at_a_time(self) -> str:
        """Say how many at a time."""
        return f"at most {self.jobs} at a time, as the GPU has room" if self.packed else f"{self.jobs} at a time"


def run_study(options: Options, how: RunOptions, executor: Executor | None = None) -> int:
    """Run a study and return the exit code: 0, or 1 where a run of it has failed."""
    check_device(options.device)
    store = Store(options.store)
    for home in (store, store.pilot) if options.changes.pilot else (store,):
        home.make_writable()
    prepared = prepare(options)
    todo = _todo(prepared, how)
    how = placed(how, options.device, len(prepared.planned))
    expected = expected_seconds(prepared, expected_costs(prepared))
    announce(prepared, todo, how, total_seconds(expected, how.surely))
    if todo and executor is None:
        warm_up()
    from .summary import summarize  # pandas comes with it, while the server loads torch

    if not todo:
        record(prepared)
        return summarize(prepared, how.json)
    fetch_data(prepared, todo)
    found = rehearse(prepared, executor or LocalProcesses(), todo, how)
    check_space(prepared, found.state_bytes, todo, how)
    record(prepared)
    if executor is None:
        how, executor = local(how, found.gpu, len(prepared.planned))
    stopped = make_runs(prepared, executor, todo, how, expected)
    return summarize(prepared, how.json) if stopped is None else say_stopped(prepared, stopped)


def placed(how: RunOptions, device: str, runs: int) -> RunOptions:
    """Return how runs are made where the user leaves it open."""
    if how.jobs:
        return how
    most = default_jobs(device, runs)
    packed = on_nvidia(device) and runs > 1
    return replace(how, jobs=max(1, min(runs, cores(), MOST_ON_A_GPU)) if packed else most, packed=packed)


def local(how: RunOptions, gpu: str, runs: int) -> tuple[RunOptions, LocalProcesses]:
    """Return how runs are made on this machine, and what makes them, now that it is known which GPU they are on."""
    read = gauge(gpu) if how.packed else None
    if how.packed and read is None:
        how = replace(how, packed=False, jobs=1 if gpu else default_jobs("cpu", runs))
        text.note(f"{how.at_a_time}: {'this GPU does not say how busy it is' if gpu else 'torch has no GPU here'}")
    return how, LocalProcesses(how.jobs, read)


def announce(prepared: Prepared, todo: Sequence[RunSpec], how: RunOptions, expected: float | None) -> None:
    """Say what is going to happen, and what is doubtful about it."""
    study = prepared.settled.study
    stored = sum(p.state == "stored" for p in prepared.planned)
    head = f"{study.name}{' (pilot)' if study.pilot else ''}: {len(prepared.planned)} runs"
    at_once = f", {how.at_a_time}" if how.jobs > 1 else ""
    left_out = len(prepared.failed) - sum(spec in todo for spec in prepared.failed)
    failed = f", {left_out} failed before" if left_out else ""
    when = "" if study.pilot else f" ({text.about(expected)})"
    rest = f"{len(todo)} to make{at_once}{when}" if todo else "nothing to make"
    text.note(f"{head}, {stored} stored{failed}, {rest}")
    if todo and not study.pilot:
        announce_doubts(prepared)


def announce_doubts(prepared: Prepared) -> None:
    """Say what is doubtful about a study, and where that is explained."""
    places: dict[str, list[str]] = {}
    for finding in findings(prepared.settled.study):
        places.setdefault(finding.code, []).append(finding.where)
    for code, where in places.items():
        text.note(f"  doubtful: {code} ({listing(where)})")
    if places:
        text.note(f"  'ablate plan {shown(prepared.options.study)}' says why, and what to do about it")


def fetch_data(prepared: Prepared, specs: Sequence[RunSpec]) -> None:
    """Make the datasets of these runs ready, before any run waits for them."""
    for source in prepared.sources(specs):
        source.prepare()


def rehearse(prepared: Prepared, executor: Executor, todo: Sequence[RunSpec], how: RunOptions) -> Rehearsed:
    """Build each variant once and take one step; return what was found.

    Raises InputError with all that fails.
    """
    first: dict[str, RunSpec] = {}
    for spec in todo:
        first.setdefault(spec.variant, spec)
    text.note(f"trying out {len(first)} variant{'s' if len(first) > 1 else ''}: each is built and takes one step")
    found = executor.rehearse(jobs_of(prepared, list(first.values()), how))
    failed = found.failed
    if failed:
        # One reason for all is the machine's fault, or the baseline's, and is told once.
        same = 1 < len(failed) == len(prepared.written.variants) and len(set(failed.values())) == 1
        lines = [f"  {'all' if same else variant}: {reason}" for variant, reason in failed.items()]
        lines = lines[:1] if same else lines
        first_reason = next(iter(failed.values()))
        if first_reason.startswith(DEVICE):
            raise InputError(first_reason)
        count = f"{len(failed)} variant{'s' if len(failed) > 1 else ''}"
        raise InputError(
            "\n".join([f"{shown(prepared.options.study)}: {count} cannot be trained; nothing was started", *lines])
        )
    return found


def check_space(prepared: Prepared, states: Mapping[str, int], todo: Sequence[RunSpec], how: RunOptions) -> None:
    """Raise StoreError where the store has less room than the runs will take."""
    need, free = expected_bytes(prepared, states, todo, how.jobs), prepared.home.free_bytes()
    own = sum(prepared.home.run(spec.key).checkpoint_bytes() for spec in todo)
    if need is not None and free + own < need:
        raise StoreError(
            f"{shown(prepared.home.root)}: {megabytes(free)} free, and the runs to make need about {megabytes(need)}; "
            "nothing was started\n"
            "  free some space ('ablate store clean' says what can go), or another place: --store DIR or ABLATE_STORE"
        )


def record(prepared: Prepared) -> None:
    """Record what is about to run, of all variants: what `--only` leaves out is then missing, and not out of date."""
    options, store = prepared.options, Store(prepared.options.store)
    found = StudyRecord(prepared.written.name, options.study.resolve(), read_text(options.study), options.changes)
    save_study(prepared.home, found, prepared.written, prepared.settled.study, prepared.specs)
    set_last(store, prepared.written.name, prepared.written.pilot)


def make_runs(
    prepared: Prepared,
    executor: Executor,
    todo: Sequence[RunSpec],
    how: RunOptions,
    expected: Mapping[str, float | None],
) -> int | None:
    """Make the runs, showing how they go; return the signal that stopped them, or None."""
    stop_text = "stopping: runs under way keep their state; once more stops at once"
    with (
        Interrupts(lambda: text.note(stop_text)) as interrupts,
        progress(todo, lambda spec: expected.get(spec.key)) as tell,
    ):
        executor.run(jobs_of(prepared, todo, how), tell, interrupts.stopping)
    return interrupts.signal


def say_stopped(prepared: Prepared, number: int) -> int:
    """Say how things stand after a signal, and how to go on; return the exit code that shells know it by."""
    states = [prepared.home.state(p.spec.key) for p in prepared.planned]
    begun = sum(prepared.home.run(p.spec.key).checkpoint.exists() for p in prepared.planned)
    keep = f", {begun} kept at the last checkpoint" if begun else ""
    text.note(f"stopped: {states.count('stored')} of {len(states)} runs done{keep}; the same command goes on")
    return 128 + number


def _todo(prepared: Prepared, how: RunOptions) -> list[RunSpec]:
    retried = {spec.key for spec in prepared.failed} if how.retry_failed else set()
    specs = [p.spec for p in prepared.planned if p.state in ("new", "unfinished") or p.spec.key in retried]
    # In a pilot, variants that differ only in their epochs are one run.
    return list({spec.key: spec for spec in reversed(specs)}.values())[::-1]


def jobs_of(prepared: Prepared, specs: Sequence[RunSpec], how: RunOptions) -> list[Job]:
    """Return the jobs of runs, with all that another process needs for them."""
    options = prepared.options
    machine = Machine(options.data_dir, options.device, max(1, cores() // how.jobs))
    study = prepared.written
    place = (prepared.home.root, machine, options.study.resolve(), study.plugins, study.limits)
    failed = {spec.key for spec in prepared.failed}
    return [Job(spec, *place, retry=spec.key in failed) for spec in specs]
