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
from .folds import FoldSizes
from .spec import NOTHING

if TYPE_CHECKING:
    from pathlib import Path

    from ..components.registry import Entry, Registry
    from .spec import Choice, Variant
    from .splits import Splits
    from .toml import Reading

PILOT_IMAGES = 2000


class Datasets:
    """Adds to variants what is known of their data; each dataset is asked once, and so is each way to cut it."""

    def __init__(self, reading: Reading, registry: Registry, data_dir: Path) -> None:
        self._reading, self._registry, self._data_dir = reading, registry, data_dir
        self._facts: dict[str, DataFacts | None] = {}
        self._cuts: dict[tuple[str, Splits], Cut] = {}
        self._cut_in_turn: dict[tuple[str, Splits], dict[int, Splits]] = {}  # with groups, a cut takes a while

    def described(self, variant: Variant) -> Variant:
        """Return a variant with its data's facts and its splits counted; as it was where its dataset has a problem."""
        dataset = variant.recipe.dataset
        if dataset == NOTHING:
            return variant
        facts = self._known_facts(dataset)
        if facts is None:
            return variant
        asked, seeds = variant.recipe.splits, self._reading.study.seeds
        try:
            turns = self._turns(facts, asked) if asked.folds else {}
            splits = turns[seeds[0]] if turns else self._counted(facts, asked)
        except InputError as error:
            self._reading.component_problem("dataset", dataset, (), str(error))
            return replace(variant, facts=facts)
        named = facts.fingerprint, splits
        if named not in self._cuts:
            folds = FoldSizes.of(facts, asked.folds, [turns[seed] for seed in seeds]) if asked.folds else None
            self._cuts[named] = Cut.of(facts, splits, folds)
        recipe = replace(variant.recipe, splits=replace(splits, turn=None))
        return replace(variant, recipe=recipe, facts=facts, data=self._cuts[named], turns=turns)

    def _turns(self, facts: DataFacts, splits: Splits) -> dict[int, Splits]:
        """Return the splits of each fold that the study has, by seed, and of the first one, which tuning takes."""
        if splits.test is not None:
            text = f"test = {splits.test:g} stands beside folds, which say themselves what is tested: each a fold"
            raise InputError(f"{text}\ntake one of the two out")
        named, turns = (facts.fingerprint, splits), {0, *self._reading.study.seeds}
        if named not in self._cut_in_turn:
            self._cut_in_turn[named] = {turn: self._counted(facts, replace(splits, turn=turn)) for turn in turns}
        return self._cut_in_turn[named]

    def _counted(self, facts: DataFacts, splits: Splits) -> Splits:
        """Return splits as counted, of a pilot at most so many images."""
        counted = count_splits(facts, splits)
        if not self._reading.study.pilot:
            return counted
        most = {k: min(getattr(counted, k) or 0, PILOT_IMAGES) for k in ("train", "validation", "test")}
        few = replace(counted, **most)
        return count_splits(facts, few) if facts.groups else few

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
