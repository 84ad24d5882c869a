"""One run of a task that trains no image classifier: a function that logs and returns numbers, and may save its state.

`run.train_run` trains image classifiers; both report to a recorder.
"""

from __future__ import annotations

import math
import os
import random
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch

from ..components.no_exit import no_exit
from ..errors import DivergedError, RunError, StoppedError, error_text, listing, one_line
from .checkpoint import packed, unpacked
from .machine import environment, pick_device
from .randomness import process_random, restore_process_random
from .run import KEEP_SECONDS
from .task_recorder import Unrecorded
from .task_reports import BESIDE_NUMBERS, class_names, numbers_of, predictions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..components.registry import Registry
    from ..study.spec import Limits, RunSpec
    from .checkpoint import State
    from .machine import Machine
    from .run import Record
    from .task_recorder import TaskRecorder

BESIDE = ("lr",)
"""What a task may log that is no metric, and that reports draw."""
ROUNDING = 1e-6
"""How far a mean of fractions may be off."""
LAST_STEP, MOST_LINES = 10**15, 1_000_000
"""What a history may have: a task without an end would fill a disk."""
SAVED = "numbers, texts, bytes, lists, dicts, tensors and arrays of numbers"
STOPPED = "stopped; run the same command again to continue"
SWALLOWED = "stopped, though its task caught what run.log or run.save raised"


def run_task(spec: RunSpec, registry: Registry, machine: Machine, recorder: TaskRecorder, limits: Limits) -> Record:
    """Make one run of a task and return its result: what it logged last of each metric, and what it returned.

    Raises RunError for what the task reports wrongly, DivergedError for a number that is not finite, StoppedError when
    asked to stop, or whatever the task raises. If the study lets diverged runs go on, `diverged` says what is not
    finite instead.
    """
    device = pick_device(machine.device)
    state = recorder.resume()
    threads = state["threads"] if state else machine.threads
    torch.set_num_threads(threads)
    began, before = time.perf_counter(), state["seconds"] if state else 0.0
    run = TaskRun(spec, recorder, limits, state)
    run.device, run.threads, run.data_dir = str(device), threads, machine.data_dir
    recorder.started(environment(device, threads), run.records)
    returned = _called(run, spec, registry)
    if run.was_stopped:
        raise StoppedError(SWALLOWED if run.was_told else STOPPED)
    result = run.ended(returned)
    if isinstance(returned, Mapping) and (found := predictions_of(returned)):
        result |= class_names(returned, found["test"].logits.shape[1])
        if limits.keep_predictions:
            recorder.keep_predictions(found)
    seconds = before + time.perf_counter() - began
    return {**result, "epochs": len(run.records), "state_bytes": run.state_bytes, "seconds": seconds}


def rehearse_task(spec: RunSpec, registry: Registry, machine: Machine, limits: Limits) -> None:
    """Try a task out as a pilot whose files and numbers are dropped, where it says that it can be tried."""
    facts = registry.get("task", spec.recipe.task.use).task
    if facts is None or not facts.rehearse:
        return
    torch.set_num_threads(machine.threads)
    with tempfile.TemporaryDirectory(prefix="ablate-") as folder:
        run = TaskRun(spec, Unrecorded(Path(folder)), limits, None)
        run.device, run.threads, run.data_dir = str(pick_device(machine.device)), machine.threads, machine.data_dir
        run.pilot = True
        run.ended(_called(run, spec, registry))


def _called(run: TaskRun, spec: RunSpec, registry: Registry) -> Any:
    """Call a task, from a working folder that it may change."""
    entry = registry.get("task", spec.recipe.task.use)
    random.seed(spec.seed)
    np.random.seed(spec.seed % 2**32)  # noqa: NPY002  # what a task draws from without a generator of its own
    torch.manual_seed(spec.seed)
    home = Path.cwd()
    try:
        with no_exit():
            return entry.build(run, settings=spec.recipe.task.settings)
    finally:
        os.chdir(home)


