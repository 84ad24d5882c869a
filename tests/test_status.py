"""`ablate status`: results of a study, one run in detail; and commands that can be typed as they are shown."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ablate.commands.run import run_study
from ablate.execute.inline import Inline
from ablate.launch.make import RunOptions
from ablate.launch.study import Options
from ablate.store.documents import write_document
from ablate.store.lost import lost
from ablate.store.sources import changed
from ablate.store.store import Store
from ablate.study.plan import RESULTS_VERSION
from ablate.study.toml import Changes
from tests.support import Draws, ablate, options, run_here

Write = Callable[[str, str], Path]


def next_command(err: str) -> list[str]:
    """Return the last command that was told, as a shell takes it apart."""
    lines = [line for line in err.splitlines() if "ablate " in line]
    return shlex.split(lines[-1][lines[-1].index("ablate ") :])[1:]


BROKEN = '''
from ablate import augmentation


@augmentation("broken")
def broken():
    """Fails in training."""

    def transform(images, generator):
        if len(images) == 16:  # as many as a batch of the study has, and no rehearsal
            raise RuntimeError("no \\x1b[31m luck")
        return images

    return transform
'''


@pytest.fixture
def failed(study: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a study whose second variant fails; return what was told."""
    write("plugins/broken.py", BROKEN)
    study.write_text(study.read_text().replace('use = "flip"', 'use = "broken"'))
    assert run_here(study, "baseline.epochs=1") == 1
    return capsys.readouterr().err


