"""What a design runs: cells, each a set of factors that are on, shared between the designs of a study."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from .fractions import generators, runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DesignKind = Literal["ladder", "one-at-a-time", "leave-one-out", "factorial"]
Cell = frozenset[str]
"""The names of the factors that are on; the baseline has none."""
LONGEST_NAME = 80


@dataclass(frozen=True)
class DesignComparison:
    """Two variants of a design that differ in one factor: the one that has it, and the one that has not."""

    candidate: str
    reference: str
    factor: str


@dataclass(frozen=True)
class Design:
    """Which combinations of its factors a study runs.

    kinds: one or several. factors: by name, in order. resolution: of a fraction of a factorial; None for all of it.
    variants: the variant that each cell is, by name; the baseline first, then in the order of the designs.
    written: which of these variants the study lists itself.
    """

    kinds: tuple[DesignKind, ...]
    factors: tuple[str, ...]
    resolution: int | None = None
    variants: Mapping[Cell, str] | None = None
    written: frozenset[str] = frozenset()

    def cells(self, kind: DesignKind) -> tuple[Cell, ...]:
        """Return the cells of one kind of design, in reading order."""
        every = self.factors
        match kind:
            case "ladder":
                return tuple(frozenset(every[:count]) for count in range(len(every) + 1))
            case "one-at-a-time":
                return (frozenset(), *(frozenset([factor]) for factor in every))
            case "leave-one-out":
                return (frozenset(every), *(frozenset(every) - {factor} for factor in every))
            case "factorial":
                numbers = runs(len(every), self.generators)
                return tuple(frozenset(f for place, f in enumerate(every) if on >> place & 1) for on in numbers)

    @cached_property
    def generators(self) -> tuple[int, ...]:
        """Return the generators of the fraction, as of `fractions.generators`; empty for the full factorial."""
        return (generators(len(self.factors), self.resolution) or ()) if self.resolution else ()

    @cached_property
    def every_cell(self) -> tuple[Cell, ...]:
        """Return the cells of all kinds, each once; the baseline, which a study always has, first."""
        return tuple(dict.fromkeys((frozenset[str](), *(cell for kind in self.kinds for cell in self.cells(kind)))))

    def name(self, cell: Cell) -> str:
        """Return what the variant of a cell other than the baseline is called."""
        on = [factor for factor in self.factors if factor in cell]
        off = [factor for factor in self.factors if factor not in cell]
        numbers = ", ".join(str(self.factors.index(factor) + 1) for factor in on)
        names = [" + ".join(on), f"all but {', '.join(off)}" if off else "all", f"factors {numbers}"]
        if "leave-one-out" in self.kinds and len(self.factors) > 2 and len(off) < 2:
            names[:2] = [names[1], names[0]]
        fitting = [name for name in names if len(name) <= LONGEST_NAME]
        return fitting[0] if fitting else f"{len(on)} factors, the last {self.factors.index(on[-1]) + 1}"

    def parent(self, cell: Cell) -> Cell:
        """Return the cell that one is described against: a single step away, where the designs have one."""
        if "ladder" in self.kinds and cell in self.cells("ladder"):
            return frozenset(self.factors[: len(cell) - 1])
        off = len(self.factors) - len(cell)
        return frozenset(self.factors) if "leave-one-out" in self.kinds and off == 1 < len(cell) else frozenset()

    @property
    def listed(self) -> dict[str, str]:
        """Return the variants that the study lists itself, each by what the design calls its combination."""
        return {self.name(cell): name for cell, name in (self.variants or {}).items() if cell and name in self.written}

    @property
    def generated(self) -> tuple[str, ...]:
        """Return the names of the variants that the design makes, without those that the study lists itself."""
        return tuple(name for name in (self.variants or {}).values() if name not in self.written)

    def comparisons(self) -> Iterator[DesignComparison]:
        """Yield what the designs compare; in each pair the candidate has one factor more, so that it tells its gain.

        A ladder compares each step with the one before it, one at a time each factor with the baseline, leave one out
        the variant of all factors with each that lacks one. A factorial has effects instead; where it holds the
        variants of single factors, these are compared with the baseline too.
        """
        known = self.variants or {}
        pairs = dict.fromkeys(pair for kind in self.kinds for pair in self._pairs(kind))
        for more, less in pairs:
            if more in known and less in known:
                yield DesignComparison(known[more], known[less], next(iter(more - less)))

    def _pairs(self, kind: DesignKind) -> Iterator[tuple[Cell, Cell]]:
        if kind == "leave-one-out":
            whole, *others = self.cells(kind)
            yield from ((whole, other) for other in others)
            return
        steps = [cell for cell in self.cells(kind) if kind == "ladder" or len(cell) == 1]
        for cell in steps:
            if cell:
                yield cell, frozenset(self.factors[: len(cell) - 1]) if kind == "ladder" else frozenset()

    def added(self, variants: Sequence[str]) -> dict[DesignKind, tuple[tuple[str, ...], tuple[str, ...]]]:
        """Return for each kind the variants that it adds to those before it, and those that it shares with them.

        variants: names of those that are in the study for other reasons.
        """
        there, found = set(variants), {}
        for kind in self.kinds:
            names = [name for cell in self.cells(kind) if (name := (self.variants or {}).get(cell))]
            found[kind] = tuple(n for n in names if n not in there), tuple(n for n in names if n in there)
            there.update(names)
        return found
