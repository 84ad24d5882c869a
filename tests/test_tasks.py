"""Tasks: any training as a run of a study, from its file to the report, by commands and from Python."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ablate as library
from ablate.checks.study import changed_factors
from ablate.commands.status import _left, _step
from ablate.components.tasks import Metric
from ablate.console import progress
from ablate.console.progress import Board
from ablate.errors import InputError, StudyError
from ablate.execute.inline import Inline
from ablate.execute.jobs import EpochDone, Failed, Finished, Started, Stopped, WorkerDied
from ablate.execute.local import LocalProcesses
from ablate.numbers import NBSP
from ablate.paths import shipped
from ablate.report.content import report
from ablate.report.figures_variant import section_curves
from ablate.report.table import table
from ablate.store.store import Store
from ablate.study.metrics import found_reported
from ablate.study.spec import Limits
from ablate.study.tasks import _digests
from ablate.study.toml import parse_study
from ablate.testing import TaskContract
from tests.support import ablate, jobs, planned, run, run_here

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ablate.execute.jobs import Event
    from ablate.report.table import Column
    from tests.conftest import Write

PLUGIN = '''
import os, signal, subprocess, sys, time
from typing import Annotated

import numpy as np

from ablate import Count, Metric, Range, Run, task


@task("fit", rehearse=True, metrics=[
    Metric("test/error", direction="minimize", margin=0.001),
    Metric("test/share", direction="maximize", unit="percent"),
])
def fit(run: Run, *, rate: Annotated[float, Range(0.05, 0.5)] = 0.1, steps: Count = 12, seconds: float = 0.0) -> dict:
    """Fit a slope by gradient descent."""
    kept = run.restored() or {"step": 0, "slope": 0.0}
    slope, last = kept["slope"], 2 if run.pilot else steps
    if kept["step"]:
        (run.folder / "resumed").write_text(str(kept["step"]))
    target = 3 + np.random.default_rng(run.seed).normal(0, 0.1)
    for step in range(kept["step"] + 1, last + 1):
        slope -= rate * 2 * (slope - target) + np.random.normal(0, 0.001)
        time.sleep(seconds)
        run.log(step=step * 10, metrics={"validation/error": (slope - target) ** 2})
        run.save({"step": step, "slope": slope})
    return {"test/error": (slope - target) ** 2, "test/share": 1 - abs(slope - target) / 5}


@task("forgets")
def forgets(run: Run) -> dict:
    """Save a state, and never ask for it."""
    run.steps = 4
    for step in range(1, 5):
        run.log(step=step, metrics={"test/error": 1 / step})
        run.save({"step": step})


@task("misbehaves")
def misbehaves(run: Run, *, how: str, once: str = "") -> object:
    """Do something wrong."""
    run.log(step=1, metrics={"test/error": 0.5})
    if once:
        again = os.path.exists(once)
        open(once, "a").close()
        if again:
            return {"test/error": 0.1}
    if how == "raise":
        raise ValueError("no more")
    if how == "exit":
        sys.exit(3)
    if how == "hard exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "hang":
        time.sleep(300)
    if how == "fork":
        child = subprocess.Popen(["sleep", "300"])
        (run.folder / "child").write_text(str(child.pid))
        os._exit(4)
    if how == "shout":
        while True:  # a megabyte each second: what captures it keeps it all in memory
            sys.stdout.write("x" * 1000)
            time.sleep(0.001)
    if how == "swallow":
        while True:
            time.sleep(0.01)
            try:
                run.log(step=int(time.time() * 1000), metrics={"test/error": 0.5})
            except Exception:
                return {"test/error": 0.0}
    returns = {
        "nothing": None, "no number": {"test/error": "low"}, "nan": {"test/error": float("nan")},
        "another": {"test/f1": 1.0}, "text": "done", "a name": {"error": 1.0}, "a truth": {"test/error": True},
        "a NumPy truth": {"test/error": np.bool_(True)},
        "arrays": {"test/error": np.float32(0.25), "predictions": np.eye(3), "labels": np.arange(3)},
        "bad arrays": {"test/error": 1, "predictions": np.eye(3), "labels": np.arange(4)},
    }
    if how in returns:
        return returns[how]
    if how == "lambda":
        run.save({"f": lambda: 0})
    if how == "no last step":
        run.steps = 0.5
    if how == "nameless":
        arrays = {"predictions": np.eye(3), "labels": np.arange(3), "classes": ["a", "b"]}
        return {"test/error": 1, **arrays}
    if how == "steps":
        run.log(step=1, metrics={"test/error": 0.5})
    if how == "no metrics":
        run.log(step=2, metrics={})
    if how == "far":
        run.log(step=10**30, metrics={"test/error": 0.5})
    if how == "inf":
        run.log(step=2, metrics={"test/error": float("inf")})
    raise AssertionError(how)
'''
STUDY = """
[study]
name = "fits"
seeds = 3
metric = "test/error"
[baseline]
task = { use = "fit" }
[[variant]]
name = "faster"
set = { "task.rate" = 0.3 }
[[variant]]
name = "longer"
set = { task = { use = "fit", steps = 15 } }
[tune]
trials = 5
"""
HEAD = '[study]\nname = "s"\nmetric = "test/error"\n[baseline]\n'


@pytest.fixture
def fits(write: Write) -> Path:
    """A study of a task of its own, and the plugin beside it."""
    write("plugins/fits.py", PLUGIN)
    return write("fits.toml", STUDY)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the study was run."""
    folder = tmp_path_factory.mktemp("fits")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "fits.py").write_text(PLUGIN)
    (folder / "fits.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        done = ablate("run", "fits.toml", "--executor", "inline", "--no-report")
        assert done.exit_code == 0, done.output
        yield folder


def misbehaving(write: Write, how: str, once: str = "") -> Path:
    write("plugins/fits.py", PLUGIN)
    task = f'{{ use = "misbehaves", how = "{how}", once = "{once}" }}'
    text = HEAD.replace("[baseline]", 'direction = "minimize"\nseeds = 1\n[baseline]')
    return write("bad.toml", f"{text}task = {task}\n")


def ends(study: Path) -> tuple[Event, list[Event]]:
    """Make a study's one run here; return the last event, and all."""
    events = run(Inline(), jobs(study))
    return events[-1], events


# A study and its report


def test_a_task_runs_from_its_study_to_the_verdicts(made: Path) -> None:
    status = ablate("status", "fits")
    assert status.exit_code == 0
    assert "test error" in status.output
    compared = ablate("run", "fits.toml", "--executor", "inline", "--no-report")
    assert "nothing to make" in compared.output
    assert "faster against baseline" in compared.output
    assert "helped" in compared.output  # less error is better, as the task declares
    assert ablate("check", "fits.toml").exit_code == 0
    assert "0 faults" in ablate("store", "check").output


def test_a_report_speaks_of_the_task_and_not_of_images(made: Path) -> None:
    done = ablate("report", "fits", "--out", "told", "--format", "md,json,csv")
    assert done.exit_code == 0, done.output
    page = (made / "told" / "report.md").read_text()
    for part in ("| Variant | Task |", "Test error", "Further metrics", "Test share (%)", "rate 0.1 ", "task: rate"):
        assert part in page, part
    for part in ("Epochs", "accuracy", "test loss", "batch size", "images", "dataset", "ptimizer", "PyTorch"):
        assert part not in page.partition("## Methods")[0].replace("an accuracy", ""), part
    assert "What a seed decides is up to the task" in page
    assert "as each run ended" in page
    assert "validation error at each step that the task logs" in page.lower()
    assert (made / "told" / "figures" / "metric.svg").is_file()
    assert "**Figure 3. faster over baseline.** Validation error at each step that the task logs." in page
    assert (made / "told" / "figures" / "curves-variant-2.svg").is_file()
    document = json.loads((made / "told" / "report.json").read_text())
    assert document["metrics"]["test/error"]["higher_is_better"] is False
    assert "step,lr" in (made / "told" / "epochs.csv").read_text().replace("epoch,lr", "step,lr")
    again = ablate("report", "told/report.json", "--out", "again", "--format", "md")
    assert again.exit_code == 0, again.output
    assert "Test share (%)" in (made / "again" / "report.md").read_text()


def test_a_paper_may_be_quoted_on_any_metric_of_the_task(fits: Path) -> None:
    quoting = STUDY.replace(
        'task = { use = "fit" }', 'task = { use = "fit" }\nreported = { error = 0.02, share = 0.9 }'
    )
    fits.write_text(quoting.replace('"task.rate" = 0.3 }', '"task.rate" = 0.3 }\nreported = { error = 0.01 }'))
    assert run_here(fits, "study.seeds=2") == 0
    assert ablate("report", "fits", "--out", "told", "--format", "md").exit_code == 0
    page = Path("told/report.md").read_text().replace("\xa0", " ")
    assert "As reported: test error −0.01 (0.02 → 0.01, −50.0 % of the error)." in page
    assert "Test share (%), reported" in page
    assert "the study quotes a test error of 0.02, and no run comes near it" in page
    fits.write_text(quoting.replace("share = 0.9", "share = 90, f1 = 1"))
    told = " ".join(ablate("plan", fits).output.split())
    assert "baseline: reported.share 90 is not a fraction; write 0.9" in told
    assert 'baseline: reported.f1 "f1" is no metric of the study' in told


def test_results_from_python_have_the_metrics_and_steps_of_the_task(made: Path) -> None:
    found = library.results("fits")
    assert {"test/error", "test/share", "validation/error"} <= set(found.runs.columns)
    assert sorted(found.epochs["epoch"].unique())[:3] == [10, 20, 30]
    assert found.comparison("faster").verdict == "helped"
    assert found.study.compared.quantity.margin == 0.001
    with pytest.raises(InputError, match=r"fits: what runs of task 'fit' train is known to the task alone"):
        found.model("baseline")


def test_a_report_needs_no_plugin(made: Path) -> None:
    plugin = made / "plugins" / "fits.py"
    text = plugin.read_text()
    plugin.write_text("raise RuntimeError('loaded')")
    try:
        assert ablate("report", "fits", "--out", "without", "--format", "md").exit_code == 0
        assert "helped" in (made / "without" / "report.md").read_text()
    finally:
        plugin.write_text(text)


def test_an_edit_of_the_task_or_of_a_setting_makes_its_runs_new(fits: Path, write: Write) -> None:
    keys = [spec.key for spec in planned(fits)[0]]
    assert len(set(keys)) == 9
    assert keys == [spec.key for spec in planned(fits, "study.metric=test/share", "study.title=x")[0]]
    changed = [spec.key for spec in planned(fits, "faster.task.rate=0.31")[0]]
    assert [one == other for one, other in zip(keys, changed, strict=True)] == [True, False, True] * 3
    write("plugins/fits.py", PLUGIN.replace("2 if run.pilot", "3 if run.pilot"))
    assert not set(keys) & {spec.key for spec in planned(fits)[0]}


def test_a_path_among_the_settings_counts_by_its_content(write: Write, folder: Path) -> None:
    write(
        "plugins/reads.py",
        '''
from pathlib import Path
from ablate import Run, task

@task("reads")
def reads(run: Run, *, file: Path) -> dict:
    """Read a number."""
    return {"test/accuracy": float(file.read_text())}
''',
    )
    write("sub/number", "0.5")
    study = write(
        "s.toml", '[study]\nname = "s"\nseeds = 2\n[baseline]\ntask = { use = "reads", file = "sub/number" }\n'
    )
    (one, _), _ = planned(study)
    assert run_here(study) == 0
    assert library.results("s").runs["test/accuracy"].tolist() == [0.5, 0.5]
    write("sub/number", "0.6")
    (other, _), _ = planned(study)
    assert one.key != other.key
    assert "sub/number changed" in ablate("plan", study).output
    tuned = study.write_text(study.read_text() + '[tune]\nsettings = { "task.file" = { values = ["a", "b"] } }\n')
    assert tuned
    assert "'task.file' names a file, whose content a trial's key would not cover" in ablate("tune", study).output
    (folder / "sub" / "number").unlink()
    assert "number: no such file or folder; it is looked for beside the study" in ablate("plan", study).output


def test_a_folder_that_a_task_reads_may_hold_links_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "src" / "inner").mkdir(parents=True)
    (tmp_path / "src" / "inner" / "a.py").write_text("a")
    (tmp_path / "src" / "circle").symlink_to(tmp_path / "src")
    (tmp_path / "src" / "nowhere").symlink_to("gone")
    os.mkfifo(tmp_path / "src" / "pipe")
    assert [*_digests([Path("src")], tmp_path)] == ["src/inner/a.py"]


