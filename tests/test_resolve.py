"""A study resolved against real components: settings filled in, splits counted, problems told."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from ablate.components.contracts import ImageShape
from ablate.components.datasets import DataFacts
from ablate.components.discover import discover
from ablate.errors import InputError, StudyError
from ablate.study.counts import count_splits
from ablate.study.resolve import Known, resolve_study
from ablate.study.spec import Choice, parts
from ablate.study.splits import Splits
from ablate.study.toml import Changes, parse_study

if TYPE_CHECKING:
    from ablate.components.registry import Registry
    from ablate.study.spec import Study

PLUGIN = """\
from ablate import Borrowed, DataFacts, ImageShape, Source, dataset, library, model, optimizer, settings_of_library
from ablate.components.contracts import Count
from ablate.errors import DataError


@dataset("tiny")
def tiny(folder, *, images: Count = 100, held: int = 0, tests: int = 20) -> Source:
    return Source(lambda: DataFacts("f", ImageShape(1, 8, 8), 10, images, tests, held), dict)


@dataset("absent")
def absent(folder, *, images: Count = 100) -> Source:
    def facts():
        raise DataError(f"nothing in {folder.name}")

    return Source(facts, dict)


@model("net")
def net(shape, classes, *, width: Count = 8, act: str = "relu", sizes: tuple[int, ...] = (1, 2)): ...


@optimizer("rateless")
def rateless(params, *, momentum: float = 0.9): ...


@library("model", "zoo")
class Zoo:
    asked: list[str] = []

    def names(self):
        return ["wide", "narrow"]

    def component(self, name):
        self.asked.append(name)
        if name not in self.names():
            raise KeyError(name)

        def build(shape, classes, width: int = 64): ...

        return Borrowed(build, settings_of_library(build, ["shape", "classes"]), "")
"""
NET_LINE = PLUGIN[: PLUGIN.index('@model("net")')].count("\n") + 1

HEAD = """\
[study]
name = "s"
[baseline]
epochs = 5
batch_size = 8
dataset = { use = "tiny", validation = 10 }
model = { use = "net" }
optimizer = { use = "adam", lr = 1e-3 }
"""  # eight lines: what a test adds begins on line 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin above, which no test changes."""
    return write(tmp_path_factory.mktemp("settle"), PLUGIN)


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def write(folder: Path, plugin: str) -> Path:
    (folder / "plugins").mkdir()
    (folder / "plugins/mine.py").write_text(plugin)
    return folder


@lru_cache
def registry(folder: Path) -> Registry:
    """Discover the plugins of a folder once."""
    return discover(folder / "s.toml")


def resolved(text: str = HEAD, *settings: str, known: Known | None = None, **changes: Any) -> Study:
    reading = parse_study(text, Path("s.toml"), Changes(settings, **changes))
    return resolve_study(reading, registry(Path.cwd()), Path("data"), {} if known is None else known)


def told(text: str, *settings: str) -> str:
    """Return what a study with problems is told, its blanks as one."""
    with pytest.raises(StudyError, match="problem") as raised:
        resolved(text, *settings)
    return re.sub(r"[ \n]+", " ", str(raised.value)).removeprefix("s.toml: ")


# What is filled in


def test_settings_are_filled_in() -> None:
    recipe = resolved().variants[0].recipe
    assert recipe.model == Choice("net", {"width": 8, "act": "relu", "sizes": [1, 2]})
    assert recipe.optimizer.settings["betas"] == [0.9, 0.999]


def test_settings_of_augmentations_are_filled_in() -> None:
    text = HEAD + 'augmentation = [{ use = "cutout", size = 3 }, { use = "flip" }]'
    assert resolved(text).variants[0].recipe.augmentation == (
        Choice("cutout", {"size": 3, "fill": 0.0}),
        Choice("flip", {"p": 0.5}),
    )


def test_settings_of_a_librarys_component_are_left_to_it() -> None:
    recipe = resolved(HEAD.replace('"net"', '"zoo:wide"')).variants[0].recipe
    assert recipe.model == Choice("zoo:wide", {})


def test_a_variant_has_its_datas_facts_and_each_choice_its_origin() -> None:
    (variant,) = resolved().variants
    assert variant.facts is not None
    assert variant.facts.train == 100
    assert variant.recipe.model.origin is not None
    assert variant.recipe.model.origin.place == f"plugins/mine.py:{NET_LINE}"
    assert all(choice.origin and choice.origin.source for _, choice in parts(variant.recipe))


