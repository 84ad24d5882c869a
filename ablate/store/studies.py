"""What was run under a study's name: its text, the command line's changes, and the key of each run.

The record lets `report`, `status` and `ablate tune` find a study's runs again without loading a single
plugin, and lets `plan` say what changed since. Runs are found by what the file says of a variant (the
digest of its written recipe), so that a new title or note, or a renamed variant, loses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ..errors import InputError, did_you_mean, listing
from ..paths import shown
from ..study.spec import NUMBERS, Choice, Recipe, Splits
from ..study.tables import SetTable
from ..study.toml import Changes, Reading, parse_study, read_text
from .files import Document, read_document, store_errors, write_document

if TYPE_CHECKING:
    from ..study.spec import RunSpec, Study
    from .store import Store


_KEY = re.compile(r"[\w-]{1,64}")
# What a document raises that is read as one and whose parts are not what was written.
_DAMAGE = (AttributeError, KeyError, OverflowError, TypeError, ValueError, RuntimeError, OSError)


@dataclass(frozen=True)
class Row:
    """One run of a study: the variant's name and written recipe when it was planned, the seed, and the key."""

    variant: str
    digest: str
    seed: int
    key: str


@dataclass(frozen=True)
class StudyRecord:
    """A study as it was run last.

    rows holds every run ever planned under this name, the latest last; recipes the settled recipe (every setting
    filled in, splits counted) of each written one, by digest.
    """

    name: str
    path: Path
    text: str
    changes: Changes
    time: str = ""
    rows: tuple[Row, ...] = field(default=())
    recipes: Mapping[str, Document] = field(default_factory=dict)

    def reading(self) -> Reading:
        """Read the study anew: from its file if that is still there, else as it was; nothing is checked further."""
        try:
            text = read_text(self.path)
        except InputError:
            text = self.text
        return parse_study(text, self.path, self.changes)

    def as_run(self) -> Reading:
        """Read the study as it was when it was run last."""
        return parse_study(self.text, self.path, self.changes)

    def settled(self, study: Study) -> Study:
        """Return a read study with the recipes that its runs were planned with, where there are any."""
        variants = []
        for variant in study.variants:
            known = self.recipes.get(written_digest(variant.recipe))
            with contextlib.suppress(*_DAMAGE):  # then as written
                variant = replace(variant, recipe=recipe_of(known)) if known else variant  # noqa: PLW2901
            variants.append(variant)
        return replace(study, variants=tuple(variants))

    def keys(self, study: Study) -> dict[tuple[str, int], str]:
        """Return the latest key of each variant and seed of a read study; those never planned are left out."""
        latest = {(row.digest, row.seed): row.key for row in self.rows}
        digests = {variant.name: written_digest(variant.recipe) for variant in study.variants}
        return {
            (name, seed): key
            for name, digest in digests.items()
            for seed in study.seeds
            if (key := latest.get((digest, seed)))
        }

    def last_key(self, variant: str, seed: int) -> str | None:
        """Return the key that a variant of this name last had with a seed."""
        return next((row.key for row in reversed(self.rows) if (row.variant, row.seed) == (variant, seed)), None)


def written_digest(recipe: Recipe) -> str:
    """Return a hash of a recipe as written, before defaults are filled in."""
    document = json.dumps(_plain(asdict(recipe)), sort_keys=True, default=str)
    return hashlib.sha256(document.encode()).hexdigest()[:16]


def save_study(
    store: Store, record: StudyRecord, written: Study, settled: Study, specs: Iterable[RunSpec]
) -> StudyRecord:
    """Record a study that is about to run, over what was recorded under its name before.

    written is the study as read, settled the same after its components were checked.
    """
    digests = {v.name: written_digest(v.recipe) for v in written.variants}
    planned = [Row(s.variant, digests[s.variant], s.seed, s.key) for s in specs]
    recipes = {digests[v.name]: _plain(asdict(v.recipe)) for v in settled.variants}
    file = _file(store, record.name)
    with store_errors(file), FileLock(file.with_suffix(".lock")):
        before = load_study(store, record.name)
        kept = [row for row in (before.rows if before else ()) if row not in planned]
        record = replace(
            record,
            rows=(*kept, *planned),
            recipes={**(before.recipes if before else {}), **recipes},
            time=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        )
        rows = [list(vars(row).values()) for row in record.rows]
        # Relative, so that a project that is moved or copied with its store finds its studies again.
        place = Path(os.path.relpath(record.path, store.root)).as_posix()
        write_document(file, {**asdict(record), "path": place, "rows": rows})
    return record


def set_last(store: Store, name: str, pilot: bool) -> None:
    """Note the study run last; `store` is the real one, also for a pilot."""
    write_document(store.last_file, {"study": name, "pilot": pilot})


