"""The contract of a model: each function checks one fact, and says what breaks it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..errors import error_text, listing
from ..training.augment import in_floats
from ..training.contracts import check_logits, check_module
from .small_run import an_interrupted_run_ends_with_the_same_bits
from .subject import fail, skip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .subject import Subject

BATCH = 4
APART = 1e-3
"""How far logits may be apart that should be the same but for rounding, as a share of the largest."""


def it_gives_logits_for_any_number_of_classes(subject: Subject) -> None:
    """Check the shape of the output, (B, classes), in training and in evaluation."""
    for classes in (2, 7):
        model = _model(subject, classes)
        for training in (True, False):
            check_logits(subject.entry, model.train(training)(_images(subject)), BATCH, classes)


def it_takes_a_batch_of_one(subject: Subject) -> None:
    """Check a single image in evaluation, which a last batch may hold."""
    check_logits(subject.entry, _model(subject).eval()(_images(subject)[:1]), 1, subject.classes)


def the_same_seed_gives_the_same_weights(subject: Subject) -> None:
    """Check that everything drawn when it is built comes from torch's generator."""
    one, two = (_state(_model(subject)) for _ in range(2))
    if different := [name for name in one if not torch.equal(one[name], two[name])]:
        fail(
            f"begins with other weights for the same seed ({listing(different, 3)})",
            "draw initial weights from torch's own generator, which ablate seeds",
        )


def gradients_reach_every_parameter(subject: Subject) -> None:
    """Check that every parameter that asks for a gradient gets a finite one."""
    model = _model(subject).train()
    torch.autograd.backward(cross_entropy(model(_images(subject)), torch.arange(BATCH) % subject.classes))
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if left := [name for name, p in trained.items() if p.grad is None]:
        fail(
            f"gives no gradient to {len(left)} of {len(trained)} parameters ({listing(left, 3)})",
            "what takes no part in the output cannot learn: use it, or leave it out",
        )
    if broken := [name for name, p in trained.items() if p.grad is not None and not p.grad.isfinite().all()]:
        fail(f"gives {len(broken)} of {len(trained)} parameters gradients that are not finite ({listing(broken, 3)})")


def evaluation_repeats_and_leaves_the_state_alone(subject: Subject) -> None:
    """Check that in evaluation the same images give the same logits, and no buffer moves."""
    model = _model(subject).eval()
    before = {name: tensor.clone() for name, tensor in _state(model).items()}
    one, two = _logits(model, _images(subject)), _logits(model, _images(subject))
    if not torch.equal(one, two):
        fail(
            "gives other logits for the same images when it is evaluated again",
            "what is random belongs to training: look at self.training, as nn.Dropout does",
        )
    if changed := [name for name, tensor in _state(model).items() if not torch.equal(tensor, before[name])]:
        fail(f"changes its state in evaluation ({listing(changed, 3)})", "change it only where self.training is true")


def in_evaluation_each_image_counts_alone(subject: Subject) -> None:
    """Check that the logits of an image do not depend on the other images of its batch."""
    model, images = _model(subject).eval(), _images(subject)
    together = _logits(model, images)
    alone = torch.cat([_logits(model, image[None]) for image in images])
    if _apart(together, alone):
        fail(
            "gives an image other logits in evaluation when other images are in its batch",
            "statistics of a batch belong to training, as in nn.BatchNorm2d",
        )


def channels_last_gives_the_same_logits(subject: Subject) -> None:
    """Check the memory layout that runs train in; skipped where a model cannot use it."""
    model, images = _model(subject).eval(), _images(subject)
    usual = _logits(model, images)
    model.to(memory_format=torch.channels_last)
    try:
        other = _logits(model, images.contiguous(memory_format=torch.channels_last))
    except RuntimeError as error:
        skip(f"it cannot be used in channels-last layout: {error_text(error)}")
    if _apart(usual, other):
        fail("gives other logits in channels-last layout", "use reshape or flatten, and no strides of its own")


def a_copy_gives_the_same_logits(subject: Subject) -> None:
    """Check a copy, from which a moving average of the weights (`ema`) starts."""
    model = _model(subject)
    try:
        other = copy.deepcopy(model)
    except Exception as error:  # noqa: BLE001  # whatever a plugin raises
        fail(f"cannot be copied by copy.deepcopy: {error_text(error)}", "a moving average of its weights needs a copy")
    if not torch.equal(_logits(model.eval(), _images(subject)), _logits(other.eval(), _images(subject))):
        fail("gives other logits when it is copied by copy.deepcopy")


def _model(subject: Subject, classes: int = 0) -> nn.Module:
    """Build a model, from the same seed each time."""
    torch.manual_seed(0)
    model = subject.build(subject.shape, classes or subject.classes)
    check_module(subject.entry, model)
    made: nn.Module = model
    _logits(made.eval(), _images(subject))  # which gives lazy modules their shapes
    return made


def _images(subject: Subject) -> Tensor:
    """Return images as a model gets them, normalised."""
    return in_floats(subject.images(BATCH)).sub(0.5).div(0.25)


def _logits(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(images)
    return logits


def _state(model: nn.Module) -> Mapping[str, Tensor]:
    """Return all parameters and buffers."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _apart(one: Tensor, two: Tensor) -> bool:
    return not float((one - two).abs().max()) <= APART * max(1.0, float(two.abs().max()))


CHECKS = (
    it_gives_logits_for_any_number_of_classes,
    it_takes_a_batch_of_one,
    the_same_seed_gives_the_same_weights,
    gradients_reach_every_parameter,
    evaluation_repeats_and_leaves_the_state_alone,
    in_evaluation_each_image_counts_alone,
    channels_last_gives_the_same_logits,
    a_copy_gives_the_same_logits,
    an_interrupted_run_ends_with_the_same_bits,
)
