"""Commands that make runs, or say what is to be expected of them: run, tune, plan, check, explain, lr-find."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .complete import study_files, variants
from .exits import exits, exits_resumable
from .options import (
    AddressOption,
    DataOption,
    DatasetOption,
    DeviceOption,
    DevicesOption,
    ExecutorOption,
    GpusPerRunOption,
    JobsOption,
    JsonOption,
    LastStudyFile,
    OnlyOption,
    OpenOption,
    OutOption,
    PilotOption,
    SeedsOption,
    SetOption,
    SlurmOption,
    StorageOption,
    StoreOption,
    StudyFile,
    WithOption,
    changes_of,
    executor_of,
    last_study,
    options_of,
)

app = typer.Typer()


@app.command()
@exits_resumable
def run(
    study: LastStudyFile = None,
    dataset: DatasetOption = [],
    set_: SetOption = [],  # typer copies it
    only: OnlyOption = [],
    seeds: SeedsOption = "",
    pilot: PilotOption = False,
    jobs: JobsOption = None,
    device: DeviceOption = "auto",
    devices: DevicesOption = "",
    executor: ExecutorOption = "",
    address: AddressOption = "",
    gpus_per_run: GpusPerRunOption = None,
    slurm: SlurmOption = [],
    with_: WithOption = [],
    tuned: Annotated[
        bool, typer.Option("--tuned", help="Also each variant with the best settings that 'ablate tune' found.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try runs again that failed before.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Keep the report fresh while runs finish.")] = False,
    open_: OpenOption = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report at the end.")] = False,
    store: StoreOption = None,
    data_dir: DataOption = None,
    json: JsonOption = False,
) -> int:
    """Train every run of a study that is not stored yet, summarise them, and write the report."""
    from ..commands.run_over import RunOver, run_over
    from ..commands.run_report import RunReport
    from ..errors import InputError
    from ..launch.make import RunOptions

    if no_report and (live or open_):
        raise InputError("--no-report and --live or --open: only one of them can be meant")

    options = options_of(study or Path(), changes_of(set_, seeds, pilot), only, device, store, data_dir)
    options = options if study else last_study(options, "run")
    report = None if no_report else RunReport(live, open_)
    how = RunOptions(jobs, retry_failed, executor_of(executor, with_, devices, address, gpus_per_run, slurm))
    return run_over(options, RunOver(how, tuple(dataset), tuned, report, json))


@app.command()
@exits_resumable
def tune(
    study: LastStudyFile = None,
    trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="In total for each variant. [the study's, or 50]")
    ] = None,
    objective: Annotated[
        list[str],
        typer.Option(
            metavar="NAME", help="accuracy, loss, seconds, parameters or flops; several give the best trade-offs."
        ),
    ] = [],  # typer copies it
    storage: StorageOption = None,
    dataset: DatasetOption = [],
    set_: SetOption = [],
    only: OnlyOption = [],
    jobs: JobsOption = None,
    device: DeviceOption = "auto",
    devices: DevicesOption = "",
    executor: ExecutorOption = "",
    address: AddressOption = "",
    gpus_per_run: GpusPerRunOption = None,
    slurm: SlurmOption = [],
    with_: WithOption = [],
    store: StoreOption = None,
    data_dir: DataOption = None,
    json: JsonOption = False,
) -> int:
    """Look for the best settings of every variant, with the same chance for each."""
    from ..commands.over_datasets import on_each
    from ..commands.tune import TuneOptions, tune_study

    options = options_of(study or Path(), changes_of(set_), only, device, store, data_dir)
    options = options if study else last_study(options, "tune")
    how = TuneOptions(
        trials, tuple(objective), storage, jobs, executor_of(executor, with_, devices, address, gpus_per_run, slurm)
    )
    return on_each(options, dataset, lambda one: tune_study(one, how, json=json), json=json)


@app.command()
@exits
def plan(
    study: LastStudyFile = None,
    dataset: DatasetOption = [],
    set_: SetOption = [],
    only: OnlyOption = [],
    seeds: SeedsOption = "",
    pilot: PilotOption = False,
    jobs: JobsOption = None,
    device: DeviceOption = "auto",
    store: StoreOption = None,
    data_dir: DataOption = None,
    json: JsonOption = False,
) -> int:
    """Show what would run, what is stored and how long it would take; train nothing."""
    from ..commands.plan import plan_over

    options = options_of(study or Path(), changes_of(set_, seeds, pilot), only, device, store, data_dir)
    return plan_over(options if study else last_study(options, "plan"), dataset, jobs, json)


@app.command()
@exits
def check(
    study: LastStudyFile = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 where something serious is found that is not waived.")
    ] = False,
    dataset: DatasetOption = [],
    set_: SetOption = [],
    seeds: SeedsOption = "",
    device: DeviceOption = "auto",
    store: StoreOption = None,
    data_dir: DataOption = None,
    json: JsonOption = False,
) -> int:
    """List every doubt about a study, before it trains and from its results; train nothing."""
    from ..commands.check import check_study
    from ..commands.over_datasets import on_each

    options = options_of(study or Path(), changes_of(set_, seeds), (), device, store, data_dir)
    options = options if study else last_study(options, "check")
    return on_each(options, dataset, lambda one: check_study(one, json, strict), json=json)


@app.command()
@exits
def explain(
    variant: Annotated[
        str, typer.Argument(help="A variant of several changes.", show_default=False, autocompletion=variants)
    ],
    study: Annotated[
        Path | None,
        typer.Option(
            "--study", metavar="FILE", help="The study file. [the study run last]", autocompletion=study_files
        ),
    ] = None,
    all_orders: Annotated[
        bool, typer.Option("--all-orders", help="Every variant between the two, not only one way.")
    ] = False,
    add: Annotated[
        Path | None,
        typer.Option("--add", metavar="FILE", help="Write the study with them to its own file, or to a new one."),
    ] = None,
    dataset: DatasetOption = [],
    set_: SetOption = [],
    seeds: SeedsOption = "",
    device: DeviceOption = "auto",
    store: StoreOption = None,
    data_dir: DataOption = None,
    json: JsonOption = False,
) -> int:
    """Find the fewest further variants that tell the changes of one apart, with their cost; train nothing."""
    from ..commands.explain import ExplainOptions
    from ..commands.explain import explain as run
    from ..commands.over_datasets import on_first

    options = options_of(study or Path(), changes_of(set_, seeds), (), device, store, data_dir)
    options = options if study else last_study(options, "explain")
    return run(on_first(options, dataset), ExplainOptions(variant, all_orders, add, json))


@app.command("lr-find")
@exits
def lr_find(
    study: StudyFile,
    dataset: DatasetOption = [],
    set_: SetOption = [],
    only: OnlyOption = [],
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The seed to test with.")] = 0,
    low: Annotated[float | None, typer.Option(help="The lowest learning rate. [the study's, 1e-6]")] = None,
    high: Annotated[float | None, typer.Option(help="The highest. [the study's, 10]")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Steps, at most. [the study's, 100]")] = None,
    device: DeviceOption = "auto",
    out: OutOption = None,
    store: StoreOption = None,
    data_dir: DataOption = None,
    json: JsonOption = False,
) -> int:
    """Find a learning rate by a range test of each variant: curves, suggestions; train nothing."""
    from ..commands.lr_find import LrFindOptions, find_rates
    from ..commands.over_datasets import on_each, out_of

    given = {name: value for name, value in (("low", low), ("high", high), ("steps", steps)) if value is not None}
    options = options_of(study, changes_of(set_, f"{seed},"), only, device, store, data_dir)
    return on_each(
        options, dataset, lambda one: find_rates(one, LrFindOptions(given, out_of(one, out), json)), json=json
    )
