"""A study file to a `Study`, with all its problems at once.

This first reading knows no component: it checks tables, keys, types and names, and resolves `from`,
`set`, `add` and `remove`. `components` then checks what the tables name. Reports need only this part.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..components.contracts import Count
from ..components.schema import type_text, value_text
from ..errors import InputError, Problem, StudyError, did_you_mean, listing
from ..paths import shown
from .positions import line_of, positions
from .spec import Place, Study
from .variants import COMMAND_LINE, Builder, Override, Written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MAX_BYTES = 1_000_000
NAME_RULE = "a name has 1 to 80 printable characters, no '/', '\\' or '..', and no '.' or blank at its ends"
PILOT_IMAGES = 2000

ChoiceTable = dict[str, Any]


@dataclass(frozen=True)
class Changes:
    """What the command line changes in a study, as if its file had been edited.

    settings: texts of the form `baseline.optimizer.lr=0.1`, from `--set`.
    seeds: the seeds to use in place of the file's.
    pilot: one epoch of one seed on `PILOT_IMAGES` images.
    """

    settings: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None
    pilot: bool = False


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)


class StudyTable(_Table):
    """[study]: what the study is called, its seeds, and what is compared."""

    name: str
    title: str = ""
    label: str = "Variant"
    seeds: Count | list[Annotated[int, Field(ge=0)]] = 3
    metric: Literal["test/accuracy", "test/loss", "validation/accuracy", "validation/loss"] = "test/accuracy"
    ladder: bool = False
    note: str = ""
    plugins: list[str] = []


class _Told(_Table):
    """What the baseline and a variant say about themselves; none of it changes a result."""

    model_label: str = ""
    enhancements: list[str] = []
    reported: dict[Literal["accuracy", "loss"], float] = {}
    note: str = ""


class BaselineTable(_Told):
    """[baseline]: the whole recipe that variants differ from."""

    name: str = "baseline"
    epochs: Count
    batch_size: Count
    dataset: ChoiceTable
    model: ChoiceTable
    optimizer: ChoiceTable
    scheduler: ChoiceTable = {"use": "constant"}
    augmentation: list[ChoiceTable] = []


class SetTable(_Table):
    """`set` of a variant: each key replaces the whole of what it names."""

    epochs: Count | None = None
    batch_size: Count | None = None
    dataset: ChoiceTable | None = None
    model: ChoiceTable | None = None
    optimizer: ChoiceTable | None = None
    scheduler: ChoiceTable | None = None
    augmentation: list[ChoiceTable] | None = None


class AddTable(_Table):
    """`add` of a variant: appended to what it inherits."""

    augmentation: list[ChoiceTable] = []


class VariantTable(_Told):
    """[[variant]]: a named difference from the baseline or, by `from`, from another variant."""

    name: str
    parent: str | None = Field(None, alias="from")
    set: SetTable = SetTable()
    add: AddTable = AddTable()
    remove: list[str] = []


Form = TypeVar("Form", bound=_Table)
_NESTED: Mapping[str, type[_Table]] = {"set": SetTable, "add": AddTable}


@dataclass
class Reading:
    """A study as read so far: the study, its problems, and the line of each key."""

    source: str
    study: Study
    problems: list[Problem] = field(default_factory=list)
    lines: dict[Place, int] = field(default_factory=dict)

    def problem(self, place: Place, where: str, text: str) -> None:
        """Add a problem; the text's first line says what is wrong, the others what is accepted."""
        what, _, hint = text.partition("\n")
        self.problems.append(Problem(line_of(self.lines, place), where, what, hint))

    def done(self) -> Study:
        """Return the study, or raise StudyError with every problem."""
        if self.problems:
            raise StudyError(self.source, self.problems)
        return self.study


def read_study(path: Path, changes: Changes = Changes()) -> Reading:
    """Read a study file. Problems are collected in the result; a file that is no TOML raises at once."""
    return parse_study(read_text(path), path, changes)


