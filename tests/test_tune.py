"""Tuning: where it looks, what it asks, what it tells, and what is left when it is interrupted."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import pytest

from ablate.api.results import results
from ablate.commands.tune import TuneOptions, tune_study
from ablate.commands.tune_trials import open_searches
from ablate.components.contracts import Range, Values
from ablate.errors import InputError, StudyError
from ablate.execute.inline import Inline
from ablate.execute.local import LocalProcesses
from ablate.launch.study import LoadedStudy, open_study
from ablate.launch.tuned import with_tuned
from ablate.store.store import Store
from ablate.study.spec import Choice
from ablate.study.toml import read_study
from ablate.tune.records import VariantTuning, load_tunings
from ablate.tune.samplers import GridSampler, distribution, make_pruner, make_sampler
from ablate.tune.space import tasks
from ablate.tune.storage import open_storage
from tests.support import ablate, options

if TYPE_CHECKING:
    from ablate.tune.search import Search

Write = Callable[[str, str], Path]

TUNE = """
[tune]
trials = 4
pruner = "none"

[tune.settings]
"optimizer.lr" = { low = 1e-3, high = 1e-1, log = true }
"model.hidden" = { low = 4, high = 12, step = 4 }
"""


def tune(study: Path, *only: str, **how: Any) -> tuple[VariantTuning, ...]:
    settings = how.pop("settings", ())
    tune_study(options(study, *settings, only=only), TuneOptions(jobs=1, **how), Inline())
    return load_tunings(Store(Path("ablate-store")), "tiny")


def with_table(study: Path, table: str = TUNE) -> Path:
    study.write_text(study.read_text() + table)
    return study


def refused(study: Path, table: str) -> str:
    with pytest.raises((StudyError, InputError)) as told:
        tune(with_table(study, table))
    return re.sub(r"[ \n]+", " ", str(told.value))


# What a trial is


def test_every_variant_gets_the_same_trials_and_its_own_settings_first(study: Path) -> None:
    found = tune(with_table(study))
    assert [t.variant for t in found] == ["baseline", "flipped"]
    for tuning in found:
        assert [trial.number for trial in tuning.trials] == [0, 1, 2, 3]
        assert [trial.default for trial in tuning.trials] == [True, False, False, False]
        assert tuning.trials[0].settings == {"optimizer.lr": 1e-2, "model.hidden": 8}
        assert {trial.state for trial in tuning.trials} == {"done"}
        assert tuning.best is not None
        assert tuning.best.values[0] == max(trial.values[0] for trial in tuning.trials)
        assert all(1e-3 <= trial.settings["optimizer.lr"] <= 1e-1 for trial in tuning.trials)
        assert {trial.settings["model.hidden"] for trial in tuning.trials} <= {4, 8, 12}


def test_a_trial_is_an_ordinary_run_with_a_seed_and_without_the_test_split(study: Path) -> None:
    (found, _) = tune(with_table(study))
    store = Store(Path("ablate-store"))
    for trial in found.trials:
        identity = (store.run(trial.key).spec() or {})["identity"]
        assert identity["seed"] == 1000
        assert identity["dataset"]["splits"]["test"] == 0
        assert identity["optimizer"]["settings"]["lr"] == trial.settings["optimizer.lr"]
        result = store.run(trial.key).result() or {}
        assert result["validation/accuracy"] == trial.values[0]
        assert not any(name.startswith("test/") for name in result)
        assert not any(name.startswith("test/") for record in store.run(trial.key).history() for name in record)


def test_a_trial_trains_its_share_of_the_epochs(study: Path) -> None:
    found = tune(with_table(study, "[tune]\ntrials = 2\nbudget = { epochs = 0.5 }\n"), settings=("baseline.epochs=6",))
    assert {(tuning.epochs, tuning.of_epochs) for tuning in found} == {(3, 6)}
    assert {len(trial.curve) for tuning in found for trial in tuning.trials} == {3}


def test_the_default_range_is_the_optimizers_own(study: Path) -> None:
    def space(setting: str) -> dict[str, Any]:
        prepared = open_study(options(study, setting))
        (first, _) = tasks(prepared.reading, prepared.study, prepared.registry, ())
        return dict(first.space)

    adam, sgd = space("baseline.optimizer.lr=0.1"), space('baseline.optimizer={ use = "sgd", lr = 0.1 }')
    assert set(adam) == set(sgd) == {"optimizer.lr", "optimizer.weight_decay"}
    assert adam["optimizer.lr"] != sgd["optimizer.lr"]
    assert space('baseline.optimizer={ use = "torch:SGD", lr = 0.1 }') == sgd
    assert space('baseline.optimizer={ use = "timm:lamb", lr = 0.1 }')["optimizer.lr"] == adam["optimizer.lr"]


def test_settings_of_any_part_can_be_tuned(study: Path) -> None:
    table = """
