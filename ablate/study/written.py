"""The tables of a baseline and its variants, read: what each gives of a recipe, before variants inherit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..components.setting_text import value_text
from ..components.tasks import IMAGES
from .choices import COMPONENTS, SPLITS, read_choice, read_choices, read_splits, read_task
from .edits import Edit
from .tables import BaselineTable, FactorTable, SetTable, TaskTable, VariantTable, read_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .spec import Choice, Place, Report

MAX_VARIANTS = 1000
NAME_RULE = "a name has 1 to 80 printable characters, no '/', '\\' or '..', and no '.' or blank at its ends"


@dataclass(frozen=True)
class Written:
    """A variant as the file has it: its table, and what that gives of a recipe; a baseline's is whole.

    good: False where something in the table is wrong, so that no recipe can be made of it.
    edits: settings that it changes alone.
    factors: of a variant of a design, the named changes that it is made of; its table then gives nothing of a recipe.
    """

    table: BaselineTable | TaskTable | VariantTable
    place: Place
    values: Mapping[str, Any]
    added: tuple[Choice, ...]
    good: bool
    factors: tuple[Written, ...] = ()
    edits: tuple[Edit, ...] = ()

    @property
    def name(self) -> str:
        """Return the variant's name."""
        return self.table.name

    @property
    def parent(self) -> str | None:
        """Return the variant that it names in `from`, if any."""
        return self.table.parent if isinstance(self.table, VariantTable) else None

    @property
    def removed(self) -> list[str]:
        """Return what it removes of what it inherits."""
        return self.table.remove if isinstance(self.table, VariantTable) else []

    @property
    def where(self) -> str:
        """Return what a message calls it."""
        return _where(self.place, self.name)


def read_variants(report: Report, raw: Mapping[str, Any]) -> list[Written]:
    """Return the baseline and the variants of a study file, also those with problems, which are reported."""
    form = BaselineTable if task_named(raw) == IMAGES else TaskTable
    found = [_read(report, form, raw.get("baseline"), ("baseline",), "baseline")]
    tables = raw.get("variant", [])
    if not isinstance(tables, list):
        report(("variant",), "variant", "is not a list of tables; write [[variant]]")
        tables = []
    if len(tables) > MAX_VARIANTS:
        text = f"{len(tables):,} variants are too many (at most {MAX_VARIANTS:,})\nmake several studies of them"
        report(("variant", MAX_VARIANTS), "variant", text)
        tables = tables[:MAX_VARIANTS]
    for index, table in enumerate(tables):
        found.append(_read(report, VariantTable, table, ("variant", index), f"variant {index + 1}"))
    for one in found:
        _check_texts(report, one)
    return found


def task_named(raw: Mapping[str, Any]) -> str:
    """Return the task that the baseline of a study file names: IMAGES where it has none, "" where that has no name."""
    base = raw.get("baseline")
    if not isinstance(base, dict) or "task" not in base:
        return IMAGES
    use = base["task"].get("use") if isinstance(base["task"], dict) else None
    return use if isinstance(use, str) else ""


def _read(
    report: Report, form: type[BaselineTable | TaskTable | VariantTable], raw: Any, place: Place, nameless: str
) -> Written:
    """Read one table. nameless: what it is called where it has no name."""
    named, parent = (raw.get(key) if isinstance(raw, dict) else None for key in ("name", "from"))
    where = nameless if place == ("baseline",) or not named else _where(place, str(named))
    table = read_table(report, form, raw, place, where)
    if table is None:
        # What is known of it, so that variants that refer to it get no problems that they do not have.
        name, parent = (value if isinstance(value, str) else None for value in (named, parent))
        return Written(VariantTable.model_construct(name=name or nameless, parent=parent), place, {}, (), good=False)
    if isinstance(table, VariantTable):
        return _changes(report, table, place, where)
    given = {key: getattr(table, key) for key in SetTable.model_fields if key in form.model_fields}
    values = _values(report, where, given, place)
    good = {key: value for key, value in values.items() if value is not None}
    return Written(table, place, good, (), good=len(good) == len(values))


