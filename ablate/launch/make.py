"""A study's runs made, stage by stage: what `ablate run` and `ablate.run` share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..console.text import about
from ..errors import counted, listing
from ..execute.placement import Placement, Resources
from ..execute.signals import Interrupts
from ..paths import shown
from .announce import announce_data, announce_findings
from .costs import expected_seconds, measured_costs, total_seconds
from .executors import Asked
from .jobs import jobs_of
from .last import typed_again
from .look_lines import look_lines, waiting_line
from .plan import plan as plan_now
from .ready import get_ready
from .record import make_writable, record
from .room import check_links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..console.reporter import Reporter
    from ..execute.jobs import Executor
    from ..study.spec import RunSpec
    from .plan import Plan
    from .study import LoadedStudy, Note


@dataclass(frozen=True)
class RunOptions:
    """How runs are made.

    jobs: how many at a time; 0 for as many as fit, None for what is usual on the device.
    retry_failed: whether those that failed before are tried again. executor: what makes them.
    """

    jobs: int | None = None
    retry_failed: bool = False
    executor: Asked = field(default_factory=Asked)


@dataclass(frozen=True)
class Begun:
    """Runs about to be made: which, how many at a time, and the seconds that each is expected to take, by key.

    expected: also of runs that looks may add.
    """

    specs: Sequence[RunSpec]
    placement: Placement
    expected: Mapping[str, float | None]


def begin(study: LoadedStudy, plan: Plan, how: RunOptions, reporter: Reporter, executor: Executor) -> Begun:
    """Say what is going to happen, and do what can be done before the variants are tried out.

    Raises InputError where the executor can never place them, StoreError where the store cannot take them.
    """
    make_writable(study)
    specs, count = plan.todo(how.retry_failed), len(plan.runs)
    resources = Resources(count, study.options.device, how.jobs)
    placement = executor.check(resources) if specs else Placement(1, count)
    expected = expected_seconds([*specs, *plan.later], measured_costs(study.options.store, study.name))
    begun = Begun(specs, placement, expected)
    _announce(study, plan, begun, reporter.note)
    check_links(study.home, specs)
    return begun


@dataclass(frozen=True)
class Made:
    """Runs that were made. stopped: the signal that stopped them, or None. notes: as in `Ready`.

    plan: as it is now; looks at the results may have added to it.
    """

    plan: Plan
    stopped: int | None = None
    notes: Sequence[str] = ()


def make(study: LoadedStudy, plan: Plan, begun: Begun, reporter: Reporter, executor: Executor) -> Made:
    """Make the runs, trying each variant out first, and those that looks at their results ask for then.

    Raises InputError where a variant cannot be trained, StoreError where the store cannot take the runs.
    """
    specs = begun.specs
    if not specs:
        record(study)
        _say_waiting(plan, reporter.note)
        return Made(plan)
    ready = get_ready(study, [*specs, *plan.later], begun.placement, executor, reporter.note)
    retried, tried = {spec.key for spec in plan.failed}, set[str]()
    stop_text = "stopping: runs under way save their state; press again to stop at once"
    with Interrupts(lambda: reporter.note(stop_text)) as interrupts:
        while specs:
            with reporter.runs(specs, lambda spec: begun.expected.get(spec.key)) as on_event:
                jobs = jobs_of(study, specs, ready.threads, ready.usual_layout, retried)
                ready.executor.run(jobs, on_event, interrupts.stopping)
            if interrupts.signal is not None or not plan.looks:
                break
            tried |= {spec.key for spec in specs}
            plan = _looked(study, plan, reporter.note)
            specs = [spec for spec in plan.todo() if spec.key not in tried]
    note_changed_code(study, begun.specs, reporter.note)
    _say_waiting(plan, reporter.note)
    return Made(plan, interrupts.signal, ready.notes)


def _looked(study: LoadedStudy, before: Plan, note: Note) -> Plan:
    """Look at the results that there are now, and return the plan that follows."""
    now = plan_now(study)
    for line in look_lines(now, known=sum(look.made for look in before.looks)):
        note(line)
    return now


def _say_waiting(plan: Plan, note: Note) -> None:
    if line := waiting_line(plan):
        note(line)


def note_changed_code(study: LoadedStudy, specs: Sequence[RunSpec], note: Note) -> None:
    """Say which plugins changed while runs were under way; the runs used the code as it was at the start."""
    changed = study.changed_code(specs)
    if changed:
        note(
            f"changed since the start: {listing(map(shown, changed))}; these runs used the code as it was then\n"
            f"  which runs are new: {typed_again('plan', study.options)}"
        )


def _announce(study: LoadedStudy, plan: Plan, begun: Begun, note: Note) -> None:
    """Say what is going to happen, with the warnings about the study."""
    stored = sum(run.state == "stored" for run in plan.runs)
    pilot, count = study.study.pilot, len(begun.specs)
    head = f"{study.name}{' (pilot)' if pilot else ''}: {counted(len(plan.runs), 'run')}"
    at_once = f", {begun.placement.at_a_time}" if begun.placement.jobs > 1 or begun.placement.where else ""
    made = {spec.key for spec in begun.specs}
    left_out = sum(spec.key not in made for spec in plan.failed)
    failed = f", {left_out} failed before" if left_out else ""
    expected = {key: begun.expected[key] for key in made}
    when = "" if pilot else f" ({about(total_seconds(expected, begun.placement.surely))})"
    rest = f"{count} to make{at_once}{when}" if count else "nothing to make"
    most = f" (at most {len(plan.runs) + len(plan.later)})" if plan.later else ""
    note(f"{head}{most}, {stored} stored{failed}, {rest}")
    for line in look_lines(plan):
        note(f"  {line}")
    if count:
        announce_data(study.study, note)
    if count and not pilot:
        announce_findings(study, note)
