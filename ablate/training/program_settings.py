"""What a program is started with: settings in the place of placeholders, and whether they can be started at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..components.setting_text import value_text
from ..components.tasks import Covered
from ..errors import InputError, did_you_mean, listing, one_line
from ..paths import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GIVEN = ("seed", "threads", "device", "folder", "data_dir", "study_dir", "pilot", "python")
"""What a run gives to a program beside the settings, by placeholder; `python` is the one that runs ablate."""
FOLDS = ("fold", "folds", "repetition")
"""What the run of a study with folds gives as well; a setting of the same name comes first."""
_PLACEHOLDER = re.compile(r"\{\{([A-Za-z_][\w.-]*)\}\}|\{([A-Za-z_][\w.-]*)\}")


def check_program(
    folder: Path,
    command: Sequence[str],
    settings: Mapping[str, Any],
    *,
    env: Mapping[str, str] = {},  # read only
    sources: Sequence[str] = (),
) -> Covered:
    """Check before anything runs that a program can be started with these settings; return what its key covers.

    folder: of the study. sources: files and folders whose content the program depends on.
    Raises InputError for a placeholder that names no setting, a setting that none names, and a program that is not
    there or not executable.
    """
    if not hasattr(os, "killpg"):
        raise InputError("a program is run in a process group, which this system does not have")
    if not command:
        raise InputError('command is empty; it lists a program and its arguments, as in ["./train", "--lr", "{lr}"]')
    if taken := [name for name in settings if name in GIVEN]:
        raise InputError(f"'{taken[0]}' is what each run gives; call the setting something else")
    accepted = [*settings, *GIVEN, *FOLDS]
    named = {name for text in (*command, *env.values()) for name in _names(text)}
    for name in sorted(named - {*accepted}):
        text = f"placeholder {{{one_line(name, 80)}}} names no setting{did_you_mean(name, accepted)}"
        raise InputError(f"{text}\naccepts {listing(accepted, 20)}; write {{{{{name}}}}} where its braces are meant")
    if unused := [name for name in settings if name not in named]:
        text = f"setting '{unused[0]}' is in no placeholder, and would change nothing"
        raise InputError(f"{text}\nwrite {{{unused[0]}}} where the program takes it, in command or in env")
    _check_texts([*(_text(name, value) for name, value in settings.items()), *command], env)
    known = {**settings, "study_dir": folder}
    program = _found(command[0], folder, _path(env, folder, known))
    _check_script(command, folder, known)
    parts = [Path(filled(part, known)) for part in command if {*_names(part)} <= {*known}]
    own = [part for part in parts if _is_file(folder / part)]
    covered = [*own, *map(Path, sources)]
    itself = "" if program.resolve() in [(folder / path).resolve() for path in own] else f"{shown(program)}, and "
    beside = f"what {program.name} loads, calls or reads beside {listing(map(str, covered))}".removesuffix(" beside ")
    return Covered(covered, [f"{itself}{beside} (name files and folders in sources = [...])"])


def _check_texts(arguments: Sequence[str], env: Mapping[str, str]) -> None:
    """Raise InputError for what the system takes as no argument or environment variable."""
    if any("\0" in text for text in (*arguments, *env, *env.values())):
        raise InputError("no argument or environment variable of a program can have a null character in it")
    if odd := [name for name in env if not name or "=" in name]:
        raise InputError(f"env: {value_text(odd[0])} cannot name an environment variable")


def _is_file(place: Path) -> bool:
    try:
        return place.is_file()
    except OSError:  # an argument of many characters is none
        return False


def _path(env: Mapping[str, str], folder: Path, known: Mapping[str, Any]) -> str | None:
    """Return the PATH that a program is looked up on, from its own folder; None where only a run knows it."""
    given = env.get("PATH", os.environ.get("PATH", os.defpath))
    if not {*_names(given)} <= {*known}:
        return None
    return os.pathsep.join(str(folder / place) for place in filled(given, known).split(os.pathsep))


def _found(program: str, folder: Path, path: str | None) -> Path:
    """Return the program that a command starts, looked up on a PATH. Raises InputError where it cannot be started."""
    if program == "{python}":
        return Path(sys.executable)
    if os.sep in program:
        place = folder / program
        if not place.is_file():
            raise InputError(f"command: {shown(place)}: there is no such program; it is looked for beside the study")
        if not os.access(place, os.X_OK):
            raise InputError(
                f"command: {shown(place)}: is not executable\nchmod +x {shown(place)}, or name what runs it first"
            )
        return place
    if path is None:
        return Path(program)
    if found := shutil.which(program, path=path):
        return Path(found)
    beside = f"\nthe file beside the study is written './{program}'" if (folder / program).is_file() else ""
    which = "the PATH" if path == _path({}, folder, {}) else "the PATH that env gives"
    raise InputError(f"command: there is no program '{one_line(program, 80)}' on {which}{beside}")


def _check_script(command: Sequence[str], folder: Path, known: Mapping[str, Any]) -> None:
    """Raise InputError where Python is to run a script that is not there."""
    if command[0] != "{python}" or len(command) == 1 or not {*_names(command[1])} <= {*known}:
        return
    script = Path(filled(command[1], known))
    if script.suffix == ".py" and not _is_file(folder / script):
        there = [place.name for place in (folder / script).parent.glob("*.py")]
        close = did_you_mean(script.name, there)
        raise InputError(f"command: {shown(script)}: no such file; it is looked for beside the study{close}")


def _names(text: str) -> list[str]:
    return [found[2] for found in _PLACEHOLDER.finditer(text) if found[2]]


def filled(text: str, values: Mapping[str, Any]) -> str:
    """Return a text with values in the place of placeholders, as `{lr}`."""

    def value(found: re.Match[str]) -> str:
        return f"{{{found[1]}}}" if found[1] else _text(found[2], values[found[2]])

    return _PLACEHOLDER.sub(value, text)


def _text(name: str, value: Any) -> str:
    """Write a setting as an argument: texts as they are, all else as JSON."""
    try:
        return str(value) if isinstance(value, (str, Path)) else json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise InputError(f"setting '{name}': {value_text(value)} cannot be an argument of a program") from None
