"""Settings: read from a signature, checked strictly, filled in, and turned back into arguments."""

from __future__ import annotations

import functools
import inspect
import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from annotated_types import Interval
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from ablate.components.contracts import Count, Natural, NonNegative, Positive, Share
from ablate.components.schema import (
    REQUIRED,
    Setting,
    arguments,
    check_settings,
    settings_of,
    settings_of_library,
)
from ablate.components.setting_text import type_text, value_text, wanted_text
from ablate.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


# A shared machine may be slow at any moment.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def of(annotation: Any, default: Any = REQUIRED) -> Setting:
    """Return the setting `x` of a factory with this annotation."""

    def factory(**_: Any) -> None: ...

    factory.__annotations__ = {"x": annotation}
    factory.__signature__ = _signature(annotation, default)  # type: ignore[attr-defined]
    return next(iter(settings_of(factory)))


def _signature(annotation: Any, default: Any) -> Any:
    keyword = inspect.Parameter("x", inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
    return inspect.Signature([keyword])


def wrong(annotation: Any, value: Any) -> str:
    return of(annotation).check(value)[1]


def good(annotation: Any, value: Any) -> Any:
    found, problem = of(annotation).check(value)
    assert problem == ""
    return found


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (int, "3", '"3" is not an integer'),
        (int, True, "true is not an integer"),
        (int, 3.0, "3.0 is not an integer"),
        (int, None, "none is not an integer"),
        (float, "0.1", '"0.1" is not a number'),
        (float, True, "true is not a number"),
        (bool, 1, "1 is not true or false"),
        (bool, "true", '"true" is not true or false'),
        (str, 3, "3 is not a string"),
        (str, ["a"], '["a"] is not a string'),
        (list[int], 3, "3 is not a list of integers"),
        (dict[str, int], [], "[] is not a table of integers"),
        (Literal["mean", "max"], "min", '"min" is not "mean" | "max"'),
        (Literal[1, 2], 3, "3 is not 1 | 2"),
        (int | None, "a", '"a" is not an integer or none'),
        (int | str, 0.5, "0.5 is not an integer or a string"),
    ],
)
def test_values_are_checked_strictly(annotation: Any, value: Any, text: str) -> None:
    assert wrong(annotation, value) == text


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (Count, 0, "0 is not an integer above 0"),
        (Natural, -1, "-1 is not an integer of at least 0"),
        (Positive, 0, "0 is not a number above 0"),
        (NonNegative, -0.5, "-0.5 is not a number of at least 0"),
        (Share, 1.5, "1.5 is not a number from 0 to 1"),
        (Annotated[float, Interval(ge=0, lt=1)], 1, "1 is not a number of at least 0 and below 1"),
        (Annotated[int, Field(gt=1, le=8)], 9, "9 is not an integer above 1 and at most 8"),
    ],
)
def test_a_value_outside_its_range_is_reported_with_the_range(annotation: Any, value: Any, text: str) -> None:
    assert wrong(annotation, value) == text


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(Count, 1), (Natural, 0), (Positive, 1e-9), (NonNegative, 0.0), (Share, 0.0), (Share, 1.0), (int | None, None)],
)
def test_the_ends_of_a_range_are_inside(annotation: Any, value: Any) -> None:
    assert good(annotation, value) == value


def test_a_whole_number_may_stand_for_a_float() -> None:
    found = good(float, 3)
    assert found == 3.0
    assert type(found) is float


def test_a_whole_number_keeps_its_type_where_both_are_accepted() -> None:
    assert type(good(int | float, 3)) is int
    assert type(good(int | float, 3.0)) is float


def test_a_list_may_stand_for_a_tuple() -> None:
    assert good(tuple[float, float], [0.9, 1]) == (0.9, 1.0)


def test_a_tuple_of_the_wrong_length_is_wrong() -> None:
    assert wrong(tuple[float, float], [0.9]).startswith("[0.9] is not tuple[float, float]")


def test_a_wrong_item_of_a_list_is_named_by_its_place() -> None:
    assert wrong(list[int], [1, "2"]) == '[1, "2"] is not a list of integers (item 1: Input should be a valid integer)'


def test_a_date_is_no_string() -> None:
    date = tomllib.loads("x = 1979-05-27")["x"]
    assert wrong(str, date) == "1979-05-27 is not a string"


def test_a_date_is_no_value_of_a_setting_without_type() -> None:
    date = tomllib.loads("x = [1979-05-27]")["x"]
    assert Setting("x", Any).check(date)[1] == "[1979-05-27] is not any"


def test_a_path_is_written_as_text() -> None:
    assert good(Path, "a/b") == Path("a/b")


# What a study gives for a component's settings


def net(
    shape: Any,
    *,
    width: Count,
    lr: Positive = 0.1,
    betas: tuple[float, float] = (0.9, 0.999),
    mode: Literal["a", "b"] = "a",
    depth: int | None = None,
    sizes: dict[str, int] = {},  # noqa: B006
    place: Path = Path("here"),
) -> None: ...


NET = tuple(settings_of(net))


