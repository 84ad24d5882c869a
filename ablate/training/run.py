"""One run: builds what a `RunSpec` names, trains, measures, and tells a recorder after every epoch."""

from __future__ import annotations

import contextlib
import math
import random
import time
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..components.contracts import Horizon, ImageShape, Mixed
from ..errors import DivergedError, RunError, StoppedError
from ..paths import arrays_dir
from .arrays import shared_arrays
from .augment import in_floats, takes_uint8
from .checkpoint import State, capture, restore, state_bytes, weights_digest
from .data import Data, Images, load_data
from .loop import Epoch, Ingredients, begin_epoch, check_logits, evaluate, normalised, steps_per_epoch, train_epoch
from .machine import Machine, environment, pick_device
from .streams import stream_seed
from .taps import dead_weights, use_live_taps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ..components.registry import Registry
    from ..study.spec import Limits, RunSpec

TELL_SECONDS = 1.0
Record = dict[str, Any]
"""One epoch: `epoch`, `lr`, `train/loss`, `validation/…`, `test/…`, `seconds` (training), `evaluation_seconds`, ..."""


class Recorder(Protocol):
    """What a run tells of itself while it trains, and what it asks."""

    def resume(self) -> State | None:
        """Return the state to go on from, or None to begin."""
        ...

    def unusable(self, why: str) -> None:
        """Take note that the state to go on from could not be used, so that the run begins anew."""
        ...

    def started(self, environment: Mapping[str, Any], records: Sequence[Record]) -> None:
        """Take note of the machine and of the epochs done before, before the first step."""
        ...

    def under_way(self, epoch: int, share: float) -> None:
        """Take note, about once a second, of how much of an epoch's training is done."""
        ...

    def epoch(self, record: Record) -> None:
        """Take note of a finished epoch."""
        ...

    def keep(self, state: State) -> None:
        """Keep the state, in place of the one before."""
        ...

    def stopping(self) -> bool:
        """Tell whether the run is asked to keep its state and stop."""
        ...


def train_run(spec: RunSpec, registry: Registry, machine: Machine, recorder: Recorder, limits: Limits) -> Record:
    """Train one run and return its result: the last epoch's metrics, parameters, seconds.

    Raises DivergedError where the training loss is not finite at an epoch's end, StoppedError when asked to stop.
    """
    device = pick_device(machine.device)
    torch.backends.cudnn.deterministic = True
    began = time.perf_counter()
    state = recorder.resume()
    # The number of threads changes the order of sums, and so the bits: a run keeps the one it began with.
    threads = state["threads"] if state else machine.threads
    torch.set_num_threads(threads)
    data = load(spec, registry, machine.data_dir, device)
    run = build(spec, registry, data)
    trainer = _Trainer(run, recorder, threads, limits)
    if state:
        try:
            trainer.restore(state)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:  # a library was upgraded, say
            recorder.unusable(f"it does not fit ({type(error).__name__})")
            run = build(spec, registry, data)
            trainer = _Trainer(run, recorder, threads, limits)
    recorder.started(environment(device, threads), trainer.records)
    prepared = time.perf_counter() - began
    records = trainer.train(spec.recipe.epochs)
    dead, parameters = dead_weights(run.model, spec.identity["dataset"]["shape"])
    evaluated = len(run.data.test) + len(run.data.validation or ())
    return {
        **{name: value for name, value in records[-1].items() if "/" in name},
        "epochs": spec.recipe.epochs,
        "parameters": parameters,
        "dead_weights": dead,
        "weights": weights_digest(run.model),
        "state_bytes": state_bytes(run),
        "seconds": prepared + sum(r["seconds"] + r["evaluation_seconds"] for r in records),
        "seconds_per_image": median(r["seconds"] for r in records) / len(run.data.train),
        "evaluation_seconds_per_image": median(r["evaluation_seconds"] for r in records) / evaluated,
    }


def rehearse(spec: RunSpec, registry: Registry, machine: Machine) -> int:
    """Build a run and take one step on made-up images: what would fail at once fails here, before any run starts.

    Returns about how many bytes the run's state takes, without the order of its images.
    """
    device = pick_device(machine.device)
    dataset = spec.identity["dataset"]
    count = min(4, spec.recipe.batch_size + 1)
    labels = torch.arange(count, device=device) % dataset["classes"]
    images = Images(torch.randint(0, 256, (count, *dataset["shape"]), dtype=torch.uint8, device=device), labels)
    half = torch.full((1, dataset["shape"][0], 1, 1), 0.5, device=device)
    run = build(spec, registry, Data(images, None, images, half, half))
    train_epoch(replace(run, batch_size=count), begin_epoch(run))
    evaluate(run, images)
    return state_bytes(run)


