"""What the curves of runs show: a loss that does not fall, a dip and the learning rate then, an end far from the best.

Curves are means over the seeds of a variant, so that one seed's bad epoch is no finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import numbers
from ..components.contracts import USUAL_LOSS
from ..metrics import ACCURACY, LOSS, METRICS
from ..stats import courses as of
from ..stats.courses import FLAT_EPOCHS
from .finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..stats.results import Results


@dataclass(frozen=True)
class Curve:
    """The mean over the seeds of a variant after each epoch: each an array, in the order of the epochs.

    images: how many each accuracy is of, 0 where that is not known. comparable: training and test loss are the same.
    """

    variant: str
    split: str
    epochs: Any
    rates: Any
    training: Any
    losses: Any
    accuracies: Any
    images: int
    comparable: bool

    def line(self, values: Any) -> of.Line:
        """Return a curve of it as `stats.courses` takes it; empty where an epoch has no finite value."""
        return (self.epochs.tolist(), values.tolist()) if np.isfinite(values).all() else ((), ())


def curve_findings(results: Results) -> Iterator[Finding]:
    """Find what is doubtful in the curves of each variant."""
    for curve in curves(results) if results.study.images else ():  # a task's losses may be anything
        if len(curve.epochs) >= FLAT_EPOCHS:
            yield from _flat(curve)
            yield from _dip(curve)
            yield from _end(curve)
        if curve.comparable:
            yield from _gap(curve)


def curves(results: Results) -> Iterator[Curve]:
    """Yield the curve of each variant with stored runs, on the split that the study is compared on."""
    split = results.study.compared.split or "test"
    names = ["lr", "train/loss", f"{split}/loss", f"{split}/accuracy"]
    epochs = results.epochs.reindex(columns=["variant", "epoch", *names])  # a study need not have all of them
    means = epochs.groupby(["variant", "epoch"], sort=True).mean()
    for variant in results.study.variants:
        if variant.name not in means.index.get_level_values(0):
            continue
        own = means.xs(variant.name, level="variant")
        rates, training, losses, accuracies = (own[name].to_numpy(float) for name in names)
        images = variant.data.sizes.get(split, 0) if variant.data else 0
        comparable = variant.recipe.loss.use == USUAL_LOSS
        yield Curve(variant.name, split, own.index.to_numpy(), rates, training, losses, accuracies, images, comparable)


def _flat(curve: Curve) -> Iterator[Finding]:
    loss = curve.training
    if of.is_flat(loss):
        first, last = (numbers.value(float(one), LOSS, 2) for one in (loss[0], loss[-1]))
        yield Finding(
            "flat-loss",
            curve.variant,
            f"its training loss does not fall: {first} in the first epoch, {last} in the last of {len(loss)}",
            "check that the optimizer has this model's parameters, that its weights are new, and the learning rate",
        )


def _gap(curve: Curve) -> Iterator[Finding]:
    trained, losses = (curve.line(values) for values in (curve.training, curve.losses))
    if found := of.apart(trained, losses):
        training, tested = found
        yield Finding(
            "train-test-gap",
            curve.variant,
            f"its {curve.split} loss ends at {numbers.value(tested, LOSS, 2)} and its training loss at "
            f"{numbers.value(training, LOSS, 2)}: it knows its training images better than others",
            "more images, augmentation or weight decay, or fewer epochs",
        )


def _dip(curve: Curve) -> Iterator[Finding]:
    line = curve.line(curve.accuracies)
    found = of.dip(line, METRICS[f"{curve.split}/accuracy"], {}, curve.images) if line[0] else None
    if found is None:
        return
    at = dict(zip(curve.epochs.tolist(), curve.rates.tolist(), strict=True))
    rates = (at[found.top], at[found.low])
    fell = numbers.with_sign(found.before - found.lowest, ACCURACY, 1).lstrip("+")
    rose = rates[1] > 1.5 * rates[0]
    way = "rose" if rose else "fell" if rates[1] < rates[0] / 1.5 else "stayed"
    said = f"rose from {numbers.rate(rates[0])} to {numbers.rate(rates[1])}"
    said = said if rose else f"{way} ({numbers.rate(rates[0])}, then {numbers.rate(rates[1])})"
    yield Finding(
        "dip",
        curve.variant,
        f"its {curve.split} accuracy falls by {fell}, from "
        f"{numbers.percent(found.before, 1)} at epoch {found.top} to {numbers.percent(found.lowest, 1)} at epoch "
        f"{found.low}, and recovers: meanwhile the learning rate {said}",
        "dip and recovery are the schedule's: anneal once, over the whole run"
        if rose
        else "look at what happens to the loss there, with a lower learning rate or shorter gradients (clip_norm)",
    )


def _end(curve: Curve) -> Iterator[Finding]:
    line = curve.line(curve.accuracies)
    if found := of.peak(line, METRICS[f"{curve.split}/accuracy"], curve.images) if line[0] else None:
        yield Finding(
            "far-from-best",
            curve.variant,
            f"its {curve.split} accuracy ends at {numbers.percent(found.last, 1)}, and was "
            f"{numbers.percent(found.best, 1)} at epoch {found.epoch} of {len(curve.epochs)}: what is compared depends "
            "on where a run ends",
            "anneal the learning rate, or train for fewer epochs; do not take the best epoch of the test split",
        )
