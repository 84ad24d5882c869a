"""The study run last, in a store that may be somebody else's."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from ablate.errors import InputError
from ablate.launch.last import study_run_last, study_to_run_again
from ablate.launch.record import record
from ablate.launch.study import Options, open_study
from ablate.store.store import Store
from ablate.study.toml import Changes
from tests.support import ablate

LEAVES_A_TRACE = 'from pathlib import Path\n\nPath(__file__).with_name("ran").touch()\n'


def planned(study: Path, store: Path, *settings: str) -> Store:
    """Return a store in which a study was planned last, and a trace of its plugins' code removed."""
    Store(store).make_writable()
    record(open_study(Options(study, store.resolve(), Path("data").resolve(), Changes(settings))))
    for trace in Path().rglob("ran"):
        trace.unlink()
    return Store(store.resolve())


def work_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)


@pytest.mark.parametrize(("command", "more"), [("tune", ["--trials", "1"]), ("report", [])])
@pytest.mark.parametrize(("project", "work"), [("theirs/project", "mine"), ("theirs/store", ".")])
def test_a_store_does_not_choose_whose_code_runs(
    study: Path, monkeypatch: pytest.MonkeyPatch, command: str, more: list[str], project: str, work: str
) -> None:
    """Neither that beside a study elsewhere, nor that of a study in the store itself below the working folder."""
    shutil.copytree("plugins", f"{project}/plugins")
    shutil.rmtree("plugins")
    Path(project, "plugins/trace.py").write_text(LEAVES_A_TRACE)
    store = planned(Path(shutil.copy(study, project)), Path("theirs/store"))
    work_in(Path(work), monkeypatch)
    done = ablate(command, *more, "--store", store.root)
    assert done.exit_code == 2
    assert re.search(
        rf"name the study if you mean it: ablate {command} \S*tiny.toml --store \S*theirs/store$", done.stderr
    )
    assert not list(store.root.parent.rglob("ran"))


def test_the_command_that_is_named_does_what_it_says(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = planned(study, Path("ablate-store"))
    work_in(Path("else where"), monkeypatch)
    with pytest.raises(InputError, match=r"ablate report .*/studies/tiny\.toml --store .*/ablate-store$") as raised:
        study_run_last(store, "ablate report")
    said = str(raised.value).rpartition("ablate report ")[2].split()
    done = ablate("report", "--format", "csv", *said)
    assert done.exit_code == 0
    assert "tiny: 0 of 4 runs done" in done.stderr


def test_a_link_in_the_working_folder_is_where_it_leads_to(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = planned(study, Path("ablate-store"))
    work_in(Path("mine"), monkeypatch)
    Path("tiny.toml").symlink_to(study)
    document = json.loads((store.studies_folder / "tiny.json").read_text())
    (store.studies_folder / "tiny.json").write_text(json.dumps({**document, "path": str(Path("tiny.toml").absolute())}))
    with pytest.raises(InputError, match="not in the working folder"):
        study_run_last(store, "ablate tune")


def test_a_store_brings_no_plugins_by_its_changes_either(study: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "trace.py"
    elsewhere.write_text(LEAVES_A_TRACE)
    store = planned(study, Path("ablate-store"), f'study.plugins=["{elsewhere}"]')
    elsewhere.with_name("ran").unlink()
    done = ablate("tune", "--trials", "1")
    assert done.exit_code == 2
    assert f"""ablate tune studies/tiny.toml --set 'study.plugins=["{elsewhere}"]'""" in done.stderr
    assert not elsewhere.with_name("ran").exists()
    assert study_run_last(store, "ablate report")[1].name == "tiny"  # which runs nothing


def test_where_the_user_works_the_study_run_last_is_taken_with_its_changes(study: Path) -> None:
    store = planned(study, Path("ablate-store"), "baseline.epochs=1")
    found = study_to_run_again(store, "ablate tune")
    assert (found.path, found.changes.settings) == (study.resolve(), ("baseline.epochs=1",))
