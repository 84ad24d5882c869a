"""The figures that a study names for its report: read from its file, then found among the components.

No run depends on them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..components.contracts import USUAL
from ..components.setting_text import value_text
from ..errors import InputError, did_you_mean
from .choices import read_choice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..components.registry import Registry
    from .spec import Choice, Place, Report

Problem = tuple["Place", str]
"""What is wrong with a figure: where below its table, and a text."""
PLACE: Place = ("study", "figures")


def read_figures(report: Report, raw: Sequence[str | Mapping[str, Any]] | None) -> tuple[Choice, ...] | None:
    """Read `figures` of [study]: names, and tables with `use` and settings; None where a study leaves it out."""
    if raw is None:
        return None
    found: list[Choice] = []
    for index, given in enumerate(raw):
        table, place = {"use": given} if isinstance(given, str) else given, (*PLACE, index)
        one = read_choice(report, "study", table, place, f"figures[{index}]")
        if one is None:
            continue
        if one.use == USUAL and one.settings:
            report(place, f"study: figures[{index}]", f"{value_text(USUAL)} stands for several figures: no settings")
        elif any((one.use, one.settings) == (other.use, other.settings) for other in found):
            text = f"{value_text(one.use)} stands there twice\ntake one out, or give them different settings"
            report(place, f"study: figures[{index}]", text)
        else:
            found.append(one)
    return tuple(found)


def found_figure(one: Choice, registry: Registry) -> tuple[Choice, list[Problem]]:
    """Return a figure with its settings filled in, and what is wrong with it."""
    if one.use == USUAL:
        return one, []
    try:
        entry = registry.get("figure", one.use)
    except InputError as error:
        what, _, accepts = str(error).partition("\n")
        near = "" if "did you mean" in what else did_you_mean(one.use, [USUAL])
        return one, [(("use",), f"{what}{near}\n{accepts}\n'{USUAL}' stands for those of a study that names none")]
    checked = entry.check(one.settings)
    if checked.problems:
        accepts = f"accepts {entry.signature}   ({entry.place})"
        return one, [((name,), f"{what}\n{accepts}") for name, what in checked.problems]
    return replace(one, settings=checked.settings), []
