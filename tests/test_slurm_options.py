"""What runs ask Slurm for, and what its queue says, without a Slurm."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ablate.errors import InputError
from ablate.execute.slurm_options import SlurmOptions, arguments, seconds_of, shown
from ablate.execute.slurm_queue import Seen, look
from tests.support import ablate as typed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        (30, 1800),
        ("30", 1800),
        ("30:15", 1815),
        ("02:00:00", 7200),
        ("1-0", 86400),
        ("2-03:04", 183840),
        ("1-00:00:01", 86401),
        ("infinite", None),
        ("1:2:3:4", None),
        ("", None),
    ],
)
def test_times_are_read_as_slurm_writes_them(time: str | int, seconds: int | None) -> None:
    assert seconds_of(time) == seconds


def test_options_become_those_of_sbatch_by_their_own_names() -> None:
    given = SlurmOptions(2, options={"partition": "gpu", "mail_type": "END", "exclusive": True, "nice": 0, "qos": ""})
    assert arguments(given.flags(1)) == [
        "--job-name=ablate",
        "--partition=gpu",
        "--mail-type=END",
        "--exclusive",
        "--nice=0",
        "--cpus-per-task=2",
        "--ntasks=1",
        "--no-requeue",
        "--signal=B:USR2@90",
        "--gres=gpu:1",
    ]
    assert shown(given.flags(0)) == "partition=gpu, mail-type=END, exclusive, nice=0, cpus-per-task=2"
    assert given.where == "Slurm (gpu)"
    typed_gpu = SlurmOptions(options={"gres": "gpu:a100:1", "job-name": "mine"}).flags(1)
    assert (typed_gpu["gres"], typed_gpu["job-name"]) == ("gpu:a100:1", "mine")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"array": "0-3", "cpus_per_task": 3},
            r"array cannot be given: .*max_parallel.*\n  cpus-per-task .*cpus_per_run",
        ),
        ({"comment": "x\nrm -rf /"}, "comment is neither a text, a number nor true"),
        ({"clusters": "b"}, "clusters cannot be given: the queue that is looked at"),
        ({"x y": 1}, "'x y' is not the long name of an option"),
        ({"time": "soon"}, "time=soon is none that Slurm knows: MINUTES"),
        ({"time": 1}, r"the time limit 1 is 60 s, and a run saves its state 90 s before it"),
    ],
)
def test_options_that_cannot_be_given_are_refused_before_slurm_is_asked(options: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        SlurmOptions(options=options)


def test_a_time_limit_of_0_is_none_at_all() -> None:
    assert SlurmOptions(options={"time": 0}).flags(0)["time"] == 0


def test_a_part_of_a_gpu_is_refused_with_what_slurm_has_instead() -> None:
    with pytest.raises(InputError, match=r"--gpus-per-run 0\.5: Slurm gives whole GPUs\n.*shard"):
        SlurmOptions(gpus_per_run=0.5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--slurm", "partition=gpu,tiem=1"), "slurm has no setting 'tiem'; did you mean 'time'?"),
        (("--slurm", "time=00:01:00,options.exclude=n1,n2"), "the time limit 00:01:00 is 60 s"),
        (("--slurm", "partition=gpu", "--gpus-per-run", "0.5"), "--gpus-per-run 0.5: Slurm gives whole GPUs"),
        (("--slurm", "options.exclude=n1,n2,options.wait=1,mem=16G"), "wait cannot be given"),
        (("--slurm", "time=02:00:00,mem=16G"), "there is no sbatch on this machine"),
        (("--device", "cuda:1"), "--device cuda:1: Slurm gives each run its GPU"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_submitted(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], said: str
) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'ablate-studies[slurm]'")
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = typed("run", study, "--executor", "slurm", *given)
    assert refused.exit_code == 2
    assert said in refused.output


@pytest.mark.parametrize(
    ("seen", "ended", "taken", "never"),
    [
        (Seen("PENDING", "Resources"), False, False, False),
        (Seen("PENDING", "PartitionTimeLimit"), False, False, True),
        (Seen("PENDING", "QOSMaxWallDurationPerJobLimit"), False, False, True),
        (Seen("PENDING", "AssocMaxJobsLimit"), False, False, False),
        (Seen("RUNNING"), False, False, False),
        (Seen("COMPLETING"), False, False, False),
        (Seen("COMPLETED"), True, False, False),
        (Seen("FAILED"), True, False, False),
        (Seen("OUT_OF_MEMORY"), True, False, False),
        (Seen("CANCELLED"), True, True, False),
        (Seen("NODE_FAIL"), True, True, False),
        (Seen("TIMEOUT"), True, True, False),
        (Seen(), True, False, False),
    ],
)
def test_the_state_of_a_job_says_whether_it_has_ended_and_by_whom(
    seen: Seen, ended: bool, taken: bool, never: bool
) -> None:
    assert (seen.ended, seen.taken, seen.never) == (ended, taken, never)


def test_a_view_of_the_queue_that_its_user_has_set_hides_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text('#!/bin/sh\n[ -n "$SQUEUE_PARTITION" ] || echo "7_0|RUNNING|None|n1"\n')
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SQUEUE_PARTITION", "other")
    assert look() == {"7_0": Seen("RUNNING", "None", "n1")}


@pytest.mark.parametrize("name", ["100%a", "a\ntouch b", "a\\b"])
def test_a_store_that_a_batch_script_cannot_name_is_refused(tmp_path: Path, name: str) -> None:
    submission = pytest.importorskip("ablate.execute.slurm_submission", reason="needs submitit")
    with pytest.raises(InputError, match="the path of the store holds"):
        submission.Submission(tmp_path / name / ".mailbox.1", {}, 1)


def test_a_users_variables_of_sbatch_change_no_option_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    submission = pytest.importorskip("ablate.execute.slurm_submission", reason="needs submitit")
    for name in ("SBATCH_TIMELIMIT", "SBATCH_MAIL_TYPE", "SBATCH_ACCOUNT", "SLURM_CPUS_PER_TASK"):
        monkeypatch.setenv(name, "1")
    with submission.own_environment(["time", "mail-type"]):
        assert "SBATCH_TIMELIMIT" not in os.environ
        assert "SBATCH_MAIL_TYPE" not in os.environ
        assert {"SBATCH_ACCOUNT", "SLURM_CPUS_PER_TASK"} <= os.environ.keys()
        monkeypatch.setenv("SLURM_JOB_ID", "7")
        with submission.own_environment([]):
            assert "SLURM_CPUS_PER_TASK" not in os.environ
    assert os.environ["SBATCH_TIMELIMIT"] == os.environ["SLURM_CPUS_PER_TASK"] == "1"
