"""What variants' models and first steps show before anything runs, on made-up probes and on real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from ablate.checks.study import findings
from ablate.paths import probes_dir
from ablate.study.probes import Probe
from ablate.study.toml import parse_study
from ablate.study.walks import Walk
from ablate.training.machine import Machine
from ablate.training.probe import probe
from tests.support import ablate, planned, run_here

if TYPE_CHECKING:
    from ablate.checks.finding import Finding
    from ablate.study.spec import Study

HEAD = """\
[study]
name = "s"
[baseline]
epochs = 10
batch_size = 64
dataset = { use = "digits", validation = 100, train = 1000 }
model = { use = "cnn", width = 8 }
optimizer = { use = "sgd", lr = 1e-1, momentum = 0.9 }
[[variant]]
name = "a"
"""
SAME = Probe(1000, 50_000, "t", "a")


def study(change: str) -> Study:
    return parse_study(f"{HEAD}{change}\n", Path("s.toml")).done()


def found(change: str, ours: Probe, theirs: Probe = SAME, walks: dict[str, Walk] | None = None) -> list[Finding]:
    return list(findings(study(change), walks or {}, {"a": ours, "baseline": theirs}))


FLIP = 'add = { augmentation = [{ use = "flip" }] }'


# Unequal models


def test_models_of_unequal_size_are_noted_with_numbers() -> None:
    (note,) = found('set = { model = { use = "cnn", width = 16 } }', Probe(4000, 150_000, "u", "a"))
    assert (note.code, note.level, note.where) == ("unequal-models", "note", "a")
    assert note.reason == (
        "4 times the parameters (4,000, not 1,000) and 3 times the FLOPs an image (150\N{NO-BREAK SPACE}k, not "
        "50.0\N{NO-BREAK SPACE}k) of baseline: a difference may be the size's"
    )


def test_models_that_differ_by_less_than_a_tenth_or_that_are_not_known_are_not_noted() -> None:
    change = 'set = { model = { use = "cnn", width = 16 } }'
    assert found(change, Probe(1099, 54_000, "u", "a")) == []
    assert findings(study(change), {}, {"a": Probe(4000)}) == ()
    assert found(change, Probe(1000, 0, "u", "a")) == []


# A variant that changes nothing


def test_a_variant_with_the_same_first_steps_and_rates_changes_nothing() -> None:
    (finding,) = found(FLIP, SAME)
    assert (finding.code, finding.level, finding.where) == ("changes-nothing", "serious", "a")
    assert finding.reason.startswith("it trains as baseline does, as augmentation.flip has no effect: first weights")


@pytest.mark.parametrize("ours", [Probe(1000, 50_000, "u", "a"), Probe(1000, 50_000, "t", "b"), Probe(1000, 50_000)])
def test_other_steps_or_other_images_or_none_that_are_known_are_no_finding(ours: Probe) -> None:
    assert found(FLIP, ours) == []


@pytest.mark.parametrize(
    "change",
    [
        "set = { clip_norm = 5.0 }",
        "set = { accumulate = 2 }",
        "set = { batch_size = 128 }",
        'set = { optimizer = { use = "sgd", lr = 1e-1, momentum = 0.9, every = 6 } }',
    ],
)
def test_what_may_act_after_the_first_steps_is_not_said_to_change_nothing(change: str) -> None:
    assert "changes-nothing" not in {finding.code for finding in found(change, SAME)}


def test_another_schedule_changes_nothing_only_where_its_rates_are_the_same() -> None:
    cosine = 'set = { scheduler = { use = "cosine" } }'
    walks = {name: Walk("x", 0.1, 0.1, 0.1) for name in ("a", "baseline")}
    assert [finding.code for finding in found(cosine, SAME)] == []  # not known
    assert "changes-nothing" in {finding.code for finding in found(cosine, SAME, walks=walks)}
    walks["a"] = Walk("y", 0.1, 0.1, 0.1)
    assert "changes-nothing" not in {finding.code for finding in found(cosine, SAME, walks=walks)}


# Settings without effect


def test_a_setting_without_effect_is_told_once_for_all_variants_that_have_it() -> None:
    idle = Probe(1000, 50_000, "t", "a", ("optimizer.momentum",))
    (finding,) = found(FLIP, Probe(1000, 50_000, "t", "b", ("optimizer.momentum",)), idle)
    assert (finding.code, finding.level, finding.where) == ("idle-setting", "warning", "baseline, a")
    assert finding.reason == (
        "optimizer.momentum has no effect: sgd takes the same first steps, bit for bit, with its default"
    )


def test_a_setting_that_makes_a_variant_change_nothing_is_told_once() -> None:
    change = 'set = { optimizer = { use = "sgd", lr = 1e-1, momentum = 0.9, weight_decay = 1e-12 } }'
    told = found(change, Probe(1000, 50_000, "t", "a", ("optimizer.weight_decay",)))
    assert [finding.code for finding in told] == ["changes-nothing"]


# Unequal images, and unequal searches


def test_unequal_training_images_are_doubtful_with_numbers() -> None:
    text = 'set = { dataset = { use = "digits", validation = 100, train = 500 } }'
    (finding,) = findings(study(text))
    assert (finding.code, finding.where) == ("unequal-images", "training images")
    assert "over all epochs (5,000 by a; 10,000 by baseline)" in finding.reason


def test_as_many_more_epochs_make_up_for_fewer_images() -> None:
    text = 'set = { epochs = 20, dataset = { use = "digits", validation = 100, train = 500 } }'
    assert "unequal-images" not in {finding.code for finding in findings(study(text))}


def test_unequal_epochs_say_how_many_images_that_is() -> None:
    (finding,) = findings(study("set = { epochs = 20 }"))
    assert finding.reason.startswith("variants train for 10, 20 epochs (10,000, 20,000 images), so")


def test_a_learning_rate_that_one_side_alone_looks_for_is_doubtful() -> None:
    text = 'set = { optimizer = { use = "sgd", lr = { find = true }, momentum = 0.5 } }'
    (finding,) = findings(study(text))
    assert (finding.code, finding.where) == ("unequal-search", "a")
    assert finding.reason.startswith("finds its learning rate by a range test, and that of baseline is fixed")


def test_a_range_test_that_is_the_question_is_not_doubtful() -> None:
    assert findings(study('set = { optimizer = { use = "sgd", lr = { find = true }, momentum = 0.9 } }')) == ()


# Real first steps

VARIANTS = {
    "never flipped": 'add = { augmentation = [{ use = "flip", p = 0.0 }] }',
    "seldom flipped": 'add = { augmentation = [{ use = "flip", p = 0.02 }] }',
    "no decay": 'set = { optimizer = { use = "adam", lr = 1e-2, weight_decay = 1e-15 } }',
    "decay": 'set = { optimizer = { use = "adam", lr = 1e-2, weight_decay = 1e-4 } }',
    "dropout": 'set = { model = { use = "simple-cnn", width = 4, hidden = 8, dropout = 0.1 } }',
    "unread": 'set = { model = { use = "unread", dropout = 0.5 } }',
    "read": 'set = { model = { use = "unread", width = 3 } }',
    "ema": "set = { ema = 0.99 }",
    "smoothed": "set = { label_smoothing = 0.01 }",
    "wider": 'set = { model = { use = "simple-cnn", width = 8, hidden = 8 } }',
    "cosine": 'set = { scheduler = { use = "cosine" } }',
}
UNREAD = """
from torch import nn

