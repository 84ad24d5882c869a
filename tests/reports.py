"""Reports of studies of every kind, whose results are planted."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ablate.checks.finding import Finding
from ablate.data.predictions import Predicted
from ablate.report.content import Records
from ablate.stats.results import Results
from ablate.study.spec import Study, Variant
from ablate.training.learning_rates import suggest
from tests import test_claims, test_report, test_report_designs, test_report_tuning
from tests.planted import framed
from tests.test_learning_rates import bowl, curve

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.data.predictions import Predictions

HOSTILE = (
    r"""<script>alert(1)</script> ]]> --> </style> | **b** `c` [x](javascript:a()) $y$ \input{x} % # & _e_ ^{} ~""",
    "=cmd|' /C calc'!A0",
    "a\N{RIGHT-TO-LEFT OVERRIDE}b\x07\nc {{ 7 * 7 }} {% raw %} << x >> <# y #>",
    "\"quoted\" 'names' with spaces/and\\slashes?#&amp;\N{GREEK SMALL LETTER BETA}\N{GRINNING FACE}",
)
"""Names and texts that are markup, a command or a formula somewhere."""
WAIVED = ("", HOSTILE[0], "", HOSTILE[1])


def phases(seeds: int = 3, **changes: Any) -> Records:
    """A ladder of three variants with reported numbers."""
    return replace(test_report.records(test_report.phases(seeds=tuple(range(seeds)), **changes)), made=MADE)


MADE = "2026-01-02T03:04:05Z"


def partial() -> Records:
    """One whose runs failed in part, are missing, or gave a number that is not finite."""
    without = {
        ("Phase 3", 1): ("failed", "out of memory"),
        ("Phase 4", 0): ("failed", "it diverged: the loss is nan"),
        ("Phase 4", 1): ("unfinished", ""),
        ("Phase 4", 2): ("new", ""),
    }
    found = test_report.records(without=without)
    runs = found.results.runs.copy()
    runs.loc[0, ["test/loss", "test/accuracy"]] = [math.inf, math.nan]
    return replace(found, results=replace(found.results, runs=runs), made=MADE)


def nothing() -> Records:
    """One of which no run was begun."""
    return _without(("new", ""))


def all_failed() -> Records:
    """One of which every run failed."""
    return _without(("failed", "no space left on device"))


def _without(state: tuple[str, str]) -> Records:
    study = test_report.phases()
    made = test_report.records(study, {(one.name, seed): state for one in study.variants for seed in study.seeds})
    return replace(made, made="")


def one_epoch() -> Records:
    """One that trains for one epoch."""
    return many(3, epochs=1)


def many(variants: int, seeds: int = 3, epochs: int = 4) -> Records:
    """One of so many variants, of which each comes from the first, with so many seeds."""
    first = replace(test_report.FIRST, epochs=epochs)
    made = [Variant("baseline", first, None)]
    made += [
        Variant(f"variant {place}", replace(first, batch_size=128 + place), "baseline") for place in range(1, variants)
    ]
    study = Study("many", "Many", tuple(made), tuple(range(seeds)))
    runs, history = [], []
    draw = np.random.default_rng(0)
    for place, variant in enumerate(study.variants):
        for seed in study.seeds:
            accuracy = 0.4 + 0.3 * math.tanh(place / 10) + float(draw.normal(0, 0.01))
            final = {"train/loss": 2 - accuracy, "test/loss": 2.2 - accuracy, "test/accuracy": accuracy}
            final = dict.fromkeys(test_report.METRICS, math.nan) | final
            run = {"variant": variant.name, "seed": seed}
            about = {"key": f"{place}-{seed}", "state": "stored", "reason": "", "weights": f"{place}-{seed}"}
            runs.append(run | about | {"parameters": 1e6, "dead_weights": 0.0, "seconds": 90.0} | final)
            for epoch in range(1, epochs + 1):
                curve = {name: value * (1.5 - 0.5 * epoch / epochs) for name, value in final.items()}
                history.append(run | {"epoch": epoch, "lr": 0.1, "seconds": 9.0} | curve)
    results = Results(study, framed(runs), framed(history))
    return Records(results, (), ("torch 2.15.0, CPU, 2 threads",), MADE, ("ablate run many.toml",))


