"""[[comparison]]: pairs that a study compares beside each variant with the one that it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import did_you_mean, listing, quoted
from .tables import ComparisonTable, read_table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .spec import Report, Study

MAX_PAIRS = 1000


def read_pairs(
    report: Report, raw: Mapping[str, Any], study: Study, named: Collection[str]
) -> tuple[tuple[str, str], ...]:
    """Return the pairs of candidate and reference that a study file lists; problems go to `report`.

    named: what variants are called, also those with problems of their own, of which a pair is dropped unchecked.
    """
    tables = raw.get("comparison", [])
    if not isinstance(tables, list) or len(tables) > MAX_PAIRS:
        text = f"is not a list of at most {MAX_PAIRS:,} tables; write [[comparison]]"
        report(("comparison",), "comparison", text)
        return ()
    known = [variant.name for variant in study.variants]
    found = []
    for index, given in enumerate(tables):
        place, where = ("comparison", index), f"comparison {index + 1}"
        table = read_table(report, ComparisonTable, given, place, where)
        if table is None:
            continue
        sides = {"variant": study.called(table.variant), "against": study.called(table.against)}
        for key, name in sides.items():
            if name == "baseline" and name not in named and known:
                sides[key] = known[0]
            elif name not in {*named, *known}:
                text = f"there is no variant '{name}'{did_you_mean(name, known)}\naccepts {listing(quoted(known), 20)}"
                report((*place, key), f"{where}: {key}", text)
        if sides["variant"] == sides["against"]:
            report(place, where, f"compares '{sides['variant']}' with itself\nname another variant in 'against'")
        elif set(sides.values()) <= set(known):
            found.append((sides["variant"], sides["against"]))
    return tuple(found)
