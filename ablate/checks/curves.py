"""What the curves of runs show: a loss that does not fall, a dip and the learning rate then, an end far from the best.

Curves are means over the seeds of a variant, so that one seed's bad epoch is no finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import numbers
from ..metrics import ACCURACY, LOSS
from .finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..stats.results import Results

FLAT, FLAT_EPOCHS = 0.02, 3
"""A training loss is flat that falls by less than this share in this many epochs or more.

The slowest run of the digits study, at a hundredth of its learning rate, falls by 3 % in two epochs.
"""
GAP, TIMES = 0.5, 1.5
"""Training and test are far apart where the test loss is higher by so many nats and so many times.

Half a nat is 1.6 times less probability for the right class. Without the second, a hard task with a large loss on
both sides would be one.
"""
DIP = 0.05
"""A dip loses so much accuracy over at least two epochs, and wins half of it back: a single epoch is noise of training,
which at a high learning rate is some points."""
FAR = 0.02
"""The end is far from the best epoch at this much accuracy: four times what a practical difference is by default."""


@dataclass(frozen=True)
class Curve:
    """The mean over the seeds of a variant after each epoch: each an array, in the order of the epochs.

    images: how many each accuracy is of, 0 where that is not known.
    """

    variant: str
    split: str
    epochs: Any
    rates: Any
    training: Any
    losses: Any
    accuracies: Any
    images: int


def curve_findings(results: Results) -> Iterator[Finding]:
    """Find what is doubtful in the curves of each variant."""
    for curve in curves(results):
        if len(curve.epochs) >= FLAT_EPOCHS:
            yield from _flat(curve)
            yield from _dip(curve)
            yield from _end(curve)
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
        yield Curve(variant.name, split, own.index.to_numpy(), rates, training, losses, accuracies, images)


def noise(accuracy: float, images: int) -> float:
    """Return the standard error of an accuracy that so many images give it; 0 where their number is not known."""
    return float(np.sqrt(max(accuracy * (1 - accuracy), 0) / images)) if images else 0.0


def _flat(curve: Curve) -> Iterator[Finding]:
    loss = curve.training
    if np.isfinite(loss).all() and loss.min() > (1 - FLAT) * loss[0]:
        first, last = (numbers.value(float(one), LOSS, 2) for one in (loss[0], loss[-1]))
        yield Finding(
            "flat-loss",
            curve.variant,
            f"its training loss does not fall: {first} in the first epoch, {last} in the last of {len(loss)}",
            "check that the optimizer has this model's parameters, that its weights are new, and the learning rate",
        )


def _gap(curve: Curve) -> Iterator[Finding]:
    training, tested = float(curve.training[-1]), float(curve.losses[-1])
    if tested > training + GAP and tested > TIMES * training:
        yield Finding(
            "train-test-gap",
            curve.variant,
            f"its {curve.split} loss ends at {numbers.value(tested, LOSS, 2)} and its training loss at "
            f"{numbers.value(training, LOSS, 2)}: it knows its training images better than others",
            "more images, augmentation or weight decay, or fewer epochs",
        )


def _dip(curve: Curve) -> Iterator[Finding]:
    found = _deepest(_without_spikes(curve.accuracies))
    if found is None:
        return
    # Found in a curve without spikes, and told of the epochs themselves.
    near = [range(max(place - 1, 0), min(place + 2, len(curve.epochs))) for place in found]
    top = max(near[0], key=curve.accuracies.__getitem__)
    low = min(near[1], key=curve.accuracies.__getitem__)
    before, lowest = float(curve.accuracies[top]), float(curve.accuracies[low])
    fell, rates = before - lowest, (float(curve.rates[top]), float(curve.rates[low]))
    if fell < max(DIP, 4 * noise(before, curve.images)):
        return
    rose = rates[1] > 1.5 * rates[0]
    way = "rose" if rose else "fell" if rates[1] < rates[0] / 1.5 else "stayed"
    said = f"rose from {numbers.rate(rates[0])} to {numbers.rate(rates[1])}"
    said = said if rose else f"{way} ({numbers.rate(rates[0])}, then {numbers.rate(rates[1])})"
    yield Finding(
        "dip",
        curve.variant,
        f"its {curve.split} accuracy falls by {numbers.with_sign(fell, ACCURACY, 1).lstrip('+')}, from "
        f"{numbers.percent(before, 1)} at epoch {curve.epochs[top]} to {numbers.percent(lowest, 1)} at epoch "
        f"{curve.epochs[low]}, and recovers: meanwhile the learning rate {said}",
        "dip and recovery are the schedule's: anneal once, over the whole run"
        if rose
        else "look at what happens to the loss there, with a lower learning rate or shorter gradients (clip_norm)",
    )


def _without_spikes(values: Any) -> Any:
    """Return a curve with each value replaced by the median of it and its neighbours."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)


def _deepest(values: Any) -> tuple[int, int] | None:
    """Return the places of the deepest dip, of its top and its bottom, where half of it is won back; None if none."""
    if not np.isfinite(values).all():
        return None
    tops = np.maximum.accumulate(values)
    later = np.maximum.accumulate(values[::-1])[::-1]
    depth = np.minimum(tops - values, 2 * (later - values))
    low = int(depth.argmax())
    return (int(values[: low + 1].argmax()), low) if depth[low] > 0 else None


def _end(curve: Curve) -> Iterator[Finding]:
    if not np.isfinite(curve.accuracies).all():
        return
    best = int(curve.accuracies.argmax())
    most, last = float(curve.accuracies[best]), float(curve.accuracies[-1])
    # The highest of many epochs is higher by chance: by about two standard errors of thirty.
    if most - last >= max(FAR, 3 * noise(most, curve.images)):
        yield Finding(
            "far-from-best",
            curve.variant,
            f"its {curve.split} accuracy ends at {numbers.percent(last, 1)}, and was {numbers.percent(most, 1)} at "
            f"epoch {curve.epochs[best]} of {len(curve.epochs)}: what is compared depends on where a run ends",
            "anneal the learning rate, or train for fewer epochs; do not take the best epoch of the test split",
        )