def test_a_history_does_not_take_a_step_that_no_file_of_trials_does(write: Write) -> None:
    last, _ = ends(misbehaving(write, "far"))
    assert isinstance(last, Failed)
    assert "more than 1,000,000,000,000,000 steps" in last.reason


def test_a_pilot_tells_the_task_and_has_keys_of_its_own(fits: Path) -> None:
    assert run_here(fits, pilot=True) == 0
    store = Store(Path("ablate-store")).pilot
    runs = [store.run(path.name) for path in (store.root / "runs").iterdir()]
    assert {len(one.history()) for one in runs} == {2}
    assert not {spec.key for spec in planned(fits)[0]} & {one.path.name for one in runs}


def test_a_rehearsal_finds_what_fails_before_any_run_starts(fits: Path, write: Write) -> None:
    write("plugins/fits.py", PLUGIN.replace('"test/error": (slope - target) ** 2,', ""))
    done = ablate("run", fits, "--executor", "inline", "--no-report")
    assert done.exit_code == 2
    assert "cannot be trained; nothing was started\n  all: the task reported" in done.output
    assert "and not test/error, which the study compares" in done.output


def test_adaptive_seeds_stop_where_a_task_is_decided(fits: Path) -> None:
    fits.write_text(STUDY.replace("seeds = 3", "seeds = { min = 2, max = 6 }"))
    assert run_here(fits) == 0
    assert 6 <= len(library.results("fits").runs) <= 18


