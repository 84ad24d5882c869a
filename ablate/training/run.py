"""One run: builds what a `RunSpec` names, trains, measures, and tells a recorder after every epoch."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ..components.contracts import Horizon, ImageShape
from ..errors import DivergedError, RunError
from .data import Data, Images, load_data
from .loop import Ingredients, check_logits, evaluate, steps_per_epoch, train_epoch
from .machine import Machine, environment, pick_device
from .streams import stream_seed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..components.registry import Registry
    from ..study.spec import RunSpec

TELL_SECONDS = 1.0
Record = dict[str, Any]
"""One epoch: `epoch`, `lr`, `train/loss`, `validation/…`, `test/…`, `seconds` (training), `evaluation_seconds`, ..."""


class Recorder(Protocol):
    """What a run tells of itself while it trains."""

    def started(self, environment: Mapping[str, Any]) -> None:
        """Take note of the machine, before the first step."""
        ...

    def under_way(self, epoch: int, share: float) -> None:
        """Take note, about once a second, of how much of an epoch's training is done."""
        ...

    def epoch(self, record: Record) -> None:
        """Take note of a finished epoch."""
        ...


def train_run(spec: RunSpec, registry: Registry, machine: Machine, recorder: Recorder) -> Record:
    """Train one run and return its result: the last epoch's metrics, parameters, seconds.

    Raises DivergedError where the training loss is not finite at an epoch's end.
    """
    torch.set_num_threads(machine.threads)
    torch.backends.cudnn.deterministic = True
    device = pick_device(machine.device)
    recorder.started(environment(device, machine.threads))
    began = time.perf_counter()
    run = build(spec, registry, _load(spec, registry, machine.data_dir, device))
    records: list[Record] = []
    for epoch in range(1, spec.recipe.epochs + 1):
        record = _epoch(run, epoch, recorder)
        records.append(record)
        recorder.epoch(record)
        if not math.isfinite(record["train/loss"]):
            raise DivergedError(
                f"diverged: the training loss is {record['train/loss']} in epoch {epoch} "
                f"(learning rate {record['lr']:g})"
            )
    evaluated = len(run.data.test) + len(run.data.validation or ())
    return {
        **{name: value for name, value in records[-1].items() if "/" in name},
        "epochs": spec.recipe.epochs,
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "seconds": time.perf_counter() - began,
        "seconds_per_image": median(r["seconds"] for r in records) / len(run.data.train),
        "evaluation_seconds_per_image": median(r["evaluation_seconds"] for r in records) / evaluated,
    }


def rehearse(spec: RunSpec, registry: Registry, machine: Machine) -> None:
    """Build a run and take one step on made-up images: what would fail at once fails here, before any run starts."""
    device = pick_device(machine.device)
    dataset = spec.identity["dataset"]
    count = min(4, spec.recipe.batch_size + 1)
    labels = torch.arange(count, device=device) % dataset["classes"]
    images = Images(torch.randint(0, 256, (count, *dataset["shape"]), dtype=torch.uint8, device=device), labels)
    half = torch.full((1, dataset["shape"][0], 1, 1), 0.5, device=device)
    run = build(spec, registry, Data(images, None, images, half, half))
    train_epoch(replace(run, batch_size=count))
    evaluate(run.model, images, run.data)


def build(spec: RunSpec, registry: Registry, data: Data) -> Ingredients:
    """Build everything a run trains with, each from its own random stream, on the device that the data is on."""
    recipe, classes = spec.recipe, spec.identity["dataset"]["classes"]
    device, shape = data.mean.device, ImageShape(*spec.identity["dataset"]["shape"])
    torch.manual_seed(stream_seed(spec.seed, "weights"))
    # Built on the CPU, so that a seed gives the same initial weights on every device.
    model = registry.get("model", recipe.model.use).build(shape, classes, settings=recipe.model.settings).to(device)
    _check_model(model, data, classes)
    optimizer = registry.get("optimizer", recipe.optimizer.use).build(
        (p for p in model.parameters() if p.requires_grad), settings=recipe.optimizer.settings
    )
    horizon = Horizon(recipe.epochs, steps_per_epoch(len(data.train), recipe.batch_size))
    entry = registry.get("scheduler", recipe.scheduler.use)
    scheduler = entry.build(optimizer, horizon, settings=recipe.scheduler.settings)
    transforms = [registry.get("augmentation", c.use).build(settings=c.settings) for c in recipe.augmentation]
    _check_transforms([c.use for c in recipe.augmentation], transforms, data)
    order = torch.Generator().manual_seed(stream_seed(spec.seed, "order"))
    noise = torch.Generator(device).manual_seed(stream_seed(spec.seed, "augmentation"))
    torch.manual_seed(stream_seed(spec.seed, "dropout"))
    return Ingredients(model, optimizer, scheduler, entry.steps, transforms, data, recipe.batch_size, order, noise)


def _load(spec: RunSpec, registry: Registry, data_dir: Path, device: torch.device) -> Data:
    dataset, recipe = spec.identity["dataset"], spec.recipe
    source = registry.get("dataset", recipe.dataset.use).build(data_dir, settings=recipe.dataset.settings)
    return load_data(source, ImageShape(*dataset["shape"]), dataset["classes"], recipe.splits, device)


def _epoch(run: Ingredients, epoch: int, recorder: Recorder) -> Record:
    began = told = time.perf_counter()
    steps = steps_per_epoch(len(run.data.train), run.batch_size)

    def on_step(step: int) -> None:
        nonlocal told
        now = time.perf_counter()
        if now - told >= TELL_SECONDS:
            told = now
            recorder.under_way(epoch, (step + 1) / steps)

    loss, lr = train_epoch(run, on_step)
    trained = time.perf_counter()
    record: Record = {"epoch": epoch, "lr": lr, "train/loss": loss}
    for name, split in (("validation", run.data.validation), ("test", run.data.test)):
        if split is not None:
            record[f"{name}/loss"], record[f"{name}/accuracy"] = evaluate(run.model, split, run.data)
    if run.steps == "epoch":
        _step(run, record)
    record["seconds"] = trained - began
    record["evaluation_seconds"] = time.perf_counter() - trained
    record["images_per_second"] = len(run.data.train) / record["seconds"]
    return record


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
        images = data.train.images[:2].float().div(255).sub(data.mean).div(data.std)
        check_logits(model(images), len(images), classes)
    torch.set_rng_state(state)


def _check_transforms(names: list[str], transforms: list[Any], data: Data) -> None:
    generator = torch.Generator(data.mean.device)
    for name, transform in zip(names, transforms, strict=True):
        before = data.train.images[:2].float().div(255)
        after = transform(before, generator)
        if getattr(after, "shape", None) != before.shape or after.dtype != before.dtype:
            got = f"{after.dtype} {tuple(after.shape)}" if isinstance(after, torch.Tensor) else type(after).__name__
            raise RunError(
                f"augmentation '{name}' returns {got}, not {before.dtype} {tuple(before.shape)} as it was given"
            )