from ablate import model


@model("unread")
def unread(shape, classes, *, width: int = 2, dropout: float = 0.0):
    \"\"\"A model that reads no dropout.\"\"\"
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, classes))
"""


@pytest.fixture
def several(study: Path) -> Path:
    (study.parent.parent / "plugins" / "unread.py").write_text(UNREAD)
    more = "".join(f'[[variant]]\nname = "{name}"\n{change}\n' for name, change in VARIANTS.items())
    study.write_text(study.read_text().replace("seeds = 2", "seeds = 3") + more)
    return study


def test_first_steps_tell_what_has_an_effect_from_what_has_none(several: Path) -> None:
    specs, registry = planned(several)
    probes = {spec.variant: probe(spec, registry, Machine(Path("data"), "cpu", 1)) for spec in specs if not spec.seed}
    base = probes.pop("baseline")
    same = [name for name, one in probes.items() if (one.trained, one.augmented) == (base.trained, base.augmented)]
    assert same == ["never flipped", "no decay", "cosine"]
    assert {name: one.idle for name, one in probes.items() if one.idle} == {
        "no decay": ("optimizer.weight_decay",),
        "unread": ("model.dropout",),
    }
    assert base.parameters == probes["dropout"].parameters < probes["wider"].parameters
    assert base.flops == probes["dropout"].flops < probes["wider"].flops


def test_first_steps_of_a_small_model_take_one_thread_however_many_its_runs_have(study: Path) -> None:
    specs, registry = planned(study)
    before = torch.get_num_threads()
    try:
        few, many = (probe(specs[0], registry, Machine(Path("data"), "cpu", threads)) for threads in (1, 3))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert few == many


def test_check_run_and_report_tell_what_first_steps_show(several: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(text: str) -> dict[str, list[str]]:
        places: dict[str, list[str]] = {}
        for one in json.loads(text):
            places.setdefault(one["code"], []).append(one["where"])
        return places

    checked = told(ablate("check", several, "--json").stdout)
    assert checked["changes-nothing"] == ["never flipped", "no decay"]
    assert checked["idle-setting"] == ["unread"]
    assert "wider" in checked["unequal-models"]
    assert told(json.dumps(json.loads(ablate("plan", several, "--json").stdout)["findings"])) == checked
    assert run_here(several) == 0
    assert "changes-nothing" in capsys.readouterr().err
    for file in probes_dir().glob("*.json"):
        file.unlink()  # a report needs no cache: it reads what is recorded with the study
    assert ablate("report", "--format", "md").exit_code == 0
    assert "changes-nothing" in (Path("reports") / "tiny" / "report.md").read_text()


def test_a_run_tells_at_once_what_trying_out_its_variants_shows(
    several: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several.write_text(several.read_text().replace("batch_size = 16", "batch_size = 15"))  # not known from before
    assert run_here(several, only=("never flipped",)) == 0
    assert "changes-nothing" not in capsys.readouterr().err
    assert run_here(several, only=("baseline",)) == 0
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    tried = next(place for place, line in enumerate(lines) if line.startswith("trying out"))
    (place,) = (place for place, line in enumerate(lines) if "[changes-nothing]" in line)
    assert place > tried
    assert lines[place].startswith("serious: never flipped: it trains as baseline does")


def test_data_that_is_not_here_is_not_fetched_for_a_check(folder: Path) -> None:
    text = HEAD.replace('"digits", validation = 100, train = 1000', '"cifar100", validation = 100')
    text = text.replace('"cnn"', '"simple-cnn"')
    (folder / "s.toml").write_text(f"{text}{FLIP}\n")
    done = ablate("check", "s.toml", "--data-dir", folder / "data")
    assert done.exit_code == 0
    assert "not tried out, so that changes without effect are not found" in done.stderr


def test_a_probe_that_crashes_fails_no_variant(study: Path) -> None:
    """A model that cannot be built with its default, which only a probe tries."""
    ends = "    if dropout != 0.25:\n        raise SystemExit(3)\n    return"
    text = UNREAD.replace('"unread"', '"mine"').replace("    return", ends)
    (study.parent.parent / "plugins" / "mine.py").write_text(text)
    study.write_text(study.read_text().replace('"simple-cnn", width = 4, hidden = 8', '"mine", dropout = 0.25'))
    done = ablate("check", study, "--json")
    assert done.exit_code == 0
    assert "idle-setting" not in done.stdout


@pytest.mark.parametrize("damage", ["[]", '{"probe": 3}', '{"probe": {"parameters": "many"}}'])
def test_a_remembered_probe_that_is_none_is_made_again(several: Path, damage: str) -> None:
    before = ablate("check", several, "--json").stdout
    for file in probes_dir().glob("*.json"):
        file.write_text(damage)
    assert ablate("check", several, "--json").stdout == before


def test_a_probe_is_read_back_as_it_was() -> None:
    one = Probe(3, 4, "t", "a", ("model.dropout",))
    assert Probe.of(json.loads(json.dumps(one.document()))) == one
