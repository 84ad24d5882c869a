"""A study file read: what it becomes, and what each thing wrong in it is told."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from ablate.errors import InputError, StudyError
from ablate.paths import shipped
from ablate.study.spec import Choice, Recipe, Study
from ablate.study.splits import Splits
from ablate.study.toml import Changes, parse_study, read_study

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = """\
[study]
name = "phases"
[baseline]
epochs = 5
batch_size = 64
dataset = { use = "digits", validation = 100 }
model = { use = "cnn", width = 8 }
augmentation = [{ use = "crop", padding = 4 }, { use = "flip" }]
optimizer = { use = "adam", lr = 1e-3 }
"""  # nine lines: what a test adds begins on line 10


def read(text: str, *settings: str, **changes: Any) -> Study:
    return parse_study(text, Path("s.toml"), Changes(settings, **changes)).done()


def variants(text: str, *settings: str) -> Study:
    """Read a study with these variants on the baseline above."""
    return read(HEAD + dedent(text), *settings)


def refused(text: str, *settings: str, **changes: Any) -> str:
    """Return what a study is told that has problems."""
    with pytest.raises(StudyError, match=r"problem") as raised:
        read(text, *settings, **changes)
    return str(raised.value)


def told(text: str, *settings: str) -> str:
    """Return what a study with these variants is told, its blanks as one."""
    return re.sub(r"[ \n]+", " ", refused(HEAD + dedent(text), *settings)).removeprefix("s.toml: ")


# A good study


def test_the_head_of_a_study_is_read() -> None:
    study = read(
        HEAD.replace(
            'name = "phases"',
            'name = "phases"\ntitle = "Five"\nlabel = "Phase"\nseeds = [3, 1]\nmetric = "validation/loss"\n'
            'ladder = true\nnote = "why"',
        )
    )
    assert (study.name, study.title, study.label, study.seeds) == ("phases", "Five", "Phase", (3, 1))
    assert (study.metric, study.ladder, study.note, study.plugins, study.pilot) == (
        "validation/loss",
        True,
        "why",
        (),
        False,
    )


def test_what_a_study_leaves_out_has_defaults() -> None:
    study = read(HEAD)
    assert (study.title, study.label, study.seeds, study.metric) == ("phases", "Variant", (0, 1, 2), "test/accuracy")


def test_the_baseline_is_a_whole_recipe() -> None:
    baseline = read(HEAD).variants[0]
    assert (baseline.name, baseline.parent) == ("baseline", None)
    assert baseline.recipe == Recipe(
        epochs=5,
        batch_size=64,
        dataset=Choice("digits"),
        model=Choice("cnn", {"width": 8}),
        optimizer=Choice("adam", {"lr": 1e-3}),
        scheduler=Choice("constant"),
        augmentation=(Choice("crop", {"padding": 4}), Choice("flip")),
        splits=Splits(validation=100),
    )


def test_a_variant_has_what_is_said_of_it() -> None:
    one = variants("""
        [[variant]]
        name = "a"
        model_label = "Big"
        enhancements = ["x", "y"]
        reported = { accuracy = 0.36, loss = 2 }
        note = "why"
        set = { epochs = 6 }
    """).variants[1]
    assert (one.model_label, one.enhancements, one.reported, one.note) == (
        "Big",
        ("x", "y"),
        {"accuracy": 0.36, "loss": 2},
        "why",
    )


def test_set_replaces_a_table_whole() -> None:
    study = variants('[[variant]]\nname = "a"\nset = { model = { use = "cnn" }, batch_size = 32 }')
    assert study.variant("a").recipe.model == Choice("cnn")
    assert study.variant("a").recipe.batch_size == 32
    assert study.variant("a").recipe.optimizer == Choice("adam", {"lr": 1e-3})


def test_setting_a_dataset_takes_its_splits_along() -> None:
    study = variants('[[variant]]\nname = "a"\nset = { dataset = { use = "digits", train = 0.5 } }')
    assert study.variant("a").recipe.splits == Splits(train=0.5)


def test_add_appends_augmentations() -> None:
    study = variants('[[variant]]\nname = "a"\nadd = { augmentation = [{ use = "cutout" }] }')
    assert [c.use for c in study.variant("a").recipe.augmentation] == ["crop", "flip", "cutout"]


def test_remove_takes_augmentations_and_the_scheduler_out() -> None:
    study = variants("""
        [[variant]]
        name = "a"
        set = { scheduler = { use = "cosine" } }
        [[variant]]
        name = "b"
        from = "a"
        remove = ["augmentation.flip", "scheduler"]
    """)
    assert [c.use for c in study.variant("b").recipe.augmentation] == ["crop"]
    assert study.variant("b").recipe.scheduler == Choice("constant")


def test_augmentations_can_be_set_to_none() -> None:
    assert variants('[[variant]]\nname = "a"\nset = { augmentation = [] }').variant("a").recipe.augmentation == ()


def test_variants_come_from_the_baseline() -> None:
    study = variants('[[variant]]\nname = "a"\nset = { epochs = 6 }\n[[variant]]\nname = "b"\nset = { batch_size = 8 }')
    assert [v.parent for v in study.variants] == [None, "baseline", "baseline"]
    assert study.variant("b").recipe.epochs == 5


def test_variants_of_a_ladder_come_from_the_one_before() -> None:
    text = HEAD.replace("[baseline]", "ladder = true\n[baseline]") + dedent("""
        [[variant]]
        name = "a"
        set = { epochs = 6 }
        [[variant]]
        name = "b"
        set = { batch_size = 8 }
        [[variant]]
        name = "c"
        from = "baseline"
        set = { batch_size = 9 }
    """)
    study = read(text)
    assert [v.parent for v in study.variants] == [None, "baseline", "a", "baseline"]
    assert [v.recipe.epochs for v in study.variants] == [5, 6, 6, 5]


def test_from_may_name_a_variant_further_down() -> None:
    study = variants('[[variant]]\nname = "a"\nfrom = "b"\n[[variant]]\nname = "b"\nset = { epochs = 9 }')
    assert study.variant("a").recipe.epochs == 9


def test_baseline_names_the_baseline_whatever_its_name() -> None:
    text = HEAD.replace("[baseline]", '[baseline]\nname = "Phase 1"')
    study = read(text + '[[variant]]\nname = "a"\nfrom = "baseline"\nset = { epochs = 6 }')
    assert [v.name for v in study.variants] == ["Phase 1", "a"]
    assert study.variant("a").parent == "Phase 1"


def test_a_pilot_has_one_seed() -> None:
    study = read(HEAD, pilot=True, seeds=(4, 5))
    assert (study.pilot, study.seeds) == (True, (0,))


def test_seeds_of_the_command_line_stand_in_for_the_files() -> None:
    assert read(HEAD, seeds=(7, 2)).seeds == (7, 2)


def test_plugins_are_found_beside_the_study(tmp_path: Path) -> None:
    (tmp_path / "mine.py").touch()
    file = tmp_path / "s.toml"
    file.write_text(HEAD.replace("[baseline]", 'plugins = ["mine.py"]\n[baseline]'))
    assert read_study(file).done().plugins == ((tmp_path / "mine.py").resolve(),)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("\ufeff" + HEAD, encoding="utf-8")
    assert read_study(tmp_path / "s.toml").done().name == "phases"


@pytest.mark.parametrize("file", sorted(shipped("studies").glob("*.toml")), ids=lambda file: file.name)
def test_the_studies_that_ship_are_read(file: Path) -> None:
    assert len(read_study(file).done().variants) > 1


# Files that are no study


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_that_is_not_there_is_reported_with_the_nearest(here: Path) -> None:
    (here / "phases.toml").touch()
    with pytest.raises(
        InputError, match=r"^phase\.toml: no such file; did you mean 'phases\.toml'\?\n  'ablate new study NAME' writes"
    ):
        read_study(Path("phase.toml"))


def test_a_file_in_a_folder_that_is_not_there_is_reported(here: Path) -> None:
    with pytest.raises(InputError, match=r"^no/s\.toml: no such file\n"):
        read_study(Path("no/s.toml"))


def test_a_folder_is_reported_as_one(here: Path) -> None:
    (here / "studies").mkdir()
    with pytest.raises(
        InputError,
        match=r"^studies: is a folder, not a study file\n  name a \.toml file, such as studies/my-study\.toml",
    ):
        read_study(Path("studies"))


def test_a_file_that_is_no_toml_is_reported_with_its_line(here: Path) -> None:
    (here / "s.toml").write_text("[study]\nname = phases\n")
    with pytest.raises(InputError, match=r"^s\.toml: not valid TOML: .*line 2"):
        read_study(Path("s.toml"))


def test_a_file_that_is_no_utf8_is_reported_with_the_byte(here: Path) -> None:
    (here / "s.toml").write_bytes(b'name = "caf\xe9"')
    with pytest.raises(InputError, match=r"^s\.toml: not a text file in UTF-8 \(byte 11\)$"):
        read_study(Path("s.toml"))


def test_a_file_that_is_too_large_is_reported_with_its_size(here: Path) -> None:
    (here / "s.toml").write_text("#" * 1_000_001)
    with pytest.raises(
        InputError, match=r"^s\.toml: 1,000,001 bytes is too large for a study file \(at most 1,000,000\)$"
    ):
        read_study(Path("s.toml"))


def test_a_file_of_too_many_values_is_reported_with_how_many_it_has() -> None:
    with pytest.raises(InputError, match=r"^s\.toml: 20,001 keys and values are too many .* \(at most 20,000\)$"):
        read(f"a = [{'1, ' * 20_000}]")


def test_a_number_of_thousands_of_digits_is_reported() -> None:
    with pytest.raises(InputError, match=r"^s\.toml: not valid TOML: a number in it has thousands of digits$"):
        read(f"a = {'1' * 5000}")


def test_a_path_that_cannot_be_one_is_reported(here: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: embedded null byte"):
        read_study(Path("a\0.toml"))


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000 + "]" * 100_000,
        "a = " + "[" * 100_000,
        "a = " + "{a=" * 20_000,
        ".".join("a" * 100_000) + " = 1",
        '"a" . ' * 200 + "a = 1",
        "a = " + ("{" + ".".join("a" * 30) + "=") * 4 + "1" + "}" * 4,
    ],
    ids=["brackets", "open brackets", "tables", "dots", "quoted dots", "dots in each other"],
)
def test_a_file_that_nests_too_deeply_is_reported(text: str) -> None:
    with pytest.raises(InputError, match=r"^s\.toml: nested too deeply for a study file \(at most 100 levels\)$"):
        read(text)


def test_dots_in_texts_nest_nothing() -> None:
    note = "e.g. 0.5, i.e. a half ... " * 200
    assert read(HEAD.replace('"phases"', f'"phases"\nnote = "{note}" # {"a." * 99}')).note == note


# Problems, each with its line, what is wrong, what is accepted and the nearest name


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("[study]", "[studdy]", "line 1 study the table [study] is missing see 'ablate new study NAME'"),
        (
            "[study]",
            "[studdy]",
            "line 1 studdy unknown key 'studdy'; did you mean 'study'? accepts [study], [baseline] and",
        ),
        ("[baseline]", "[base.line]", "line 3 base unknown key 'base'"),
        ("[baseline]", "[base.line]", "line 1 baseline the table [baseline] is missing"),
        ("[baseline]", "[[baseline]]", "line 3 baseline is not a table; write [baseline]"),
        (
            'name = "phases"',
            'name = "phases"\nsedes = 3',
            "line 3 study: sedes unknown key 'sedes'; did you mean 'seeds'?",
        ),
        ('name = "phases"', "name = 3", "line 2 study: name 3 is not a string"),
        ('name = "phases"', "", "line 1 study: name 'name' is missing"),
        (
            'name = "phases"',
            'name = "a/b"',
            'line 2 study: name "a/b" cannot name a study a name has 1 to 80 printable',
        ),
        ('name = "phases"', 'name = ".."', 'line 2 study: name ".." cannot name a study'),
        ('name = "phases"', 'name = ""', 'line 2 study: name "" cannot name a study'),
        (
            'name = "phases"',
            'name = "p"\nseeds = 0',
            "line 3 study: seeds 0 is not an integer above 0 or a list of integers of at least 0",
        ),
        (
            'name = "phases"',
            'name = "p"\nseeds = true',
            "line 3 study: seeds true is not an integer above 0 or a list of integers of at least 0",
        ),
        (
            'name = "phases"',
            'name = "p"\nseeds = -1',
            "line 3 study: seeds -1 is not an integer above 0 or a list of integers of at least 0",
        ),
        (
            'name = "phases"',
            'name = "p"\nseeds = [0, -1]',
            "study: seeds [0, -1] is not an integer above 0 or a list of integers of at least 0",
        ),
        (
            'name = "phases"',
            'name = "p"\nseeds = []',
            "line 3 study: seeds no seed is named accepts a number of seeds or",
        ),
        (
            'name = "phases"',
            'name = "p"\nseeds = [1, 1]',
            "line 3 study: seeds [1, 1] names a seed twice accepts a number",
        ),
        (
            'name = "phases"',
            'name = "p"\nseeds = 20240501',
            "line 3 study: seeds 20240501 seeds are too many (at most 1,000) to name one seed, write [20240501]",
        ),
        (
            'name = "phases"',
            'name = "p"\nmetric = "accuracy"',
            "line 3 study: metric \"accuracy\" is no metric; did you mean 'test/accuracy'? accepts ",
        ),
        (
            'name = "phases"',
            f'name = "p"\nseeds = {list(range(1001))}',
            "line 3 study: seeds 1001 seeds are too many (at most 1,000)",
        ),
        ('name = "phases"', f'name = "{"x" * 300}"', f'line 2 study: name "{"x" * 198}… cannot name a study'),
        ('name = "phases"', 'name = "p"\nladder = 1', "line 3 study: ladder 1 is not true or false"),
        ('name = "phases"', 'name = "p"\nplugins = "a.py"', 'line 3 study: plugins "a.py" is not a list of strings'),
        (
            'name = "phases"',
            'name = "p"\nplugins = ["no.py"]',
            "study: plugins no.py: no such file or folder beside the",
        ),
        ('name = "phases"', 'name = "p"\nplugins = ["\\u0000"]', "has characters that are not printable"),
        ('name = "phases"', f'name = "p"\nplugins = ["{"x" * 300}.py"]', "x.py: no such file or folder beside"),
        (
            "epochs = 5",
            "epochs = 9223372036854775808",
            "line 4 baseline.epochs does not fit in 64 bits, as whole numbers of TOML do",
        ),
        (
            "width = 8",
            '"wi\\u001bdth" = 8',
            r"line 7 baseline.model.wi\u001bdth a key has at most 100 characters, all of",
        ),
        ("width = 8", f"{'w' * 101} = 8", "a key has at most 100 characters, all of them printable"),
        ("epochs = 5", "epochs = 0", "line 4 baseline: epochs 0 is not an integer above 0"),
        ("epochs = 5", "epochs = 5.0", "line 4 baseline: epochs 5.0 is not an integer above 0"),
        ("epochs = 5", 'epochs = "5"', 'line 4 baseline: epochs "5" is not an integer above 0'),
        ("epochs = 5", "", "line 3 baseline: epochs 'epochs' is missing"),
        (
            "epochs = 5",
            "epoch = 5",
            "line 4 baseline: epoch unknown key 'epoch'; did you mean 'epochs'? accepts model_label",
        ),
        ("model = { use", "model = { uses", "line 7 baseline: model.use 'use' is missing a table is replaced whole"),
        ('use = "cnn"', "use = 3", "line 7 baseline: model.use 3 is not the name of a component"),
        ('use = "cnn"', 'use = "c\\nn"', r'line 7 baseline: model.use "c\nn" is not the name of a component'),
        ('use = "cnn"', 'use = ""', 'line 7 baseline: model.use "" is not the name of a component'),
        (
            'model = { use = "cnn", width = 8 }',
            'model = "cnn"',
            'line 7 baseline: model "cnn" is not a table { use = ... } write model = { use = "cnn" }',
        ),
        ("= [{ use", "= [3, { use", "baseline: augmentation 3 is not a list of tables { use = ... }"),
        ('{ use = "flip" }', '{ us = "flip" }', "line 8 baseline: augmentation[1].use 'use' is missing"),
        (
            "validation = 100",
            "validation = -1",
            "line 6 baseline: dataset.validation -1 is neither a number of images nor",
        ),
        (
            "validation = 100",
            "validation = 1.5",
            "dataset.validation 1.5 is neither a number of images nor a share between",
        ),
        ("validation = 100", "validation = true", "dataset.validation true is neither a number of images nor a share"),
        (
            "validation = 100",
            "validation = false",
            "dataset.validation false is neither a number of images nor a share",
        ),
        ("validation = 100", "validation = nan", "dataset.validation nan is neither a number of images nor a share"),
        ("validation = 100", "test = 0", "dataset.test 0 is neither a number of images nor a share between 0 and 1"),
        ("epochs = 5", "epochs = 5\nreported = { accuracy = 36.2 }", "36.2 is not a fraction; write 0.362"),
        ("epochs = 5", "epochs = 5\nreported = { accuracy = nan }", "reported.accuracy nan is not a fraction"),
        (
            "epochs = 5",
            "epochs = 5\nreported = { accuracy = -1 }",
            "line 5 baseline: reported.accuracy -1 is not a fraction",
        ),
        (
            "epochs = 5",
            "epochs = 5\nreported = { acc = 0.3 }",
            'line 5 baseline: reported.acc "acc" is no metric of the study accepts loss, accuracy',
        ),
        ("epochs = 5", "epochs = 5\nreported = 0.3", "line 5 baseline: reported 0.3 is not a table of numbers"),
    ],
)
def test_a_problem_of_the_study_or_the_baseline_is_reported(old: str, new: str, text: str) -> None:
    assert old in HEAD
    assert text in re.sub(r"[ \n]+", " ", refused(HEAD.replace(old, new, 1)))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[variant]\nname = 'a'", "line 10 variant is not a list of tables; write [[variant]]"),
        ("[variant.set]\nepochs = 1", "line 10 variant is not a list of tables; write [[variant]]"),
        ("[[variant]]\nset = { epochs = 6 }", "line 10 variant 1: name 'name' is missing"),
        ("[[variant]]\nname = ''", 'line 11 variant "": name "" cannot name a variant a name has 1 to 80 printable'),
        ("[[variant]]\nname = 3", 'line 11 variant "3": name 3 is not a string'),
        ("[[variant]]\nname = 'a/b'", 'line 11 variant "a/b": name "a/b" cannot name a variant'),
        ("[[variant]]\nname = '..'", 'line 11 variant "..": name ".." cannot name a variant'),
        ("[[variant]]\nname = 'a '", 'line 11 variant "a ": name "a " cannot name a variant'),
        (f"[[variant]]\nname = '{'a' * 81}'", "cannot name a variant"),
        (
            '[[variant]]\nname = "a\\u001b[31m"',
            r'line 11 variant "a\u001b[31m": name "a\u001b[31m" cannot name a variant',
        ),
        ('[[variant]]\nname = "a\\nb"', r'line 11 variant "a\nb": name "a\nb" cannot name a variant'),
        ("[[variant]]\nname = 'a'\nform = 'b'", "line 12 variant \"a\": form unknown key 'form'; did you mean 'from'?"),
        (
            "[[variant]]\nname = 'a'\nset = { \"modle.dropout\" = 0.3 }",
            "line 12 variant \"a\": set.modle.dropout unknown key 'modle.dropout'; did you mean 'model.dropout'?",
        ),
        (
            "[[variant]]\nname = 'a'\nset = { \"epochs.all\" = 3 }",
            "line 12 variant \"a\": set.epochs.all unknown key 'epochs.all'",
        ),
        (
            "[[variant]]\nname = 'a'\n[variant.set]\nmodel = { use = 'cnn' }\n\"model.width\" = 3",
            "line 14 variant \"a\": set.model.width 'model' is replaced whole in the same table write 'width' there",
        ),
        (
            '[[variant]]\nname = \'a\'\n[variant.set]\n"optimizer.lr.low" = 3\n"optimizer.lr" = 3',
            "line 13 variant \"a\": set.optimizer.lr.low 'optimizer.lr' is replaced whole in the same table",
        ),
        (
            "[[variant]]\nname = 'a'\nset = { \"model.use\" = 'mlp' }",
            'set.model.use is no setting replace the table: model = { use = "mlp", ... }',
        ),
        (
            "[[variant]]\nname = 'a'\nset = { \"dataset.validation\" = -1 }",
            'line 12 variant "a": dataset.validation -1 is neither a number of images',
        ),
        (
            "[[variant]]\nname = 'a'\nset = { \"augmentation.crip.padding\" = 1 }",
            "line 12 variant \"a\": augmentation.crip.padding there is no 'augmentation.crip.padding'; did you mean",
        ),
        ("[[variant]]\nname = 'a'\nset = { batch = 3 }", "unknown key 'batch'; did you mean 'batch_size'?"),
        (
            "[[variant]]\nname = 'a, b'\n[[variant]]\nname = 'c'\nfrom = 'd'",
            "there is no variant 'd' accepts 'baseline', 'a, b'",
        ),
        (
            "[[variant]]\nname = 'a'\nepochs = 3",
            "line 12 variant \"a\": epochs unknown key 'epochs' accepts model_label",
        ),
        ("[[variant]]\nname = 'a'\nfrom = 3", 'line 12 variant "a": from 3 is not a string'),
        (
            "[[variant]]\nname = 'a'\nfrom = 'bse'\n[[variant]]\nname = 'base'\nset = { epochs = 1 }",
            "line 12 variant \"a\": from there is no variant 'bse'; did you mean 'base'? accepts 'baseline', 'base'",
        ),
        (
            "[[variant]]\nname = 'a'\nfrom = 'a'",
            "line 12 variant \"a\": from comes from itself: a from a one of them has to come from 'baseline'",
        ),
        (
            "[[variant]]\nname = 'a'\nfrom = 'b'\n[[variant]]\nname = 'b'\nfrom = 'a'",
            'line 12 variant "a": from comes from itself: a from b from a one of them',
        ),
        ("[[variant]]\nname = 'a'\nset = 3", 'line 12 variant "a": set 3 is not a table'),
        (
            "[[variant]]\nname = 'a'\nset = { epochs = 0 }",
            'line 12 variant "a": set.epochs 0 is not an integer above 0',
        ),
        (
            "[[variant]]\nname = 'a'\n[variant.set]\nmodle = { use = 'x' }",
            "line 13 variant \"a\": set.modle unknown key 'modle'; did you mean 'model'? accepts epochs, batch_size,",
        ),
        (
            "[[variant]]\nname = 'a'\nset = { model = { width = 16 } }",
            "line 12 variant \"a\": model.use 'use' is missing a table is replaced whole, never merged: name",
        ),
        (
            "[[variant]]\nname = 'a'\nset = { model.width = 16 }",
            'to change one setting and keep the others: "model.width" = 16',
        ),
        (
            "[[variant]]\nname = 'a'\nadd = { model = { use = 'x' } }",
            "line 12 variant \"a\": add.model unknown key 'model' accepts augmentation",
        ),
        (
            "[[variant]]\nname = 'a'\nadd = { augmentation = [{ use = 'x' }, { size = 3 }] }",
            "line 12 variant \"a\": augmentation[1].use 'use' is missing",
        ),
        (
            "[[variant]]\nname = 'a'\nremove = ['augmentation.flop']",
            "'augmentation.flop' is not there to remove; did you mean 'augmentation.flip'? accepts aug",
        ),
        (
            "[[variant]]\nname = 'a'\nremove = ['scheduler']",
            "remove 'scheduler' is not there to remove accepts augmentation",
        ),
        ("[[variant]]\nname = 'a'\nremove = ['my-augmentation.flip']", "'my-augmentation.flip' is not there to remove"),
        (
            "[[variant]]\nname = 'a'\nset = { augmentation = [] }\nremove = ['flip']",
            "'flip' is not there to remove accepts nothing",
        ),
        (
            "[[variant]]\nname = 'a'\nremove = [\n  'augmentation.flip',\n  'augmentation.flip',\n]",
            "line 14 variant \"a\": remove 'augmentation.flip' is not there to remove",
        ),
        (
            "[[variant]]\nname = 'a'\n[[variant]]\nname = 'a'",
            "line 13 variant \"a\": name the name 'a' is taken by another variant",
        ),
        (
            "[[variant]]\nname = 'baseline'",
            "line 11 variant \"baseline\": name the name 'baseline' is taken by another",
        ),
        (
            "[[variant]]\nname = 'a'\nreported = { accuracy = 36.2 }",
            'line 12 variant "a": reported.accuracy 36.2 is not a fraction; write 0.362',
        ),
    ],
)
def test_a_problem_of_a_variant_is_reported(text: str, problem: str) -> None:
    assert problem in told(text)


def test_a_list_of_variants_that_are_no_tables_is_reported() -> None:
    assert refused("variant = [1, 'a']\n" + HEAD) == (
        "s.toml: 2 problems\n"
        "  line 1  variant 1  is not a table; write [[variant]]\n"
        "  line 1  variant 2  is not a table; write [[variant]]"
    )


def test_all_problems_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = """\
        [study]
        name = "a/b"
        seeds = []
        [baseline]
        epochs = 0
        batch_size = 64
        dataset = { use = "digits" }
        modle = { use = "cnn" }
        optimizer = { lr = 0.1 }
        [[variant]]
        name = "a"
        from = "c"
        [[variant]]
        name = "b"
        set = { epoch = 1 }
        """
    found = refused(dedent(text)).splitlines()
    assert found[0] == "s.toml: 7 problems"
    assert re.findall(r"line +(\d+)", "\n".join(found)) == ["2", "3", "4", "5", "8", "12", "15"]


def test_a_problem_is_laid_out_with_its_line_place_and_what_is_accepted() -> None:
    assert refused(HEAD.replace("epochs = 5", "epoch = 0") + "[variant]") == dedent("""\
        s.toml: 3 problems
          line 3   baseline: epochs  'epochs' is missing
          line 4   baseline: epoch   unknown key 'epoch'; did you mean 'epochs'?
                                     accepts model_label, enhancements, reported, note, name, epochs, batch_size, \
