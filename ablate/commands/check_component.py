"""`ablate components check`: whether a component keeps the contract of its kind."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..components.contracts import ALL_KINDS, ImageShape
from ..components.discover import discover
from ..components.unknown import where_looked
from ..console import text
from ..errors import InputError, did_you_mean, listing
from ..paths import typed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..components.registry import Entry, Registry


def check_component(
    name: str, settings: Sequence[str], shape: str, plugins: Sequence[Path], data_dir: Path, as_json: bool = False
) -> int:
    """Make every check of a component's kind and print the outcomes; return the exit code: 1 where one failed.

    settings: each as NAME=VALUE. shape: of the images, as 3x32x32. plugins: files or folders that may register it.
    """
    entry = component_named(discover(named=[plugin.resolve() for plugin in plugins]), name)
    given, images = dict(map(_setting, settings)), _shape(shape)

    from ..testing.checks import Checked, all_checks  # which imports torch
    from ..testing.subject import subject_of

    subject = subject_of(entry, given, data_dir, images)
    checks: list[Checked] = []
    if not as_json:
        text.say(f"{entry.kind} {entry.name}   {entry.place}")
    for checked in all_checks(subject):
        if not as_json:
            repeated = bool(checks) and checked.text == checks[-1].text
            reason = ["as above"] if checked.text and repeated else checked.text.splitlines()
            text.say("\n".join([f"  {checked.outcome:<7}  {checked.fact}", *(f"           {line}" for line in reason)]))
        checks.append(checked)
    failed = sum(checked.outcome == "failed" for checked in checks)
    if as_json:
        document = {"kind": entry.kind, "name": entry.name, "place": entry.place}
        text.say_json({**document, "checks": [asdict(checked) for checked in checks]})
    else:
        counts = {one: sum(c.outcome == one for c in checks) for one in ("passed", "failed", "skipped")}
        text.say(", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count))
    return int(failed > 0)


def component_named(registry: Registry, name: str) -> Entry:
    """Return the component of this name, which may begin with its kind, as in `model:simple-cnn`.

    Raises InputError for a name that is unknown or stands for components of several kinds.
    """
    kinds = [kind for kind in ALL_KINDS if name.startswith(f"{kind}:")]
    if kinds:
        return registry.get(kinds[0], name.removeprefix(f"{kinds[0]}:"))
    found: list[Entry] = []
    wrong: list[InputError] = []
    for kind in ALL_KINDS:
        library = registry.library(kind, name)
        if library is None and not registry.taken(kind, name):
            continue
        try:
            found.append(registry.get(kind, name))
        except InputError as error:
            wrong.append(error)
    if len(found) == 1:
        return found[0]
    if found:
        ways = listing(f"{entry.kind}:{entry.name}" for entry in found)
        raise InputError(f"'{name}' names components of {len(found)} kinds\n  write one of {ways}")
    if wrong:
        raise wrong[0]
    if name.endswith(".py"):
        raise InputError(
            f"{name}: is a file; name a component that it registers\n"
            f"  ablate components check NAME --plugin {typed(name)}"
        )
    known = [entry.name for kind in ALL_KINDS for entry in registry.entries(kind)]
    raise InputError(
        f"unknown component '{name}'{did_you_mean(name, known)}\n  'ablate components' lists all of them\n"
        f"  {where_looked(registry.searched)}; name a file elsewhere with --plugin FILE"
    )


def _setting(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE, the value as TOML writes it; anything else is a string."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name:
        raise InputError(f"--set {text}: is not NAME=VALUE, as in size=8")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except ValueError:
        return name, value


def _shape(text: str) -> ImageShape:
    """Read the shape of images, as 3x32x32."""
    sides = text.split("x")
    if len(sides) != 3 or not all(side.isdecimal() and int(side) for side in sides):
        raise InputError(f"--shape {text}: is not CxHxW, as in 1x28x28: channels, height and width")
    return ImageShape(*map(int, sides))
