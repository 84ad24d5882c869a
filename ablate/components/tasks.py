"""Tasks: what a run is given that need not train an image classifier, what it reports, and what is known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from .. import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

IMAGES = "image-classification"
"""The task of a study that names none: ablate's own training."""
Direction = Literal["maximize", "minimize"]
NAMING = "a metric is named SPLIT/NAME, as in test/f1, with train, validation or test as the split"


class Run(Protocol):
    """One run of a task, as the task sees it.

    seed: of all that is random; Python's, NumPy's and torch's generators are seeded with it. device: by name, as
    "cpu" or "cuda:0". threads: that it may keep busy. folder: for its own files, kept with the run. data_dir: ablate's
    data folder. study_dir: the folder of the study file. pilot: a short try, whose numbers mean nothing. steps: set by
    the task where it knows its last step, so that the time left is known; None until then.
    folds, fold, repetition: of a study with cross-validation, how many folds it has, and which one of which repetition
    to test and not to train on, both from 0. A repetition cuts the data anew, alike for all its folds and variants.
    Without folds, the first two are None, and the repetition is 0.
    """

    seed: int
    device: str
    threads: int
    folder: Path
    data_dir: Path
    study_dir: Path
    pilot: bool
    steps: int | None
    folds: int | None
    repetition: int

    @property
    def fold(self) -> int | None:
        """Return which fold to test."""
        ...

    def log(self, *, step: int, metrics: Mapping[str, float]) -> None:
        """Record what was measured after a step: one line of the history. Steps ascend.

        The run is stopped and pruned from here and from `save`, by an exception that a task lets pass.
        """
        ...

    def save(self, state: Any) -> None:
        """Keep what `restored` returns if the run is interrupted: numbers, texts, bytes, lists, dicts and tensors."""
        ...

    def restored(self) -> Any:
        """Return the state that an interrupted run saved last, or None to begin. What was logged since is dropped."""
        ...

    @property
    def stop_wanted(self) -> bool:
        """Tell whether to stop soon. A task that returns after it was told so is stopped, and its return is dropped."""
        ...


@dataclass(frozen=True)
class Metric:
    """What runs of a task report.

    name: as in "test/f1", with the split first: validation steers, and test is only reported. direction: "maximize" or
    "minimize". unit: "percent" for fractions, whose differences are in points; any other is written after the number.
    label: what it is called in a sentence after the split. margin: a difference too small to act on.
    """

    name: str
    direction: Direction
    unit: str = ""
    label: str = ""
    margin: float | None = None

    @property
    def measured(self) -> metrics.Metric:
        """Return it as reports and comparisons take it."""
        split, _, name = self.name.partition("/")
        percent = self.unit == "percent"
        written = metrics.PERCENT if percent else {**metrics.PLAIN, "unit": self.unit, "step": self.unit}
        quantity = metrics.Quantity(
            name=name,
            label=self.label or name.replace("_", " ").replace("-", " "),
            higher_is_better=self.direction == "maximize",
            bounds=metrics.FRACTION if percent else metrics.UNBOUNDED,
            margin=self.margin,
            **written,
        )
        return metrics.Metric(self.name, quantity, split)  # type: ignore[arg-type]  # its name was checked


@dataclass(frozen=True)
class Covered:
    """What a check of a task's settings found. files: those whose content runs depend on, which their keys cover.

    uncovered: what runs depend on as well and no key covers, a line each, for the plan.
    """

    files: Sequence[Path] = ()
    uncovered: Sequence[str] = ()


Check = Callable[..., Covered | None]
"""Looks at a task's settings before anything runs: `(folder, /, **settings)`, with the folder of the study, which
relative paths start from. Raises InputError for what cannot work.
"""


@dataclass(frozen=True)
class TaskFacts:
    """What the decorator of a task was given."""

    metrics: Sequence[Metric] = ()
    rehearse: bool = False
    check: Check | None = None


def wrong_name(name: object) -> str:
    """Say what is wrong with the name of a metric that a task reports, or return an empty string."""
    split, slash, rest = name.partition("/") if isinstance(name, str) else ("", "", "")
    good = slash and split in get_args(metrics.Split) and rest and rest.isprintable() and rest == rest.strip()
    return "" if good and len(str(name)) <= 80 else f"{str(name)!r:.90} cannot name a metric; {NAMING}"


def wrong_task(facts: TaskFacts) -> str:
    """Say what is wrong with what a task says of itself, or return an empty string."""
    if facts.check is not None and not callable(facts.check):
        return f"check = {facts.check!r} is no function"
    for one in facts.metrics:
        if not isinstance(one, Metric):
            return f'metrics has {one!r}; write Metric("test/f1", direction="maximize")'
        if wrong := wrong_name(one.name):
            return wrong
        if one.direction not in get_args(Direction):
            return f"direction = {one.direction!r} of {one.name} is not accepted; write maximize or minimize"
    names = [one.name for one in facts.metrics]
    return "" if len(set(names)) == len(names) else "names a metric twice"
