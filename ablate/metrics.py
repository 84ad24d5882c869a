"""What a run is measured by: each metric and each cost as one record; and the states of a run.

A metric's direction, unit, bounds and names are said here and derived nowhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from .errors import InputError, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RunState = Literal["new", "unfinished", "failed", "stored"]
"""The state of a run in plans, frames, CSV and JSON: never begun; begun; its last try failed; has a result."""
Split = Literal["train", "validation", "test"]
FRACTION, UNBOUNDED = (0.0, 1.0), (-math.inf, math.inf)
PERCENT: Mapping[str, Any] = {"factor": 100.0, "unit": "%", "step": "points", "least": 1, "most": 2, "plain": 2}
PLAIN: Mapping[str, Any] = {"least": 2, "most": 4, "plain": 3}
"""How fractions and other numbers are written: as accuracies and as losses are."""


@dataclass(frozen=True)
class Quantity:
    """What is measured, on whatever split: which way is better, between which bounds, and how it is written.

    label: in a sentence. factor: from the unit of data to the unit of text. unit: of a value in text; step: of a
    difference. least, most: bounds on the decimals that an interval's width asks for; plain: decimals without one.
    style: "count" for large whole numbers ("11.2 M"), "seconds" without decimals where they are many.
    margin: a difference too small to act on, in the unit of data; None where that is a share of the value.
    """

    name: str
    label: str
    higher_is_better: bool
    bounds: tuple[float, float] = (0.0, math.inf)
    factor: float = 1.0
    unit: str = ""
    step: str = ""
    least: int = 0
    most: int = 1
    plain: int = 1
    style: Literal["decimals", "count", "seconds"] = "decimals"
    margin: float | None = None

    @property
    def better(self) -> str:
        """Return which way is better, in a word: "higher" or "lower"."""
        return "higher" if self.higher_is_better else "lower"


ACCURACY = Quantity(
    "accuracy", "accuracy", True, FRACTION, factor=100.0, unit="%", step="points", least=1, most=2, plain=2,
    margin=0.005,
)  # fmt: skip
LOSS = Quantity("loss", "loss", False, least=2, most=4, plain=3)
SECONDS = Quantity("seconds", "training time", False, unit="s", step="s", style="seconds")
PARAMETERS = Quantity("parameters", "parameters", False, style="count")
FLOPS = Quantity("flops", "FLOPs", False, style="count")


@dataclass(frozen=True)
class Metric:
    """A quantity, on one split or (a cost) on none.

    name: its column in frames and its key in results, such as `test/accuracy`. label: in a sentence.
    """

    name: str
    quantity: Quantity
    split: Split | Literal[""] = ""

    @property
    def label(self) -> str:
        """Return what the metric is called in a sentence: "test accuracy"."""
        split = "training" if self.split == "train" else self.split
        return f"{split} {self.quantity.label}" if split else self.quantity.label

    @property
    def heading(self) -> str:
        """Return what stands above a column or on an axis: "Test accuracy (%)"."""
        unit = self.quantity.unit
        return self.label[:1].upper() + self.label[1:] + (f" ({unit})" if unit else "")

    @property
    def higher_is_better(self) -> bool:
        """Tell whether more of it is better."""
        return self.quantity.higher_is_better

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the lowest and the highest value that it can have, in the unit of data."""
        return self.quantity.bounds

    @property
    def difference_bounds(self) -> tuple[float, float]:
        """Return how far apart two values can be, as the lowest and the highest difference."""
        low, high = self.bounds
        return low - high, high - low


_ON_SPLITS: tuple[tuple[Split, Quantity], ...] = (
    ("train", LOSS), ("validation", LOSS), ("validation", ACCURACY), ("test", LOSS), ("test", ACCURACY),
)  # fmt: skip
METRICS = {name: Metric(name, of, split) for split, of in _ON_SPLITS for name in [f"{split}/{of.name}"]}
"""What each epoch of a run is measured by, by name, in the order of the columns of frames."""
TASK_METRICS = METRICS | {
    name: replace(one, quantity=replace(LOSS, bounds=UNBOUNDED))
    for name, one in METRICS.items()
    if one.quantity is LOSS
}
"""The same for what a task reports: its loss is not cross-entropy, and may be below 0."""
COSTS = {of.name: Metric(of.name, of) for of in (SECONDS, PARAMETERS, FLOPS)}
"""What a run or its model costs, by name: objectives of tuning beside the metrics."""


def on_splits(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """Return the same quantities on every split, by name, which a task may log beside what it reports."""
    splits: tuple[Split, ...] = ("train", "validation", "test")
    every = (replace(one, name=f"{split}/{one.quantity.name}", split=split) for one in metrics for split in splits)
    return {one.name: one for one in every}


@dataclass(frozen=True)
class Unmeasured:
    """Metrics that a study names and that have no value: of these runs ("cutout, seed 0"), of all where none is named.

    why: as in "their predictions were removed". remedy: "" where `why` says it.
    """

    metrics: tuple[str, ...]
    runs: tuple[str, ...]
    why: str
    remedy: str


def metric(name: str, known: Mapping[str, Metric] = METRICS | COSTS) -> Metric:
    """Return the metric or cost of this name. Raises InputError, with the accepted names, where there is none.

    known: those that are accepted.
    """
    if name not in known:
        near = f"; did you mean 'test/{name}'?" if f"test/{name}" in known else did_you_mean(name, known)
        raise InputError(f"there is no metric '{name}'{near}\n  accepts {listing(known, 20)}")
    return known[name]
