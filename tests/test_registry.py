"""The decorators' contract, and what a registry answers."""

from __future__ import annotations

import importlib.util
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from ablate.components.discover import discover
from ablate.components.registry import Registry, kind_named, marked
from ablate.errors import ComponentError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = """\
from __future__ import annotations
from ablate import Borrowed, augmentation, dataset, library, loss, metric, model, optimizer, \
scheduler, settings_of_library
"""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registry]:
    """Return a function that writes plugin files and collects what they mark."""
    monkeypatch.chdir(tmp_path)

    def write(**files: str) -> Registry:
        registry = Registry()
        for name, text in files.items():
            file = tmp_path / f"{name}.py"
            file.write_text(HEAD + dedent(text))
            spec = importlib.util.spec_from_file_location(f"{tmp_path.name}_{name}", file)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, spec.name, module)
            spec.loader.exec_module(module)
            for found in marked(module, file):
                registry.add(found)
        return registry

    return write


TINY = """
@model("tiny")
def tiny(shape, classes, *, width: int = 4):
    "A tiny network.\\n\\n    And more."

@optimizer("sgd")
def sgd(params, *, lr: float):
    ...
"""


def test_a_component_is_found_by_kind_and_name(load: Callable[..., Registry]) -> None:
    entry = load(mine=TINY).get("model", "tiny")
    assert (entry.kind, entry.name, entry.place, entry.summary) == ("model", "tiny", "mine.py:4", "A tiny network")
    assert entry.signature == "width: int = 4"


def test_a_component_without_docstring_has_no_summary(load: Callable[..., Registry]) -> None:
    assert load(mine=TINY).get("optimizer", "sgd").summary == ""


def test_a_component_is_built_with_positions_then_settings(load: Callable[..., Registry]) -> None:
    entry = load(
        mine="@model('pair')\ndef pair(shape, classes, *, sizes: tuple[int, int]): return shape, classes, sizes"
    ).get("model", "pair")
    assert entry.build("shape", 10, settings={"sizes": [1, 2]}) == ("shape", 10, (1, 2))


def test_a_class_can_be_a_component(load: Callable[..., Registry]) -> None:
    entry = load(
        mine="""
        @model("net")
        class Net:
            "A network."
            def __init__(self, shape, classes, *, width: int = 4) -> None:
                self.width = width
        """
    ).get("model", "net")
    assert (entry.summary, entry.line) == ("A network", 4)
    assert entry.build((1, 8, 8), 10, settings={"width": 3}).width == 3


def test_one_factory_can_have_two_names(load: Callable[..., Registry]) -> None:
    registry = load(mine="@model('a')\n@model('b')\ndef net(shape, classes): ...")
    assert [e.name for e in registry.entries("model")] == ["a", "b"]


def test_one_name_can_be_of_two_kinds(load: Callable[..., Registry]) -> None:
    registry = load(mine="@model('a')\ndef net(shape, classes): ...\n@augmentation('a')\ndef aug(): ...")
    assert registry.get("model", "a").kind == "model"
    assert registry.get("augmentation", "a").kind == "augmentation"


def test_an_alias_of_a_factory_is_no_second_component(load: Callable[..., Registry]) -> None:
    registry = load(mine="@model('a')\ndef net(shape, classes): ...\nold_name = net")
    assert [e.name for e in registry.entries("model")] == ["a"]


def test_a_factory_that_is_only_imported_is_not_registered_again(load: Callable[..., Registry]) -> None:
    registry = load(
        mine="""
        import sys, types
        there = types.ModuleType("elsewhere")
        exec("from ablate import model\\n@model('a')\\ndef net(shape, classes): ...", vars(there))
        net = there.net
        """
    )
    assert registry.entries("model") == []


def test_a_scheduler_says_when_it_steps(load: Callable[..., Registry]) -> None:
    entry = load(mine="@scheduler('s', steps='batch')\ndef s(optimizer, horizon): ...").get("scheduler", "s")
    assert entry.steps == "batch"


def test_settings_are_checked_by_the_component(load: Callable[..., Registry]) -> None:
    checked = load(mine=TINY).get("model", "tiny").check({"widht": 8})
    assert checked.problems == (("widht", "tiny has no setting 'widht'; did you mean 'width'?"),)