def test_changes_of_a_task_are_told_apart(fits: Path) -> None:
    both = '[[variant]]\nname = "both"\nset = { "task.rate" = 0.2, "task.steps" = 20 }\n'
    fits.write_text(STUDY + both)
    told = ablate("explain", "both", "--study", fits)
    assert told.exit_code == 0
    assert 'set = { task = { use = "fit", rate = 0.2 } }' in told.output


def test_each_setting_of_a_task_is_a_factor(fits: Path) -> None:
    fits.write_text(STUDY.replace('"task.rate" = 0.3 }', '"task.rate" = 0.3, "task.steps" = 20 }'))
    study = parse_study(fits.read_text(), fits).study
    assert changed_factors(study, "faster", "baseline") == ["task.rate", "task.steps"]


def test_factors_may_change_a_task(fits: Path) -> None:
    factors = '[factor.rate]\nset = { "task.rate" = 0.2 }\n[factor.steps]\nset = { "task.steps" = 20 }\n'
    fits.write_text(f'{STUDY}{factors}[design]\nkind = "factorial"\n')
    assert "design factorial: adds 3 variants" in ablate("plan", fits).output


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_progress_counts_the_steps_of_a_task(fits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    (spec, *_), _ = planned(fits)
    board = Board([spec], lambda _: None)
    board.take(Started(spec))
    assert board.rows() == [["baseline, seed 0", "–", "–"]]
    board.take(EpochDone(spec, {"epoch": 2, "step": 20, "validation/error": 0.25, "seconds": 1.0}))
    assert board.rows() == [["baseline, seed 0", "20", "validation error 0.25"]]
    clock.now = 60.0
    assert board.title().replace(NBSP, " ") == "0/1 run, 1 min so far"  # nobody knows how many steps there are
    board.take(EpochDone(spec, {"epoch": 3, "step": 30, "steps": 120, "validation/error": 0.25, "seconds": 1.0}))
    assert board.rows() == [["baseline, seed 0", "30/120", "validation error 0.25"]]
    assert board.title().replace(NBSP, " ") == "0/1 run, 1 min so far, about 3 min left"
    lines = [{"step": 10, "steps": 40, "seconds": 30.0}, {"step": 20, "steps": 40, "seconds": 30.0}]
    assert _step(lines) + _left(lines).replace(NBSP, " ") == "20 of 40, about 1 min left"
    assert _step([{"step": 10}]) + _left([{"step": 10, "seconds": 1.0}]) + _left([]) == "10"
    assert "test error 0.125" in board.take(Finished(spec, {"test/error": 0.125, "epochs": 2}))


# Tuning


def test_a_task_is_tuned_in_the_range_that_it_says(fits: Path) -> None:
    done = ablate("tune", fits, "--only", "baseline", "--executor", "inline")
    assert done.exit_code == 0, done.output
    assert "by validation error, seed 1000" in done.output
    assert "looking at task.rate 0.05 to 0.5" in done.output
    trials = [ablate("run", fits, "--tuned", "--only", "baseline", "--executor", "inline", "--no-report")]
    assert "baseline (tuned) against baseline" in trials[0].output
    assert ablate("report", "fits", "--out", "told", "--format", "md").exit_code == 0
    page = Path("told/report.md").read_text()
    assert "Trials looked for the lowest validation error." in page
    assert "steered by the validation split, not by the test split" in page


def test_a_trial_that_does_badly_is_pruned(fits: Path) -> None:
    pruner = 'sampler = "grid"\npruner = { use = "median", n_startup_trials = 1, n_warmup_steps = 0 }'
    fits.write_text(STUDY.replace("trials = 5", f'{pruner}\nsettings = {{ "task.rate" = {{ values = [0.3, 1.05] }} }}'))
    done = ablate("tune", fits, "--only", "faster", "--executor", "inline")
    assert "pruned   faster, trial " in done.output
    assert "step" in done.output.partition("pruned   ")[2].splitlines()[0]


@pytest.mark.parametrize(
    ("tune", "text"),
    [
        ('metric = "validation/f1"', '"validation/f1" is no metric to tune for'),
        ('settings = { "task.ratee" = { low = 0.1, high = 0.2 } }', "fit has no setting 'ratee'; did you mean 'rate'?"),
        ('settings = { "optimizer.lr" = { low = 0.1, high = 0.2 } }', "there is no 'optimizer.lr'"),
        ("budget = { epochs = 0.5 }", "is of epochs, which task 'fit' has none of"),
        ('metric = "test/error"', "tune on validation/error, or admit it"),
    ],
)
def test_a_tuning_that_cannot_be_is_told(fits: Path, tune: str, text: str) -> None:
    fits.write_text(STUDY.replace("trials = 5", tune))
    done = ablate("tune", fits, "--executor", "inline")
    assert done.exit_code == 2
    assert text in " ".join(done.output.split()).replace("\n", " ")


def test_what_a_study_says_of_its_metric_goes_for_all_splits() -> None:
    text = HEAD.replace("[baseline]", 'direction = "maximize"\n[baseline]\ntask = { use = "fit" }')
    declared = {name: Metric(name, direction="minimize") for name in ("test/error", "validation/error", "test/f1")}
    found, _ = found_reported(parse_study(text, Path("s.toml")).study, declared)
    assert {one.name: one.higher_is_better for one in found} == {
        "test/error": True,
        "validation/error": True,
        "test/f1": False,
    }


def test_a_task_is_not_tuned_for_costs_that_nobody_knows(fits: Path) -> None:
    told = ablate("tune", fits, "--objective", "error", "--objective", "flops", "--executor", "inline")
    assert told.exit_code == 2
    assert "unknown objective 'flops'" in told.output


TWO_LOGS = """
from ablate import Metric, Run, task

@task("logs", metrics=[Metric("test/f1", direction="maximize"), Metric("test/bleu", direction="maximize")])
def logs(run: Run, *, a: float = 1.0) -> dict:
    for step in (1, 2, 3):
        bleu = {f"{split}/bleu": a * step + run.seed / 9 for split in ("train", "validation")}
        run.log(step=step, metrics={**bleu, "validation/loss": a / step})
    return {"test/f1": a}
"""


def test_curves_are_of_all_that_a_task_logs_also_where_no_run_reports_it_in_the_end(write: Write) -> None:
    write("plugins/logs.py", TWO_LOGS)
    head = HEAD.replace("test/error", "test/f1").replace("[baseline]", "seeds = 2\n[baseline]")
    variants = 'task = { use = "logs" }\n[[variant]]\nname = "b"\nset = { "task.a" = 2.0 }\n'
    assert run_here(write("s.toml", head + variants)) == 0
    (curves,) = section_curves(report(library.results("s")._records))
    assert [panel.heading for panel in curves.panels] == ["Validation loss", "Validation bleu"]
    assert {(curve.variant, curve.part) for curve in curves.panels[1].curves} == {
        (variant, part) for variant in ("baseline", "b") for part in ("train", "test")
    }
    assert curves.caption.endswith("at each step that the task logs. Dashed is the same on training data.")


LIKELIHOOD = """
from typing import Annotated
from ablate import Metric, Range, Run, task

BOTH = [Metric(f"{split}/loss", direction="maximize") for split in ("validation", "test")]

@task("likelihood", metrics=BOTH)
def likelihood(run: Run, *, a: Annotated[float, Range(0.0, 5.0)] = 1.0) -> dict:
    for step in (1, 2, 3):
        run.log(step=step, metrics={"train/loss": a - 9, "validation/loss": a - 10, "test/loss": a - 10})
    return {"test/loss": a - 10 + run.seed / 100}
"""


@pytest.mark.slow  # a tuning, runs and two reports
def test_a_loss_that_is_maximized_is_tuned_and_told_as_one(write: Write) -> None:
    write("plugins/likelihood.py", LIKELIHOOD)
    text = HEAD.replace("test/error", "test/loss").replace("[baseline]", "seeds = 2\n[baseline]")
    study = write(
        "s.toml",
        f'{text}task = {{ use = "likelihood" }}\n[[variant]]\nname = "b"\nset = {{ "task.a" = 2.0 }}\n'
        '[tune]\nsampler = "grid"\nsettings = { "task.a" = { values = [0.5, 4.0] } }\n',
    )
    done = ablate("tune", study, "--only", "baseline", "--executor", "inline")
    assert "loss −6.000  a 4\n" in done.output
    assert ablate("run", study, "--executor", "inline", "--no-report").exit_code == 0
    assert ablate("report", "s", "--out", "told", "--format", "md,json").exit_code == 0
    page = Path("told/report.md").read_text()
    assert "images" not in page
    assert "epoch" not in page
    assert ablate("report", "told/report.json", "--out", "again", "--format", "md").exit_code == 0


# How runs end


def test_a_run_that_is_stopped_goes_on_with_the_same_bits(fits: Path) -> None:
    todo = jobs(fits, "study.seeds=1")[:1]
    whole = run(Inline(), todo)[-1]
    assert isinstance(whole, Finished)
    store = Store(todo[0].store).run(todo[0].spec.key)
    lines = store.history()
    store.path.rename(store.path.with_name("a" * 20))
    events: list[Event] = []
    Inline().run(todo, events.append, lambda: sum(isinstance(one, EpochDone) for one in events) >= 5)
    assert isinstance(events[-1], Stopped)
    assert len(store.history()) == 5
    events = run(Inline(), todo)
    assert isinstance(events[0], Started)
    assert events[0].done == 5
    assert (store.path / "files" / "resumed").read_text() == "5"
    again = events[-1]
    assert isinstance(again, Finished)
    metrics = ("test/error", "test/share", "validation/error")
    assert [again.result[name] for name in metrics] == [whole.result[name] for name in metrics]
    assert [line["validation/error"] for line in store.history()] == [line["validation/error"] for line in lines]


def test_a_task_that_saves_and_never_asks_for_its_state_is_told_so(write: Write) -> None:
    write("plugins/fits.py", PLUGIN)
    study = write(
        "s.toml", HEAD.replace("[baseline]", 'direction = "minimize"\n[baseline]') + 'task = { use = "forgets" }'
    )
    (todo, *_) = jobs(study, "study.seeds=1")
    events: list[Event] = []
    Inline().run([todo], events.append, lambda: sum(isinstance(one, EpochDone) for one in events) >= 3)
    assert isinstance(events[-1], Stopped)
    (begun, *_, failed) = run(Inline(), [todo])
    assert isinstance(begun, Started)
    assert (begun.done, begun.share) == (3, 0.75)
    assert isinstance(failed, Failed)
    assert (
        "interrupted after step 3 and goes on from the state that it saved, yet its task begins again with step 1: it c\
alls run.save and never run.restored"
        in failed.reason
    )
    assert "begin with state = run.restored()" in failed.reason


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "ValueError: no more"),
        ("exit", "raises SystemExit: 3"),
        ("no number", "the task's return: test/error is 'low', not a number"),
        ("a truth", "the task's return: test/error is True, not a number"),
        ("a NumPy truth", "the task's return: test/error is np.True_, not a number"),
        ("nan", "diverged: test/error is nan"),
        ("inf", "diverged: test/error is inf at step 2"),
        ("text", "the task returned str, not its metrics by name"),
        ("a name", "'error' cannot name a metric; a metric is named SPLIT/NAME, as in test/f1"),
        ("steps", "step 1 comes after step 1; steps ascend"),
        ("no metrics", "step 2 has no metric"),
        ("no last step", "run.steps = 0.5 is not a whole number of 1 or more"),
        ("nameless", "the task's return: classes are ['a', 'b'], not a name for each of 3"),
        ("lambda", "run.save: this state could not be read again"),
        ("bad arrays", "predictions (3, 3) and labels int64 (4,) are not logits (N, classes) and whole numbers (N,)"),
    ],
)
def test_what_a_task_does_wrong_is_recorded_with_its_reason(write: Write, how: str, reason: str) -> None:
    event, _ = ends(misbehaving(write, how))
    assert isinstance(event, Failed)
    assert reason in event.reason
    assert (Store(Path("store")).run(event.spec.key).failure() or {})["reason"] == event.reason


