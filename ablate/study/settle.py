"""A read study settled: every component found, every setting checked and filled in, every split counted.

After this nothing about the study can be wrong any more that can be known without training.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..components.contracts import KINDS, DataFacts, Kind
from ..components.schema import value_text
from ..errors import AblateError, InputError
from .spec import NUMBERS, Choice, Place, Recipe, Splits, Study, Variant
from .splits import count_splits
from .toml import PILOT_IMAGES, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..components.registry import LibraryEntry, Registry

Part = tuple[Kind, str]
"""A component by kind and name."""


@dataclass
class Settled:
    """A study whose recipes are complete, with what a run's key needs beside them.

    facts: each variant's dataset; sources: the digest of each component's source; places: where it stands;
    locations: the settings of each dataset that say where its files are.
    """

    study: Study
    facts: dict[str, DataFacts] = field(default_factory=dict)
    sources: dict[Part, str] = field(default_factory=dict)
    places: dict[Part, str] = field(default_factory=dict)
    locations: dict[str, frozenset[str]] = field(default_factory=dict)


Known = dict[str, dict[str, Any]]
"""Checked settings of library components by digest: checking one again would import the whole library."""


def settle(
    reading: Reading,
    registry: Registry,
    data_dir: Path,
    known: Known,
    slow: Callable[[str], None] = lambda _: None,
    precision: str = "fp32",
) -> Settled:
    """Check what a study names, or raise StudyError with all problems of the file.

    known: library components that passed before; those that pass now are added.
    slow: told the prefix of each library before it is loaded, which takes seconds.
    precision: what "auto" stands for on this machine.
    """
    settler = _Settler(reading, registry, data_dir, known)
    for prefix in settler.unknown_libraries():
        slow(prefix)
    variants = tuple(_precise(settler.variant(v), precision) for v in reading.study.variants)
    settled = replace(settler.settled, study=replace(reading.study, variants=variants))
    if not reading.problems:
        _check_metric(reading, settled.study)
        _check_twins(reading, settled)
    reading.done()
    return settled


def _precise(variant: Variant, precision: str) -> Variant:
    recipe = variant.recipe
    return replace(variant, recipe=replace(recipe, precision=precision)) if recipe.precision == "auto" else variant


def parts(recipe: Recipe) -> Iterator[tuple[Kind, Choice]]:
    """Yield every component of a recipe with its kind."""
    for kind in KINDS:
        chosen = getattr(recipe, kind)
        for choice in chosen if isinstance(chosen, tuple) else (chosen,):
            yield kind, choice


class _Settler:
    def __init__(self, reading: Reading, registry: Registry, data_dir: Path, known: Known) -> None:
        self.settled = Settled(reading.study)
        self._reading, self._registry, self._data_dir, self._known = reading, registry, data_dir, known
        self._done: dict[tuple[Place, Kind, str], Choice] = {}
        self._facts: dict[str, DataFacts | None] = {}
        self._wrong: set[Place] = set()

    def unknown_libraries(self) -> list[str]:
        """Return the prefixes of the libraries that have to be loaded to check what the study names of them."""
        found: dict[str, None] = {}
        for variant in self._reading.study.variants:
            for kind, choice in parts(variant.recipe):
                library = self._registry.library(kind, choice.use)
                if library is not None and _digest(kind, choice, library) not in self._known:
                    found[library.prefix] = None
        return list(found)

    def variant(self, variant: Variant) -> Variant:
        recipe = variant.recipe
        choices: dict[str, Any] = {}
        for kind in KINDS:
            chosen = getattr(recipe, kind)
            many = isinstance(chosen, tuple)
            settled = tuple(self._choice(kind, choice) for choice in (chosen if many else (chosen,)))
            choices[kind] = settled if many else settled[0]
        recipe = replace(recipe, **choices)
        facts = self._data_facts(recipe.dataset)
        if facts is not None:
            self.settled.facts[variant.name] = facts
            recipe = replace(recipe, splits=self._splits(facts, variant))
        if self._reading.study.pilot:
            recipe = replace(recipe, epochs=1)
        return replace(variant, recipe=recipe)

    def _choice(self, kind: Kind, choice: Choice) -> Choice:
        """Check one choice where it is written, once, however many variants inherit it."""
        written = (choice.place, kind, json.dumps([choice.use, choice.settings], sort_keys=True, default=str))
        if written not in self._done:
            self._done[written] = self._check(kind, choice)
        return self._done[written]

    def _check(self, kind: Kind, choice: Choice) -> Choice:
        library = self._registry.library(kind, choice.use)
        digest = _digest(kind, choice, library) if library else ""
        if library is not None and digest in self._known:
            self._note(kind, choice.use, library.source, library.place)
            return replace(choice, settings=self._known[digest])
        try:
            entry = self._registry.get(kind, choice.use)
        except InputError as error:
            self._problem((*choice.place, "use"), kind, choice, ".use", str(error))
            return choice
        self._note(kind, choice.use, entry.source, entry.place)
        if kind == "dataset":
            self.settled.locations[choice.use] = frozenset(s.name for s in entry.settings if s.annotation is Path)
        checked = entry.check(choice.settings)
        if checked.problems:
            self._wrong.add(choice.place)
        for name, what in checked.problems:
            self._problem(
                (*choice.place, name), kind, choice, f".{name}", f"{what}\naccepts {entry.signature}   ({entry.place})"
            )
        if library is not None and not checked.problems:
            self._known[digest] = dict(checked.settings)
        return replace(choice, settings=checked.settings)

    def _note(self, kind: Kind, use: str, source: str, place: str) -> None:
        self.settled.sources[kind, use] = source
        self.settled.places[kind, use] = place

    def _data_facts(self, choice: Choice) -> DataFacts | None:
        written = json.dumps([choice.use, choice.settings], sort_keys=True, default=str)
        if written not in self._facts:
            self._facts[written] = None
            if ("dataset", choice.use) in self.settled.sources and choice.place not in self._wrong:
                try:
                    entry = self._registry.get("dataset", choice.use)
                    self._facts[written] = entry.build(self._data_dir, settings=choice.settings).facts()
                except AblateError as error:
                    self._problem(choice.place, "dataset", choice, "", str(error))
                except Exception as error:  # noqa: BLE001 - a user's dataset may raise anything
                    place = self.settled.places["dataset", choice.use]
                    self._problem(choice.place, "dataset", choice, "", f"{type(error).__name__}: {error}\nsee {place}")
        return self._facts[written]

    def _splits(self, facts: DataFacts, variant: Variant) -> Splits:
        splits = variant.recipe.splits
        try:
            counted = count_splits(facts, splits)
        except InputError as error:
            self._problem(variant.recipe.dataset.place, "dataset", variant.recipe.dataset, "", str(error))
            return splits
        if self._reading.study.pilot:
            most = {k: min(getattr(counted, k) or 0, PILOT_IMAGES) for k in ("train", "validation", "test")}
            return Splits(**most)
        return counted

    def _problem(self, place: Place, kind: Kind, choice: Choice, tail: str, text: str) -> None:
        where, inner = self._where(choice.place, kind)
        self._reading.problem(place, f"{where}{inner}{tail}", text)

    def _where(self, place: Place, kind: Kind) -> tuple[str, str]:
        match place:
            case ("baseline", _, *rest):
                where = "baseline: "
            case ("variant", int(index), _, _, *rest):
                named = [v for v in self._reading.study.variants if v.place == place[:2]]
                where = f"variant {value_text(named[0].name)}: " if named else f"variant {index + 1}: "
            case _:
                return "", str(place[-1]).rpartition(".")[0] if place else kind
        return where, kind + "".join(f"[{part}]" for part in rest)


def _digest(kind: Kind, choice: Choice, library: LibraryEntry) -> str:
    """Return what a library component is remembered by: its settings, and all that they were checked against."""
    written = [kind, choice.use, choice.settings, library.source, library.version]
    return hashlib.sha256(json.dumps(written, sort_keys=True, default=str).encode()).hexdigest()[:24]


def _check_metric(reading: Reading, study: Study) -> None:
    for variant in study.variants:
        split = study.metric.split("/")[0]
        if not getattr(variant.recipe.splits, split):
            text = f"{value_text(study.metric)} needs a {split} split, and '{variant.name}' has none"
            reading.problem(
                ("study", "metric"),
                "study: metric",
                f"{text}\nset dataset = {{ ..., {split} = 0.1 }}, or compare on test/accuracy",
            )


def _check_twins(reading: Reading, settled: Settled) -> None:
    """Two variants that train the same runs would be compared with themselves."""
    first: dict[str, str] = {}
    for variant in settled.study.variants:
        recipe = variant.recipe
        chosen = [[kind, choice.use, choice.settings] for kind, choice in parts(recipe)]
        numbers = [getattr(recipe, name) for name in NUMBERS]
        same = json.dumps([*chosen, *numbers, vars(recipe.splits)], sort_keys=True, default=str)
        if same in first and not settled.study.pilot:
            reading.problem(
                variant.place,
                f"variant {value_text(variant.name)}",
                f"resolves to the same runs as '{first[same]}'\nchange something in it, or take it out",
            )
        first.setdefault(same, variant.name)
