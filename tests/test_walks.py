"""Schedules walked over a run before anything is trained: what is doubtful in them, and what fails in the end."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ablate import Horizon
from ablate.api.records import read_records
from ablate.checks.study import findings
from ablate.components.discover import discover
from ablate.errors import InputError
from ablate.paths import shipped, walks_dir
from ablate.store.store import Store
from ablate.store.studies import find_study
from ablate.study.spec import Choice, Recipe, Study, Variant
from ablate.study.toml import read_study
from ablate.study.walks import Walk
from ablate.training.schedule_walk import Course, walk
from tests.support import ablate, run_here

if TYPE_CHECKING:
    from ablate.checks.finding import Finding
    from ablate.components.registry import Registry

RUN = Horizon(12, 10)
SGD = Choice("sgd", {"lr": 0.1, "momentum": 0.9})
PLUGIN = """
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from ablate import optimizer, scheduler


@optimizer("two-groups")
def two_groups(params, *, lr: float = 0.1, head: float = 10.0, weight_decay: float = 1e-4):
    first, *rest = params
    return SGD([{"params": [first], "lr": lr * head}, {"params": rest}], lr=lr, weight_decay=weight_decay)


@scheduler("second-alone", steps="epoch")
def second_alone(optimizer, horizon):
    return LambdaLR(optimizer, [lambda epoch: 1.0, lambda epoch: 0.5**epoch])


@scheduler("decays-decay", steps="batch")
def decays_decay(optimizer, horizon):
    class Decay(LRScheduler):
        def get_lr(self):
            for group in self.optimizer.param_groups:
                group["weight_decay"] = 1e-3 * 0.99**self.last_epoch
            return [group["lr"] for group in self.optimizer.param_groups]

    return Decay(optimizer)


@scheduler("needs-a-loss", steps="epoch")
def needs_a_loss(optimizer, horizon):
    class Needs(LambdaLR):
        def step(self, *loss):
            if self.last_epoch >= 0 and not loss and hasattr(self, "begun"):
                raise ValueError("no loss")
            self.begun = True
            super().step()

    return Needs(optimizer, lambda epoch: 1.0)


@scheduler("looks-now-and-then", steps="batch")
def looks_now_and_then(optimizer, horizon, *, at: str = "gradient"):
    class Looks(LRScheduler):
        def get_lr(self):
            rates = [group["lr"] for group in self.optimizer.param_groups]
            if self.last_epoch < 10 or self.last_epoch % 10:
                return rates
            first = self.optimizer.param_groups[0]["params"][0]
            if at == "gradient":
                far = first.grad.norm()
            elif at == "gradient, if any":
                far = 0.0 if first.grad is None else first.grad.norm()
            elif at == "momentum":
                far = self.optimizer.state[first]["momentum_buffer"].norm()
            else:
                far = first.norm()
            return [rate / (1 + float(far)) for rate in rates]

    return Looks(optimizer)


@optimizer("odd")
def odd(params, *, lr: float = 0.1):
    raise RuntimeError("knows real networks only")
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("walks")
    (folder / "mine.py").write_text(PLUGIN)
    return discover(None, (folder / "mine.py",))


def walked(registry: Registry, use: str, optimizer: Choice = SGD, horizon: Horizon = RUN, **settings: Any) -> Walk:
    own, schedule = registry.get("optimizer", optimizer.use), registry.get("scheduler", use)
    checked = own.check(optimizer.settings), schedule.check(settings)
    assert not checked[0].problems + checked[1].problems
    found = walk(Course(own, schedule, checked[0].settings, checked[1].settings, horizon))
    assert found is not None
    return found


def told(walk: Walk, use: str, epochs: int = 12) -> list[Finding]:
    recipe = Recipe(epochs, 64, Choice("digits"), Choice("cnn"), SGD, Choice(use))
    study = Study("s", "", (Variant("a", recipe), Variant("b", recipe)), (0, 1, 2), metric="validation/accuracy")
    found = findings(study, {"a": walk, "b": walk})
    assert {finding.where for finding in found} <= {"a, b"}  # what is the same is told once
    return list(found)


# What is doubtful