def build(spec: RunSpec, registry: Registry, data: Data) -> Ingredients:
    """Build everything a run trains with, each from its own random stream, on the device that the data is on."""
    recipe, classes = spec.recipe, spec.identity["dataset"]["classes"]
    device, shape = data.mean.device, ImageShape(*spec.identity["dataset"]["shape"])
    torch.manual_seed(stream_seed(spec.seed, "weights"))
    # Built on the CPU, so that a seed gives the same initial weights on every device.
    with _blaming(f"model {recipe.model.use} for images of {'x'.join(map(str, shape))}"):
        model = registry.get("model", recipe.model.use).build(shape, classes, settings=recipe.model.settings)
        if not isinstance(model, torch.nn.Module):
            raise RunError(f"model '{recipe.model.use}' returns {type(model).__name__}, not a torch.nn.Module")
        model = model.to(device)
        _check_model(model, data, classes)  # which also gives lazy modules their shapes
        model = model.to(memory_format=torch.channels_last)
        if recipe.live_taps:
            use_live_taps(model)
    with _blaming(f"optimizer {recipe.optimizer.use}"):
        optimizer = registry.get("optimizer", recipe.optimizer.use).build(
            (p for p in model.parameters() if p.requires_grad), settings=recipe.optimizer.settings
        )
    _fuse(optimizer, device)
    horizon = Horizon(recipe.epochs, steps_per_epoch(len(data.train), recipe.batch_size))
    entry = registry.get("scheduler", recipe.scheduler.use)
    with _blaming(f"scheduler {recipe.scheduler.use}"):
        scheduler = entry.build(optimizer, horizon, settings=recipe.scheduler.settings)
    transforms = []
    for choice in recipe.augmentation:
        with _blaming(f"augmentation {choice.use}"):
            transform = registry.get("augmentation", choice.use).build(settings=choice.settings)
            _check_transform(choice.use, transform, data)
            transforms.append(transform)
    order = torch.Generator().manual_seed(stream_seed(spec.seed, "order"))
    uses = [c.use for c in recipe.augmentation]
    names = [f"{use}#{uses[:i].count(use) + 1}" if use in uses[:i] else use for i, use in enumerate(uses)]
    noise = [torch.Generator(device).manual_seed(stream_seed(spec.seed, f"augmentation {name}")) for name in names]
    torch.manual_seed(stream_seed(spec.seed, "dropout"))
    # Not ours, but a plugin may draw from them.
    random.seed(stream_seed(spec.seed, "plugins"))
    np.random.seed(stream_seed(spec.seed, "plugins") % 2**32)  # noqa: NPY002
    return Ingredients(
        model, optimizer, scheduler, entry.steps, transforms, data, recipe.batch_size, order, noise,
        average=_average(model, recipe.ema),
        label_smoothing=recipe.label_smoothing, clip_norm=recipe.clip_norm, accumulate=recipe.accumulate,
        precision=recipe.precision,
    )  # fmt: skip


def _average(model: torch.nn.Module, decay: float) -> AveragedModel | None:
    """Return a moving average of a model's weights and buffers, or None where the decay is 0."""
    if not decay:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]


