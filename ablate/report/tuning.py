"""What a report says of tuning: what was looked for and where, what it found, and what to doubt of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import listing
from ..tune.records import maximised
from . import numbers, outcomes
from .doubts import by_test, doubts
from .sections import Fact
from .table import anchor
from .tuned import sides

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from ..study.check import Finding
    from ..study.spec import Study
    from ..tune.records import TrialRecord, VariantTuning
    from .tuned import Sides

STATES = ("done", "pruned", "diverged", "failed", "running")


@dataclass(frozen=True)
class TuningRow:
    """What tuning found for one variant; values are those of the first objective, in the unit of the heading.

    change: the best trial against the default one. median, quartiles: of the trials that are done.
    """

    anchor: str
    name: str
    trials: str
    default: str
    best: str
    change: str
    median: str
    quartiles: str
    settings: str


@dataclass(frozen=True)
class SpaceTold:
    """Where tuning looked; variants: whose space it is, empty where it is that of all."""

    variants: str
    settings: tuple[Fact, ...]


@dataclass(frozen=True)
class Grid:
    """A table of texts with a heading for each column; rows begin with the name of a variant."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class TuningPart:
    """All that a report says of tuning, but for its figures.

    banner: that the study steers by the test split, else empty. heading: the first objective with its unit.
    budget: what a trial was and how they were chosen. importances: shares of what the settings explain.
    trade_offs: with several objectives, the trials that no other one beats. sides: default against tuned.
    """

    label: str
    banner: str
    intro: tuple[str, ...]
    heading: str
    rows: tuple[TuningRow, ...]
    notes: tuple[str, ...]
    spaces: tuple[SpaceTold, ...]
    budget: tuple[Fact, ...]
    importances: Grid | None
    trade_offs: Grid | None
    doubts: tuple[Finding, ...]
    sides: Sides | None


def tuning_part(study: Study, runs: pd.DataFrame, recorded: Sequence[VariantTuning]) -> TuningPart | None:
    """Return what there is to say of tuning, or None where nothing was tuned.

    runs: the frame of `Records`. recorded: what tuning found; variants that the study no longer has are left out.
    """
    tunings = outcomes.tuned_now(study, recorded)
    compared = sides(study, runs)
    if not tunings and not compared:
        return None
    rows = tuple(_row(study, tuning) for tuning in tunings)
    return TuningPart(
        label=study.label,
        banner=_banner(tunings),
        intro=_intro(tunings),
        heading=outcomes.heading(tunings[0].objectives[0]) if tunings else "",
        rows=rows,
        notes=_notes(tunings),
        spaces=_spaces(tunings),
        budget=_budget(study, tunings),
        importances=_importances(study, tunings),
        trade_offs=_trade_offs(study, tunings),
        doubts=doubts(study, tunings) if tunings else (),
        sides=compared,
    )


def _banner(tunings: Sequence[VariantTuning]) -> str:
    steered = by_test(tunings)
    if not steered:
        return ""
    whose = "This study was" if len(steered) == len(tunings) else f"{listing(steered)}:"
    return (
        f"{whose} tuned on the test split. What is told of tuned settings on that split is too good: "
        "they were chosen for it."
    )


def _intro(tunings: Sequence[VariantTuning]) -> tuple[str, ...]:
    if not tunings:
        return ("What tuning found is not in this store; the runs with tuned settings are.",)
    goals = dict.fromkeys(objective for tuning in tunings for objective in tuning.objectives)
    aim = listing(f"{'highest' if maximised(goal) else 'lowest'} {outcomes.name(goal)}" for goal in goals)
    said = [f"Trials looked for the {aim}" + "; the first of them decides what is called best." * (len(goals) > 1)]
    if len(goals) == 1:
        said[0] += "."
    if not by_test(tunings):
        said.append(
            "Tuning saw the validation split and never the test split. The best of many trials is a lucky one as well "
            "as a good one: read its validation value as a choice made, and the test results of the tuned variants "
            "as what it is worth."
        )
    return tuple(said)


def _row(study: Study, tuning: VariantTuning) -> TuningRow:
    objective, best, default = tuning.objectives[0], tuning.best, tuning.default
    found = [outcomes.first(trial) for trial in tuning.done]
    low, middle, high = np.quantile(found, (0.25, 0.5, 0.75)).tolist() if found else (math.nan,) * 3
    ends = [outcomes.told(end, objective) for end in (low, high)]
    gain = outcomes.first(best) - outcomes.first(default) if best and default else math.nan
    return TuningRow(
        anchor=anchor(study, study.variant(tuning.variant)),
        name=tuning.variant,
        trials=_trials(tuning),
        default=outcomes.told(outcomes.first(default) if default else math.nan, objective),
        best=outcomes.told(outcomes.first(best) if best else math.nan, objective),
        change=outcomes.told_difference(gain, objective),
        median=outcomes.told(middle, objective),
        quartiles=f"{ends[0]}{numbers.NBSP}to{numbers.NBSP}{ends[1]}" if found else numbers.ABSENT,
        settings=_best_settings(best) if best else numbers.ABSENT,
    )


