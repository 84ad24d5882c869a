"""Tasks: what a run does that trains no image classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ablate import Covered, InputError, Run, task


def _check(
    folder: Path,
    /,
    *,
    command: list[str],
    env: dict[str, str],
    metrics_file: str,
    sources: list[str],
    resume: bool,  # noqa: ARG001  # nothing can be wrong with it
    **settings: Any,
) -> Covered:
    if Path(metrics_file).is_absolute() or ".." in Path(metrics_file).parts:
        raise InputError(
            f"metrics_file = '{metrics_file}' is not a name in the run's folder, which {{folder}} stands for"
        )
    from ablate import check_program  # which commands that run no program do without

    return check_program(folder, command, settings, env=env, sources=sources)


@task("image-classification")
def image_classification(run: Run, /) -> None:  # noqa: ARG001  # the form of a task
    """Train an image classifier: the task of a study that names none.

    Its parts stand beside it in `[baseline]`: dataset, model, augmentation, optimizer, scheduler, epochs and more.
    """
    raise InputError("ablate runs this task itself")


@task("command", check=_check)
def command(
    run: Run,
    /,
    *,
    command: list[str],
    env: dict[str, str] = {},  # noqa: B006  # read only
    metrics_file: str = "",
    sources: list[str] = [],  # noqa: B006  # read only
    resume: bool = False,
    **settings: Any,
) -> dict[str, float]:
    """Run a program in any language, which prints its metrics as JSON lines.

    All further settings are the program's own: `{lr}` in `command` or `env` stands for the setting `lr`, as `{seed}`,
    `{threads}`, `{device}`, `{folder}`, `{data_dir}`, `{study_dir}` and `{pilot}` stand for what the run gives, and
    `{python}` for the Python that runs ablate. A line with a "step" is logged, one without is the result.
    `metrics_file`, in the run's folder, holds these lines instead. `sources` are files and folders whose content the
    program depends on. `resume`: an interrupted program goes on by itself from what it left in `{folder}`.
    """
    from ablate import run_program

    del sources  # their content is part of the run's key
    return run_program(run, command, settings, env=env, metrics_file=metrics_file, resume=resume)
