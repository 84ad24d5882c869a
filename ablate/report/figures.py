"""The two figures of a report: numbers first, then drawing.

`loss_data` and `accuracy_data` take records and decide everything that a test may want to know;
`draw_loss` and `draw_accuracy` only draw it. Only runs that are done enter, so that a mean never
changes the runs it is of from one epoch to the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import drawing, numbers
from .drawing import Curve
from .table import reported

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from matplotlib.figure import Figure

    from ..study.spec import Study
    from .content import Records

LOG_FROM = 20
"""The learning rate is drawn on a log scale where it spans more than this factor."""


@dataclass(frozen=True)
class Mark:
    """A reported number, drawn as a hollow marker at the variant's last epoch."""

    variant: str
    index: int
    epoch: int
    value: float


@dataclass(frozen=True)
class FigureData:
    """All that one figure shows and says.

    absent: why there is nothing to draw; empty where there is. log_rate: the learning rate needs a log scale.
    """

    name: str
    title: str
    caption: str
    alt: str
    absent: str
    curves: tuple[Curve, ...]
    rates: tuple[Curve, ...] = ()
    reported: tuple[Mark, ...] = ()
    log_rate: bool = False


def loss_data(records: Records) -> FigureData:
    """Return training and test loss by epoch of every variant that has a run which is done."""
    study = records.study
    curves = [
        curve
        for part, metric in (("train", "train/loss"), ("test", "test/loss"))
        for curve in _curves(records, part, metric)
    ]
    shown = [c for c in curves if c.part == "test"]
    return FigureData(
        name="loss",
        title="Training and test loss",
        caption="Loss by epoch on the training images (dashed, ending in a cross) and on the test images (solid). "
        + _about_seeds(curves)
        + _about_missing(study, curves),
        alt="Line chart of loss by epoch. " + _ends("test loss", shown, numbers.LOSS),
        absent="" if curves else "No run is done yet, so there is no loss to draw.",
        curves=tuple(curves),
    )


def accuracy_data(records: Records) -> FigureData:
    """Return test accuracy (%) and learning rate by epoch, and the reported accuracies, of every variant."""
    study = records.study
    curves = list(_curves(records, "test", "test/accuracy"))
    rates = [c for c in _curves(records, "rate", "lr") if c.variant in {a.variant for a in curves}]
    marks = _marks(study, {curve.variant for curve in curves})
    log_rate = _spans_far(rates)
    beneath = f"; beneath it the learning rate{', on a log scale' * log_rate}. " if rates else ". "
    hollow = "A hollow circle is the accuracy reported for that variant. " if marks else ""
    return FigureData(
        name="accuracy",
        title="Test accuracy and learning rate" if rates else "Test accuracy",
        caption="Accuracy on the test images after each epoch"
        + beneath
        + _about_seeds(curves)
        + hollow
        + _about_missing(study, curves),
        alt="Line chart of test accuracy by epoch. " + _ends("test accuracy in percent", curves, numbers.ACCURACY),
        absent="" if curves else "No run is done yet, so there is no accuracy to draw.",
        curves=tuple(curves),
        rates=tuple(rates),
        reported=tuple(marks),
        log_rate=log_rate,
    )


def _curves(records: Records, part: str, metric: str) -> Iterator[Curve]:
    runs, history = records.runs, records.history
    done = runs.loc[runs["state"] == "done", ["variant", "seed"]]
    factor = 1.0 if metric == "lr" else numbers.scale_of(metric).factor
    for index, variant in enumerate(records.study.variants):
        seeds = done.loc[done["variant"] == variant.name, "seed"]
        rows = history[(history["variant"] == variant.name) & history["seed"].isin(seeds)]
        wide = (rows.pivot_table(index="epoch", columns="seed", values=metric) * factor).dropna()
        if not wide.empty:
            yield _curve(variant.name, index, part, wide)


