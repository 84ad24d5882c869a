"""`ablate status STUDY RUN`: a run's state, why it failed, its files and its last epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..console import text
from ..errors import InputError, did_you_mean, listing, printable, quoted
from ..paths import shown
from ..store.run_frames import device_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..store.run_folder import RunFolder
    from ..store.store import Store

LAST_EPOCHS = 5


def chosen(rows: Sequence[Mapping[str, Any]], named: str) -> list[Mapping[str, Any]]:
    """Return the runs that a name means: those of a variant, or those whose key starts with it. Raises InputError."""
    found = [row for row in rows if row["variant"] == named]
    found = found or [row for row in rows if row["key"] and str(row["key"]).startswith(named)]
    if found:
        return found
    variants = list(dict.fromkeys(str(row["variant"]) for row in rows))
    raise InputError(
        f"{named}: no variant of this study, and no run's key starts with it{did_you_mean(named, variants)}\n"
        f"  accepts {listing(quoted(variants), 20)}, or the start of a key"
    )


def describe(home: Store, study: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], as_json: bool) -> int:
    """Print runs one by one, and return the exit code. study: what the JSON says of the study."""
    if as_json:
        text.say_json({**study, "runs": [{**row, **_document(home, row)} for row in rows]})
        return 0
    for number, row in enumerate(rows):
        if number:
            text.say()
        _say(home, row)
    return 0


def _document(home: Store, row: Mapping[str, Any]) -> dict[str, Any]:
    if not row["key"]:
        return {}
    run = home.run(str(row["key"]))
    return {"folder": str(run.path), "failure": run.failure(), "result": run.result(), "history": run.history()}


def _say(home: Store, row: Mapping[str, Any]) -> None:
    text.say(printable(f"{row['variant']}, seed {row['seed']}: {row['state']}"))
    if row["reason"]:
        text.say(printable(f"  why     {row['reason']}"))
    if not row["key"]:
        return
    run = home.run(str(row["key"]))
    text.say(f"  key     {row['key']}")
    text.say(f"  files   {shown(run.path)}")
    _say_machine(run)
    for record in run.history()[-LAST_EPOCHS:]:
        word = "step" if "step" in record else "epoch"
        text.say(printable(f"  {word:<8}{record[word]}  {_epoch(record)}"))
    failure = run.failure() if row["state"] != "stored" else None
    for line in str((failure or {}).get("traceback") or "").splitlines():
        text.say(f"  {printable(line)}".rstrip())


def _say_machine(run: RunFolder) -> None:
    environment = (run.spec() or {}).get("environment")
    if isinstance(environment, Mapping):
        text.say(printable(f"  device  {device_text(environment)}"))


def _epoch(record: Mapping[str, Any]) -> str:
    try:
        return text.epoch_text(record)
    except (KeyError, TypeError, ValueError):  # a line that something else wrote
        return "does not read"
