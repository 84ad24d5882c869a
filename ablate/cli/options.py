"""What commands have in common: their options, and the study that they name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import paths
from ..errors import InputError
from .complete import studies, study_files, variants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..launch.executors import Asked
    from ..launch.study import Options
    from ..study.toml import Changes

StudyFile = Annotated[Path, typer.Argument(help="The study file.", show_default=False, autocompletion=study_files)]
LastStudyFile = Annotated[
    Path | None,
    typer.Argument(help="The study file. [the study run last]", show_default=False, autocompletion=study_files),
]
LastStudy = Annotated[
    str | None,
    typer.Argument(help="A study file or name. [the study run last]", show_default=False, autocompletion=studies),
]
AnyStudy = Annotated[
    str | None, typer.Argument(help="A study file or name. [all studies]", show_default=False, autocompletion=studies)
]
AnyRun = Annotated[
    str | None,
    typer.Argument(
        help="A variant, or how a run's key begins. [all runs]", show_default=False, autocompletion=variants
    ),
]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="NAME.KEY=VALUE", help="Change the study, as in baseline.epochs=2.")
]
OnlyOption = Annotated[
    list[str],
    typer.Option("--only", metavar="VARIANT", help="Only this variant; may be repeated.", autocompletion=variants),
]
SeedsOption = Annotated[str, typer.Option("--seeds", metavar="N|A,B", help="A number of seeds, or the seeds.")]
DatasetOption = Annotated[
    list[str],
    typer.Option("--dataset", metavar="NAME", help="Of a study over several datasets, only this one; may be repeated."),
]
PilotOption = Annotated[
    bool,
    typer.Option("--pilot", help="Try everything out: one seed, one epoch, 2,000 images, kept apart from results."),
]
StoreOption = Annotated[
    Path | None, typer.Option("--store", metavar="DIR", help="Where runs are kept. [ABLATE_STORE, ./ablate-store]")
]
StorageOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Where Optuna keeps trials, as postgresql://... [the store]")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Where datasets are. [ABLATE_DATA_DIR, the user's cache]"),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=0,
        metavar="N",
        help="Runs at a time; 0 for as many as fit. [one per core, at most 4; on a GPU, 1]",
    ),
]
ExecutorOption = Annotated[
    str,
    typer.Option(
        "--executor", metavar="NAME", help="Where runs are made: 'ablate components executor' lists them. [local]"
    ),
]
WithOption = Annotated[
    list[str], typer.Option("--with", metavar="NAME=VALUE", help="A setting of the executor; may be repeated.")
]
DevicesOption = Annotated[
    str, typer.Option("--devices", metavar="N,N", help="GPUs of this machine to spread runs over. [all]")
]
AddressOption = Annotated[
    str, typer.Option("--address", metavar="HOST:PORT", help="Of the cluster that the executor joins.")
]
GpusPerRunOption = Annotated[
    float | None,
    typer.Option("--gpus-per-run", min=0.0, metavar="X", help="Of each run on a cluster; a part of one is shared."),
]
SlurmOption = Annotated[
    list[str],
    typer.Option(
        "--slurm", metavar="NAME=VALUE,...", help="Settings as of --with, several at once, as time=02:00:00,mem=16G."
    ),
]
_NEXT_SETTING = re.compile(r",(?=[A-Za-z][\w.-]*=)")
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
OpenOption = Annotated[bool, typer.Option("--open", help="Show the report in the browser.")]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where to. [reports/STUDY]")]
MethodOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="How variants are compared; docs/statistics.md has the methods.")
]
MarginOption = Annotated[
    float | None,
    typer.Option(
        metavar="X", help="A difference too small to matter, in the unit of the data; of an accuracy, half a point."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def options_of(
    study: Path,
    changes: Changes,
    only: Sequence[str],
    device: str,
    store: Path | None,
    data_dir: Path | None,
) -> Options:
    """Return what was asked for of a study."""
    from ..launch.study import Options

    return Options(study, paths.store_dir(store), paths.data_dir(data_dir), changes, tuple(only), device)


def executor_of(
    name: str,
    settings: Sequence[str],
    devices: str = "",
    address: str = "",
    gpus_per_run: float | None = None,
    slurm: Sequence[str] = (),
) -> Asked:
    """Return the executor that was asked for. Raises InputError for what is no setting."""
    from ..launch.executors import LOCAL, Asked, settings_of

    given = settings_of([*settings, *(part for text in slurm for part in _NEXT_SETTING.split(text))])
    if devices:
        given["devices"] = _numbers(devices)
    if address:
        given["address"] = address
    if gpus_per_run is not None:
        given["gpus_per_run"] = gpus_per_run
    return Asked(name or LOCAL, given)


def changes_of(settings: Sequence[str] = (), seeds: str = "", pilot: bool = False) -> Changes:
    """Return what the command line changes in a study."""
    from ..study.toml import Changes

    return Changes(tuple(settings), _seeds(seeds), pilot)


def last_study(options: Options, command: str) -> Options:
    """Return options for the study run last. command: its name. Raises InputError as `launch.last.again`."""
    from ..console.text import note
    from ..launch.last import again

    return again(options, f"ablate {command}", note)


def _numbers(text: str) -> list[int]:
    """Read `0,2` as these numbers of GPUs."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"--devices {text}: is not a list of GPUs by their numbers, as in --devices 0,2")
    return [int(part) for part in parts]


def _seeds(text: str) -> tuple[int, ...] | None:
    """Read `5` as seeds 0 to 4, and `0,3` as these two."""
    from ..study.seeds import MAX_SEEDS

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
