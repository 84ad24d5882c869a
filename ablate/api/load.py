"""A study loaded from Python: from its file, or from a dict of the same form."""

from __future__ import annotations

import contextlib
import itertools
import operator
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .. import paths
from ..components.import_hook import isolated_imports
from ..data.progress import silence
from ..errors import InputError
from ..launch.study import LoadedStudy, Options, open_study
from ..store.store import Store
from ..store.studies import list_studies
from ..study.positions import MAX_DEPTH
from ..study.seeds import MAX_SEEDS
from ..study.tables import dotted
from ..study.toml import Changes, parse_study, read_study
from ..training.machine import check_device

if TYPE_CHECKING:
    from ..study.spec import Place

StudySource = str | os.PathLike[str] | Mapping[str, Any]
"""A study file's path, or a dict of the same form."""
LARGEST = 2**63 - 1
"""The largest whole number that TOML has."""
_LOCK = threading.RLock()


def load_study(  # noqa: PLR0913  # the form of a call in a notebook
    study: StudySource,
    *,
    settings: Sequence[str] | Mapping[str, Any] = (),
    seeds: int | Sequence[int] | None = None,
    pilot: bool = False,
    only: Sequence[str] = (),
    store: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    device: str = "auto",
    dataset: str = "",
) -> LoadedStudy:
    """Read and check a study; train nothing, and write nothing to the store.

    study: the path of its file, or a dict of the same form, as `{"study": {"name": "mine"}, "baseline": {...},
    "variant": [...]}`. Paths in a dict are relative to the working folder; it is stored under its name.
    settings: changes of the study, as `{"baseline.epochs": 2}`, or as `--set` takes them: `["baseline.epochs=2"]`.
    seeds: a number of seeds, or the seeds themselves, in place of the study's.
    pilot: a trial run of every variant: one seed, one epoch, at most 2,000 images, kept apart from results.
    only: names of the variants to run; empty for all.
    store: the folder that keeps runs; ABLATE_STORE or ./ablate-store where it is None.
    data_dir: the folder that holds datasets; ABLATE_DATA_DIR or the user's cache where it is None.
    device: "auto", "cpu", "cuda", "cuda:N" or "mps"; it decides what precision "auto" stands for.
    dataset: of a study over several datasets, the one to load; `load_datasets` loads all.

    Raises AblateError: with all problems of the study at once, for a component that cannot be imported, or data that
    is not there.
    """
    check_device(device)
    if not isinstance(study, (str, os.PathLike, Mapping)):
        raise InputError(
            f"{shortened(study)}: is no study\n  accepts the path of a study file, or a dict of the same form"
        )
    place = paths.store_dir(folder(store, "store"))
    changes = Changes(_settings(settings), _seeds(seeds), pilot, dataset=dataset)
    if isinstance(study, str) and not Path(study).exists() and _is_stored(study, place):
        raise InputError(
            f"{study}: no such file; {paths.shown(place)} has a study of this name\n"
            f"  for its results: ablate.results({study!r}); to load it, name its .toml file"
        )
    text = _toml(study) if isinstance(study, Mapping) else None
    options = Options(
        Path.cwd() if isinstance(study, Mapping) else Path(study).absolute(),  # the working folder may change
        place,
        paths.data_dir(folder(data_dir, "data_dir")),
        changes,
        (only,) if isinstance(only, str) else tuple(only),
        device,
        text,
    )
    with alone(), silence():
        return open_study(options)


def load_datasets(study: StudySource, **how: Any) -> dict[str, LoadedStudy]:
    """Read and check a study over several datasets; return the ordinary study on each, by the dataset's name.

    study, how: as of `load_study`, except `dataset`. Raises AblateError as it does, also for a study that has no list
    of datasets.
    """
    if isinstance(study, Mapping):
        reading = parse_study(_toml(study), Path.cwd(), _changes_of(how), has_file=False)
    else:
        reading = read_study(Path(study), _changes_of(how))
    if not reading.datasets:
        reading.done()
        raise InputError(f"{reading.source}: has no list of datasets; ablate.load_study loads it")
    return {name: load_study(study, **how, dataset=name) for name in reading.datasets}