def test_a_metric_that_the_study_compares_and_no_run_gives_is_told(write: Write) -> None:
    study = misbehaving(write, "another")
    study.write_text(study.read_text().replace("test/error", "test/auroc"))
    done = ablate("run", study, "--executor", "inline", "--no-report")
    assert done.exit_code == 1
    assert "the task reported test/error, test/f1, and not test/auroc, which the study compares" in done.output
    assert 'name another: metric = "test/error"' in done.output


def test_stored_runs_that_do_not_report_what_the_study_now_compares_are_told_before_anything_else(write: Write) -> None:
    study = misbehaving(write, "another")
    assert ablate("run", study, "--executor", "inline", "--no-report").exit_code == 0
    study.write_text(study.read_text().replace("test/error", "test/f9"))
    for command in (["plan"], ["run", "--no-report"]):
        done = ablate(*command, study)
        assert done.exit_code == 2
        assert 'metric = "test/f9": baseline, seed 0, is stored and did not report it; did you mean ' in done.stderr
        assert "it reported test/error, test/f1" in " ".join(done.stderr.split())


ACCURACY = """
from ablate import Run, task

@task("acc")
def acc(run: Run, *, worth: float = 93.0) -> dict:
    return {"test/accuracy": worth, "test/loss": -worth}
"""