def test_status_of_a_study_shows_the_table_that_run_ended_with(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(study) == 0
    table, _verdicts = capsys.readouterr().out.split("\n\n")
    told = ablate("status", "tiny")
    assert told.stdout.rstrip().endswith(table)
    assert told.stdout.count("  test accuracy %  ") == 2
    runs = json.loads(ablate("status", "tiny", "--json").stdout)["runs"]
    for run in runs:
        result = Store(Path("ablate-store")).run(run["key"]).result()
        assert result is not None
        assert run["test/accuracy"] == result["test/accuracy"]
        assert f"{100 * run['test/accuracy']:.2f}" in told.stdout


def test_a_failure_names_the_command_that_shows_its_traceback(failed: str) -> None:
    (told, *_) = (line for line in failed.splitlines() if "traceback: " in line)
    command = shlex.split(told.partition("traceback: ablate ")[2])
    shown = ablate(*command)
    assert shown.exit_code == 0
    assert "flipped, seed 0: failed" in shown.stdout
    assert "Traceback (most recent call last):" in shown.stdout
    assert "plugins/broken.py" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_one_run_is_shown_by_its_variant_or_its_key(failed: str) -> None:
    both = ablate("status", "tiny", "baseline").stdout
    assert both.count("baseline, seed ") == 2
    assert "  epoch   1  loss " in both
    found = json.loads(ablate("status", "tiny", "baseline", "--json").stdout)
    assert {**found, "runs": []} == {**json.loads(ablate("status", "tiny", "--json").stdout), "runs": []}
    (first, *_) = found["runs"]
    one = ablate("status", "tiny", first["key"][:6]).stdout
    assert one.count("baseline, seed ") == 1
    assert f"  files   ablate-store/runs/{first['key']}" in one
    assert first["history"][0]["epoch"] == 1
    wrong = ablate("status", "tiny", "baselin")
    assert wrong.exit_code == 2
    assert "did you mean 'baseline'?" in wrong.stderr


def test_an_epoch_without_a_loss_is_shown(study: Path) -> None:
    assert run_here(study, "baseline.optimizer.lr=1e30") == 1
    assert "  epoch   1  loss –" in ablate("status", "tiny", "baseline").stdout


def test_commands_to_type_are_quoted(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spaced = study.rename(study.with_name("my study's.toml"))
    store = Path("my store").resolve()
    options = Options(spaced, store, Path("data").resolve(), Changes(pilot=True), (), "cpu")
    assert run_study(options, RunOptions(jobs=1), Inline()) == 0
    assert next_command(capsys.readouterr().err) == ["run", "studies/my study's.toml", "--store", "my store"]
    options = Options(spaced, store, Path("data").resolve(), Changes(("study.seeds=1",)), (), "cpu")
    assert run_study(options, RunOptions(jobs=1), Inline()) == 0
    err = capsys.readouterr().err
    assert next_command(err) == ["report", "--store", "my store"]
    (warning,) = (line for line in err.splitlines() if "what to do:" in line)
    named = ["studies/my study's.toml", "--set", "study.seeds=1", "--store", "my store"]
    assert next_command(warning) == ["check", *named]


def test_commands_to_type_are_for_the_study_as_it_was_changed(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = Changes(("baseline.optimizer.lr=0.02",), (3,), pilot=True)
    options = Options(study, Path("ablate-store").resolve(), Path("data").resolve(), changes, ("baseline",), "cpu")
    assert run_study(options, RunOptions(jobs=1), Inline()) == 0
    changed = ["--set", "baseline.optimizer.lr=0.02", "--seeds", "3,", "--only", "baseline"]
    assert next_command(capsys.readouterr().err) == ["run", "studies/tiny.toml", *changed]


def test_a_thread_is_one_and_names_that_are_accepted_are_apart(study: Path) -> None:
    study.write_text(study.read_text().replace('"flipped"', '"a, b"'))
    assert run_here(study) == 0
    devices = [line for line in ablate("status", "tiny", "a, b").stdout.splitlines() if "  device" in line]
    assert len(devices) == 2
    assert all(re.search(r", (1 thread|([2-9]|\d\d+) threads)$", device) for device in devices)
    assert "'a, b'" in ablate("status", "tiny", "no-such").stderr


@pytest.mark.parametrize("command", ["run", "tune"])
@pytest.mark.parametrize("text", [None, "[study]\nname = 'x'\n", "[baseline]\nmodel = { use = 'no-such' }"])
def test_what_cannot_be_planned_makes_no_store(write: Write, command: str, text: str | None) -> None:
    if text is not None:
        write("study.toml", text)
    assert ablate(command, "study.toml").exit_code == 2
    assert not Path("ablate-store").exists()


def test_a_link_that_leads_nowhere_is_reported_as_one(folder: Path) -> None:
    Path("study.toml").symlink_to("gone.toml")
    told = ablate("plan", "study.toml")
    assert told.exit_code == 2
    assert "study.toml: a link to gone.toml, which does not exist\n  mend the link, or remove it" in told.stderr


@pytest.mark.parametrize("command", ["run", "plan"])
def test_without_a_study_it_is_the_one_run_last_as_it_was_run(study: Path, command: str) -> None:
    assert ablate(command).exit_code == 2
    assert run_here(study, "baseline.epochs=1", "study.seeds=1") == 0
    told = ablate(command)
    assert told.exit_code == 0
    assert "--set baseline.epochs=1 --set study.seeds=1: the study run last" in told.stderr
    if command == "run":
        assert "2 runs, 2 stored, nothing to make" in told.stderr
    changed = ablate("plan", "--json", "--set", "baseline.epochs=3")
    assert [run["state"] for run in json.loads(changed.stdout)["runs"]] == ["new"] * 4


def test_a_pilot_is_followed_by_the_study_itself(study: Path) -> None:
    assert run_here(study, pilot=True) == 0
    told = ablate("plan", "--json")
    assert [run["state"] for run in json.loads(told.stdout)["runs"]] == ["new"] * 4


def test_a_precision_that_a_device_lacks_is_refused_in_the_plan(study: Path) -> None:
    told = ablate("plan", study, "--set", "baseline.precision=tf32", "--device", "cpu")
    assert told.exit_code == 2
    assert "precision 'tf32' needs an NVIDIA GPU" in told.stderr
    assert ablate("plan", study, "--set", "baseline.precision=tf32", "--device", "cuda").exit_code == 0
    assert ablate("plan", study, "--device", "gpu").exit_code == 2


def test_results_that_are_gone_are_said_and_are_no_empty_store(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_study(options(study), RunOptions(jobs=1), Draws({})) == 0
    capsys.readouterr()
    said = "ablate-store/runs: is gone, and with it 4 runs that were made"
    shutil.move("ablate-store/runs", "elsewhere")
    for typed in (("status",), ("status", "tiny"), ("report", "--format", "json")):
        done = ablate(*typed)
        assert done.exit_code == 0
        assert done.stderr.count(said) == 1
        assert "put it back if you have a copy; 'ablate run' makes the runs again" in done.stderr
    shutil.move("elsewhere", "ablate-store/runs")
    assert said not in ablate("status").stderr
    assert "no study has been run here yet" in ablate("status", "--store", "another").stdout


def test_results_that_were_known_and_are_gone_are_counted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "runs").mkdir()
    assert lost(store, {"a", "b", "c"}) == ""
    write_document(store.result_cache_file, {"a": [1, 2], "b": [1, 2], "z": [1, 2]})
    assert "2 runs of the study had results here that are gone" in lost(store, {"a", "b", "c"})
    (tmp_path / "runs").rmdir()
    assert "is gone, and with it 3 runs that were made, 2 of which had results" in lost(store, {"a", "b", "c"})


def test_a_single_run_is_one_run(study: Path) -> None:
    told = ablate("run", study, "--seeds", "1", "--only", "baseline", "--set", "baseline.epochs=1", "--device", "cpu")
    assert "tiny: 1 run, 0 stored" in told.stderr


def test_an_edit_of_a_component_is_reported_where_nothing_is_imported(study: Path, write: Write) -> None:
    assert run_here(study, "baseline.epochs=1") == 0
    plugin = Path("plugins/tiny.py")
    text = plugin.read_text()
    said = "tiny: plugins/tiny.py changed since it was run; which runs are new: ablate plan studies/tiny.toml"
    for command in (["status"], ["status", "tiny"], ["report", "tiny", "--format", "md"]):
        plugin.write_text(text)
        assert said not in ablate(*command).stderr
        plugin.write_text(text + "\nraise RuntimeError('imported')\n")
        assert said in ablate(*command).stderr
        plugin.unlink()
        assert said in ablate(*command).stderr
    plugin.write_text(text.replace("30", "31"))
    assert run_here(study, "baseline.epochs=1") == 0
    assert said not in ablate("status").stderr


@pytest.mark.parametrize("before", [1, pytest.param(None, marks=pytest.mark.long)])
def test_results_of_a_version_that_computed_them_differently_are_reported_as_such(
    study: Path, before: int | None
) -> None:
    assert run_here(study, "baseline.epochs=1", "study.seeds=1") == 0
    said = (
        "tiny: it was run with a version of ablate that computes results differently; which runs are new: ablate plan"
    )
    commands = ["status"], ["status", "tiny"], ["report", "tiny", "--format", "md"]
    assert not any(said in ablate(*command).stderr for command in commands)
    file = Path("ablate-store/studies/tiny.json")
    document = json.loads(file.read_text())
    engine = document.pop("engine")
    file.write_text(json.dumps({**document, **({"engine": before} if before else {})}))
    assert engine == RESULTS_VERSION
    assert all(said in ablate(*command).stderr for command in commands)


def test_a_store_that_names_a_pipe_as_a_component_keeps_nobody_waiting(folder: Path) -> None:
    os.mkfifo("pipe")
    assert changed({Path("pipe").resolve(): "0", Path("gone").resolve(): "0"}) == [
        Path("gone").resolve(),
        Path("pipe").resolve(),
    ]
