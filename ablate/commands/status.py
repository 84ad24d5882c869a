"""`ablate status`: the studies in a store, and how their runs stand."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ..console import text
from ..errors import AblateError, InputError
from ..paths import shown
from ..store.index import states
from ..store.store import Store
from ..store.studies import StudyRecord, find_study, list_studies

if TYPE_CHECKING:
    from pathlib import Path


def show_status(store_dir: Path, named: str | None, as_json: bool = False) -> int:
    """Print the state of every study, or of every run of one, and return the exit code."""
    store = Store(store_dir)
    if named is not None:
        return _one(*_found(store, named), as_json)
    counted = [counts for home in (store, store.pilot) for counts in _counted(home)]
    if as_json:
        text.say_json(
            {"store": str(store.root), "studies": [{**_names(record), "runs": counts} for record, counts in counted]}
        )
        return 0
    if store.root.exists() and not store.root.is_dir():
        raise InputError(
            f"{shown(store.root)}: is a file, and the store has to be a folder\n  name another: --store DIR"
        )
    if not counted:
        text.say(f"{shown(store.root)}: no study has been run here yet; 'ablate run STUDY' runs one")
        return 0
    rows = []
    for record, counts in counted:
        cells = [str(counts[state]) for state in ("stored", "failed", "unfinished", "new")]
        rows.append(
            [record.name + (" (pilot)" if record.changes.pilot else ""), *cells, record.time, shown(record.path)]
        )
    text.say(
        text.table(["study", "done", "failed", "unfinished", "missing", "run last", "file"], rows, right=(1, 2, 3, 4))
    )
    return 0


def _found(store: Store, named: str) -> tuple[Store, StudyRecord]:
    """Return a study by name or file; its pilot where only that has been run."""
    try:
        return find_study(store, named, pilot=False)
    except InputError:
        with contextlib.suppress(InputError):
            return find_study(store, named, pilot=True)
        raise


def _one(home: Store, record: StudyRecord, as_json: bool) -> int:
    study = record.reading().done()
    keys = record.keys(study)
    rows = []
    for seed in study.seeds:
        for variant in study.variants:
            key = keys.get((variant.name, seed), "")
            state, reason = _ending(home, key, variant.recipe.epochs) if key else ("missing", "")
            rows.append([variant.name, str(seed), state, key, reason])
    head = ["variant", "seed", "state", "key", "reason"]
    if as_json:
        text.say_json({**_names(record), "runs": [dict(zip(head, row, strict=True)) for row in rows]})
    else:
        text.say(text.table(head, rows, right=(1,)))
    return 0


def _ending(home: Store, key: str, epochs: int) -> tuple[str, str]:
    """Return how a run stands or ended, in a word or two, and why."""
    run, state = home.run(key), home.state(key)
    if state == "stored":
        return "done", ""
    owner = run.owner()
    if owner is None and (run.path / "result.json").exists():
        return "damaged", "its result does not read, and the run is made again"
    if owner is not None:
        return "running", f"epoch {min(len(run.history()) + 1, epochs)} of {epochs}, {owner}"
    if state == "failed":
        failure = run.failure() or {}
        return str(failure.get("kind", "failed")), str(failure.get("reason", "its record does not read"))
    return ("missing", "") if state == "new" else ("unfinished", f"{len(run.history())} of {epochs} epochs done")


def _counted(home: Store) -> list[tuple[StudyRecord, dict[str, int]]]:
    """Count the runs of each study of a store by state."""
    wanted = [(record, _keys(record)) for record in list_studies(home)]
    found = states(home, {key for _, keys in wanted for key in keys if key})
    counted = []
    for record, keys in wanted:
        counts = dict.fromkeys(("stored", "failed", "unfinished", "new"), 0)
        for key in keys:
            counts[found[key] if key else "new"] += 1
        counted.append((record, counts))
    return counted


def _keys(record: StudyRecord) -> list[str | None]:
    """Return the key of each run of a study; one whose file no longer reads has those of the runs planned last."""
    try:
        study = record.reading().done()
        keys = record.keys(study)
        return [keys.get((v.name, s)) for v in study.variants for s in study.seeds]
    except AblateError:
        return [row.key for row in record.rows]


def _names(record: StudyRecord) -> dict[str, Any]:
    return {"study": record.name, "pilot": record.changes.pilot, "file": str(record.path), "time": record.time}
