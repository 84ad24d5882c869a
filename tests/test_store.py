from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ablate.errors import InputError, StoreError
from ablate.launch.last import study_run_last
from ablate.store import owner, result_cache
from ablate.store.documents import Document, commit_document, plain, read_committed, read_document, write_document
from ablate.store.recipes import written_digest
from ablate.store.run_folder import RunFolder
from ablate.store.run_frames import EPOCH_COLUMNS, RUN_COLUMNS, Cost, costs, read_frames
from ablate.store.store import Store
from ablate.store.studies import (
    RecordedRun,
    StudyRecord,
    find_study,
    list_studies,
    load_study,
    save_study,
    set_last,
)
from ablate.study.toml import Changes, read_study

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(folder: Path) -> Store:
    made = Store(folder / "store")
    made.make_writable()
    return made


def finished(store: Store, key: str, accuracy: float = 0.5) -> None:
    run = store.writer(key)
    run.begin({"key": key, "identity": {}, "environment": {}})
    run.append_epoch({"epoch": 1, "lr": 0.1, "train/loss": 1.0, "test/accuracy": accuracy})
    run.commit_result({"test/accuracy": accuracy, "parameters": 3})


def test_a_run_is_done_only_when_its_result_stands(store: Store) -> None:
    run = store.writer("k")
    assert run.state() == "new"
    run.begin({"key": "k"})
    run.append_epoch({"epoch": 1})
    assert run.state() == "unfinished"
    run.commit_result({"test/accuracy": 0.5})
    assert run.state() == "stored"


def test_a_result_is_committed_once_and_never_rewritten(store: Store) -> None:
    finished(store, "k", 0.5)
    assert store.writer("k").commit_result({"test/accuracy": 0.9}) is False
    assert (store.writer("k").result() or {})["test/accuracy"] == 0.5


def test_a_changed_byte_of_a_result_makes_it_no_result(store: Store) -> None:
    finished(store, "k", 0.5)
    file = store.writer("k").path / "result.json"
    file.write_text(file.read_text().replace("0.5", "0.6"))
    assert store.writer("k").result() is None
    assert store.state("k") == "unfinished"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\xff"])
def test_a_file_that_is_no_document_reads_as_none(store: Store, text: str) -> None:
    file = store.root / "x.json"
    file.write_text(text, encoding="latin-1")
    assert read_document(file) is None
    assert read_committed(file) is None


@pytest.mark.parametrize("text", ["{}", '{"body": 3}', '{"body": {"a": 1}}', '{"body": {"a": 1}, "checksum": null}'])
def test_a_document_without_a_checksum_was_not_committed(store: Store, text: str) -> None:
    file = store.root / "x.json"
    file.write_text(text)
    assert read_document(file) == json.loads(text)
    assert read_committed(file) is None


def test_numbers_that_are_not_finite_are_written_as_null(store: Store) -> None:
    file = store.root / "x.json"
    write_document(file, {"a": float("nan"), "b": [float("inf"), 1.5]})
    assert json.loads(file.read_text()) == {"a": None, "b": [None, 1.5]}
    assert plain({"a": (1, float("-inf"))}) == {"a": [1, None]}


def test_a_result_with_nan_still_fits_its_checksum(store: Store) -> None:
    commit_document(store.root / "x.json", {"loss": float("nan")})
    assert read_committed(store.root / "x.json") == {"loss": None}


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_a_number_that_stands_where_null_was_committed_is_no_result(store: Store, number: str) -> None:
    commit_document(store.root / "x.json", {"loss": float("nan")})
    file = store.root / "x.json"
    file.write_text(file.read_text().replace("null", number))
    assert read_committed(file) is None


def test_writing_leaves_no_temporary_file(store: Store) -> None:
    finished(store, "k")
    assert sorted(p.name for p in store.writer("k").path.iterdir()) == ["history.jsonl", "result.json", "run.json"]


def test_a_history_ends_at_a_line_that_was_cut_off(store: Store) -> None:
    finished(store, "k")
    with (store.writer("k").path / "history.jsonl").open("a") as file:
        file.write('{"epoch": 2, "tr')
    assert [record["epoch"] for record in store.writer("k").history()] == [1]


def test_beginning_again_drops_the_epochs_and_the_failure_of_before(store: Store) -> None:
    run = store.writer("k")
    run.begin({"key": "k"})
    run.append_epoch({"epoch": 1})
    run.record_failure("failed", "broke", "Traceback ...")
    assert run.state() == "failed"
    assert (run.failure() or {})["reason"] == "broke"
    run.begin({"key": "k"})
    assert run.state() == "unfinished"
    assert run.history() == []


def test_beginning_again_removes_what_a_killed_process_had_half_written(store: Store) -> None:
    run = store.writer("k")
    run.begin({"key": "k"})
    (run.path / ".result.json.0123abcd").write_text("half a docu")
    (run.path / "notes.txt").write_text("mine")
    run.begin({"key": "k"})
    assert {file.name for file in run.path.iterdir()} == {"run.json", "history.jsonl", "notes.txt"}