def test_a_pilot_is_one_epoch_on_few_images() -> None:
    text = HEAD.replace('"tiny"', '"tiny", images = 9000, tests = 5000')
    recipe = resolved(text, pilot=True).variants[0].recipe
    assert (recipe.epochs, recipe.splits) == (1, Splits(2000, 10, 2000))


# Components


def test_an_unknown_component_is_reported_with_the_nearest_and_all() -> None:
    text = told(HEAD.replace('"adam"', '"adm"'))
    assert text.startswith(
        "1 problem line 8 baseline: optimizer.use unknown optimizer 'adm'; did you mean 'adam'? accepts"
    )


def test_an_unknown_setting_is_reported_with_the_nearest_all_and_where_they_stand() -> None:
    assert told(HEAD.replace('"net"', '"net", widht = 3')) == (
        "1 problem line 7 baseline: model.widht net has no setting 'widht'; did you mean 'width'? "
        f'accepts width: int (> 0) = 8, act: str = "relu", sizes: tuple[int, ...] = [1, 2] (plugins/mine.py:{NET_LINE})'
    )


def test_a_wrong_value_is_reported_with_its_type() -> None:
    assert "baseline: model.width 0 is not an integer above 0 accepts width" in told(
        HEAD.replace('"net"', '"net", width = 0')
    )


def test_a_setting_that_is_missing_is_reported() -> None:
    text = told(HEAD.replace(", lr = 1e-3", ""))
    assert text.startswith(
        "1 problem line 8 baseline: optimizer.lr adam needs a value for 'lr' (float (> 0)) accepts lr"
    )


def test_an_unknown_name_of_a_library_is_reported_with_the_nearest() -> None:
    text = told(HEAD.replace('"net"', '"zoo:wid"'))
    assert "line 7 baseline: model.use zoo has no model 'wid'; did you mean 'wide'?" in text


def test_a_problem_of_a_variant_is_reported_with_its_line() -> None:
    text = HEAD + dedent("""
        [[variant]]
        name = "a"
        [variant.set]
        model = { use = "nett" }
        [[variant]]
        name = "b"
        [[variant.add.augmentation]]
        use = "flip"
        [[variant.add.augmentation]]
        use = "cutout"
        sise = 3
    """)
    found = told(text)
    assert "line 13 variant \"a\": model.use unknown model 'nett'; did you mean 'net'?" in found
    assert "line 20 variant \"b\": augmentation[1].sise cutout has no setting 'sise'; did you mean 'size'?" in found


def test_a_problem_of_a_setting_that_a_variant_sets_alone_is_reported_where_that_stands() -> None:
    text = HEAD.replace('"net"', '"net", widht = 3') + dedent("""
        [[variant]]
        name = "a"
        [variant.set]
        "model.wdith" = 3
        "optimizer.lr" = "high"
        "dataset.validation" = 1000
    """)
    found = told(text)
    assert found.startswith("4 problems line 7 baseline: model.widht net has no setting 'widht'; did you mean 'width'?")
    assert "line 13 variant \"a\": model.wdith net has no setting 'wdith'; did you mean 'width'? accepts" in found
    assert 'line 14 variant "a": optimizer.lr "high" is not a number' in found
    assert 'line 15 variant "a": dataset.validation validation = 1,000 is more than the 100 images' in found


def test_a_problem_that_variants_inherit_is_reported_once() -> None:
    text = HEAD.replace('"net"', '"nett"') + '[[variant]]\nname = "a"\nset = { epochs = 1 }'
    assert told(text).startswith("1 problem line 7 baseline: model.use")


def test_a_problem_of_the_command_line_is_reported_as_such() -> None:
    text = told(HEAD, "baseline.model.widht=3")
    assert text.startswith("1 problem --set baseline.model.widht net has no setting 'widht'; did you mean 'width'?")


def test_a_component_of_the_command_line_is_reported_as_such() -> None:
    assert told(HEAD, "baseline.model.use=nett").startswith("1 problem --set baseline.model.use unknown model 'nett'")


