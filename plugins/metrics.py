"""The metrics that ship, and those of torchmetrics behind `torchmetrics:`.

Each is computed from what a finished run predicted: logits (N, classes) and labels (N,), as arrays of NumPy's.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import log_softmax, softmax

from ablate import Borrowed, Count, InputError, Quantity, library, metric, settings_of_library

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Logits = NDArray[np.float32]
    Labels = NDArray[np.int64]


@metric("accuracy", higher_is_better=True, percent=True, margin=0.005)
def accuracy(logits: Logits, labels: Labels) -> float:
    """Count the share of images whose first class is their label.

    Training measures it after each epoch in full precision, which is what `test/accuracy` is.
    """
    return float((logits.argmax(1) == labels).mean())


@metric("loss", higher_is_better=False, bounds=(0.0, math.inf))
def loss(logits: Logits, labels: Labels) -> float:
    """Take the mean cross-entropy of the images, in nats.

    Training measures it after each epoch in full precision, which is what `test/loss` is.
    """
    return float(-_of_labels(log_softmax(logits.astype(np.float64), axis=1), labels).mean())


@metric("top-k", higher_is_better=True, percent=True, label="top-{k} accuracy", margin=0.005)
def top_k(logits: Logits, labels: Labels, *, k: Count = 5) -> float:
    """Count the share of images whose label is among their k most likely classes.

    k: how many; as many as there are classes, or more, is always right. Of classes that are equally likely, those with
        the lower number come first.
    """
    own = _of_labels(logits, labels)[:, None]
    before = np.arange(logits.shape[1]) < labels[:, None]
    rank = (logits > own).sum(1) + ((logits == own) & before).sum(1)
    return float((rank < k).mean())


@metric("balanced-accuracy", higher_is_better=True, percent=True, margin=0.005)
def balanced_accuracy(logits: Logits, labels: Labels) -> float:
    """Take the mean over the classes of the share of their images that are recognised; rare classes count as much.

    Classes without images are left out.
    """
    images = np.bincount(labels, minlength=logits.shape[1])
    right = np.bincount(labels[logits.argmax(1) == labels], minlength=logits.shape[1])
    return float((right[images > 0] / images[images > 0]).mean())


@metric("macro-f1", higher_is_better=True, percent=True, label="macro F1", margin=0.005)
def macro_f1(logits: Logits, labels: Labels) -> float:
    """Take the mean over the classes of F1, the harmonic mean of a class's precision and recall.

    Classes that have no image and were never predicted are left out; one that is on either side and never right has 0.
    """
    classes = logits.shape[1]
    found = logits.argmax(1)
    right = np.bincount(labels[found == labels], minlength=classes)
    both = np.bincount(labels, minlength=classes) + np.bincount(found, minlength=classes)
    return float((2 * right[both > 0] / both[both > 0]).mean())


@metric("ece", higher_is_better=False, percent=True, label="calibration error")
def ece(logits: Logits, labels: Labels, *, bins: Count = 15) -> float:
    """Compare confidence with accuracy: the expected calibration error.

    Images are put into bins by the probability of their first class; the mean over the images of what separates their
    bin's mean probability from its accuracy.
    bins: how many, of equal width from 0 to 1.
    Limits: it depends on the bins, and is above 0 by chance alone where a bin has few images.
    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """
    confidence = softmax(logits.astype(np.float64), axis=1).max(1)
    right = logits.argmax(1) == labels
    # A bin holds its upper end and not its lower one.
    places = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(places, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


@metric("brier", higher_is_better=False, bounds=(0.0, 2.0), label="Brier score")
def brier(logits: Logits, labels: Labels) -> float:
    """Take the mean squared distance of the probabilities of all classes from the label, from 0 to 2.

    Source: Brier 1950, "Verification of Forecasts Expressed in Terms of Probability".
    """
    apart = softmax(logits.astype(np.float64), axis=1)
    apart[np.arange(len(labels)), labels] -= 1
    return float((apart**2).sum(1).mean())


def _of_labels(values: NDArray[Any], labels: Labels) -> NDArray[Any]:
    """Return each image's value of its own label."""
    return values[np.arange(len(labels)), labels]


@library("metric", "torchmetrics")
class TorchMetrics:
    """Any metric of torchmetrics for several classes by its name there, such as torchmetrics:MulticlassCohenKappa.

    It gets the logits, the labels and the number of classes; its settings are its class's own.
    """

    def names(self) -> list[str]:
        """Return the classes of torchmetrics.classification that take scores of several classes and give a number."""
        module = _classification()
        found = [name for name in module.__all__ if name.startswith("Multiclass") and _is_number(getattr(module, name))]
        return sorted(found)

    def component(self, name: str) -> Borrowed:
        """Return the metric of this name, or raise KeyError."""
        if name not in self.names():
            raise KeyError(name)
        cls = getattr(_classification(), name)

        def build(logits: Logits, labels: Labels, **settings: Any) -> float:
            import torch

            made = cls(num_classes=logits.shape[1], **settings)
            return float(made(torch.from_numpy(logits), torch.from_numpy(labels)))

        # Its bounds for plots are not always those of the values: they say that no kappa is below 0.
        everything, label = (-math.inf, math.inf), name.removeprefix("Multiclass")
        quantity = Quantity(name, label, cls.higher_is_better, everything, least=2, most=4, plain=3)
        summary = (cls.__doc__ or f"torchmetrics' {name}").strip().splitlines()[0]
        return Borrowed(build, settings_of_library(cls, _OURS), summary, quantity=quantity)


_OURS = frozenset({"num_classes", "validate_args", "ignore_index", "kwargs"})
_OTHERS = ("MulticlassExactMatch", "MulticlassLogAUC")
"""For several labels an image, and one that gives a number for each class."""


def _is_number(cls: Any) -> bool:
    """Tell whether a class gives one number, of which it is known whether more is better."""
    name = cls.__name__
    return isinstance(cls.higher_is_better, bool) and "At" not in name and name not in _OTHERS


def _classification() -> Any:
    if find_spec("torchmetrics") is None:
        raise InputError("torchmetrics is not installed\n  pip install torchmetrics, or name a metric that ships")
    import torchmetrics.classification

    return torchmetrics.classification
