"""`ablate components`: what a study can name."""

from __future__ import annotations

import inspect
from typing import Any

from ..components.contracts import KINDS, Kind
from ..components.discover import discover
from ..components.registry import Entry, LibraryEntry, Registry, kind_named
from ..components.schema import REQUIRED, value_text
from ..console import text


def show_components(kind: str | None, name: str | None, as_json: bool = False) -> int:
    """Print all components, those of a kind, or one in full; return the exit code."""
    registry = discover()
    kinds = [kind_named(kind)] if kind else list(KINDS)
    if name is not None:
        library = registry.library(kinds[0], name)
        if library is not None and name.endswith(":"):
            return _library(library, as_json)
        return _one(registry.get(kinds[0], name), as_json)
    if as_json:
        text.say_json({k: [_document(e) for e in registry.entries(k)] for k in kinds})
        return 0
    for index, one in enumerate(kinds):
        _kind(registry, one, first=index == 0)
    text.say("\nablate components KIND NAME shows one in full, ablate components KIND PREFIX: all of a library")
    return 0


def _kind(registry: Registry, kind: Kind, first: bool) -> None:
    text.say(f"{'' if first else chr(10)}{kind}s")
    rows = [(e.name, e.summary, e.place) for e in registry.entries(kind)]
    rows += [(f"{e.prefix}:<name>", e.summary, e.place) for e in registry.libraries(kind)]
    names, summaries = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
    for name, summary, place in rows:
        text.say(f"  {name:<{names}}  {summary:<{summaries}}  {place}")


def _one(entry: Entry, as_json: bool) -> int:
    if as_json:
        text.say_json(_document(entry))
        return 0
    text.say(f"{entry.kind} {entry.name}   {entry.place}")
    text.say(inspect.getdoc(entry.factory) or entry.summary if not entry.borrowed else entry.summary)
    if entry.kind == "scheduler":
        text.say(f"\nsteps after each {entry.steps}")
    text.say("\nsettings" if entry.settings else "\nno settings")
    wide = max((len(s.name) for s in entry.settings), default=0)
    types = max((len(s.type) for s in entry.settings), default=0)
    for setting in entry.settings:
        default = "required" if setting.default is REQUIRED else value_text(setting.default)
        text.say(f"  {setting.name:<{wide}}  {setting.type:<{types}}  {default}")
    example = ", ".join([f'use = "{entry.name}"', *(f"{s.name} = ..." for s in entry.settings if s.default is REQUIRED)])
    text.say(f"\nin a study: {entry.kind} = {{ {example} }}" if entry.kind != "augmentation" else f"\nin a study: augmentation = [{{ {example} }}]")
    return 0


def _library(library: LibraryEntry, as_json: bool) -> int:
    names = [f"{library.prefix}:{name}" for name in library.library.names()]
    if as_json:
        text.say_json(names)
    else:
        text.say("\n".join(names))
    return 0


def _document(entry: Entry) -> dict[str, Any]:
    settings = {
        s.name: {"type": s.type, "required": s.default is REQUIRED, "default": None if s.default is REQUIRED else s.default}
        for s in entry.settings
    }
    return {
        "kind": entry.kind,
        "name": entry.name,
        "summary": entry.summary,
        "file": str(entry.file),
        "line": entry.line,
        "settings": settings,
        **({"steps": entry.steps} if entry.kind == "scheduler" else {}),
    }