@pytest.mark.parametrize(
    ("use", "settings", "code", "reason"),
    [
        (
            "torch:PolynomialLR",
            {},
            "rate-zero",
            "with torch:PolynomialLR the learning rate is 0 after epoch 5 of 12, to the end",
        ),
        (
            "torch:OneCycleLR",
            {"max_lr": 0.1, "total_steps": 1000},
            "schedule-unfinished",
            "the run ends after 12 of the 100 epochs that torch:OneCycleLR takes, at 100% of the highest learning rate",
        ),
        ("cosine", {"t_max": 100}, "schedule-unfinished", "the run ends after 12 of the 100 epochs that cosine takes"),
        (
            "torch:CosineAnnealingWarmRestarts",
            {"T_0": 11},
            "rate-rises-again",
            "after epoch 10 of 12, then rises again and is back at its maximum after epoch 11; the run ends at 100%",
        ),
        (
            "torch:MultiStepLR",
            {"milestones": [30, 60]},
            "rate-constant",
            "the learning rate stays at 0.1 for the whole run: torch:MultiStepLR first changes it after epoch 30 of 12",
        ),
        ("step", {"step_size": 12}, "rate-constant", "step first changes it after epoch 12 of 12"),
        ("torch:ConstantLR", {"factor": 1.0}, "rate-constant", "the learning rate stays at 0.1 for the whole run"),
        ("torch:StepLR", {"step_size": 5, "gamma": 1.0}, "rate-constant", "stays at 0.1 for the whole run"),
        (
            "cosine",
            {"t_max": 5},
            "rate-rises-again",
            "after epoch 5 of 12, then rises again and is back at its maximum after epoch 10; the run ends at 90%",
        ),
        ("cosine", {"t_max": 10}, "rate-rises-again", "after epoch 10 of 12, then rises again to the end"),
        ("torch:CosineAnnealingLR", {"T_max": 5}, "rate-rises-again", "after epoch 5 of 12"),
        ("second-alone", {}, "", ""),
    ],
)
def test_a_schedule_that_does_not_fit_its_run_is_doubtful(
    registry: Registry, use: str, settings: dict[str, Any], code: str, reason: str
) -> None:
    optimizer = Choice("two-groups") if use == "second-alone" else SGD
    found = [f for f in told(walked(registry, use, optimizer, **settings), use) if f.code != "no-effect"]
    assert [finding.code for finding in found] == [code] * bool(code)
    assert all(reason in finding.reason for finding in found)


@pytest.mark.parametrize(
    ("use", "settings"),
    [
        ("cosine", {}),
        ("cosine", {"t_max": 12}),
        ("cosine", {"t_max": 14}),
        ("step", {}),
        ("warmup-cosine", {}),
        ("torch:MultiStepLR", {"milestones": [6, 9]}),
        ("torch:ExponentialLR", {"gamma": 0.9}),
        ("torch:LinearLR", {}),
        ("torch:CosineAnnealingWarmRestarts", {"T_0": 4}),  # restarts are meant, and the last one ends with the run
    ],
)
def test_a_schedule_that_fits_its_run_is_not_doubtful(registry: Registry, use: str, settings: dict[str, Any]) -> None:
    assert told(walked(registry, use, **settings), use) == []


@pytest.mark.parametrize("epochs", [2, 3, 5])
@pytest.mark.parametrize("use", ["cosine", "warmup-cosine", "one-cycle", "torch:LinearLR"])
def test_a_schedule_as_long_as_a_short_run_is_not_doubtful(registry: Registry, use: str, epochs: int) -> None:
    own = {"start_factor": 1.0, "end_factor": 0.01, "total_iters": epochs}
    settings: dict[str, Any] = own if use == "torch:LinearLR" else {}
    found = told(walked(registry, use, horizon=Horizon(epochs, 10), **settings), use, epochs)
    assert [finding.code for finding in found if finding.code != "no-effect"] == []


def test_in_one_epoch_a_schedule_of_epochs_changes_nothing_and_no_length_would_help(registry: Registry) -> None:
    (found,) = told(walked(registry, "cosine", horizon=Horizon(1, 10)), "cosine", 1)
    assert found.code == "rate-constant"
    assert "a schedule that steps after each batch" in found.remedy


