"""Where tuning looks: each variant's ranges, checked against its components before any trial."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from ..components.contracts import KINDS, Kind, Range, Values
from ..components.schema import value_text
from ..errors import did_you_mean, listing
from ..study.plan import run_spec
from ..study.spec import NUMBERS
from ..study.tables import SetTable, check_table
from ..study.tuning import with_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..components.contracts import Space
    from ..components.registry import Entry, Registry
    from ..study.settle import Settled
    from ..study.spec import Recipe, RunSpec, Tuning, Variant
    from ..study.toml import Reading

TUNED_BY_DEFAULT = ("lr", "weight_decay")
_NOT_TUNED = {"epochs": "is the budget: set budget = { epochs = ... }"}


@dataclass(frozen=True)
class Task:
    """One variant to tune: where to look, what its own settings are, and the recipe of its trials.

    default: the value of each tuned setting that the variant has, None where it leaves it to the component.
    recipe: the variant's with the trials' epochs, and without a test split unless the study steers by it.
    """

    variant: Variant
    space: Space
    default: Mapping[str, Any]
    recipe: Recipe
    seed: int

    def spec(self, settled: Settled, settings: Mapping[str, Any]) -> RunSpec:
        """Return the run of a trial with these settings."""
        recipe = with_settings(_refuse, self.recipe, settings)
        return run_spec(settled, self.variant.name, recipe, self.seed)


def tasks(reading: Reading, settled: Settled, registry: Registry, names: Sequence[str]) -> list[Task]:
    """Return what to tune, in the order of the study, or raise StudyError with all problems.

    reading: of the study that was settled. names: of the variants to tune; empty for all.
    """
    tuning = settled.study.tuning
    variants = [v for v in settled.study.variants if not v.tuned and (not names or v.name in names)]
    _check_splits(reading, variants, tuning)
    if tuning.seed in settled.study.seeds:
        text = f"{tuning.seed} is a seed of the study: its final runs would be judged on what tuning has seen"
        hint = "give tune.seed or the study's seeds (study.seeds, --seeds) another one"
        reading.problem(
            ("tune", "seed") if ("tune", "seed") in reading.lines else ("study",), "tune: seed", f"{text}\n{hint}"
        )
    found = []
    for variant in variants:
        space = dict(tuning.space) if tuning.space is not None else dict(_own_ranges(variant.recipe, registry))
        if not space:
            text = f"{variant.recipe.optimizer.use} says nothing of where to look for its settings"
            hint = 'name the settings: settings = { "optimizer.lr" = { low = 1e-4, high = 1.0, log = true } }'
            reading.problem(("tune",), f"tune: variant '{variant.name}'", f"{text}\n{hint}")
        default = {}
        for name, where in space.items():
            wrong, default[name] = _check(variant.recipe, registry, name, where)
            if wrong:
                place = ("tune", "settings", name)
                reading.problem(place, f"tune: settings.{name}", f"variant '{variant.name}': {wrong}")
        found.append(Task(variant, space, default, _recipe(variant.recipe, tuning), tuning.seed))
    reading.done()
    return found


def _check_splits(reading: Reading, variants: Sequence[Variant], tuning: Tuning) -> None:
    split = tuning.metric.split("/")[0]
    without = [variant.name for variant in variants if not getattr(variant.recipe.splits, split)]
    if without:
        text = f"{value_text(tuning.metric)} needs a {split} split, and {listing(without, 8)} has none"
        reading.problem(("tune", "metric"), "tune: metric", f"{text}\nset dataset = {{ ..., {split} = 0.1 }}")


def _recipe(recipe: Recipe, tuning: Tuning) -> Recipe:
    splits = recipe.splits if tuning.steers_by_test else replace(recipe.splits, test=0)
    return replace(recipe, epochs=max(1, round(tuning.epochs * recipe.epochs)), splits=splits)


def _own_ranges(recipe: Recipe, registry: Registry) -> Iterator[tuple[str, Range]]:
    """Yield where the variant's optimizer itself says to look."""
    entry = registry.get("optimizer", recipe.optimizer.use)
    for setting in entry.settings:
        for part in _annotations(setting.annotation):
            if isinstance(part, Range) and setting.name in TUNED_BY_DEFAULT:
                yield f"optimizer.{setting.name}", part


def _annotations(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        first, *rest = get_args(annotation)
        yield from rest
        yield from _annotations(first)


def _check(recipe: Recipe, registry: Registry, name: str, where: Range | Values) -> tuple[str, Any]:
    """Return what is wrong with looking for a setting there (or an empty string), and the value the variant has."""
    tried = where.values if isinstance(where, Values) else (where.low, where.high)
    if name in NUMBERS:
        if name in _NOT_TUNED:
            return f"'{name}' {_NOT_TUNED[name]}", None
        for value in tried:
            _, problems = check_table(SetTable, {name: value})
            if problems:
                return next(iter(problems.values())), None
        return "", getattr(recipe, name)
    there = {f"{kind}": getattr(recipe, kind) for kind in KINDS if kind not in ("augmentation", "dataset")}
    there |= {f"augmentation.{choice.use}": choice for choice in recipe.augmentation}
    owner = max((path for path in there if name.startswith(f"{path}.")), key=len, default="")
    if not owner:
        known = [*(n for n in NUMBERS if n not in _NOT_TUNED), *(f"{path}.SETTING" for path in there)]
        return f"there is no '{name}'{did_you_mean(name, known)}\naccepts {listing(known, 20)}", None
    kind: Kind = next(kind for kind in KINDS if owner.startswith(kind))
    entry, key = registry.get(kind, there[owner].use), name[len(owner) + 1 :]
    known_settings = {setting.name: setting for setting in entry.settings}
    if key not in known_settings:
        text = f"{entry.name} has no setting '{key}'{did_you_mean(key, known_settings)}"
        return f"{text}\naccepts {_signature(entry)}", None
    for value in tried:
        wrong = known_settings[key].check(value)[1]
        if wrong:
            return f"{wrong}\naccepts {_signature(entry)}", None
    default = there[owner].settings.get(key)
    return "", default if isinstance(default, (bool, int, float, str)) else None


def _signature(entry: Entry) -> str:
    return f"{entry.signature}   ({entry.place})"


def _refuse(place: object, where: str, text: str) -> None:  # noqa: ARG001  # the form of a report
    raise AssertionError(f"{where}: {text}")  # settings were checked before any trial
