"""[[claim]]: what somebody concludes of a study, as one variant against another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..components.setting_text import value_text
from ..errors import did_you_mean, listing, quoted
from .comparisons import Claim
from .differences import differences
from .tables import ClaimTable, read_table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .spec import Place, Report, Study

MAX_CLAIMS = 200


def read_claims(
    report: Report, raw: Mapping[str, Any], study: Study, named: Collection[str], changed: bool = False
) -> tuple[Claim, ...]:
    """Return the claims of a study file whose variants are read; problems go to `report`.

    named: what variants are called, also those with problems of their own, of which a claim is dropped unchecked.
    changed: the command line changes the study, so that what a claim credits need not differ any more.
    """
    tables = raw.get("claim", [])
    if not isinstance(tables, list):
        report(("claim",), "claim", "is not a list of tables; write [[claim]]")
        return ()
    if len(tables) > MAX_CLAIMS:
        text = f"{len(tables):,} claims are too many for one study (at most {MAX_CLAIMS})"
        report(("claim", MAX_CLAIMS), "claim", text)
        return ()
    found = []
    for index, table in enumerate(tables):
        claim = _read(report, table, ("claim", index), study, named)
        if claim and claim.because and not changed and (problem := _not_changed(study, claim)):
            report((*claim.place, "because"), f"claim {index + 1}: because", problem)
        elif claim:
            found.append(claim)
    return tuple(found)


def _read(report: Report, raw: Any, place: Place, study: Study, named: Collection[str]) -> Claim | None:
    where = f"claim {int(place[1]) + 1}"
    wrong: list[Place] = []

    def told(at: Place, called: str, text: str) -> None:
        wrong.append(at)
        report(at, called, text)

    table = read_table(told, ClaimTable, raw, place, where)
    if table is None or wrong:
        return None
    if not table.text.strip():
        told((*place, "text"), f"{where}: text", "is empty\nsay what is claimed, in a sentence")
    variants = [variant.name for variant in study.variants]
    base = study.variants[0].name if study.variants else ""
    # As in `from`, the baseline may be called so whatever its name is.
    sides = {
        key: base if name == "baseline" and name not in named else study.called(name)
        for key, name in (("variant", table.variant), ("against", table.against))
        if name is not None
    }
    for key, name in sides.items():
        if name not in {*named, *variants}:
            hint = f"accepts {listing(quoted(variants), 20)}"
            text = f"there is no variant '{name}'{did_you_mean(name, variants)}\n{hint}"
            told((*place, key), f"{where}: {key}", text)
    if wrong or not set(variants).issuperset(sides.values()):
        return None
    against = sides.get("against") or study.reference(sides["variant"])
    if against is None:
        others = listing(quoted(name for name in variants if name != sides["variant"]), 20)
        text = f"'{base}' comes from no variant, so say what it is compared with\nadd against = one of {others}"
        told(place, where, text)
    elif against == sides["variant"]:
        told((*place, "against"), f"{where}: against", f"'{against}' cannot be compared with itself")
    if wrong or against is None:
        return None
    return Claim(table.text.strip(), sides["variant"], against, table.says, table.because, place)


def _not_changed(study: Study, claim: Claim) -> str:
    """Return what is wrong where a claim credits what does not differ between its variants; "" where it does."""
    if credited(study, claim)[:1] == (claim.because,):
        return ""
    changed = [name for name, _, _ in _changes(study, claim)] + _named_changes(study, claim)
    near = did_you_mean(claim.because, changed)
    text = f"{value_text(claim.because)} does not differ between '{claim.against}' and '{claim.variant}'{near}"
    return f"{text}\naccepts {listing(changed)}" if changed else f"{text}\nnothing does: leave it out"


def credited(study: Study, claim: Claim) -> tuple[str, ...]:
    """Return all that differs between the two variants of a claim: what it credits first, if that differs.

    The others are named as coarsely as by the finding on several factors (`model`, `optimizer`), but for each
    augmentation on its own, and for what belongs to the component that the claim credits a part of. Where the claim
    credits a factor of the study's design, they are factors of the design too.
    """
    because = claim.because
    named = _named_changes(study, claim)
    if because in named:
        return because, *(name for name in named if name != because)
    changed = [name for name, _, _ in _changes(study, claim)]
    covered = [name for name in changed if because and (name == because or name.startswith(f"{because}."))]
    depth = {name: 2 if name.split(".")[0] in ("augmentation", because.split(".")[0]) else 1 for name in changed}
    rest = [".".join(name.split(".")[: depth[name]]) for name in changed if name not in covered]
    return tuple(dict.fromkeys([*([because] if covered else []), *rest]))


def _changes(study: Study, claim: Claim) -> list[tuple[str, str, str]]:
    return differences(study.variant(claim.against).recipe, study.variant(claim.variant).recipe)


def _named_changes(study: Study, claim: Claim) -> list[str]:
    """Return the factors of the study's design that one side has and the other has not; none for other variants."""
    cells = {name: cell for cell, name in ((study.design and study.design.variants) or {}).items()}
    one, other = (cells.get(name) for name in (claim.variant, claim.against))
    if study.design is None or one is None or other is None:
        return []
    return [factor for factor in study.design.factors if factor in one ^ other]
