"""One run: trains what a `RunSpec` names, measures it, and reports to a recorder after every epoch."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import torch
from packaging.version import Version

from ..errors import DivergedError, StoppedError
from ..paths import replays_dir, shipped
from ..study.seen import seen_shape
from ..study.spec import RangeTest, parts, with_lr
from ..study.splits import steps_per_epoch
from .build import build, check_augmentations, load
from .checkpoint import State, capture, restore, state_bytes, weights_digest
from .divergence import divergence, finite_tensors, first_not_finite
from .kernel_crop import dead_weights
from .layout import layout_for
from .loop import begin_epoch, evaluate, step_schedule, train_epoch
from .machine import Machine, environment, pick_device
from .predictions import halved, predicted
from .range_test import find_lr
from .replay import with_replay

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from ..components.registry import Registry
    from ..data.images import Data
    from ..data.predictions import Predicted, Predictions
    from ..study.spec import Limits, RunSpec
    from .ingredients import Epoch, Ingredients
    from .learning_rates import RangeTestResult

REPORT_SECONDS = 1.0
RECORDING_SINCE = Version("2.15")
"""The first version of torch to record steps with; in earlier ones a failed recording can spoil later steps."""
REPEATED = ("model", "augmentation", "optimizer", "loss")
"""Kinds of components that take steps when a recording is tried out, or whose tensors it refers to."""
KEEP_SECONDS = 1.0
"""Shorter epochs share a checkpoint: writing one after each would cost more time than it could save."""
Record = dict[str, Any]
"""One epoch: `epoch`, `lr`, `train/loss`, `validation/…`, `test/…`, `seconds` (training), `evaluation_seconds`, ..."""


class Recorder(Protocol):
    """What a run reports while it trains, and what it asks for."""

    def resume(self) -> State | None:
        """Return the state to resume from, or None to begin."""
        ...

    def unusable(self, why: str) -> None:
        """Note that the state to resume from could not be used, so that the run starts over."""
        ...

    def kept_range_test(self) -> RangeTestResult | None:
        """Return the result of the range test that the run began with, or None where none was kept."""
        ...

    def keep_range_test(self, result: RangeTestResult) -> None:
        """Keep the result of the range test, before training, so that a resumed run has the same learning rate."""
        ...

    def started(self, environment: Mapping[str, Any], records: Sequence[Record]) -> None:
        """Note the machine and the epochs done before; called before the first step."""
        ...

    def under_way(self, epoch: int, share: float) -> None:
        """Note what share of an epoch's training is done; called about once a second."""
        ...

    def epoch(self, record: Record) -> None:
        """Note a finished epoch."""
        ...

    def keep(self, state: State) -> None:
        """Keep the state, in place of the previous one."""
        ...

    def keep_predictions(self, predictions: Predictions) -> None:
        """Keep what the run predicted when it was evaluated last; called once, after the last epoch."""
        ...

    def stopping(self) -> bool:
        """Tell whether the run is asked to keep its state and stop."""
        ...