def read_factor(report: Report, name: str, raw: Any) -> Written:
    """Read [factor.NAME] as what a variant of this name would be."""
    place = ("factor", name)
    where = _where(place, name)
    wrong: list[str] = []

    def told(at: Place, called: str, text: str) -> None:
        wrong.append(text)
        report(at, called, text)

    table = read_table(told, FactorTable, raw, place, where) or FactorTable()
    given = {key: getattr(table, key) for key in FactorTable.model_fields}
    one = _changes(told, VariantTable.model_construct(name=name, parent=None, **given), place, where)
    return replace(one, good=not wrong)


def _changes(report: Report, table: VariantTable, place: Place, where: str) -> Written:
    """Read what a table changes."""
    given = table.set.model_dump(exclude_unset=True)
    recipe = {key: value for key, value in given.items() if key in SetTable.model_fields}
    added = read_choices(report, where, table.add.augmentation, (*place, "add", "augmentation"))
    values = _values(report, where, recipe, (*place, "set"))
    edits = _edits(report, where, given, (*place, "set"))
    good = {key: value for key, value in values.items() if value is not None}
    sound = len(good) == len(values) and added is not None and edits is not None
    return Written(table, place, good, added or (), sound, edits=edits or ())


def _edits(report: Report, where: str, given: Mapping[str, Any], place: Place) -> tuple[Edit, ...] | None:
    """Return the settings that `set` changes alone; None, and problems, where it changes one twice."""
    edits, wrong = [], False
    for key, value in given.items():
        owner, _, setting = key.partition(".")
        whole = next((other for other in given if key.startswith(f"{other}.")), "")
        text = ""
        if whole:
            text = f"'{whole}' is replaced whole in the same table\nwrite '{setting}' there, or leave '{whole}' out"
        elif setting == "use":
            text = f"is no setting\nreplace the table: {owner} = {{ use = {value_text(value)}, ... }}"
        if text:
            report((*place, key), f"{where}: set.{key}", text)
            wrong = True
        elif setting:
            edits.append(Edit(tuple(key.split(".")), value, (*place, key), where))
    return None if wrong else tuple(edits)


def _values(report: Report, where: str, recipe: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Read the values that a table gives of a recipe; None for those that are wrong."""
    values: dict[str, Any] = {}
    for key, raw in recipe.items():
        at = (*place, key)
        if key == "augmentation":
            values[key] = read_choices(report, where, raw, at)
        elif key == "task":
            values[key] = read_task(report, where, raw, at)
        elif key in COMPONENTS:
            table = dict(raw)
            if key == "dataset":
                cuts = {k: table.pop(k) for k in SPLITS if k in table}
                values["splits"] = read_splits(report, where, cuts, at)
            values[key] = read_choice(report, where, table, at, key)
        else:
            values[key] = raw
    return values


def _where(place: Place, name: str) -> str:
    return "baseline" if place == ("baseline",) else f"{place[0]} {value_text(name)}"


def good_name(name: str) -> bool:
    """Tell whether a study's or a variant's name keeps to NAME_RULE."""
    plain = name.isprintable() and 0 < len(name) <= 80 and name == name.strip() == name.strip(".")
    return plain and not any(bad in name for bad in ("/", "\\", ".."))


def _check_texts(report: Report, one: Written) -> None:
    """Check a variant's name."""
    if not good_name(one.name):
        text = f"{value_text(one.name)} cannot name a variant\n{NAME_RULE}"
        report((*one.place, "name"), f"{one.where}: name", text)
    if one.name == "study" or (one.name == "baseline" and one.place != ("baseline",)):
        text = f"'{one.name}' is what the study's own table is called\ngive the variant another name"
        report((*one.place, "name"), f"{one.where}: name", text)
