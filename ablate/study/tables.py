"""The tables of a study file: their keys and types, and what is said where one is wrong.

The forms are what the documentation of study files is made from; every key has its type and default here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from annotated_types import Interval
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ..components.contracts import Count, Natural, NonNegative, Positive
from ..components.schema import type_text, value_text
from ..errors import did_you_mean, listing
from .spec import Finder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .spec import Place

ChoiceTable = dict[str, Any]
LONGEST_KEY = 100


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has characters that are not printable")
    return text


Line = Annotated[str, AfterValidator(_one_line)]
"""A text of one line: it goes to terminals and tables."""


class Table(BaseModel):
    """A table of a study file."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)


class StudyTable(Table):
    """[study]: what the study is called, its seeds, and what is compared."""

    name: str
    title: Line = ""
    label: Line = "Variant"
    seeds: Count | list[Natural] = 3
    metric: Literal["test/accuracy", "test/loss", "validation/accuracy", "validation/loss"] = "test/accuracy"
    ladder: bool = False
    note: str = ""
    plugins: list[Line] = []
    run_timeout: Positive | None = None
    checkpoint_seconds: Positive = 120.0
    diverged: Literal["fail", "continue"] = "fail"
    keep_checkpoints: bool = False
    cuda_graphs: bool = True


Below1 = Annotated[float, Interval(ge=0, lt=1)]


class _Told(Table):
    """What the baseline and a variant say about themselves; none of it changes a result."""

    model_label: Line = ""
    enhancements: list[Line] = []
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
    label_smoothing: Below1 = 0.0
    clip_norm: NonNegative = 0.0
    accumulate: Count = 1
    ema: Below1 = 0.0
    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    live_taps: bool = True


class SetTable(Table):
    """`set` of a variant: each key replaces the whole of what it names."""

    epochs: Count | None = None
    batch_size: Count | None = None
    dataset: ChoiceTable | None = None
    model: ChoiceTable | None = None
    optimizer: ChoiceTable | None = None
    scheduler: ChoiceTable | None = None
    augmentation: list[ChoiceTable] | None = None
    label_smoothing: Below1 | None = None
    clip_norm: NonNegative | None = None
    accumulate: Count | None = None
    ema: Below1 | None = None
    precision: Literal["auto", "fp32", "tf32", "bf16"] | None = None
    live_taps: bool | None = None


class AddTable(Table):
    """`add` of a variant: appended to what it inherits."""

    augmentation: list[ChoiceTable] = []


class VariantTable(_Told):
    """[[variant]]: a named difference from the baseline or, by `from`, from another variant."""

    name: str
    parent: Line | None = Field(None, alias="from")
    set: SetTable = SetTable()
    add: AddTable = AddTable()
    remove: list[Line] = []


SAMPLERS = ("tpe", "cma-es", "gp", "random", "grid")
PRUNERS = ("none", "median", "hyperband", "successive-halving")


class BudgetTable(Table):
    """`budget` of [tune]: how long a trial trains."""

    epochs: Annotated[float, Interval(gt=0, le=1)] = 1.0


class TuneTable(Table):
    """[tune]: how `ablate tune` looks for the best settings of every variant."""

    trials: Count | None = None
    metric: Literal["validation/accuracy", "validation/loss", "test/accuracy", "test/loss"] = "validation/accuracy"
    settings: dict[str, Any] = {}
    budget: BudgetTable = BudgetTable()
    sampler: str | ChoiceTable = "tpe"
    pruner: str | ChoiceTable = "median"
    seed: Natural = 1000
    steers_by_test: bool = False


Rate = Annotated[float, Interval(gt=0, le=1000)]


class FindTable(Table):
    """`lr` of an optimizer as a table: each run finds its own, by a range test."""

    find: Literal[True]
    rule: Literal["valley", "steepest"] = "valley"
    low: Rate = Finder.low
    high: Rate = Finder.high
    steps: Annotated[int, Interval(ge=20, le=10_000)] = Finder.steps


Form = TypeVar("Form", bound=Table)
_NESTED: Mapping[str, type[Table]] = {"set": SetTable, "add": AddTable, "budget": BudgetTable}