def load_study(store: Store, name: str) -> StudyRecord | None:
    """Return the record of a study by name, or None."""
    return _record(store, read_document(_file(store, name)))


def list_studies(store: Store) -> list[StudyRecord]:
    """Return the records of all studies in a store, by name."""
    return [record for _, record in _records(store) if record]


def damaged_studies(store: Store) -> list[Path]:
    """Return the files of study records that do not read."""
    return [file for file, record in _records(store) if not record]


def find_study(store: Store, named: str | None, pilot: bool | None) -> tuple[Store, StudyRecord]:
    """Return the record that a command means, and the store it is in (the pilot's for a pilot).

    named: a study file, a study's name, or None for the study run last.
    pilot: True or False to choose; None for the real one, or whichever was run last where none is named.
    """
    if named is None:
        last = read_document(store.last_file)
        if last is None or not str(last.get("study", "\0")).isprintable():
            some = listing(record.name for record in list_studies(store))
            raise InputError(
                f"{shown(store.root)}: which study was run last is not known; name one: {some}"
                if some
                else f"{shown(store.root)}: no study has been run in this store\n"
                "  'ablate run STUDY.toml' runs one; --store DIR names another store"
            )
        named, pilot = str(last["study"]), bool(last.get("pilot")) if pilot is None else pilot
    home = store.pilot if pilot else store
    records = list_studies(home)
    wanted = Path(named).resolve()
    found = [r for r in records if r.name == named] or sorted(
        (r for r in records if r.path == wanted), key=lambda r: r.time, reverse=True
    )
    if found:
        return home, found[0]
    what = "pilot of a study" if pilot else "study"
    names, odd = [record.name for record in records], damaged_studies(home)
    raise InputError(
        f"{named}: no {what} of this name or file has been run in {shown(store.root)}{did_you_mean(named, names)}\n"
        f"  it has: {listing(names) or 'nothing yet'}; 'ablate run STUDY.toml{' --pilot' if pilot else ''}' runs one"
        + (f"\n  {len(odd)} more whose record does not read: 'ablate store check' names it" if odd else "")
    )


def file_name(name: str) -> str:
    """Return what files of a study are called; a hash keeps names apart that differ in case or odd characters."""
    slug = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name.lower())[:60]
    return slug if slug == name else f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _file(store: Store, name: str) -> Path:
    return store.studies_folder / f"{file_name(name)}.json"


def _records(store: Store) -> list[tuple[Path, StudyRecord | None]]:
    files = sorted(store.studies_folder.glob("*.json"))
    return [(file, _record(store, read_document(file))) for file in files]


def _record(store: Store, document: Document | None) -> StudyRecord | None:
    if document is None:
        return None
    try:
        changes: Mapping[str, Any] = document["changes"]
        seeds: Sequence[int] | None = changes["seeds"]
        path = (store.root / document["path"]).resolve()
        path.exists()  # raises where no file can be called so
        return StudyRecord(
            name=str(document["name"]),
            path=path,
            text=str(document["text"]),
            changes=Changes(
                tuple(map(str, changes["settings"])),
                tuple(map(int, seeds)) if seeds else None,
                bool(changes["pilot"]),
                tuple((str(name), dict(settings)) for name, settings in changes.get("tuned", ())),
            ),
            time=str(document["time"]),
            rows=tuple(_row(*row) for row in document["rows"]),
            recipes=dict(document["recipes"]),
        )
    except _DAMAGE:
        return None


def _row(variant: Any, digest: Any, seed: Any, key: Any) -> Row:
    if not _KEY.fullmatch(str(key)):  # it names a folder, and may not lead out of the store
        raise ValueError(key)
    return Row(str(variant), str(digest), int(seed), str(key))


def recipe_of(document: Mapping[str, Any]) -> Recipe:
    """Make a recipe of a recorded document again."""

    def choice(part: Mapping[str, Any]) -> Choice:
        return Choice(str(part["use"]), dict(part["settings"]))

    numbers = SetTable.model_validate({name: document[name] for name in NUMBERS})
    # Adding nothing raises where a size is no number.
    splits = Splits(**{name: None if size is None else size + 0 for name, size in document["splits"].items()})
    values: dict[str, Any] = {name: getattr(numbers, name) for name in NUMBERS}
    values |= {kind: choice(document[kind]) for kind in ("dataset", "model", "optimizer", "scheduler")}
    return Recipe(**values, augmentation=tuple(choice(part) for part in document["augmentation"]), splits=splits)


def _plain(value: Any) -> Any:
    """Drop the places that components were written at: they decide nothing."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items() if k != "place"}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
