"""Checking, mending and cleaning a store, and readers that meet damage in it."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ablate.api.records import read_records
from ablate.commands.plan import show_plan
from ablate.commands.status import show_status
from ablate.commands.store import CleanOptions, clean
from ablate.data.predictions import Predicted
from ablate.errors import AblateError
from ablate.files import write_checked
from ablate.launch.record import record
from ablate.launch.study import Options, open_study
from ablate.report import figures_curves
from ablate.report.content import report
from ablate.store import filenames
from ablate.store.clean import WASTE_KINDS, Cleaner
from ablate.store.filenames import RUN_FILES
from ablate.store.integrity import Fault, check_store, mend
from ablate.store.store import Store
from ablate.store.studies import StudyRecord, damaged_studies, find_study, save_study, set_last
from ablate.study.toml import Changes
from tests.support import ablate, contents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ablate.store.run_writer import RunWriter

EPOCH = {
    "lr": 0.01,
    "train/loss": 0.6931,
    "validation/loss": 0.701,
    "validation/accuracy": 0.5625,
    "test/loss": 0.69,
    "test/accuracy": 0.5,
    "seconds": 1.25,
    "evaluation_seconds": 0.1,
    "images_per_second": 51.2,
}
PREDICTED = {"test": Predicted(np.zeros((4, 2), np.float16), np.zeros(4, np.uint8))}
RESULT = {
    **{name: value for name, value in EPOCH.items() if "/" in name},
    "epochs": 2,
    "parameters": 1234,
    "weights": "0123456789abcdef",
    "seconds": 2.7,
    "seconds_per_image": 0.02,
    "evaluation_seconds_per_image": 0.001,
}
MACHINE = {"device": "cpu", "device_name": "a CPU", "threads": 1, "python": "3.11", "versions": {"torch": "2.6"}}


def document(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ablate(*arguments, "--json").stdout)
    return found


class Made:
    """The store of a study whose runs were made by hand: two finished, one failed, one unfinished."""

    def __init__(self, study: Path, keys: Sequence[str]) -> None:
        self.options = Options(study, Path("ablate-store").resolve(), Path("data").resolve())
        self.store = Store(self.options.store)
        self.finished, self.finished_too, self.failed, self.unfinished = map(self.store.writer, keys)

    def faults(self) -> list[tuple[str, str]]:
        return [(fault.place.name, fault.harm) for fault in check_store(self.store)]

    def plan(self, *settings: str) -> None:
        """Plan the study, or an edited one, which is explained by the runs of before."""
        with suppress(AblateError):  # an error that is meant for the user is in order
            show_plan(Options(self.options.study, self.options.store, self.options.data_dir, Changes(settings)))

    def read(self, curves: bool = False) -> None:
        """Show the status and gather what a report says; its curves too, which need but the epochs."""
        for named in (None, "tiny"):
            with suppress(AblateError):
                show_status(self.options.store, named)
        with suppress(AblateError):
            records = read_records(*find_study(self.store, "tiny", None))
            assert report(records).name
            if curves:
                assert figures_curves.loss_data(report(records)).name
                assert figures_curves.accuracy_data(report(records)).name


def make(study: Path) -> Made:
    """Make the runs of a study in the store of the working folder."""
    prepared = open_study(Options(study, Path("ablate-store").resolve(), Path("data").resolve()))
    made = Made(study, [spec.key for spec in prepared.specs])
    made.store.make_writable()
    for spec in prepared.specs:
        run = made.store.writer(spec.key)
        with run.lock():
            facts = {"key": spec.key, "variant": spec.variant, "seed": spec.seed, "identity": spec.identity}
            run.begin({**facts, "environment": MACHINE})
            for epoch in (1, 2):
                run.append_epoch({"epoch": epoch, **EPOCH, "note": spec.key})  # no two runs have the same history
            write_checked(run.checkpoint, b"never unpickled" * 9)
    made.finished.commit_result({**RESULT, "predictions": made.finished.write_predictions(PREDICTED)})
    made.finished_too.commit_result(RESULT)
    for run in (made.finished, made.finished_too):
        run.drop_checkpoint()
    made.failed.record_failure("failed", "ValueError: broke", "Traceback ...")
    record = StudyRecord("tiny", study.resolve(), study.read_text(), Changes())
    save_study(made.store, record, prepared.written, prepared.study, prepared.specs)
    set_last(made.store, "tiny", pilot=False)
    return made


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder to put a made store in, once there is one, and the keys of its runs."""
    return tmp_path_factory.mktemp("template") / "store", []