def test_only_keyword_parameters_are_settings() -> None:
    assert [s.name for s in NET] == ["width", "lr", "betas", "mode", "depth", "sizes", "place"]


def test_a_setting_is_written_with_its_type_and_default() -> None:
    assert [str(s) for s in NET[:5]] == [
        "width: int (> 0)",
        "lr: float (> 0) = 0.1",
        "betas: tuple[float, float] = [0.9, 0.999]",
        'mode: "a" | "b" = "a"',
        "depth: int | none = none",
    ]


def test_defaults_are_filled_in_as_plain_values() -> None:
    checked = check_settings("net", NET, {"width": 8})
    assert checked.problems == ()
    assert checked.settings == {
        "width": 8,
        "lr": 0.1,
        "betas": [0.9, 0.999],
        "mode": "a",
        "depth": None,
        "sizes": {},
        "place": "here",
    }


def test_writing_a_default_out_changes_nothing() -> None:
    written = {"width": 8, "lr": 0.1, "betas": [0.9, 0.999], "mode": "a", "sizes": {}, "place": "here"}
    assert check_settings("net", NET, written).settings == check_settings("net", NET, {"width": 8}).settings


def test_an_int_and_the_same_float_settle_alike() -> None:
    one, same = (check_settings("net", NET, {"width": 8, "lr": lr}).settings for lr in (1, 1.0))
    assert json.dumps(one) == json.dumps(same)


def test_defaults_of_a_borrowed_component_are_left_to_its_library() -> None:
    assert check_settings("timm:net", NET, {"width": 8}, fill=False).settings == {"width": 8}


def test_a_required_setting_that_is_missing_is_asked_for() -> None:
    assert check_settings("net", NET, {}).problems == (("width", "net needs a value for 'width' (int (> 0))"),)


def test_an_unknown_setting_is_reported_with_the_nearest() -> None:
    checked = check_settings("net", NET, {"width": 8, "beta": [0.9, 0.9]})
    assert checked.problems == (("beta", "net has no setting 'beta'; did you mean 'betas'?"),)


def test_all_wrong_settings_are_reported_at_once() -> None:
    names = [name for name, _ in check_settings("net", NET, {"widht": 3, "lr": 0, "mode": "c"}).problems]
    assert names == ["widht", "width", "lr", "mode"]


def test_stored_settings_become_what_the_annotations_promise() -> None:
    stored = json.loads(json.dumps(check_settings("net", NET, {"width": 8}).settings))
    found = arguments(NET, stored)
    assert found["betas"] == (0.9, 0.999)
    assert found["place"] == Path("here")
    assert found["depth"] is None


def test_stored_settings_that_the_factory_no_longer_has_are_passed_on() -> None:
    assert arguments(NET, {"gone": 1}) == {"gone": 1}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
TYPES: list[Any] = [
    int,
    float,
    bool,
    str,
    Count,
    Share,
    int | float,
    int | None,
    list[float],
    tuple[int, float],
    tuple[float, ...],
    dict[str, float],
    dict[str, list[int]],
    Literal["a", "b"],
    str | list[int] | None,
    Path,
    Any,
]
FITTING = st.one_of(
    PLAIN, st.lists(st.floats() | st.integers(), max_size=3), st.dictionaries(st.text(max_size=2), st.floats())
)


@PATIENT
@given(annotation=st.sampled_from(TYPES), value=FITTING)
def test_a_value_that_passes_is_stored_and_passes_again_the_same(annotation: Any, value: Any) -> None:
    settings = (of(annotation),)
    first = check_settings("net", settings, {"x": value})
    if first.problems:
        return
    stored = json.dumps(first.settings)
    again = check_settings("net", settings, json.loads(stored))
    assert again.problems == ()
    assert json.dumps(again.settings) == stored
    assert repr(arguments(settings, first.settings)) == repr(arguments(settings, json.loads(stored)))


@PATIENT
@given(annotation=st.sampled_from(TYPES), value=PLAIN)
def test_a_value_that_fails_is_reported_with_its_type(annotation: Any, value: Any) -> None:
    setting = of(annotation)
    problem = setting.check(value)[1]
    assert not problem or problem.startswith(f"{value_text(value)} is not {wanted_text(annotation)}")


# Contracts of a factory


def test_a_parameter_without_annotation_is_refused() -> None:
    def factory(*, size=1) -> None:  # type: ignore[no-untyped-def]  # that is the point
        ...

    with pytest.raises(TypeError, match="'size' has no annotation; write its type, as in 'size: int = 1'"):
        list(settings_of(factory))


def test_a_type_that_no_value_can_become_is_refused() -> None:
    class Strange: ...

    with pytest.raises(TypeError, match="'x' has the type Strange, which no value of a study file can become"):
        of(Strange)


@pytest.mark.parametrize(("annotation", "default"), [(int, "3"), (Count, 0), (bool, 1), (str, object())])
def test_a_default_that_its_own_type_refuses_is_refused(annotation: Any, default: Any) -> None:
    with pytest.raises(TypeError, match=r"the default of 'x', .*, is not"):
        of(annotation, default)