def test_problems_of_the_file_and_of_its_components_are_reported_together() -> None:
    text = told(HEAD.replace('"net"', '"nett"') + '[[variant]]\nname = "a"\nform = "b"')
    assert re.findall(r"line \d+", text) == ["line 7", "line 11"]


def test_a_dataset_that_is_absent_is_reported() -> None:
    text = told(HEAD.replace('"tiny"', '"absent"'))
    assert text == "1 problem line 6 baseline: dataset nothing in data"


# Splits


@pytest.mark.parametrize(
    ("facts", "asked", "counted"),
    [
        ((100, 20, 0), Splits(), (100, 0, 20)),
        ((100, 20, 0), Splits(validation=10), (90, 10, 20)),
        ((100, 20, 0), Splits(validation=0.1), (90, 10, 20)),
        ((100, 20, 0), Splits(train=50, validation=10, test=5), (50, 10, 5)),
        ((100, 20, 0), Splits(train=0.5, validation=0.2, test=0.25), (40, 20, 5)),
        ((100, 20, 0), Splits(train=90, validation=10), (90, 10, 20)),
        ((100, 20, 0), Splits(test=20), (100, 0, 20)),
        ((100, 20, 30), Splits(), (100, 30, 20)),
        ((100, 20, 30), Splits(validation=10), (100, 10, 20)),
        ((100, 20, 30), Splits(validation=0.5), (100, 15, 20)),
        ((100, 0, 0), Splits(test=0.2), (80, 0, 20)),
        ((100, 0, 0), Splits(test=20, validation=0.25), (60, 20, 20)),
        ((100, 0, 30), Splits(test=20), (80, 30, 20)),
        ((3, 3, 0), Splits(test=0.01), (3, 0, 1)),
    ],
)
def test_splits_are_counted(facts: tuple[int, int, int], asked: Splits, counted: tuple[int, int, int]) -> None:
    train, test, validation = facts
    known = DataFacts("f", ImageShape(1, 8, 8), 10, train=train, test=test, validation=validation)
    assert count_splits(known, asked) == Splits(*counted)


@pytest.mark.parametrize(
    ("facts", "asked", "text"),
    [
        ((100, 20, 0), Splits(train=101), r"train = 101 is more than the 100 images there are to take it from"),
        ((100, 20, 0), Splits(train=95, validation=10), r"train = 95 is more than the 90 images"),
        ((100, 20, 0), Splits(test=21), r"test = 21 is more than the 20 images"),
        ((5000, 20, 0), Splits(validation=6000), r"validation = 6,000 is more than the 5,000 images"),
        ((100, 20, 30), Splits(validation=31), r"validation = 31 is more than the 30 images"),
        (
            (5000, 20, 0),
            Splits(validation=5000),
            r"validation and test leave none of the 5,000 training images to train on",
        ),
        ((100, 0, 0), Splits(test=60, validation=41), r"validation = 41 is more than the 40 images"),
        ((100, 0, 0), Splits(), r"this dataset has no test set\nset test = 0.2 to take one from the training images"),
    ],
)
def test_splits_that_cannot_be_are_reported(facts: tuple[int, int, int], asked: Splits, text: str) -> None:
    train, test, validation = facts
    known = DataFacts("f", ImageShape(1, 8, 8), 10, train=train, test=test, validation=validation)
    with pytest.raises(InputError, match=text):
        count_splits(known, asked)


def test_split_sizes_become_part_of_the_recipe() -> None:
    assert resolved().variants[0].recipe.splits == Splits(90, 10, 20)


def test_a_split_that_is_too_large_is_reported_with_its_line() -> None:
    text = told(HEAD.replace("validation = 10", "validation = 1000"))
    assert (
        text
        == "1 problem line 6 baseline: dataset validation = 1,000 is more than the 100 images there are to take it from"
    )


def test_a_split_of_the_command_line_that_is_too_large_is_reported_as_such() -> None:
    assert told(HEAD, "baseline.dataset.train=1000").startswith(
        "1 problem --set baseline.dataset.train train = 1,000 is"
    )


def test_a_dataset_without_test_set_is_reported_with_what_to_do() -> None:
    text = told(HEAD.replace('"tiny"', '"tiny", tests = 0'))
    assert text.endswith("dataset this dataset has no test set set test = 0.2 to take one from the training images")