[tune]
trials = 5
pruner = "none"
[tune.settings]
batch_size = { low = 8, high = 32, log = true }
label_smoothing = { low = 0.0, high = 0.2 }
"optimizer.betas" = { values = [1, 2] }
"""
    assert "optimizer.betas" in refused(study, table)
    study.write_text(study.read_text().replace('"optimizer.betas" = { values = [1, 2] }\n', ""))
    first = tune(study)[0]
    assert all(isinstance(trial.settings["batch_size"], int) for trial in first.trials)
    key = first.trials[3].key
    identity = (Store(Path("ablate-store")).run(key).spec() or {})["identity"]
    assert identity["batch_size"] == first.trials[3].settings["batch_size"]
    assert identity["label_smoothing"] == first.trials[3].settings["label_smoothing"]


def test_an_augmentations_setting_is_named_with_it(write: Write, study: Path) -> None:
    study.write_text(study.read_text().replace('[{ use = "flip" }]', '[{ use = "cutout", size = 2 }]'))
    table = '[tune]\ntrials = 3\nsettings = { "augmentation.cutout.size" = { low = 1, high = 4 } }\n'
    (found,) = tune(with_table(study, table), "flipped")
    assert {trial.settings["augmentation.cutout.size"] for trial in found.trials} <= {1, 2, 3, 4}


# Going on


def test_the_number_of_trials_is_in_total(study: Path) -> None:
    with_table(study)
    first = tune(study)
    assert tune(study) == first
    more = tune(study, trials=6)
    assert [len(tuning.trials) for tuning in more] == [6, 6]
    for before, after in zip(first, more, strict=True):
        assert after.trials[:4] == before.trials
    with pytest.raises(InputError, match="has 6 trials already, more than 5"):
        tune(study, trials=5)


def test_a_trial_that_was_trained_before_is_not_trained_again(study: Path) -> None:
    with_table(study)
    first = tune(study)
    stored = {p: p.stat().st_mtime_ns for p in Path("ablate-store/runs").glob("*/result.json")}
    Store(Path("ablate-store")).journal_file.unlink()
    again = tune(study)
    assert {p: p.stat().st_mtime_ns for p in Path("ablate-store/runs").glob("*/result.json")} == stored
    for before, after in zip(first, again, strict=True):
        assert [(t.key, t.values, t.curve) for t in after.trials] == [(t.key, t.values, t.curve) for t in before.trials]


class Dies(Inline):
    """An executor whose machine goes out in the middle of some run."""

    def __init__(self, after: int) -> None:
        self.left = after

    def run(self, jobs: Any, tell: Any, stopping: Any = lambda: False) -> None:
        def counted(event: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return tell(event)

        super().run(jobs, counted, stopping)


def test_interrupted_anywhere_it_goes_on_with_no_trial_lost_and_none_reported_twice(study: Path) -> None:
    with_table(study)
    for after in (0, 1, 2, 3, 5, 8, 9):
        with pytest.raises(KeyboardInterrupt):
            tune_study(options(study), TuneOptions(jobs=1), Dies(after))
    found = tune(study)
    for tuning in found:
        assert [trial.number for trial in tuning.trials] == [0, 1, 2, 3]
        assert {trial.state for trial in tuning.trials} == {"done"}
    told = [json.loads(line) for line in Store(Path("ablate-store")).journal_file.read_text().splitlines()]
    ended = Counter(entry["trial_id"] for entry in told if entry["op_code"] == 6 and entry["state"] in (1, 2, 3))
    assert len(ended) == 8
    assert set(ended.values()) == {1}


def test_a_line_that_a_killed_driver_left_half_written_is_cut_off(study: Path) -> None:
    with_table(study)
    tune(study)
    file = Store(Path("ablate-store")).journal_file
    with file.open("a") as journaled:
        journaled.write('{"op_code": 4, "worker_id": "dead')
    assert [len(tuning.trials) for tuning in tune(study, trials=5)] == [5, 5]


# How trials end


FAILS = '''
from ablate import optimizer


@optimizer("moody")
def moody(params, *, lr: float, momentum: float = 0.0):
    """SGD that refuses some rates and explodes at others."""
    from torch.optim import SGD

    if 0.3 < lr < 0.6:
        raise ValueError("no such rate today")
    return SGD(params, lr=lr if lr < 0.3 else 1e30, momentum=momentum)
'''
MOODY = """
[tune]
trials = 3
sampler = "grid"
settings = { "optimizer.lr" = { values = [0.5, 0.9] } }
"""


def test_failed_and_diverged_trials_are_reported_as_what_they_are(write: Write, study: Path) -> None:
    write("plugins/moody.py", FAILS)
    study.write_text(study.read_text().replace('{ use = "adam", lr = 1e-2 }', '{ use = "moody", lr = 0.01 }'))
    for tuning in tune(with_table(study, MOODY)):
        own, failed, diverged = tuning.trials
        assert (own.state, failed.state, diverged.state) == ("done", "failed", "diverged")
        assert "no such rate today" in failed.reason
        assert "diverged" in diverged.reason
        assert tuning.best == own
    found = ablate("tune", study, "--json")
    assert found.exit_code == 0, found.output
    assert "failed: baseline: 1 of 3 trials" in found.stderr


class Pessimist(optuna.pruners.BasePruner):
    """Prunes whatever is not best."""

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        return bool(done) and trial.number > 1


@pytest.mark.parametrize(
    ("executor", "epochs"),
    [
        pytest.param(Inline(), 5, id="inline"),
        # A process trains on while it is told to stop.
        pytest.param(LocalProcesses(1), 60, marks=pytest.mark.slow, id="processes"),
    ],
)
def test_a_pruned_trial_stops_early_and_leaves_no_checkpoint(
    study: Path, monkeypatch: pytest.MonkeyPatch, executor: Any, epochs: int
) -> None:
    monkeypatch.setattr("ablate.tune.search.make_pruner", lambda *_: Pessimist())
    many = (f"baseline.epochs={epochs}", "baseline.dataset.images=200")
    tune_study(options(with_table(study), *many, only=("baseline",)), TuneOptions(jobs=1), executor)
    (found,) = load_tunings(Store(Path("ablate-store")), "tiny")
    assert [trial.state for trial in found.trials] == ["done", "done", "pruned", "pruned"]
    assert all(1 <= trial.epochs < epochs for trial in found.trials[2:])
    assert all(trial.epochs == len(trial.curve) for trial in found.trials)
    assert not list(Path("ablate-store/runs").glob("*/checkpoint.pt"))
    assert tune(study, "baseline", settings=many) == (found,)


def test_trials_that_come_to_the_same_run_share_it(study: Path) -> None:
    study.write_text(study.read_text().replace("lr = 1e-2 }", 'lr = 1e-2 }\nscheduler = { use = "step" }'))
    table = """
