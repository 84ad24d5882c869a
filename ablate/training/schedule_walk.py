"""Walks through a schedule for a whole run before anything is trained, with a real optimizer on made-up parameters."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections import defaultdict
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from ..components.no_exit import no_exit
from ..errors import InputError
from ..study.walks import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..components.contracts import Horizon
    from ..components.registry import Entry

MOST_STEPS = 1_000_000
"""A schedule that steps more often in a run is not walked: that would take more than about ten seconds."""
BEYOND, LEAST_BEYOND, MOST_BEYOND = 20, 10_000, 60_000
"""How far a schedule is followed to find its end: this many times the run, with a least and a most number of steps."""
SAME = 1e-9
"""Rates that differ by less, as a share of the highest, are equal: their difference is rounding."""


class NoWalkError(Exception):
    """A schedule cannot be followed without training, such as one that watches the loss."""


@dataclass(frozen=True)
class Course:
    """All that decides a schedule: the optimizer and the scheduler with their settings, and the length of the run."""

    optimizer: Entry
    scheduler: Entry
    settings: Mapping[str, Any]
    schedule: Mapping[str, Any]
    horizon: Horizon

    @property
    def unit(self) -> str:
        """Return what the schedule steps after."""
        return "epoch" if self.scheduler.steps == "epoch" else "step"

    @property
    def per_epoch(self) -> int:
        """Return how often the schedule steps in an epoch."""
        return 1 if self.unit == "epoch" else self.horizon.steps_per_epoch

    @property
    def units(self) -> int:
        """Return how often the schedule steps in the run."""
        return self.horizon.epochs * self.per_epoch


class Walker:
    """An optimizer and its schedule, stepped as the training loop steps them.

    Raises NoWalkError if that is impossible without a model or a loss.
    """

    def __init__(self, course: Course) -> None:
        try:
            self._optimizer = course.optimizer.build(iter(_parameters()), settings=course.settings)
            groups = self._optimizer.param_groups
            # Read before the schedule adds its own entries.
            names = [n for n in groups[0] if n != "params" and all(n in group for group in groups)]
            moving = [n for n in names if isinstance(groups[0][n], float | tuple | list)]
            self.fixed = [{n: group[n] for n in names if n not in moving} for group in groups]
            self._read = itemgetter("lr", *moving)
            self._scheduler = course.scheduler.build(self._optimizer, course.horizon, settings=course.schedule)
            watches = isinstance(self._scheduler, ReduceLROnPlateau) or not hasattr(self._scheduler, "step")
            if isinstance(self._optimizer.state, defaultdict):
                self._optimizer.state.default_factory = _untrained
        except Exception as error:
            raise NoWalkError from error
        if watches or course.units > MOST_STEPS:
            raise NoWalkError

    @property
    def values(self) -> list[tuple[Any, ...]]:
        """Return the numbers that each group trains with now."""
        return [self._read(group) for group in self._optimizer.param_groups]

    @property
    def rates(self) -> tuple[float, ...]:
        """Return each group's learning rate."""
        return tuple([float(group["lr"]) for group in self._optimizer.param_groups])

    def step(self) -> None:
        """Step the schedule. Raises NoWalkError if it looks at what only training gives."""
        _MadeUp.closed = True
        try:
            self._scheduler.step()
        finally:
            _MadeUp.closed = False