# The contract


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (
            "@model('net')\ndef net(shape, classes, *, width=3): ...",
            r"model 'net': parameter 'width' has no annotation; write its type, as in 'width: int = 1'",
        ),
        (
            "@model('net')\ndef net(shape, classes, **settings): ...",
            r"model 'net': \*args and \*\*kwargs hide the settings, .* def net\(shape, classes, \*, ...settings\)",
        ),
        (
            "@augmentation('aug')\ndef aug(*sizes): ...",
            r"augmentation 'aug': \*args and \*\*kwargs .* def aug\(\*, ...settings\)",
        ),
        (
            "@model('net')\ndef net(shape): ...",
            r"model 'net': takes 1 positional parameters, and ablate passes 2: def net\(shape, classes, \*, ...",
        ),
        (
            "@augmentation('aug')\ndef aug(size: int = 3): ...",
            r"augmentation 'aug': takes 1 positional parameters, and ablate passes 0: def aug\(\*, ...settings\)",
        ),
        (
            "@scheduler('s', steps='epoch')\ndef s(optimizer): ...",
            r"scheduler 's': takes 1 positional .* def s\(optimizer, horizon, \*, ...settings\)",
        ),
        ("@dataset('d')\ndef d(): ...", r"dataset 'd': takes 0 positional .* passes 1: def d\(folder, "),
        (
            "@model('My Net')\ndef net(shape, classes): ...",
            r"model 'My Net': a name is lower-case letters and digits, joined by '-', '_' or '.', such as 'wide-",
        ),
        ("@model('')\ndef net(shape, classes): ...", r"model '': a name is lower-case"),
        ("@model('a:b')\ndef net(shape, classes): ...", r"model 'a:b': a name is lower-case"),
        (
            "@model('net')\ndef net(shape, classes, *, width: int = '3'): ...",
            r"""model 'net': the default of 'width', "3", is not int""",
        ),
        (
            "@model('net')\ndef net(shape, classes, *, act: object = 1, other: set = print): ...",
            r"model 'net': the default of 'other', .* is not set",
        ),
        (
            "@model('net')\ndef net(shape, classes, *, layer: Missing = 1): ...",
            r"model 'net': the annotation 'Missing' is not defined when the plugin is loaded",
        ),
        (
            "class Strange: ...\n@model('net')\ndef net(shape, classes, *, layer: Strange): ...",
            r"model 'net': parameter 'layer' has the type Strange, which no value of a study file can become",
        ),
        (
            "@model('net')\nclass Net:\n  def __init__(self, shape): ...",
            r"model 'net': takes 1 positional parameters, and ablate passes 2",
        ),
        *(
            (
                f"@scheduler('s'{steps})\ndef s(optimizer, horizon): ...",
                rf"scheduler 's': {text}; write steps=\"epoch\"",
            )
            for steps, text in [
                (", steps='step'", "steps = 'step' is not accepted"),
                (", steps='batches'", "steps = 'batches' is not accepted"),
                (", steps='Epoch'", "steps = 'Epoch' is not accepted"),
                (", steps=2", "steps = 2 is not accepted"),
                (", steps=['epoch']", r"steps = \['epoch'\] is not accepted"),
                ("", "says when it steps"),
            ]
        ),
        *(
            (f"@augmentation({name})\ndef aug(): ...", rf"augmentation {name}: a name is lower-case letters and digits")
            for name in ("None", "3", "b'aug'", "' '", "'a b'", "'aug '", "'AUG'", "'tv:aug'")
        ),
        *(
            (f"@{kind}\ndef one(): ...", rf"{kind}: write @{kind}\(\"NAME\"{more}\), with a name in parentheses")
            for kind, more in [
                *((k, "") for k in ("dataset", "model", "augmentation", "optimizer")),
                ("scheduler", ", .*"),
                ("loss", ", shares=True"),
                ("metric", ", higher_is_better=True"),
            ]
        ),
        (
            "@loss('l')\ndef l(logits, targets): ...",
            "loss 'l': has to say what it takes; write shares=True",
        ),
        ("@metric('m')\ndef m(logits, labels): ...", "metric 'm': has to say which way is better; write higher_is_"),
        (
            "@metric('m', higher_is_better=True, bounds=(1, 0))\ndef m(logits, labels): ...",
            r"metric 'm': bounds = \(1, 0\) are not the lowest and the highest value",
        ),
        (
            "@metric('m', higher_is_better=True, label='top-{k}')\ndef m(logits, labels): ...",
            "metric 'm': label = 'top-{k}' names something in braces that is none of its settings",
        ),
        (
            "@metric('m', higher_is_better=True)\ndef m(logits): ...",
            r"metric 'm': takes 1 positional parameters, and ablate passes 2: def m\(logits, labels, \*, ...settings\)",
        ),
        ("@model\nclass Net: ...", r"model: write @model\(\"NAME\"\), with a name in parentheses"),
        (
            "@augmentation('a')\ndef a(): ...\naugmentation('b')(a)\naugmentation(a)",
            "augmentation: write @augmentation",
        ),
        ("@library\nclass Lib: ...", r"library: write @library\(\"KIND\", \"PREFIX\"\)"),
        (
            "@library('models', 'zoo')\nclass Zoo:\n  def names(self): ...\n  def component(self, name): ...",
            r"library 'zoo': unknown kind 'models'; did you mean 'model'\?; accepts dataset, ",
        ),
        *(
            (
                f"@library('model', {prefix})\nclass Zoo:\n  def names(self): ...\n  def component(self, name): ...",
                rf"library {prefix}: a prefix is lower-case letters and digits, .*, without the colon",
            )
            for prefix in ("'zoo:'", "'My Zoo'", "''", "None")
        ),
        (
            "@library('model', 'zoo')\nclass Zoo:\n  def names(self): ...",
            r"library 'zoo': a library is a class with the methods names\(\) and component\(name\)",
        ),
        ("@library('model', 'zoo')\ndef zoo(): ...", "library 'zoo': a library is a class"),
    ],
)
def test_a_broken_contract_is_reported_with_file_and_line(load: Callable[..., Registry], code: str, text: str) -> None:
    line = 3 + code[: code.index("@")].count("\n")
    with pytest.raises(ComponentError, match=rf"^mine\.py:{line}: {text}"):
        load(mine=code)


