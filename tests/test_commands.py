"""The commands as a user types them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ablate.commands.run import run_study
from ablate.errors import InputError
from ablate.execute.inline import Inline
from ablate.launch.make import RunOptions
from ablate.launch.study import Options
from ablate.paths import known_file
from ablate.report.render import TEX_PARTS
from ablate.store.run_writer import RunWriter
from ablate.store.store import Store
from ablate.study.toml import Changes
from tests.support import ablate, run_here

Write = Callable[[str, str], Path]


def in_process(code: str) -> str:
    """Run a few lines in a fresh interpreter and return what they print."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def run_inline(study: Path, capsys: pytest.CaptureFixture[str], **how: Any) -> tuple[int, str, str]:
    changes = how.pop("changes", Changes())
    only = how.pop("only", ())
    options = Options(study, Path("ablate-store").resolve(), Path("data").resolve(), changes, only, "cpu")
    code = run_study(options, RunOptions(jobs=1, **how), Inline())
    out, err = capsys.readouterr()
    return code, out, err


def plan(study: Path, *arguments: str) -> list[dict[str, Any]]:
    found = ablate("plan", study, "--json", *arguments)
    assert found.exit_code == 0, found.output
    runs: list[dict[str, Any]] = json.loads(found.stdout)["runs"]
    return runs


def test_a_home_folder_that_the_system_does_not_know_is_reported(study: Path) -> None:
    for option in ("--store", "--data-dir"):
        found = ablate("plan", study, option, "~nobody-of-this-name/x")
        assert found.exit_code == 2
        assert found.stderr.startswith("error: ~nobody-of-this-name/x: cannot be used as a folder: ")