def test_the_phases_of_the_shipped_study_rise_again(registry: Registry) -> None:
    phases = read_study(shipped("studies") / "cifar100_phases.toml").done()
    turns = {
        variant.name: walked(registry, "cosine", horizon=Horizon(recipe.epochs, 10), **recipe.scheduler.settings).turn
        for variant in phases.variants
        if (recipe := variant.recipe).scheduler.use == "cosine"
    }
    assert math.isnan(turns.pop("Phase 3"))
    assert turns == {"Phase 4": 10, "Phase 5": 10}


# Settings without effect


@pytest.mark.parametrize(
    ("use", "optimizer", "settings", "taken"),
    [
        ("one-cycle", SGD, {}, ("momentum",)),
        ("one-cycle", SGD, {"cycle_momentum": False}, ()),
        ("one-cycle", Choice("sgd", {"lr": 0.1, "momentum": 0.0}), {}, ()),
        ("one-cycle", Choice("adam", {"lr": 0.1}), {}, ("betas[0]",)),
        ("torch:OneCycleLR", SGD, {"max_lr": 0.1}, ("lr", "momentum")),
        ("torch:CyclicLR", Choice("torch:AdamW"), {"base_lr": 0.01, "max_lr": 0.1}, ("lr", "betas[0]")),
        ("cosine", SGD, {}, ()),
        ("decays-decay", Choice("two-groups"), {}, ("weight_decay",)),
        ("second-alone", Choice("two-groups"), {}, ()),
    ],
)
def test_settings_that_the_schedule_replaces_at_every_step_have_no_effect(
    registry: Registry, use: str, optimizer: Choice, settings: dict[str, Any], taken: tuple[str, ...]
) -> None:
    assert walked(registry, use, optimizer, **settings).taken == taken


def test_a_setting_without_effect_leaves_the_same_trace_and_one_with_effect_another(registry: Registry) -> None:
    def trace(lr: float, use: str, **settings: Any) -> str:
        return walked(registry, use, Choice("sgd", {"lr": lr}), **settings).trace

    assert trace(0.1, "torch:OneCycleLR", max_lr=0.1) == trace(1.0, "torch:OneCycleLR", max_lr=0.1)
    assert trace(0.1, "one-cycle") == trace(1.0, "torch:OneCycleLR", max_lr=0.1)
    assert trace(0.1, "one-cycle") != trace(1.0, "one-cycle")


# What fails before the run has ended


def test_a_schedule_with_too_few_steps_is_a_problem(registry: Registry) -> None:
    with pytest.raises(InputError, match=r"fails after step 109 of 120 .*\nthe run has 12 epochs of 10 steps: make"):
        walked(registry, "torch:OneCycleLR", max_lr=0.1, epochs=12, steps_per_epoch=9)


def test_a_schedule_as_long_as_the_run_is_none(registry: Registry) -> None:
    assert math.isnan(walked(registry, "torch:OneCycleLR", max_lr=0.1, epochs=12, steps_per_epoch=10).idle)


@pytest.mark.parametrize(("own", "use"), [("sgd", "torch:ReduceLROnPlateau"), ("odd", "cosine")])
def test_what_depends_on_training_is_not_walked(registry: Registry, own: str, use: str) -> None:
    entries = registry.get("optimizer", own), registry.get("scheduler", use)
    assert walk(Course(*entries, {"lr": 0.1}, {}, RUN)) is None


# A study


@pytest.fixture
def schedules(study: Path) -> Path:
    head, variant, rest = study.read_text().partition("[[variant]]")
    taken = head.replace("lr = 1e-2", "lr = 1e-2, betas = [0.8, 0.99]") + 'scheduler = { use = "one-cycle" }\n'
    flat = '[[variant]]\nname = "flat"\nset = { scheduler = { use = "step", step_size = 9 } }\n'
    study.write_text(taken + variant + rest + flat)
    return study