def walk(course: Course) -> Walk | None:
    """Walk the schedule of a run and return what it does; None if it cannot be followed without training.

    Raises InputError if the schedule fails before the run has ended.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about schedules that step before their optimizer does
        try:
            with no_exit():
                return _walk(course)
        except InputError:
            raise
        except Exception:  # noqa: BLE001  # a component's, which is named when its run is rehearsed
            return None


def _walk(course: Course) -> Walk:
    walker, groups = Walker(course), []
    digest = hashlib.sha256(repr(walker.fixed).encode())
    for unit in range(course.units):
        digest.update(repr(walker.values).encode())
        groups.append(walker.rates)
        try:
            walker.step()
        except NoWalkError:
            raise
        except Exception as error:
            if unit == 0:  # it may need what only training gives it
                raise NoWalkError from error
            said = str(error).strip().partition("\n")[0]
            raise InputError(
                f"ends before the run does: it fails after {course.unit} {unit + 1:,} of {course.units:,} "
                f"({type(error).__name__}: {said})\n"
                f"the run has {course.horizon.epochs:,} epochs of {course.horizon.steps_per_epoch:,} steps: "
                "make the schedule as long"
            ) from None
    rates = [max(rate) for rate in groups]
    return Walk(
        trace=f"{course.per_epoch} {digest.hexdigest()[:24]}",
        peak=max(rates),
        last=rates[-1],
        after=max(walker.rates),
        taken=tuple(_taken(course)),
        **_shape(rates, course.per_epoch),
        **_beyond(walker, groups, course.per_epoch),
    )


def _shape(rates: Sequence[float], per_epoch: int) -> dict[str, Any]:
    """Return from where on the rate of a run is 0, and where it rises again after it has fallen."""
    peak = max(rates)
    found: dict[str, Any] = {}
    working = next((n for n in range(len(rates), 0, -1) if rates[n - 1] > SAME * peak), 0)
    if len(rates) - working > (per_epoch > 1):  # a schedule by batches may end at 0: that costs one step
        found["idle"] = working / per_epoch
    top, low = rates[0], 0
    for place, rate in enumerate(rates):
        if rate > rates[low] + 0.01 * peak and rates[low] < top - 0.01 * peak:
            found["turn"] = low / per_epoch
            found["jump"] = rate - rates[place - 1] > 0.5 * (top - rates[low])
            backs = [n for n in range(place, len(rates)) if rates[n] > 0.99 * top >= rates[n - 1]]
            return {**found, "back": backs[0] / per_epoch, "times": len(backs)} if backs else found
        if rate > top:
            top, low = rate, place
        elif rate < rates[low]:
            low = place
    return found


def _beyond(walker: Walker, groups: Sequence[tuple[float, ...]], per_epoch: int) -> dict[str, Any]:
    """Follow a schedule beyond its run; return where a rate first changes, and where it ends if that is later."""
    units, peak, last = len(groups), max(map(max, groups)), max(groups[-1])
    more = max(units, min((BEYOND - 1) * units, MOST_BEYOND), LEAST_BEYOND if per_epoch > 1 else 0)
    changed = next((unit for unit, rates in enumerate(groups) if rates != groups[0]), None)
    low = before = last
    lowest = moved = units - 1  # moved: where a rate last differed from the one before
    end = None
    for unit in range(units, units + more):
        rates = walker.rates
        rate = max(rates)
        changed = unit if changed is None and rates != groups[0] else changed
        if rate > low + 0.01 * peak and low < last - 0.01 * peak:
            end = lowest  # from there it rises again
            break
        moved = unit if abs(rate - before) > SAME * peak else moved
        low, lowest = (rate, unit) if rate < low else (low, lowest)
        before = rate
        try:
            walker.step()
        except NoWalkError:
            raise
        except Exception:  # noqa: BLE001  # this is its end
            end = unit
            break
    if end is None and moved < units + more / 2:  # and stays the same for as long as it was followed
        end = moved
    found: dict[str, Any] = {"flat": changed is None or changed >= units}
    found |= {} if changed is None else {"first": changed / per_epoch}
    return {**found, "end": end / per_epoch, "floor": low} if end is not None and end > units else found


def _taken(course: Course) -> Iterator[str]:
    """Yield the optimizer's settings that can be halved without changing any step: the schedule replaces them."""
    plain = course.optimizer.build(iter(_parameters()), settings=course.settings).param_groups[0]
    for name in (setting.name for setting in course.optimizer.settings if setting.name in plain):
        for label, other in _halved(name, plain[name]):
            changed = replace(course, settings={**course.settings, name: other})
            with contextlib.suppress(NoWalkError):
                pair = (Walker(course), Walker(changed))
                if all(_same(pair) for _ in range(course.units)):
                    yield label


def _same(pair: tuple[Walker, Walker]) -> bool:
    """Tell whether two walkers now have the same numbers, and step both."""
    same = pair[0].values == pair[1].values
    for walker in pair:
        walker.step()
    return same


def _halved(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a number halved, or a tuple with each of its numbers halved in turn, with the name of what was halved."""
    if isinstance(value, float) and value:
        yield name, value / 2
    if isinstance(value, tuple | list):
        for place, part in enumerate(value):
            if isinstance(part, float) and part:
                yield f"{name}[{place}]", [*value[:place], part / 2, *value[place + 1 :]]


def _parameters() -> list[torch.nn.Parameter]:
    """Return parameters of the shapes that networks have: of a convolution, a matrix and a vector."""
    return [_MadeUp(torch.zeros(shape)) for shape in ((2, 2, 3, 3), (2, 2), (2,))]


class _MadeUp(torch.nn.Parameter):
    """A parameter that says nothing about training: a schedule that looks at its values or gradient is not walked.

    closed: True while a schedule steps.
    """

    closed = False

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if cls.closed:
            raise NoWalkError
        with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001  # as torch's own parameters do
            return func(*args, **(kwargs or {}))


def _untrained() -> dict[str, Any]:
    """Stand in for the state that an optimizer has of a parameter once it has stepped."""
    raise NoWalkError
