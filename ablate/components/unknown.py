"""What to say of a component that is not found: where it was looked for, and where it is defined instead."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..errors import listing
from ..paths import shown
from .decorators import marks_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .contracts import Kind


def where_looked(places: Sequence[Path]) -> str:
    """Return the folders and files that were looked through, as in `looked in plugins/, noise.py`; "" for none."""
    return f"looked in {listing(map(_place, places))}" if places else ""


def defined_in_main(kind: Kind, name: str) -> str:
    """Say that a component of this name is defined where no study finds it, in a notebook cell or a script; or ""."""
    main = sys.modules.get("__main__")
    things = list(vars(main).values()) if main is not None else []
    if not any((mark.kind, mark.name) == (kind, name) for thing in things for mark in marks_of(thing, "__main__")):
        return ""
    file = getattr(main, "__file__", None)
    place = f"the script {shown(file)}" if file and not hasattr(main, "get_ipython") else "a notebook cell"
    return f"; it is defined in {place}: move it to plugins/{name.replace('-', '_').replace('.', '_')}.py"


def _place(path: Path) -> str:
    if path.suffix == ".py":
        return shown(path)
    return f"{shown(path)}/" + ("" if path.is_dir() else " (no such folder)")
