"""Variants as the text of a study file: a table for each, from a recipe and the one that it comes from."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from .choices import COMPONENTS, SPLITS
from .spec import SCALARS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .spec import Choice, Recipe

BARE = re.compile(r"[A-Za-z0-9_-]+")
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
NAMED = re.compile(
    r"""^\ufeff?[ \t]*\[study\][^\n]*\n(?:(?![ \t]*\[)[^\n]*\n)*?[ \t]*name[ \t]*=[ \t]*("[^"\n]*"|'[^'\n]*')""",
    re.MULTILINE,
)
"""A study's table up to its name."""


def variant_text(name: str, parent: str, recipe: Recipe, below: Recipe, note: str = "") -> str:
    """Return a [[variant]] table of this recipe that comes from a variant whose recipe is `below`."""
    lines = ["[[variant]]", f"name = {inline(name)}", f"from = {inline(parent)}"]
    changed: dict[str, Any] = {
        key: getattr(recipe, key) for key in SCALARS if getattr(recipe, key) != getattr(below, key)
    }
    for kind in ("task", *COMPONENTS):
        cut = kind == "dataset" and _cuts(recipe) != _cuts(below)
        if getattr(recipe, kind) != getattr(below, kind) or cut:
            changed[kind] = _table(getattr(recipe, kind), _cuts(recipe) if kind == "dataset" else {})
    old, new = below.augmentation, recipe.augmentation
    added, gone = new[len(old) :], {choice.use for choice in old} - {choice.use for choice in new}
    if old != new and new[: len(old)] == old:
        lines.append(f"add = {inline({'augmentation': [_table(choice) for choice in added]})}")
    elif old != new and new == tuple(choice for choice in old if choice.use not in gone):
        lines.append(f"remove = {inline([f'augmentation.{use}' for use in sorted(gone)])}")
    elif old != new:
        changed["augmentation"] = [_table(choice) for choice in new]
    if changed:
        lines.insert(3, f"set = {inline(changed)}")
    if note:
        lines.append(f"note = {inline(note)}")
    return "\n".join(lines) + "\n"


def comparison_text(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a [[comparison]] table for each pair of candidate and reference."""
    return "\n".join(f"[[comparison]]\nvariant = {inline(one)}\nagainst = {inline(other)}\n" for one, other in pairs)


def renamed(text: str, name: str) -> str | None:
    """Return a study's text with another name of the study, all else as it is; None where that is not found."""
    found = NAMED.search(text)
    if found is None:
        return None
    made = f"{text[: found.start(1)]}{inline(name)}{text[found.end(1) :]}"
    try:
        before, after = (tomllib.loads(one.removeprefix(BOM).replace("\r\n", "\n")) for one in (text, made))
    except tomllib.TOMLDecodeError:  # what looked like it was something else
        return None
    return made if after == {**before, "study": {**before.get("study", {}), "name": name}} else None


def inline(value: Any) -> str:
    """Return a plain value as TOML on one line."""
    import tomli_w

    if isinstance(value, dict):
        inside = ", ".join(f"{_key(key)} = {inline(part)}" for key, part in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(inline, value))}]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").strip()


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else inline(key)


def _table(choice: Choice, more: Mapping[str, Any] = {}) -> dict[str, Any]:  # read only
    return {"use": choice.use, **more, **choice.settings}


def _cuts(recipe: Recipe) -> dict[str, Any]:
    return {part: size for part in SPLITS if (size := getattr(recipe.splits, part)) is not None}