[tune]
trials = 8
sampler = "random"
budget = { epochs = 0.5 }
settings = { "model.hidden" = { values = [4, 8] }, "scheduler.step_size" = { values = [1, 2] } }
"""
    (found,) = tune(with_table(study, table), "baseline")  # both steps are one epoch of a trial's one
    assert len(found.trials) == 5  # the four settings, and the variant's own
    assert len({trial.key for trial in found.trials}) == len(found.distinct) == 5 - len(found.repeats)
    by_key = {trial.key: trial.values for trial in found.distinct}
    assert all(by_key[trial.key] == trial.values for trial in found.trials)


# Samplers, pruners, objectives


@pytest.mark.parametrize("sampler", ["tpe", "cma-es", "gp", "random"])
def test_each_sampler_works_with_ask_and_tell(study: Path, sampler: str) -> None:
    (found,) = tune(
        with_table(study, TUNE.replace("[tune]\n", f'[tune]\nsampler = "{sampler}"\n')), "baseline", trials=6
    )
    assert [trial.state for trial in found.trials] == ["done"] * 6
    assert found.sampler == sampler


@pytest.mark.parametrize(
    "pruner", ["median", *(pytest.param(one, marks=pytest.mark.slow) for one in ("hyperband", "successive-halving"))]
)
def test_each_pruner_works_with_ask_and_tell(study: Path, pruner: str) -> None:
    table = TUNE.replace('"none"', f'"{pruner}"')
    (found,) = tune(with_table(study, table), "baseline", trials=10, settings=("baseline.epochs=4",))
    assert {trial.state for trial in found.trials} <= {"done", "pruned"}
    assert found.trials[0].state == "done"


def test_a_grid_has_every_combination_once(study: Path) -> None:
    table = """
