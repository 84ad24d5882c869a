"""The command line: each command parses and calls one function."""

from __future__ import annotations

import functools
import io
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from .errors import AblateError, InputError, TerminatedError, printable

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    name="ablate",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
new = typer.Typer(no_args_is_help=True, help="Write a commented file to start from, that runs as it is.")
app.add_typer(new, name="new")
care = typer.Typer(no_args_is_help=True, help="Look after the store: verify what it keeps, make room in it.")
app.add_typer(care, name="store")


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


StudyFile = Annotated[Path, typer.Argument(help="The study file.", show_default=False)]
LastStudyFile = Annotated[Path | None, typer.Argument(help="The study file. [the study run last]", show_default=False)]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="NAME.KEY=VALUE", help="Change the study, as in baseline.epochs=2.")
]
OnlyOption = Annotated[list[str], typer.Option("--only", metavar="VARIANT", help="Only this variant; may be repeated.")]
SeedsOption = Annotated[str, typer.Option("--seeds", metavar="N|A,B", help="A number of seeds, or the seeds.")]
PilotOption = Annotated[
    bool,
    typer.Option("--pilot", help="Try everything out: one seed, one epoch, 2,000 images, kept apart from results."),
]
StoreOption = Annotated[
    Path | None, typer.Option("--store", metavar="DIR", help="Where runs are kept. [ABLATE_STORE, ./ablate-store]")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Where datasets are. [ABLATE_DATA_DIR, the user's cache]"),
]
JobsOption = Annotated[
    int, typer.Option("--jobs", "-j", min=0, metavar="N", help="Runs at a time; 0 for as many as fit this machine.")
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def _command(function: Callable[..., int]) -> Callable[..., None]:
    """Turn a command's return value and errors into an exit code and a message."""

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> None:
        try:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, _terminate)
            code = function(*args, **kwargs)
        except AblateError as error:
            _stop(f"error: {error}", error.exit_code)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                # The reader of our output (head, a pager) is gone; Python would complain again at its exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise typer.Exit(141) from None
            place = f"{error.filename}: " if error.filename else ""
            _stop(f"error: {place}{error.strerror or error}", 1)
        except RuntimeError as error:
            if "Symlink loop" not in str(error):  # what Python 3.11 and 3.12 raise of a path
                raise
            _stop(f"error: {error}", 1)
        except KeyboardInterrupt as error:
            number = signal.SIGTERM if isinstance(error, TerminatedError) else signal.SIGINT
            goes_on = function.__name__ in ("run", "tune")
            more = "; what is finished is stored, and the same command goes on" if goes_on else ""
            _stop(f"\nstopped{more}", 128 + number)
        except typer.Abort:  # Ctrl-C at a question
            _stop("\nstopped", 128 + signal.SIGINT)
        raise typer.Exit(code)

    return command


def _terminate(number: int, frame: object) -> NoReturn:  # noqa: ARG001  # the form of a handler
    raise TerminatedError


def _stop(message: str, code: int) -> NoReturn:
    sys.stderr.write(printable(message, keep="\n") + "\n")
    raise typer.Exit(code)


@app.command()
@_command
def run(
    study: StudyFile,
    set_: SetOption = [],  # typer copies it
    only: OnlyOption = [],
    seeds: SeedsOption = "",
    pilot: PilotOption = False,
    jobs: JobsOption = 0,
    device: DeviceOption = "auto",
    tuned: Annotated[
        bool, typer.Option("--tuned", help="Also each variant with the best settings that 'ablate tune' found.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try runs again that failed before.")] = False,
    store: StoreOption = None,
    data_dir: DataOption = None,
    json: JsonOption = False,
) -> int:
    """Train every run of a study that is not stored yet, and summarise them."""
    from .commands.run import RunOptions, run_study

    how = RunOptions(jobs, retry_failed, json)
    options = replace(_options(study, set_, only, seeds, pilot, store, data_dir), device=device)
    if tuned:
        from .commands.tune import with_tuned

        options = with_tuned(options)
    return run_study(options, how)


@app.command()
@_command
def tune(
    study: Annotated[
        Path | None, typer.Argument(help="The study file. [the study run last]", show_default=False)
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="In total for each variant. [the study's, or 50]")
    ] = None,
    objective: Annotated[
        list[str],
        typer.Option(
            metavar="NAME", help="accuracy, loss, seconds, parameters or flops; several give the best trade-offs."
        ),
    ] = [],  # typer copies it
    storage: Annotated[
        str, typer.Option(metavar="URL", help="Where Optuna keeps trials, as postgresql://... [the store]")
    ] = "",
    set_: SetOption = [],
    only: OnlyOption = [],
    jobs: JobsOption = 0,
    device: DeviceOption = "auto",
    store: StoreOption = None,
    data_dir: DataOption = None,
    json: JsonOption = False,
) -> int:
    """Look for the best settings of every variant, with the same chance for each."""
    from .commands.tune import TuneOptions, last_study, tune_study
    from .paths import store_dir

    how = TuneOptions(trials, tuple(objective), storage, jobs, json)
    if study is None:
        study, set_ = last_study(store_dir(store), set_)
    return tune_study(replace(_options(study, set_, only, "", False, store, data_dir), device=device), how)


@app.command()
@_command
def dashboard(
    store: StoreOption = None,
    storage: Annotated[
        str, typer.Option(metavar="URL", help="Where Optuna keeps trials, as postgresql://... [the store]")
    ] = "",
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="Where to listen.")] = 8080,
    host: Annotated[
        str, typer.Option(metavar="NAME", help="At which address; it asks nobody for a password.")
    ] = "127.0.0.1",
) -> int:
    """Look at trials in a browser, with Optuna's dashboard (pip install optuna-dashboard)."""
    from .commands.dashboard import DashboardOptions, show_dashboard
    from .paths import store_dir

    return show_dashboard(DashboardOptions(store_dir(store), storage, host, port))


