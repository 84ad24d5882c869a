"""A settled study to runs in order, each with its key and with what is known of it.

Order: by seed first, so that an interrupted study has every variant equally often.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ..components.contracts import KINDS, Kind
from ..components.schema import value_text
from .spec import NUMBERS, Choice, Finder, Recipe, RunSpec

if TYPE_CHECKING:
    from .settle import Settled

RESULTS_VERSION = 2
"""Raised whenever the engine's own code changes what a run computes."""

State = Literal["new", "stored", "failed", "unfinished"]
_CHANGED = {"fingerprint": "the data changed", "engine": "this version of ablate computes results differently"}


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan: what it is, where it stands, and why."""

    spec: RunSpec
    state: State
    why: str = ""


def run_specs(settled: Settled, seeds: Sequence[int]) -> list[RunSpec]:
    """Return the runs of a study, all variants of the first seed before any of the second."""
    return [
        run_spec(settled, variant.name, variant.recipe, seed) for seed in seeds for variant in settled.study.variants
    ]


def explain(spec: RunSpec, before: Mapping[str, Any] | None, places: Mapping[tuple[Kind, str], str]) -> str:
    """Say why a run is new: what differs from the run that last stood for this variant and seed."""
    if before is None:
        return "not run yet"
    old, new = dict(_flat(before)), dict(_flat(spec.identity))
    reasons: list[str] = []
    for path in [*new, *(p for p in old if p not in new)]:
        was, now = old.get(path), new.get(path)
        part, _, setting = path.partition(".settings.")
        owner, _, leaf = part.rpartition(".")
        owner = part if setting else owner
        uses = old.get(f"{owner}.use"), new.get(f"{owner}.use")
        if was == now or (uses[0] != uses[1] and leaf != "use"):  # another component says it all
            continue
        if setting or leaf not in ("use", "source", "fingerprint", "engine"):
            name = path.replace(".settings.", ".", 1).replace(".splits.", ".", 1)
            reasons.append(f"{name} {_text(was)} → {_text(now)}")
        elif leaf == "use":
            change = "added" if was is None else "removed" if now is None else f"{was} → {now}"
            reasons.append(f"{owner} {change}")
        elif leaf == "source":
            kind: Kind = next(k for k in KINDS if owner.startswith(k))
            reasons.append(f"source of {kind} {uses[1]} changed ({places.get((kind, str(uses[1])), 'its plugin')})")
        else:
            reasons.append(_CHANGED[leaf])
    return "; ".join(reasons) or "the order of the augmentations changed"


def cost_key(identity: Mapping[str, Any]) -> str:
    """Return a hash of what decides a training step's time: everything but seed, length, schedule, sizes and source."""

    def named(part: Mapping[str, Any]) -> list[Any]:
        return [part["use"], part["settings"]]

    cost = {
        **{name: identity.get(name) for name in ("batch_size", "accumulate", "precision", "live_taps")},
        "shape": identity["dataset"]["shape"],
        "model": named(identity["model"]),
        "augmentation": [named(part) for part in identity["augmentation"]],
        "optimizer": named(identity["optimizer"]),
    }
    return key_of(cost)


def run_spec(settled: Settled, name: str, recipe: Recipe, seed: int) -> RunSpec:
    """Return one run: a settled recipe of a variant, with a seed."""
    facts = settled.facts[name]

    def part(kind: Kind, choice: Choice) -> dict[str, Any]:
        return {"use": choice.use, "settings": _written(choice.settings), "source": settled.sources[kind, choice.use]}

    identity = {
        "engine": RESULTS_VERSION,
        "seed": seed,
        **{name: getattr(recipe, name) for name in NUMBERS},
        "dataset": {
            **part("dataset", replace(recipe.dataset, settings=_settings_of_data(settled, recipe.dataset))),
            "splits": vars(recipe.splits),
            "shape": list(facts.shape),
            "classes": facts.classes,
            "fingerprint": facts.fingerprint,
        },
        "model": part("model", recipe.model),
        "augmentation": [part("augmentation", choice) for choice in recipe.augmentation],
        "optimizer": part("optimizer", recipe.optimizer),
        "scheduler": part("scheduler", recipe.scheduler),
    }
    return RunSpec(name, seed, key_of(identity), recipe, identity)


def _written(value: Any) -> Any:
    """Return a setting as strict JSON holds it: it has no infinity, so one stands there as a word."""
    if isinstance(value, Mapping):
        return {name: _written(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_written(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _settings_of_data(settled: Settled, dataset: Choice) -> dict[str, Any]:
    """Return a dataset's settings without those that say where it is: its fingerprint says what it is."""
    elsewhere = settled.locations.get(dataset.use, frozenset())
    return {name: value for name, value in dataset.settings.items() if name not in elsewhere}


def key_of(document: Mapping[str, Any]) -> str:
    """Return the hash of a run's identity that is its key."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:20]


def _flat(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf with its dotted path; augmentations are named by what they use, the second `cutout#2`."""
    if isinstance(document, Mapping) and not (path == "optimizer.settings.lr" and Finder.read(document)):
        for key, value in document.items():
            yield from _flat(value, f"{path}.{key}" if path else key)
    elif path == "augmentation":
        uses = [item["use"] for item in document]
        for index, item in enumerate(document):
            again = uses[:index].count(item["use"])
            yield from _flat(item, f"{path}.{item['use']}#{again + 1}" if again else f"{path}.{item['use']}")
    else:
        yield path, document


def _text(value: Any) -> str:
    if (finder := Finder.read(value)) is not None:
        return str(finder)
    return value if isinstance(value, str) else value_text(value)


def plan_runs(
    specs: Sequence[RunSpec],
    state: Callable[[str], State],
    before: Callable[[RunSpec], Mapping[str, Any] | None],
    places: Mapping[tuple[Kind, str], str],
) -> list[PlannedRun]:
    """Look up each run's state, and say why where it is new.

    state: a key's state in the store; before: the identity that a variant and seed last ran with, if any.
    """
    planned: list[PlannedRun] = []
    for spec in specs:
        found = state(spec.key)
        planned.append(PlannedRun(spec, found, explain(spec, before(spec), places) if found == "new" else ""))
    return planned
