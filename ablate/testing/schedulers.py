"""The contract of a scheduler: each function checks one fact, and says what breaks it."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from ..components.contracts import Horizon
from ..errors import counted, error_text
from ..training.checkpoint import packed, unpacked
from ..training.contracts import check_scheduler
from .small_run import an_interrupted_run_ends_with_the_same_bits
from .subject import BrokenContractError, fail

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from .subject import Subject

RATE = 0.1
HORIZON = Horizon(epochs=4, steps_per_epoch=3)
HORIZONS = (Horizon(1, 1), Horizon(1, 7), Horizon(7, 1), HORIZON)
Rates = list[tuple[float, ...]]


def it_schedules_the_optimizer_that_it_was_given(subject: Subject) -> None:
    """Check that it is an LRScheduler of that optimizer, and steps by epoch if it watches a loss."""
    _built(subject, _optimizer(), HORIZON)


def rates_are_finite_and_not_negative(subject: Subject) -> None:
    """Check that no step of a run has a learning rate below 0, and at least one has more than 0."""
    for horizon in HORIZONS:
        rates = [rate for group in _rates(subject, horizon)[:-1] for rate in group]
        if wrong := [rate for rate in rates if not math.isfinite(rate) or rate < 0]:
            fail(f"sets the learning rate {wrong[0]:g} ({_text(horizon)})", "a rate is a finite number, 0 or more")
        if not any(rates):
            fail(f"keeps the learning rate at 0 ({_text(horizon)}), so nothing is learned")


def it_lasts_as_long_as_the_run(subject: Subject) -> None:
    """Check that it can be stepped to the end of runs of several lengths."""
    for horizon in HORIZONS:
        _rates(subject, horizon)


def it_takes_optimizers_with_and_without_momentum(subject: Subject) -> None:
    """Check several optimizers, since a study may combine it with any."""
    for kind in ("SGD", "Adam", "Adagrad"):
        try:
            _rates(subject, HORIZON, kind)
        except BrokenContractError as error:
            fail(f"{error}, with torch.optim.{kind}", "look at optimizer.defaults before you set a momentum")


def the_same_run_has_the_same_rates(subject: Subject) -> None:
    """Check that only the settings, the optimizer and the horizon decide the rates."""
    if _rates(subject, HORIZON) != _rates(subject, HORIZON):
        fail("sets other learning rates in the same run", "compute them from the settings and the horizon alone")


def it_goes_on_wherever_it_was_saved(subject: Subject) -> None:
    """Check that saved and loaded in the middle of a run it sets the same rates to the end, bit for bit."""
    whole = _rates(subject, HORIZON)
    for done in range(1, len(whole) - 1):
        optimizer = _optimizer()
        scheduler = _built(subject, optimizer, HORIZON)
        _follow(optimizer, scheduler, done)
        try:
            kept = unpacked(packed({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}))
        except Exception as error:  # noqa: BLE001  # pickling runs code of a plugin's
            fail(f"cannot be saved: {error_text(error)}", "keep numbers, texts, lists and dicts in its attributes")
        other = _optimizer()
        again = _built(subject, other, HORIZON)
        other.load_state_dict(kept["optimizer"])
        again.load_state_dict(kept["scheduler"])
        if _follow(other, again, len(whole) - 1 - done) != whole[done:]:
            fail(
                f"sets other learning rates when it was saved and loaded after step {done} of {len(whole) - 1}",
                "keep what it counts in an attribute that state_dict() has",
            )


def _optimizer(kind: str = "SGD") -> Optimizer:
    """Return an optimizer with two groups of parameters."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(2))], "lr": rate} for rate in (RATE, RATE / 10)]
    if kind == "SGD":
        return torch.optim.SGD(groups, momentum=0.9)
    made: Optimizer = getattr(torch.optim, kind)(groups)
    return made


def _built(subject: Subject, optimizer: Optimizer, horizon: Horizon) -> LRScheduler:
    scheduler = subject.build(optimizer, horizon)
    check_scheduler(subject.entry, scheduler, optimizer)
    made: LRScheduler = scheduler
    return made


def _rates(subject: Subject, horizon: Horizon, kind: str = "SGD") -> Rates:
    """Return the rates of each epoch or step of a run, and those after its last."""
    optimizer = _optimizer(kind)
    units = horizon.epochs if subject.entry.steps == "epoch" else horizon.steps
    try:
        return _follow(optimizer, _built(subject, optimizer, horizon), units)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        fail(f"fails before the run has ended: {error_text(error)} ({_text(horizon)})")


def _follow(optimizer: Optimizer, scheduler: Any, units: int) -> Rates:
    """Step a scheduler so many times, and return each group's rate before and after each."""
    rates = [tuple(float(group["lr"]) for group in optimizer.param_groups)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # after a restart torch takes the optimizer for one that never stepped
        for _ in range(units):
            optimizer.step()
            scheduler.step(1.0) if isinstance(scheduler, ReduceLROnPlateau) else scheduler.step()
            rates.append(tuple(float(group["lr"]) for group in optimizer.param_groups))
    return rates


def _text(horizon: Horizon) -> str:
    return f"in a run of {counted(horizon.epochs, 'epoch')} of {counted(horizon.steps_per_epoch, 'step')}"


CHECKS = (
    it_schedules_the_optimizer_that_it_was_given,
    rates_are_finite_and_not_negative,
    it_lasts_as_long_as_the_run,
    it_takes_optimizers_with_and_without_momentum,
    the_same_run_has_the_same_rates,
    it_goes_on_wherever_it_was_saved,
    an_interrupted_run_ends_with_the_same_bits,
)