def test_a_percentage_is_no_fraction(write: Write) -> None:
    write("plugins/acc.py", ACCURACY)
    text = '[study]\nname = "s"\nseeds = 1\nmetric = "test/accuracy"\n[baseline]\ntask = { use = "acc" }\n'
    done = ablate("run", study := write("s.toml", text), "--executor", "inline", "--no-report")
    assert done.exit_code == 1
    assert "test/accuracy is 93, and not a fraction, from 0 to 1" in " ".join(done.output.split())
    study.write_text(text.replace("[baseline]", 'direction = "maximize"\nunit = "%"\n[baseline]'))
    assert ablate("run", study, "--retry-failed", "--executor", "inline", "--no-report").exit_code == 0


def test_the_loss_of_a_task_may_be_below_zero() -> None:
    text = HEAD.replace("test/error", "test/loss") + 'task = { use = "fit" }'
    study = parse_study(text, Path("s.toml")).study
    assert study.compared.bounds == (-math.inf, math.inf)
    assert found_reported(study, {})[0][0].bounds == (-math.inf, math.inf)


def test_what_was_logged_last_counts_where_a_task_returns_nothing(write: Write) -> None:
    event, _ = ends(misbehaving(write, "nothing"))
    assert isinstance(event, Finished)
    assert event.result["test/error"] == 0.5


