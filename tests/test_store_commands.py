"""`ablate store check` and `ablate store clean`, and readers before damaged files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from ablate.cli import app
from ablate.store.store import Store
from ablate.store.studies import StudyRecord, save_study, set_last
from ablate.study.plan import key_of
from ablate.study.spec import RunSpec
from ablate.study.toml import Changes, read_study

if TYPE_CHECKING:
    from pathlib import Path

FILES = ["result.json", "run.json", "history.jsonl"]


def ablate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], prog_name="ablate")


@pytest.fixture
def store(study: Path, folder: Path) -> Store:
    """A store with the four finished runs of the tiny study, made by hand."""
    made = Store(folder / "ablate-store")
    made.make_writable()
    read = read_study(study).study
    specs = []
    for seed in read.seeds:
        for variant in read.variants:
            identity = {"seed": seed, "variant": variant.name}
            specs.append(RunSpec(variant.name, seed, key_of(identity), variant.recipe, identity))
            run = made.run(specs[-1].key)
            run.start({"key": specs[-1].key, "identity": identity, "environment": {"versions": {}}})
            record = {"epoch": 1, "lr": 0.1, "train/loss": 1.0, "test/loss": 1.0, "test/accuracy": 0.5}
            run.epoch(record)
            run.finish({**record, "epochs": 1, "parameters": 3, "seconds": 1.0})
    save_study(made, StudyRecord(read.name, study.resolve(), study.read_text(), Changes()), read, read, specs)
    set_last(made, read.name, pilot=False)
    return made


def first(store: Store) -> Path:
    return min((store.root / "runs").iterdir())


def test_a_sound_store_is_called_so(store: Store) -> None:
    done = ablate("store", "check")
    assert done.exit_code == 0, done.output
    assert "4 runs, 0 faults" in done.output


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_found_and_mended(store: Store, name: str) -> None:
    file = first(store) / name
    file.write_bytes(file.read_bytes()[:-9])
    done = ablate("store", "check")
    assert done.exit_code == 1
    assert name in done.output
    mended = ablate("store", "check", "--mend")
    ablate("store", "clean", "--yes")
    again = ablate("store", "check")
    assert again.exit_code == 0, mended.output + again.output
    assert not file.exists()


def test_a_run_that_was_stopped_in_its_first_epoch_is_sound(store: Store) -> None:
    identity = {"seed": 9}
    store.run(key_of(identity)).start({"key": key_of(identity), "identity": identity})
    assert ablate("store", "check").exit_code == 0


@pytest.mark.parametrize("name", FILES)
def test_no_reader_breaks_on_a_damaged_file(store: Store, name: str) -> None:
    file = first(store) / name
    whole = file.read_bytes()
    cuts = [whole[:end] for end in (0, 1, len(whole) // 2, len(whole) - 1)]
    flips = [bytes([*whole[:i], whole[i] ^ 0x55, *whole[i + 1 :]]) for i in range(0, len(whole), len(whole) // 8)]
    for text in [*cuts, *flips]:
        file.write_bytes(text)
        for command in (["status"], ["status", "tiny"], ["report", "--format", "md"]):
            done = ablate(*command)
            assert done.exit_code in (0, 1, 2), (text, done.output)
            assert done.exception is None or isinstance(done.exception, SystemExit)


def test_cleaning_tells_first_and_removes_nothing_without_leave(store: Store) -> None:
    (first(store) / "result.damaged.json").write_text("x")
    refused = ablate("store", "clean")
    assert refused.exit_code == 2
    assert "--yes" in refused.output
    assert (first(store) / "result.damaged.json").exists()
    assert ablate("store", "clean", "--dry-run").exit_code == 0
    assert (first(store) / "result.damaged.json").exists()


def test_cleaning_removes_what_failed_and_is_left_over_and_nothing_else(store: Store) -> None:
    finished = sorted(path.name for path in (store.root / "runs").iterdir())
    failed = store.run("0" * 20)
    failed.start({"key": "0" * 20})
    failed.fail("failed", "broke")
    (first(store) / "result.damaged.json").write_text("x")
    done = ablate("store", "clean", "--yes")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (store.root / "runs").iterdir()) == finished
    assert not (first(store) / "result.damaged.json").exists()
    assert ablate("store", "check").exit_code == 0


def test_a_run_that_is_held_is_left_alone(store: Store) -> None:
    failed = store.run("0" * 20)
    failed.start({"key": "0" * 20})
    failed.fail("failed", "broke")
    with failed.lock() as mine:
        assert mine
        ablate("store", "clean", "--yes")
        assert failed.path.exists()


def test_unused_runs_go_only_when_asked_for(store: Store) -> None:
    identity = {"seed": 99}
    run = store.run(key_of(identity))
    run.start({"key": key_of(identity), "identity": identity})
    run.epoch({"epoch": 1})
    run.finish({"epochs": 1})
    ablate("store", "clean", "--yes")
    assert run.path.exists()
    ablate("store", "clean", "--unused", "--yes")
    assert not run.path.exists()
    assert len(list((store.root / "runs").iterdir())) == 4
