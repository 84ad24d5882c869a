"""The contract of a loss: each function checks one fact, and says what breaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..training.augment import one_hot
from ..training.contracts import check_loss
from .subject import fail, skip

if TYPE_CHECKING:
    from torch import Tensor

    from .subject import Subject

IMAGES = 32
SAME = 1e-5
"""How far apart two values may be that should be the same, relative to the larger: float32 rounds."""
SURE = 1e3
"""Logits this large are those of a network that is as sure as float32 can tell."""


def it_gives_the_loss_of_each_image(subject: Subject) -> None:
    """Check that it gives a finite number for each image, and a gradient."""
    logits = _logits(subject).requires_grad_()
    check_loss(subject.entry, subject.build(logits, _targets(subject, _labels(subject))), logits)


def it_takes_very_sure_predictions(subject: Subject) -> None:
    """Check that loss and gradients are finite where all is predicted with certainty, right or wrong."""
    for labels in (_labels(subject), _labels(subject) + 1):
        logits = (SURE * one_hot(labels % subject.classes, subject.classes)).requires_grad_()
        loss = subject.build(logits, _targets(subject, _labels(subject)))
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        if not (loss.isfinite().all() and gradient.isfinite().all()):
            what = "loss" if not loss.isfinite().all() else "gradient"
            fail(f"gives a {what} that is not finite of very sure predictions", "work with log_softmax or logsigmoid")


def an_images_loss_is_its_own(subject: Subject) -> None:
    """Check that an image has the same loss alone as in a batch."""
    logits, labels = _logits(subject), _labels(subject)
    whole = _loss(subject, logits, labels)
    alone = torch.cat([_loss(subject, logits[[i]], labels[[i]]) for i in range(IMAGES)])
    if not torch.allclose(whole, alone, rtol=SAME, atol=SAME):
        fail("gives an image another loss alone than in a batch", "leave the mean over the batch to ablate")


def better_predictions_have_a_lower_loss(subject: Subject) -> None:
    """Check that predictions that are all right have a lower mean loss than those that are all wrong."""
    labels = _labels(subject)
    right, wrong = (
        float(_loss(subject, _logits(subject) + 6 * one_hot(of % subject.classes, subject.classes), labels).mean())
        for of in (labels, labels + 1)
    )
    if not right < wrong:
        fail(f"is {right:g} where all is predicted right and {wrong:g} where all is wrong", "turn its sign")


def it_takes_mixed_labels(subject: Subject) -> None:
    """Check that it gives a finite loss for shares of two classes, where it says that it takes shares."""
    if not subject.entry.shares:
        skip("it takes labels")
    labels = _labels(subject)
    shares = (one_hot(labels, subject.classes) + one_hot((labels + 1) % subject.classes, subject.classes)) / 2
    logits = _logits(subject).requires_grad_()
    check_loss(subject.entry, subject.build(logits, shares), logits)


def the_same_logits_have_the_same_loss(subject: Subject) -> None:
    """Check that it draws nothing and keeps nothing."""
    logits, labels = _logits(subject), _labels(subject)
    if not torch.equal(_loss(subject, logits, labels), _loss(subject, logits, labels)):
        fail("has another value the second time", "compute it from the logits and targets alone")


def it_leaves_its_input(subject: Subject) -> None:
    """Check that logits and targets are as they were."""
    logits, targets = _logits(subject), _targets(subject, _labels(subject))
    before = logits.clone(), targets.clone()
    with torch.no_grad():
        subject.build(logits, targets)
    if not (torch.equal(before[0], logits) and torch.equal(before[1], targets)):
        fail("changes the logits or targets that it is given", "work on a copy: logits.clone()")


def _logits(subject: Subject) -> Tensor:
    return torch.randn(IMAGES, subject.classes, generator=torch.Generator().manual_seed(0))


def _labels(subject: Subject) -> Tensor:
    return torch.arange(IMAGES) % subject.classes


def _targets(subject: Subject, labels: Tensor) -> Tensor:
    return one_hot(labels, subject.classes) if subject.entry.shares else labels


def _loss(subject: Subject, logits: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        loss: Tensor = subject.build(logits.clone(), _targets(subject, labels))
    return loss


CHECKS = (
    it_gives_the_loss_of_each_image,
    it_takes_very_sure_predictions,
    an_images_loss_is_its_own,
    better_predictions_have_a_lower_loss,
    it_takes_mixed_labels,
    the_same_logits_have_the_same_loss,
    it_leaves_its_input,
)