@app.command()
@_command
def plan(
    study: StudyFile,
    set_: SetOption = [],
    only: OnlyOption = [],
    seeds: SeedsOption = "",
    pilot: PilotOption = False,
    jobs: JobsOption = 0,
    store: StoreOption = None,
    data_dir: DataOption = None,
    json: JsonOption = False,
) -> int:
    """Show what would run, what is stored and how long it would take; train nothing."""
    from .commands.plan import show_plan

    return show_plan(_options(study, set_, only, seeds, pilot, store, data_dir), jobs, json)


@app.command()
@_command
def report(
    study: Annotated[
        str | None, typer.Argument(help="A study file or name. [the study run last]", show_default=False)
    ] = None,
    formats: Annotated[str, typer.Option("--format", metavar="A,B", help="Any of html, md, tex and csv.")] = "html,md",
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to. [reports/STUDY]")] = None,
    pilot: Annotated[bool, typer.Option("--pilot", help="Report the pilot.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Write the comparison table and the figures of a study."""
    from .commands.report import ReportOptions, write_report
    from .paths import store_dir

    kinds = [part.strip() for part in formats.split(",") if part.strip()]
    return write_report(ReportOptions(study, store_dir(store), kinds, out, True if pilot else None, json))


@app.command()
@_command
def status(
    study: Annotated[str | None, typer.Argument(help="A study file or name. [all studies]", show_default=False)] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Show the studies in a store, or the runs of one: done, failed, missing."""
    from .commands.status import show_status
    from .paths import store_dir

    return show_status(store_dir(store), study, json)


@app.command()
@_command
def components(
    kind: Annotated[str | None, typer.Argument(help="dataset, model, augmentation, optimizer or scheduler.")] = None,
    name: Annotated[str | None, typer.Argument(help="One component, or PREFIX: for a library.")] = None,
    json: JsonOption = False,
) -> int:
    """Show what a study can name: summaries, settings with types and defaults, source files."""
    from .commands.components import show_components

    return show_components(kind, name, json)


@app.command()
@_command
def doctor(store: StoreOption = None, data_dir: DataOption = None, json: JsonOption = False) -> int:
    """Check installation, machine, store and data folder; say what is wrong and what helps."""
    from . import paths
    from .commands.doctor import examine

    return examine(paths.store_dir(store), paths.data_dir(data_dir), json)


@new.command("study")
@_command
def new_study(name: Annotated[str, typer.Argument(help="The study's name.", show_default=False)]) -> int:
    """Write studies/NAME.toml."""
    from .commands.new import new_study as write

    return write(name)


@new.command("component")
@_command
def new_component(
    name: Annotated[str, typer.Argument(help="The component's name.", show_default=False)],
    kind: Annotated[str, typer.Option(help="dataset, model, augmentation, optimizer or scheduler.")] = "augmentation",
) -> int:
    """Write plugins/NAME.py."""
    from .commands.new import new_component as write

    return write(kind, name)


@care.command("check")
@_command
def check_store(
    mend: Annotated[
        bool, typer.Option("--mend", help="Move damaged files aside, so that 'ablate run' makes their runs again.")
    ] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Verify every file of every run; exit 0 where all is sound."""
    from .commands.store import check
    from .paths import store_dir

    return check(store_dir(store), mend, json)


@care.command("clean")
@_command
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
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Remove what the store can do without, after saying what and how much; all but --unused where none is chosen."""
    from .commands.store import CleanOptions, clean
    from .paths import store_dir
    from .store.clean import KINDS

    asked = {"failed": failed, "leftovers": leftovers, "checkpoints": checkpoints, "unused": unused}
    asked["kept"] = checkpoints
    kinds = [kind for kind in KINDS if asked[kind]]
    someone = sys.stdin.isatty() and sys.stdout.isatty()
    ask = functools.partial(typer.confirm, err=True) if someone else None
    return clean(CleanOptions(store_dir(store), kinds, yes, dry_run, json), ask)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not every terminal can write every sign
            stream.reconfigure(errors="replace")
    app()


def _options(
    study: Path,
    settings: list[str],
    only: list[str],
    seeds: str,
    pilot: bool,
    store: Path | None,
    data_dir: Path | None,
) -> Any:
    from . import paths
    from .commands.prepare import Options
    from .study.toml import Changes

    changes = Changes(tuple(settings), _seeds(seeds), pilot)
    return Options(study, paths.store_dir(store), paths.data_dir(data_dir), changes, tuple(only))


def _seeds(text: str) -> tuple[int, ...] | None:
    """Read `5` as seeds 0 to 4, and `0,3` as these two."""
    from .study.toml import MAX_SEEDS

    if not text:
        return None
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        numbers = []
    if "," not in text and numbers and numbers[0] > MAX_SEEDS:
        raise InputError(f"--seeds {text}: is more than {MAX_SEEDS:,} seeds; for that one seed, write --seeds {text},")
    if not numbers or min(numbers) < 0 or len(set(numbers)) != len(numbers) or ("," not in text and numbers[0] == 0):
        raise InputError(
            f"--seeds {text}: is neither a number of seeds nor a list of different seeds\n"
            "  as in --seeds 5 or --seeds 0,3"
        )
    return tuple(numbers) if "," in text else tuple(range(numbers[0]))
