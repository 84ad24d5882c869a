"""[factor.NAME] and [design]: named changes to the baseline, and the variants that their combinations are.

What each kind of design runs and compares is `cells`' business; this reads the tables and writes the variants.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, get_args

from ..components.setting_text import value_text
from ..errors import counted, did_you_mean, listing, quoted
from .cells import Cell, Design, DesignKind
from .fractions import MOST_FREE, generators
from .tables import DesignTable, VariantTable, read_table
from .written import NAME_RULE, Written, good_name, read_factor

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .spec import Report, Variant
    from .variants import Builder

MOST_VARIANTS = 2**MOST_FREE
MOST_FACTORS = 16
"""Of a fraction: beyond it, looking for one takes too long, and it confounds too much."""


@dataclass(frozen=True)
class Factors:
    """The named changes of a study and the design over them, as read; the design is None where there is none."""

    written: Mapping[str, Written] = field(default_factory=dict)
    design: Design | None = None

    @property
    def names(self) -> list[str]:
        """Return what the variants of the design are called, without the baseline."""
        return [self.design.name(cell) for cell in self.design.every_cell if cell] if self.design else []

    def variants(self, report: Report, taken: Collection[str]) -> list[Written]:
        """Return the variants of the design; problems with their changes go to `report`.

        taken: names of the variants that the study lists itself.
        """
        clashing = self._clashes(report)
        made: dict[str, Written] = {}
        for cell in self.design.every_cell[1:] if self.design else ():
            assert self.design is not None
            on = [self.written[factor] for factor in self.design.factors if factor in cell]
            name, last = self.design.name(cell), on[-1]
            if name in taken or name in made:
                text = f"the name '{name}' is what the design calls the variant with {listing(quoted(cell))}"
                report(last.place, last.where, f"{text}\ngive one of the two another name")
                continue
            note = on[0].table.note if len(on) == 1 else ""
            table = VariantTable.model_construct(name=name, note=note, parent=None)
            good = all(one.good for one in on) and not any(pair <= cell for pair in clashing)
            made[name] = Written(table, last.place, {}, (), good, tuple(on))
        return list(made.values())

    def settled(
        self, report: Report, builder: Builder, variants: Sequence[Variant]
    ) -> tuple[Sequence[Variant], Design | None]:
        """Return the study's variants and its design with each cell's variant in place.

        A variant that the study lists itself and whose recipe is that of a cell is that cell.
        """
        if self.design is None or not variants or variants[0].parent is not None:  # the baseline has problems
            return variants, None
        base = variants[0]
        for factor in self.design.factors:
            one = self.written[factor]
            # Where it removes what is not there, that is said already.
            if one.good and not one.removed and builder.changed(one, base.recipe) == base.recipe:
                text = f"changes nothing: '{base.name}' has all that it gives already"
                report(one.place, one.where, f"{text}\ngive it another change, or take it out")
        cell_of = {self.design.name(cell): cell for cell in self.design.every_cell if cell}
        listed = [variant for variant in variants if variant.name not in cell_of]
        names: dict[Cell, str] = {frozenset(): base.name}
        same: dict[str, str] = {}
        for variant in variants:
            if variant.name in cell_of:
                equal = next((other.name for other in listed[1:] if other.recipe == variant.recipe), variant.name)
                names[cell_of[variant.name]] = same[variant.name] = equal
        design = replace(self.design, variants=names, written=frozenset(v.name for v in listed))
        kept = []
        for variant in variants:
            if variant.name in cell_of:
                parent: str | None = names.get(design.parent(cell_of[variant.name]), base.name)
            else:
                parent = same.get(variant.parent or "", variant.parent)
                parent = base.name if parent == variant.name else parent
            if same.get(variant.name, variant.name) == variant.name:
                kept.append(replace(variant, parent=parent))
        return kept, design

    def _clashes(self, report: Report) -> list[Cell]:
        """Report pairs of factors that some variant would have both of, and that change the same."""
        found = []
        cells = self.design.every_cell if self.design else ()
        for first, second in combinations(self.design.factors if self.design else (), 2):
            pair = frozenset([first, second])
            key = _clash(self.written[first], self.written[second])
            if key and any(pair <= cell for cell in cells):
                found.append(pair)
                one = self.written[second]
                text = f"cannot be combined with factor {value_text(first)}: both change {key}"
                hint = "make one factor of the two, or leave one of them out of [design] factors = [...]"
                report(one.place, one.where, f"{text}\n{hint}")
        return found


def read_factors(report: Report, raw: Mapping[str, Any]) -> Factors:
    """Return the factors and the design of a study file; problems go to `report`."""
    tables = raw.get("factor", {})
    if not isinstance(tables, dict):
        report(("factor",), "factor", "is not a table; write [factor.NAME]")
        tables = {}
    written = {}
    for name, table in tables.items():
        one = read_factor(report, name, table)
        if not good_name(name) or name in ("study", "baseline"):
            report(
                one.place,
                one.where,
                f"{value_text(name)} cannot name a factor\n{NAME_RULE}, nor is it 'study' or 'baseline'",
            )
        written[name] = one
    if "design" not in raw:
        if tables:
            first = next(iter(written.values()))
            text = 'there is no [design] that uses it\nadd [design] with kind = "one-at-a-time", for example'
            report(first.place, first.where, text)
        return Factors(written)
    table = read_table(report, DesignTable, raw["design"], ("design",), "design")
    return Factors(written, _design(report, table, written) if table else None)


def _design(report: Report, table: DesignTable, written: Mapping[str, Written]) -> Design | None:
    named = [table.kind] if isinstance(table.kind, str) else table.kind
    kinds: list[DesignKind] = [kind for kind in get_args(DesignKind) if kind in named]
    kinds.sort(key=named.index)
    factors = tuple(written) if table.factors is None else tuple(table.factors)
    problems = {
        "kind": _names("design", named, get_args(DesignKind)),
        "factors": _names("factor", factors, written)
        if written
        else "there is no factor to combine\nname changes: [factor.NAME] with set, add or remove",
    }
    if "factorial" not in named and table.resolution is not None:
        problems["resolution"] = 'is of a fraction of a factorial\nadd kind = "factorial", or leave it out'
    if not any(problems.values()):
        problems |= _size(kinds, len(factors), table.resolution)
    for key, text in problems.items():
        if text:
            report(("design", key), f"design: {key}", text)
    return None if any(problems.values()) else Design(tuple(kinds), factors, table.resolution)


def _names(what: str, named: Sequence[str], known: Collection[str]) -> str:
    """Return what is wrong with a list of names; "" where nothing is."""
    if unknown := [name for name in named if name not in known]:
        text = f"there is no {what} {value_text(unknown[0])}{did_you_mean(unknown[0], known)}"
    elif twice := [name for name in named if list(named).count(name) > 1]:
        text = f"names {value_text(twice[0])} twice"
    else:
        text = "" if named else f"names no {what}"
    return f"{text}\naccepts {listing(quoted(known), 20)}" if text else ""


def _size(kinds: Sequence[DesignKind], factors: int, resolution: int | None) -> dict[str, str]:
    """Return what is wrong with the size of a design, by key."""
    if "factorial" not in kinds:
        if factors > MOST_VARIANTS // 2:
            return {"factors": f"{factors:,} factors are too many for a design (at most {MOST_VARIANTS // 2})"}
        return {}
    if factors > MOST_FACTORS:
        return {"factors": f"{factors:,} factors are too many for a factorial (at most {MOST_FACTORS})"}
    sizes = {r: 2 ** (factors - len(found)) for r in (5, 4, 3) if (found := generators(factors, r))}
    offers = listing(f"resolution = {r} takes {size:,}" for r, size in sizes.items())
    if resolution is None and 2**factors > MOST_VARIANTS:
        text = f"a factorial of {factors} factors is {2**factors:,} variants, each with every seed"
        return {"kind": f"{text} (at most {MOST_VARIANTS})\na fraction tells the main effects: {offers}"}
    if resolution is not None and resolution not in sizes:
        text = f"no fraction of a factorial of {counted(factors, 'factor')} has resolution {resolution}"
        whole = f"leave it out for all {2**factors:,} variants" if 2**factors <= MOST_VARIANTS else ""
        return {"resolution": "\n".join([text, "; ".join(part for part in (whole, offers) if part)])}
    return {}


def _clash(first: Written, second: Written) -> str:
    """Return what both of two factors change so that their order would matter; "" where nothing is."""
    for one, other in ((first, second), (second, first)):
        for key in one.values:
            if key in other.values or (key == "augmentation" and (other.added or _removes(other, "augmentation"))):
                return "dataset" if key == "splits" else key
            if key == "scheduler" and "scheduler" in other.removed:
                return key
        named = [*other.removed, *(f"augmentation.{choice.use}" for choice in other.added)]
        for target in one.removed:
            if target in named:
                return target
        for edit in one.edits:
            for target in (*named, *other.values, *(edited.target for edited in other.edits)):
                if f"{edit.target}.".startswith(f"{target}."):
                    return edit.target
    return ""


def _removes(one: Written, part: str) -> bool:
    return any(target.split(".")[0] == part for target in one.removed)
