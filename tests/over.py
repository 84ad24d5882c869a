"""Studies over several datasets for tests, with results that are planted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import ablate as library
from tests.planted import plant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.planted import Draw

HEAD = """
[study]
name = "over"
title = "Over datasets"
seeds = {seeds}
datasets = [{datasets}]
"""
REST = """
[baseline]
epochs = 1
batch_size = 16
model = { use = "simple-cnn", width = 4, hidden = 8 }
optimizer = { use = "adam", lr = 1e-2 }
[[variant]]
name = "good"
add = { augmentation = [{ use = "flip" }] }
[[variant]]
name = "bad"
set = { optimizer = { use = "adam", lr = 1e-5 } }
[[variant]]
name = "mixed"
set = { batch_size = 32 }
"""
EFFECTS = {"baseline": 0.0, "good": 0.02, "bad": -0.03, "mixed": 0.0}


def entries(count: int) -> str:
    """Return so many datasets of the tiny plugin, which differ in how many images they have."""
    return ", ".join(f'{{ use = "tiny", name = "d{place}", images = {64 + 16 * place} }}' for place in range(count))


def text(count: int = 3, seeds: int = 3, **more: str) -> str:
    """Return a study over so many datasets. more: of [study]."""
    head = HEAD.format(seeds=seeds, datasets=entries(count))
    return head + "".join(f"{key} = {value}\n" for key, value in more.items()) + REST


def drawn(place: int, effects: Mapping[str, float] = EFFECTS, spread: float = 0.004) -> Draw:
    """Return results on one dataset: `mixed` helps on one with an even place and hurts on others."""

    def draw(variant: str, seed: int, epochs: int) -> Sequence[Mapping[str, float]]:
        noise = np.random.default_rng([place, seed, *variant.encode()]).normal(0, spread)
        effect = effects[variant] + (0.04 * (-1) ** place) * (variant == "mixed")
        accuracy = 0.6 + 0.03 * place + effect + 0.002 * place * (variant == "good") + noise
        return [{"test/accuracy": accuracy, "test/loss": 1 - accuracy, "train/loss": 1 - accuracy, "lr": 0.1}] * epochs

    return draw


def planted_over(study: Path, leave: Sequence[str] = (), pilot: bool = False) -> None:
    """Store a result for every run on every dataset of a study, or of its pilot, but those that are left out."""
    for place, (name, loaded) in enumerate(library.load_datasets(study, device="cpu", pilot=pilot).items()):
        if name not in leave:
            plant(loaded, drawn(place))
