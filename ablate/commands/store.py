"""`ablate store`: whether what is stored is sound, and making room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..console import text
from ..errors import InputError, printable
from ..paths import shown
from ..store.care import check_store, mend, run_folders
from ..store.clean import KINDS, Cleaner, Kind, Waste
from ..store.store import Store
from ..training.progress import Progress, megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ..store.care import Fault

_WHAT: dict[Kind, str] = {
    "failed": "failed runs",
    "unused": "finished runs that no study names",
    "checkpoints": "checkpoints of runs that have ended",
    "leftovers": "leftovers",
}


@dataclass(frozen=True)
class CleanOptions:
    """What to remove: kinds (none for all but unused runs), whether it was agreed to before, or is only to be told."""

    store: Path
    kinds: Sequence[Kind] = ()
    yes: bool = False
    dry_run: bool = False
    json: bool = False


def check(store_dir: Path, mending: bool = False, as_json: bool = False) -> int:
    """Print what is wrong in a store, mend it if asked, and return the exit code: 0 where it is sound (now)."""
    store = _existing(store_dir)
    count = len(run_folders(store))
    with _progress("checking runs", count) as progress:
        faults = check_store(store, progress.to)
    moved = mend(faults) if mending else {}
    left = [fault for fault in faults if fault.harm != "again" or not moved.get(fault.place.parent)]
    if as_json:
        asides = [{"run": _place(k), "to": _place(v) if v else None} for k, v in moved.items()]
        found = [{**vars(fault), "place": _place(fault.place), "mended": fault not in left} for fault in faults]
        text.say_json({"store": _place(store.root), "runs": count, "faults": found, "moved": asides})
        return 1 if left else 0
    for fault in faults:
        text.say(_line(fault, moved))
    text.say(f"{_place(store.root)}: {_counted(count, 'run')}, {_counted(len(faults), 'fault')}{_mended(faults, left)}")
    if len(left) < len(faults):
        text.note("what was moved aside is in 'damaged' in the store; 'ablate run' makes these runs again")
    return 1 if left else 0


def clean(options: CleanOptions, ask: Callable[[str], bool] | None = None) -> int:
    """Remove what a store can do without, after saying what and how much, and return the exit code.

    ask: puts a question to the person at the terminal; None where there is nobody to ask.
    """
    store = _existing(options.store)
    if not (options.yes or options.dry_run or ask):
        raise InputError(
            "nobody can be asked here whether to remove anything, as this is no terminal\n"
            "  --yes removes without asking; --dry-run tells what would be removed"
        )
    cleaner = Cleaner(store, options.kinds or [kind for kind in KINDS if kind != "unused"])
    with _progress("looking at runs", len(run_folders(store))) as progress:
        found = cleaner.find(progress.to)
    if not options.json:
        text.say(_table(found) if found else f"{_place(store.root)}: nothing to remove")
    gone: list[Waste] = []
    passed = 0
    agreed = bool(found) and not options.dry_run and (options.yes or (ask is not None and ask("remove all this?")))
    if agreed:
        with _progress("cleaning runs", len({waste.folder for waste in found})) as progress:
            gone, passed = cleaner.remove(found, progress.to)
    if options.json:
        sums = {"found": _sums(found), "removed": _sums(gone), "held": passed}
        text.say_json({"store": _place(store.root), "dry_run": options.dry_run, **sums})
    elif agreed:
        text.note(f"removed {_counted(len(gone), 'file')}, {megabytes(sum(waste.bytes for waste in gone))}")
    elif found:
        text.note("nothing was removed")
    if passed:
        text.note(f"{_counted(passed, 'run')} left alone: another process is making {'it' if passed == 1 else 'them'}")
    return 0 if agreed or options.dry_run or not found else 1


def _existing(store_dir: Path) -> Store:
    if not store_dir.is_dir():
        raise InputError(f"{_place(store_dir)}: there is no store here\n  --store DIR or ABLATE_STORE names another")
    return Store(store_dir)


def _line(fault: Fault, moved: dict[Path, Path | None]) -> str:
    folder = fault.place.parent
    remedy = fault.remedy
    if folder in moved and fault.harm == "again":
        aside = moved[folder]
        remedy = f"moved to {_place(aside)}" if aside else "left alone: another process is making the run"
    return f"{fault.harm:<8}  {_place(fault.place)}: {fault.what}\n          {remedy}"


def _mended(faults: Sequence[Fault], left: Sequence[Fault]) -> str:
    return f", {len(faults) - len(left)} mended" if len(left) < len(faults) else ""


def _table(found: Sequence[Waste]) -> str:
    rows = [
        [_WHAT[kind], f"{sums['runs']:,}", f"{sums['files']:,}", megabytes(sums["bytes"])]
        for kind, sums in _sums(found).items()
    ]
    return text.table(["what", "runs", "files", "size"], rows, right=(1, 2, 3))


def _sums(wastes: Sequence[Waste]) -> dict[Kind, dict[str, int]]:
    """Return of each kind the number of runs and files, and the bytes."""
    sums: dict[Kind, dict[str, int]] = {}
    for kind in KINDS:
        mine = [waste for waste in wastes if waste.kind == kind]
        if mine:
            runs = {waste.folder for waste in mine if waste.folder}
            sums[kind] = {"runs": len(runs), "files": len(mine), "bytes": sum(waste.bytes for waste in mine)}
    return sums


def _progress(what: str, total: int) -> Progress:
    return Progress(what, total, lambda done: f"{done:,}")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _place(path: Path) -> str:
    """Return a path as a person would type it; what a terminal would obey, or cannot write, is escaped."""
    # Only the folder is resolved: the path itself may be a link that leads out of the store.
    told = shown(path.parent / "x").removesuffix("x") + path.name
    return printable(told)