dataset, model, optimizer, scheduler, loss, augmentation, label_smoothing, clip_norm, accumulate, ema, precision, \
crop_kernels, task
          line 10  variant           is not a list of tables; write [[variant]]""")


# One mistake is told once


def test_variants_that_come_from_one_with_problems_are_not_reported_wrongly() -> None:
    text = """
        [[variant]]
        name = "a"
        add = { augmentation = [{ use = "cutout" }] }
        nota = "why"
        [[variant]]
        name = "b"
        from = "a"
        remove = ["augmentation.cutout"]
    """
    assert told(text).startswith("1 problem line 14 variant \"a\": nota unknown key 'nota'; did you mean 'note'?")


def test_variants_may_come_from_each_other_a_thousand_times() -> None:
    chain = [f"[[variant]]\nname = '{n}'\nfrom = '{n + 1 if n < 999 else 'baseline'}'\n" for n in range(1000)]
    assert len(variants("".join(chain)).variants) == 1001


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "".join(f"[[variant]]\nname = '{n}'\n" for n in range(1001)),
            "variant 1,001 variants are too many (at most 1,000)",
        ),
        (
            "[[variant]]\nname = 'a'\nadd.augmentation = [" + "{ use = 'flip' }," * 99 + "]",
            'variant "a" has 101 augmentations, too many for one variant (at most 100)',
        ),
    ],
    ids=["variants", "augmentations"],
)
def test_too_many_of_something_is_reported(text: str, problem: str) -> None:
    assert problem in told(text)


def test_too_many_runs_are_reported() -> None:
    text = HEAD.replace('"phases"', '"phases"\nseeds = 1000') + "".join(
        f"[[variant]]\nname='{n}'\n" for n in range(100)
    )
    assert "101 variants with 1,000 seeds are 101,000 runs, too many for one study (at most 100,000)" in refused(text)


def test_steps_of_a_ladder_above_one_with_problems_are_not_reported_wrongly() -> None:
    text = HEAD.replace("[baseline]", "ladder = true\n[baseline]") + dedent("""
        [[variant]]
        add = { augmentation = [{ use = "cutout" }] }
        [[variant]]
        name = "b"
        remove = ["augmentation.cutout"]
    """)
    assert "s.toml: 1 problem\n" in refused(text)


def test_a_problem_of_the_study_table_does_not_end_its_ladder() -> None:
    text = HEAD.replace("[baseline]", "ladder = true\nsedes = 3\n[baseline]") + dedent("""
        [[variant]]
        name = "a"
        add = { augmentation = [{ use = "cutout" }] }
        [[variant]]
        name = "b"
        remove = ["augmentation.cutout"]
    """)
    assert "s.toml: 1 problem\n" in refused(text)


def test_variants_on_a_baseline_with_problems_are_still_checked() -> None:
    found = refused(HEAD.replace("epochs = 5", "epochs = 0") + '[[variant]]\nname = "a"\nfrom = "b"\n')
    assert "s.toml: 2 problems\n" in found
    assert "there is no variant 'b'" in found


def test_what_a_wrong_table_would_have_held_is_not_missed() -> None:
    text = '[[variant]]\nname = "a"\nset = { augmentation = [{ us = "x" }] }\nremove = ["augmentation.x"]\n'
    assert told(text).startswith("1 problem ")


# --set


def edited(old: str, new: str, text: str = "") -> list[Recipe]:
    """Return the recipes of the study with an edit."""
    whole = HEAD + dedent(text)
    assert old in whole
    return [v.recipe for v in read(whole.replace(old, new, 1)).variants]


LADDER = """
    [[variant]]
    name = "Phase 2"
    set = { optimizer = { use = "sgd", lr = 0.1 }, epochs = 7 }
    [[variant]]
    name = "v2.5 lr=0.1"
    from = "Phase 2"
    add = { augmentation = [{ use = "my.cutout", size = 8 }] }
    [[variant]]
    name = "last"
    from = "v2.5 lr=0.1"
    set = { batch_size = 16 }