def test_arrays_that_a_task_returns_are_kept_as_its_predictions(write: Write) -> None:
    event, _ = ends(misbehaving(write, "arrays"))
    assert isinstance(event, Finished)
    assert event.result["test/error"] == 0.25
    found = (
        Store(Path("store")).run(event.spec.key).predictions(Store(Path("store")).run(event.spec.key).result() or {})
    )
    assert found["test"].right.tolist() == [True] * 3


def test_a_task_that_swallows_the_stop_has_stopped_all_the_same(write: Write) -> None:
    events: list[Event] = []
    Inline().run(jobs(misbehaving(write, "swallow")), events.append, lambda: len(events) > 5)
    assert isinstance(events[-1], Stopped)


@pytest.mark.slow
def test_processes_that_die_hang_and_fork_end_in_results_and_reasons(write: Write, folder: Path) -> None:
    study = misbehaving(write, "nothing")
    hows = {"once": ("kill", folder / "once"), **{how: (how, "") for how in ("hang", "fork", "shout", "raise")}}
    tables = [
        f'[[variant]]\nname = "{name}"\nset = {{ "task.how" = "{how}", "task.once" = "{once}" }}\n'
        for name, (how, once) in hows.items()
    ]
    study.write_text(study.read_text() + "".join(tables))
    # Those that never end have the time of a start, and a little for the task; the others have as long as they need.
    timed = {"hang": Limits(run_timeout=3), "shout": Limits(run_timeout=3)}
    todo = [replace(job, limits=timed.get(job.spec.variant, job.limits)) for job in jobs(study)]
    events = run(LocalProcesses(2), todo)
    last = {event.spec.variant: event for event in events if isinstance(event, (Finished, Failed))}
    reasons = {name: event.reason for name, event in last.items() if isinstance(event, Failed)}
    assert {name for name in last if name not in reasons} == {"baseline", "once"}
    died = {event.spec.variant: event.reason for event in events if isinstance(event, WorkerDied)}
    assert "SIGKILL" in died["once"]
    assert "exit code 4, each of 3 times" in reasons["fork"]
    assert reasons["hang"] == reasons["shout"] == "timed out after 3 s (run_timeout)"
    assert reasons["raise"].startswith("ValueError: no more")
    forked = Store(Path("store")).run(last["fork"].spec.key).path / "files" / "child"
    assert not Path(f"/proc/{forked.read_text()}/cmdline").exists()


