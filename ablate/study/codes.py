"""The codes of everything that a check may find: how much each weighs, and what it is in one line.

They stand in this folder since a study names them where it waives a finding. docs/reference.md is written from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Level = Literal["serious", "warning", "note"]
"""serious: a conclusion would be wrong or cannot be drawn; warning: it may be off; note: worth knowing."""
LEVELS: tuple[Level, ...] = ("serious", "warning", "note")
"""The levels in the order in which findings are listed."""
Subject = Literal["study", "schedules", "models", "spread", "results", "tuning"]
"""What has to be known before a finding can be made; the spread of runs may be stated, or seen in results."""


@dataclass(frozen=True)
class Code:
    """What a finding of this code is about, how much it weighs, and what it says in one line."""

    subject: Subject
    level: Level
    meaning: str


CODES: Mapping[str, Code] = {
    "one-seed": Code("study", "serious", "no difference has an error bar"),
    "two-seeds": Code("study", "warning", "an error bar from two seeds is too wide to decide much"),
    "too-few-seeds": Code(
        "spread", "warning", "the seeds cannot show differences as small as the margin that the study states"
    ),
    "no-validation": Code("study", "warning", "every decision is made on the test set"),
    "several-factors": Code("study", "serious", "a variant changes several things at once: none can be credited"),
    "unequal-epochs": Code("study", "warning", "a difference may be the budget's"),
    "unequal-images": Code("study", "warning", "variants see different numbers of training images over all epochs"),
    "unequal-size": Code(
        "study", "warning", "one side of a comparison brings images to another size, in which it is evaluated too"
    ),
    "unequal-search": Code(
        "study", "warning", "one side of a comparison finds its learning rate by a range test, and the other does not"
    ),
    "whole-kernels-in-bf16": Code(
        "study", "warning", "`crop_kernels = false` with bf16: arbitrary gradients on some CPUs"
    ),
    "class-without-images": Code(
        "study", "warning", "a cut leaves no image of a class to train on, to validate or to test"
    ),
    "few-images": Code(
        "study", "warning", "a split is so small (under 50) that each image is more than two points of accuracy"
    ),
    "own-loss": Code(
        "study",
        "note",
        "a variant trains with another loss than cross entropy: that is its training loss, while validation and test "
        "loss are cross entropy",
    ),
    "claim-against-reported": Code("study", "warning", "the numbers that the study quotes speak against its own claim"),
    "unused-waiver": Code("study", "note", "a waiver of the study fits no finding"),
    "no-effect": Code(
        "schedules",
        "warning",
        "the schedule replaces a setting of the optimizer at every step: `lr` under `torch:OneCycleLR` and "
        "`torch:CyclicLR`, `momentum` or Adam's first beta under `one-cycle`",
    ),
    "rate-constant": Code(
        "schedules", "warning", "the schedule leaves the rate where it was for the whole run, as with later milestones"
    ),
    "rate-zero": Code("schedules", "warning", "the rate is 0 for the end of the run"),
    "rate-rises-again": Code(
        "schedules",
        "warning",
        "a cosine schedule shorter than the run climbs back to its maximum, or a restart comes just before the end",
    ),
    "schedule-unfinished": Code("schedules", "warning", "the run ends before the schedule, at a high rate"),
    "changes-nothing": Code(
        "models",
        "serious",
        "a variant trains as its reference does: first weights, augmented images, first steps and learning rates are "
        "the same",
    ),
    "idle-setting": Code(
        "models",
        "warning",
        "a setting of a model, an optimizer, a loss or an augmentation has no effect on the first steps",
    ),
    "unequal-models": Code(
        "models", "note", "the models of a comparison differ by a tenth or more in parameters or FLOPs"
    ),
    "same-weights": Code(
        "results",
        "serious",
        "runs of these variants end with the same weights, bit for bit, and the same values: what differs between them "
        "had no effect",
    ),
    "same-values": Code(
        "results",
        "warning",
        "their weights differ and their values are the same with every seed: the metric does not tell them apart",
    ),
    "metric-absent": Code(
        "results",
        "warning",
        "a metric that the study names has no value: its component fails or is not found, or runs kept no predictions",
    ),
    "no-spread": Code(
        "results",
        "warning",
        "a variant has one value for all seeds, so its interval has no width and does not say how sure it is",
    ),
    "flat-loss": Code("results", "serious", "the training loss of a variant does not fall from its first epoch on"),
    "no-better-than-chance": Code("results", "serious", "a variant is no better than guessing"),
    "missing-seeds": Code("results", "warning", "seeds of a variant diverged or failed"),
    "dip": Code("results", "warning", "the accuracy falls in the middle of a run and recovers, as the schedule does"),
    "far-from-best": Code("results", "warning", "the last epoch is far from the best one"),
    "train-test-gap": Code("results", "note", "the test loss is far above the training loss"),
    "unequal-spread": Code("results", "warning", "a variant spreads far more between seeds than the others do"),
    "within-image-noise": Code(
        "results", "warning", "a difference that is clear between seeds is within the noise of a test set of this size"
    ),
    "reported-not-reached": Code("results", "warning", "no run comes near a number that the study quotes"),
    "steers-by-test": Code("tuning", "serious", "the study was tuned on the test split; a banner says so too"),
    "seed-in-use": Code("tuning", "warning", "trials had a seed that runs which are compared have"),
    "not-tuned": Code("tuning", "serious", "some variants were tuned and these were not"),
    "unequal-objectives": Code("tuning", "warning", "variants were tuned for different objectives"),
    "unequal-trials": Code("tuning", "warning", "variants were tuned with different numbers of trials"),
    "unequal-trial-epochs": Code("tuning", "warning", "trials of different variants have different epochs"),
    "unequal-spaces": Code("tuning", "warning", "variants were tuned in different search spaces"),
    "no-result": Code("tuning", "warning", "no trial of a variant has a result"),
    "no-default": Code("tuning", "warning", "the trial with a variant's own settings has no result"),
    "default-is-best": Code("tuning", "note", "no trial beats the default settings"),
    "edge-of-space": Code(
        "tuning",
        "warning",
        "the best setting is in the outer 2 % of its range (of its logarithm where the range is `log`), or is the "
        "first or last step of a stepped one",
    ),
    "few-trials": Code("tuning", "note", "fewer than 10 trials cannot show whether more would help"),
    "not-settled": Code(
        "tuning",
        "warning",
        "the second half of the trials is expected to bring more than 0.5 points of accuracy, or 1 % of another value",
    ),
    "tuned-again": Code("tuning", "warning", "the tuned runs have settings of an earlier tuning"),
}
"""Every code, with the findings of a study before those of its results."""


@dataclass(frozen=True)
class Waiver:
    """A finding that the study's author has looked at and accepts: why, and where.

    where: the finding's place, as it is shown; None for every finding of the code.
    """

    code: str
    reason: str
    where: str | None = None
