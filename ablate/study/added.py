"""The settings that ablate itself adds to components: `pretrained` to models, `groups` to optimizers.

A component that has a setting of that name keeps it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..components.published import published
from ..components.setting_text import value_text
from ..errors import InputError
from .tables import GroupsTable, PretrainedTable, check_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..components.contracts import Kind
    from .spec import Place
    from .tables import TomlTable

ADDED: Mapping[Kind, str] = {"model": "pretrained", "optimizer": "groups"}
WEIGHTS_FILE = "weights_file"
"""The path of the weights among the settings of a run's model: no part of its key, which has a digest of them."""


@dataclass(frozen=True)
class Added:
    """An added setting, filled in, with the paths that it stands for and what is wrong with it, by place below it."""

    value: Mapping[str, Any] = field(default_factory=dict)
    paths: Mapping[str, str | None] = field(default_factory=dict)
    problems: Mapping[Place, str] = field(default_factory=dict)


def check_added(kind: Kind, use: str, value: Any, folder: Path) -> Added:
    """Check an added setting of a component. folder: what a path in it is relative to."""
    if kind == "model":
        return _pretrained(use, value, folder)
    if not isinstance(value, dict):
        return Added(problems={(): f"{value_text(value)} is not a table, as in groups = {{ layer_decay = 0.75 }}"})
    table, problems = check_table(GroupsTable, value)
    return Added(table.model_dump() if table else {}, problems=_told(GroupsTable, problems))


def _pretrained(use: str, value: Any, folder: Path) -> Added:
    if value is False:
        return Added()
    raw = {} if value is True else {"file": value} if isinstance(value, str) else value
    if not isinstance(raw, dict):
        form = 'write true, the path of a file, or a table: pretrained = { file = "weights.pt", freeze = true }'
        return Added(problems={(): f"{value_text(value)} names no weights\n{form}"})
    table, problems = check_table(PretrainedTable, raw)
    if table is None or problems:
        return Added(problems=_told(PretrainedTable, problems))
    if (table.mean is None) != (table.std is None) or (table.normalise and table.mean):
        text = "mean and std are given together, a number for each channel, or normalise = true takes those published"
        return Added(problems={("mean",): text})
    try:
        wanted = table.file is None or table.normalise or table.input_size == "weights"
        known = published(use) if wanted else None
        file = known.file(use) if known and table.file is None else folder / Path(table.file or "").expanduser()
        digest = _digest(file)
    except InputError as error:
        return Added(problems={(): str(error)})
    filled: dict[str, Any] = {"weights": digest, "freeze": table.freeze, "mean": table.mean, "std": table.std}
    if known and table.normalise:
        filled |= {"mean": list(known.mean), "std": list(known.std)}
    filled["input_size"] = known.size if known and table.input_size == "weights" else table.input_size
    return Added(filled, {WEIGHTS_FILE: str(file)})


def _digest(file: Path) -> str:
    """Return a digest of a file of weights. Raises InputError where it cannot be read."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()[:24]
    except OSError as error:
        why = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise InputError(f"{file}: {why}\na path is relative to the study file") from None


def _told(form: type[TomlTable], problems: Mapping[Place, str]) -> dict[Place, str]:
    accepts = f"accepts {', '.join(form.model_fields)}"
    return {path: f"{text.splitlines()[0]}\n{accepts}" for path, text in problems.items()}
