"""A variant's first steps on images of noise: enough to tell what a change or a setting has no part in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from ..components.schema import REQUIRED
from ..data.images import Data, Images
from ..study.probes import Probe
from ..study.resolve import STAND_IN
from ..study.seen import seen_shape, side_of
from ..study.spec import Choice, RangeTest, with_lr
from .augment import augment
from .build import build, entries_of
from .flops import forward_flops
from .kernel_crop import dead_weights
from .layout import layout_for
from .loop import begin_epoch, evaluated, train_epoch
from .machine import pick_device
from .python_state import tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..components.registry import Entry, Registry
    from ..study.spec import Recipe, RunSpec
    from .ingredients import Ingredients
    from .machine import Machine

STEPS, BATCH = 4, 8
"""Momentum shows in the second step; a dropout layer draws thousands of times in these."""
AUGMENTED, LEAST_AUGMENTED, MOST_PIXELS = 128, 16, 32_000_000
"""How many batches are augmented: 128 show what happens to one batch in twenty, fewer where images are large."""
MOST_FLOPS = 2e11
"""Steps of a model that need more than this are not taken: that would be about ten seconds on two cores."""
LITTLE_FLOPS = 1e10
"""Less than this is done by one thread: several take longer where the cores are busy, waiting for each other, and what
one gives is the same however many the runs have, so that variants tried at different times can be compared."""
FAST_ONLY = frozenset(
    {"foreach", "fused", "capturable", "differentiable", "progress", "exportable", "scriptable", "verbose"}
)
"""Settings of libraries that are not meant to have an effect on results."""
Known = dict[tuple[str, str], bool]
"""Whether a setting of a component had an effect, for the variants of a study that share it."""


def probe(spec: RunSpec, registry: Registry, machine: Machine, known: Known | None = None) -> Probe:
    """Take a run's first steps, whatever its seed, and return what they gave.

    known: what earlier probes found of settings; what this one finds is added. Raises whatever a component raises.
    """
    device = pick_device(machine.device)
    torch.set_num_threads(machine.threads)
    spec = replace(spec, seed=0, recipe=_steady(spec.recipe))
    images = _noise(spec, STEPS * BATCH, device)
    half = torch.full((1, spec.shape[0], 1, 1), 0.5, device=device)
    data = Data(images, None, images, half, half, side_of(spec.recipe, registry))
    tried = _Tried(spec, registry, data, layout_for(machine.usual_layout))
    run = tried.built(spec.recipe)
    _, parameters = dead_weights(run.model, seen_shape(spec, registry))
    flops = forward_flops(spec, registry)
    work = 3 * flops * STEPS * BATCH
    torch.set_num_threads(1 if work < LITTLE_FLOPS else machine.threads)
    found = Probe(parameters, flops, augmented=tried.augmented(spec.recipe))
    if work > MOST_FLOPS:
        return found
    found = replace(found, trained=tried.trained(spec.recipe))
    return replace(found, idle=tuple(_idle(tried, found, {} if known is None else known)))


class _Tried:
    """A run's recipe and others near it, each built anew and tried on the same images of noise."""

    def __init__(self, spec: RunSpec, registry: Registry, data: Data, layout: torch.memory_format) -> None:
        self.spec, self.registry, self.data, self._layout = spec, registry, data, layout

    def built(self, recipe: Recipe) -> Ingredients:
        """Build a run with another recipe."""
        run = build(replace(self.spec, recipe=recipe), self.registry, self.data, self._layout)
        return replace(run, batch_size=min(BATCH, recipe.batch_size))

    def trained(self, recipe: Recipe) -> str:
        """Return a digest of the weights after a few steps, of their average and of the logits that both give."""
        run = self.built(recipe)
        losses = begin_epoch(run)
        train_epoch(run, losses)
        inputs = evaluated(self.data.train.images, run.data, run.layout)
        digest = hashlib.sha256(tensor_bytes(losses.losses))
        for model in (run.model, *([run.average] if run.average else [])):
            # Not their names: a layer that does nothing may have given others a new one.
            states = [value for value in model.state_dict().values() if isinstance(value, torch.Tensor)]
            with torch.inference_mode():
                states.append(model.eval()(inputs))
            for tensor in states:
                digest.update(tensor_bytes(tensor))
        return digest.hexdigest()[:24]

    def augmented(self, recipe: Recipe) -> str:
        """Return a digest of what the augmentations of a recipe make of many batches."""
        run = self.built(recipe)
        images, digest = self.data.train.images[:BATCH], hashlib.sha256()
        batches = max(LEAST_AUGMENTED, min(AUGMENTED, MOST_PIXELS // images.numel()))
        for _ in range(batches):
            made, mixes = augment(images.clone(), run.transforms, run.noise)
            for tensor in (made, *(part for mix in mixes for part in (mix.share, mix.partner))):
                digest.update(tensor_bytes(tensor))
        return digest.hexdigest()[:24]


def _steady(recipe: Recipe) -> Recipe:
    """Return a recipe with a constant learning rate, which is no test's: a schedule may begin at 0."""
    recipe = with_lr(recipe, STAND_IN) if RangeTest.of(recipe) else recipe
    return replace(recipe, scheduler=Choice("constant"))


@dataclass(frozen=True)
class _Default:
    """A setting with its default in the place of what a recipe gives: its label, its component, and the recipe."""

    label: str
    choice: Choice
    recipe: Recipe


def _idle(tried: _Tried, found: Probe, known: Known) -> Iterator[str]:
    """Yield the settings that could have their default without any effect."""
    for one in _with_defaults(tried):
        key = (one.label, f"{one.choice.use} {one.choice.settings}")
        if key not in known:
            try:
                if one.label.startswith("augmentation"):
                    known[key] = tried.augmented(one.recipe) != found.augmented
                else:
                    known[key] = tried.trained(one.recipe) != found.trained
            except Exception:  # noqa: BLE001  # it cannot be left out, so it has an effect
                known[key] = True
        if not known[key]:
            yield one.label


def _with_defaults(tried: _Tried) -> Iterator[_Default]:
    """Yield each setting whose value is not its default, with the recipe where it is."""
    recipe = tried.spec.recipe
    of_model, of_optimizer, _, *of_augmentations = entries_of(tried.spec, tried.registry)
    for name, choice in _defaults(of_model, recipe.model):
        yield _Default(f"model.{name}", recipe.model, replace(recipe, model=choice))
    for name, choice in _defaults(of_optimizer, recipe.optimizer):
        if type(recipe.optimizer.settings[name]) is not int:  # a count of steps acts later than these
            yield _Default(f"optimizer.{name}", recipe.optimizer, replace(recipe, optimizer=choice))
    of_loss = tried.registry.get("loss", recipe.loss.use)
    for name, choice in _defaults(of_loss, recipe.loss):
        yield _Default(f"loss.{name}", recipe.loss, replace(recipe, loss=choice))
    before: list[str] = []
    for entry, own in zip(of_augmentations, recipe.augmentation, strict=True):
        before.append(own.use)
        again = f"#{before.count(own.use)}" if before.count(own.use) > 1 else ""
        place = len(before) - 1
        for name, choice in _defaults(entry, own):
            others = (*recipe.augmentation[:place], choice, *recipe.augmentation[place + 1 :])
            yield _Default(f"augmentation.{own.use}{again}.{name}", own, replace(recipe, augmentation=others))


def _defaults(entry: Entry, choice: Choice) -> Iterator[tuple[str, Choice]]:
    for setting in entry.settings:
        if setting.default is REQUIRED or setting.name not in choice.settings or setting.name in FAST_ONLY:
            continue
        plain = list(setting.default) if isinstance(setting.default, tuple) else setting.default
        if choice.settings[setting.name] != plain:
            yield setting.name, replace(choice, settings={**choice.settings, setting.name: plain})


def _noise(spec: RunSpec, count: int, device: torch.device) -> Images:
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, *spec.shape), dtype=torch.uint8, generator=draw)
    return Images(pixels.to(device), torch.arange(count, device=device) % spec.classes)
