"""Which further variants tell the changes of one apart: the cheapest way of single changes to it, and its cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from itertools import count as count_from
from typing import TYPE_CHECKING

from ..errors import InputError, StudyError, did_you_mean, listing, one_line, quoted
from ..study.listed import comparison_text, variant_text
from ..study.plan import run_specs
from ..study.spec import Variant
from ..study.steps import Between
from ..study.written import good_name
from .costs import expected_seconds, measured_costs
from .study import resolved, silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..store.run_frames import Cost
    from ..study.spec import Recipe
    from ..study.steps import Change
    from .study import LoadedStudy

MOST_ORDERED = 8
"""With more changes they keep the order in which they are listed: all orders of 8 go through 256 recipes."""
Done = frozenset[str]
"""The changes, by factor, that a recipe between a reference and a variant has."""


@dataclass(frozen=True)
class Step:
    """A variant between a reference and another one, with one change more than the variant that it comes from.

    done: the changes that it has of those between the two, by factor. exists: it is in the study, and costs nothing
    more. recipe: as a study writes it; below: that of `parent`.
    runs: of it. to_make: of these, those that are not stored. seconds: expected for these; None where not known.
    """

    variant: str
    parent: str
    change: Change
    done: tuple[str, ...]
    exists: bool
    recipe: Recipe
    below: Recipe
    runs: int = 0
    to_make: int = 0
    seconds: float | None = None


@dataclass(frozen=True)
class Apart:
    """How the changes of a variant are told apart.

    steps: the way from the reference, the variant itself last; empty where there is none. others: with all orders,
    the other variants that the study lacks. pairs: variants that differ in one change, those of the way or, with all
    orders, every two that do. comparisons: those that the study, with what is added, does not compare by itself.
    barred: combinations of changes that cannot be run, each with the reason. told: the factors that a design of the
    study tells apart, each with the variant that lacks it and that this one is compared with.
    """

    variant: str
    reference: str
    changes: tuple[Change, ...]
    steps: tuple[Step, ...] = ()
    others: tuple[Step, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    comparisons: tuple[tuple[str, str], ...] = ()
    barred: tuple[tuple[str, str], ...] = ()
    told: tuple[tuple[str, str], ...] = ()

    @property
    def new(self) -> tuple[Step, ...]:
        """Return the variants that the study lacks, each after the one that it comes from."""
        return tuple(step for step in (*self.steps, *self.others) if not step.exists)

    @property
    def runs(self) -> int:
        """Return how many runs there are to make for the new variants."""
        return sum(step.to_make for step in self.new)

    @property
    def seconds(self) -> float | None:
        """Return how long these are expected to take together; None where that is not known of one."""
        known = [step.seconds for step in self.new if step.to_make]
        return None if None in known else sum(seconds for seconds in known if seconds is not None)

    @property
    def text(self) -> str:
        """Return what to add to the study's file; "" where nothing is missing."""
        tables = [
            variant_text(
                step.variant,
                step.parent,
                step.recipe,
                step.below,
                f"{self.reference}, but {listing(step.done)} as in {self.variant}",
            )
            for step in self.new
        ]
        return "\n".join([*tables, *([comparison_text(self.comparisons)] if self.comparisons else [])])


def tell_apart(study: LoadedStudy, name: str, all_orders: bool = False) -> Apart:
    """Return how the changes of a variant against its reference are told apart.

    all_orders: with every variant between the two, so that each change is seen beside all others. Raises InputError for
    a name that is none, the baseline, and too many changes for all orders.
    """
    variant = _variant(study, name)
    reference = study.study.reference(variant) or ""
    old, new = study.written.variant(reference).recipe, study.written.variant(variant).recipe
    between = Between(old, new, study.study.variant(reference).recipe, study.study.variant(variant).recipe)
    if len(between.changes) < 2:
        told = tuple((pair.factor, pair.reference) for pair in study.comparisons if pair.candidate == variant)
        return Apart(variant, reference, between.changes, told=tuple(one for one in told if all(one)))
    if all_orders and len(between.changes) > MOST_ORDERED:
        count = 2 ** len(between.changes) - 2
        raise InputError(
            f"{variant}: {len(between.changes)} changes have {count:,} variants between them, too many for all orders "
            f"(at most {MOST_ORDERED} changes)\n  leave --all-orders out for one order"
        )
    way = _Way(study, between, reference, variant)
    steps = way.steps(way.cheapest())
    others = way.others(steps) if all_orders else ()
    compared = {(pair.candidate, pair.reference) for pair in study.comparisons}
    known = {*compared, *((step.variant, step.parent) for step in (*steps, *others) if not step.exists)}
    pairs = way.pairs() if all_orders and steps else tuple((step.variant, step.parent) for step in steps)
    lacking = tuple(pair for pair in pairs if pair not in known)
    return Apart(variant, reference, between.changes, steps, others, pairs, lacking, way.barred)


