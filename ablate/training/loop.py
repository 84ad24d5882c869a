"""The training loop: flat, short, free of the registry and of files.

Only the end of an epoch waits for the device: losses stay there until they are summed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ..study.splits import steps_per_epoch
from .augment import augment, in_floats, targets
from .ingredients import Epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from ..data.images import Data, Images
    from .ingredients import Ingredients

MOST_EVALUATED = 500
"""The most images that evaluation takes at a time; more are not faster."""
FEW_PIXELS = 128 * 32 * 32
"""An evaluation batch may always have this many pixels, however small the training batches are."""
IN_EVALUATION = "in evaluation"
"""The note that is added to what evaluation raises."""


def begin_epoch(run: Ingredients) -> Epoch:
    """Draw the order of an epoch's images."""
    order = torch.randperm(len(run.data.train), generator=run.order)
    losses = torch.zeros(steps_per_epoch(len(order), run.batch_size), device=run.data.mean.device)
    return Epoch(order.to(run.data.train.place), losses)


def train_epoch(run: Ingredients, epoch: Epoch, on_step: Callable[[Epoch], None] | None = None) -> float:
    """Train for the rest of an epoch and return its mean loss per image.

    The loss is that of the augmented images, each under the weights of its step.
    on_step: called after each step; what it raises ends the epoch there, and `epoch` says where.
    """
    model = run.model.train()
    size = run.batch_size
    chosen = (epoch.order[step * size : (step + 1) * size] for step in range(epoch.step, len(epoch.losses)))
    for step, batch in enumerate(run.data.train.batches(chosen), epoch.step):
        epoch.lr = float(run.optimizer.param_groups[0]["lr"])
        epoch.losses[step] = train_step(run, *batch)
        if run.average is not None:
            run.average.update_parameters(model)
        if run.steps == "batch":
            run.scheduler.step()
        epoch.step = step + 1
        if on_step is not None:
            on_step(epoch)
    return epoch.mean_loss(run.batch_size)


def train_step(run: Ingredients, images: Tensor, labels: Tensor) -> Tensor:
    """Take one optimizer step on training images (B, C, H, W) and return their mean loss, which stays on the device."""
    total = torch.zeros((), device=run.data.mean.device)
    run.optimizer.zero_grad(set_to_none=True)
    # On the whole batch, so that parts change neither the crops nor which images are mixed.
    images, mixes = augment(images, run.transforms, run.noise)
    wanted = targets(labels, mixes, run.classes)
    # In parts, for less memory; each is weighted by its share of the batch.
    parts = parts_of(len(labels), run.accumulate)
    for some, theirs in zip(images.tensor_split(parts), wanted.tensor_split(parts), strict=True):
        replayed = run.replay(some, theirs) if run.replay else None
        total += descend(run, some, theirs, len(some) / len(labels)) if replayed is None else replayed
    if run.clip_norm:
        clip_grad_norm_(run.model.parameters(), run.clip_norm)
    run.optimizer.step()
    return total