class TaskRun:
    """What a task is given (see `components.tasks.Run`). records: the lines of its history."""

    def __init__(self, spec: RunSpec, recorder: TaskRecorder, limits: Limits, state: State | None) -> None:
        self._recorder, self._limits, self._state = recorder, limits, state
        self.records: list[Record] = list(state["records"]) if state else []
        self.seed, self.pilot = spec.seed, spec.recipe.pilot
        self.folds, self.repetition = spec.recipe.splits.folds, spec.recipe.splits.repetition
        self._fold, self._asked_fold = spec.recipe.splits.fold, False
        self.device, self.threads, self.data_dir = "cpu", 1, Path()
        origin = spec.recipe.task.origin
        self.study_dir = Path(origin.folder if origin else "")
        self.folder = recorder.own_folder(fresh=state is None)
        self.was_stopped = self.was_told = False
        self.state_bytes = 0
        self._last = self._kept = time.perf_counter()
        self._began = self._last - (state["seconds"] if state else 0.0)
        self._saved_before = self._asked_for_state = False
        self._steps: int | None = None

    @property
    def steps(self) -> int | None:
        """Return the last step, where the task has said which that is."""
        return self._steps

    @steps.setter
    def steps(self, last: int | None) -> None:
        """Take the last step, which tells how long is left."""
        if last is not None and (isinstance(last, bool) or not isinstance(last, (int, np.integer)) or last < 1):
            raise RunError(f"run.steps = {one_line(repr(last), 80)} is not a whole number of 1 or more")
        self._steps = None if last is None else int(last)

    @property
    def fold(self) -> int | None:
        """Return which fold to test; None without folds."""
        self._asked_fold = True
        return self._fold

    def log(self, *, step: int, metrics: Mapping[str, float]) -> None:
        """Record what was measured after a step."""
        self._stop_if_asked()
        if isinstance(step, bool) or not isinstance(step, (int, np.integer)) or step < 0:
            raise RunError(f"run.log: step = {one_line(repr(step), 80)} is not a whole number of 0 or more")
        if step > LAST_STEP or len(self.records) >= MOST_LINES:
            raise RunError(f"run.log: more than {LAST_STEP:,} steps or {MOST_LINES:,} lines; log less often")
        if self.records and step <= self.records[-1]["step"]:
            raise RunError(self._does_not_ascend(step))
        measured = self._measured(metrics, "run.log", BESIDE)
        if not measured:
            raise RunError(f"run.log: step {step} has no metric")
        now = time.perf_counter()
        known = {"step": int(step), **({"steps": self._steps} if self._steps else {})}
        record = {"epoch": len(self.records) + 1, **known, **measured, "seconds": now - self._last}
        self._last = now
        self.records.append(record)
        self._recorder.epoch(record)
        self._check_finite(measured, f" at step {step}")

    def save(self, state: Any) -> None:
        """Keep a state, at most once a second, and where the run is asked to stop."""
        now, asked = time.perf_counter(), self._recorder.stopping()
        due = now - self._kept >= min(KEEP_SECONDS, self._limits.checkpoint_seconds)
        if due or asked or self._limits.keep_checkpoints or not self._saved_before:
            kept = {
                "state": state, "random": process_random(), "records": self.records, "threads": self.threads,
                "seconds": now - self._began,
            }  # fmt: skip
            if not self._saved_before:
                self._check_state(kept)
            self._recorder.keep(kept)
            self._kept, self._saved_before = now, True
        if asked:
            self._stop()

    def restored(self) -> Any:
        """Return the state that an interrupted run saved last, or None."""
        self._asked_for_state = True
        if self._state is None:
            return None
        restore_process_random(self._state["random"])
        return self._state["state"]

    @property
    def stop_wanted(self) -> bool:
        """Tell whether to stop soon."""
        self.was_stopped = self.was_stopped or self._recorder.stopping()
        return self.was_stopped

    def ended(self, returned: Any) -> Record:
        """Return the metrics of the run, from what its task returned."""
        if returned is not None and not isinstance(returned, Mapping):
            text = f"the task returned {type(returned).__name__}, not its metrics by name"
            raise RunError(f'{text}\n  as in return {{"test/f1": 0.9}}')
        if self.folds and not self._asked_fold:
            raise RunError(
                f"the study has {self.folds} folds, and the task did not ask for run.fold: all would be the same\n"
                "  have it test the part of its data that run.fold of run.folds says, or take folds out of the study"
            )
        given = {name: value for name, value in (returned or {}).items() if name not in BESIDE_NUMBERS}
        last = {name: value for record in self.records for name, value in record.items() if "/" in name}
        found = {**last, **self._measured(given, "the task's return")}
        if not found:
            raise RunError('the task reported no metric\n  as in return {"test/f1": 0.9}')
        wanted = self._limits.metric
        if wanted and wanted not in found:
            raise RunError(
                f"the task reported {listing(found)}, and not {wanted}, which the study compares\n"
                f'  have the task return it, or name another: metric = "{next(iter(found))}"'
            )
        odd = self._check_finite(found, "")
        return {**found, **({"diverged": odd} if odd else {})}

    def _measured(self, given: object, where: str, beside: Sequence[str] = ()) -> dict[str, float]:
        found = numbers_of(given, where, beside)
        for name in sorted(self._limits.fractions & found.keys()):
            if math.isfinite(found[name]) and not -ROUNDING <= found[name] <= 1 + ROUNDING:
                raise RunError(
                    f"{where}: {name} is {found[name]:g}, and not a fraction, from 0 to 1, as its unit says\n"
                    "  report 0.93 for 93 %, or give it a direction and another unit in the study"
                )
        return found

    def _does_not_ascend(self, step: int) -> str:
        last = self.records[-1]["step"]
        if self._state is None or self._asked_for_state:
            return f"run.log: step {step} comes after step {last}; steps ascend"
        return (
            f"run.log: the run was interrupted after step {last} and goes on from the state that it saved, "
            f"yet its task begins again with step {step}: it calls run.save and never run.restored\n"
            "  begin with state = run.restored(), None at first, and go on from it; "
            "or leave out run.save, and runs begin again"
        )

    def _check_finite(self, measured: Mapping[str, float], when: str) -> str:
        odd = [f"{name} is {value}" for name, value in measured.items() if not math.isfinite(value)]
        if odd and not self._limits.go_on:
            raise DivergedError(f"diverged: {odd[0]}{when}")
        return odd[0] if odd else ""

    def _stop_if_asked(self) -> None:
        if self._recorder.stopping():
            self._stop()

    def _stop(self) -> NoReturn:
        self.was_stopped = self.was_told = True
        raise StoppedError(STOPPED)

    def _check_state(self, kept: State) -> None:
        """Refuse a state that could not be read again, before hours of training rest on it."""
        try:
            content = packed(kept)
            self.state_bytes = content.getbuffer().nbytes
            unpacked(content)
        except Exception as error:
            what = one_line(error_text(error), 200)
            raise RunError(f"run.save: this state could not be read again: {what}\n  it may hold {SAVED}") from error
