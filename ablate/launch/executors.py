"""The executor that a command names, made from its settings."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from datetime import date, time
from typing import TYPE_CHECKING, Any, cast

from ..components.no_exit import no_exit
from ..errors import AblateError, ComponentError, InputError, error_text
from ..execute.builtin import PARTS, lacking

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..components.registry import Registry
    from ..execute.jobs import Executor

LOCAL = "local"
"""The executor of whoever names none."""


@dataclass(frozen=True)
class Asked:
    """An executor that was asked for: its name, and what was given of its settings."""

    name: str = LOCAL
    settings: Mapping[str, Any] = field(default_factory=dict)


def settings_of(texts: Iterable[str]) -> dict[str, Any]:
    """Read settings as NAME=VALUE, of which NAME may be that of a table and of a key in it: options.nice=100.

    Raises InputError.
    """
    settings: dict[str, Any] = {}
    for name, value in map(_setting_of, texts):
        table, dot, key = name.partition(".")
        if not dot:
            settings[name] = value
        elif not isinstance(settings.setdefault(table, {}), dict):
            raise InputError(f"--with {name}: '{table}' was given a value, and cannot have settings of its own")
        else:
            settings[table][key] = value
    return settings


def _setting_of(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE, the value as TOML writes it; anything else is a string, and so is what TOML takes for a time."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name:
        raise InputError(f"--with {text}: is not NAME=VALUE, as in devices=[0,2]")
    try:
        found = tomllib.loads(f"value = {value}")["value"]
    except ValueError:
        return name, value
    return name, value if isinstance(found, (date, time)) else found


def made(asked: Asked, registry: Registry) -> Executor:
    """Return the executor of this name. Raises InputError for an unknown one, and for settings that it lacks."""
    entry = registry.get("executor", asked.name)
    checked = entry.check(asked.settings)
    if checked.problems:
        wrong = "\n".join(f"  {text}" for _, text in checked.problems)
        raise InputError(f"--executor {asked.name}: it cannot be made so\n{wrong}\n  accepts {entry.signature}")
    try:
        with no_exit():
            found = entry.build(settings=checked.settings)
    except AblateError:
        raise
    except Exception as error:
        raise ComponentError(f"{entry.place}: executor '{asked.name}' raises {error_text(error)}") from error
    if absent := lacking(found):
        raise ComponentError(
            f"{entry.place}: executor '{asked.name}' has no {', '.join(absent)}\n"
            f"  an executor has {', '.join(PARTS)}: see ablate.Executor"
        )
    return cast("Executor", found)