def check_table(form: type[Form], raw: Mapping[str, Any]) -> tuple[Form | None, dict[Place, str]]:
    """Validate a table; return it with its problems: the path of each below the table, and a text.

    A table with problems comes back without the keys that have them, so that the rest of the file is
    checked all the same; None where too little of it is left.
    """
    try:
        return form.model_validate(raw), {}
    except ValidationError as error:
        problems: dict[Place, str] = {}
        for problem in error.errors(include_url=False):
            path, text = _explain(form, problem)
            problems.setdefault(path, text)  # a union reports each of its branches
    try:
        return form.model_validate(_mended(form, raw, problems)), problems
    except ValidationError:
        return None, problems


def check_find(raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[Place, str]]:
    """Validate `lr = { find = true, ... }`; return it filled in, with its problems by the path below it."""
    table, problems = check_table(FindTable, raw)
    accepted = ", ".join(f"{name}: {type_text(_annotation(FindTable, name))}" for name in FindTable.model_fields)
    told = {path: f"{text.splitlines()[0]}\naccepts {accepted}" for path, text in problems.items()}
    if "find" in raw and raw["find"] is not True:
        form = "write find = true, or a number in place of the table"
        told["find",] = f"find = {value_text(raw['find'])} finds no learning rate\n{form}"
    elif table is not None and table.low >= table.high:
        told.setdefault(("low",), f"low = {table.low:g} is not below high = {table.high:g}\naccepts {accepted}")
    return (table.model_dump() if table else dict(raw)), told


def _annotation(form: type[Table], name: str) -> Any:
    """Return the type of a key with its limits."""
    info = {i.alias or n: i for n, i in form.model_fields.items()}[name]
    annotation: Any = info.annotation
    for meta in info.metadata:
        annotation = Annotated[annotation, meta]
    return annotation


def _mended(form: type[Table], raw: Mapping[str, Any], problems: Iterable[Place]) -> dict[str, Any]:
    """Return a table without the keys that have problems; a number that it cannot do without is 1."""
    left = {key: dict(value) if key in _NESTED and isinstance(value, dict) else value for key, value in raw.items()}
    for path in problems:
        key, *below = path
        inner = left.get(str(key))
        if key in _NESTED and below and isinstance(inner, dict):
            inner.pop(str(below[0]), None)
        else:
            left.pop(str(key), None)
    if form is BaselineTable:
        left = {"epochs": 1, "batch_size": 1, **left}
    return left


def odd_values(value: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Yield what TOML's syntax lets through and no table can use: the place of each key or number, and a text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key.isprintable() and len(key) <= LONGEST_KEY:
                yield from odd_values(inner, (*place, key))
            else:
                yield (*place, key), f"a key has at most {LONGEST_KEY} characters, all of them printable"
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from odd_values(inner, (*place, index))
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield place, "is more than a whole number of TOML holds: 64 bits"


def dotted(path: Sequence[str | int]) -> str:
    """Write a path as a reader would, as in `set.augmentation[0].use`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _explain(form: type[Table], problem: Any) -> tuple[Place, str]:
    """Turn one of pydantic's errors into the path of the key and a text."""
    loc: Place = problem["loc"]
    owner, depth = form, 0
    while depth < len(loc) and loc[depth] in _NESTED and loc[depth] in owner.model_fields:
        owner, depth = _NESTED[str(loc[depth])], depth + 1
    if depth == len(loc):
        return loc, f"{value_text(problem['input'])} is not a table"
    keys = {info.alias or name: info for name, info in owner.model_fields.items()}
    key, path = str(loc[depth]), loc[: depth + 1]
    if problem["type"] == "missing":
        return path, f"'{key}' is missing"
    if key not in keys:
        return path, f"unknown key '{key}'{did_you_mean(key, keys)}\naccepts {listing(keys, 20)}"
    if key == "reported" and len(loc) > depth + 1:
        text = "a reported number is accuracy (a fraction) or loss\naccepts accuracy: float, loss: float"
        return loc[: depth + 2], text
    if problem["type"] == "value_error":
        return path, f"{value_text(problem['input'])} {problem['ctx']['error']}"
    wanted = (
        type_text(_annotation(owner, key)).removesuffix(" | none").replace("dict[str, any]", "a table { use = ... }")
    )
    return path, f"{value_text(problem['input'])} is not {wanted}"
