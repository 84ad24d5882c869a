"""Jobs of Slurm, submitted through submitit: it writes the batch script, pickles what the job calls, and forms arrays.

What it offers beyond that is not used: it learns of jobs from sacct, which not every cluster has, and would requeue
them by itself (see docs/decisions/038-slurm.md). submitit has to be installed: `builtin.slurm_executor` says how.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import shlex
import sys
from typing import TYPE_CHECKING, Any

import submitit

from ..errors import AblateError, InputError, one_line
from ..store.documents import store_errors
from .slurm_options import OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

Call = tuple["Callable[..., Any]", tuple[Any, ...]]
"""What a job calls, and with what."""
_VARIABLES = {"array": "ARRAY_INX", "mem": "MEM_PER_NODE", "time": "TIMELIMIT"}
"""What sbatch calls an option among its environment variables, where that is not its name."""


class Submission:
    """Submits jobs that all ask for the same. folder: for what the jobs need. flags: of sbatch.

    Raises InputError for a folder that a batch script cannot name.
    """

    def __init__(self, folder: Path, flags: Mapping[str, Any], at_a_time: int) -> None:
        if odd := [mark for mark in str(folder) if mark in "%\\" or not mark.isprintable()]:
            raise InputError(
                f"--executor slurm: the path of the store holds {odd[0]!r}, which Slurm replaces or cannot write: "
                f"{one_line(str(folder.parent), 300)}\n  name another folder: --store DIR"
            )
        self._folder, self._set = folder, (*OURS, *flags)
        # exec: the batch script becomes the process, which then gets the signals of `sbatch --signal=B:...`.
        self._executor = submitit.SlurmExecutor(folder=folder, python=f"exec {shlex.quote(sys.executable)} -P")
        self._executor.update_parameters(
            time=None,  # else five minutes
            wckey=None,
            use_srun=False,
            array_parallelism=at_a_time,
            additional_parameters={name.replace("-", "_"): value for name, value in flags.items()},
        )

    def submit(self, calls: Sequence[Call]) -> list[submitit.Job[Any]]:
        """Submit a job for each call, several as one array. Raises AblateError where Slurm does not take them."""
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said), own_environment(self._set), store_errors(self._folder):
                if len(calls) == 1:
                    return [self._executor.submit(function, *given) for function, given in calls]
                with self._executor.batch():
                    return [self._executor.submit(function, *given) for function, given in calls]
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
            raise AblateError(
                f"Slurm takes no more jobs: {one_line(str(error).strip(), 300)}\n"
                "  'squeue --me' says what is submitted; then run the same command again to continue"
            ) from error


@contextlib.contextmanager
def own_environment(options: Collection[str]) -> Iterator[None]:
    """Hide variables that would change our jobs while this lasts.

    Those are sbatch's for `options`, the ones that are set: they are stronger than what a batch script says. And what
    Slurm has set for the job that the command itself is in, where it is in one: ours would inherit it.
    """
    stronger = {f"SBATCH_{_VARIABLES.get(name, name.upper().replace('-', '_'))}" for name in options}
    inherited = ("SLURM_", "SLURMD_", "SUBMITIT_") if "SLURM_JOB_ID" in os.environ else ()
    hidden = {
        name: value
        for name, value in os.environ.items()
        if name in stronger or (name.startswith(inherited) and name != "SLURM_CONF")
    }
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


def returned(job: submitit.Job[Any]) -> tuple[str, Any] | None:
    """Return what a job has returned, as ("success", value) or ("error", traceback); None as long as it has not."""
    try:
        with job.paths.result_pickle.open("rb") as file:
            found: tuple[str, Any] = pickle.load(file)  # noqa: S301  # in a folder that only this user can write
    except (OSError, EOFError):
        return None
    return found


def last_words(job: submitit.Job[Any]) -> str:
    """Return the last line that a job wrote to its standard error, as where its Python is absent; "" for none."""
    try:
        lines = job.paths.stderr.read_text(errors="replace").split("\n")
    except OSError:
        return ""
    return next((one_line(line.strip(), 300) for line in reversed(lines) if line.strip()), "")


def forget(job: submitit.Job[Any]) -> None:
    """Remove the files of a job that has ended, by their names: the folder may hold those of thousands."""
    for file in (job.paths.submitted_pickle, job.paths.result_pickle, job.paths.stdout, job.paths.stderr):
        with contextlib.suppress(OSError):
            file.unlink()