def test_an_annotation_imported_for_type_checking_only_is_refused() -> None:
    def factory(*, size: Missing = 1) -> None:  # type: ignore[name-defined] # noqa: F821
        ...

    with pytest.raises(TypeError, match="'Missing' is not defined when the plugin is loaded"):
        list(settings_of(factory))


def test_other_parameters_may_name_types_imported_for_type_checking_only() -> None:
    def factory(params: Missing, *, size: int = 1) -> None:  # type: ignore[name-defined] # noqa: F821
        ...

    assert [s.name for s in settings_of(factory)] == ["size"]


def test_the_settings_of_a_class_are_those_of_its_init() -> None:
    class Net:
        def __init__(self, shape: Any, *, width: int = 3) -> None: ...

    assert [str(s) for s in settings_of(Net)] == ["width: int = 3"]


def test_a_wrapped_factory_keeps_its_settings() -> None:
    def factory(*, width: Count = 3) -> None: ...

    @functools.wraps(factory)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    assert [str(s) for s in settings_of(wrapper)] == ["width: int (> 0) = 3"]


# Libraries


class Foreign:
    """Stands for a class of a library."""


def shown(target: Callable[..., Any], **options: Any) -> list[str]:
    return [str(s) for s in settings_of_library(target, **options)]


def test_a_librarys_types_are_narrowed_to_what_a_study_can_hold() -> None:
    def adam(
        params: Foreign, lr: float | Foreign = 1e-3, betas: tuple[float | Foreign, float] = (0.9, 0.999)
    ) -> None: ...

    assert shown(adam, skip=["params"]) == ["lr: float = 0.001", "betas: tuple[float, float] = [0.9, 0.999]"]


def test_a_librarys_parameter_of_which_nothing_is_left_is_no_setting() -> None:
    def net(layer: Callable[..., Any] = print, block: Foreign | None = None, width: int = 3) -> None: ...

    assert shown(net) == ["width: int = 3"]


def test_a_librarys_required_parameter_stays_a_setting() -> None:
    def step(step_size: int, gamma: float = 0.1) -> None: ...

    assert shown(step) == ["step_size: int", "gamma: float = 0.1"]


def test_a_librarys_type_without_annotation_is_guessed_from_its_default() -> None:
    def old(a=0, b=0.5, c="x", d=False, e=None) -> None:  # type: ignore[no-untyped-def]
        ...

    assert shown(old) == ["a: int | float = 0", "b: float = 0.5", 'c: str = "x"', "d: bool = false", "e: any = none"]


def test_a_sequence_of_a_library_is_a_list() -> None:
    def steps(milestones: Iterable[int], sizes: Sequence[float] = ()) -> None: ...

    assert shown(steps) == ["milestones: list[int]", "sizes: list[float] = []"]


def test_a_default_that_cannot_be_written_is_none() -> None:
    def net(act: str | Callable[..., Any] = print) -> None: ...

    assert shown(net) == ["act: str = none"]


def test_what_a_wrapper_passes_stands_in_for_the_librarys_default() -> None:
    def net(width: int = 64, depth: int = 2) -> None: ...

    assert shown(net, defaults={"width": 16}) == ["width: int = 16", "depth: int = 2"]


def test_collecting_parameters_of_a_library_are_no_settings() -> None:
    def net(first: int, /, *rest: int, width: int = 1, **more: int) -> None: ...

    assert shown(net) == ["width: int = 1"]


# Text


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (None, "none"),
        (Any, "any"),
        (int, "int"),
        (list[int], "list[int]"),
        (tuple[float, ...], "tuple[float, ...]"),
        (dict[str, Any], "dict[str, any]"),
        (int | str | None, "int | str | none"),
        (Literal["a", 1], '"a" | 1'),
        (list[Natural], "list[int (>= 0)]"),
    ],
)
def test_a_type_is_written_as_an_author_reads_it(annotation: Any, text: str) -> None:
    assert type_text(annotation) == text


TOML_VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"\A[a-z_0-9-]{1,5}\Z"), inner, max_size=3)
    ),
    max_leaves=6,
)


@PATIENT
@given(TOML_VALUES)
def test_a_value_is_written_as_toml_reads_it(value: Any) -> None:
    assert tomllib.loads(f"x = {value_text(value)}") == {"x": value}


def test_what_toml_cannot_write_is_still_written() -> None:
    assert value_text({"x": [None, int]}) == "{x = [none, int]}"


@pytest.mark.parametrize(
    ("given", "accepted", "meant"),
    [
        ("learning_rate", ["lr", "wd"], "lr"),
        ("optimizer.learning_rate", ["optimizer.lr", "model.width"], "optimizer.lr"),
        ("wd", ["lr", "weight_decay"], "weight_decay"),
        ("dropout_rate", ["dropout"], "dropout"),
    ],
)
def test_a_common_name_of_a_setting_leads_to_the_one_that_is_accepted(
    given: str, accepted: list[str], meant: str
) -> None:
    assert did_you_mean(given, accepted) == f"; did you mean '{meant}'?"


def test_a_common_name_leads_nowhere_if_what_it_means_is_not_accepted() -> None:
    assert did_you_mean("learning_rate", ["width", "depth"]) == ""
