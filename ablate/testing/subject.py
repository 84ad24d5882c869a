"""The component under test, with its settings and images."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch

from ..components.contracts import ImageShape, Range
from ..components.schema import REQUIRED
from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..components.registry import Entry

SHAPE = ImageShape(3, 32, 32)
RATE = 0.01
"""The learning rate of an optimizer that needs one and does not say where to look for it."""


class BrokenContractError(AssertionError):
    """A component breaks its contract; the text says how, and what to do about it."""


class NotCheckedError(Exception):
    """A check that does not apply to a component, or cannot be made here; the text says why."""


def fail(what: str, step: str = "") -> NoReturn:
    """Say what a component does that breaks its contract, and what to do about it."""
    raise BrokenContractError("\n".join(filter(None, (what, step))))


def skip(reason: str) -> NoReturn:
    """Say why a check is not made."""
    raise NotCheckedError(reason)


@dataclass(frozen=True)
class Subject:
    """A component under test.

    settings: all settings that it is built with. shape, classes: of the images and labels that it gets.
    folder: ablate's data folder, for datasets.
    """

    entry: Entry
    settings: Mapping[str, Any]
    folder: Path
    shape: ImageShape = SHAPE
    classes: int = 10

    def build(self, *args: Any) -> Any:
        """Call the component's function with what ablate passes by position."""
        return self.entry.build(*args, settings=self.settings)

    def images(self, count: int, seed: int = 0) -> torch.Tensor:
        """Return uint8 images of noise (B, C, H, W), the first two black and white where there are several."""
        draw = torch.Generator().manual_seed(seed)
        pixels = torch.randint(256, (count, *self.shape), dtype=torch.uint8, generator=draw)
        if count > 2:
            pixels[0], pixels[1] = 0, 255
        return pixels


def seed_process(seed: int) -> None:
    """Seed all that a plugin may draw from, as a run does."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # a plugin may draw from it


def subject_of(entry: Entry, given: Mapping[str, Any], folder: Path, shape: ImageShape = SHAPE) -> Subject:
    """Return a component with its settings complete. Raises InputError for settings that it does not accept."""
    checked = entry.check({**_learning_rate(entry), **given})
    if checked.problems:
        wrong = "\n".join(f"  {text}" for _, text in checked.problems)
        raise InputError(
            f"{entry.kind} '{entry.name}' cannot be built with these settings ({entry.place})\n{wrong}\n"
            "  give settings as --set NAME=VALUE, or as `settings` of a test class"
        )
    return Subject(entry, checked.settings, folder, shape)


def _learning_rate(entry: Entry) -> dict[str, float]:
    """Return a learning rate for an optimizer that cannot do without one."""
    for setting in entry.settings:
        if entry.kind == "optimizer" and setting.name == "lr" and setting.default in (REQUIRED, None):
            ranges = (mark for mark in setting.marks if isinstance(mark, Range))
            return {"lr": next((math.sqrt(mark.low * mark.high) for mark in ranges), RATE)}
    return {}
