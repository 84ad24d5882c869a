"""The losses that ship, and those of PyTorch and timm behind `torch:` and `timm:`.

Each gives the loss of every image (B,) of logits (B, classes) in float32.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal

from ablate import Borrowed, NonNegative, Share, library, loss, settings_of_library

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

# A probability of 1 has no derivative of a small power of what is left of it.
_LEAST = 1e-6
_Over = Literal["mean", "sum", ""]
"""What is made of a library's loss of each class; "" where it gives one of each image."""

# By name: whether it takes shares, and how its classes are put together. Others take log-probabilities, embeddings or
# pairs of images, mix the images of a batch, or give nothing but the mean of a batch.
_TORCH: Mapping[str, tuple[bool, _Over]] = {
    "BCEWithLogitsLoss": (True, "mean"),
    "CrossEntropyLoss": (True, ""),
    "HuberLoss": (True, "mean"),
    "L1Loss": (True, "mean"),
    "MSELoss": (True, "mean"),
    "MultiLabelSoftMarginLoss": (True, ""),
    "MultiMarginLoss": (False, ""),
    "SmoothL1Loss": (True, "mean"),
}
_TIMM: Mapping[str, tuple[bool, _Over]] = {
    "AsymmetricLossMultiLabel": (True, "sum"),
    "AsymmetricLossSingleLabel": (False, ""),
    "BinaryCrossEntropy": (True, "mean"),
    "PolyBinaryCrossEntropy": (True, "mean"),
    "PolyCrossEntropy": (True, ""),
}
# How it is reduced is not for a study to set, and a label to ignore there is none.
_OURS = frozenset({"reduction", "reduce", "size_average", "ignore_index", "sum_classes"})
# Of those that smooth labels alone, and are given shares: there `label_smoothing` does it.
_OF_LABELS = frozenset({"smoothing", "smooth_dense"})
_SMOOTH_LABELS = ("BinaryCrossEntropy", "PolyCrossEntropy")


@loss("cross-entropy", shares=True)
def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Take the logarithm of the probability that a softmax gives to the label; of mixed labels, each by its share.

    The loss of a study that names none. Training takes its mean in one kernel of PyTorch's, `label_smoothing` included.
    """
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits, targets, reduction="none")


@loss("focal", shares=True)
def focal(logits: Tensor, targets: Tensor, *, gamma: NonNegative = 2.0) -> Tensor:
    """Take cross entropy that counts images less the surer the network is of their label.

    gamma: how much less: the loss of a class is multiplied by (1 - p)^gamma, where p is its probability; 0 is
        cross entropy. Of mixed labels each class counts by its share.
    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection"; with a softmax over the classes as in Mukhoti et
        al. 2020, "Calibrating Deep Neural Networks using Focal Loss".
    """
    logs = logits.log_softmax(1)
    left = logs.expm1().neg().clamp_min(_LEAST)
    return -(targets * left**gamma * logs).sum(1)


@loss("bce", shares=True)
def bce(logits: Tensor, targets: Tensor, *, threshold: Share | None = None, total: bool = False) -> Tensor:
    """Take binary cross entropy of each class on its own: is it in the image or not.

    threshold: a class whose share is above it is there, others are not; without one a share is a probability.
        "ResNet strikes back" takes 0.2, with mixup and cutmix.
    total: sum over the classes in place of their mean, which is as many times larger as there are classes: with
        SGD, so is a step.
    Source: Wightman et al. 2021, "ResNet strikes back: An improved training procedure in timm".
    """
    from torch.nn.functional import binary_cross_entropy_with_logits

    wanted = targets if threshold is None else (targets > threshold).to(targets.dtype)
    each = binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return each.sum(1) if total else each.mean(1)


@library("loss", "torch")
class TorchLosses:
    """Losses of torch.nn by their class name, such as torch:MultiMarginLoss; the mean of those by class."""

    def names(self) -> list[str]:
        """Return the losses of torch.nn that an image classifier can be trained with."""
        from torch import nn

        return sorted(name for name in _TORCH if hasattr(nn, name))

    def component(self, name: str) -> Borrowed:
        """Return the loss of this name, or raise KeyError."""
        from torch import nn

        shares, over = _TORCH[name]
        return _borrowed(getattr(nn, name), shares, over, f"torch.nn.{name}")


@library("loss", "timm")
class TimmLosses:
    """Losses of timm by their class name, such as timm:AsymmetricLossSingleLabel, put together as timm does.

    `BinaryCrossEntropy` and `PolyCrossEntropy` have no `smoothing` here: `label_smoothing` does the same.
    """

    def names(self) -> list[str]:
        """Return the losses of this version of timm that give one of each image."""
        import timm.loss

        found = {name: getattr(timm.loss, name, None) for name in _TIMM}
        return sorted(n for n, cls in found.items() if cls and "reduction" in inspect.signature(cls).parameters)

    def component(self, name: str) -> Borrowed:
        """Return the loss of this name, or raise KeyError."""
        import timm.loss

        if name not in self.names():
            raise KeyError(name)
        shares, over = _TIMM[name]
        skip = _OURS | _OF_LABELS if name in _SMOOTH_LABELS else _OURS
        return _borrowed(getattr(timm.loss, name), shares, over, f"timm.loss.{name}", skip)


def _borrowed(cls: Any, shares: bool, over: _Over, summary: str, skip: frozenset[str] = _OURS) -> Borrowed:
    def build(logits: Tensor, targets: Tensor, **settings: Any) -> Tensor:
        each: Tensor = cls(reduction="none", **settings)(logits, targets)
        return each.mean(1) if over == "mean" else each.sum(1) if over == "sum" else each

    return Borrowed(build, settings_of_library(cls, skip), summary, shares=shares)
