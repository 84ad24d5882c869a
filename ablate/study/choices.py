"""The parts of a recipe as a study file writes them: components by table, and how a dataset is cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..components.schema import value_text
from .spec import Choice, Place, Splits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Report = Callable[[Place, str, str], None]
"""Takes a problem: its place in the file, what a reader calls that place, and a text."""

COMPONENTS = ("dataset", "model", "optimizer", "scheduler")
SPLITS = tuple(f.name for f in fields(Splits))


def read_choices(report: Report, where: str, raw: Sequence[Any], place: Place) -> tuple[Choice, ...] | None:
    """Read a list of components; None where one of them has a problem."""
    made = [read_choice(report, where, t, (*place, i), f"augmentation[{i}]") for i, t in enumerate(raw)]
    return tuple(c for c in made if c) if all(made) else None


def read_choice(report: Report, where: str, table: Mapping[str, Any], place: Place, name: str) -> Choice | None:
    """Read one component's table; None, and a problem, where it does not name one."""
    use = table.get("use")
    if isinstance(use, str) and use:
        return Choice(use, {k: v for k, v in table.items() if k != "use"}, place)
    what = "'use' is missing" if use is None else f"{value_text(use)} is not the name of a component"
    hint = "a table is replaced whole, never merged: name the component and all settings that differ from its defaults"
    report(place, f"{where}: {name}.use", f"{what}\n{hint}")
    return None


def read_splits(report: Report, where: str, table: Mapping[str, Any], place: Place) -> Splits | None:
    """Read how a dataset is cut; None, and problems, where a value is no number of images and no share."""
    good: dict[str, int | float | None] = {}
    for name, value in table.items():
        least = 0 if name == "validation" else 1
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
        share = isinstance(value, float) and 0 < value < 1
        if whole or share:
            good[name] = value
        else:
            text = f"{value_text(value)} is neither a number of images nor a share between 0 and 1"
            report((*place, name), f"{where}: dataset.{name}", text)
    return Splits(**good) if len(good) == len(table) else None