@pytest.fixture
def made(study: Path, template: tuple[Path, list[str]]) -> Made:
    kept, keys = template
    if keys:
        shutil.copytree(kept, "ablate-store")
        return Made(study, keys)
    first = make(study)
    shutil.copytree(first.store.root, kept)
    keys += [run.path.name for run in (first.finished, first.finished_too, first.failed, first.unfinished)]
    return first


@pytest.fixture
def held(made: Made) -> Iterator[RunWriter]:
    """The failed run, which somebody else is making."""
    with made.failed.lock() as mine:
        assert mine
        yield made.failed


def old(path: Path, text: str = "x") -> Path:
    """Write a file that is a day old."""
    path.write_text(text)
    os.utime(path, (time.time() - 86400,) * 2)
    return path


def again(made: Made) -> None:
    """Record the study as `ablate run` does before the first run."""
    record(open_study(made.options))


def unused(made: Made) -> set[str]:
    """Return the keys of the runs that --unused would remove."""
    return {waste.folder.name for waste in Cleaner(made.store, ["unused"]).find() if waste.folder}


def damage(made: Made, name: str) -> Path:
    """Cut a file of the finished run in half, or of the unfinished run where that alone has it."""
    run = made.finished if (made.finished.path / name).exists() else made.unfinished
    file = (made.failed if name == "failure.json" else run).path / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return file


# Readers meet damage


def damages(whole: bytes, other: bytes) -> Iterator[bytes]:
    """Yield a file cut at every length, with every byte changed, and overwritten from every byte on."""
    for place in range(len(whole)):
        yield whole[:place]
        yield whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]
        for length in (16, 256):
            yield whole[:place] + b"\0" * min(length, len(whole) - place) + whole[place + length :]
        yield whole[:place] + other[place : place + 64] + whole[place + 64 :]
        if whole[:place] != other[:place]:  # the whole other file is sound in itself
            yield whole[:place] + other[place:]
    yield from (whole + b"\0" * 4096, whole + whole, whole + b"}", b"[" * 100_000, b'{"body": ' * 100_000, b"\xff\xfe")
    yield from (
        b"{}",
        b"[]",
        b"null",
        b'{"checksum": null, "body": {}}',
        b'{"checksum": 1, "body": []}',
        b"\x89PNG\r\n",
    )


def test_a_damaged_result_reads_as_the_very_same_or_as_none_and_its_run_is_not_stored(made: Made) -> None:
    run, file = made.finished, made.finished.path / "result.json"
    whole, result = file.read_bytes(), made.finished.result()
    for number, text in enumerate(damages(whole, (made.finished_too.path / "result.json").read_bytes())):
        file.write_bytes(text)
        found = run.result()
        assert repr(found) == repr(result) or (found is None and run.state() == "unfinished"), text
        if number % 50 == 0:
            assert made.faults() == ([] if found else [("result.json", "again")]), text


def test_the_commands_read_past_a_damaged_result_and_plan_its_run_again(made: Made) -> None:
    file = made.finished.path / "result.json"
    whole = file.read_bytes()
    every = [text for text in damages(whole, b"\n" * len(whole)) if text != whole]
    for text in every[-12:] + random.Random(0).sample(every, 18):
        file.write_bytes(text)
        sound = made.finished.result() is not None
        states = {run["key"]: run["state"] for run in document("plan", made.options.study)["runs"]}
        assert states[made.finished.path.name] == ("stored" if sound else "unfinished")
        assert [row["state"] for row in document("status", "tiny")["runs"]].count("stored") == 1 + sound
        made.read()
        assert ablate("store", "check").exit_code == (0 if sound else 1)


def test_a_result_that_is_a_folder_is_none(made: Made) -> None:
    file = made.finished.path / "result.json"
    file.unlink()
    file.mkdir()
    assert made.finished.state() == "unfinished"
    assert set(made.faults()) == {("result.json", "again")}
    made.plan()
    made.read()


def test_a_result_of_another_run_is_found(made: Made) -> None:
    shutil.copy(made.finished_too.path / "result.json", made.finished.path)
    assert made.faults() == [("result.json", "again")]