"""


@pytest.mark.parametrize(
    ("setting", "old", "new"),
    [
        ("baseline.epochs=9", "epochs = 5", "epochs = 9"),
        ("baseline.batch_size = 32", "batch_size = 64", "batch_size = 32"),
        ("baseline.model.width=16", "width = 8", "width = 16"),
        ("baseline.model.depth=2", "width = 8", "width = 8, depth = 2"),
        ("baseline.model.act=relu", "width = 8", 'width = 8, act = "relu"'),
        ('baseline.model.act="3"', "width = 8", 'width = 8, act = "3"'),
        ("baseline.model.block.width=3", "width = 8", "width = 8, block = { width = 3 }"),
        ("baseline.optimizer.lr=1e-2", "lr = 1e-3", "lr = 1e-2"),
        ("baseline.optimizer.betas=[0.9, 0.99]", "lr = 1e-3", "lr = 1e-3, betas = [0.9, 0.99]"),
        ("baseline.model.use=mlp", '{ use = "cnn", width = 8 }', '{ use = "mlp" }'),
        ("baseline.scheduler.use=cosine", "[[variant]]", 'scheduler = { use = "cosine" }\n[[variant]]'),
        ('baseline.scheduler={ use = "cosine" }', "[[variant]]", 'scheduler = { use = "cosine" }\n[[variant]]'),
        ("baseline.dataset.validation=0.2", "validation = 100", "validation = 0.2"),
        ("baseline.dataset.validation=0", "validation = 100", "validation = 0"),
        ("baseline.dataset.train=50", "validation = 100", "validation = 100, train = 50"),
        ("baseline.dataset.size=3", "validation = 100", "validation = 100, size = 3"),
        ("baseline.augmentation.crop.padding=2", "padding = 4", "padding = 2"),
        ("baseline.augmentation=[]", 'augmentation = [{ use = "crop", padding = 4 }, { use = "flip" }]\n', ""),
        ("Phase 2.optimizer.lr=0.2", "lr = 0.1 }", "lr = 0.2 }"),
        ("Phase 2.optimizer.momentum=0", "lr = 0.1 }", "lr = 0.1, momentum = 0 }"),
        ("v2.5 lr=0.1.epochs=3", '2"\nadd', '2"\nset = { epochs = 3 }\nadd'),
        ("v2.5 lr=0.1.augmentation.my.cutout.size=4", "size = 8", "size = 4"),
        ("last.batch_size=15", "batch_size = 16", "batch_size = 15"),
    ],
)
def test_a_setting_of_the_command_line_is_like_an_edit_of_the_file(setting: str, old: str, new: str) -> None:
    assert [v.recipe for v in variants(LADDER, setting).variants] == edited(old, new, LADDER)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.width", "16"),
        ("model.block.width", "3"),
        ("optimizer.betas", "[0.9, 0.99]"),
        ("scheduler.steps", "3"),
        ("dataset.validation", "0.2"),
        ("augmentation.crop.padding", "2"),
    ],
)
def test_a_setting_that_a_variant_sets_alone_is_like_one_of_the_command_line(key: str, value: str) -> None:
    study = variants(f'[[variant]]\nname = "a"\n[variant.set]\n"{key}" = {value}\nepochs = 9\n')
    expected = variants('[[variant]]\nname = "a"\nset = { epochs = 9 }\n', f"a.{key}={value}")
    assert study.variants == expected.variants
    assert study.variants[1].recipe != replace(study.variants[0].recipe, epochs=9)


def test_what_a_variant_adds_comes_after_the_settings_it_sets_alone() -> None:
    study = variants("""
        [[variant]]
        name = "a"
        set = { "augmentation.crop.padding" = 2 }
        add = { augmentation = [{ use = "crop", padding = 8 }] }
    """)
    assert [c.settings.get("padding") for c in study.variants[1].recipe.augmentation] == [2, None, 8]


def test_a_setting_is_inherited() -> None:
    assert [v.recipe.epochs for v in variants(LADDER, "Phase 2.epochs=1").variants] == [5, 1, 1, 1]


def test_a_setting_does_not_reach_what_a_variant_sets_itself() -> None:
    lr = [v.recipe.optimizer.settings["lr"] for v in variants(LADDER, "baseline.optimizer.lr=1").variants]
    assert lr == [1, 0.1, 0.1, 0.1]


def test_settings_are_applied_in_their_order() -> None:
    model = variants("", "baseline.model.use=mlp", "baseline.model.depth=2").variants[0].recipe.model
    assert model == Choice("mlp", {"depth": 2})


def test_the_baseline_can_be_set_by_its_name() -> None:
    text = HEAD.replace("[baseline]", '[baseline]\nname = "Phase 1"')
    assert read(text, "Phase 1.epochs=2").variants[0].recipe.epochs == 2
    assert read(text, "baseline.epochs=2").variants[0].recipe.epochs == 2


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [("study.seeds=2", "seeds", (0, 1)), ("study.title=New", "title", "New"), ("study.ladder=true", "ladder", True)],
)
def test_the_study_itself_can_be_set(setting: str, field: str, value: object) -> None:
    assert getattr(read(HEAD, setting), field) == value


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        (
            "baseline.epochs",
            "--set baseline.epochs is not NAME.KEY=VALUE NAME is study, baseline or a variant's name, as in ",
        ),
        ("epochs=2", "--set epochs=2 is not NAME.KEY=VALUE"),
        ("=2", "--set =2 is not NAME.KEY=VALUE"),
        ("baseline.=2", "--set baseline.=2 is not NAME.KEY=VALUE"),
        ("baseline..epochs=2", "is not NAME.KEY=VALUE"),
        ("basline.epochs=2", "--set basline.epochs=2 is not NAME.KEY=VALUE; did you mean 'baseline'?"),
        ("Phase 3.epochs=2", "--set Phase 3.epochs=2 is not NAME.KEY=VALUE; did you mean 'Phase 2'?"),
        (
            "baseline.epoch=2",
            "--set baseline.epoch there is no 'epoch'; did you mean 'epochs'? accepts epochs, batch_size",
        ),
        ("baseline.epochs=0", "--set baseline.epochs 0 is not an integer above 0"),
        ("baseline.epochs=", '--set baseline.epochs "" is not an integer above 0'),
        ("baseline.epochs=two", '--set baseline.epochs "two" is not an integer above 0'),
        ("baseline.model=mlp", '--set baseline.model "mlp" is not { use = "..." }'),
        (
            "baseline.dataset.validation=-1",
            "--set baseline: dataset.validation -1 is neither a number",
        ),
        (
            "baseline.augmentation.crip.padding=2",
            "there is no 'augmentation.crip.padding'; did you mean 'augmentation.crop.padding'?",
        ),
        ("baseline.augmentation.flip=2", "--set baseline.augmentation.flip there is no 'augmentation.flip'"),
        ("study.seeds=0", "--set study: seeds 0 is not an integer above 0"),
        ("study.seeds=[1, 1]", "--set study: seeds [1, 1] names a seed twice"),
        ("study.sedes=3", "--set study: sedes unknown key 'sedes'; did you mean 'seeds'?"),
        ("study.a.b=3", "--set study: a.b unknown key 'a.b'"),
        ("baseline.epochs=0xffffffffffffffff", "--set baseline.epochs does not fit in 64 bits"),
        (f"baseline.epochs={'9' * 5000}", '--set baseline.epochs "999'),
    ],
)
def test_a_setting_that_cannot_be_is_reported(setting: str, problem: str) -> None:
    assert problem in told(LADDER, setting)


def test_a_setting_that_cannot_be_is_reported_once_however_many_inherit_it() -> None:
    assert told(LADDER, "baseline.epochs=0").startswith("1 problem --set ")


def test_a_setting_of_a_study_that_is_no_table_is_reported() -> None:
    text = "study = 3\n" + HEAD.removeprefix('[study]\nname = "phases"\n')
    assert "study  is not a table; write [study]" in refused(text, "study.seeds=3")


def test_of_very_many_problems_the_first_fifty_are_reported() -> None:
    found = refused(HEAD + "".join(f"k{number} = 1\n" for number in range(60)))
    assert found.startswith("s.toml: 60 problems\n")
    assert found.count("unknown key") == 50
    assert found.endswith("\n  … and 10 more")


def test_problems_of_the_command_line_come_before_those_of_the_file() -> None:
    found = refused(HEAD.replace("batch_size = 64", "batch_size = 0"), "x=1")
    assert re.findall(r"(?m)^  (--set|line \d+)", found) == ["--set", "line 5"]


def test_any_other_error_is_none() -> None:
    """Whatever line of a good study is taken out or doubled, it is read or refused."""
    lines = (HEAD + dedent(LADDER)).splitlines()
    tries: list[Callable[[int], list[str]]] = [
        lambda i: lines[:i] + lines[i + 1 :],
        lambda i: lines[: i + 1] + lines[i:],
        lambda i: [*lines[:i], lines[i].replace("{", "[").replace("}", "]"), *lines[i + 1 :]],
        lambda i: [*lines[:i], re.sub(r"= .*", "= 0", lines[i]), *lines[i + 1 :]],
        lambda i: [*lines[:i], re.sub(r"= .*", "= [{}]", lines[i]), *lines[i + 1 :]],
        lambda i: [*lines[:i], re.sub(r"= .*", '= { use = "x" }', lines[i]), *lines[i + 1 :]],
    ]
    for make in tries:
        for number in range(len(lines)):
            with contextlib.suppress(InputError):
                read("\n".join(make(number)), "Phase 2.epochs=3", "study.seeds=4", "last.augmentation.flip.p=1")


def test_seeds_may_be_added_up_to_a_most() -> None:
    study = read(HEAD.replace("[study]", "[study]\nseeds = { min = 3, max = 12 }", 1))
    assert (study.seeds, study.looks) == (tuple(range(12)), (3, 4, 6, 8, 12))
    study = read(HEAD.replace("[study]", "[study]\nseeds = { max = 5 }", 1))
    assert (study.seeds, study.looks) == ((0, 1, 2, 3, 4), (3, 5))
    assert read(HEAD, seeds=(7, 2)).looks == ()


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        ("{ min = 5, max = 3 }", "line 2 study: seeds.min min = 5 is above max = 3 as in { min = 3, max = 12 }"),
        ("{ min = 1, max = 3 }", "line 2 study: seeds.min 1 is not an integer of at least 2"),
        ("{ min = 2.5, max = 3 }", "line 2 study: seeds.min 2.5 is not an integer of at least 2"),
        ("{ min = 3, max = 4000 }", "line 2 study: seeds 4000 seeds are too many (at most 1,000)"),
        ("{ min = 3, maximum = 4 }", "line 2 study: seeds.maximum unknown key 'maximum'; did you mean 'max'?"),
        ("{ min = 3 }", "line 2 study: seeds.max 'max' is missing"),
        ("{}", "line 2 study: seeds.max 'max' is missing"),
    ],
)
def test_seeds_that_cannot_be_added_are_refused(seeds: str, text: str) -> None:
    refusal = refused(HEAD.replace("[study]", f"[study]\nseeds = {seeds}", 1))
    assert text in re.sub(r"[ \n]+", " ", refusal)