@pytest.mark.parametrize("thing", ["functools.partial(int)", "'text'", "len"])
def test_what_is_no_function_or_class_is_reported(load: Callable[..., Registry], thing: str) -> None:
    with pytest.raises(TypeError, match=r"augmentation 'a': a component is a function or a class, not "):
        load(mine=f"import functools\naugmentation('a')({thing})")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("return {}['x' and 1 / 0]", "raises ZeroDivisionError: division by zero"),
        ("return None", "returns NoneType, not a Borrowed"),
        ("return Borrowed(print, (), 'x', steps='batches')", "steps = 'batches' is not accepted; write steps="),
    ],
)
def test_a_library_that_breaks_its_contract_is_reported_with_file_and_line(
    load: Callable[..., Registry], body: str, text: str
) -> None:
    registry = load(
        mine=f"""
        @library("scheduler", "zoo")
        class Zoo:
            def names(self):
                return ["one"]
            def component(self, name):
                {body}
        """
    )
    with pytest.raises(ComponentError, match=rf"^mine\.py:4: Zoo\.component\('one'\) {text}"):
        registry.get("scheduler", "zoo:one")


def test_a_library_that_cannot_be_made_is_reported_with_file_and_line(load: Callable[..., Registry]) -> None:
    with pytest.raises(ComponentError, match=r"^mine\.py:3: model 'lib:': cannot be made: KeyError: 'home'"):
        load(mine="@library('model', 'lib')\nclass Lib:\n  names = component = print\n  def __init__(self): {}['home']")


def test_a_taken_name_is_reported_with_both_places(load: Callable[..., Registry]) -> None:
    text = "@model('net')\ndef net(shape, classes): ..."
    with pytest.raises(
        ComponentError,
        match=r"^b\.py:4: the model name 'net' is taken by a\.py:3\n  give one of them another name",
    ):
        load(a=text, b="\n" + text)


def test_a_name_taken_in_the_same_file_is_reported_with_both_lines(load: Callable[..., Registry]) -> None:
    with pytest.raises(ComponentError, match=r"^a\.py:5: the model name 'net' is taken by a\.py:3"):
        load(a="@model('net')\ndef a(shape, classes): ...\n@model('net')\ndef b(shape, classes): ...")


