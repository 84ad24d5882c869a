"""Made-up tuning of made-up variants, for tests of what a report shows of it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd

from ablate.components.contracts import Range
from ablate.report.content import Records
from ablate.study.spec import Choice, Recipe, Study, Variant
from ablate.tune.records import TrialRecord, TrialState, VariantTuning

SPACE = {"optimizer.lr": Range(1e-4, 1.0, log=True), "optimizer.weight_decay": Range(1e-6, 1e-1, log=True)}
RECIPE = Recipe(10, 128, Choice("cifar100"), Choice("simple-cnn"), Choice("sgd", {"lr": 0.1, "weight_decay": 0.0}))
METRICS = ("train/loss", "validation/loss", "validation/accuracy", "test/loss", "test/accuracy")


def trial(
    number: int, value: float | None = None, lr: float = 0.01, decay: float = 1e-4, **changes: Any
) -> TrialRecord:
    """One trial, done where it has a value and pruned elsewhere; the first one is the default."""
    made = TrialRecord(
        number,
        "pruned" if value is None else "done",
        {"optimizer.lr": lr, "optimizer.weight_decay": decay},
        () if value is None else (value,),
        epochs=5,
        seconds=60.0,
        key=f"key{number}",
        default=number == 0,
    )
    return dataclasses.replace(made, **changes)


def tuning(variant: str, values: list[float | None] | None = None, **changes: Any) -> VariantTuning:
    """Trials with these values, the rates spread over the space."""
    values = [0.4 + 0.01 * (i % 5) for i in range(12)] if values is None else values
    trials = tuple(trial(i, value, lr=10 ** (-3.5 + 3 * (i % 11) / 10)) for i, value in enumerate(values))
    made = VariantTuning(
        variant, "d", ("validation/accuracy",), SPACE, len(trials), 1000, 5, 10, "tpe", "none", trials,
        {"optimizer.lr": 0.8, "optimizer.weight_decay": 0.2},
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def searched(variant: str, place: int, trials: int = 50, **changes: Any) -> VariantTuning:
    """A search as a sampler that learns makes it: it comes nearer to the best settings; some trials end early."""
    draw = np.random.default_rng(place)
    best_lr, best_decay, top = -1.6 - 0.35 * place, -3.2 - 0.2 * place, 0.56 + 0.008 * place
    made = []
    for number in range(trials):
        near = min(number / trials * 1.6, 1.0)
        lr = np.clip(near * best_lr + (1 - near) * draw.uniform(-4, 0) + draw.normal(0, 0.25), -4, 0)
        decay = np.clip(near * best_decay + (1 - near) * draw.uniform(-6, -1) + draw.normal(0, 0.5), -6, -1)
        settings = {"optimizer.lr": float(10**lr), "optimizer.weight_decay": float(10**decay)}
        if number == 0:
            lr, decay, settings = -1.0, -6.0, {"optimizer.lr": 0.1, "optimizer.weight_decay": 0.0}
        value = (
            top
            - 0.02 * (1 + place) * (lr - best_lr) ** 2
            - 0.008 * (decay - best_decay) ** 2
            + draw.normal(0, 0.004 + 0.004 * place)
        )
        state: TrialState = (
            "diverged" if lr > -0.45 else "pruned" if number > 5 and value < top - 0.03 * (1 + place) else "done"
        )
        done = state == "done"
        reason = {"diverged": "the loss is nan", "pruned": "worse than the median"}.get(state, "")
        values = (max(float(value), 0.01),) if done else ()
        kept = TrialRecord(number, state, settings, values, epochs=5 if done else 2, seconds=40.0, reason=reason)
        made.append(dataclasses.replace(kept, key=f"{place}-{number}", default=number == 0))
    importances = {"optimizer.lr": 0.85 - 0.07 * place, "optimizer.weight_decay": 0.15 + 0.07 * place}
    return dataclasses.replace(tuning(variant, []), trials=tuple(made), asked=50, importances=importances, **changes)


def study(names: tuple[str, ...] = ("Phase 1", "Phase 2", "Phase 3"), tuned: tuple[str, ...] | None = None) -> Study:
    """Variants with their defaults, and after them those that were tuned with the settings found."""
    made = [Variant(name, RECIPE, names[0] if i else None) for i, name in enumerate(names)]
    for name in names if tuned is None else tuned:
        optimizer = Choice("sgd", {"lr": 0.02, "weight_decay": 0.0005})
        found = {"optimizer.lr": 0.02, "optimizer.weight_decay": 0.0005}
        made.append(Variant(f"{name}, tuned", dataclasses.replace(RECIPE, optimizer=optimizer), name, tuned=found))
    return Study("tuned", "Tuned", tuple(made), (0, 1, 2), label="Phase")


def records(
    study: Study, results: dict[str, list[float]] | None = None, tunings: tuple[VariantTuning, ...] = ()
) -> Records:
    """Runs with these test accuracies by variant and seed; variants that are not named have no result."""
    runs, history = [], []
    for variant in study.variants:
        found = (results or {}).get(variant.name, [])
        for seed in study.seeds:
            accuracy = found[seed] if seed < len(found) else math.nan
            final = dict.fromkeys(METRICS, math.nan)
            if seed < len(found):
                final |= {"test/accuracy": accuracy, "train/loss": 2 - accuracy, "test/loss": 2.2 - accuracy}
                for epoch in range(1, variant.recipe.epochs + 1):
                    share = 1 - math.exp(-epoch / 3)
                    row = {"test/accuracy": accuracy * share, "train/loss": 4 - 2 * share, "test/loss": 4.1 - 2 * share}
                    history.append(
                        {"variant": variant.name, "seed": seed, "epoch": epoch, "lr": 0.1, "seconds": 9.0} | row
                    )
            state = "done" if seed < len(found) else "missing"
            extra = {"key": f"{variant.name}{seed}", "state": state, "reason": "", "parameters": 1e6, "seconds": 90.0}
            runs.append({"variant": variant.name, "seed": seed, "dead_weights": 0.0} | extra | final)
    columns = ["variant", "seed", "epoch", "lr", *METRICS, "seconds", "images_per_second"]
    frame = pd.DataFrame(history, columns=columns)
    return Records(study, pd.DataFrame(runs), frame, (), (), "2026-01-02", tunings=tunings)


def realistic(names: tuple[str, ...] = ("Phase 1", "Phase 2", "Phase 3", "Phase 4")) -> Records:
    """A study of which every variant was tuned and run with both settings; the order of two changes."""
    made = study(names)
    results = {}
    for place, name in enumerate(names):
        noise = np.random.default_rng(100 + place).normal(0, 0.006, 6)
        results[name] = [float(x) for x in 0.50 + 0.02 * place - 0.012 * place**2 + noise[:3]]
        results[f"{name}, tuned"] = [float(x) for x in 0.53 + 0.012 * place + noise[3:]]
    tunings = []
    for place, name in enumerate(names):
        found = searched(name, place)
        assert found.best is not None
        tunings.append(found)
        place_in_study = next(i for i, v in enumerate(made.variants) if v.name == f"{name}, tuned")
        settings = {key.split(".")[1]: value for key, value in found.best.settings.items()}
        variant = dataclasses.replace(
            made.variants[place_in_study],
            recipe=dataclasses.replace(RECIPE, optimizer=Choice("sgd", settings)),
            tuned=found.best.settings,
        )
        made = dataclasses.replace(
            made, variants=(*made.variants[:place_in_study], variant, *made.variants[place_in_study + 1 :])
        )
    return records(made, results, tuple(tunings))