@pytest.mark.parametrize("place", ["file", "file/store"])
def test_a_store_where_a_file_stands_is_reported(folder: Path, place: str) -> None:
    (folder / "file").write_text("")
    with pytest.raises(InputError, match="file: is a file, and the store has to be a folder\n  name another"):
        Store(folder / place).make_writable()


@pytest.mark.parametrize(("age", "mine"), [(0.0, False), (owner.DEAD_SECONDS + 1, True)])
def test_a_run_of_another_machine_is_left_alone_while_its_heart_beats(store: Store, age: float, mine: bool) -> None:
    run = store.writer("k")
    with run.lock():
        pass
    file = run.path / "owner.json"
    file.write_text(json.dumps({"host": "far", "boot": "another", "pid": 1, "since": "now"}))
    os.utime(file, (time.time() - age,) * 2)
    os.utime(run.path / "lock", (time.time() - 86_400,) * 2)  # of an earlier try
    assert bool(run.owner()) is not mine
    with run.lock() as had:
        assert had is mine


def test_on_this_machine_the_lock_alone_decides(store: Store) -> None:
    run = store.writer("k")
    with run.lock(), run.owned():
        named = (run.path / "owner.json").read_text()
    (run.path / "owner.json").write_text(named)  # its pid is another process's by now, say
    assert run.owner() is not None
    with run.lock() as mine:
        assert mine


def test_a_dead_owner_of_this_machine_is_no_owner(store: Store) -> None:
    run = store.writer("k")
    with run.lock() as mine, run.owned():
        assert mine
        file = run.path / "owner.json"
        named = json.loads(file.read_text())
        assert run.owner() is not None
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        file.write_text(json.dumps({**named, "pid": gone.pid}))
        assert run.owner() is None
        file.unlink()
    with run.lock() as mine:
        assert mine


def test_an_owner_keeps_its_file_fresh(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "BEAT_SECONDS", 0.01)
    run = store.writer("k")
    with run.lock(), run.owned():
        file = run.path / "owner.json"
        os.utime(file, (0, 0))
        for _ in range(500):
            if file.stat().st_mtime > 0:
                break
            time.sleep(0.01)
        assert file.stat().st_mtime > 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"host": "a", "boot": "b", "pid": "x", "since": ""}'])
def test_a_damaged_owner_file_names_nobody(store: Store, text: str) -> None:
    run = store.writer("k")
    with run.lock():
        (run.path / "owner.json").write_text(text)
    assert run.owner() is None
    with run.lock() as mine:
        assert mine


def test_frames_have_a_row_for_each_run_and_epoch(store: Store) -> None:
    finished(store, "a", 0.25)
    store.writer("b").record_failure("failed", "broke")
    runs, epochs = read_frames(store, {("x", 0): "a", ("x", 1): "b", ("y", 0): None})
    assert list(runs.columns) == list(RUN_COLUMNS)
    assert list(epochs.columns) == list(EPOCH_COLUMNS)
    assert runs["state"].tolist() == ["stored", "failed", "new"]
    assert runs["reason"].tolist() == ["", "broke", ""]
    assert runs["test/accuracy"].tolist()[0] == 0.25
    assert epochs[["variant", "seed", "epoch", "test/accuracy"]].to_numpy().tolist() == [["x", 0, 1, 0.25]]


class Committing(RunFolder):
    """A run whose result is committed just after one has asked for it."""

    def result(self) -> Document | None:
        self.asked = getattr(self, "asked", 0) + 1
        return super().result() if self.asked > 1 else None


def test_a_result_committed_while_frames_are_read_has_its_numbers(store: Store) -> None:
    finished(store, "a", 0.25)

    class Busy(Store):
        def run(self, key: str) -> RunFolder:
            return Committing(super().run(key).path)

    runs, epochs = read_frames(Busy(store.root), {("x", 0): "a"})
    assert runs[["state", "test/accuracy"]].to_numpy().tolist() == [["stored", 0.25]]
    assert len(epochs) == 1


def test_frames_of_nothing_are_empty(store: Store) -> None:
    runs, epochs = read_frames(store, {})
    assert runs.empty
    assert epochs.empty


def test_the_epochs_of_an_unfinished_run_are_left_out(store: Store) -> None:
    store.writer("a").begin({"key": "a"})
    store.writer("a").append_epoch({"epoch": 1, "test/accuracy": 0.5})
    runs, epochs = read_frames(store, {("x", 0): "a"})
    assert runs["state"].tolist() == ["unfinished"]
    assert epochs.empty


def test_costs_are_known_by_what_runs_cost_alike(store: Store) -> None:
    run = store.writer("a")
    run.begin({"key": "a", "cost": "alike"})
    measured = {"seconds_per_image": 0.25, "evaluation_seconds_per_image": 0.125, "state_bytes": 7}
    run.commit_result({**measured, "parameters": 8, "dead_weights": 2})
    assert costs(store, ["a"]) == {"alike": Cost(0.25, 0.125, 7, 0.25)}


