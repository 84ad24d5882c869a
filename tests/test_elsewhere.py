"""What executors on other machines stand on, without any of them: notices, errands, owners, room, what is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from ablate.commands.doctor_clusters import ray_check, slurm_check
from ablate.errors import InputError, StoreError, TakenOverError
from ablate.execute import builtin
from ablate.execute.attempts import Placed, WorkerExited
from ablate.execute.jobs import (
    Aborted,
    Busy,
    Damaged,
    EpochDone,
    EpochProgress,
    Event,
    Failed,
    Finished,
    Started,
    Stopped,
)
from ablate.execute.mailbox import KINDS, Letters, Mailbox, append, code_in
from ablate.execute.notices import Notices, Silence
from ablate.execute.ray_packing import ClusterRoom
from ablate.execute.relay import Errand, Taking, relayed
from ablate.execute.slurm_queue import COMMANDS
from ablate.execute.worker import work
from ablate.store import owner
from ablate.store.contents import STALE_SECONDS, is_stale
from ablate.store.store import Store
from tests.support import ablate as typed
from tests.support import jobs

OWN = builtin.needs_extra


if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ablate.execute.attempts import News


@pytest.mark.parametrize("address", ["s3://bucket/store", "gs://bucket"])
def test_an_object_store_is_refused_and_no_folder_of_its_name_is_made(study: Path, address: str) -> None:
    refused = typed("run", study, "--store", address)
    assert refused.exit_code == 2
    assert "a store is a folder" in refused.output
    assert not (study.parent.parent / address.partition("/")[0]).exists()


@pytest.fixture
def posted(study: Path) -> Iterator[Notices]:
    """The notices of a driver in the store of `jobs`."""
    with Notices.posted(jobs(study)[0].store) as notices:
        yield notices


def test_a_notice_reaches_the_attempt_that_it_names(tmp_path: Path) -> None:
    with Notices.posted(tmp_path) as posted:
        assert posted.are_here()
        posted.ask_to_stop("a-1")
        assert [posted.asked(number) for number in ("a-1", "a-11", "a-2")] == [True, False, False]
    assert not posted.asked("a-1")
    posted.ask_to_stop("a-2")  # nobody listens any more
    assert not posted.are_here()


def test_notices_in_a_store_that_is_gone_are_an_error_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="absent"), Notices.posted(tmp_path / "absent"):
        pass


def test_what_a_killed_driver_leaves_is_a_leftover_and_what_is_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(path: Path) -> bool:
        (entry,) = [entry for entry in os.scandir(path.parent) if entry.path == str(path)]
        return is_stale(entry)

    def old(path: Path) -> Path:
        past = time.time() - STALE_SECONDS - 60
        os.utime(path, (past, past))
        return path

    with Notices.posted(tmp_path) as posted:  # touched in five seconds
        assert not stale(posted.path)
        assert stale(old(posted.path))
    monkeypatch.setattr(owner, "BEAT_SECONDS", 0.01)
    with Notices.posted(tmp_path) as posted, Mailbox.posted(tmp_path) as box:
        for path in (old(posted.path), old(box.folder)):
            until = time.monotonic() + 30
            while stale(path):
                assert time.monotonic() < until, f"{path} is not touched"
                time.sleep(0.01)


def test_a_driver_is_silent_once_nothing_has_touched_its_notices_for_a_minute(tmp_path: Path) -> None:
    now = 0.0
    with Notices.posted(tmp_path) as posted:
        silence = Silence(posted, clock=lambda: now)
        now = 59.0
        assert not silence.lasts()
        os.utime(posted.path, (1.0, 1.0))  # whatever its clock says
        assert not silence.lasts()
        now = 118.0
        assert not silence.lasts()
    now = 120.0
    assert silence.lasts(), "notices that are gone are a driver that is gone"


def test_a_letter_arrives_as_it_was_sent_and_once(study: Path) -> None:
    job = jobs(study)[0]
    spec, record = job.spec, {"epoch": 1, "train/loss": 0.1 + 0.2, "odd": [1e400, None], "text": "é\n\udcff"}
    told: list[News] = [Placed("node 0"), Started(spec, 3), EpochProgress(spec, 1, 0.5), EpochDone(spec, record)]
    told += [Damaged(spec, "x"), Busy(spec, "y"), Stopped(spec, saved=False), Failed(spec, "z", out_of_memory=True)]
    told += [Aborted(spec, "a"), Finished(spec, record), WorkerExited("b", taken=True)]
    assert {type(one).__name__ for one in told} == set(KINDS)
    with Mailbox.posted(job.store) as box:
        letters = Letters(box.letters("a-1"), spec)
        for one in told:
            append(letters.path, one)
        assert letters.new() == told
        assert letters.new() == []
        with letters.path.open("a") as file:
            file.write('["Placed", {"pla')
        assert letters.new() == []
        with letters.path.open("a") as file:
            file.write('ce": "late"}]\n')
        assert letters.new() == [Placed("late")]
        at = letters.path.stat().st_size
        with letters.path.open("ab") as file:
            file.write(b"\0" * 14 + b"\n" + b'["Placed", {}]\n')
        assert letters.new() == []  # a page that NFS shows late
        with letters.path.open("r+b") as file:
            file.seek(at)
            file.write(b'["Placed", {}]')
        assert letters.new() == [Placed(), Placed()]
        assert box.folder.stat().st_mode & 0o077 == 0
        letters.close()
        assert letters.new() == []
    assert not box.folder.exists()


def test_the_code_of_plugins_is_written_once(study: Path) -> None:
    first, second = jobs(study)[:2]
    with Mailbox.posted(first.store) as box:
        assert box.code(first.code) == box.code(second.code)
        assert code_in(box.code(first.code)) == first.code


def test_a_run_whose_place_is_taken_saves_its_state_and_nobody_is_blamed(study: Path, posted: Notices) -> None:
    job = jobs(study, "baseline.epochs=100000")[0]
    folder = Store(job.store).run(job.spec.key)
    taken = lambda: Taking("the queue") if folder.history() else Taking()  # noqa: E731
    news = list(relayed(Errand(job, "a-1", posted, "1"), "", "1", taken))
    assert news[-1] == WorkerExited("the queue", taken=True)
    assert folder.checkpoint.exists()


def test_a_run_that_does_not_save_its_state_in_time_is_killed(study: Path, posted: Notices) -> None:
    job = jobs(study, "baseline.epochs=100000")[0]
    news = list(relayed(Errand(job, "a-1", posted, "1"), "", "1", lambda: Taking("the queue", -1.0)))
    assert news[-1] == WorkerExited("the queue", taken=True)
    with Store(job.store).writer(job.spec.key).lock() as free:
        assert free


def test_an_errand_is_made_in_a_process_of_its_own_and_logged(study: Path, posted: Notices) -> None:
    job = jobs(study)[0]
    news = list(relayed(Errand(job, "a-1", posted, "1"), "a place", "1"))
    assert news[0] == Placed("a place")
    assert [type(one) for one in news if isinstance(one, (Started, EpochDone, Finished))] == [
        Started,
        EpochDone,
        EpochDone,
        Finished,
    ]
    assert "attempt a-1 on " in (job.store / "runs" / job.spec.key / "output.log").read_text()
    assert Store(job.store).state(job.spec.key) == "stored"


def test_an_errand_that_is_dropped_ends_its_process(study: Path, posted: Notices) -> None:
    job = jobs(study, "baseline.epochs=100000")[0]
    made = relayed(Errand(job, "a-1", posted, "1"), "", "1")
    while not isinstance(next(made), EpochDone):
        pass
    made.close()
    with Store(job.store).writer(job.spec.key).lock() as free:
        assert free


@pytest.mark.parametrize(
    ("there", "version", "why"), [(False, "1", "does not have this store"), (True, "2", "ablate 1")]
)
def test_a_machine_that_cannot_make_a_run_says_so_and_no_run_is_blamed(
    study: Path, posted: Notices, there: bool, version: str, why: str
) -> None:
    job = jobs(study)[0]
    if not there:
        posted.path.unlink()
    _, aborted = relayed(Errand(job, "a-1", posted, version), "", "1")
    assert isinstance(aborted, Aborted)
    assert why in aborted.reason
    assert Store(job.store).state(job.spec.key) == "new"


def test_a_process_that_another_one_took_the_run_over_from_writes_nothing_any_more(study: Path) -> None:
    job = jobs(study)[0]
    folder = Store(job.store).writer(job.spec.key)
    events: list[Event] = []

    def on_event(event: Event) -> None:
        events.append(event)
        if isinstance(event, EpochDone):
            owner = folder.path / "owner.json"
            owner.write_text(json.dumps({**json.loads(owner.read_text()), "pid": 1, "host": "another"}))

    work(job, on_event)
    assert isinstance(events[-1], Busy)
    assert sum(isinstance(event, EpochDone) for event in events) == 1
    assert folder.result() is None
    assert "another" in (folder.path / "owner.json").read_text()


def test_an_owner_that_is_gone_counts_as_taken_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.make_writable()
    folder = store.writer("k")
    with folder.lock(), folder.owned():
        folder.begin({"key": "k"})
        (folder.path / "owner.json").unlink()
        with pytest.raises(TakenOverError):
            folder.append_epoch({"epoch": 1})
        with pytest.raises(TakenOverError):
            folder.commit_result({})
    folder.record_failure("lost", "what a driver writes, which owns no run")


def test_of_two_results_the_first_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.make_writable()
    for number in (1, 2):
        folder = store.writer("k")
        with folder.lock(), folder.owned():
            if number == 1:
                folder.begin({"key": "k"})
            assert folder.commit_result({"number": number}) == (number == 1)
    assert (store.run("k").result() or {})["number"] == 1


def test_a_cluster_has_room_as_its_nodes_come_and_go() -> None:
    now, slots = 0.0, 2
    room = ClusterRoom(lambda: slots, clock=lambda: now)
    assert [room.room(running) for running in (1, 2)] == [True, False]
    slots, now = 40, 10.0
    assert room.room(39)
    room.reduce()
    now = 20.0
    assert [room.room(running) for running in (38, 39)] == [True, False]
    slots, now = 0, 30.0
    assert [room.room(running) for running in (0, 1)] == [True, False]


def test_a_number_of_runs_that_is_given_stays() -> None:
    room = ClusterRoom(lambda: 40, most=3)
    assert [room.room(running) for running in (2, 3)] == [True, False]


def test_without_the_extra_the_line_that_installs_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r'ray is not installed\n  pip install "ablate-studies\[ray\]"'):
        builtin.ray_executor()
    with pytest.raises(InputError, match=r'submitit is not installed\n  pip install "ablate-studies\[slurm\]"'):
        builtin.slurm_executor()


def test_nothing_of_ray_and_submitit_is_imported_where_they_are_not_asked_for(study: Path) -> None:
    script = (
        "import sys; from ablate.cli import app; from typer.testing import CliRunner\n"
        f"run = ['run', {str(study)!r}, '--executor', 'inline', '--seeds', '1', '--no-report']\n"
        "done = CliRunner().invoke(app, run)\n"
        "for name in ('ray', 'slurm'): CliRunner().invoke(app, ['components', 'executor', name])\n"
        "print(done.exit_code, [name for name in sys.modules if name.split('.')[0] in ('ray', 'submitit')])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "0 []"


@pytest.mark.parametrize(
    ("environment", "token", "state", "words"),
    [
        ({}, False, "ok", "2.60.0, no RAY_ADDRESS"),
        (
            {"RAY_ADDRESS": "head:6379", "RAY_AUTH_MODE": "token"},
            True,
            "ok",
            "RAY_ADDRESS=head:6379, RAY_AUTH_MODE=token",
        ),
        ({"RAY_AUTH_MODE": "disabled"}, True, "ok", "disabled"),
        ({}, True, "warning", "who joins by an address does not send it"),
        ({"RAY_AUTH_TOKEN": "secret"}, False, "warning", "RAY_AUTH_MODE is not"),
        ({"RAY_AUTH_MODE": "token"}, False, "warning", "there is no token"),
        ({"RAY_ADDRESS": "ray://head:10001"}, False, "warning", "Ray Client"),
    ],
)
def test_the_doctor_says_what_of_ray_does_not_fit_together(
    tmp_path: Path, environment: dict[str, str], token: bool, state: str, words: str
) -> None:
    if token:
        (tmp_path / ".ray").mkdir()
        (tmp_path / ".ray" / "auth_token").write_text("secret")
    check = ray_check("2.60.0", environment, tmp_path)
    assert (check.state, words in check.found, bool(check.remedy)) == (state, True, state == "warning")
    assert "secret" not in check.found


@pytest.mark.parametrize(
    ("commands", "submitit", "state", "words"),
    [
        ((), "", "ok", "no commands of Slurm, as on a login node of a cluster; no submitit; for --executor slurm: pip"),
        (("sbatch", "squeue"), "1.5.4", "warning", "absent: scancel, sinfo, srun; submitit 1.5.4"),
        (COMMANDS, "1.5.4", "ok", "slurm 23.11, submitit 1.5.4"),
    ],
)
def test_the_doctor_says_which_of_slurms_commands_are_here(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    commands: tuple[str, ...],
    submitit: str,
    state: str,
    words: str,
) -> None:
    for name in commands:
        (tmp_path / name).write_text("#!/bin/sh\necho slurm 23.11\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    check = slurm_check(submitit)
    assert (check.state, words in check.found, bool(check.remedy)) == (state, True, state == "warning"), check.found


def test_a_part_of_a_gpu_and_other_resources_are_slots() -> None:
    pytest.importorskip("ray")
    from ablate.execute.ray_cluster import Need

    node: dict[str, Any] = {"CPU": 8.0, "GPU": 2.0, "fast": 3.0}
    needs = {(1, 0.25): 8, (1, 0.5): 4, (1, 0.0): 8, (3, 0.0): 2, (1, 2.0): 1, (1, 3.0): 0}
    assert {need: Need(*need).slots(node) for need in needs} == needs
    assert Need(1, 0.3).slots({"CPU": 9, "GPU": 0.9}) == 3
    assert Need(1, 0, {"fast": 1}).slots(node) == 3
    assert Need(1, 0, {"slow": 1}).slots(node) == 0
    assert str(Need(2, 0.25)) == "2 CPU, 0.25 GPU"
