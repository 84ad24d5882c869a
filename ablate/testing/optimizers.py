"""The contract of an optimizer: each function checks one fact, and says what breaks it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..training.contracts import check_optimizer
from .small_run import an_interrupted_run_ends_with_the_same_bits
from .subject import fail, seed_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor
    from torch.optim import Optimizer

    from .subject import Subject

STEPS = 100
SHAPES = ((4, 3, 3, 3), (5, 4), (5,))
"""Of parameters as networks have them: of a convolution, a matrix and a vector."""


def it_steps_the_parameters_that_it_was_given(subject: Subject) -> None:
    """Check that it has all of them and no others, an `lr` in each group, and a `step()` that needs nothing."""
    _built(subject, _network())


def each_parameter_stands_in_one_group_once(subject: Subject) -> None:
    """Check that no parameter is there twice, and would be stepped twice."""
    optimizer = _built(subject, _network())
    counts = Counter(id(p) for group in optimizer.param_groups for p in group["params"])
    if twice := sum(count > 1 for count in counts.values()):
        fail(f"has {twice} parameters more than once in its groups, and steps them as often")


def it_lowers_a_quadratic(subject: Subject) -> None:
    """Check that a hundred steps bring parameters nearer to the minimum of a quadratic."""
    network = _network()
    optimizer, losses = _built(subject, network), []
    for _ in range(STEPS):
        losses.append(_loss(network))
        _step(network, optimizer)
    losses.append(_loss(network))
    if not losses[-1] < losses[0]:
        fail(
            f"takes a quadratic from {losses[0]:.4g} to {losses[-1]:.4g} in {STEPS} steps",
            "it has to go down; where a step is too long, check it with a smaller lr",
        )


def the_same_steps_give_the_same_parameters(subject: Subject) -> None:
    """Check that two optimizers that see the same gradients do the same, bit for bit."""
    if not _same(_after(subject), _after(subject)):
        fail("makes other steps of the same gradients", "draw from torch's own generator, which ablate seeds")


def its_rate_can_be_scheduled(subject: Subject) -> None:
    """Check that another learning rate in its groups makes another step."""

    def halve(optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] / 2

    if _same(_after(subject), _after(subject, halve)):
        fail(
            "takes the same steps when the learning rate of its groups is halved, so no scheduler has an effect",
            "read the rate from group['lr'] at every step",
        )


def a_parameter_without_gradient_stays(subject: Subject) -> None:
    """Check that a parameter that took no part in a batch is left alone, without an error."""
    network = _network()
    optimizer = _built(subject, network)
    first = next(network.parameters())
    before = first.detach().clone()
    _gradients(network)
    first.grad = None
    optimizer.step()
    if not torch.equal(first, before):
        fail("moves a parameter that has no gradient", "leave out parameters whose grad is None")


def _network() -> nn.ParameterList:
    """Return the same parameters each time."""
    draw = torch.Generator().manual_seed(0)
    return nn.ParameterList([nn.Parameter(torch.randn(shape, generator=draw)) for shape in SHAPES])


def _built(subject: Subject, network: nn.Module) -> Optimizer:
    optimizer = subject.build(list(network.parameters()))
    check_optimizer(subject.entry, optimizer, network)
    made: Optimizer = optimizer
    return made


def _after(subject: Subject, change: Callable[[Optimizer], Any] = lambda _: None) -> Sequence[Tensor]:
    """Return the parameters after three steps, made after a change of the optimizer."""
    seed_process(0)
    network = _network()
    optimizer = _built(subject, network)
    change(optimizer)
    for _ in range(3):
        _step(network, optimizer)
    return list(network.parameters())


def _step(network: nn.Module, optimizer: Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    _gradients(network)
    optimizer.step()


def _gradients(network: nn.Module) -> None:
    """Give each parameter the gradient of the quadratic, which is its distance from 1."""
    for parameter in network.parameters():
        parameter.grad = parameter.detach() - 1


def _loss(network: nn.Module) -> float:
    return sum(float((parameter.detach() - 1).square().sum()) / 2 for parameter in network.parameters())


def _same(one: Sequence[Tensor], two: Sequence[Tensor]) -> bool:
    return all(map(torch.equal, one, two))


CHECKS = (
    it_steps_the_parameters_that_it_was_given,
    each_parameter_stands_in_one_group_once,
    it_lowers_a_quadratic,
    the_same_steps_give_the_same_parameters,
    its_rate_can_be_scheduled,
    a_parameter_without_gradient_stays,
    an_interrupted_run_ends_with_the_same_bits,
)