def test_a_metric_of_the_validation_split_needs_one() -> None:
    text = told(HEAD.replace(", validation = 10", "").replace('"s"', '"s"\nmetric = "validation/accuracy"'))
    assert text == (
        "1 problem line 3 study: metric \"validation/accuracy\" needs a validation split, and 'baseline' has none "
        "set dataset = { ..., validation = 0.1 }, or compare on test/accuracy"
    )


def test_a_datasets_own_validation_split_serves_the_metric() -> None:
    text = HEAD.replace(", validation = 10", ", held = 30").replace('"s"', '"s"\nmetric = "validation/accuracy"')
    assert resolved(text).variants[0].recipe.splits == Splits(100, 30, 20)


# Twins


@pytest.mark.parametrize(
    "change",
    [
        "",
        "set = { epochs = 5 }",
        'set = { model = { use = "net", width = 8 } }',
        'set = { optimizer = { lr = 0.001, use = "adam", betas = [0.9, 0.999] } }',
        'set = { dataset = { use = "tiny", validation = 0.1 } }',
        'set = { scheduler = { use = "constant" } }',
        'set = { "model.width" = 8, "dataset.validation" = 0.1 }',
    ],
)
def test_a_variant_that_resolves_to_the_runs_of_another_is_refused(change: str) -> None:
    assert told(f'{HEAD}[[variant]]\nname = "a"\n{change}') == (
        "1 problem line 9 variant \"a\" resolves to the same runs as 'baseline' change something in it, or take it out"
    )


def test_twins_may_be_piloted() -> None:
    assert len(resolved(f'{HEAD}[[variant]]\nname = "a"\nset = {{ epochs = 9 }}', pilot=True).variants) == 2


def test_the_order_of_augmentations_is_a_difference() -> None:
    text = HEAD + dedent("""
        augmentation = [{ use = "flip" }, { use = "cutout" }]
        [[variant]]
        name = "a"
        set = { augmentation = [{ use = "cutout" }, { use = "flip" }] }
    """)
    assert len(resolved(text).variants) == 2


# The cache of library components


def asked(text: str, known: Known) -> list[str]:
    """Return what the library is asked for while a study is resolved."""
    libraries: Any = registry(Path.cwd()).libraries("model")
    zoo = next(e.library for e in libraries if e.prefix == "zoo")
    zoo.asked.clear()
    resolved(text, known=known)
    return list(zoo.asked)


def test_a_library_component_that_passed_before_is_not_looked_up_again() -> None:
    known: Known = {}
    text = HEAD.replace('"net"', '"zoo:wide", width = 3')
    assert asked(text, known) == ["wide"]
    assert asked(text, known) == []
    assert resolved(text, known=known).variants[0].recipe.model == Choice("zoo:wide", {"width": 3})


def test_what_passed_before_says_nothing_of_the_settings() -> None:
    known: Known = {}
    text = with_rate("{ find = true, steps = 50 }, weight_decay = 0.5", "torch:AdamW")
    (first,), (again,) = resolved(text, known=known).variants, resolved(text, known=known).variants
    assert len(known) == 1
    assert first.recipe == again.recipe
    assert again.recipe.optimizer.settings["lr"]["steps"] == 50


def test_a_setting_that_the_check_changes_is_the_same_each_time() -> None:
    known: Known = {}
    text = HEAD.replace('"adam", lr = 1e-3', '"torch:AdamW", lr = 1')
    (first,), (again,) = resolved(text, known=known).variants, resolved(text, known=known).variants
    written = [repr(variant.recipe.optimizer.settings) for variant in (first, again)]
    assert written[0] == written[1]


def test_other_settings_of_a_library_component_are_looked_up() -> None:
    known: Known = {}
    asked(HEAD.replace('"net"', '"zoo:wide", width = 3'), known)
    assert asked(HEAD.replace('"net"', '"zoo:wide", width = 4'), known) == ["wide"]


def test_a_library_component_with_problems_is_not_kept() -> None:
    known: Known = {}
    with pytest.raises(StudyError, match="widht"):
        resolved(HEAD.replace('"net"', '"zoo:wide", widht = 3'), known=known)
    assert known == {}


def test_an_edit_of_the_library_makes_what_passed_before_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: Known = {}
    text = HEAD.replace('"net"', '"zoo:wide"')
    asked(text, known)
    monkeypatch.chdir(write(tmp_path, PLUGIN.replace("width: int = 64", "width: float = 64")))
    assert asked(text, known) == ["wide"]