def train_run(spec: RunSpec, registry: Registry, machine: Machine, recorder: Recorder, limits: Limits) -> Record:
    """Train one run and return its result: the last epoch's metrics, parameters, seconds.

    Raises DivergedError if a loss or the weights are not finite after an epoch, StoppedError when asked to stop.
    If the study lets diverged runs go on, metrics are nan instead, and `diverged` says why.
    """
    device = pick_device(machine.device)
    torch.backends.cudnn.deterministic = True
    began = time.perf_counter()
    state = recorder.resume()
    # The number of threads changes the order of sums, and so the bits: a run keeps the one it began with.
    threads = state["threads"] if state else machine.threads
    torch.set_num_threads(threads)
    # So does the memory layout of its weights, which decides the kernels.
    usual = state.get("usual_layout", "") if state else machine.usual_layout
    layout = layout_for(usual)
    data = load(spec, registry, machine.data_dir, device)
    check_augmentations(spec, registry, data)
    found, before = _range_test(spec, registry, data, recorder, layout)
    if found and found.lr is not None:
        spec = replace(spec, recipe=with_lr(spec.recipe, found.lr))

    def made() -> Ingredients:
        run = build(spec, registry, data, layout)
        return with_replay(run, spec, replays_dir()) if may_replay(spec, registry, device, limits) else run

    kept = {"threads": threads, "usual_layout": usual}
    run = made()
    trainer = _Trainer(run, recorder, kept, limits)
    if state:
        try:
            trainer.restore(state)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:  # a library was upgraded, say
            recorder.unusable(f"it does not fit ({type(error).__name__})")
            run = made()
            trainer = _Trainer(run, recorder, kept, limits)
    # This runs the model, which may fail: better before the training than after it.
    dead, parameters = dead_weights(run.model, seen_shape(spec, registry))
    graphs = {"cuda_graphs": run.replay is not None} if device.type == "cuda" else {}
    laid_out = {"usual_layout": usual} if usual else {}
    recorder.started({**environment(device, threads), **graphs, **laid_out}, trainer.records)
    prepared = before + time.perf_counter() - began
    records = trainer.train(spec.recipe.epochs)
    if limits.keep_predictions and (predictions := trainer.predictions()):
        recorder.keep_predictions(predictions)
    evaluated = len(run.data.test or ()) + len(run.data.validation or ())
    return {
        **{name: value for name, value in records[-1].items() if "/" in name},
        **({"found_lr": found.lr} if found else {}),
        **({"diverged": trainer.diverged} if trainer.diverged else {}),
        "epochs": spec.recipe.epochs,
        "parameters": parameters,
        "dead_weights": dead,
        "weights": weights_digest(run.model),
        "state_bytes": state_bytes(run),
        "seconds": prepared + sum(r["seconds"] + r["evaluation_seconds"] for r in records),
        "seconds_per_image": median(r["seconds"] for r in records) / len(run.data.train),
        "evaluation_seconds_per_image": median(r["evaluation_seconds"] for r in records) / max(1, evaluated),
    }


def may_replay(spec: RunSpec, registry: Registry, device: torch.device, limits: Limits) -> bool:
    """Tell whether a run's steps may be recorded: with components of a user's, only if the study says so."""
    if (
        device.type != "cuda"
        or torch.version.hip
        or Version(torch.__version__) < RECORDING_SINCE
        or limits.cuda_graphs == "none"
    ):
        return False
    files = [registry.get(kind, choice.use).file for kind, choice in parts(spec.recipe) if kind in REPEATED]
    return limits.cuda_graphs == "all" or all(file.parent == shipped("plugins").resolve() for file in files)


def _range_test(
    spec: RunSpec, registry: Registry, data: Data, recorder: Recorder, layout: torch.memory_format
) -> tuple[RangeTestResult | None, float]:
    """Return the range test of a run that begins with one, and the seconds that it took in an earlier process."""
    asked = RangeTest.of(spec.recipe)
    if asked is None:
        return None, 0.0
    found = recorder.kept_range_test()
    if found is not None and found.lr is not None:
        return found, found.curve.seconds

    def on_step() -> None:
        if recorder.stopping():
            raise StoppedError("stopped; the same command begins this run again")

    found = find_lr(build(spec, registry, data, layout), asked, spec.seed, on_step)
    recorder.keep_range_test(found)
    return found, 0.0


