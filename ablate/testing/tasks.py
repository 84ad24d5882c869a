"""The contract of a task: each function checks one fact of its runs, made as pilots, and says what breaks it."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..components.contracts import ImageShape
from ..components.registry import Registry
from ..errors import DivergedError, RunError, StoppedError, listing
from ..study.spec import Choice, Limits, Origin, Recipe, RunSpec
from ..training.checkpoint import packed, unpacked
from ..training.machine import Machine
from ..training.task import SWALLOWED, run_task
from ..training.task_recorder import Unrecorded
from .subject import fail, skip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..training.checkpoint import State
    from ..training.run import Record
    from .subject import Subject

CHILDREN = Path("/proc/self/task")


@dataclass
class Watched(Unrecorded):
    """Takes down what a run reports. begin: the state that it resumes from. stop_after: lines before it is to stop."""

    folder: Path
    begin: State | None = None
    stop_after: float = math.inf
    lines: list[Record] = field(default_factory=list)
    states: list[State] = field(default_factory=list)

    def resume(self) -> State | None:
        """Return the state to begin from."""
        return self.begin

    def epoch(self, record: Record) -> None:
        """Take down a line of the history."""
        self.lines.append(record)

    def keep(self, state: State) -> None:
        """Take down a state as a checkpoint would have it."""
        self.states.append(unpacked(packed(state)))

    def stopping(self) -> bool:
        """Tell whether it has logged as many lines as it was to."""
        return len(self.lines) >= self.stop_after


def it_reports_finite_numbers(subject: Subject) -> None:
    """Check that a run ends with metrics, each a finite number under a name that says its split."""
    _made(subject)


def it_reports_what_it_declares(subject: Subject) -> None:
    """Check that a run reports each metric that the task's decorator declares."""
    facts, (result, _) = subject.entry.task, _made(subject)
    absent = [one.name for one in (facts.metrics if facts else ()) if one.name not in result]
    if absent:
        fail(
            f"declares {listing(absent)} and reports {listing(_metrics(result))}", "report it, or declare it no longer"
        )


def the_same_seed_gives_the_same_numbers(subject: Subject) -> None:
    """Check that two runs with one seed log and report the same, bit for bit."""
    (one, first), (other, second) = _made(subject), _made(subject)
    if (differ := _differ(first, second)) or _metrics(one) != _metrics(other):
        step = "draw from generators seeded with run.seed, and do not depend on time, hash order or the last run"
        fail(f"gives other numbers the second time with the same seed{differ}", step)


def it_stops_when_it_is_asked(subject: Subject) -> None:
    """Check that a run that is asked to stop, as where it is pruned, after its first line ends there."""
    if len(_made(subject)[1].lines) < 2:
        skip("its pilot logs less than two lines: it is killed where it does not end by itself")
    with tempfile.TemporaryDirectory() as folder:
        watched = Watched(Path(folder), stop_after=1)
        try:
            _run(subject, watched)
        except StoppedError as stopped:
            if str(stopped) != SWALLOWED:
                return
    step = "let what run.log and run.save raise pass, and catch less than Exception"
    fail("goes on after it was asked to stop", step)


def an_interrupted_run_ends_with_the_same_bits(subject: Subject) -> None:
    """Check that a run which goes on from any state that it saved ends as one that was never interrupted."""
    whole, watched = _made(subject, every_state=True)
    if not watched.states:
        skip("it saves no state, and begins again where it was interrupted")
    for state in (watched.states[0], watched.states[len(watched.states) // 2]):
        again, resumed = _made(subject, begin=state)
        before = len(state["records"])
        differ = _differ(watched, resumed, before)
        if differ or _metrics(whole) != _metrics(again):
            step = "save all that it goes on from, and take it from run.restored(); random generators too"
            fail(f"goes on otherwise from the state after {before} lines than without an interruption{differ}", step)


def it_leaves_no_process_behind(subject: Subject) -> None:
    """Check that what a run starts has ended when the run does."""
    if not CHILDREN.is_dir():
        skip("this system does not say which processes were started")
    before = _children()
    _made(subject)
    if left := _children() - before:
        fail(f"leaves {len(left)} processes behind", "wait for what it starts, as `with` does for pools")


def _made(
    subject: Subject, begin: State | None = None, *, every_state: bool = False
) -> tuple[Mapping[str, Any], Watched]:
    """Make a run; return its result, and what it reported on the way. every_state: also of those within a second."""
    with tempfile.TemporaryDirectory() as folder:
        watched = Watched(Path(folder), begin)
        try:
            return _run(subject, watched, every_state), watched
        except (RunError, DivergedError) as error:
            fail(f"cannot be run as a pilot: {error}")


def _run(subject: Subject, watched: Watched, every_state: bool = False) -> Record:
    entry = subject.entry
    study = Path.cwd()
    if entry.task and entry.task.check:
        entry.task.check(study, **entry.arguments(subject.settings))
    registry = Registry()
    registry.add(entry)
    choice = Choice(entry.name, subject.settings, origin=Origin("", entry.place, folder=str(study)))
    spec = RunSpec("contract", 0, "", Recipe(task=choice, pilot=True), ImageShape(0, 0, 0), 0, {})
    limits = Limits(keep_checkpoints=every_state, checkpoint_seconds=0.0)
    return run_task(spec, registry, Machine(subject.folder, "cpu", 1), watched, limits)


def _metrics(result: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in result.items() if "/" in name}


def _differ(one: Watched, other: Watched, since: int = 0) -> str:
    """Say where the lines of two runs differ; "" where they are the same. since: lines of the first before it."""
    lines = [[{"step": line["step"], **_metrics(line)} for line in of.lines] for of in (one, other)]
    ours, theirs = lines[0][since:], lines[1]
    for mine, yours in zip(ours, theirs, strict=False):
        if mine != yours:
            return f", from step {mine['step']}"
    return "" if len(ours) == len(theirs) else f": {len(ours)} lines, then {len(theirs)}"


def _children() -> set[str]:
    found = (place.read_text() for task in CHILDREN.iterdir() if (place := task / "children").exists())
    return {child for text in found for child in text.split()}


CHECKS = (
    it_reports_finite_numbers,
    it_reports_what_it_declares,
    the_same_seed_gives_the_same_numbers,
    it_stops_when_it_is_asked,
    an_interrupted_run_ends_with_the_same_bits,
    it_leaves_no_process_behind,
)
