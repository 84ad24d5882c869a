"""What a run trains with: its data, model, optimizer and all else that a `RunSpec` names, built and tried out."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..components.contracts import Horizon, ImageShape, Mixed
from ..errors import RunError
from ..paths import arrays_dir
from ..study.spec import Finder, with_lr
from .arrays import shared_arrays
from .augment import in_floats, takes_uint8
from .data import Data, load_data
from .loop import Ingredients, check_logits, normalised, steps_per_epoch
from .streams import stream_seed
from .taps import use_live_taps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..components.registry import Registry
    from ..study.spec import RunSpec


def load(spec: RunSpec, registry: Registry, data_dir: Path, device: torch.device) -> Data:
    """Load and cut a run's dataset."""
    dataset, recipe = spec.identity["dataset"], spec.recipe
    source = registry.get("dataset", recipe.dataset.use).build(data_dir, settings=recipe.dataset.settings)
    loaded = shared_arrays(source, dataset, arrays_dir())
    return load_data(loaded, ImageShape(*dataset["shape"]), dataset["classes"], recipe.splits, device)


def build(spec: RunSpec, registry: Registry, data: Data) -> Ingredients:
    """Build everything a run trains with, each from its own random stream, on the device that the data is on.

    An optimizer whose learning rate is still to be found gets the lowest one that is tested.
    """
    finder = Finder.of(spec.recipe)
    recipe = with_lr(spec.recipe, finder.low) if finder else spec.recipe
    classes = spec.identity["dataset"]["classes"]
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
    use_precision(recipe.precision, device)  # last, since a plugin may have set something else
    return Ingredients(
        model, classes, optimizer, scheduler, entry.steps, transforms, data, recipe.batch_size, order, noise,
        average=_average(model, recipe.ema),
        label_smoothing=recipe.label_smoothing, clip_norm=recipe.clip_norm, accumulate=recipe.accumulate,
        precision=recipe.precision,
    )  # fmt: skip


def use_precision(precision: str, device: torch.device) -> None:
    """Have an NVIDIA GPU multiply float32 in full, unless TF32 is asked for; torch's own convolutions there use TF32.

    For the whole process. Raises RunError where a device has no TF32.
    """
    wanted = precision == "tf32"
    nvidia = device.type == "cuda" and torch.version.hip is None
    if wanted and not (nvidia and torch.cuda.get_device_capability(device) >= (8, 0)):
        raise RunError("precision 'tf32' takes an NVIDIA GPU of compute capability 8.0 or more; choose fp32 or bf16")
    if hasattr(torch.backends.cudnn, "conv"):  # torch 2.9
        parts: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)
        for part in parts:
            part.fp32_precision = "tf32" if wanted else "ieee"
    else:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = wanted


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


def _check_model(model: torch.nn.Module, data: Data, classes: int) -> None:
    """Try the model on two images, without changing its statistics or the random state."""
    state = torch.get_rng_state()
    model.eval()
    with torch.inference_mode():
        images, _ = data.train.take(torch.arange(min(2, len(data.train)), device=data.train.place))
        check_logits(model(normalised(in_floats(images), data)), len(images), classes)
    torch.set_rng_state(state)


def _check_transform(name: str, transform: Any, data: Data) -> None:
    """Try an augmentation on two images, with a generator of its own, on uint8 too where it takes that."""
    some, _ = data.train.take(torch.arange(min(2, len(data.train)), device=data.train.place))
    whole = in_floats(some)
    results = []
    for before in (whole, some) if takes_uint8(transform) else (whole,):
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