# What a study says


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('task = { use = "fit" }\nepochs = 3', "baseline: epochs  'epochs' is no part of this task"),
        ('task = "fit"', 'baseline: task  "fit" is not a table { use = ... }'),
        ("task = { rate = 1 }", "baseline: task.use  'use' is missing"),
        (
            'task = { use = "fit" }\n[[variant]]\nname = "v"\nset = { epochs = 3 }',
            "variant \"v\": set  'epochs' is no part of task 'fit'",
        ),
        (
            'task = { use = "fit" }\n[[variant]]\nname = "v"\nadd = { augmentation = [{ use = "flip" }] }',
            "variant \"v\": set  'augmentation' is no part of task 'fit'",
        ),
        (
            'task = { use = "fit" }\n[[variant]]\nname = "v"\nset = { task = { use = "image-classification" } }',
            "task 'image-classification' and task 'fit' cannot be compared in one study",
        ),
        (
            'task = { use = "fit" }\n[[variant]]\nname = "v"\nset = { "model.width" = 3 }',
            "variant \"v\": model.width  there is no 'model.width'",
        ),
    ],
)
def test_what_is_no_part_of_a_task_is_told(text: str, told: str) -> None:
    with pytest.raises(StudyError) as raised:
        parse_study(HEAD + text, Path("s.toml")).done()
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("", '"test/f1" is not what the task reports'),
        ('direction = "up"', 'study: direction  "up" is not "maximize" | "minimize"'),
    ],
)
def test_a_metric_without_a_direction_is_told(fits: Path, head: str, told: str) -> None:
    fits.write_text(STUDY.replace('metric = "test/error"', f'metric = "test/f1"\n{head}'))
    assert told in ablate("plan", fits).output


def test_a_task_that_declares_nothing_needs_a_direction_from_its_study(write: Write) -> None:
    study = misbehaving(write, "nothing")
    study.write_text(study.read_text().replace('direction = "minimize"\n', ""))
    told = ablate("plan", study)
    assert told.exit_code == 2
    assert '"test/error" has no direction\n' in told.output
    assert 'say which way is better: direction = "maximize", or "minimize"' in told.output