def _best_settings(best: TrialRecord) -> str:
    return ("the default: " if best.default else "") + outcomes.settings(best.settings)


def _trials(tuning: VariantTuning) -> str:
    """Write how many are over and how they ended: "50: 41 done, 9 pruned", "31 of 50: 30 done, 1 failed"."""
    over = len(outcomes.ended(tuning))
    states = [trial.state for trial in tuning.trials]
    counts = ", ".join(f"{states.count(state)}{numbers.NBSP}{state}" for state in STATES if state in states)
    return f"{over}{f' of {tuning.asked}' * (over < tuning.asked)}: {counts}"


def _notes(tunings: Sequence[VariantTuning]) -> tuple[str, ...]:
    if not tunings:
        return ()
    notes = ["Median and quartiles are of the trials that are done. Pruned, diverged and failed trials have no value."]
    if len({tuning.objectives[0] for tuning in tunings}) > 1:
        each = ", ".join(f"{tuning.variant} {outcomes.name(tuning.objectives[0])}" for tuning in tunings)
        notes.append(f"Values are those of each variant’s own first objective: {each}.")
    return tuple(notes)


def _spaces(tunings: Sequence[VariantTuning]) -> tuple[SpaceTold, ...]:
    """Gather the variants that have the same space, each space told once."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for tuning in tunings:
        told = tuple((label, outcomes.where(part)) for label, part in tuning.space.items())
        found.setdefault(told, []).append(tuning.variant)
    return tuple(
        SpaceTold(listing(variants) if len(found) > 1 else "", tuple(Fact(label, told) for label, told in space))
        for space, variants in found.items()
    )


def _budget(study: Study, tunings: Sequence[VariantTuning]) -> tuple[Fact, ...]:
    if not tunings:
        return ()
    apart = not {tuning.seed for tuning in tunings} & set(study.seeds)
    took = sum(trial.seconds for tuning in tunings for trial in tuning.trials)
    return (
        _same("trials asked for", tunings, lambda t: str(t.asked), "each variant"),
        _same("epochs of a trial", tunings, lambda t: f"{t.epochs} of the variant’s {t.of_epochs}"),
        _same("seed", tunings, lambda t: str(t.seed), "of every trial, and of no run that is compared" * apart),
        _same("sampler", tunings, lambda t: t.sampler),
        _same("pruner", tunings, lambda t: t.pruner),
        *([Fact("training time", numbers.duration(took), "all trials")] if took > 0 else []),
    )


def _same(label: str, tunings: Sequence[VariantTuning], what: Callable[[VariantTuning], str], detail: str = "") -> Fact:
    """Tell once what all variants share, and of each what they do not."""
    if len({what(tuning) for tuning in tunings}) == 1:
        return Fact(label, what(tunings[0]), detail)
    return Fact(label, "; ".join(f"{tuning.variant}: {what(tuning)}" for tuning in tunings))


def _importances(study: Study, tunings: Sequence[VariantTuning]) -> Grid | None:
    """Return a column for each setting, the one that matters most over all variants first."""
    known = [tuning for tuning in tunings if tuning.importances]
    labels = {label: sum(t.importances.get(label, 0.0) for t in known) for t in known for label in t.importances}
    order = sorted(labels, key=lambda label: -labels[label])
    rows = tuple((tuning.variant, *(_share(tuning.importances.get(label)) for label in order)) for tuning in known)
    return Grid((study.label, *order), rows) if rows else None


def _share(share: float | None) -> str:
    return numbers.percent(share, 0)


def _trade_offs(study: Study, tunings: Sequence[VariantTuning]) -> Grid | None:
    """Return the trials of each variant's front by its first objective, with all its objectives and settings."""
    several = [tuning for tuning in tunings if len(tuning.objectives) > 1]
    if not several:
        return None
    objectives = several[0].objectives
    rows = []
    for tuning in (t for t in several if t.objectives == objectives):
        for trial in sorted(outcomes.front_of(tuning), key=outcomes.first, reverse=maximised(objectives[0])):
            told = outcomes.told_all(trial, objectives)
            rows.append((tuning.variant, str(trial.number), *told, outcomes.settings(trial.settings)))
    return Grid((study.label, "Trial", *map(outcomes.heading, objectives), "Settings"), tuple(rows))