[tune]
trials = 6
sampler = "grid"
settings = { "optimizer.lr" = { values = [0.1, 0.01] }, "model.hidden" = { low = 4, high = 12, step = 4 } }
"""
    (found,) = tune(with_table(study, table), "baseline")
    grid = [(rate, hidden) for rate in (0.1, 0.01) for hidden in (4, 8, 12)]
    own = (0.01, 8)
    assert [tuple(trial.settings.values()) for trial in found.trials] == [own, *(one for one in grid if one != own)]
    with pytest.raises(InputError, match="7 are more than the 6 of the grid of 'baseline'"):
        tune(study, "baseline", trials=7)


def test_optunas_own_settings_are_passed_on_and_checked() -> None:
    space = {"x": distribution(Range(0.1, 1.0))}
    sampler = make_sampler(Choice("tpe", {"n_startup_trials": 3, "multivariate": True}), space, "a study")(7)
    assert sampler._n_startup_trials == 3  # type: ignore[attr-defined]
    pruner = make_pruner(Choice("median", {"n_warmup_steps": 7}), 30)
    assert pruner._n_warmup_steps == 7  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="sampler 'tpe' has no setting 'n_startups'; did you mean 'n_startup_trials'"):
        make_sampler(Choice("tpe", {"n_startups": 3}), space, "a study")
    with pytest.raises(InputError, match="pruner 'median': "):
        make_pruner(Choice("median", {"n_startup_trials": -1}), 30)


def test_several_objectives_have_a_value_each(study: Path) -> None:
    with_table(study)
    found = tune(study, "baseline", objectives=("accuracy", "parameters", "flops", "seconds"))[0]
    assert found.objectives == ("validation/accuracy", "parameters", "flops", "seconds")
    assert found.pruner == "none"
    for trial in found.trials:
        accuracy, parameters, flops, seconds = trial.values
        result = Store(Path("ablate-store")).run(trial.key).result() or {}
        assert (accuracy, parameters) == (result["validation/accuracy"], result["parameters"])
        # 3x3 convolutions of 4, 8 and 16 channels on 8x8, 4x4 and 2x2 pixels, then 16 to hidden to 2.
        hidden = trial.settings["model.hidden"]
        convolutions = 9 * (64 * 1 * 4 + 16 * 4 * 8 + 4 * 8 * 16)
        assert flops == 2 * (convolutions + 16 * hidden + hidden * 2)
        assert seconds > 0


def test_a_grid_is_whole_where_nobody_says_how_many(study: Path) -> None:
    table = '[tune]\nsampler = "grid"\nsettings = { "optimizer.lr" = { values = [0.1, 0.01] } }\n'
    assert [len(found.trials) for found in tune(with_table(study, table))] == [2, 2]  # their own 0.01 is one of them
    study.write_text(study.read_text().replace("[0.1, 0.01]", "[0.1, 0.02]"))
    assert [len(found.trials) for found in tune(study)] == [3, 3]


def test_another_sampler_goes_on_and_both_are_named(study: Path) -> None:
    tune(with_table(study), "baseline")
    study.write_text(study.read_text().replace("[tune]\n", '[tune]\nsampler = "random"\n'))
    (found,) = tune(study, "baseline", trials=6)
    assert (len(found.trials), found.sampler) == (6, "tpe, then random")


def test_trials_that_take_the_place_of_others_are_announced(study: Path) -> None:
    with_table(study)
    assert "take the place" not in ablate("tune", study, "--only", "baseline").stderr
    again = ablate("tune", study, "--only", "baseline", "--trials", "2", "--storage", "sqlite:///other.db")
    assert "'baseline': these trials take the place of 4 others in reports and for --tuned" in again.stderr
    again = ablate("tune", study, "--only", "baseline", "--trials", "2", "--objective", "loss")
    assert "take the place of 2 others" in again.stderr


def test_importances_are_recorded_at_the_end(study: Path) -> None:
    # By the loss: so small a network's accuracies may all be the same, and nothing then explains their spread.
    settings = ("baseline.epochs=1",)
    (found,) = tune(with_table(study), "baseline", trials=12, objectives=("loss",), settings=settings)
    assert set(found.importances) == {"optimizer.lr", "model.hidden"}
    assert math.isclose(sum(found.importances.values()), 1.0, rel_tol=1e-6)


def test_a_default_outside_the_range_is_still_the_first_trial(study: Path) -> None:
    table = '[tune]\ntrials = 3\nsettings = { "optimizer.weight_decay" = { low = 1e-6, high = 1e-2, log = true } }\n'
    (found,) = tune(with_table(study, table), "baseline")
    assert found.trials[0].settings == {"optimizer.weight_decay": 0.0}
    assert found.trials[0].state == "done"
    key = found.trials[0].key
    assert (Store(Path("ablate-store")).run(key).spec() or {})["identity"]["optimizer"]["settings"]["weight_decay"] == 0


# The final runs


def best_differs(study: Path) -> VariantTuning:
    """Tune a study whose own learning rate is bad."""
    study.write_text(study.read_text().replace("lr = 1e-2", "lr = 1e-5"))
    found = tune(with_table(study), "baseline", settings=("baseline.epochs=4",))[0]
    assert found.best is not None
    assert not found.best.default
    return found


@pytest.mark.slow
def test_tuned_variants_are_judged_on_the_seeds_of_the_study(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = best_differs(study)
    study.write_text(study.read_text().replace("epochs = 2", "epochs = 4"))
    done = ablate("run", study, "--tuned", "--only", "baseline", "--json", "--device", "cpu", "--jobs", "1")
    assert done.exit_code == 0, done.output
    runs = json.loads(done.stdout)["runs"]
    assert Counter(run["variant"] for run in runs) == {"baseline": 2, "baseline (tuned)": 2}
    assert {run["seed"] for run in runs} == {0, 1}
    store = Store(Path("ablate-store"))
    for run in runs:
        identity = (store.run(run["key"]).spec() or {})["identity"]
        assert identity["dataset"]["splits"]["test"] == 16
        tuned = run["variant"].endswith("(tuned)")
        assert found.best is not None
        assert identity["optimizer"]["settings"]["lr"] == (found.best.settings["optimizer.lr"] if tuned else 1e-5)
        assert run["key"] not in {trial.key for trial in found.trials}

    # Both stay reportable after the study is run without them.
    assert ablate("run", study, "--only", "baseline", "--device", "cpu", "--jobs", "1").exit_code == 0
    assert ablate("report").exit_code == 0
    written = Path("reports/tiny/report.md").read_text()
    assert "| baseline (tuned) |" in written
    assert "baseline (tuned)" in ablate("status", "tiny").stdout
    # A changed variant is another one: what was tuned was not it.
    assert ablate("run", study, "--only", "baseline", "--set", "baseline.epochs=3", "--jobs", "1").exit_code == 0
    assert ablate("report").exit_code == 0
    written = Path("reports/tiny/report.md").read_text()
    assert "baseline (tuned)" not in written
    assert "Best settings" not in written


def test_without_or_with_stale_tuning_the_final_runs_are_refused(study: Path) -> None:
    assert "'baseline' has not been tuned (and 1 more)" in ablate("run", study, "--tuned").stderr
    best_differs(study)
    stale = ablate("run", study, "--tuned", "--only", "baseline")
    assert stale.exit_code == 2
    assert "'baseline' has changed since it was tuned" in stale.stderr
    assert ablate("run", study, "--tuned", "--pilot").exit_code == 2


def test_where_the_own_settings_are_best_nothing_is_added(study: Path) -> None:
    table = '[tune]\ntrials = 2\nsampler = "grid"\nsettings = { "optimizer.lr" = { values = [1e-9, 1e-8] } }\n'
    (found,) = tune(with_table(study, table), "baseline", settings=("baseline.epochs=6",))
    assert found.best is not None
    assert found.best.default
    chosen = with_tuned(options(study, "baseline.epochs=6", only=("baseline",)))
    assert chosen.changes.tuned == ()


@pytest.mark.long
def test_run_compares_with_a_reference_whose_own_settings_are_best_as_the_report_does(study: Path) -> None:
    slow = '[[variant]]\nname = "slow"\nfrom = "baseline"\nset = { optimizer = { use = "adam", lr = 1e-9 } }\n'
    study.write_text(study.read_text() + slow)
    table = '[tune]\ntrials = 2\nsampler = "grid"\nsettings = { "optimizer.lr" = { values = [1e-9, 5e-3] } }\n'
    tune(with_table(study, table), "baseline", "slow", objectives=("loss",))
    done = ablate(
        "run", study, "--tuned", "--only", "baseline", "--only", "slow", "--json", "--device", "cpu", "--jobs", "1"
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)["comparisons"]
    reported = results("tiny").document()["comparisons"]
    assert [(one["candidate"], one["reference"], one["p"], one["verdict"]) for one in told] == [
        (one["candidate"], one["reference"], one["p"], one["verdict"]) for one in reported
    ]
    assert ("slow (tuned)", "baseline", "tuned change") in {
        (one["candidate"], one["reference"], one["kind"]) for one in told
    }


def test_trials_are_used_runs_to_the_store(study: Path) -> None:
    tune(with_table(study))
    assert ablate("store", "check").exit_code == 0
    cleaned = ablate("store", "clean", "--unused", "--dry-run")
    assert "no study names" not in cleaned.stdout


# The command line


def test_the_study_run_last_is_tuned(study: Path) -> None:
    with_table(study)
    assert "no study has been run in this store" in ablate("tune").stderr
    assert ablate("run", study, "--jobs", "1", "--only", "baseline").exit_code == 0
    found = ablate("tune", "--trials", "2", "--only", "baseline", "--jobs", "1")
    assert found.exit_code == 0, found.output
    assert found.stdout.splitlines()[0].split() == [
        "Variant", "trials", "repeats", "pruned", "failed", "default", "best", "with",
    ]  # fmt: skip
    assert "next: ablate run studies/tiny.toml --tuned" in found.stderr
    assert "[2/2] done     baseline, trial 1:" in found.stderr


def test_what_is_not_the_same_for_all_variants_is_said(study: Path) -> None:
    text = (
        study.read_text() + '[[variant]]\nname = "sgd"\nset = { optimizer = { use = "sgd", lr = 0.1 }, epochs = 4 }\n'
    )
    study.write_text(text)
    found = ablate("tune", study, "--trials", "1", "--jobs", "1")
    assert found.exit_code == 0, found.output
    assert "warning: the ranges are not the same for all variants" in found.stderr
    assert "warning: the epochs are not the same for all variants" in found.stderr
    assert "(sgd)" in found.stderr


def test_planning_and_reporting_import_no_optuna(study: Path) -> None:
    import subprocess
    import sys

    with_table(study)
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom ablate.cli import app\n"
        f"done = CliRunner().invoke(app, ['plan', {str(study)!r}])\nassert done.exit_code == 0, done.output\n"
        "print('optuna' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


# Bad input


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('settings = { "optimizer.momentum" = { low = 0.1, high = 0.9 } }', "adam has no setting 'momentum'"),
        ('settings = { "optimizer.lr" = { low = 0.0, high = 0.9 } }', "0.0 is not a number above 0"),
        ('settings = { "optimiser.lr" = { low = 0.1, high = 0.9 } }', "there is no 'optimiser.lr'"),
        ("settings = { epochs = { low = 1, high = 9 } }", "'epochs' is the budget"),
        ('settings = { "optimizer.lr" = { low = 0.9, high = 0.1 } }', "low = 0.9 is not below high = 0.1"),
        ('settings = { "optimizer.lr" = { low = 0.1, high = 0.1 } }', "low = 0.1 is not below high = 0.1"),
        ('settings = { "optimizer.weight_decay" = { low = 0, high = 1, log = true } }', "cannot be on a log scale"),
        ('settings = { "optimizer.lr" = { low = 0.1, high = 1, step = 2 } }', "step = 2 does not fit"),
        ('settings = { "optimizer.lr" = { values = [0.1] } }', "has 1 value: there is nothing to choose"),
        ('settings = { "optimizer.lr" = { values = [0.1, 0.1] } }', "names a value twice"),
        ('settings = { "optimizer.lr" = { values = [0.1, []] } }', "is not a number, a text or true/false"),
        ('settings = { "optimizer.lr" = { low = 0.1, hight = 1 } }', "is not a range"),
        (
            'settings = { "optimizer.lr" = { low = 0.1, high = 1, logs = true } }',
            "unknown key 'logs'; did you mean 'log'",
        ),
        ('settings = { "optimizer.lr" = 0.1 }', "0.1 is not a range"),
        ('sampler = "tpee"', "unknown sampler \"tpee\"; did you mean 'tpe'"),
        ('pruner = "medium"', "unknown pruner \"medium\"; did you mean 'median'"),
        ('sampler = { use = "random", n_startup_trials = 2 }', "sampler 'random' has no setting 'n_startup_trials'"),
        ('sampler = "grid"', "a grid needs to know which values"),
        ("trials = 0", "0 is not an integer above 0"),
        ('metric = "test/accuracy"', "would steer by the split that final runs are judged on"),
        ('metric = "validation/accurracy"', "is no metric to tune for; did you mean 'validation/accuracy'?"),
        ("budget = { epochs = 0 }", "0 is not a number above 0 and at most 1"),
        ("budget = { epoch = 0.5 }", "unknown key 'epoch'; did you mean 'epochs'"),
        ("seed = 1", "1 is a seed of the study"),
        ("trails = 3", "unknown key 'trails'; did you mean 'trials'"),
    ],
)
def test_bad_input_is_one_clear_error(study: Path, table: str, said: str) -> None:
    text = refused(study, f"[tune]\n{table}\n")
    assert said in text
    assert "Traceback" not in text
    assert not list(Path("ablate-store/runs").glob("*"))


def test_problems_of_a_setting_name_its_line(study: Path) -> None:
    table = '[tune]\ntrials = 3\nsettings = { "model.dropout" = { low = 0.9, high = 1.5 } }\n'
    lines = study.read_text().count("\n")
    assert f"line {lines + 3} tune: settings.model.dropout variant 'baseline': 1.5 is not" in refused(study, table)


def test_tuning_needs_a_validation_split(study: Path) -> None:
    study.write_text(study.read_text().replace(", validation = 16", ""))
    assert "needs a validation split, and baseline, flipped has none" in refused(study, "")


def test_a_study_that_steers_by_the_test_split_has_to_say_so(study: Path) -> None:
    table = '[tune]\ntrials = 2\nmetric = "test/accuracy"\nsteers_by_test = true\n'
    found = tune(with_table(study, table), "baseline")[0]
    assert found.objectives == ("test/accuracy",)
    assert found.done[0].values
    assert "steers by the test split" in ablate("tune", study, "--only", "baseline").stderr


def test_a_storage_that_cannot_be_reached_is_reported_without_its_password(study: Path) -> None:
    found = ablate("tune", study, "--storage", "postgresql://ann:secret@127.0.0.1:1/trials")
    assert found.exit_code == 2
    assert "postgresql://ann:***@127.0.0.1:1/trials: cannot be used" in found.stderr
    assert "secret" not in found.output


@pytest.mark.parametrize("line", ["this is no journal", "5", "null", "[]", "{}", '{"op_code": 99}', '{"op_code": []}'])
def test_a_journal_that_is_none_is_reported(line: str, study: Path) -> None:
    file = Store(Path("ablate-store")).journal_file
    file.parent.mkdir(parents=True)
    file.write_text(f"{line}\n{line}\n")
    found = ablate("tune", study, "--trials", "1")
    assert found.exit_code == 1
    assert "cannot be read as Optuna's journal" in found.stderr


def test_an_sqlite_file_holds_trials_too(study: Path) -> None:
    with_table(study)
    found = tune(study, "baseline", storage="sqlite:///trials.db")[0]
    assert [trial.state for trial in found.trials] == ["done"] * 4
    assert tune(study, "baseline", storage="sqlite:///trials.db")[0] == found


# Units


def test_a_trial_asked_for_beyond_the_total_waits_for_a_larger_one(study: Path) -> None:
    prepared = open_study(options(with_table(study), only=("baseline",)))
    Store(prepared.options.store).make_writable()
    first, second = _opened(prepared), _opened(prepared)
    assert first.ask(2, {"pid": 1}) is not None
    assert len(second.trials.all) == 1
    # Both see one trial, and ask for the last one.
    assert [first.trials.new(), second.trials.new()] == [1, 2]
    second.trials.give_back(2)
    assert len(first.trials.all) == 2
    assert first.ask(2, {"pid": 1}) is None
    more = first.ask(3, {"pid": 1})
    assert more is not None
    assert more.number == 2


def _opened(prepared: LoadedStudy) -> Search:
    todo = tasks(prepared.reading, prepared.study, prepared.registry, prepared.options.only)
    return open_searches(prepared, todo)[0]


def test_a_distribution_is_whole_numbers_where_all_of_it_is() -> None:
    assert isinstance(distribution(Range(1, 8)), optuna.distributions.IntDistribution)
    assert isinstance(distribution(Range(1.0, 8)), optuna.distributions.FloatDistribution)
    assert distribution(Range(16, 128, log=True)).log  # type: ignore[attr-defined]
    assert isinstance(distribution(Values((True, False))), optuna.distributions.CategoricalDistribution)
    assert len(GridSampler({"a": distribution(Range(0.1, 0.3, step=0.1)), "b": distribution(Values(("x", "y")))})) == 6


def test_the_tuning_table_is_part_of_no_key(study: Path) -> None:
    before = [run["key"] for run in json.loads(ablate("plan", study, "--json").stdout)["runs"]]
    with_table(study)
    assert [run["key"] for run in json.loads(ablate("plan", study, "--json").stdout)["runs"]] == before
    assert read_study(study).study.tuning.trials == 4


def test_the_journal_opens_again(study: Path) -> None:
    store = Store(Path("ablate-store"))
    store.make_writable()
    open_storage(store).create_new_study([optuna.study.StudyDirection.MAXIMIZE], "a")
    assert [found.study_name for found in open_storage(store).get_all_studies()] == ["a"]


# What a review found


OWN = """
from pathlib import Path

