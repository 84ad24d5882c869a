"""A rehearsal: a run is built and tried out on made-up images, before any run starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from ..data.images import Data, Images
from ..study.plan import key_of
from ..study.seen import pixels_of, seen_shape, side_of
from ..study.splits import steps_per_epoch
from .build import build, entries_of, try_augmentations
from .checkpoint import state_bytes
from .kernel_crop import dead_weights
from .layout import layout_for
from .layout_check import layout_doubt
from .loop import begin_epoch, evaluate, evaluation_batch, step_schedule, train_epoch
from .machine import Machine, pick_device
from .resume_check import check_resuming

if TYPE_CHECKING:
    from ..components.registry import Registry
    from ..study.spec import RunSpec
    from .ingredients import Ingredients

REHEARSED = 4
"""How many images a rehearsal trains on."""
TRIED_IMAGES, TRIES = 32, 4
"""How many images an augmentation is tried on, and how often: enough to show what it does to one in twenty."""


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal found.

    state_bytes: the approximate size of a run's state, without the order of its images.
    warning: a problem that stops no run, "" if there is none.
    usual_layout: why the model has to be trained in the usual layout on this machine, "" for channels last.
    """

    state_bytes: int
    warning: str = ""
    usual_layout: str = ""


def rehearse(spec: RunSpec, registry: Registry, machine: Machine, proven: dict[str, str] | None = None) -> Rehearsal:
    """Build a run and take steps on made-up images, so that what would fail fails before any run starts.

    proven: the models whose layout was checked before, and what was found; this one is added.
    Raises DeviceError if the device cannot be used, RunError if a component breaks its contract, or whatever a
    component raises.
    """
    device = pick_device(machine.device)
    torch.backends.cudnn.deterministic = True
    recipe = spec.recipe
    data = _made_up(spec, registry, device)
    usual = machine.usual_layout or _unfit(spec, registry, data, machine, {} if proven is None else proven)

    def made() -> Ingredients:
        return replace(build(spec, registry, data, layout_for(usual)), batch_size=min(REHEARSED, recipe.batch_size))

    def step(run: Ingredients, number: int) -> list[float]:
        loss = train_epoch(run, begin_epoch(run))
        measured = [loss, *evaluate(run, data.train)]
        if run.steps == "epoch" and number <= recipe.epochs:
            step_schedule(run, loss)
        return measured

    try_augmentations(spec, registry, _images(TRIED_IMAGES, spec, device).images, TRIES)
    run = made()
    step(run, 1)
    evaluate(replace(run, batch_size=recipe.batch_size), data.test or data.train)
    dead_weights(run.model, seen_shape(spec, registry))
    taken = steps_per_epoch(len(data.train), run.batch_size)
    steps = recipe.epochs * steps_per_epoch(int(recipe.splits.train or len(data.train)), recipe.batch_size)
    warning = check_resuming(run, entries_of(spec, registry), made, step) if steps >= 2 * taken else ""
    return Rehearsal(state_bytes(run), warning, usual)


def _unfit(spec: RunSpec, registry: Registry, data: Data, machine: Machine, proven: dict[str, str]) -> str:
    """Return why a model cannot be trained in channels-last layout; each model is checked once."""
    if data.mean.device.type != "cpu":
        return ""
    torch.set_num_threads(machine.threads)  # which decide what a kernel does
    parts = {name: spec.identity[name] for name in ("model", "batch_size", "accumulate", "crop_kernels")}
    model = key_of({**parts, "images": [spec.shape, spec.classes]})
    if model not in proven:
        proven[model] = layout_doubt(spec, registry, data)
    return proven[model]


def _made_up(spec: RunSpec, registry: Registry, device: torch.device) -> Data:
    """Return data of a run's form: a few images to train on, and one batch to evaluate."""
    recipe = spec.recipe
    pixels = pixels_of(spec, registry)
    size = evaluation_batch(recipe.batch_size, recipe.accumulate, pixels)
    evaluated = max(abs(int(recipe.splits.test or 0)), abs(int(recipe.splits.validation or 0)), 1)
    half = torch.full((1, spec.shape.channels, 1, 1), 0.5, device=device)
    few = _images(min(REHEARSED, recipe.batch_size + 1), spec, device)
    some = _images(min(size, evaluated), spec, device)
    return Data(few, None, some, half, half, side_of(spec.recipe, registry), pixels)


def _images(count: int, spec: RunSpec, device: torch.device) -> Images:
    """Return images of noise; if there are several, one is black and one is white."""
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, *spec.shape), dtype=torch.uint8, generator=draw)
    if count > 2:
        pixels[0], pixels[1] = 0, 255
    return Images(pixels.to(device), torch.arange(count, device=device) % spec.classes)