def test_the_folder_of_a_report_is_reported_where_it_is_not_called_as_the_study(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study.write_text(study.read_text().replace('name = "tiny"', 'name = "My Study"').replace("seeds = 2", "seeds = 1"))
    run_inline(study, capsys)
    found = ablate("report", "--format", "csv")
    (folder,) = Path("reports").iterdir()
    assert f"the folder is called {folder.name}, since not every file system has names such as 'My Study'" in (
        " ".join(found.stderr.split())
    )
    assert "My Study: 2 of 2 runs done" in found.stderr
    assert "the folder is called" not in ablate("report", study, "--format", "csv", "--out", "here").stderr


def test_a_folder_for_figures_that_cannot_be_written_is_reported_before_any_test(study: Path) -> None:
    Path("taken").write_text("")
    for place in ("taken", "taken/below"):
        found = ablate("lr-find", study, "--out", place)
        assert found.exit_code == 2
        assert found.stderr == f"error: cannot write to {place}: taken is no folder that can be written\n"


# A study from nothing to a report


def test_run_trains_reports_and_then_has_nothing_to_do(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run_inline(study, capsys)
    assert code == 0
    assert "tiny: 4 runs, 0 stored, 4 to make" in err
    assert out.splitlines()[0].split() == [
        "Variant",
        "runs",
        "test",
        "accuracy",
        "%",
        "95",
        "%",
        "interval",
        "time",
        "each",
    ]
    assert err.splitlines()[-1] == "next: ablate report"
    report = ablate("report")
    assert report.exit_code == 0
    assert report.stdout.splitlines() == ["reports/tiny/report.html", "reports/tiny/report.md"]
    assert "<svg " in Path("reports/tiny/report.html").read_text()
    code, _, err = run_inline(study, capsys)
    assert code == 0
    assert "4 stored, nothing to make" in err
    assert "start" not in err


def test_the_whole_command_runs_in_processes(study: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ablate", "run", str(study), "--jobs", "2", "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [r["state"] for r in document["runs"]] == ["stored"] * 4
    assert done.stderr.count("start ") == 4


def test_an_edit_of_a_component_makes_exactly_its_runs_new(
    study: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = '''
from ablate import augmentation

@augmentation("noise")
def noise(*, strength: float = 0.1):
    """Do nothing."""
    return lambda images, generator: images * 1.0

@augmentation("other")
def other():
    """Do nothing."""
    return lambda images, generator: images
'''
    plugin = write("plugins/noise.py", noise)
    study.write_text(study.read_text().replace('[{ use = "flip" }]', '[{ use = "noise" }]'))
    run_inline(study, capsys)
    plugin.write_text(noise.replace("images * 1.0", "images * 0.9"))
    before = {True: "stored", False: "new"}
    runs = plan(study)
    assert [r["state"] for r in runs] == [before[r["variant"] == "baseline"] for r in runs]
    new = [r for r in runs if r["state"] == "new"]
    assert [r["why"] for r in new] == ["source of augmentation noise changed (plugins/noise.py:4)"] * 2
    assert "source of augmentation noise changed (plugins/noise.py:4)" in ablate("plan", study).stdout


def test_an_edit_of_the_study_says_what_changed(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_inline(study, capsys)
    study.write_text(study.read_text().replace("lr = 1e-2", "lr = 1e-3").replace("epochs = 2", "epochs = 3"))
    assert {r["why"] for r in plan(study)} == {"epochs 2 → 3; optimizer.lr 0.01 → 0.001"}


def test_names_and_notes_change_no_run(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_inline(study, capsys)
    study.write_text(study.read_text().replace('name = "flipped"', 'name = "mirrored"\nnote = "new"'))
    assert {r["state"] for r in plan(study)} == {"stored"}
    assert ablate("report", study).exit_code == 0
    assert "mirrored" in Path("reports/tiny/report.md").read_text()


def test_set_only_and_seeds_choose_the_runs(study: Path) -> None:
    runs = plan(study, "--only", "flipped", "--seeds", "0,3")
    assert [(r["variant"], r["seed"]) for r in runs] == [("flipped", 0), ("flipped", 3)]
    assert [r["key"] for r in plan(study, "--set", "baseline.epochs=3")] != [r["key"] for r in plan(study)]
    assert len(plan(study, "--seeds", "5")) == 10


def test_runs_are_ordered_by_seed_first(study: Path) -> None:
    assert [(r["variant"], r["seed"]) for r in plan(study)] == [
        ("baseline", 0), ("flipped", 0), ("baseline", 1), ("flipped", 1),
    ]  # fmt: skip


def test_a_set_on_the_command_line_is_an_edit_of_the_file(study: Path) -> None:
    changed = [r["key"] for r in plan(study, "--set", "baseline.optimizer.lr=0.5")]
    study.write_text(study.read_text().replace("lr = 1e-2", "lr = 0.5"))
    assert [r["key"] for r in plan(study)] == changed


def test_a_pilot_is_kept_apart_and_times_the_real_runs(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert all(r["seconds"] is None for r in plan(study))
    code, _, err = run_inline(study, capsys, changes=Changes(pilot=True))
    assert code == 0
    assert "tiny (pilot): 2 runs" in err
    runs = plan(study)
    assert {r["state"] for r in runs} == {"new"}
    assert all(r["seconds"] > 0 for r in runs)
    report = ablate("report")
    assert report.stdout.splitlines()[0] == "reports/tiny-pilot/report.html"
    assert "Pilot" in Path("reports/tiny-pilot/report.md").read_text()


def test_a_failed_run_is_listed_kept_and_tried_again_when_asked(
    study: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = '''
from pathlib import Path

from ablate import augmentation


@augmentation("moody")
def moody():
    """Fail in training while a file is there."""

    def transform(images, generator):
        if len(images) == 16 and Path("moody").exists():  # a batch of the study, and of no rehearsal
            raise RuntimeError("not today")
        return images

    return transform
'''
    write("plugins/moody.py", broken)
    mood = write("moody", "")
    study.write_text(study.read_text().replace('[{ use = "flip" }]', '[{ use = "moody" }]'))
    code, _, err = run_inline(study, capsys)
    assert code == 1
    assert "failed: flipped, seed 0: RuntimeError: not today" in err
    assert [r["state"] for r in plan(study)] == ["stored", "failed", "stored", "failed"]
    mood.unlink()
    assert run_inline(study, capsys)[0] == 1
    code, _, err = run_inline(study, capsys, retry_failed=True)
    assert code == 0
    assert "2 to make" in err


def test_what_cannot_be_trained_stops_before_the_first_run(
    study: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        "plugins/odd.py",
        'from ablate import model\n\n\n@model("odd")\ndef odd(shape, classes):\n    """Odd."""\n    return None\n',
    )
    study.write_text(
        study.read_text().replace('add = { augmentation = [{ use = "flip" }] }', 'set = { model = { use = "odd" } }')
    )
    with pytest.raises(
        InputError,
        match=r"1 variant cannot be trained; nothing was started\n"
        r"  flipped: model 'odd' \(plugins/odd.py:4\) returns NoneType",
    ):
        run_inline(study, capsys)
    assert {r["state"] for r in plan(study)} == {"new"}


def test_status_counts_and_lists(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no study has been run here yet" in ablate("status").stdout
    run_inline(study, capsys, only=("baseline",))
    assert ablate("status").stdout.splitlines()[2].split()[:5] == ["tiny", "2", "0", "0", "2"]
    document = json.loads(ablate("status", "tiny", "--json").stdout)
    assert [r["state"] for r in document["runs"]] == ["stored", "new", "stored", "new"]


def test_an_interrupted_study_is_reported_with_its_gaps(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_inline(study, capsys, only=("baseline",))
    assert ablate("report", "--format", "md").exit_code == 0
    assert "| flipped | 0, 1 | new |" in Path("reports/tiny/report.md").read_text()


# New files run as they are


def test_a_new_study_runs_as_it_is(folder: Path) -> None:
    assert ablate("new", "study", "My first").stdout.strip() == "studies/my-first.toml"
    assert [r["variant"] for r in plan(Path("studies/my-first.toml"), "--seeds", "1")] == [
        "baseline",
        "wider",
        "wider, shifted",
    ]


@pytest.mark.parametrize("kind", ["dataset", "model", "augmentation", "optimizer", "scheduler"])
def test_a_new_component_runs_as_it_is(kind: str, study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ablate("new", "component", "brand-new", "--kind", kind).stdout.strip() == "plugins/brand_new.py"
    table = '{ use = "brand-new", lr = 0.01 }' if kind == "optimizer" else '{ use = "brand-new" }'
    change = f"baseline.{kind}=" + (f"[{table}]" if kind == "augmentation" else table)
    code, _, err = run_inline(study, capsys, changes=Changes((change,), (0,)), only=("baseline",))
    assert code == 0, err
    capsys.readouterr()
    assert "brand-new" in ablate("components", kind, "brand-new").stdout


def test_new_never_overwrites(folder: Path) -> None:
    ablate("new", "study", "x")
    again = ablate("new", "study", "x")
    assert again.exit_code == 2
    assert "exists already, and is left as it is" in again.stderr


# Bad input: exit 2, a complete text, no traceback


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["plan", "nowhere.toml"], "nowhere.toml: no such file"),
        (["run", "studies"], "studies: is a folder, not a study file"),
        (["plan", "studies/tiny.toml", "--only", "fliped"], "there is no variant 'fliped'; did you mean 'flipped'?"),
        (["plan", "studies/tiny.toml", "--seeds", "x"], "is neither a number of seeds nor a list"),
        (["plan", "studies/tiny.toml", "--seeds", "-1"], "is neither a number of seeds nor a list"),
        (["plan", "studies/tiny.toml", "--seeds", "1,1"], "is neither a number of seeds nor a list"),
        (["plan", "studies/tiny.toml", "--set", "baseline.epoch=3"], "there is no 'epoch'; did you mean 'epochs'?"),
        (
            ["plan", "studies/tiny.toml", "--set", "baseline.dataset.validation=64"],
            "leave none of the 64 training images",
        ),
        (
            ["plan", "studies/tiny.toml", "--set", "baseline.dataset.validation=65"],
            "validation = 65 is more than the 64",
        ),
        (["plan", "studies/tiny.toml", "--set", "baseline.optimizer.lr=fast"], '"fast" is not a number above 0'),
        (["report"], "no study has been run in this store"),
        (["report", "--format", "html,pdf"], "unknown report format 'pdf'\n  accepted: html, md, tex, json, csv"),
        (["report", "nothing"], "no study of this name or file has been run"),
        (["status", "nothing"], "no study of this name or file has been run"),
        (["components", "models", "simple-cn"], "unknown model 'simple-cn'; did you mean 'simple-cnn'?"),
        (["components", "modle"], "unknown kind 'modle'; did you mean 'model'?"),
        (["new", "study", "../x"], "cannot name a study"),
        (["new", "component", "x", "--kind", "modl"], "unknown kind 'modl'; did you mean 'model'?"),
        (["new", "component", "a/b"], "cannot name a component"),
        (["new", "component", "cutout"], "the augmentation name 'cutout' is taken"),
        (["run", "studies/tiny.toml", "--device", "gpu", "--jobs", "1"], "--device gpu: there is no such device"),
        (["plan", "studies/tiny.toml", "--jobs", "-1"], "--jobs"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_bad_input_is_reported_and_exits_2(study: Path, arguments: list[str], text: str) -> None:
    done = ablate(*arguments)
    assert done.exit_code == 2, done.output
    assert text in done.stderr
    assert "Traceback" not in done.output
    assert done.stdout == ""


def test_a_store_that_cannot_be_written_stops_before_training(study: Path, write: Write) -> None:
    write("file", "")
    done = ablate("run", study, "--store", "file/store")
    assert done.exit_code == 2
    assert "name another: --store DIR or ABLATE_STORE" in done.stderr


def test_a_plugin_that_does_not_import_stops_every_command_that_loads_it(study: Path, write: Write) -> None:
    write("plugins/broken.py", "import numpy\nimport no_such_module\n")
    for command in (["plan", study], ["run", study], ["components"]):
        done = ablate(*command)
        assert done.exit_code == 2
        assert "plugins/broken.py:2: this plugin does not import: ModuleNotFoundError" in done.stderr


def test_every_problem_of_a_file_is_in_one_message(study: Path) -> None:
    study.write_text(
        study.read_text().replace('"adam"', '"adma"').replace('"flip"', '"flop"').replace("epochs = 2", "epochs = 0")
    )
    done = ablate("plan", study)
    assert done.stderr.splitlines()[0] == "error: studies/tiny.toml: 3 problems"
    assert "baseline: epochs" in done.stderr
    assert "did you mean 'adam'?" in done.stderr
    assert "did you mean 'flip'?" in done.stderr


# Imports: these commands stay quick


@pytest.mark.parametrize(
    "command",
    [
        ["report"],
        ["plan", "studies/tiny.toml"],
        *(pytest.param(one, marks=pytest.mark.long) for one in (["--help"], ["status"], ["components"], ["check"])),
    ],
)
def test_these_commands_import_no_torch(study: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    run_inline(study, capsys)
    code = (
        "import sys\nfrom ablate.cli import app\n"
        f"try:\n    app({command!r})\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "print('\\n', 'torch' in sys.modules)"
    )
    assert in_process(code).split()[-1] == "False"


def test_status_loads_nothing_that_reads_plugins(folder: Path) -> None:
    code = (
        "import sys\nfrom ablate.cli import app\ntry:\n    app(['status'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'ablate.components.discover', 'ablate.study.resolve', 'ablate.training'}\n"
        "print('\\n', sorted(heavy & set(sys.modules)))"
    )
    assert in_process(code).splitlines()[-1].strip() == "[]"


def test_help_imports_neither_pandas_nor_pydantic(folder: Path) -> None:
    code = (
        "import sys\nfrom ablate.cli import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('\\n', sorted({'pandas', 'pydantic', 'numpy', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    assert in_process(code).splitlines()[-1].strip() == "[]"


# Plugins from installed packages


@pytest.mark.long
def test_a_component_of_an_installed_package_works_in_a_study(study: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    package = site / "extra"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        'from ablate import augmentation\n\n\n@augmentation("extra")\ndef extra():\n    """Do nothing."""\n'
        "    return lambda images, generator: images\n"
    )
    info = site / "extra-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ablate.plugins]\nextra = extra\n")
    study.write_text(study.read_text().replace('use = "flip"', 'use = "extra"'))
    done = subprocess.run(
        [sys.executable, "-m", "ablate", "run", str(study), "--seeds", "1", "--jobs", "1"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert done.returncode == 0, done.stderr
    assert "done    flipped, seed 0" in done.stderr


@pytest.mark.parametrize("option", ["--out", "--figures"])
def test_a_folder_that_cannot_be_one_is_refused_before_a_report_is_made(folder: Path, study: Path, option: str) -> None:
    assert run_here(study) == 0
    Path("taken").write_text("")
    done = ablate("report", option, "taken/r")
    assert done.exit_code == 2
    assert "cannot write to taken/r: taken is no folder" in done.stderr
    assert not Path("reports").exists()


# Real CIFAR-100


@pytest.mark.slow
def test_the_five_phases_train_as_a_pilot_on_real_cifar100(folder: Path, cifar100: Path) -> None:
    from ablate.paths import shipped

    study = shipped("studies") / "cifar100_phases.toml"
    done = subprocess.run(
        [sys.executable, "-m", "ablate", "run", str(study), "--pilot", "--data-dir", str(cifar100), "--json"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [r["state"] for r in json.loads(done.stdout)["runs"]] == ["stored"] * 5
    assert Store(Path("ablate-store").resolve()).state("x") == "new"
    assert ablate("report").exit_code == 0
    html = Path("reports/cifar100-phases-pilot/report.html").read_text()
    assert all(f"Phase {n}" in html for n in range(1, 6))
    shown = re.findall(r'<svg [^>]*aria-labelledby="([\w-]+)-title"', html)
    assert {"waterfall", "loss", "accuracy", "lr-find"} <= set(shown), shown


def test_a_subset_of_real_cifar100_trains(
    folder: Path, cifar100: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    study = write(
        "s.toml",
        '[study]\nname = "c"\nseeds = 1\n[baseline]\nepochs = 1\nbatch_size = 64\n'
        'dataset = { use = "cifar100", train = 500, validation = 200, test = 300 }\n'
        'model = { use = "simple-cnn", width = 8 }\noptimizer = { use = "adam", lr = 1e-3 }\n',
    )
    options = Options(study, Path("store").resolve(), cifar100, device="cpu")
    assert run_study(options, RunOptions(jobs=1), Inline(), json=True) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert 4 < run["train/loss"] < 5
    shutil.rmtree("store")


# What must never mislead


def test_after_an_edit_and_a_partial_run_nothing_old_is_compared_with_new(
    study: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    run_inline(study, capsys)
    plugin = study.parent.parent / "plugins" / "tiny.py"
    plugin.write_text(plugin.read_text().replace("normal(0, 30", "normal(0, 31"))
    run_inline(study, capsys, only=("flipped",))
    states = {(r["variant"], r["state"]) for r in json.loads(ablate("status", "tiny", "--json").stdout)["runs"]}
    assert states == {("baseline", "new"), ("flipped", "stored")}


def test_variants_that_are_one_run_in_a_pilot_are_trained_once(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text(study.read_text() + '[[variant]]\nname = "longer"\nset = { epochs = 9 }\n')
    code, out, err = run_inline(study, capsys, changes=Changes(pilot=True))
    assert code == 0
    assert err.count("start ") == 2
    assert [line.split()[:2] for line in out.splitlines()[2:]] == [["baseline", "1"], ["flipped", "1"], ["longer", "1"]]
    told = ablate("verdict", "--pilot")
    assert told.exit_code == 0
    assert told.stdout == ""
    assert "its numbers mean nothing. So nothing is compared." in told.stderr
    found = json.loads(ablate("verdict", "--pilot", "--json").stdout)
    assert (found["pilot"], found["comparisons"]) == (True, [])


def test_a_study_that_could_not_be_started_does_not_become_the_one_run_last(
    study: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    run_inline(study, capsys)
    write("plugins/odd.py", 'from ablate import model\n\n\n@model("odd")\ndef odd(shape, classes):\n    """Odd."""\n')
    other = write(
        "other.toml", study.read_text().replace('"tiny"\nseeds', '"other"\nseeds').replace("simple-cnn", "odd")
    )
    other.write_text(other.read_text().replace(", width = 4, hidden = 8", ""))
    with pytest.raises(Exception, match=r"model 'odd' \(plugins/odd\.py:4\) returns NoneType, not a torch\.nn\.Module"):
        run_inline(other, capsys)
    assert ablate("report").stdout.startswith("reports/tiny/")
    assert "other" not in ablate("status").stdout


def test_two_studies_do_not_take_each_others_name(
    study: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    run_inline(study, capsys)
    other = write("other.toml", study.read_text())
    done = ablate("plan", other)
    assert done.exit_code == 2
    assert "other.toml: the name 'tiny' is that of studies/tiny.toml in this store" in done.stderr


def test_a_project_that_is_copied_with_its_store_goes_on(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_inline(study, capsys)
    copy = tmp_path / "copy"
    for part in ("studies", "plugins", "ablate-store"):
        shutil.copytree(part, copy / part)
    monkeypatch.chdir(copy)
    assert {r["state"] for r in plan(Path("studies/tiny.toml"))} == {"stored"}
    assert ablate("report").exit_code == 0


def test_a_study_that_changed_is_reported_as_it_was_run(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_inline(study, capsys)
    study.write_text(study.read_text().replace("epochs = 2", "epochs = 1"))
    done = ablate("report")
    assert "studies/tiny.toml has changed since it was run: this is the study as it was run" in done.stderr
    assert "4 of 4 runs done" in done.stderr


def test_a_study_whose_file_has_problems_now_is_reported_as_it_was_run(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_inline(study, capsys)
    study.write_text("[study")
    done = ablate("report", study)
    assert "studies/tiny.toml has problems now: this is the study as it was run" in done.stderr
    assert "4 of 4 runs done" in done.stderr


def test_the_report_says_what_the_command_line_changed(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_inline(study, capsys, changes=Changes(("baseline.epochs=1",), (3,)))
    ablate("report", "--format", "md")
    text = Path("reports/tiny/report.md").read_text().replace("\\", "")
    assert "--set baseline.epochs=1" in text
    assert "ablate run studies/tiny.toml --set baseline.epochs=1 --seeds 3," in text


def test_a_file_is_reported_under_the_name_it_has_now(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_inline(study, capsys)
    study.write_text(study.read_text().replace('name = "tiny"', 'name = "zz"').replace("lr = 1e-2", "lr = 2e-2"))
    record = next(Path("ablate-store/studies").glob("tiny.json"))
    record.write_text(record.read_text().replace('"time": "2', '"time": "1'))
    run_inline(study, capsys)
    assert ablate("report", study).stdout.startswith("reports/zz/")


def test_a_study_of_odd_names_is_reported_in_every_format_within_its_folder(
    write: Write, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = r"""=cmd|' C calc'!A0 <b>&"$(x)` ~ # % _ ^ {é} [🚀] ](javascript:alert"""
    text = study.read_text().replace('name = "tiny"', f"name = '''{odd}'''\ntitle = '''{odd}'''")
    text = text.replace('name = "flipped"', f"name = '''{odd}'''\nnote = '''\\input{{x}} {odd}\n\n{odd}'''")
    assert run_inline(write("studies/odd.toml", text), capsys)[0] == 0
    before = set(Path().rglob("*"))
    report = ablate("report", "--format", "html,md,tex,csv")
    assert report.exit_code == 0, report.output
    (folder,) = Path("reports").iterdir()
    tables = ["runs.csv", "epochs.csv", "comparisons.csv", "classes.csv"]
    names = ["report.html", "report.md", "report.tex", *tables]
    assert report.stdout.splitlines() == [str(folder / name) for name in names]
    new = {path for path in Path().rglob("*") if path not in before and path.is_file()}
    new -= set(Path("home").rglob("*"))  # matplotlib's list of fonts
    drawn = ("differences", "loss", "accuracy", "cost", "curves-variant-2")
    figures = [f"figures/{figure}.{kind}" for figure in drawn for kind in ("svg", "png", "pdf")]
    parts = [f"parts/{part}.tex" for part in TEX_PARTS]
    assert new == {folder / name for name in [*names, "references.bib", *figures, *parts]}


def test_a_study_with_a_byte_order_mark_runs_and_reports(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_text("\ufeff" + study.read_text(), encoding="utf-8")
    assert run_inline(study, capsys)[0] == 0
    assert ablate("report", study).exit_code == 0


def test_writing_a_default_out_is_no_change_in_the_report_either(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = study.read_text().replace(
        'add = { augmentation = [{ use = "flip" }] }',
        'set = { optimizer = { use = "adam", lr = 1e-2, eps = 1e-8 }, epochs = 1 }',
    )
    study.write_text(text)
    run_inline(study, capsys)
    ablate("report", "--format", "md")
    report = Path("reports/tiny/report.md").read_text()
    assert "eps" not in report.split("## One by one")[-1].split("flipped")[-1].split("## Methods")[0]
    assert "several-factors" not in report


def test_problems_of_data_and_of_components_are_reported_together(study: Path) -> None:
    study.write_text(study.read_text().replace("validation = 16", "validation = 9999").replace('"adam"', '"adma"'))
    done = ablate("plan", study)
    assert done.stderr.splitlines()[0] == "error: studies/tiny.toml: 2 problems"


@pytest.mark.parametrize("key", ["title", "label"])
def test_control_characters_do_not_reach_the_terminal(study: Path, key: str) -> None:
    study.write_text(study.read_text().replace("seeds = 2", f'seeds = 2\n{key} = "a\\u001b[31mb"'))
    done = ablate("plan", study)
    assert done.exit_code == 2
    assert "has characters that are not printable" in done.stderr
    assert "\x1b" not in done.output


def test_a_decorator_without_parentheses_is_reported(study: Path, write: Write) -> None:
    write("plugins/bare.py", "from ablate import model\n\n\n@model\ndef bare(shape, classes): ...\n")
    done = ablate("plan", study)
    assert done.exit_code == 2
    assert 'write @model("NAME"), with a name in parentheses' in done.stderr


def test_the_live_table_shows_runs_and_leaves_a_line_for_each(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pty

    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    command = [sys.executable, "-m", "ablate", "run", str(study), "--seeds", "1", "--jobs", "1"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=follower, env=environment)
    os.close(follower)
    told = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        told += piece
    os.close(leader)
    assert running.communicate()[0].decode().startswith("Variant")
    assert running.returncode == 0
    text = told.decode()
    assert "done    baseline, seed 0" in text
    assert "test accuracy" in text
    assert text.rstrip().endswith("report: reports/tiny/report.html and reports/tiny/report.md")


def test_where_a_dataset_is_decides_nothing(study: Path) -> None:
    plugin = study.parent.parent / "plugins" / "tiny.py"
    plugin.write_text(plugin.read_text().replace("images: int = 64", "images: int = 64, where: Path = Path('.')"))
    here, there = (plan(study, "--set", f"baseline.dataset.where={place}") for place in ("here", "there"))
    assert [r["key"] for r in here] == [r["key"] for r in there]


def test_the_version_is_reported() -> None:
    assert ablate("--version").stdout.startswith("ablate 0.")


def test_a_plan_says_which_augmentations_are_slow_and_what_is_not(study: Path) -> None:
    study.write_text(study.read_text().replace('"flip"', '"torchvision:ColorJitter", hue = 0.1'))
    told = "augmentation torchvision:ColorJitter works image by image, which is slow; color-jitter is the batched one"
    assert ablate("plan", study).stdout.splitlines().count(told) == 1


def test_loading_a_library_is_reported_once(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("cache").resolve()))
    study.write_text(study.read_text().replace('"adam"', '"torch:AdamW"'))
    assert "loading torch to check the settings of its components" in ablate("plan", study).stderr
    assert "loading" not in ablate("plan", study).stderr
    for left in ('{"a": 5}', "[", json.dumps({key: {"lr": 9.0} for key in json.loads(known_file().read_text())})):
        known_file().write_text(left)
        first, again = plan(study), plan(study)
        assert first == again
        assert "9.0" not in json.dumps(first)


def test_a_store_does_not_say_what_passed(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that a study may not have is refused, whatever is in the store."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("cache").resolve()))
    text = study.read_text()
    study.write_text(text.replace('"adam"', '"torch:AdamW"'))
    Path("ablate-store").mkdir()
    keys = [run["key"] for run in plan(study)]
    digests = json.loads(known_file().read_text())
    Path("ablate-store/known.json").write_text(json.dumps({key: {"lr": 0.9, "foreach": "x"} for key in digests}))
    known_file().unlink()
    assert [run["key"] for run in plan(study)] == keys
    study.write_text(
        text.replace('"simple-cnn", width = 4, hidden = 8', '"timm:resnet18", checkpoint_path = "evil.pt"')
    )
    for _ in range(2):
        assert "has no setting 'checkpoint_path'" in ablate("plan", study).stderr


def test_status_tells_how_each_run_stands_or_ended(study: Path) -> None:
    assert ablate("run", study, "--seeds", "4").exit_code == 0
    runs = json.loads(ablate("status", "tiny", "--json").stdout)["runs"]
    folders = [Path("ablate-store/runs") / run["key"] for run in runs[:5]]
    for folder in folders:
        (folder / "result.json").unlink()
    for folder, kind in zip(folders, ["diverged", "lost", "timed out", ""], strict=False):
        (folder / "failure.json").write_text(json.dumps({"kind": kind, "reason": f"was {kind}"}) if kind else "{")
    with RunWriter(folders[4].resolve()).owned():
        rows = json.loads(ablate("status", "tiny", "--json").stdout)["runs"]
    told = [(row["state"], row["reason"]) for row in rows[:6]]
    assert told[:3] == [("diverged", "was diverged"), ("lost", "was lost"), ("timed out", "was timed out")]
    assert told[3] == ("failed", "its record does not read")
    assert told[4][0] == "running"
    assert told[4][1].startswith(f"epoch 2 of 2, process {os.getpid()} on ")
    assert told[5] == ("stored", "")


def test_plan_says_how_much_room_the_runs_take(study: Path) -> None:
    assert "space needed not known before a run or a pilot" in ablate("plan", study).stdout
    assert ablate("run", study, "--seeds", "1").exit_code == 0
    assert re.search(r"store: ablate-store, needs about \d\.\d MB, [\d,.]+ .B free", ablate("plan", study).stdout)
    assert json.loads(ablate("plan", study, "--json").stdout)["bytes"] > 2 * 64_000
    assert "nothing more needed" in ablate("plan", study, "--seeds", "1").stdout


def test_runs_that_cannot_fit_are_not_begun(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "free_bytes", lambda _: 100_000)
    done = ablate("run", study, "--seeds", "1")
    assert done.exit_code == 1
    assert re.search(r"0\.1 MB free, and the runs to make need about 0\.\d MB; nothing was started", done.stderr)
