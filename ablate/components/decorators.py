"""The decorators that mark components.

Each checks its own arguments and the signature of the function below it, and marks the function; importing a plugin
registers nothing. What is not accepted is a `ComponentError` with file and line.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar, get_args

from ..errors import ComponentError, did_you_mean, listing
from ..metrics import PERCENT, PLAIN, UNBOUNDED, Quantity
from ..paths import shown
from .contracts import KINDS, USUAL, Kind, Library, Steps
from .schema import settings_of
from .tasks import TaskFacts, wrong_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .tasks import Check, Metric

P = ParamSpec("P")
R = TypeVar("R")
LibraryType = TypeVar("LibraryType", bound=type[Library])

# What `ablate` passes to a factory of each kind, by position, before the study's settings.
POSITIONAL: Mapping[Kind, tuple[str, ...]] = {
    "dataset": ("folder",),
    "model": ("shape", "classes"),
    "augmentation": (),
    "optimizer": ("params",),
    "scheduler": ("optimizer", "horizon"),
    "loss": ("logits", "targets"),
    "task": ("run",),
    "metric": ("logits", "labels"),
    "executor": (),
    "figure": ("report",),
}
STEPS: tuple[str, ...] = get_args(Steps)
_NAME = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")
_NAMING = "is lower-case letters and digits, joined by '-', '_' or '.', such as"


@dataclass(frozen=True)
class Mark:
    """What a decorator was given; the name of a library ends with a colon."""

    kind: Kind
    name: str
    steps: Steps = "epoch"
    quantity: Quantity | None = None
    shares: bool | None = None
    task: TaskFacts | None = None
    side: str = ""


def dataset(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a dataset: `(folder: Path, *, settings) -> Source`. `folder` is ablate's data folder."""
    return _marker(Mark("dataset", name))