def test_image_classification_can_be_named(study: Path) -> None:
    before = [spec.key for spec in planned(study)[0]]
    study.write_text(study.read_text().replace("[baseline]", '[baseline]\ntask = { use = "image-classification" }'))
    assert [spec.key for spec in planned(study)[0]] == before
    study.write_text(study.read_text().replace('"image-classification"', '"image-classification", epochs = 3'))
    assert "image-classification has no settings here: its parts stand beside it" in ablate("plan", study).output
    study.write_text(
        study.read_text().replace(", epochs = 3", "").replace("seeds = 2", 'seeds = 2\ndirection = "maximize"')
    )
    assert "is of a study whose task reports metrics of its own" in ablate("plan", study).output


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ('@task("mine")\ndef mine(run, *args): ...', r"\*args and \*\*kwargs hide the settings"),
        ('@task("mine")\ndef mine(): ...', r"takes 0 positional parameters, and ablate passes 1: def mine\(run, \*"),
        ('@task("mine", metrics=["test/f1"])\ndef mine(run): ...', r"metrics has 'test/f1'; write Metric\("),
        (
            '@task("mine", metrics=[Metric("f1", direction="maximize")])\ndef mine(run): ...',
            r"'f1' cannot name a metric",
        ),
        (
            '@task("mine", metrics=[Metric("test/f1", direction="up")])\ndef mine(run): ...',
            r"direction = 'up' of test/f1",
        ),
        ('@task("mine", check=3)\ndef mine(run): ...', r"check = 3 is no function"),
        ("@task\ndef mine(run): ...", r'write @task\("NAME"\)'),
    ],
)
def test_a_task_that_breaks_the_contract_of_its_decorator_is_refused(write: Write, code: str, told: str) -> None:
    write("plugins/mine.py", f"from ablate import Metric, task\n{code}\n")
    study = write("s.toml", HEAD + 'task = { use = "mine" }\n')
    with pytest.raises(InputError, match=told):
        planned(study)


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ('{ name = "test/auroc", direction = "up" }', 'metrics[0]  "up" is not "maximize" | "minimize"'),
        ('{ name = "auroc", direction = "maximize" }', "metrics[0]  'auroc' cannot name a metric"),
        ('{ name = "test/auroc", direction = "maximize", unti = "s" }', "unknown key 'unti'; did you mean 'unit'?"),
    ],
)
def test_a_further_metric_that_is_wrong_is_told(fits: Path, metrics: str, told: str) -> None:
    fits.write_text(STUDY.replace("seeds = 3", f"seeds = 3\nmetrics = [{metrics}]"))
    assert told in ablate("plan", fits).output


def test_a_study_may_say_what_its_task_reports(write: Write) -> None:
    study = misbehaving(write, "another")
    metrics = '[{ name = "test/f1", direction = "maximize", unit = "percent", label = "F1" }]'
    study.write_text(study.read_text().replace("seeds = 1", f"seeds = 2\nmetrics = {metrics}"))
    assert run_here(study) == 0
    found = library.results("s")
    assert [column.title for column in library_table(found)] == ["Test error", "Test F1 (%)"]
    assert found.runs["test/f1"].tolist() == [1.0, 1.0]


def test_a_learning_rate_is_not_looked_for_in_a_task(fits: Path) -> None:
    done = ablate("lr-find", fits)
    assert done.exit_code == 2
    assert "the learning rate of task 'fit' is its own affair" in done.output


def library_table(found: library.StudyResults) -> list[Column]:
    """Return the columns of means."""
    made = table(found._results)
    return [column for column in (*made.columns, *made.further) if column.kind == "mean"]


@pytest.mark.slow
def test_the_study_of_forests_runs(folder: Path) -> None:
    done = ablate("run", shipped("studies") / "forest.toml", "--executor", "inline", "--no-report", "--seeds", "2")
    assert done.exit_code == 0, done.output
    assert "boosting against forest" in done.output
    found = library.results("forest")
    assert found.images("boosting") is not None  # what the runs predicted is compared row by row
    assert ablate("report", "forest", "--out", "told", "--format", "md,html").exit_code == 0
    page = Path("told/report.md").read_text()
    assert "Example by example: of 114 examples boosting alone recognises" in page
    assert "image" not in page.lower().replace(".svg)", "").replace("![", "")
    html = Path("told/report.html").read_text()
    data, _ = json.JSONDecoder().raw_decode(html[html.index('{"variants":') :])
    assert list(data["variants"][0]["seeds"]) == ["0", "1"]  # though the task logs nothing of its test rows


@pytest.mark.slow
def test_texts_tell_their_package_and_classes_have_names(folder: Path) -> None:
    short = [f"baseline.task.{one}" for one in ("width=32", "lr=0.03", "epochs=3")]
    options = [part for one in short for part in ("--set", one)]
    study = shipped("studies") / "text.toml"
    done = ablate("run", study, "--executor", "inline", "--no-report", "--seeds", "1", "--only", "words", *options)
    assert done.exit_code == 0, done.output
    found = library.results("text")
    (run,) = found.runs[found.runs["variant"] == "words"].to_dict("records")
    assert 0.6 < run["test/accuracy"] < 0.95  # a guess is right in 19 % at most
    assert found.epochs["validation/loss"].is_monotonic_decreasing
    assert found._results.class_names[:2] == ("asyncio", "email")
    refused = ablate("plan", study, "--set", "word order.task.ngrams=2")
    assert "the GRU reads word after word, and takes ngrams = 1" in refused.output


class TestTextClassifier(TaskContract):
    """So does the text classifier of studies/text.toml, whose generators and optimizer go on by the bit."""

    component = "text-classifier"
    plugin = shipped("studies") / "text.py"


class TestRandomForest(TaskContract):
    """The random forest of studies/forest.toml keeps the contract of a task."""

    component = "random-forest"
    plugin = shipped("studies") / "forest.py"


class TestCommand(TaskContract):
    """So does a program."""

    component = "command"
    settings = {  # noqa: RUF012  # as a user writes it
        "command": [
            "/bin/sh",
            "-c",
            """for i in 1 2 3; do echo "{\\"step\\": $i, \\"validation/x\\": {seed}}"; done
            echo '{"test/x": 1}'""",
        ]
    }