def test_plan_run_and_report_tell_the_same(schedules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned = json.loads(ablate("plan", schedules, "--json").stdout)["findings"]
    codes = {finding["code"]: finding["where"] for finding in planned}
    assert codes["no-effect"] == "baseline, flipped"
    assert codes["rate-constant"] == "flat"
    run_here(schedules)
    assert "optimizer.betas[0] has no effect" in capsys.readouterr().err
    reported = read_records(*find_study(Store(Path("ablate-store").resolve()), "tiny", None)).findings
    assert json.loads(json.dumps([vars(finding) for finding in reported])) == planned


def test_only_settings_that_the_study_names_are_reported(schedules: Path) -> None:
    schedules.write_text(schedules.read_text().replace(", betas = [0.8, 0.99]", ""))
    assert "no-effect" not in ablate("plan", schedules).stdout


def test_a_schedule_that_fails_is_a_problem_of_the_file_with_its_line(schedules: Path) -> None:
    short = '"torch:OneCycleLR", max_lr = 0.1, total_steps = 5'
    schedules.write_text(schedules.read_text().replace('"step", step_size = 9', short))
    for command in ("plan", "run", "tune", "lr-find"):
        done = ablate(command, schedules)
        assert done.exit_code == 2
        assert "1 problem\n  line 17  variant 'flat': scheduler  torch:OneCycleLR ends before the run" in done.stderr
    assert not list(Path("ablate-store").glob("runs/*"))


def test_a_pilot_walks_nothing(schedules: Path) -> None:
    done = ablate("plan", schedules, "--pilot", "--json")
    assert {"no-effect", "rate-constant"}.isdisjoint(f["code"] for f in json.loads(done.stdout)["findings"])


def test_a_second_plan_needs_no_torch_and_says_the_same(schedules: Path) -> None:
    code = (
        "import sys\nfrom ablate.cli import app\n"
        f"try:\n    app(['plan', {str(schedules)!r}])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print('\\n', 'torch' in sys.modules)"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert said[1][-1] == "False"
    assert said[0][:-1] == said[1][:-1]


@pytest.mark.parametrize(
    "damage", ["", "[]", '{"walk": 3}', '{"walk": {"trace": "x", "peak": "high", "last": 1, "after": 1}}']
)
def test_a_remembered_walk_that_is_none_is_made_again(schedules: Path, damage: str) -> None:
    before = ablate("plan", schedules).stdout
    files = list(walks_dir().glob("*.json"))
    assert files
    for file in files:
        file.write_text(damage)
    assert ablate("plan", schedules).stdout == before


def test_a_walk_is_read_back_as_it_was(registry: Registry) -> None:
    for use in ("one-cycle", "cosine", "step"):
        found = walked(registry, use)
        assert Walk.of(json.loads(json.dumps(found.document()))) is not None
        assert str(Walk.of(json.loads(json.dumps(found.document())))) == str(found)


def test_a_study_recorded_without_walks_still_reads(schedules: Path) -> None:
    run_here(schedules)
    (file,) = (Path("ablate-store") / "studies").glob("*.json")
    document = json.loads(file.read_text())
    assert document.pop("walks")
    file.write_text(json.dumps(document))
    codes = {f.code for f in read_records(*find_study(Store(Path("ablate-store").resolve()), "tiny", None)).findings}
    assert codes
    assert "rate-constant" not in codes


# Tuning, and a range of rates


TAKEN = 'scheduler = { use = "torch:CyclicLR", base_lr = 0.01, max_lr = 0.1, step_size_up = 4 }'
TUNE = """
[tune]
trials = 1
[tune.settings]
"optimizer.lr" = { low = 1e-3, high = 1e-1, log = true }
"""


@pytest.fixture
def taken(study: Path) -> Path:
    study.write_text(study.read_text().replace("lr = 1e-2 }", f"lr = 1e-2 }}\n{TAKEN}") + TUNE)
    return study


def test_a_space_in_which_nothing_has_an_effect_is_refused_before_any_trial(taken: Path) -> None:
    done = ablate("tune", taken)
    assert done.exit_code == 2
    assert "variant 'baseline': no tuned setting has an effect (optimizer.lr): torch:CyclicLR puts" in done.stderr
    assert not list(Path("ablate-store").glob("runs/*"))


def test_without_a_space_of_its_own_a_setting_without_effect_is_found_too(taken: Path) -> None:
    taken.write_text(taken.read_text().partition("[tune.settings]")[0])
    assert (
        "warning: optimizer.lr has no effect under torch:CyclicLR (baseline, flipped)" in ablate("tune", taken).stderr
    )


def test_a_tuned_setting_without_effect_is_reported_beside_one_with_effect(taken: Path) -> None:
    taken.write_text(taken.read_text() + '"model.hidden" = { values = [4, 8] }\n')
    done = ablate("tune", taken)
    assert done.exit_code == 0
    assert "warning: optimizer.lr has no effect under torch:CyclicLR (baseline, flipped)" in done.stderr


def test_a_setting_of_the_schedule_that_trials_never_come_to_has_no_effect(study: Path) -> None:
    space = TUNE.replace('"optimizer.lr" = { low = 1e-3, high = 1e-1, log = true }', '"scheduler.step_size" = SPACE')
    text = study.read_text().replace("lr = 1e-2 }", 'lr = 1e-2 }\nscheduler = { use = "step" }')
    study.write_text(text + space.replace("SPACE", "{ low = 5, high = 9 }"))
    assert "no tuned setting has an effect (scheduler.step_size)" in ablate("tune", study).stderr
    study.write_text(text + space.replace("SPACE", "{ low = 1, high = 9 }"))
    assert ablate("tune", study).exit_code == 0


def test_a_range_test_says_where_its_rate_belongs(taken: Path) -> None:
    done = ablate("lr-find", taken, "--steps", "30", "--only", "baseline", "--only", "flipped")
    assert (
        "baseline: optimizer.lr has no effect under torch:CyclicLR: set what was found in torch:CyclicLR" in done.stderr
    )
    assert "next:" not in done.stderr
    assert [t["has_effect"] for t in json.loads(ablate("lr-find", taken, "--json").stdout)["tests"]] == [False] * 2


def test_a_rate_that_is_found_and_not_used_is_doubtful(taken: Path) -> None:
    taken.write_text(taken.read_text().replace("lr = 1e-2 }", "lr = { find = true } }"))
    assert "optimizer.lr has no effect, though it is looked for: torch:CyclicLR puts" in ablate("plan", taken).stdout


@pytest.mark.parametrize("at", ["gradient", "gradient, if any", "momentum", "weight"])
def test_a_schedule_that_looks_at_the_training_now_and_then_is_not_walked(registry: Registry, at: str) -> None:
    own, schedule = registry.get("optimizer", "sgd"), registry.get("scheduler", "looks-now-and-then")
    settings = own.check(SGD.settings).settings, schedule.check({"at": at}).settings
    assert walk(Course(own, schedule, *settings, RUN)) is None
    assert walk(Course(own, schedule, *settings, Horizon(1, 5))) is None  # it looks after the run's end alone


@pytest.mark.parametrize(
    ("use", "settings", "times"),
    [
        ("cosine", {"t_max": 2}, 2),  # after epochs 4 and 8 of 12
        ("cosine", {"t_max": 5}, 1),
        ("torch:CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 10}, 5),  # a period of two epochs
        ("torch:CosineAnnealingWarmRestarts", {"T_0": 3}, 3),
        ("cosine", {}, 0),
        ("step", {"step_size": 3}, 0),
    ],
)
def test_how_often_a_periodic_schedule_is_back_at_its_maximum_is_counted(
    registry: Registry, use: str, settings: dict[str, Any], times: int
) -> None:
    found = walked(registry, use, **settings)
    assert found.times == times
    said = [finding.reason for finding in told(found, use) if finding.code == "rate-rises-again"]
    assert all((f"the first of {times} times" in reason) == (times > 1) for reason in said)


def test_the_fifth_phase_is_told_to_be_back_at_its_maximum_at_epoch_20(registry: Registry) -> None:
    walk = walked(registry, "cosine", horizon=Horizon(30, 10), t_max=10)
    (found,) = told(walk, "cosine", 30)
    assert found.reason == (
        "with cosine the learning rate reaches its minimum after epoch 10 of 30, then rises again and is back at its "
        "maximum after epoch 20; the run ends at 2% of the maximum"
    )
