"""The datasets that a study names: what each holds, how many images each split gets, and what the cut leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from ..components.datasets import DataFacts, wrong_facts, wrong_source
from ..components.no_exit import no_exit
from ..errors import AblateError, ComponentError, InputError
from .counts import count_splits
from .cut import Cut
from .spec import NOTHING
from .splits import Splits

if TYPE_CHECKING:
    from pathlib import Path

    from ..components.registry import Entry, Registry
    from .spec import Choice, Variant
    from .toml import Reading

PILOT_IMAGES = 2000


class Datasets:
    """Adds to variants what is known of their data; each dataset is asked once, and so is each way to cut it."""

    def __init__(self, reading: Reading, registry: Registry, data_dir: Path) -> None:
        self._reading, self._registry, self._data_dir = reading, registry, data_dir
        self._facts: dict[str, DataFacts | None] = {}
        self._cuts: dict[tuple[str, Splits], Cut] = {}

    def described(self, variant: Variant) -> Variant:
        """Return a variant with its data's facts and its splits counted; as it was where its dataset has a problem."""
        dataset = variant.recipe.dataset
        if dataset == NOTHING:
            return variant
        facts = self._known_facts(dataset)
        if facts is None:
            return variant
        try:
            splits = count_splits(facts, variant.recipe.splits)
            if self._reading.study.pilot:
                most = {k: min(getattr(splits, k) or 0, PILOT_IMAGES) for k in ("train", "validation", "test")}
                splits = count_splits(facts, Splits(**most)) if facts.groups else Splits(**most)
        except InputError as error:
            self._reading.component_problem("dataset", dataset, (), str(error))
            return replace(variant, facts=facts)
        named = facts.fingerprint, splits
        if named not in self._cuts:
            self._cuts[named] = Cut.of(facts, splits)
        recipe = replace(variant.recipe, splits=splits)
        return replace(variant, recipe=recipe, facts=facts, data=self._cuts[named])

    def _known_facts(self, choice: Choice) -> DataFacts | None:
        """Return a dataset's facts; None, and a problem, if it cannot give them."""
        written = json.dumps([choice.use, choice.settings], sort_keys=True, default=str)
        if written not in self._facts:
            self._facts[written] = None
            if choice.origin:
                try:
                    entry = self._registry.get("dataset", choice.use)
                    with no_exit():
                        self._facts[written] = self._facts_of(entry, choice)
                except AblateError as error:
                    see = f"\nsee {entry.place}" if isinstance(error, ComponentError) else ""
                    self._reading.component_problem("dataset", choice, (), f"{error}{see}")
                except Exception as error:  # noqa: BLE001 - a user's dataset may raise anything
                    text = f"{type(error).__name__}: {error}\nsee {choice.origin.place}"
                    self._reading.component_problem("dataset", choice, (), text)
        return self._facts[written]

    def _facts_of(self, entry: Entry, choice: Choice) -> DataFacts:
        """Return the facts that a dataset gives. Raises ComponentError if they, or its source, cannot be used."""
        source = entry.build(self._data_dir, settings=choice.located.settings)
        if wrong := wrong_source(source):
            raise ComponentError(wrong)
        facts: DataFacts = source.facts()
        if wrong := wrong_facts(facts):
            raise ComponentError(wrong)
        return facts