def read_text(path: Path) -> str:
    """Return a study file's text, or raise InputError that says why it cannot be one."""
    name = shown(path)
    if path.is_dir():
        raise InputError(f"{name}: is a folder, not a study file\n  name a .toml file, such as {name}/my-study.toml")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{name}: {size:,} bytes is too large for a study file (at most {MAX_BYTES:,})")
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else [])
        raise InputError(f"{name}: no such file{near}\n  'ablate new study NAME' writes one to start from") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not a text file in UTF-8 (byte {error.start})") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse_study(text: str, path: Path, changes: Changes = Changes()) -> Reading:
    """Read a study from its text; `path` names it in messages and says what `plugins` are relative to."""
    try:
        raw = tomllib.loads(text)
        lines = positions(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{shown(path)}: not valid TOML: {error}") from None
    except RecursionError:
        raise InputError(f"{shown(path)}: nested too deeply for a study file") from None
    reading = Reading(shown(path), Study(path.stem, "", (), ()), lines=lines)
    overrides = _overrides(reading, raw, changes.settings)
    head = _study_head(reading, raw, changes, path)
    written = _written(reading, raw)
    builder = Builder(reading.problem, head.ladder, overrides)
    reading.study = Study(
        name=head.name,
        title=head.title or head.name,
        variants=builder.build(written),
        seeds=head.seeds,
        label=head.label,
        metric=head.metric,
        ladder=head.ladder,
        note=head.note,
        plugins=head.plugins,
        pilot=changes.pilot,
    )
    return reading


def good_name(name: str) -> bool:
    """Tell whether a study's or a variant's name keeps to NAME_RULE."""
    plain = name.isprintable() and 0 < len(name) <= 80 and name == name.strip() == name.strip(".")
    return plain and not any(bad in name for bad in ("/", "\\", ".."))


def _study_head(reading: Reading, raw: Mapping[str, Any], changes: Changes, path: Path) -> Study:
    """Return the study without its variants."""
    for key in raw:
        if key not in ("study", "baseline", "variant"):
            near = did_you_mean(key, ("study", "baseline", "variant"))
            reading.problem((key,), key, f"unknown key '{key}'{near}\naccepts [study], [baseline] and [[variant]]")
    table = _check(reading, StudyTable, raw.get("study"), ("study",), "study")
    if table is None:
        return reading.study
    if not good_name(table.name):
        reading.problem(("study", "name"), "study: name", f"{value_text(table.name)} cannot name a study\n{NAME_RULE}")
    listed = list(range(table.seeds)) if isinstance(table.seeds, int) else table.seeds
    seeds = [0] if changes.pilot else list(changes.seeds or listed)
    if not seeds or len(set(seeds)) != len(seeds):
        what = "no seed is named" if not seeds else f"{value_text(seeds)} names a seed twice"
        reading.problem(
            ("study", "seeds"), "study: seeds", f"{what}\naccepts a number of seeds or a list of different ones"
        )
    plugins = tuple((path.resolve().parent / plugin).resolve() for plugin in table.plugins)
    for given, plugin in zip(table.plugins, plugins, strict=True):
        if not plugin.exists():
            reading.problem(("study", "plugins"), "study: plugins", f"{given}: no such file or folder beside the study")
    return Study(
        table.name, table.title, (), tuple(seeds), table.label, table.metric, table.ladder, table.note, plugins
    )  # fmt: skip


def _written(reading: Reading, raw: Mapping[str, Any]) -> list[Written]:
    """Return the baseline and the variants as the file has them."""
    found: list[Written] = []
    baseline = _check(reading, BaselineTable, raw.get("baseline"), ("baseline",), "baseline")
    if baseline is not None:
        recipe = {key: getattr(baseline, key) for key in SetTable.model_fields}
        found.append(Written.of(baseline, ("baseline",), recipe, None))
    tables = raw.get("variant", [])
    if not isinstance(tables, list):
        reading.problem(("variant",), "variant", "is not a list of tables; write [[variant]]")
        tables = []
    for index, table in enumerate(tables):
        place = ("variant", index)
        name = table.get("name") if isinstance(table, dict) else None
        variant = _check(reading, VariantTable, table, place, f'variant "{name}"' if name else f"variant {index + 1}")
        if variant is not None:
            recipe = {key: getattr(variant.set, key) for key in variant.set.model_fields_set}
            found.append(Written.of(variant, place, recipe, variant.parent))
    for one in found:
        if not good_name(one.name):
            text = f"{value_text(one.name)} cannot name a variant\n{NAME_RULE}"
            reading.problem((*one.place, "name"), f"{one.where}: name", text)
        if one.reported.get("accuracy", 0.0) > 1:
            text = f"{one.reported['accuracy']:g} is not a fraction; write {one.reported['accuracy'] / 100:g}"
            reading.problem((*one.place, "reported", "accuracy"), f"{one.where}: reported.accuracy", text)
    return found


def _check(reading: Reading, form: type[Form], raw: Any, place: Place, where: str) -> Form | None:
    """Validate a table; None (and problems) where it cannot be used."""
    if raw is None:
        reading.problems.append(Problem(1, where, f"the table [{where}] is missing", "see 'ablate new study NAME'"))
        return None
    if not isinstance(raw, dict):
        reading.problem(place, where, f"is not a table; write [{where}]")
        return None
    try:
        return form.model_validate(raw)
    except ValidationError as error:
        seen: set[tuple[int | str, ...]] = set()
        for problem in error.errors(include_url=False):
            path, text = _explain(form, problem)
            if path not in seen:  # a union reports each of its branches
                seen.add(path)
                reading.problem((*place, *path), f"{where}: {_dotted(path)}", text)
    return None


def _explain(form: type[_Table], problem: Any) -> tuple[Place, str]:
    """Turn one of pydantic's errors into the path of the key and a text."""
    loc: Place = problem["loc"]
    owner, depth = form, 0
    while depth < len(loc) and loc[depth] in _NESTED and loc[depth] in owner.model_fields:
        owner, depth = _NESTED[str(loc[depth])], depth + 1
    names = {info.alias or name: info for name, info in owner.model_fields.items()}
    if depth == len(loc):
        return loc, f"{value_text(problem['input'])} is not a table"
    key = str(loc[depth])
    path = loc[: depth + 1]
    if problem["type"] == "missing":
        return path, f"'{key}' is missing"
    if key not in names:
        return path, f"unknown key '{key}'{did_you_mean(key, names)}\naccepts {listing(names, 20)}"
    info = names[key]
    annotation: Any = info.annotation
    for meta in info.metadata:
        annotation = Annotated[annotation, meta]
    if key == "reported" and len(loc) > depth + 1:
        return loc[
            : depth + 2
        ], "a reported number is accuracy (a fraction) or loss\naccepts accuracy: float, loss: float"
    shown_input = value_text(problem["input"])
    return (
        path,
        f"{shown_input} is not {type_text(annotation).removesuffix(' | none').replace('dict[str, any]', 'a table { use = ... }')}",
    )


def _dotted(path: Sequence[str | int]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _overrides(reading: Reading, raw: dict[str, Any], settings: Sequence[str]) -> list[Override]:
    """Apply `--set study.…` to the raw table, and return the others for the builder."""
    tables = raw.get("variant", [])
    names = [str(t.get("name")) for t in tables if isinstance(t, dict)] if isinstance(tables, list) else []
    base = raw.get("baseline", {})
    names += [str(base.get("name", "baseline"))] if isinstance(base, dict) else []
    found: list[Override] = []
    for setting in settings:
        left, equals, right = setting.partition("=")
        target = left.strip()
        head = max((n for n in {*names, "study", "baseline"} if target.startswith(f"{n}.")), key=len, default="")
        keys = target[len(head) + 1 :].split(".")
        if not equals or not head or not all(keys):
            near = did_you_mean(target.partition(".")[0], [*names, "study", "baseline"])
            reading.problem(
                COMMAND_LINE, setting, f"is not NAME.KEY=VALUE{near}\nNAME is study, baseline or a variant's name, "
                "as in baseline.epochs=2 or 'Phase 3.optimizer.lr=0.1'"
            )  # fmt: skip
            continue
        value = _toml_value(right.strip())
        if head == "study":
            raw.setdefault("study", {})[".".join(keys)] = value
        else:
            found.append(Override(head, tuple(keys), value, target))
    return found


def _toml_value(text: str) -> Any:
    """Read a value as TOML writes it; what is no TOML value is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
