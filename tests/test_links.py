"""Links, pipes and the like in a store that may be somebody else's: none is followed for writing, none waited for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ablate.commands.run import run_study
from ablate.errors import StoreError
from ablate.execute.inline import Inline
from ablate.launch.make import RunOptions
from ablate.launch.record import record
from ablate.launch.study import Options, open_study
from ablate.store.clean import Cleaner
from ablate.store.filenames import RUN_FILES
from ablate.store.integrity import check_store
from ablate.store.store import Store
from ablate.training.checkpoint import NoCheckpointError, read_checkpoint, write_checkpoint
from ablate.tune.records import save_tunings
from ablate.tune.storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from ablate.store.run_writer import RunWriter

MINE = '{"my": "notes"}\nwithout an end'


@pytest.fixture
def store(folder: Path) -> Store:
    made = Store(folder / "store")
    made.make_writable()
    return made


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A file of the user's that no command may change."""
    place = tmp_path / "mine"
    place.mkdir()
    (place / "notes.txt").write_text(MINE)
    return place / "notes.txt"


def make(run: RunWriter) -> None:
    """Make a run as the worker does, and end it once without a result and once with one."""
    with run.lock() as mine, run.owned():
        assert mine
        for _ in range(2):
            run.begin({"key": run.path.name})
            run.append_epoch({"epoch": 1, "train/loss": 1.0})
            run.commit_range_test({"lr": 0.1})
            write_checkpoint(run.checkpoint, run.path.name, {"number": 1})
            run.record_failure("failed", "broke")
        run.drop_failure()
        assert run.commit_result({"test/accuracy": 0.5})


@pytest.mark.parametrize("name", [name for name in RUN_FILES if name != "lock"])
@pytest.mark.parametrize(
    ("put", "there"), [(Path.symlink_to, True), (Path.symlink_to, False), (Path.hardlink_to, True)]
)
def test_a_run_takes_the_place_of_a_link_and_leaves_its_target(
    store: Store, notes: Path, name: str, put: Callable[[Path, Path], None], there: bool
) -> None:
    run = store.writer("key")
    run.path.mkdir()
    put(run.path / name, notes if there else notes.with_name("new"))
    make(run)
    assert notes.read_text() == MINE
    assert [p.name for p in notes.parent.iterdir()] == ["notes.txt"]
    assert run.state() == "stored"
    assert [epoch["epoch"] for epoch in run.history()] == [1]


@pytest.mark.parametrize("put", [Path.symlink_to, Path.hardlink_to], ids=["link", "hard link"])
def test_a_lock_that_is_another_file_is_not_opened(
    store: Store, notes: Path, put: Callable[[Path, Path], None]
) -> None:
    run = store.writer("key")
    run.path.mkdir()
    put(run.path / "lock", notes)
    with pytest.raises(StoreError, match="runs/key/lock: is "), run.lock():
        pass
    assert notes.read_text() == MINE


def linked(folder: Path, target: Path) -> None:
    """Put a link in a folder's place."""
    if folder.is_dir():
        folder.rmdir()
    folder.symlink_to(target)


def tune(store: Store, study: Path) -> None:
    save_tunings(store, "tiny", (), [])


def journal(store: Store, study: Path) -> None:
    open_storage(store).create_new_study([])


def recorded(store: Store, study: Path) -> None:
    record(open_study(Options(study, store.root, store.root / "data")))


def made(store: Store, study: Path) -> None:
    make(store.writer("key"))


def writable(store: Store, study: Path) -> None:
    store.make_writable()


def pilot(store: Store, study: Path) -> None:
    store.pilot.make_writable()


@pytest.mark.parametrize(
    ("place", "act"),
    [
        ("runs", made),
        ("runs", writable),
        ("runs/key", made),
        ("studies", recorded),
        ("studies", writable),
        ("tuning", tune),
        ("tuning", journal),
        ("pilot", pilot),
    ],
)
def test_nothing_is_written_into_a_folder_behind_a_link(
    store: Store, study: Path, notes: Path, place: str, act: Callable[[Store, Path], None]
) -> None:
    (notes.parent / ".history.jsonl.20240101").write_text("mine too")
    linked(store.root / place, notes.parent)
    with pytest.raises(StoreError, match=rf"{place}: is a link.*\n.*ablate store clean"):
        act(store, study)
    assert sorted(p.name for p in notes.parent.iterdir()) == [".history.jsonl.20240101", "notes.txt"]
    assert notes.read_text() == MINE


