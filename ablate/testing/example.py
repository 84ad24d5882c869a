"""A report to try figures on: a study whose results are made up, with all that figures may ask for."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..data.predictions import Predicted
from ..metrics import METRICS
from ..report.content import Records, Report, report
from ..stats.results import Results
from ..study.toml import parse_study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..data.predictions import Predictions

EPOCHS, CLASSES, IMAGES = 8, 10, 200
NAMES = ("baseline", "wider", "cutout", "cosine")
ODD = ("$x_1$ & <b>", "a very long name of a variant that fits nowhere at all", "naïve – ‘quoted’ →", "100 % {braces}")
"""Names that are markup somewhere, or long."""
_BASELINE = """
[study]
name = "example"
title = "An example"
seeds = 3
[baseline]
name = {0}
epochs = 8
batch_size = 64
dataset = {{ use = "digits" }}
model = {{ use = "simple-cnn" }}
optimizer = {{ use = "sgd", lr = 0.1 }}
scheduler = {{ use = "cosine" }}
"""
_VARIANT = """
[[variant]]
name = {0}
set = {{ batch_size = {1} }}
"""


@lru_cache(maxsize=4)
def example_report(*, done: bool = True, names: Sequence[str] = NAMES) -> Report:
    """Return the report of a small study with made-up results, as a figure gets one.

    done: its runs are done; else none has begun. names: of its variants, the baseline first; three or more.
    """
    text = _BASELINE.format(_quoted(names[0]))
    text += "".join(_VARIANT.format(_quoted(name), 64 + place) for place, name in enumerate(names[1:], 1))
    study = parse_study(text, Path(), has_file=False).done()
    draw = np.random.default_rng(0)
    runs, epochs = [], []
    for place, variant in enumerate(study.variants):
        for seed in study.seeds:
            accuracy = 0.80 + 0.03 * place + float(draw.normal(0, 0.005))
            final = dict.fromkeys(METRICS, math.nan)
            final |= {"train/loss": 1.1 - accuracy, "test/loss": 1.3 - accuracy, "test/accuracy": accuracy}
            run: dict[str, Any] = {"variant": variant.name, "seed": seed}
            about = {"key": f"{place}-{seed}", "state": "stored" if done else "new", "reason": "", "weights": ""}
            costs = {"parameters": 1e4 * (1 + place), "dead_weights": 0.0, "seconds": 60.0 + 5 * place}
            runs.append(run | about | (costs | final if done else dict.fromkeys([*costs, *final], math.nan)))
            for epoch in range(1, EPOCHS + 1) if done else ():
                share = 1 - 0.5 ** (epoch / 2)
                now = {name: value * (share if "accuracy" in name else 2 - share) for name, value in final.items()}
                rate = 0.05 * (1 + math.cos(math.pi * (epoch - 1) / EPOCHS))
                epochs.append(run | {"epoch": epoch, "lr": rate, "seconds": 7.0} | now)
    frame = pd.DataFrame(epochs, columns=["variant", "seed", "epoch", "lr", "seconds", *METRICS])
    results = Results(study, pd.DataFrame(runs), frame, load=_predictions if done else lambda _: {})
    return report(Records(results))


def _predictions(key: str) -> Predictions:
    """Return what a run predicted; runs of later variants recognise more."""
    draw = np.random.default_rng(list(key.encode()))
    labels = np.arange(IMAGES) % CLASSES
    logits = draw.normal(0, 1, (IMAGES, CLASSES))
    logits[np.arange(IMAGES), labels] += 2.0 + 0.4 * int(key[0])
    return {"test": Predicted((logits - logits.max(1, keepdims=True)).astype(np.float16), labels)}


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