def hostile() -> Records:
    """One with names, notes, reasons and settings that are markup, commands and formulas."""
    first, second, third = (
        replace(one, name=name, note="\n\n".join(HOSTILE), model_label=HOSTILE[0], enhancements=HOSTILE)
        for one, name in zip(test_report.phases().variants, HOSTILE, strict=False)
    )
    second, third = replace(second, parent=first.name), replace(third, parent=second.name)
    study = test_report.phases(
        name=HOSTILE[3], title=HOSTILE[0], note=HOSTILE[2], label=HOSTILE[1], variants=(first, second, third)
    )
    made = test_report.records(study, {(third.name, 0): ("failed", HOSTILE[0])})
    findings = tuple(
        Finding("several-factors", text, text, text, waived) for text, waived in zip(HOSTILE, WAIVED, strict=True)
    )
    return replace(
        made,
        findings=findings,
        environments=HOSTILE,
        made=MADE,
        commands=(f"ablate run '{HOSTILE[3]}'",),
        changes=HOSTILE,
    )


def range_tests() -> Records:
    """One whose runs found their learning rates, one of them none."""
    found = [suggest(curve(bowl(1e-2)), rule, seed) for seed, rule in enumerate(("valley", "steepest"))]
    tested = (("Phase 1", found[0]), ("Phase 1", found[1]), ("Phase 3", suggest(curve([2.0] * 20), "valley", 0)))
    return replace(phases(), tested=tested)


def predicted() -> Records:
    """One whose runs kept what they predicted."""

    def load(key: str) -> Predictions:
        draw = np.random.default_rng(list(key.encode()))
        logits = draw.normal(0, 1, (60, 4))
        labels = np.arange(60) % 4
        logits[np.arange(60), labels] += 1.0
        return {"test": Predicted((logits - logits.max(1, keepdims=True)).astype(np.float16), labels)}

    found = phases()
    return replace(found, results=replace(found.results, load=load))


def claims() -> Records:
    """One with claims, for and against what the results say."""
    told = (test_claims.claim(), test_claims.claim(variant="two", against="base", because="epochs"))
    return Records(test_claims.judged(*told, two=test_claims.HIGH), made=MADE)


def pilot() -> Records:
    """A pilot."""
    return phases(seeds=1, pilot=True)


KINDS: dict[str, Callable[[], Records]] = {
    "phases": phases,
    "one seed": lambda: phases(1),
    "twenty seeds": lambda: phases(20),
    "partial": partial,
    "nothing": nothing,
    "all failed": all_failed,
    "one epoch": one_epoch,
    "one variant": lambda: many(1),
    "two variants": lambda: many(2),
    "twelve variants": lambda: many(12),
    "hostile": hostile,
    "range tests": range_tests,
    "predicted": predicted,
    "claims": claims,
    "pilot": pilot,
    "tuned": test_report_tuning.realistic,
    "factorial": test_report_designs.records,
    "fraction": lambda: test_report_designs.records('kind = "factorial"\nresolution = 3'),
    "loss": lambda: phases(metric="test/loss"),
}
"""Studies of every kind, by what they show."""


def differences(one: Any, other: Any, place: str = "report") -> list[str]:
    """Where two facts are not the same; a number that is not finite is as any other one."""
    if is_dataclass(one) and type(one) is type(other):
        parts = [(f".{part.name}", getattr(one, part.name), getattr(other, part.name)) for part in fields(one)]
    elif isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
        parts = [(f"[{key!r}]", one[key], other[key]) for key in one]
    elif isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        parts = [(f"[{at}]", *both) for at, both in enumerate(zip(one, other, strict=True))]
    else:
        lost = isinstance(one, float) and not math.isfinite(one) and isinstance(other, float) and math.isnan(other)
        return [] if lost or one == other else [f"{place}: {one!r} became {other!r}"]
    return [found for name, ours, theirs in parts for found in differences(ours, theirs, place + name)]