@pytest.mark.parametrize(
    ("place", "act"),
    [
        ("studies/tiny.lock", recorded),
        ("tuning/tiny.lock", tune),
        ("tuning/journal.lock", journal),
        ("tuning/journal.log", journal),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_written_into_a_file_behind_a_link(
    store: Store, study: Path, notes: Path, place: str, act: Callable[[Store, Path], None], there: bool
) -> None:
    store.tuning_folder.mkdir()
    (store.root / place).symlink_to(notes if there else notes.with_name("new"))
    with pytest.raises(StoreError, match=rf"{place}: is a link"):
        act(store, study)
    assert notes.read_text() == MINE
    assert not notes.with_name("new").exists()


@pytest.mark.parametrize("name", ["last.json", "store.json", "studies/tiny.json"])
def test_a_document_takes_the_place_of_a_link(store: Store, study: Path, notes: Path, name: str) -> None:
    (store.root / name).unlink(missing_ok=True)
    (store.root / name).symlink_to(notes)
    store.make_writable()
    recorded(store, study)
    assert notes.read_text() == MINE
    assert not (store.root / name).is_symlink()


def test_the_store_itself_may_be_a_link(folder: Path, study: Path) -> None:
    (folder / "disk").mkdir()
    Path("ablate-store").symlink_to(folder / "disk")
    store = Store(Path("ablate-store"))
    store.make_writable()
    recorded(store, study)
    make(store.writer("key"))
    assert (folder / "disk" / "runs" / "key" / "result.json").is_file()


@pytest.mark.parametrize("name", RUN_FILES)
def test_a_pipe_in_a_runs_folder_is_not_waited_for(store: Store, name: str) -> None:
    run = store.writer("key")
    run.path.mkdir()
    os.mkfifo(run.path / name)
    for read in (run.state, run.damage, run.result, run.spec, run.failure, run.range_test, run.history, run.owner):
        read()
    if name == "checkpoint.pt":
        with pytest.raises(NoCheckpointError, match="not a plain file"):
            read_checkpoint(run.checkpoint, "key")
    assert name in {fault.place.name for fault in check_store(store)} or name in ("lock", "owner.json")
    if name != "lock":
        make(run)
        assert run.state() == "stored"


@pytest.mark.parametrize("name", ["last.json", "index.json", "store.json", "studies/tiny.json", "tuning/tiny.json"])
def test_a_pipe_elsewhere_in_a_store_is_not_waited_for(store: Store, study: Path, name: str) -> None:
    store.tuning_folder.mkdir()
    (store.root / name).unlink(missing_ok=True)
    os.mkfifo(store.root / name)
    check_store(store)
    recorded(store, study)
    save_tunings(store, "tiny", (), [])


def test_a_study_run_in_a_store_with_links_changes_nothing_of_the_users(
    study: Path, notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both before the first run: it says which links are in its way, and goes on once they are removed."""
    options = Options(study, Path("ablate-store").resolve(), Path("data").resolve(), device="cpu")
    store = Store(options.store)
    store.make_writable()
    keys = [spec.key for spec in open_study(options).specs]
    linked(store.writer(keys[0]).path, notes.parent)
    store.writer(keys[1]).path.mkdir()
    (store.writer(keys[1]).path / "lock").symlink_to(notes)
    store.writer(keys[2]).path.mkdir()
    (store.writer(keys[2]).path / "history.jsonl").symlink_to(notes)
    with pytest.raises(StoreError) as raised:
        run_study(options, RunOptions(jobs=1), Inline())
    assert f"ablate-store/runs/{keys[0]}: is a link" in str(raised.value)
    assert f"ablate-store/runs/{keys[1]}/lock: is a link" in str(raised.value)
    assert "trying out" not in capsys.readouterr().err
    names = {fault.place.name for fault in check_store(store) if fault.what == "a link: not followed"}
    assert names == {keys[0], "lock", "history.jsonl"}
    cleaner = Cleaner(store, ["leftovers"])
    cleaner.remove(cleaner.find())
    assert {fault.what for fault in check_store(store)} <= {"empty"}
    assert run_study(options, RunOptions(jobs=1), Inline()) == 0
    assert [p.name for p in notes.parent.iterdir()] == ["notes.txt"]
    assert notes.read_text() == MINE
