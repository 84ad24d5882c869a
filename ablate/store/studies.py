"""What was run under a study's name: its text, the command line's changes, and the key of each run.

The record lets `report`, `status` and `ablate tune` find a study's runs again without loading a single
plugin, and lets `plan` say what changed since. Runs are found by what the file says of a variant (the
digest of its written recipe), so that a new title or note, or a renamed variant, loses nothing.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, did_you_mean, listing
from ..paths import shown
from ..study.toml import Changes, Reading, parse_study
from .files import Document, read_document, write_document

if TYPE_CHECKING:
    from ..study.spec import Recipe, RunSpec, Study
    from .store import Store


@dataclass(frozen=True)
class Row:
    """One run of a study: the variant's name and written recipe when it was planned, the seed, and the key."""

    variant: str
    digest: str
    seed: int
    key: str


@dataclass(frozen=True)
class StudyRecord:
    """A study as it was run last. `rows` holds every run ever planned under this name, the latest last."""

    name: str
    path: Path
    text: str
    changes: Changes
    time: str = ""
    rows: tuple[Row, ...] = field(default=())

    def reading(self) -> Reading:
        """Read the study anew: from its file if that is still there, else as it was; nothing is checked further."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            text = self.text
        return parse_study(text, self.path, self.changes)

    def keys(self, study: Study) -> dict[tuple[str, int], str]:
        """Return the latest key of each variant and seed of a read study; those never planned are left out."""
        latest = {(row.digest, row.seed): row.key for row in self.rows}
        return {
            (variant.name, seed): key
            for variant in study.variants
            for seed in study.seeds
            if (key := latest.get((written_digest(variant.recipe), seed)))
        }

    def last_key(self, variant: str, seed: int) -> str | None:
        """Return the key that a variant of this name last had with a seed."""
        return next((row.key for row in reversed(self.rows) if (row.variant, row.seed) == (variant, seed)), None)


def written_digest(recipe: Recipe) -> str:
    """Return a hash of a recipe as written, before defaults are filled in."""
    document = json.dumps(_plain(asdict(recipe)), sort_keys=True, default=str)
    return hashlib.sha256(document.encode()).hexdigest()[:16]


def save_study(store: Store, record: StudyRecord, written: Study, specs: Iterable[RunSpec]) -> StudyRecord:
    """Record a study that is about to run, as the study run last. `written` is the study as read, not settled."""
    digests = {v.name: written_digest(v.recipe) for v in written.variants}
    planned = [Row(s.variant, digests[s.variant], s.seed, s.key) for s in specs]
    before = load_study(store, record.name)
    kept = [row for row in (before.rows if before else ()) if row not in planned]
    record = replace(record, rows=(*kept, *planned), time=time.strftime("%Y-%m-%dT%H:%M:%S%z"))
    document = {
        **asdict(record),
        "path": str(record.path),
        "rows": [list(vars(row).values()) for row in record.rows],
    }
    write_document(_file(store, record.name), document)
    return record


def set_last(store: Store, name: str, pilot: bool) -> None:
    """Note the study run last; `store` is the real one, also for a pilot."""
    write_document(store.last_file, {"study": name, "pilot": pilot})


def load_study(store: Store, name: str) -> StudyRecord | None:
    """Return the record of a study by name, or None."""
    return _record(read_document(_file(store, name)))


def list_studies(store: Store) -> list[StudyRecord]:
    """Return the records of all studies in a store, by name."""
    files = sorted(store.studies_folder.glob("*.json"))
    return [record for file in files if (record := _record(read_document(file)))]


def find_study(store: Store, named: str | None, pilot: bool | None) -> tuple[Store, StudyRecord]:
    """Return the record that a command means, and the store it is in (the pilot's for a pilot).

    named: a study file, a study's name, or None for the study run last.
    pilot: True or False to choose; None for the real one, or whichever was run last where none is named.
    """
    if named is None:
        last = read_document(store.last_file)
        if last is None:
            raise InputError(
                f"{shown(store.root)}: no study has been run in this store\n"
                "  'ablate run STUDY' runs one; --store DIR names another store"
            )
        named, pilot = str(last.get("study")), bool(last.get("pilot")) if pilot is None else pilot
    home = store.pilot if pilot else store
    records = list_studies(home)
    wanted = Path(named).resolve()
    for record in records:
        if record.name == named or record.path == wanted:
            return home, record
    what = "pilot of a study" if pilot else "study"
    names = [record.name for record in records]
    raise InputError(
        f"{named}: no {what} of this name or file has been run in {shown(store.root)}{did_you_mean(named, names)}\n"
        f"  it has: {listing(names) or 'nothing yet'}; 'ablate run{' --pilot' if pilot else ''} {named}' runs it"
    )


def _file(store: Store, name: str) -> Path:
    """Return the file for a study's name; the hash keeps names apart that differ only in odd characters."""
    slug = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name)[:60]
    tail = "" if slug == name else "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    return store.studies_folder / f"{slug}{tail}.json"


def _record(document: Document | None) -> StudyRecord | None:
    if document is None:
        return None
    try:
        changes: Mapping[str, Any] = document["changes"]
        seeds: Sequence[int] | None = changes["seeds"]
        return StudyRecord(
            name=str(document["name"]),
            path=Path(document["path"]),
            text=str(document["text"]),
            changes=Changes(tuple(changes["settings"]), tuple(seeds) if seeds else None, bool(changes["pilot"])),
            time=str(document["time"]),
            rows=tuple(Row(str(v), str(d), int(s), str(k)) for v, d, s, k in document["rows"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _plain(value: Any) -> Any:
    """Drop the places that components were written at: they decide nothing."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items() if k != "place"}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
