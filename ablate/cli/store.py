"""Commands that look after the store: check, clean."""

from __future__ import annotations

import functools
import sys
from typing import Annotated

import typer

from ..paths import store_dir
from .exits import exits
from .options import JsonOption, StoreOption

app = typer.Typer(no_args_is_help=True, help="Look after the store: verify what it keeps, make room in it.")


@app.command("check")
@exits
def check_store(
    mend: Annotated[
        bool, typer.Option("--mend", help="Move damaged files aside, so that 'ablate run' makes their runs again.")
    ] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Verify every file of every run; exit 0 where all is sound."""
    from ..commands.store import check

    return check(store_dir(store), mend, json)


@app.command("clean")
@exits
def clean_store(
    failed: Annotated[bool, typer.Option("--failed", help="Remove failed runs.")] = False,
    leftovers: Annotated[
        bool, typer.Option("--leftovers", help="Remove temporary and damaged files, idle locks, empty folders.")
    ] = False,
    checkpoints: Annotated[
        bool,
        typer.Option(
            "--checkpoints",
            help="Remove the checkpoints of finished and of failed runs, also those that a study keeps.",
        ),
    ] = False,
    unused: Annotated[
        bool, typer.Option("--unused", help="Remove finished runs that no study names; only where asked for.")
    ] = False,
    predictions: Annotated[
        bool,
        typer.Option(
            "--predictions",
            help="Remove what finished runs predicted, which metrics named later need; only where asked for.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Remove what the store can do without, after saying what and how much.

    Where nothing is chosen: all but --unused and --predictions.
    """
    from ..commands.store import CleanOptions, clean
    from ..console.text import output
    from ..store.clean import WASTE_KINDS

    asked = {"failed": failed, "leftovers": leftovers, "checkpoints": checkpoints, "unused": unused}
    asked |= {"kept": checkpoints, "predictions": predictions}
    kinds = [kind for kind in WASTE_KINDS if asked[kind]]
    someone = sys.stdin.isatty() and output().isatty()
    ask = functools.partial(typer.confirm, err=True) if someone else None
    return clean(CleanOptions(store_dir(store), kinds, yes, dry_run, json), ask)