import numpy as np

from ablate import Source, Split, dataset


@dataset("untested")
def untested(folder: Path) -> Source:
    \"\"\"Numbered images without a test set.\"\"\"

    def load():
        pixels = np.zeros((120, 1, 8, 8), np.uint8)
        pixels[:, 0, 0, 0] = np.arange(120)
        return {"train": Split(pixels, np.arange(120) % 2)}

    return Source.of(load)
"""


def test_no_trial_sees_an_image_that_final_runs_are_tested_on(write: Write, study: Path) -> None:
    from ablate.study.plan import run_specs
    from ablate.training.build import load

    write("plugins/untested.py", OWN)
    text = study.read_text().replace(
        '{ use = "tiny", validation = 16 }', '{ use = "untested", validation = 24, test = 24 }'
    )
    study.write_text(text)
    prepared = open_study(options(study))
    (task, _) = tasks(prepared.reading, prepared.study, prepared.registry, ())
    device = __import__("torch").device("cpu")
    trial = load(task.spec({}), prepared.registry, Path("data"), device)
    final = load(run_specs(prepared.study, (0,))[0], prepared.registry, Path("data"), device)

    def numbers(images: Any) -> set[int]:
        rows = images.rows if images.rows is not None else slice(None)
        return set(images.images[rows, 0, 0, 0].tolist())

    assert trial.test is None
    assert final.test is not None
    assert final.validation is not None
    assert trial.validation is not None
    assert numbers(trial.validation) == numbers(final.validation)
    assert numbers(trial.train) == numbers(final.train)
    assert not (numbers(trial.train) | numbers(trial.validation)) & numbers(final.test)
    found = tune(study, "baseline", trials=2)[0]
    assert [trial.state for trial in found.trials] == ["done", "done"]


MULTIVARIATE = '{ use = "tpe", multivariate = true, n_startup_trials = 2 }'


@pytest.mark.parametrize("sampler", ['{ use = "cma-es" }', '{ use = "gp", n_startup_trials = 2 }', MULTIVARIATE])
def test_a_default_outside_the_space_costs_no_sampler_a_dimension(study: Path, sampler: str) -> None:
    table = f"""
