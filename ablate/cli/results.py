"""Commands that read what is stored: report, status, dashboard."""

from __future__ import annotations

from typing import Annotated

import typer

from ..paths import store_dir
from .exits import exits
from .options import AnyRun, AnyStudy, JsonOption, LastStudy, OutOption, StorageOption, StoreOption

app = typer.Typer()


@app.command()
@exits
def report(
    study: LastStudy = None,
    formats: Annotated[str, typer.Option("--format", metavar="A,B", help="Any of html, md, tex and csv.")] = "html,md",
    out: OutOption = None,
    pilot: Annotated[bool, typer.Option("--pilot", help="Report the pilot.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Write the comparison table and the figures of a study."""
    from ..commands.report import ReportOptions, write_report

    kinds = [part.strip() for part in formats.split(",") if part.strip()]
    return write_report(ReportOptions(study, store_dir(store), kinds, out, True if pilot else None, json))


@app.command()
@exits
def status(
    study: AnyStudy = None,
    run: AnyRun = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Show the studies in a store, the runs and results of one, or one run: how it stands, why it failed."""
    from ..commands.status import show_status

    return show_status(store_dir(store), study, run, json)


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
