"""The command line: each command parses and calls one function.

studies   run, tune, plan, explain, lr-find
results   report, verdict, compare, status, dashboard
help      components, doctor, new
store     store check, store clean
options   what commands have in common: options, and studies as they are named
complete  what a shell completes
exits     errors and signals as messages and exit codes
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .. import stdio
from . import help as help_
from . import results, store, studies
from .exits import refused

app = typer.Typer(name="ablate", no_args_is_help=True, pretty_exceptions_enable=False)
for commands in (studies.app, results.app, help_.app):
    app.add_typer(commands)
app.add_typer(help_.components, name="components")
app.add_typer(help_.new, name="new")
app.add_typer(store.app, name="store")


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        sys.stdout.write(f"ablate {version('ablate-studies')}\n")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Ablation studies for image classification: which change helped, by how much, and is it real?"""


def main() -> None:
    """Run the command line."""
    stdio.prepare()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except OSError as error:  # what typer itself writes, as --help
        message, code = refused(OSError(error.errno, error.strerror, "standard output"))
        sys.stderr.write(message + "\n" * bool(message))
        sys.exit(code)
