"""`ablate new`: a commented file to start from, that runs as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..components.discover import discover
from ..console import text
from ..errors import InputError
from ..paths import shipped, shown
from ..study.toml import NAME_RULE, good_name

if TYPE_CHECKING:
    from ..components.contracts import Kind

_COMPONENT = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


def new_study(name: str) -> int:
    """Write `studies/NAME.toml` in the working folder."""
    if not good_name(name):
        raise InputError(f"{name!r} cannot name a study\n  {NAME_RULE}")
    slug = re.sub(r"\W+", "-", name).strip("-").lower() or "study"
    file = _write(Path("studies") / f"{slug}.toml", "study.toml.jinja", name=name)
    text.note(f"next: ablate plan {shown(file)}, then ablate run {shown(file)}")
    return 0


def new_component(kind: Kind, name: str) -> int:
    """Write `plugins/NAME.py` in the working folder."""
    if not _COMPONENT.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name a component\n  a name is lower-case words joined by '-', such as 'wide-resnet'"
        )
    if name in {entry.name for entry in discover().entries(kind)}:
        raise InputError(f"the {kind} name '{name}' is taken\n  'ablate components {kind} {name}' shows by what")
    function = name.replace("-", "_")
    _write(Path("plugins") / f"{function}.py", f"{kind}.py.jinja", name=name, function=function)
    text.note(f"next: ablate components {kind} {name}, then name it in a study")
    return 0


def _write(file: Path, template: str, **values: str) -> Path:
    folder = FileSystemLoader(shipped("templates") / "new")
    environment = Environment(
        loader=folder, undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )  # writes TOML and Python; names are checked
    try:
        file.parent.mkdir(exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(environment.get_template(template).render(values))
    except FileExistsError:
        raise InputError(f"{shown(file)}: exists already, and is left as it is\n  give another name") from None
    except OSError as error:
        raise InputError(f"{shown(file)}: cannot be written: {error.strerror}") from None
    text.say(shown(file))
    return file
