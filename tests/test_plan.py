"""Runs in order, their keys, and why one is new."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from ablate.components.discover import discover
from ablate.study.plan import cost_key, explain, plan_runs, run_specs
from ablate.study.resolve import resolve_study
from ablate.study.toml import Changes, parse_study

if TYPE_CHECKING:
    from ablate.components.registry import Registry
    from ablate.metrics import RunState
    from ablate.study.spec import RunSpec, Study

PLUGIN = """\
from ablate import DataFacts, ImageShape, Source, augmentation, dataset, model, optimizer


@dataset("tiny")
def tiny(folder, *, print: str = "f") -> Source:
    return Source(lambda: DataFacts(print, ImageShape(1, 8, 8), 10, 100, 20), dict)


SCALE = 3


@model("net")
def net(shape, classes, *, width: int = 8, act: str = "relu"):
    return width * SCALE


@model("other")
def other(shape, classes, *, depth: int = 2): ...


@augmentation("blur")
def blur(*, size: int = 3): ...


@optimizer("step")
def step(params, *, lr: float = 0.1): ...


@optimizer("leap")
def leap(params, *, lr: float = 0.1): ...
"""
NET_LINE = PLUGIN[: PLUGIN.index('@model("net")')].count("\n") + 1

STUDY = """\
[study]
name = "s"
seeds = 2
[baseline]
epochs = 5
batch_size = 8
dataset = { use = "tiny", validation = 10 }
model = { use = "net", act = "gelu" }
optimizer = { use = "step" }
augmentation = [{ use = "blur" }, { use = "flip" }]
[[variant]]
name = "wide"
set = { model = { use = "net", width = 16 } }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin above, which no test changes."""
    return write(tmp_path_factory.mktemp("plan"), PLUGIN)


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def write(folder: Path, plugin: str) -> Path:
    (folder / "plugins").mkdir(parents=True)
    (folder / "plugins/mine.py").write_text(plugin)
    return folder


@lru_cache
def registry(folder: Path) -> Registry:
    """Discover the plugins of a folder once."""
    return discover(folder / "s.toml")


def resolved(text: str = STUDY, *settings: str) -> Study:
    return resolve_study(parse_study(text, Path("s.toml"), Changes(settings)), registry(Path.cwd()), Path("data"), {})


def specs(text: str = STUDY, *settings: str) -> list[RunSpec]:
    found = resolved(text, *settings)
    return run_specs(found, found.seeds)


def keys(text: str = STUDY, *settings: str) -> list[str]:
    return [spec.key for spec in specs(text, *settings)]


def edited(old: str, new: str) -> str:
    assert old in STUDY
    return STUDY.replace(old, new, 1)


# Order and keys


def test_runs_are_ordered_by_seed_first() -> None:
    assert [(s.seed, s.variant) for s in specs()] == [(0, "baseline"), (0, "wide"), (1, "baseline"), (1, "wide")]


def test_every_run_of_a_study_has_its_own_key() -> None:
    assert len(set(keys())) == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "s"', 'name = "t"\ntitle = "T"\nlabel = "Phase"\nnote = "n"\nmetric = "test/loss"'),
        ('name = "wide"', 'name = "broad"'),
        ("[baseline]", '[baseline]\nname = "first"'),
        (
            'name = "wide"',
            'name = "wide"\nnote = "n"\nmodel_label = "m"\nenhancements = ["x"]\nreported = { loss = 1.0 }',
        ),
        ('{ use = "net", act = "gelu" }', '{ act = "gelu", use = "net" }'),
        ("epochs = 5\nbatch_size = 8", "batch_size = 8\nepochs = 5"),
        ('{ use = "step" }', '{ use = "step", lr = 0.1 }'),
        ('{ use = "net", width = 16 }', '{ act = "relu", width = 16, use = "net" }'),
        ('{ use = "blur" }', '{ size = 3, use = "blur" }'),
        ("validation = 10", "validation = 0.1"),
        ('optimizer = { use = "step" }', 'optimizer = { use = "step" }\nscheduler = { use = "constant" }'),
        ('name = "wide"', 'from = "baseline"\nname = "wide"'),
        ("seeds = 2", "seeds = [0, 1]"),
        ('[study]\nname = "s"\nseeds = 2\n[baseline]', '# a comment\n[study]\nseeds = 2\nname = "s"\n\n[baseline]'),
    ],
)
def test_what_cannot_change_a_result_changes_no_key(old: str, new: str) -> None:
    assert keys(edited(old, new)) == keys()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs = 5", "epochs = 6"),
        ("batch_size = 8", "batch_size = 9"),
        ("validation = 10", "validation = 11"),
        ("validation = 10", "validation = 10, test = 10"),
        ('use = "tiny"', 'use = "tiny", print = "g"'),
        ('{ use = "step" }', '{ use = "step", lr = 0.2 }'),
        ('{ use = "step" }', '{ use = "sgd", lr = 0.1 }'),
        ('{ use = "blur" }, { use = "flip" }', '{ use = "flip" }, { use = "blur" }'),
        ('{ use = "blur" }, { use = "flip" }', '{ use = "blur" }'),
        ('optimizer = { use = "step" }', 'optimizer = { use = "step" }\nscheduler = { use = "cosine" }'),
    ],
)
def test_what_changes_a_result_changes_every_key(old: str, new: str) -> None:
    assert not set(keys(edited(old, new))) & set(keys())


def test_a_change_of_one_variant_leaves_the_keys_of_the_others() -> None:
    changed = keys(edited("width = 16", "width = 17"))
    assert [a == b for a, b in zip(changed, keys(), strict=True)] == [True, False, True, False]


def test_more_seeds_leave_the_keys_of_those_before() -> None:
    assert keys(edited("seeds = 2", "seeds = 3"))[:4] == keys()


def test_keys_are_those_of_every_process(here: Path) -> None:
    (here / "s.toml").write_text(STUDY, encoding="utf-8")
    code = dedent("""
        from pathlib import Path
        from ablate.components.discover import discover
        from ablate.study.plan import run_specs
        from ablate.study.resolve import resolve_study
        from ablate.study.toml import read_study
        found = resolve_study(read_study(Path("s.toml")), discover(), Path("elsewhere"), {})
        print([spec.key for spec in run_specs(found, found.seeds)])
    """)
    for seed in ("1", "4242"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{keys()}\n"


def test_keys_do_not_depend_on_where_the_plugin_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys()
    monkeypatch.chdir(write(tmp_path, PLUGIN))
    assert keys() == before


def test_an_identity_is_a_plain_document() -> None:
    identity = specs()[0].identity
    assert json.loads(json.dumps(identity)) == identity
    assert identity["dataset"]["splits"] == {"train": 90, "validation": 10, "test": 20}


# Why a run is new


def why(text: str, *settings: str, index: int = 0) -> str:
    """Say why the run of an edited study is new, after that of the study as it was."""
    before, now = specs()[index], specs(text, *settings)[index]
    return explain(now, before.identity)


def test_a_run_that_nothing_stands_for_was_not_run_yet() -> None:
    assert explain(specs()[0], None) == "not run yet"


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("baseline.epochs=6", "epochs 5 → 6"),
        ("baseline.optimizer.lr=0.25", "optimizer.lr 0.1 → 0.25"),
        ("baseline.optimizer.lr=0.1000001", "optimizer.lr 0.1 → 0.1000001"),
        ("baseline.model.act=relu", "model.act gelu → relu"),
        ("baseline.augmentation.blur.size=5", "augmentation.blur.size 3 → 5"),
        ("baseline.dataset.validation=20", "dataset.train 90 → 80; dataset.validation 10 → 20"),
        ("baseline.model.use=other", "model net → other"),
        ("baseline.scheduler.use=cosine", "scheduler constant → cosine"),
        ("baseline.dataset.print=g", "dataset.print f → g; the data changed"),
    ],
)
def test_a_changed_setting_is_reported_with_both_values(setting: str, reason: str) -> None:
    assert why(STUDY, setting) == reason


@pytest.mark.parametrize(
    ("augmentation", "reason"),
    [
        ("[]", "augmentation.blur removed; augmentation.flip removed"),
        ('[{ use = "blur" }]', "augmentation.flip removed"),
        ('[{ use = "blur" }, { use = "flip" }, { use = "cutout" }]', "augmentation.cutout added"),
        ('[{ use = "blur" }, { use = "flip" }, { use = "blur", size = 9 }]', "augmentation.blur#2 added"),
        ('[{ use = "blur", size = 9 }, { use = "flip" }]', "augmentation.blur.size 3 → 9"),
        ('[{ use = "flip" }, { use = "blur" }]', "the order of the augmentations changed"),
    ],
)
def test_changed_augmentations_are_reported(augmentation: str, reason: str) -> None:
    assert why(edited('[{ use = "blur" }, { use = "flip" }]', augmentation)) == reason


def test_an_edit_of_a_plugin_is_reported_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = specs()[0]
    monkeypatch.chdir(write(tmp_path, "\n" + PLUGIN.replace("SCALE = 3", "SCALE = 4")))
    found = resolved()
    now = run_specs(found, [0])[0]
    assert explain(now, before.identity) == f"source of model net changed (plugins/mine.py:{NET_LINE + 1})"
    assert now.key != before.key


def test_an_edit_that_changes_no_code_makes_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys()
    monkeypatch.chdir(write(tmp_path, PLUGIN.replace("SCALE = 3", "# how much wider\nSCALE = 3")))
    assert keys() == before


def test_changed_data_are_reported() -> None:
    now = specs()[0]
    before: Any = {**now.identity, "dataset": {**now.identity["dataset"], "fingerprint": "g"}}
    assert explain(now, before) == "the data changed"


def test_an_engine_that_computes_otherwise_is_reported() -> None:
    now = specs()[0]
    assert explain(now, {**now.identity, "engine": 0}) == "this version of ablate computes results differently"


def test_a_setting_may_be_called_like_a_part_of_the_identity() -> None:
    now = specs()[0]
    model = {**now.identity["model"], "settings": {**now.identity["model"]["settings"], "source": "a"}}
    assert explain(now, {**now.identity, "model": model}) == "model.source a → none"


# The plan


def test_only_new_runs_have_a_reason() -> None:
    runs = specs()
    states: dict[str, RunState] = dict(zip(keys(), ("stored", "failed", "unfinished", "new"), strict=True))
    planned = plan_runs(runs, lambda key: states[key], lambda _: None)
    assert [(p.state, p.why) for p in planned] == [
        ("stored", ""),
        ("failed", ""),
        ("unfinished", ""),
        ("new", "not run yet"),
    ]


# The time of a step


@pytest.mark.parametrize(
    "setting",
    [
        "baseline.epochs=6",
        "baseline.scheduler.use=cosine",
        "baseline.dataset.validation=20",
        "baseline.dataset.print=g",
    ],
)
def test_what_costs_no_time_in_a_step_leaves_its_cost_known(setting: str) -> None:
    assert cost_key(specs(STUDY, setting)[0]) == cost_key(specs()[0])


def test_seeds_cost_the_same() -> None:
    runs = specs()
    assert cost_key(runs[0]) == cost_key(runs[2])


@pytest.mark.parametrize(
    "setting",
    [
        "baseline.batch_size=16",
        "baseline.model.width=9",
        "baseline.augmentation=[]",
        "baseline.optimizer.use=leap",
    ],
)
def test_what_costs_time_in_a_step_has_its_own_cost(setting: str) -> None:
    assert cost_key(specs(STUDY, setting)[0]) != cost_key(specs()[0])