def test_components_of_plugins_are_checked_each_time() -> None:
    known: Known = {}
    resolved(known=known)
    assert known == {}


def test_zero_validation_leaves_the_sources_own_aside() -> None:
    facts = DataFacts("x", ImageShape(1, 8, 8), 2, train=100, test=20, validation=30)
    assert count_splits(facts, Splits()) == Splits(100, 30, 20)
    assert count_splits(facts, Splits(validation=0)) == Splits(100, 0, 20)


# A learning rate to be found


def with_rate(table: str, use: str = "adam") -> str:
    return HEAD.replace('"adam", lr = 1e-3', f'"{use}", lr = {table}')


@pytest.mark.parametrize("use", ["adam", "sgd", "torch:AdamW", "timm:lion"])
def test_a_rate_to_be_found_is_filled_in_and_stays_among_the_settings(use: str) -> None:
    (variant,) = resolved(with_rate("{ find = true }", use)).variants
    wanted = {"find": True, "rule": "valley", "low": 1e-6, "high": 10.0, "steps": 100}
    assert variant.recipe.optimizer.settings["lr"] == wanted


def test_the_other_settings_are_checked_beside_a_rate_to_be_found() -> None:
    text = told(with_rate("{ find = true }, weight_decay = -1.0, bets = 1"))
    assert "2 problems" in text
    assert "optimizer.weight_decay" in text
    assert "has no setting 'bets'; did you mean 'betas'?" in text


@pytest.mark.parametrize(
    ("table", "key", "what"),
    [
        ("{ find = false }", "lr.find", "find = false finds no learning rate"),
        ("{ find = 1 }", "lr.find", "find = 1 finds no learning rate"),
        ("{ }", "lr.find", "'find' is missing"),
        ('{ rule = "valley" }', "lr.find", "'find' is missing"),
        ("{ find = true, stps = 50 }", "lr.stps", "unknown key 'stps'; did you mean 'steps'?"),
        ('{ find = true, rule = "best" }', "lr.rule", '"best" is not "valley" | "steepest"'),
        ("{ find = true, steps = 19 }", "lr.steps", "19 is not an integer from 20 to 10000"),
        ("{ find = true, steps = 50.0 }", "lr.steps", "50.0 is not an integer from 20 to 10000"),
        ("{ find = true, steps = 1000000 }", "lr.steps", "1000000 is not an integer"),
        ("{ find = true, low = 0 }", "lr.low", "0 is not a number above 0 and at most 1000"),
        ("{ find = true, low = -1e-3 }", "lr.low", "-0.001 is not a number"),
        ("{ find = true, low = nan }", "lr.low", "nan is not a number"),
        ("{ find = true, high = inf }", "lr.high", "inf is not a number"),
        ('{ find = true, high = "1" }', "lr.high", '"1" is not a number'),
        ("{ find = true, low = 0.1, high = 0.1 }", "lr.low", "low = 0.1 is not below high = 0.1"),
        ("{ find = true, low = 20 }", "lr.low", "low = 20 is not below high = 10"),
    ],
)
def test_a_wrong_table_for_a_rate_is_one_error_that_says_what_is_accepted(table: str, key: str, what: str) -> None:
    with pytest.raises(StudyError) as raised:
        resolved(with_rate(table))
    (problem,) = raised.value.problems
    assert problem.where == f"baseline: optimizer.{key}"
    assert what in problem.what
    assert "find = true" in problem.hint or "find: true, rule:" in problem.hint


def test_a_wrong_table_is_wrong_the_second_time_too_for_a_library_component() -> None:
    known: Known = {}
    text = with_rate("{ find = true, steps = 1 }", "torch:AdamW")
    for _ in range(2):
        with pytest.raises(StudyError, match="steps"):
            resolved(text, known=known)


def test_a_table_for_a_rate_of_an_optimizer_without_one_is_an_error() -> None:
    assert "has no setting 'lr'" in told(with_rate("{ find = true }", "rateless"))


def test_the_command_line_can_ask_for_a_rate_to_be_found() -> None:
    found = resolved(HEAD, "baseline.optimizer.lr={ find = true, steps = 50 }")
    assert found.variants[0].recipe.optimizer.settings["lr"]["steps"] == 50