def _fuse(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Have a torch optimizer take its step in one kernel, where it can: the same step but for rounding."""
    if "fused" in optimizer.defaults and device.type in ("cpu", "cuda"):
        for group in optimizer.param_groups:
            if all(p.is_floating_point() for p in group["params"]):
                group["fused"] = True


@contextlib.contextmanager
def _blaming(part: str) -> Iterator[None]:
    """Note on whatever a component raises which component that was."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, RunError):
            error.add_note(part)
        raise


def load(spec: RunSpec, registry: Registry, data_dir: Path, device: torch.device) -> Data:
    """Load and cut a run's dataset."""
    dataset, recipe = spec.identity["dataset"], spec.recipe
    source = registry.get("dataset", recipe.dataset.use).build(data_dir, settings=recipe.dataset.settings)
    loaded = shared_arrays(source, dataset, arrays_dir())
    return load_data(loaded, ImageShape(*dataset["shape"]), dataset["classes"], recipe.splits, device)


class _Trainer:
    """Trains a run epoch by epoch, keeping its state as it goes."""

    def __init__(self, run: Ingredients, recorder: Recorder, threads: int, limits: Limits) -> None:
        self._run, self._recorder, self._threads, self._limits = run, recorder, threads, limits
        self._number, self._epoch = 1, None  # type: int, Epoch | None
        self.records: list[Record] = []
        self._told = self._kept = time.perf_counter()

    def restore(self, state: State) -> None:
        """Go back to a kept state."""
        self._number, self._epoch, self.records = restore(self._run, state)

    def train(self, epochs: int) -> list[Record]:
        """Train what is left of the run, and return the records of all its epochs."""
        while self._number <= epochs:
            record = self._one()
            self.records.append(record)
            self._recorder.epoch(record)
            if not math.isfinite(record["train/loss"]) and not self._limits.go_on:
                step = self._epoch.broke() if self._epoch else 0
                raise DivergedError(
                    f"diverged: the training loss is {record['train/loss']} in epoch {self._number}, from step {step} "
                    f"(learning rate {record['lr']:g} at its end)"
                )
            self._number, self._epoch = self._number + 1, None
            if self._number <= epochs or self._limits.keep_checkpoints:
                self._keep()
        return self.records

    def _one(self) -> Record:
        """Train the epoch at hand to its end and evaluate."""
        run, epoch = self._run, self._epoch or begin_epoch(self._run)
        self._epoch, began = epoch, time.perf_counter() - epoch.seconds
        steps = steps_per_epoch(len(run.data.train), run.batch_size)

        def on_step(epoch: Epoch) -> None:
            now = time.perf_counter()
            epoch.seconds = now - began
            if self._recorder.stopping():
                self._keep()
                raise StoppedError("stopped; the same command goes on from here")
            if now - self._told >= TELL_SECONDS:
                self._told = now
                self._recorder.under_way(self._number, epoch.step / steps)
            if now - self._kept >= self._limits.checkpoint_seconds:
                self._keep()

        def on_batch() -> None:
            if self._recorder.stopping():  # at the epoch's last step, the evaluation still before it
                self._keep()
                raise StoppedError("stopped; the same command goes on from here")

        loss = train_epoch(run, epoch, on_step)
        trained = time.perf_counter()
        record: Record = {"epoch": self._number, "lr": epoch.lr, "train/loss": loss}
        for name, split in (("validation", run.data.validation), ("test", run.data.test)):
            if split is not None:
                record[f"{name}/loss"], record[f"{name}/accuracy"] = evaluate(run, split, on_batch)
        if run.steps == "epoch":
            _step(run, record)
        record["seconds"] = trained - began
        record["evaluation_seconds"] = time.perf_counter() - trained
        record["images_per_second"] = len(run.data.train) / record["seconds"]
        return record

    def _keep(self) -> None:
        state = capture(self._run, self._number, self._epoch, self.records)
        self._recorder.keep({**state, "threads": self._threads})
        self._kept = time.perf_counter()


def _step(run: Ingredients, record: Record) -> None:
    """Step a scheduler after an epoch; one that watches a loss gets validation's, never test's."""
    if isinstance(run.scheduler, ReduceLROnPlateau):
        run.scheduler.step(record["validation/loss"] if "validation/loss" in record else record["train/loss"])
    else:
        run.scheduler.step()


def _check_model(model: torch.nn.Module, data: Data, classes: int) -> None:
    """Try the model on two images, without changing its statistics or the random state."""
    state = torch.get_rng_state()
    model.eval()
    with torch.inference_mode():
        images, _ = data.train.take(torch.arange(min(2, len(data.train)), device=data.mean.device))
        check_logits(model(normalised(in_floats(images), data)), len(images), classes)
    torch.set_rng_state(state)


def _check_transform(name: str, transform: Any, data: Data) -> None:
    """Try an augmentation on two images, with a generator of its own, on uint8 too where it takes that."""
    whole = in_floats(data.train.images[:2])
    results = []
    for before in (whole, data.train.images[:2]) if takes_uint8(transform) else (whole,):
        made = transform(before, torch.Generator(before.device))
        if isinstance(made, Mixed) and not (len(made.partner) == len(made.share) == len(before)):
            raise RunError(f"augmentation '{name}' mixes {len(before)} images with shares for {len(made.share)}")
        after = made.images if isinstance(made, Mixed) else made
        if getattr(after, "shape", None) != before.shape or after.dtype != before.dtype:
            got = f"{after.dtype} {tuple(after.shape)}" if isinstance(after, torch.Tensor) else type(after).__name__
            raise RunError(f"augmentation '{name}' returns {got}, not {before.dtype} {tuple(before.shape)} as given")
        results.append(in_floats(after))
    if (results[0] - results[-1]).abs().max() > 0.01:
        raise RunError(f"augmentation '{name}' is marked takes_uint8, and makes other pixels of uint8 than of float32")