def test_a_shipped_name_cannot_be_taken(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(HEAD + "@augmentation('cutout')\ndef mine(): ...")
    with pytest.raises(ComponentError, match=r"the augmentation name 'cutout' is taken by .*augmentations\.py:\d+"):
        discover(named=[file])


# Looking up

LIBRARY = """
def wide(shape, classes, width: int = 64): return ("wide", width)

@library("model", "zoo")
class Zoo:
    "Many models."
    def names(self): return ["wide", "narrow"]
    def component(self, name):
        if name not in self.names():
            raise KeyError(name)
        return Borrowed(wide, settings_of_library(wide, ["shape", "classes"]), f"The {name} one.")
"""


def test_an_unknown_name_is_reported_with_the_nearest_and_all(load: Callable[..., Registry]) -> None:
    with pytest.raises(InputError, match=r"^unknown model 'tinny'; did you mean 'tiny'\?\naccepts tiny, zoo:<name>$"):
        load(mine=TINY, lib=LIBRARY).get("model", "tinny")


def test_an_unknown_name_of_another_case_is_reported_with_the_nearest(load: Callable[..., Registry]) -> None:
    with pytest.raises(InputError, match=r"did you mean 'tiny'\?"):
        load(mine=TINY).get("model", "TINY")


def test_a_name_of_another_kind_is_unknown(load: Callable[..., Registry]) -> None:
    with pytest.raises(InputError, match=r"^unknown augmentation 'tiny'"):
        load(mine=TINY).get("augmentation", "tiny")


def test_a_library_is_found_by_prefix(load: Callable[..., Registry]) -> None:
    entry = load(lib=LIBRARY).get("model", "zoo:wide")
    assert (entry.name, entry.summary, entry.place) == ("zoo:wide", "The wide one.", "lib.py:6")


def test_a_librarys_defaults_are_not_filled_in(load: Callable[..., Registry]) -> None:
    assert load(lib=LIBRARY).get("model", "zoo:wide").check({}).settings == {}


def test_a_librarys_component_is_built(load: Callable[..., Registry]) -> None:
    assert load(lib=LIBRARY).get("model", "zoo:wide").build(1, 2, settings={"width": 5}) == ("wide", 5)


def test_an_unknown_name_of_a_library_is_reported_with_the_nearest(load: Callable[..., Registry]) -> None:
    with pytest.raises(
        InputError, match=r"^zoo has no model 'wid'; did you mean 'wide'\?\nsee 'ablate components model zoo:' for all"
    ):
        load(lib=LIBRARY).get("model", "zoo:wid")


def test_an_unknown_prefix_is_reported_with_what_is_accepted(load: Callable[..., Registry]) -> None:
    with pytest.raises(InputError, match=r"^unknown model 'zo:wide'; did you mean 'zoo:wide'\?\naccepts zoo:<name>"):
        load(lib=LIBRARY).get("model", "zo:wide")


def test_a_prefix_is_taken_once(load: Callable[..., Registry]) -> None:
    with pytest.raises(ComponentError, match=r"^b\.py:6: the model name 'zoo:' is taken by a\.py:6"):
        load(a=LIBRARY, b=LIBRARY)


def test_libraries_and_components_are_listed_apart(load: Callable[..., Registry]) -> None:
    registry = load(mine=TINY, lib=LIBRARY)
    assert [e.name for e in registry.entries("model")] == ["tiny"]
    assert [e.prefix for e in registry.libraries("model")] == ["zoo"]


@pytest.mark.parametrize("text", ["model", "models", "Model", "MODELS"])
def test_a_kind_is_named_in_singular_or_plural(text: str) -> None:
    assert kind_named(text) == "model"
    assert kind_named("losses") == kind_named("loss") == "loss"


def test_an_unknown_kind_is_reported_with_the_nearest() -> None:
    with pytest.raises(
        InputError,
        match=r"^unknown kind 'modle'; did you mean 'model'\?\naccepts dataset, .*, task, metric, figure, executor$",
    ):
        kind_named("modle")


def test_a_mistyped_prefix_is_near_a_library() -> None:
    with pytest.raises(InputError, match=r"unknown model 'tim:resnet18'; did you mean 'timm:resnet18'\?"):
        discover().get("model", "tim:resnet18")