def test_costs_skip_runs_without_them(store: Store) -> None:
    finished(store, "a")
    assert costs(store, ["a", "none"]) == {}


def save(store: Store, made: StudyRecord, study: Path) -> None:
    read = read_study(study, made.changes).study
    save_study(store, made, read, read, [])


def record(study: Path, **changes: object) -> StudyRecord:
    made = StudyRecord("tiny", study.resolve(), study.read_text(), Changes())
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_study_is_found_by_name_file_and_as_the_one_run_last(store: Store, study: Path) -> None:
    save(store, record(study), study)
    set_last(store, "tiny", pilot=False)
    found = study_run_last(store, "ablate report")[1]
    assert find_study(store, "tiny", None)[1] == find_study(store, str(study), None)[1] == found


def test_the_last_study_may_be_a_pilot(store: Store, study: Path) -> None:
    store.pilot.make_writable()
    changes = Changes(pilot=True)
    save(store.pilot, record(study, changes=changes), study)
    set_last(store, "tiny", pilot=True)
    home, found = study_run_last(store, "ablate report", None)
    assert home.root == store.pilot.root
    assert found.changes.pilot
    with pytest.raises(InputError, match="only a pilot of this study has been run"):
        find_study(store, "tiny", None)


def test_an_empty_store_says_how_to_begin(store: Store) -> None:
    with pytest.raises(InputError, match=r"no study has been run in this store\n  'ablate run STUDY.toml' runs one"):
        study_run_last(store, "ablate report")


def test_a_study_not_in_the_store_names_the_nearest(store: Store, study: Path) -> None:
    save(store, record(study), study)
    with pytest.raises(InputError, match="did you mean 'tiny'"):
        find_study(store, "tinny", None)


def test_a_record_that_is_damaged_is_passed_over(store: Store, study: Path) -> None:
    save(store, record(study), study)
    (store.studies_folder / "broken.json").write_text('{"name": "x"}')
    assert [found.name for found in list_studies(store)] == ["tiny"]


@pytest.mark.parametrize("name", ["a b", "A", "a", "ä", "x" * 80, "a.b"])
def test_names_of_studies_never_share_a_file(store: Store, study: Path, name: str) -> None:
    for other in ("a-b", name):
        save(store, record(study, name=other), study)
    assert sorted(found.name for found in list_studies(store)) == sorted({"a-b", name})
    assert all(file.parent == store.studies_folder for file in store.studies_folder.iterdir())


def test_keys_follow_what_a_variant_is_and_not_what_it_is_called(store: Store, study: Path) -> None:
    written = read_study(study).study
    digest = written_digest(written.variants[1].recipe)
    found = record(study, rows=(RecordedRun("old name", digest, 0, "k1"), RecordedRun("old name", digest, 0, "k2")))
    assert found.keys(written) == {("flipped", 0): "k2"}
    assert found.last_key("old name", 0) == "k2"


def test_a_record_reads_the_file_as_it_is_now_and_its_own_text_when_that_is_gone(store: Store, study: Path) -> None:
    found = record(study)
    study.write_text(study.read_text().replace('name = "tiny"', 'name = "tiny"\ntitle = "New"'))
    assert found.reading().study.title == "New"
    study.unlink()
    assert found.reading().study.title == "tiny"


def test_saving_again_keeps_the_older_rows_and_no_row_twice(store: Store, study: Path) -> None:
    rows = (RecordedRun("x", "d", 0, "k"),)
    save(store, record(study, rows=rows), study)
    file = next(store.studies_folder.iterdir())
    document = json.loads(file.read_text())
    document["rows"] = [["x", "d", 0, "k"]]
    file.write_text(json.dumps(document))
    save(store, record(study), study)
    found = load_study(store, "tiny")
    assert found is not None
    assert found.rows == rows


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_store_is_reported(store: Store) -> None:
    store.root.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="Permission denied"):
            store.make_writable()
    finally:
        store.root.chmod(0o700)


def test_states_are_the_same_with_and_without_the_cache(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_cache, "WORTH_SAVING", 1)
    finished(store, "a")
    store.writer("b").record_failure("failed", "broke")
    store.writer("c").begin({"key": "c"})
    wanted = {"a": "stored", "b": "failed", "c": "unfinished", "d": "new"}
    assert result_cache.states(store, wanted) == wanted
    assert store.result_cache_file.exists()
    assert result_cache.states(store, wanted) == wanted


def test_a_result_that_changed_after_it_was_cached_is_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_cache, "WORTH_SAVING", 1)
    finished(store, "a")
    result_cache.states(store, ["a"])
    file = store.writer("a").path / "result.json"
    file.write_text(file.read_text().replace("0.5", "0.55"))
    assert result_cache.states(store, ["a"]) == {"a": "unfinished"}


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 3}', '{"a": [1, 2]}'])
def test_a_damaged_cache_is_ignored(store: Store, text: str) -> None:
    finished(store, "a")
    store.result_cache_file.write_text(text)
    assert result_cache.states(store, ["a"]) == {"a": "stored"}