class _Trainer:
    """Trains a run epoch by epoch, keeping its state as it goes.

    diverged: what is not finite after the last epoch, "" if everything is.
    """

    def __init__(self, run: Ingredients, recorder: Recorder, machine: State, limits: Limits) -> None:
        self._run, self._recorder, self._machine, self._limits = run, recorder, machine, limits
        self._number, self._epoch = 1, None  # type: int, Epoch | None
        self.records: list[Record] = []
        self._reported = self._kept = time.perf_counter()
        self._least = min(KEEP_SECONDS, limits.checkpoint_seconds)
        self._finite = finite_tensors(run.model)
        self._predictions: dict[str, Predicted] = {}
        self.diverged = ""

    def restore(self, state: State) -> None:
        """Restore a kept state."""
        self._number, self._epoch, self.records = restore(self._run, state)
        if self.records:
            self.diverged = divergence(self.records[-1], first_not_finite(self._run, self._finite))

    def train(self, epochs: int) -> list[Record]:
        """Train the rest of the run, and return the records of all its epochs."""
        while self._number <= epochs:
            record = self._one(last=self._number == epochs)
            self.records.append(record)
            self._recorder.epoch(record)
            if self.diverged and not self._limits.go_on:
                step = self._epoch.diverged_at() if self._epoch else 0
                since = f", from step {step}" if step else ""
                raise DivergedError(f"diverged: {self.diverged}{since} (learning rate {record['lr']:g} at its end)")
            self._number, self._epoch = self._number + 1, None
            last = self._number > epochs
            if self._limits.keep_checkpoints if last else time.perf_counter() - self._kept >= self._least:
                self._keep()
        return self.records

    def predictions(self) -> Predictions:
        """Return what the trained model predicts; a run that was resumed after its last epoch is evaluated again."""
        if not self._predictions:
            self._evaluate(keep=True)
        return self._predictions

    def _one(self, last: bool) -> Record:
        """Train the current epoch to its end and evaluate."""
        run, epoch = self._run, self._epoch or begin_epoch(self._run)
        self._epoch, began = epoch, time.perf_counter() - epoch.seconds
        steps = steps_per_epoch(len(run.data.train), run.batch_size)

        def on_step(epoch: Epoch) -> None:
            now = time.perf_counter()
            epoch.seconds = now - began
            self._stop_if_asked()
            if now - self._reported >= REPORT_SECONDS:
                self._reported = now
                self._recorder.under_way(self._number, epoch.step / steps)
            if now - self._kept >= self._limits.checkpoint_seconds:
                self._keep()

        loss = train_epoch(run, epoch, on_step)
        trained = time.perf_counter()
        record: Record = {"epoch": self._number, "lr": epoch.lr, "train/loss": loss}
        record |= self._evaluate(keep=last and self._limits.keep_predictions)
        spoilt = first_not_finite(run, self._finite)
        if spoilt:
            record |= {name: math.nan for name in record if name.endswith("/accuracy")}
        self.diverged = divergence(record, spoilt)
        if run.steps == "epoch":
            # A scheduler that watches a loss gets validation's, never test's.
            step_schedule(run, record["validation/loss"] if "validation/loss" in record else record["train/loss"])
        record["seconds"] = trained - began
        record["evaluation_seconds"] = time.perf_counter() - trained
        record["images_per_second"] = len(run.data.train) / record["seconds"]
        return record

    def _evaluate(self, keep: bool) -> Record:
        """Return loss and accuracy on the splits that are there. keep: what is predicted, too."""
        run, found = self._run, Record()
        for name, split in (("validation", run.data.validation), ("test", run.data.test)):
            if split is None:
                continue
            kept: list[Tensor] = []

            def on_logits(logits: Tensor, kept: list[Tensor] = kept) -> None:
                if keep:
                    kept.append(halved(logits))  # waits for the device, in one evaluation of the run

            loss, accuracy = evaluate(run, split, self._stop_if_asked, on_logits)
            found |= {f"{name}/loss": loss, f"{name}/accuracy": accuracy}
            if keep:
                self._predictions[name] = predicted(kept, split.labels, run.classes, split.of_all)
        return found

    def _stop_if_asked(self) -> None:
        """If asked to stop, between steps or while evaluating, keep the state and raise StoppedError."""
        if self._recorder.stopping():
            self._keep()
            raise StoppedError("stopped; run the same command again to continue")

    def _keep(self) -> None:
        state = capture(self._run, self._number, self._epoch, self.records)
        self._recorder.keep({**state, **self._machine})
        self._kept = time.perf_counter()