def _variant(study: LoadedStudy, name: str) -> str:
    """Return the name of a variant that has a reference."""
    base, *others = (variant for variant in study.study.variants if not variant.tuned)
    names = [variant.name for variant in others]
    if name in (base.name, "baseline"):
        raise InputError(
            f"{name}: is the baseline, which changes nothing\n  accepts {listing(quoted(names), 20) or 'nothing'}"
        )
    if name not in names:
        known = [variant.name for variant in study.study.variants]
        near = "; name the variant without '(tuned)'" if name in known else did_you_mean(name, names)
        raise InputError(f"there is no variant '{name}' to explain{near}\n  accepts {listing(quoted(names), 20)}")
    return name


@dataclass(frozen=True)
class _Cell:
    """A recipe between the two: what it would be as a variant, and what it costs; `problem` where it cannot be run.

    images: that one of its runs goes through.
    """

    recipe: Recipe
    problem: str = ""
    existing: str = ""
    runs: int = 0
    to_make: int = 0
    seconds: float | None = 0.0
    images: int = 0


class _Way:
    """Looks for the cheapest order of the changes between two variants."""

    def __init__(self, study: LoadedStudy, between: Between, reference: str, variant: str) -> None:
        self._study, self._between = study, between
        self._ends = reference, variant
        self._factors = [change.factor for change in between.changes]
        self._changes = {change.factor: change for change in between.changes}
        self._cells: dict[Done, _Cell] = {}
        seed = study.seeds[0]
        self._there = {spec.key: spec.variant for spec in reversed(study.specs) if spec.seed == seed}
        self._names: dict[Done, str] = {}
        self._compared = {(pair.candidate, pair.reference) for pair in study.comparisons}

    @cached_property
    def _costs(self) -> Mapping[str, Cost]:
        return measured_costs(self._study.options.store, self._study.name)

    @property
    def barred(self) -> tuple[tuple[str, str], ...]:
        """Return what was found that cannot be run, with the reason."""
        found = sorted(
            (sorted(done, key=self._factors.index), cell) for done, cell in self._cells.items() if cell.problem
        )
        return tuple((listing(factors), cell.problem) for factors, cell in found)

    def cheapest(self) -> Sequence[str] | None:
        """Return the factors in the cheapest order; None where every order has a step that cannot be run."""
        if len(self._factors) > MOST_ORDERED:
            whole = [self.cell(frozenset(self._factors[:count])) for count in range(1, len(self._factors))]
            return None if any(cell.problem for cell in whole) else self._factors
        cells = {done: self.cell(done) for done in self._between_ends(ends=True)}
        measured = all(cell.seconds is not None for cell in cells.values())
        best: dict[Done, tuple[tuple[float, ...], tuple[int, ...]]] = {frozenset(): ((0.0,) * 5, ())}
        for done, cell in cells.items():
            ways = [
                (self._sum(cost, done, factor, measured), (*order, self._factors.index(factor)))
                for factor in done
                if not cell.problem and (done - {factor}) in best
                for cost, order in [best[done - {factor}]]
            ]
            if ways:
                best[done] = min(ways)
        found = best.get(frozenset(self._factors))
        return [self._factors[place] for place in found[1]] if found else None

    def _sum(self, cost: tuple[float, ...], done: Done, factor: str, measured: bool) -> tuple[float, ...]:
        """Return what a way costs with one more step, first what to keep low: runs, variants, comparisons, time.

        measured: the time of all runs is known; else the images that they go through stand for it.
        Of ways that cost the same, as in a study that has them all, the one with the fewest images first leads.
        """
        cell, before = self.cell(done), done - {factor}
        pair = cell.existing, self.cell(before).existing
        lacking = bool(cell.existing) and pair not in self._compared
        work = cell.seconds if measured else cell.images * cell.to_make
        own = cell.to_make, not cell.existing, lacking, work or 0.0, cell.images
        return tuple(one + more for one, more in zip(cost, own, strict=True))

    def steps(self, order: Sequence[str] | None) -> tuple[Step, ...]:
        """Return the way in this order, the variant itself last."""
        found = []
        for count in range(1, len(order or ()) + 1):
            assert order is not None
            found.append(self._step(frozenset(order[:count]), order[count - 1]))
        return tuple(found)

    def others(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        """Return what the study still lacks of the variants between the two."""
        there = {step.variant for step in steps}
        found = []
        for done in self._between_ends():
            cell = self.cell(done)
            if cell.problem or cell.existing or self.name(done) in there:
                continue
            last = [f for f in reversed(self._factors) if f in done and not self.cell(done - {f}).problem]
            found.append(self._step(done, last[0] if last else max(done, key=self._factors.index)))
        return tuple(found)

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return the two variants of every single change, beside every set of the others that it can be run with."""
        steps = ((done, done - {f}) for done in self._between_ends(ends=True) for f in self._factors if f in done)
        able = [pair for pair in steps if not any(self.cell(one).problem for one in pair)]
        return tuple((self._called(more), self._called(less)) for more, less in able)

    def cell(self, done: Done) -> _Cell:
        """Return what the recipe with these changes would be as a variant."""
        if done not in self._cells:
            self._cells[done] = self._looked_up(done)
        return self._cells[done]

    def _between_ends(self, ends: bool = False) -> Iterator[Done]:
        for size in range(1, len(self._factors) + ends):
            yield from map(frozenset, combinations(self._factors, size))

    def _step(self, done: Done, factor: str) -> Step:
        """Return the variant with these changes, of which `factor` is the last."""
        cell, before = self.cell(done), self.cell(done - {factor})
        name, parent = self._called(done), self._called(done - {factor})
        below, own = (
            self._study.written.variant(one.existing).recipe if one.existing else one.recipe for one in (before, cell)
        )
        counts = (cell.runs, cell.to_make, cell.seconds)
        on = tuple(one for one in self._factors if one in done)
        return Step(name, parent, self._changes[factor], on, bool(cell.existing), own, below, *counts)

    def _called(self, done: Done) -> str:
        """Return the name of the variant with these changes, in the study or to be added."""
        return self.cell(done).existing or self.name(done)

    def _looked_up(self, done: Done) -> _Cell:
        recipe = self._between.recipe(done)
        if not done or len(done) == len(self._factors):
            return _Cell(recipe, existing=self._ends[bool(done)])
        reading = self._study.reading
        alone = replace(reading.study, variants=(Variant(self.name(done), recipe),), design=None)
        try:
            made = resolved(
                replace(reading, study=alone, problems=[]), self._study.registry, self._study.options, silent
            )
        except StudyError as error:
            return _Cell(recipe, one_line("; ".join(problem.what for problem in error.problems), 200))
        specs = run_specs(made, made.first_seeds)
        images = specs[0].recipe.epochs * int(specs[0].recipe.splits.train or 0)
        if specs[0].key in self._there:
            return _Cell(recipe, existing=self._there[specs[0].key], runs=len(specs), images=images)
        todo = [spec for spec in specs if self._study.home.state(spec.key) != "stored"]
        known = [s for s in expected_seconds(todo, self._costs).values() if s is not None]
        seconds = sum(known) if len(known) == len(todo) else None
        return _Cell(recipe, "", "", len(specs), len(todo), seconds, images)

    def name(self, done: Done) -> str:
        """Return what the variant with these changes is called."""
        if done not in self._names:
            on = [place for place, factor in enumerate(self._factors) if factor in done]
            words = (self._changes[self._factors[place]].words for place in on)
            name = " + ".join([self._ends[0], *words]).replace("/", "-").replace("\\", "-")
            if not good_name(name):
                name = f"{self._ends[1][:40].strip(' .')}, changes {', '.join(str(place + 1) for place in on)}"
            taken = {*self._study.variants, *self._names.values()}
            numbered = (f"{name} ({count})" for count in count_from(2))
            self._names[done] = name if name not in taken else next(one for one in numbered if one not in taken)
        return self._names[done]
