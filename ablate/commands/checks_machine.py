"""What `ablate doctor` asks of the machine: what it grants this process, and the folders of runs and data."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ..errors import AblateError
from ..training.disk import ANOTHER_FOLDER
from .checks import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GB = 1e9
FEW_FILES = 256
LITTLE_MEMORY = 2 * GB
LITTLE_SPACE, NO_SPACE = 2 * GB, 0.2 * GB
DOWNLOAD_SPACE = 1 * GB
"""What all shipped datasets take, packed and unpacked, is about this much."""

DATASETS = ("cifar10", "cifar100", "mnist", "fashion-mnist", "svhn")
ANOTHER_STORE = "name another place: --store DIR or ABLATE_STORE=DIR"


def cores_check(seen: int, granted: float | None) -> Check:
    """Compare the cores that ablate counts, by which it starts runs, with those that a container grants."""
    if granted is None:
        return Check("cores", "ok", f"{seen}, no limit set by a container")
    found = f"{seen}, and the container grants {granted:g}"
    if seen <= max(1, granted):
        return Check("cores", "ok", found)
    return Check("cores", "warning", found, f"runs would get in each other's way: give --jobs {max(1, int(granted))}")


def memory_check(total: int | None, granted: int | None) -> Check:
    """Tell how much memory there is, as far as this process may have it."""
    if total is None:
        return Check("memory", "ok", "not known on this system")
    had = min(total, granted or total)
    found = f"{total / GB:.1f} GB" + (f", of which the container grants {had / GB:.1f} GB" if had < total else "")
    if had >= LITTLE_MEMORY:
        return Check("memory", "ok", found)
    return Check("memory", "warning", found, "a run takes about 1 GB: give --jobs 1, and a small batch_size")


def total_bytes() -> int | None:
    """Return the machine's memory, or None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def threads_check(environment: Mapping[str, str], cores: float) -> Check:
    """Tell whether the environment asks for more threads than there are cores."""
    given = {name: environment[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if environment.get(name)}
    found = ", ".join(f"{name}={value}" for name, value in given.items()) or "left to ablate"
    numbers = [value.partition(",")[0].strip() for value in given.values()]  # OpenMP takes a list, one for each level
    if all(number.isdecimal() and 1 <= int(number) <= max(1, cores) for number in numbers):
        return Check("threads", "ok", found)
    remedy = f"more threads than cores slow each other down: unset it, or give at most {max(1, int(cores))}"
    return Check("threads", "warning", found, remedy)


def open_files_check(soft: int | None) -> Check:
    """Tell whether this process may open enough files; None where the system has no such limit."""
    if soft is None or soft < 0:
        return Check("open files", "ok", "no limit")
    if soft >= FEW_FILES:
        return Check("open files", "ok", f"at most {soft:,}")
    return Check("open files", "warning", f"at most {soft:,}", "ulimit -n 4096")


def open_files_limit() -> int | None:
    """Return how many files this process may have open, or None where the system has no such limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def output_check(encoding: str | None) -> Check:
    """Tell whether the output can hold every sign that ablate writes."""
    name = (encoding or "none").lower().replace("_", "-")
    if name in ("utf-8", "utf8", "utf-8-sig"):
        return Check("output", "ok", "UTF-8")
    return Check("output", "warning", f"written as {name}", "PYTHONUTF8=1 in the environment makes it UTF-8")


def store_checks(root: Path) -> Iterator[Check]:
    """Write, link and lock in the store as runs do, and clean up; a store that is not there is not made."""
    nearest = _nearest(root)
    if not nearest.is_dir():
        found = f"{nearest}: is a file" + ("" if nearest == root else f", so {root} cannot be made")
        yield Check("store", "problem", found, ANOTHER_STORE)
        return
    for folder in (nearest, root / "runs", root / "studies"):
        refused = _write_error(folder) if folder.exists() else ""
        if refused:
            yield Check("store", "problem", f"{folder}: cannot be written: {refused}", ANOTHER_STORE)
            return
    yield Check("store", "ok", f"{root}: " + ("can be written" if nearest == root else "not there yet, can be made"))
    with _scratch(nearest) as scratch:
        yield _links_check(Path(scratch))
        yield _locks_check(Path(scratch) / "lock")
    yield space_check(shutil.disk_usage(nearest).free)


def space_check(free: float) -> Check:
    """Tell whether the store has room for checkpoints and results."""
    found = f"{free / GB:,.1f} GB free"
    if free >= LITTLE_SPACE:
        return Check("store space", "ok", found)
    remedy = f"free some space, or {ANOTHER_STORE}"
    return Check("store space", "problem" if free < NO_SPACE else "warning", found, remedy)


def data_checks(folder: Path) -> Iterator[Check]:
    """Look into the data folder, and say what is in it and what would have to be downloaded."""
    nearest = _nearest(folder)
    if not nearest.is_dir():
        yield Check("data folder", "problem", f"{nearest}: is a file", ANOTHER_FOLDER)
        return
    try:
        next(nearest.iterdir(), None)
    except OSError as error:
        yield Check("data folder", "problem", f"{nearest}: cannot be read: {error.strerror}", ANOTHER_FOLDER)
        return
    refused = _write_error(nearest)
    if refused:
        found = f"{folder}: nothing can be downloaded to it: {refused}"
        yield Check("data folder", "warning", found, ANOTHER_FOLDER)
    else:
        there = "can be read and written" if nearest == folder else "not there yet, made by the first download"
        yield Check("data folder", "ok", f"{folder}: {there}")
    yield _datasets_check(folder, shutil.disk_usage(nearest).free)


def _datasets_check(folder: Path, free: float) -> Check:
    from ..components.discover import discover

    try:
        registry = discover()
        sources = {name: registry.get("dataset", name).build(folder, settings={}) for name in DATASETS}
        lacking = {name for name, source in sources.items() if source.pending()}
    except AblateError as error:  # a plugin that does not import, a file that cannot be seen
        what, _, remedy = str(error).partition("\n")
        return Check("datasets", "problem", what, remedy.strip())
    here, absent = ([n for n in DATASETS if (n in lacking) == wanted] for wanted in (False, True))
    found = f"{', '.join(here) or 'none'} here" + (
        f"; fetched when a study names it: {', '.join(absent)}" * bool(absent)
    )
    if absent and free < DOWNLOAD_SPACE:
        return Check(
            "datasets", "warning", f"{found}; {free / GB:.1f} GB free", f"free some space, or {ANOTHER_FOLDER}"
        )
    return Check("datasets", "ok", found)


def _links_check(scratch: Path) -> Check:
    made, link = scratch / "made", scratch / "link"
    made.touch()
    try:
        link.hardlink_to(made)
    except OSError as error:
        remedy = f"results are then renamed into place, which is as safe while locks work; or {ANOTHER_STORE}"
        return Check("hard links", "warning", f"not on this file system: {error.strerror or error}", remedy)
    return Check("hard links", "ok", "work")


# Exits with 3 where another process holds the lock; with the lock in its hands it is killed.
_TRY_LOCK = """
import os, sys, filelock
try:
    filelock.FileLock(sys.argv[1]).acquire(timeout=0)
except filelock.Timeout:
    sys.exit(3)
os.kill(os.getpid(), 9)
"""


def _locks_check(path: Path) -> Check:
    """Hold a lock that another process must not get, then have its owner killed, after which it must be free."""
    from filelock import FileLock, Timeout

    remedy = f"a local disk has locks; {ANOTHER_STORE}"
    try:
        with FileLock(path).acquire(timeout=0):
            kept = _try_lock(path)
        killed = _try_lock(path)
        with FileLock(path).acquire(timeout=5):
            pass
    except Timeout:
        return Check("file locks", "problem", "stay when their owner is killed", remedy)
    except (OSError, NotImplementedError, subprocess.TimeoutExpired) as error:
        return Check("file locks", "problem", f"do not work: {error}", remedy)
    if abs(kept) == 9:
        return Check("file locks", "problem", "two processes can hold one lock at a time", remedy)
    if kept != 3 or abs(killed) != 9:
        return Check("file locks", "problem", f"could not be tried: exit codes {kept} and {killed}", remedy)
    return Check("file locks", "ok", "keep a second process out, and go with a killed one")


def _try_lock(path: Path) -> int:
    command = [sys.executable, "-P", "-c", _TRY_LOCK, str(path)]
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode  # noqa: S603  # our own text


def _write_error(folder: Path) -> str:
    """Write, flush to disk and remove a file; return what the system says against it, or an empty string."""
    try:
        with _scratch(folder) as scratch, (Path(scratch) / "file").open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _scratch(folder: Path) -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix=".ablate-doctor-", dir=folder)


def _nearest(path: Path) -> Path:
    """Return the path itself or the nearest folder above it that exists."""
    return next(p for p in (path, *path.parents) if p.exists() or p == p.parent)