def _curve(variant: str, index: int, part: str, wide: pd.DataFrame) -> Curve:
    """Gather a frame with a row per epoch and a column per seed."""
    return Curve(
        variant=variant,
        index=index,
        part=part,
        epochs=tuple(int(epoch) for epoch in wide.index),
        mean=tuple(wide.mean(axis="columns")),
        low=tuple(wide.min(axis="columns")),
        high=tuple(wide.max(axis="columns")),
        seeds=tuple(tuple(wide[seed]) for seed in wide.columns),
    )


def _marks(study: Study, drawn: set[str]) -> list[Mark]:
    """Return reported accuracies; none in a pilot, whose last epoch is not the one they are of."""
    found = []
    for index, variant in enumerate(study.variants):
        number = reported(variant, "test/accuracy")
        if number is not None and math.isfinite(number) and variant.name in drawn and not study.pilot:
            found.append(Mark(variant.name, index, variant.recipe.epochs, numbers.ACCURACY.factor * number))
    return found


def _about_seeds(curves: list[Curve]) -> str:
    sizes = {len(curve.seeds) for curve in curves}
    if max(sizes, default=0) < 2:
        return "One seed each. "
    seeds = f"{min(sizes)} to {max(sizes)}" if len(sizes) > 1 else f"{max(sizes)}"
    return f"Lines are means over {seeds} seeds; the shade reaches from the lowest seed to the highest. "


def _about_missing(study: Study, curves: list[Curve]) -> str:
    drawn = {curve.variant for curve in curves}
    missing = [variant.name for variant in study.variants if variant.name not in drawn]
    return f"Not drawn, for want of a run that is done: {', '.join(missing)}." if missing else ""


def _ends(what: str, curves: list[Curve], scale: numbers.Scale) -> str:
    ends = [f"{c.variant} {numbers.fixed(c.mean[-1], scale.plain)} after epoch {c.epochs[-1]}" for c in curves]
    return f"Final {what}: {'; '.join(ends)}." if ends else ""


def _spans_far(rates: list[Curve]) -> bool:
    positive = [rate for curve in rates for rate in curve.mean if rate > 0]
    return bool(positive) and max(positive) > LOG_FROM * min(positive)


def draw_loss(data: FigureData) -> Figure:
    """Draw the loss figure. `data` must have curves."""
    with drawing.styled():
        figure = drawing.new_figure(height=3.9)
        axes = figure.subplots()
        for curve in data.curves:
            drawing.draw_curve(axes, curve, each_seed=False)
        drawing.finish(axes, "Loss")
        axes.set_xlabel("Epoch")
        drawing.key(
            axes, {"training": {"linestyle": drawing.DASHED, "marker": "x", "linewidth": 1.2}, "test": {"marker": "o"}}
        )
        last = {curve.variant: curve for curve in data.curves}  # the test curve, or training where there is no other
        drawing.label_ends(figure, axes, list(last.values()))
    return figure


def draw_accuracy(data: FigureData) -> Figure:
    """Draw the accuracy figure, with the learning rate beneath where it is known. `data` must have curves."""
    with drawing.styled():
        figure = drawing.new_figure(height=4.8 if data.rates else 3.9)
        upper, *lower = figure.subplots(
            1 + bool(data.rates), sharex=True, squeeze=False, height_ratios=(3, 1) if data.rates else None
        ).flat
        for curve in data.curves:
            drawing.draw_curve(upper, curve, each_seed=True)
        for mark in data.reported:
            upper.plot(
                mark.epoch, mark.value, "o", mfc="none", mec=drawing.colour_of(mark.index), mew=1.3, ms=8, zorder=3.5
            )
        drawing.finish(upper, "Test accuracy (%)")
        for axes in lower:
            for curve in data.rates:
                drawing.draw_curve(axes, curve, each_seed=False)
            drawing.finish(axes, "Learning rate")
            if data.log_rate:
                drawing.log_scale(axes)
        (lower or [upper])[-1].set_xlabel("Epoch")
        if data.reported:
            drawing.key(
                upper,
                {"ours": {"marker": "o"}, "reported": {"marker": "o", "mfc": "none", "markersize": 8, "linestyle": ""}},
            )
        drawing.label_ends(figure, upper, list(data.curves))
    return figure