def model(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a model: `(shape: ImageShape, classes: int, *, settings) -> nn.Module` giving logits (B, classes)."""
    return _marker(Mark("model", name))


def augmentation(name: str, *, side: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register an augmentation: `(*, settings) -> BatchTransform`, or a `MixingTransform`.

    side: the setting that says to how many pixels a side it brings images, which is None to keep their size; without
    one it always keeps it. What is evaluated is then the middle of each image, in that size.
    """
    return _marker(Mark("augmentation", name, side=side))


def optimizer(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register an optimizer: `(params, *, settings) -> torch.optim.Optimizer`."""
    return _marker(Mark("optimizer", name))


def scheduler(name: str, *, steps: Steps | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a scheduler: `(optimizer, horizon: Horizon, *, settings) -> LRScheduler`.

    `steps`, which has to be given, says when it is stepped: after each "epoch" or after each "batch".
    """
    return _marker(Mark("scheduler", name, steps))  # type: ignore[arg-type]  # None is refused with file and line


def loss(name: str, *, shares: bool | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a loss: `(logits, targets, *, settings) -> Tensor` (B,), the loss of each image.

    logits: (B, classes) float32. shares, which has to be given, says what targets are: with True the share of each
    class (B, classes), float32, rows that sum to 1, so that labels can be mixed and smoothed; with False labels (B,).
    """
    return _marker(Mark("loss", name, shares=shares))


def metric(
    name: str,
    *,
    higher_is_better: bool | None = None,
    percent: bool = False,
    bounds: tuple[float, float] | None = None,
    label: str = "",
    margin: float | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a metric: `(logits, labels, *, settings) -> float`, computed from what a finished run predicted.

    logits: (N, classes) float32 array, each row less its largest. labels: (N,) int64 array. Both are NumPy's.
    higher_is_better, which has to be given, says which way is better.
    percent: the value is a fraction, written as a percentage and its differences in points.
    bounds: the lowest and the highest value that it can have; by default 0 and 1 for a fraction, none for others.
    label: what it is called in a sentence, which may name settings, as in "top-{k} accuracy"; by default its name.
    margin: a difference too small to act on, in the unit of the value.
    """
    quantity = Quantity(
        name=name,
        label=label or str(name).replace("-", " "),
        higher_is_better=higher_is_better,  # type: ignore[arg-type]  # None is refused with file and line
        bounds=bounds or ((0.0, 1.0) if percent else UNBOUNDED),
        **(PERCENT if percent else PLAIN),
        margin=margin,
    )
    return _marker(Mark("metric", name, quantity=quantity))


def task(
    name: str, *, metrics: Sequence[Metric] = (), rehearse: bool = False, check: Check | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a task: `(run: Run, *, settings) -> Mapping[str, float]`, any training that reports numbers.

    metrics: what it reports, for directions and units; a study may say those of its own metric instead.
    rehearse: each variant is tried before any run starts, with `run.pilot` true and nothing recorded.
    check: looks at the settings before anything runs (see `Check`).
    """
    return _marker(Mark("task", name, task=TaskFacts(metrics, rehearse, check)))


def executor(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register an executor, as `ablate run --executor NAME` names it: `(*, settings) -> Executor`.

    `ablate.testing.executor` has the tests that it has to pass.
    """
    return _marker(Mark("executor", name))


def figure(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a figure of reports: `(report: Report, *, settings) -> Drawing`, or several of them as a tuple.

    It takes all that a report says and returns the numbers to show, with what draws them: it draws nothing itself.
    """
    return _marker(Mark("figure", name))


def library(kind: Kind, prefix: str = "") -> Callable[[LibraryType], LibraryType]:
    """Register a whole library of components of one kind behind `prefix:`; the class follows `Library`."""
    if isinstance(kind, type):
        _refuse(kind, "library", 'write @library("KIND", "PREFIX"), with kind and prefix in parentheses')

    def mark(cls: LibraryType) -> LibraryType:
        wrong = ""
        if kind not in KINDS:
            wrong = f"unknown kind {kind!r}{did_you_mean(str(kind), KINDS)}; accepts {listing(KINDS)}"
        elif not isinstance(prefix, str) or not _NAME.fullmatch(prefix):
            wrong = f"a prefix {_NAMING} 'timm', without the colon"
        elif not isinstance(cls, type) or not all(
            callable(getattr(cls, name, None)) for name in ("names", "component")
        ):
            wrong = "a library is a class with the methods names() and component(name)"
        if wrong:
            _refuse(cls, f"library {prefix!r}", wrong)
        _put_mark(cls, Mark(kind, f"{prefix}:"))
        return cls

    return mark


def wrong_steps(steps: object) -> str:
    """Say what is wrong with a scheduler's `steps`, or return an empty string."""
    if isinstance(steps, str) and steps in STEPS:
        return ""
    given = "says when it steps" if steps is None else f"steps = {steps!r} is not accepted"
    return f'{given}; write steps="epoch" (after each epoch) or steps="batch" (after each batch)'


def wrong_shares(shares: object) -> str:
    """Say what is wrong with a loss's `shares`, or return an empty string."""
    if isinstance(shares, bool):
        return ""
    return "has to say what it takes; write shares=True (shares of classes) or shares=False (labels)"


def wrong_quantity(quantity: Quantity | None, settings: Iterable[str]) -> str:
    """Say what is wrong with what a metric says of itself, or return an empty string. settings: their names."""
    if not isinstance(quantity, Quantity):
        return "says nothing of what it measures; a library's metric has a `quantity` of the type ablate.Quantity"
    if not isinstance(quantity.higher_is_better, bool):
        return "has to say which way is better; write higher_is_better=True or higher_is_better=False"
    low, high = quantity.bounds
    if not low < high:
        return f"bounds = ({low:g}, {high:g}) are not the lowest and the highest value"
    try:
        quantity.label.format(**dict.fromkeys(settings, 0))
    except (KeyError, IndexError, ValueError):
        return f"label = {quantity.label!r} names something in braces that is none of its settings"
    return ""


def _marker(mark: Mark) -> Callable[[Callable[P, R]], Callable[P, R]]:
    if callable(mark.name):  # the decorator stands there without parentheses
        required = {"scheduler": ', steps="epoch"', "loss": ", shares=True", "metric": ", higher_is_better=True"}
        more = required.get(mark.kind, "")
        _refuse(mark.name, mark.kind, f'write @{mark.kind}("NAME"{more}), with a name in parentheses')

    def decorate(factory: Callable[P, R]) -> Callable[P, R]:
        _check_contract(mark, factory)
        _put_mark(factory, mark)
        return factory

    return decorate


def _put_mark(thing: Any, mark: Mark) -> None:
    thing.__ablate__ = (*vars(thing).get("__ablate__", ()), mark)


def marks_of(thing: Any, home: str) -> tuple[Mark, ...]:
    """Return how a thing is marked that is defined in the module `home` or below; a proxy of a plugin may raise."""
    try:
        own = f"{getattr(thing, '__module__', None)}.".startswith(f"{home}.")
        marks = vars(thing).get("__ablate__", ()) if own and hasattr(thing, "__dict__") else ()
    except Exception:  # noqa: BLE001
        return ()
    return tuple(mark for mark in marks if isinstance(mark, Mark))


def _check_contract(mark: Mark, factory: Any) -> None:
    """Raise ComponentError, with file and line, where a decorator's values or a factory break the contract."""
    what = f"{mark.kind} {mark.name!r}"
    written = inspect.isfunction(factory) or inspect.isclass(factory)
    if not isinstance(mark.name, str) or not _NAME.fullmatch(mark.name):
        _refuse(factory, what, f"a name {_NAMING} 'wide-resnet'")
    if mark.kind == "figure" and mark.name == USUAL:
        _refuse(factory, what, "this name stands for the figures that a report has where a study names none")
    if wrong := wrong_steps(mark.steps):
        _refuse(factory, what, wrong)
    if not written:
        _refuse(factory, what, f"a component is a function or a class, not {type(factory).__name__}")
    wanted = POSITIONAL[mark.kind]
    form = f"def {factory.__name__}({', '.join([*wanted, '*', '...settings'])})"
    parameters = list(inspect.signature(factory).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    others = mark.task is not None and mark.task.check is not None  # which then knows what to make of them
    if any(p.kind is p.VAR_POSITIONAL or (p.kind is p.VAR_KEYWORD and not others) for p in parameters):
        _refuse(
            factory,
            what,
            f"*args and **kwargs hide the settings, which could not be checked; write each one out: {form}",
        )
    if len(positional) != len(wanted):
        _refuse(
            factory, what, f"takes {len(positional)} positional parameters, and ablate passes {len(wanted)}: {form}"
        )
    try:
        settings = settings_of(factory)
    except TypeError as error:
        _refuse(factory, what, str(error))
    if wrong := _wrong_facts(mark, [setting.name for setting in settings]):
        _refuse(factory, what, wrong)


def _wrong_facts(mark: Mark, settings: Sequence[str]) -> str:
    """Say what is wrong with what a decorator says of its kind, or return an empty string. settings: their names."""
    if mark.kind == "metric":
        return wrong_quantity(mark.quantity, settings)
    if mark.kind == "loss":
        return wrong_shares(mark.shares)
    if mark.side and mark.side not in settings:
        return f"side = {mark.side!r} is none of its settings{did_you_mean(str(mark.side), settings)}"
    return wrong_task(mark.task) if mark.task else ""


def _refuse(thing: Any, what: str, wrong: str) -> NoReturn:
    """Raise ComponentError with the place of what was decorated; without a file, TypeError, which discovery places."""
    text = f"{what}: {wrong}"
    try:
        place = f"{shown(inspect.getsourcefile(inspect.unwrap(thing)) or '')}:{line_of(thing)}: "
    except TypeError:
        raise TypeError(text) from None
    raise ComponentError(place + text)


@lru_cache(maxsize=1024)  # for a class its whole file is parsed
def line_of(thing: Any) -> int:
    """Return the line on which a function or class begins, with its decorators; 0 where it has none."""
    try:
        code = getattr(inspect.unwrap(thing), "__code__", None)
        return int(code.co_firstlineno) if code is not None else inspect.getsourcelines(thing)[1]
    except (OSError, TypeError, ValueError):  # written nowhere; wrapped in a circle
        return 0