FILES: dict[str, Callable[[Made], Path]] = {
    "run": lambda made: made.finished.path / "run.json",
    "history": lambda made: made.finished.path / "history.jsonl",
    "failure": lambda made: made.failed.path / "failure.json",
    "study": lambda made: made.store.studies_folder / "tiny.json",
    "last": lambda made: made.store.last_file,
}


@pytest.mark.parametrize("kind", FILES)
def test_plan_status_and_report_read_over_damage(made: Made, kind: str) -> None:
    file = FILES[kind](made)
    whole = file.read_bytes()
    draw = random.Random(kind)
    cut = [whole[:end] for end in (0, 1, len(whole) // 2, len(whole) - 1)]
    places = draw.sample(range(len(whole)), 8)
    flipped = [whole[:p] + bytes([whole[p] ^ 1 << draw.randrange(8)]) + whole[p + 1 :] for p in places]
    for number, text in enumerate([*cut, *flipped, b"[]", b"null", b"{}", b"\0" * 100, b'"\\ud800"']):
        file.write_bytes(text)
        if number < 4 or number % 3 == 0:
            made.plan()
        if number % 3 == 1:
            made.plan("baseline.epochs=3")
        if number < 4 or number % 3 == 2:
            made.read(curves=kind == "history")


@pytest.mark.parametrize("key", ["../../x", "", "a/b", "x" * 300, None])
def test_a_study_record_whose_keys_lead_elsewhere_does_not_read(made: Made, key: str | None) -> None:
    file = made.store.studies_folder / "tiny.json"
    document = json.loads(file.read_text())
    document["rows"][0][3] = key
    file.write_text(json.dumps(document))
    assert damaged_studies(made.store) == ([] if key is None else [file])  # "None" names a folder


@pytest.mark.parametrize(
    "changed",
    [
        {"recipes": 5},
        {"rows": [[]]},
        {"rows": [["x", "d", 1e999, "k"]]},
        {"changes": {"settings": [], "pilot": 0, "seeds": ["x"]}},
        {"path": "x" * 5000},
        {"path": "\0"},
    ],
)
def test_a_study_record_of_another_shape_is_passed_over(made: Made, changed: dict[str, Any]) -> None:
    file = made.store.studies_folder / "tiny.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
    made.plan()
    made.read()
    assert made.faults() == [("tiny.json", "lost")]


def test_every_changed_byte_of_a_finished_history_is_found(made: Made) -> None:
    file = made.finished.path / "history.jsonl"
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert ("history.jsonl", "again") in made.faults()


# Check


def test_a_sound_store_has_no_fault_and_check_changes_nothing_in_it(made: Made) -> None:
    before = contents(made.store.root)
    done = ablate("store", "check")
    assert (done.exit_code, done.stdout) == (0, "ablate-store: 4 runs, 0 faults\n")
    assert contents(made.store.root) == before


@pytest.mark.parametrize("name", ["run.json", "history.jsonl"])
def test_a_finished_run_without_all_its_files_is_a_fault(made: Made, name: str) -> None:
    (made.finished.path / name).unlink()
    assert made.faults() == [(name, "again")]


def test_a_run_that_is_not_what_its_key_was_made_of_is_a_fault(made: Made) -> None:
    file = made.finished.path / "run.json"
    file.write_text(file.read_text().replace('"batch_size": 16', '"batch_size": 17'))
    assert made.faults() == [("run.json", "again")]


def test_predictions_that_were_changed_are_a_fault_that_costs_no_run(made: Made) -> None:
    file = damage(made, "predictions.npz")
    assert made.faults() == [("predictions.npz", "again")]
    assert ablate("store", "check", "--mend").exit_code == 0
    assert not file.exists()
    assert made.store.state(file.parent.name) == "stored"
    assert made.faults() == []


def test_predictions_that_no_result_names_are_a_fault(made: Made) -> None:
    made.finished_too.write_predictions(PREDICTED)
    assert made.faults() == [("predictions.npz", "again")]


def test_predictions_that_were_removed_are_no_fault(made: Made) -> None:
    assert ablate("store", "clean", "--yes", "--predictions").exit_code == 0
    assert not (made.finished.path / "predictions.npz").exists()
    assert made.faults() == []


def test_a_folder_under_another_runs_name_is_a_fault(made: Made) -> None:
    made.finished.path.rename(made.finished.path.with_name("0" * 20))
    assert made.faults() == [("result.json", "again"), ("run.json", "again")]


def test_a_setting_without_end_fits_its_key(made: Made) -> None:
    study = made.options.study
    study.write_text(study.read_text().replace("lr = 1e-2", "lr = 1e-2, eps = inf"))
    other = make(study)
    assert other.finished.path != made.finished.path
    assert other.faults() == []


@pytest.mark.parametrize("tail", ['{"epoch": 3, "lr"', '{"epoch": 3}\n', "\n"])
def test_a_finished_history_has_the_epochs_of_the_result_and_nothing_else(made: Made, tail: str) -> None:
    with (made.finished.path / "history.jsonl").open("a") as file:
        file.write(tail)
    assert made.faults() == [("history.jsonl", "again")]


def test_a_last_line_that_was_cut_off_is_in_order_while_there_is_no_result(made: Made) -> None:
    with (made.unfinished.path / "history.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lr"')
    assert made.faults() == []


def test_one_changed_byte_of_a_checkpoint_is_found(made: Made) -> None:
    whole = made.unfinished.checkpoint.read_bytes()
    place = whole.index(b"unpickled")
    made.unfinished.checkpoint.write_bytes(whole[:place] + b"X" + whole[place + 1 :])
    assert made.faults() == [("checkpoint.pt", "again")]


def test_leftovers_and_foreign_files_are_reported(made: Made) -> None:
    for name in (".run.json.0123abcd", "result.damaged.json", "notes.txt"):
        (made.finished.path / name).write_text("x")
    (made.store.root / "runs" / "thumbs.db").write_text("")
    (made.store.root / "runs" / "pictures").mkdir()
    (made.store.root / "runs" / "pictures" / "a.png").write_text("")
    old(made.store.studies_folder / ".tiny.json.0123abcd")
    (made.store.studies_folder / ".tiny.json.0123abce").write_text("being written")
    names = {".run.json.0123abcd", "result.damaged.json", "notes.txt", "thumbs.db", "pictures", ".tiny.json.0123abcd"}
    assert set(made.faults()) == {(name, "leftover") for name in names}


def test_a_link_is_reported_and_not_followed(made: Made, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    made.finished.path.rename(outside)
    (outside / "result.json").write_text("damaged")
    made.finished.path.symlink_to(outside)
    assert made.faults() == [(made.finished.path.name, "leftover")]


def test_a_run_that_another_process_makes_is_passed_over(made: Made, held: RunWriter) -> None:
    (held.path / ".checkpoint.pt.0123abcd").write_text("being written")
    (held.path / "history.jsonl").write_text("")
    assert made.faults() == []


def test_a_run_that_was_stopped_before_its_first_epoch_is_sound(made: Made) -> None:
    made.unfinished.begin(made.unfinished.spec() or {})
    made.unfinished.checkpoint.unlink()
    assert made.faults() == []


def test_the_pilots_store_is_looked_at_too(made: Made) -> None:
    made.store.pilot.make_writable()
    run = made.store.pilot.writer("k")
    run.begin({"key": "k", "identity": {}})
    (fault,) = check_store(made.store)
    assert fault.place.relative_to(made.store.root).as_posix() == "pilot/runs/k/run.json"


def test_check_says_that_there_is_no_store(folder: Path) -> None:
    for command in (["check"], ["clean", "--yes"]):
        done = ablate("store", *command, "--store", "nowhere")
        assert done.exit_code == 2
        assert "nowhere: there is no store here" in done.stderr


def test_names_that_a_terminal_would_obey_are_escaped(made: Made) -> None:
    for name in (b"\x1b[31m", b"\xff"):
        Path(os.fsdecode(os.fsencode(made.finished.path) + b"/" + name)).write_text("")
    for arguments in ([], ["--json"]):
        done = ablate("store", "check", *arguments)
        assert done.exit_code == 1
        assert "\\u001b[31m" in done.stdout
        assert "\x1b" not in done.output


def test_check_says_all_as_json(made: Made) -> None:
    file = damage(made, "result.json")
    document = json.loads(ablate("store", "check", "--json").stdout)
    assert document["runs"] == 4
    (fault,) = document["faults"]
    assert fault["place"] == f"ablate-store/runs/{file.parent.name}/result.json"
    assert (fault["harm"], fault["mended"]) == ("again", False)


def test_the_files_of_a_run_are_those_that_the_store_describes() -> None:
    described = (filenames.__doc__ or "").split("STORE/studies")[0].splitlines()
    assert {line.split()[0] for line in described if line.startswith("    ")} == {
        *RUN_FILES,
        f"{filenames.OWN_FILES_OF_RUN}/",
        filenames.DAMAGED_RESULT,
    }


# Mend


@pytest.mark.parametrize("name", ["result.json", "run.json", "history.jsonl", "checkpoint.pt", "failure.json"])
def test_a_file_that_was_cut_is_found_and_moved_aside_and_the_run_is_made_again(made: Made, name: str) -> None:
    file = damage(made, name)
    damaged = file.read_bytes()
    assert made.faults() == [(name, "again")]
    found = ablate("store", "check")
    assert found.exit_code == 1
    assert f"again     ablate-store/runs/{file.parent.name}/{name}: " in found.stdout
    assert found.stdout.endswith("ablate-store: 4 runs, 1 fault\n")
    done = ablate("store", "check", "--mend")
    assert done.exit_code == 0
    assert "moved to ablate-store/damaged/" in done.stdout
    assert "1 fault, 1 mended" in done.stdout
    (aside,) = (made.store.root / "damaged").glob(f"*/{file.parent.name}/{name}")
    assert aside.read_bytes() == damaged
    assert made.store.state(file.parent.name) in ("new", "unfinished")
    assert made.faults() == []


def test_a_sound_checkpoint_outlives_a_damaged_result(made: Made) -> None:
    made.finished.checkpoint.write_bytes(made.unfinished.checkpoint.read_bytes())
    damage(made, "result.json")
    ablate("store", "check", "--mend")
    assert made.finished.checkpoint.exists()


def test_what_is_only_left_over_is_not_called_mended(made: Made) -> None:
    (damage(made, "result.json").parent / "result.damaged.json").write_text("x")
    done = ablate("store", "check", "--mend")
    assert done.exit_code == 1
    assert "2 faults, 1 mended" in done.stdout


def test_sound_runs_are_not_mended(made: Made) -> None:
    before = contents(made.finished_too.path)
    damage(made, "result.json")
    ablate("store", "check", "--mend")
    assert contents(made.finished_too.path) == before


def test_a_run_that_another_process_holds_is_not_mended(made: Made, held: RunWriter) -> None:
    file = held.path / "failure.json"
    file.write_text("")
    assert mend([Fault(file, "does not read", "again", "")]) == {held.path: None}
    assert file.exists()


def test_damage_of_one_key_twice_in_a_second_is_kept_twice(made: Made) -> None:
    for _ in range(2):
        (made.unfinished.path / "run.json").write_text("{")
        mend(check_store(made.store))
    assert len(list((made.store.root / "damaged").glob("*/*/run.json"))) == 2


def test_nothing_is_moved_behind_a_link(made: Made, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (made.store.root / "damaged").symlink_to(tmp_path / "outside")
    damage(made, "result.json")
    done = ablate("store", "check", "--mend")
    assert done.exit_code == 1
    assert "is a link, and ablate never writes through one" in done.stderr
    assert list((tmp_path / "outside").iterdir()) == []


# Clean


def test_cleaning_says_what_and_how_much_and_a_dry_run_removes_nothing(made: Made) -> None:
    before = contents(made.store.root)
    made.finished.checkpoint.write_bytes(b"x" * 2_000_000)
    done = ablate("store", "clean", "--dry-run")
    assert done.exit_code == 0
    rows = [line.rsplit(maxsplit=4) for line in done.stdout.splitlines()[2:]]
    assert [row[:3] for row in rows] == [
        ["failed runs", "1", "5"],
        ["checkpoints of runs that have ended", "1", "1"],
        ["leftovers", "2", "2"],
    ]
    assert rows[1][3:] == ["2.0", "MB"]
    made.finished.checkpoint.unlink()
    assert contents(made.store.root) == before


def test_where_nobody_can_be_asked_nothing_is_removed(made: Made) -> None:
    before = contents(made.store.root)
    done = ablate("store", "clean")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--yes removes without asking; --dry-run says what would be removed" in done.stderr
    assert contents(made.store.root) == before


@pytest.mark.parametrize("agreed", [True, False])
def test_the_answer_decides(made: Made, agreed: bool) -> None:
    assert clean(CleanOptions(made.options.store), lambda _: agreed) == (0 if agreed else 1)
    assert made.failed.path.exists() is not agreed


def test_cleaning_leaves_finished_and_unfinished_runs_and_has_nothing_to_do_then(made: Made) -> None:
    made.finished.checkpoint.write_text("x")
    assert ablate("store", "clean", "--yes").exit_code == 0
    states = {run: made.store.state(run.path.name) for run in (made.finished, made.failed, made.unfinished)}
    assert list(states.values()) == ["stored", "new", "unfinished"]
    assert made.unfinished.checkpoint.exists()
    assert not made.failed.path.exists()
    left = sorted(p.name for p in made.finished.path.iterdir())
    assert left == ["history.jsonl", "predictions.npz", "result.json", "run.json"]
    again = ablate("store", "clean", "--yes")
    assert (again.exit_code, again.stdout) == (0, "ablate-store: nothing to remove\n")


def test_weights_that_a_study_keeps_go_only_when_asked_for(made: Made) -> None:
    (made.finished.path / "result.json").unlink()
    made.finished.commit_result({**RESULT, "checkpoint_kept": True})
    made.finished.checkpoint.write_text("weights")
    ablate("store", "clean", "--yes")
    assert made.finished.checkpoint.exists()
    ablate("store", "clean", "--yes", "--checkpoints")
    assert not made.finished.checkpoint.exists()


@pytest.mark.parametrize("kind", [kind for kind in WASTE_KINDS if kind != "kept"])
def test_a_selector_removes_its_kind_alone(made: Made, kind: str) -> None:
    made.store.writer("unnamed").begin({"key": "unnamed"})
    made.store.writer("unnamed").commit_result(RESULT)
    made.finished.checkpoint.write_text("x")
    (made.finished.path / "lock").unlink()
    (made.finished_too.path / "lock").unlink()
    left_over = made.finished.path / ".run.json.0123abcd"
    left_over.write_text("x")
    places = {
        "failed": made.failed.path,
        "unused": made.store.writer("unnamed").path,
        "predictions": made.finished.path / "predictions.npz",
        "checkpoints": made.finished.checkpoint,
        "leftovers": left_over,
    }
    ablate("store", "clean", "--yes", f"--{kind}")
    assert {name for name, place in places.items() if not place.exists()} == {kind}
    assert not (made.finished.path / "lock").exists()


def test_a_run_that_another_process_holds_is_left_alone(made: Made, held: RunWriter) -> None:
    before = contents(held.path)
    done = ablate("store", "clean", "--yes")
    assert done.exit_code == 0
    assert "1 run left alone: another process is making it" in done.stderr
    assert contents(held.path) == before


def test_links_are_removed_as_links(made: Made, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("x" * 100_000)
    (made.store.root / "damaged").symlink_to(outside)
    (made.finished.path / ".run.json.0123abcd").symlink_to(outside / "keep")
    made.failed.checkpoint.unlink()
    made.failed.checkpoint.symlink_to(outside / "keep")
    linked = made.store.root / "runs" / "linked"
    linked.symlink_to(outside)
    assert all(waste.bytes < 1000 for waste in Cleaner(made.store, ["leftovers"]).find() if waste.place.is_symlink())
    assert ablate("store", "clean", "--yes").exit_code == 0
    assert (outside / "keep").read_text() == "x" * 100_000
    assert not (made.store.root / "damaged").is_symlink()
    assert not (made.finished.path / ".run.json.0123abcd").is_symlink()
    assert not made.failed.path.exists()
    assert not linked.is_symlink()


def test_what_was_moved_aside_goes_with_the_leftovers(made: Made) -> None:
    damage(made, "result.json")
    ablate("store", "check", "--mend")
    ablate("store", "clean", "--yes", "--leftovers")
    assert not (made.store.root / "damaged").exists()


def test_the_checkpoint_of_a_damaged_result_stays(made: Made) -> None:
    made.finished.checkpoint.write_bytes(b"x")
    damage(made, "result.json")
    ablate("store", "clean", "--yes", "--checkpoints")
    assert made.finished.checkpoint.exists()


def test_unused_runs_are_not_reported_while_a_studys_record_does_not_read(made: Made) -> None:
    (made.store.studies_folder / "tiny.json").write_text("{")
    done = ablate("store", "clean", "--yes", "--unused")
    assert done.exit_code == 1
    assert "so it is unknown which runs are unused" in done.stderr
    assert made.finished.state() == "stored"


def test_runs_of_a_variant_that_is_gone_are_unused_once_the_study_was_run_again(made: Made) -> None:
    study = made.options.study
    text = study.read_text()
    study.write_text(text.partition("[[variant]]")[0])
    assert unused(made) == set()  # run last with them, and the next run may be of another file
    again(made)
    assert unused(made) == {made.finished_too.path.name}
    assert made.finished_too.state() == "stored"  # a dry run
    study.write_text(text)
    assert unused(made) == set()


@pytest.mark.parametrize(
    "change", [("lr = 1e-2", "lr = 2e-2"), ("seeds = 2", "seeds = [1]"), ("epochs = 2", "epochs = 3")]
)
def test_runs_that_a_change_of_the_study_left_behind_are_unused(made: Made, change: tuple[str, str]) -> None:
    made.options.study.write_text(made.options.study.read_text().replace(*change))
    again(made)
    assert unused(made) == {made.finished.path.name, made.finished_too.path.name}


def test_runs_of_an_older_source_are_unused(made: Made, study: Path) -> None:
    plugin = Path("plugins/tiny.py")
    plugin.write_text(plugin.read_text().replace("normal(0, 30", "normal(0, 31"))
    again(made)
    assert unused(made) == {made.finished.path.name, made.finished_too.path.name}


def test_runs_of_a_study_with_another_name_now_are_unused_once_that_was_run(made: Made) -> None:
    text = made.options.study.read_text()
    made.options.study.write_text(text.replace('name = "tiny"', 'name = "other"').replace("epochs = 2", "epochs = 3"))
    assert unused(made) == set()
    again(made)
    assert unused(made) == {made.finished.path.name, made.finished_too.path.name}


def test_all_that_a_study_ever_named_stays_while_its_file_does_not_read(made: Made) -> None:
    made.options.study.write_text(made.options.study.read_text().partition("[[variant]]")[0])
    again(made)
    made.options.study.write_text("[study")
    assert unused(made) == set()


def test_the_history_of_a_study_outlives_its_unused_runs(made: Made) -> None:
    text = made.options.study.read_text()
    made.options.study.write_text(text.partition("[[variant]]")[0])
    again(made)
    ablate("store", "clean", "--unused", "--yes")
    assert not made.finished_too.path.exists()
    assert made.finished.state() == "stored"
    made.read(curves=True)
    made.options.study.write_text(text)
    states = {run["variant"]: run["state"] for run in document("plan", made.options.study)["runs"] if run["seed"] == 0}
    assert states == {"baseline": "stored", "flipped": "new"}


def test_a_foreign_file_outlives_its_failed_run(made: Made) -> None:
    (made.failed.path / "notes.txt").write_text("mine")
    ablate("store", "clean", "--yes")
    assert [p.name for p in made.failed.path.iterdir()] == ["notes.txt"]


def test_what_a_task_wrote_goes_with_its_run_and_stays_with_a_finished_one(made: Made) -> None:
    for run in (made.failed, made.finished):
        deep = run.path / "files" / "deep"
        deep.mkdir(parents=True)
        (deep / "tree.txt").write_text("mine")
    ablate("store", "clean", "--yes")
    assert not made.failed.path.exists()
    assert (made.finished.path / "files" / "deep" / "tree.txt").read_text() == "mine"


def test_an_empty_run_folder_goes_when_nobody_has_just_made_it(made: Made) -> None:
    empty, fresh = (made.store.root / "runs" / name for name in ("empty", "fresh"))
    for place in (empty, fresh):
        place.mkdir()
    os.utime(empty, (time.time() - 3600,) * 2)
    ablate("store", "clean", "--yes", "--leftovers")
    assert (empty.exists(), fresh.exists()) == (False, True)


def test_temporary_files_that_may_be_being_written_stay(made: Made) -> None:
    stale = old(made.store.root / ".last.json.0123abcd")
    fresh = made.store.studies_folder / ".tiny.json.0123abcd"
    fresh.write_text("x")
    ablate("store", "clean", "--yes")
    assert (stale.exists(), fresh.exists()) == (False, True)


def test_cleaning_says_all_as_json(made: Made) -> None:
    document = json.loads(ablate("store", "clean", "--failed", "--yes", "--json").stdout)
    assert document["found"]["failed"]["runs"] == 1
    assert document["removed"] == document["found"]


# What it imports


def test_looking_after_the_store_imports_no_torch(made: Made) -> None:
    code = "import sys, ablate.commands.store; print({'torch', 'pandas', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