def _changes_of(how: Mapping[str, Any]) -> Changes:
    return Changes(_settings(how.get("settings", ())), _seeds(how.get("seeds")), bool(how.get("pilot")))


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Isolate the imports of this thread; others that want the same wait, since modules belong to the process."""
    with _LOCK, isolated_imports():
        yield


def folder(given: object, name: str) -> Path | None:
    """Return a folder given as an argument of this name, None for none. Raises InputError for anything but a path."""
    if given is None:
        return None
    if isinstance(given, (str, os.PathLike)) and isinstance(path := os.fspath(given), str) and "\0" not in path:
        return Path(path)
    raise InputError(f"{name}={shortened(given)}: is not the path of a folder")


def loaded_study(study: LoadedStudy | StudySource) -> LoadedStudy:
    """Return a loaded study as it is, and load any other."""
    return study if isinstance(study, LoadedStudy) else load_study(study)


def _is_stored(name: str, store: Path) -> bool:
    homes = (Store(store), Store(store).pilot)
    return any(record.name == name for home in homes for record in list_studies(home))


def _settings(settings: Sequence[str] | Mapping[str, Any]) -> tuple[str, ...]:
    """Return changes as `--set` takes them."""
    if isinstance(settings, Mapping):
        return tuple(f"{name}={_inline(_plain(value, (str(name),)))}" for name, value in settings.items())
    return (settings,) if isinstance(settings, str) else tuple(settings)


def _inline(value: Any) -> str:
    """Return a plain value as TOML on one line."""
    import tomli_w

    if isinstance(value, dict):  # a key is quoted as a text is
        return "{" + ", ".join(f"{_inline(key)} = {_inline(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").strip()


def _seeds(seeds: int | Sequence[int] | None) -> tuple[int, ...] | None:
    if seeds is None:
        return None
    count, wanted = whole(seeds), tuple[int | None, ...]()
    if count is not None and count > MAX_SEEDS:
        raise InputError(
            f"seeds={shortened(seeds)}: is more than {MAX_SEEDS:,} seeds; for one seed, write a list of it"
        )
    with contextlib.suppress(TypeError):  # it cannot be iterated
        listed = range(count) if count is not None else itertools.islice(cast("Sequence[int]", seeds), MAX_SEEDS + 1)
        wanted = tuple(map(whole, listed))
    known = tuple(seed for seed in wanted if seed is not None and 0 <= seed <= LARGEST)
    if not wanted or len(set(known)) < len(wanted):
        raise InputError(f"seeds={shortened(seeds)}: is neither a number of seeds nor a list of different seeds")
    if len(wanted) > MAX_SEEDS:
        raise InputError(f"seeds: are more than {MAX_SEEDS:,} seeds")
    return known


def whole(value: Any) -> int | None:
    """Return a whole number, numpy's too; None for anything else, truth values among them."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def shortened(value: Any) -> str:
    """Return a value as Python writes it, not too long for a message."""
    try:
        return f"{value!r:.80}"
    except ValueError:  # Python writes no number of thousands of digits
        return "a number of thousands of digits"


def _toml(study: Mapping[str, Any]) -> str:
    """Return a dict as the text of a study file."""
    import tomli_w

    return tomli_w.dumps(_plain(study, ()))


def _plain(value: Any, place: Place) -> Any:
    """Return a value as TOML has it. Raises InputError for what it does not have."""
    if len(place) > MAX_DEPTH:
        raise InputError(f"the study: nested too deeply for a study (at most {MAX_DEPTH} levels), or within itself")
    if isinstance(value, Mapping):
        if odd := [key for key in value if not isinstance(key, str)]:
            raise InputError(f"the study: {dotted(place)}: {shortened(odd[0])} is not a string, so it cannot be a key")
        return {key: _plain(part, (*place, key)) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part, (*place, index)) for index, part in enumerate(value)]
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # one of numpy's numbers
        value = value.item()
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        raise InputError(f"the study: {dotted(place)}: {shortened(value)} is too large for a whole number of a study")
    if isinstance(value, (str, bool, int, float)):
        return value
    leave = "; leave the key out" if value is None else ""
    raise InputError(f"the study: {dotted(place)}: a {type(value).__name__} cannot be part of a study{leave}")