[tune]
sampler = {sampler}
pruner = "none"
[tune.settings]
"optimizer.lr" = {{ low = 1e-3, high = 1e-1, log = true }}
"optimizer.weight_decay" = {{ low = 1e-6, high = 1e-2, log = true }}
"""
    tune(with_table(study, table), "baseline", trials=5, settings=("baseline.epochs=1",))
    search = _opened(open_study(options(study, "baseline.epochs=1", only=("baseline",))))
    trial = search.trials.study.ask()
    assert set(trial.relative_params) == {"optimizer.lr", "optimizer.weight_decay"}


def test_trial_0_is_never_pruned(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class All(Pessimist):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            return True

    monkeypatch.setattr("ablate.tune.search.make_pruner", lambda *_: All())
    (found,) = tune(with_table(study), "baseline")
    assert [trial.state for trial in found.trials] == ["done", "pruned", "pruned", "pruned"]


def test_a_variant_cannot_take_a_tuned_ones_name(study: Path) -> None:
    best_differs(study)
    study.write_text(study.read_text().replace("epochs = 2", "epochs = 4") + '[[variant]]\nname = "baseline (tuned)"\n'
                     'set = { batch_size = 8 }\n')  # fmt: skip
    found = ablate("run", study, "--tuned", "--only", "baseline")
    assert found.exit_code == 2
    assert "the name 'baseline (tuned)' is what 'baseline' is called" in found.stderr


@pytest.mark.long
def test_where_the_own_settings_become_best_the_tuned_variant_goes(study: Path) -> None:
    best_differs(study)
    study.write_text(study.read_text().replace("epochs = 2", "epochs = 4"))
    assert ablate("run", study, "--tuned", "--only", "baseline", "--jobs", "1").exit_code == 0
    file = Path("ablate-store/tuning/tiny.json")
    found = json.loads(file.read_text())
    found["variants"][0]["trials"][0]["values"] = [2.0]
    file.write_text(json.dumps(found))
    again = ablate("run", study, "--tuned", "--only", "baseline", "--jobs", "1")
    assert "its own settings were the best" in again.stderr
    assert ablate("report").exit_code == 0
    assert "| baseline (tuned) |" not in Path("reports/tiny/report.md").read_text()


def test_a_tuned_variant_is_run_with_tuned_alone(study: Path) -> None:
    best_differs(study)
    study.write_text(study.read_text().replace("epochs = 2", "epochs = 4"))
    assert ablate("run", study, "--tuned", "--only", "baseline (tuned)", "--jobs", "1").exit_code == 0
    refusal = ablate("run", study, "--only", "baseline (tuned)", "--seeds", "7,")
    assert refusal.exit_code == 2
    assert "'baseline (tuned)' runs with --tuned" in refusal.stderr
    refusal = ablate("run", study, "--tuned", "--only", "baseline", "--seeds", "1000,")
    assert "1000 is a seed of the study" in refusal.stderr
    assert ablate("tune", study, "--only", "baseline (tuned)").exit_code == 2


def test_the_baseline_goes_by_that_name_too(study: Path) -> None:
    study.write_text(study.read_text().replace("[baseline]", '[baseline]\nname = "Phase 1"'))
    with_table(study)
    assert ablate("tune", study, "--only", "baseline", "--trials", "1", "--jobs", "1").exit_code == 0


def test_a_step_between_whole_numbers_is_refused(study: Path) -> None:
    assert "16.5 is not an integer" in refused(
        study, "[tune.settings]\nbatch_size = { low = 16, high = 32, step = 0.5 }\n"
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "postgresql://ann:secret@host:port/db",
        "postgresql://ann:secret@[::1/db",
        "nosuch://ann:secret@host/db",
        "postgresql+nosuch://ann:secret@host/db",
        "sqlite:///nothere/secret\0.db",
        "sqlite:///trials.db?check_same_thread=maybe",
        "sqlite:///trials.db?timeout=secret",
    ],
)
def test_a_storage_that_is_none_is_the_users_error(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="--storage") as found:
        open_storage(Store(tmp_path / "store"), url)
    assert "ann:secret" not in str(found.value)
    assert not (tmp_path / "store").exists()


def test_no_password_is_shown_wherever_it_stands(study: Path) -> None:
    for url in ("postgresql//ann:sec@ret@host/db", "secret", "postgresql://ann@127.0.0.1:1/db?password=secret"):
        found = ablate("tune", study, "--storage", url)
        assert found.exit_code == 2
        assert "sec" not in found.output.replace("seconds", "")


def test_runs_of_a_damaged_record_of_trials_are_not_taken_for_unused(study: Path) -> None:
    tune(with_table(study))
    Path("ablate-store/tuning/tiny.json").write_text("{")
    found = ablate("store", "clean", "--unused", "--dry-run")
    assert found.exit_code == 1
    assert "this record of trials does not read" in found.stderr