def parts_of(images: int, accumulate: int) -> int:
    """Return how many parts a batch is split into; their sizes differ by one image at most.

    No part is a single image, unless the batch is: batch normalisation has no variance to divide by there.
    """
    return max(1, min(accumulate, images // 2))


def at_once(batch_size: int, accumulate: int) -> int:
    """Return the most images that a training step passes through the model at once."""
    return -(-batch_size // parts_of(batch_size, accumulate))


def descend(run: Ingredients, images: Tensor, wanted: Tensor, share: float = 1.0) -> Tensor:
    """Add the gradients for augmented images (B, C, H, W) in [0, 1] to the weights', and return their mean loss.

    wanted: labels (B,) or shares of classes (B, classes). share: of the optimizer's batch; gradients and loss are
    weighted by it.
    """
    with autocast(run.precision, images.device):
        logits = exact(run.model(normalised(images, run.data, run.layout)))
    loss = run.loss(logits, wanted) * share
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def normalised(images: Tensor, data: Data, layout: torch.memory_format = torch.channels_last) -> Tensor:
    """Return images in [0, 1] as a model takes them: normalised by the training images' statistics, in its layout."""
    return images.sub(data.mean).div_(data.std).contiguous(memory_format=layout)


def evaluated(images: Tensor, data: Data, layout: torch.memory_format = torch.channels_last) -> Tensor:
    """Return uint8 images (B, C, H, W) as a model takes them in evaluation: the middle of the size it trains with."""
    return normalised(in_floats(middle(images, data.side)), data, layout)


def middle(images: Tensor, side: int) -> Tensor:
    """Return the middle of images, of `side` pixels a side; 0 for whole images.

    The same as that of torchvision.transforms.v2.functional.center_crop.
    """
    if not side:
        return images
    top, left = (round((length - side) / 2) for length in images.shape[-2:])
    return images[..., top : top + side, left : left + side]


def exact(logits: Tensor) -> Tensor:
    """Return logits in float32: half precision is too coarse for the logarithm of a sum."""
    return logits.float() if logits.dtype.itemsize < 4 else logits


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which a model computes at a precision; its weights stay float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def evaluation_batch(batch_size: int, accumulate: int, pixels: int) -> int:
    """Return how many images evaluation takes at a time: no more than a training step does at once, or FEW_PIXELS.

    So it takes no more memory either: a training step keeps the outputs of all layers, evaluation those of a few.
    Decided by the recipe alone, since the same images in other batches give other last bits. pixels: of one image, as
    the model computes on it.
    """
    return min(MOST_EVALUATED, max(at_once(batch_size, accumulate), FEW_PIXELS // pixels, 1))


def evaluate(
    run: Ingredients,
    images: Images,
    on_batch: Callable[[], None] = lambda: None,
    on_logits: Callable[[Tensor], None] = lambda _: None,
) -> tuple[float, float]:
    """Return the mean cross-entropy and the accuracy (a fraction) over a split, without augmentation.

    on_batch: called before each batch; what it raises ends the evaluation. on_logits: called with those of each batch
    (B, classes), on the device, in the order of the split.
    """

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        pixels = run.data.pixels or images.images[0, 0].numel()
        size = evaluation_batch(run.batch_size, run.accumulate, pixels)
        rows = torch.arange(len(images), device=images.place).split(size)  # type: ignore[no-untyped-call]
        for batch, labels in images.batches(rows):
            on_batch()
            yield evaluated(batch, run.data, run.layout), labels

    try:
        model = run.model if run.average is None else run.average
        return loss_and_accuracy(model, batches(), run.precision, run.data.mean.device, on_logits)
    except RuntimeError as error:
        error.add_note(IN_EVALUATION)
        raise


@torch.inference_mode()
def loss_and_accuracy(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    precision: str,
    device: torch.device,
    on_logits: Callable[[Tensor], None] = lambda _: None,
) -> tuple[float, float]:
    """Return the mean cross-entropy and the accuracy (a fraction) of a model, which is left in evaluation mode.

    The accuracy is nan if the loss is not finite: the largest of scores that are nan is the first.
    batches: inputs (B, C, H, W), normalised, and labels (B,), on the device. on_logits: called with those of each.
    """
    model.eval()
    loss, right, count = torch.zeros((), device=device), torch.zeros((), device=device, dtype=torch.int64), 0
    for inputs, labels in batches:
        with autocast(precision, device):
            logits = exact(model(inputs))
        loss += cross_entropy(logits, labels, reduction="sum")
        right += (logits.argmax(1) == labels).sum()
        count += len(labels)
        on_logits(logits)
    mean = loss.item() / count
    return mean, right.item() / count if math.isfinite(mean) else math.nan


def step_schedule(run: Ingredients, loss: float) -> None:
    """Step a scheduler after an epoch; a scheduler that watches a loss is given it."""
    if isinstance(run.scheduler, ReduceLROnPlateau):
        run.scheduler.step(loss)
    else:
        run.scheduler.step()
