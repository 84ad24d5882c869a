"""Commands that read results: report, verdict, compare, status, dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..paths import store_dir
from .complete import studies, variants
from .exits import exits
from .options import (
    AnyRun,
    AnyStudy,
    DatasetOption,
    JsonOption,
    LastStudy,
    MarginOption,
    MethodOption,
    OpenOption,
    OutOption,
    StorageOption,
    StoreOption,
)

app = typer.Typer()


@app.command()
@exits
def report(
    study: LastStudy = None,
    other: Annotated[
        str | None,
        typer.Argument(
            help="Another one, to set beside it; both may be stores.", show_default=False, autocompletion=studies
        ),
    ] = None,
    dataset: DatasetOption = [],
    formats: Annotated[
        str | None,
        typer.Option("--format", metavar="A,B", help="Any of html, md, tex, json, csv; else html,md or --template."),
    ] = None,
    templates: Annotated[
        list[Path],
        typer.Option("--template", metavar="FILE", help="A form of your own, such as my.md.jinja; as often as wanted."),
    ] = [],
    out: OutOption = None,
    pilot: Annotated[bool, typer.Option("--pilot", help="Report the pilot.")] = False,
    method: MethodOption = None,
    open_: OpenOption = False,
    no_images: Annotated[bool, typer.Option("--no-images", help="Show no images of the data.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Write it again whenever a run has ended, until all have.")
    ] = False,
    figures: Annotated[
        Path | None, typer.Option("--figures", metavar="DIR", help="Also write each figure there as SVG, PDF and PNG.")
    ] = None,
    style: Annotated[str, typer.Option("--style", help="Of these: paper, slide or web.")] = "paper",
    of: Annotated[str | None, typer.Option("--study", metavar="NAME", help="Of two stores, which study.")] = None,
    beside_runs: Annotated[bool, typer.Option("--beside-runs", hidden=True)] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Write the report of a study: its answer, its table and its figures; of two, set them side by side.

    STUDY may be a report.json, which every other form but csv is made from, without the store.
    """
    from ..commands.over_report import report_meant
    from ..commands.report import ReportOptions
    from ..errors import InputError

    if formats is None:
        formats = "" if templates else "html,md"
    kinds = [part.strip() for part in formats.split(",") if part.strip()]
    pilots = True if pilot else None
    if study is not None and other is not None:
        if pilot or watch or templates or figures:
            raise InputError("--pilot, --watch, --template and --figures are for one study")
        if dataset:
            raise InputError(
                "--dataset is for one study; a dataset of a study over several has a name, as NAME-DATASET"
            )
        from ..api.compare import Asked
        from ..commands.report_sides import SidesOptions, report_sides

        sources = (Path(study), Path(other))
        asked = Asked(method=method)
        return report_sides(SidesOptions(sources, store_dir(store), of, kinds, out, asked, json, open_))
    if of is not None:
        raise InputError("--study is for two stores; name the study itself: ablate report STUDY")
    options = ReportOptions(
        study,
        store_dir(store),
        kinds,
        out,
        pilots,
        json,
        method,
        open_,
        templates,
        not no_images,
        figures,
        style,
        dataset,
    )
    if watch and options.file:
        raise InputError(f"{study}: --watch waits for runs: it takes a store, and a study's name")
    if watch:
        from ..commands.report_watch import watch_report

        return watch_report(options, beside_runs)
    return report_meant(options)


@app.command()
@exits
def verdict(
    study: LastStudy = None,
    dataset: DatasetOption = [],
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="VARIANT", help="Compare all others with this one, not as the study does.", autocompletion=variants
        ),
    ] = None,
    metric: Annotated[str | None, typer.Option(metavar="NAME", help="Compare on this one, not on the study's.")] = None,
    margin: MarginOption = None,
    method: MethodOption = None,
    pilot: Annotated[bool, typer.Option("--pilot", help="Of the pilot.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Say of each comparison of a study whether the change helped, by how much, and whether that is real."""
    from ..commands.over_report import verdicts_meant
    from ..commands.verdict import Otherwise, VerdictOptions

    otherwise = Otherwise(method, margin, metric, reference)
    return verdicts_meant(VerdictOptions(study, store_dir(store), otherwise, True if pilot else None, json, dataset))


@app.command()
@exits
def compare(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="CSV, TSV or JSON lines, - for standard input; or two stores or studies.",
            show_default=False,
        ),
    ],
    variant: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Which column says what a run is of; else the only one of text."),
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Which column has its seed; else one called seed, else runs are not paired."
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Which column has its result; else the only other one of numbers."),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="VARIANT",
            help="What the others are compared with; else one called baseline or alike, else the first.",
        ),
    ] = None,
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="Less of the metric is better; else by its name.")
    ] = False,
    higher_is_better: Annotated[
        bool, typer.Option("--higher-is-better", help="More of the metric is better; else by its name.")
    ] = False,
    margin: MarginOption = None,
    method: MethodOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write a report there.")] = None,
    study: Annotated[str | None, typer.Option(metavar="NAME", help="Of two stores, which study.")] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Compare runs made elsewhere: which variant helped, by how much, and is it real?"""
    from ..api.compare import Asked
    from ..api.run_values import Columns
    from ..commands.compare import CompareOptions, compare_runs
    from ..errors import InputError

    if lower_is_better and higher_is_better:
        raise InputError("--lower-is-better and --higher-is-better: only one of them can be meant")
    lower = lower_is_better if lower_is_better or higher_is_better else None
    asked = Asked(Columns(variant, seed, metric), reference, margin, method, lower)
    return compare_runs(CompareOptions(sources, asked, store_dir(store), study, out, json))


@app.command()
@exits
def status(
    study: AnyStudy = None,
    run: AnyRun = None,
    dataset: DatasetOption = [],
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Show the studies in a store, the runs and results of one, or one run: how it stands, why it failed."""
    from ..commands.status import show_status

    return show_status(store_dir(store), study, run, json, dataset)


@app.command()
@exits
def dashboard(
    store: StoreOption = None,
    storage: StorageOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="Where to listen.")] = 8080,
    host: Annotated[
        str, typer.Option(metavar="NAME", help="At which address; it asks nobody for a password.")
    ] = "127.0.0.1",
) -> int:
    """Look at trials in a browser, with Optuna's dashboard (pip install optuna-dashboard)."""
    from ..commands.dashboard import DashboardOptions, show_dashboard

    return show_dashboard(DashboardOptions(store_dir(store), storage, host, port))
