"""The study run last, for commands that name none, and commands for a study as a user would type them.

A store may be somebody else's (an unpacked archive, a shared folder), and says itself which study was run last. Code
runs only from where the user works or from what the user named, so only a file in the working folder is taken.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..components.setting_text import HIDDEN
from ..errors import InputError, listing
from ..paths import same_store, shipped, shown, typed
from ..store.documents import read_document
from ..store.sources import changed
from ..store.store import Store
from ..store.studies import find_study, list_studies
from ..study.plan import RESULTS_VERSION
from ..study.toml import read_study

if TYPE_CHECKING:
    from ..store.studies import StudyRecord
    from ..study.toml import Changes
    from .study import Note, Options


_SECRET = re.compile(rf"(\.{HIDDEN}(?:\.[^=]*)?)=.*", re.DOTALL)


def study_run_last(
    store: Store, command: str, pilot: bool | None = None, with_changes: bool = False
) -> tuple[Store, StudyRecord]:
    """Return the record of the study run last, and the store it is in (the pilot's for a pilot).

    command: as in "ablate tune". pilot: True or False to choose; None for whichever was run last. with_changes: the
    command takes the changes that the study was run with.
    Raises InputError where its file is not where the user works, with the command that names it.
    """
    last = read_document(store.last_file)
    if last is None or not str(last.get("study", "\0")).isprintable():
        some = listing(record.name for record in list_studies(store))
        raise InputError(
            f"{shown(store.root)}: it is not known which study was run last; name one: {some}"
            if some
            else f"{shown(store.root)}: no study has been run in this store\n"
            "  'ablate run STUDY.toml' runs one; --store DIR names another store"
        )
    home, record = find_study(store, str(last["study"]), bool(last.get("pilot")) if pilot is None else pilot)
    if not is_at_work(store, record.path):
        raise InputError(
            f"{shown(store.root)}: the study run last is '{record.name}', whose file is not in the working folder, "
            f"or is in the store\n  a store may be somebody else's: name the study if you mean it: "
            f"{_named(store, record, command, with_changes)}"
        )
    return home, record


def again(options: Options, command: str, note: Note) -> Options:
    """Return options for the study run last, with the changes that it was run with unless some are given.

    note: takes a line that names it. Raises InputError as `study_to_run_again`.
    """
    record = study_to_run_again(Store(options.store), command)
    changes = options.changes
    if not changes.settings and not changes.seeds:
        changes = replace(changes, settings=record.changes.settings, seeds=record.changes.seeds)
    note(f"{' '.join([shown(record.path), *typed_changes(changes)])}: the study run last")
    return replace(options, study=record.path, changes=changes)


def typed_changes(changes: Changes, *, hide: bool = False) -> tuple[str, ...]:
    """Return what the command line changed in a study, as a user would type it. hide: but for what may be secret."""
    seeds = changes.seeds
    settings = [_SECRET.sub(r"\1=…", setting) if hide else setting for setting in changes.settings]
    # A single seed is written as a list: `--seeds 3,` is seed 3, and `--seeds 3` the seeds 0 to 2.
    listed = [f"--seeds {','.join(map(str, seeds))}{',' if len(seeds) == 1 else ''}"] if seeds else []
    of = [f"--dataset {shlex.quote(changes.dataset)}"] if changes.dataset else []
    return (*of, *(f"--set {shlex.quote(setting)}" for setting in settings), *listed)


def typed_again(command: str, options: Options, *flags: str) -> str:
    """Return another command for the same study with the same changes, as a user would type it."""
    if options.text is not None:
        return f"ablate.{command}(study)"
    only = (f"--only {shlex.quote(name)}" for name in options.only if not name.endswith(" (tuned)"))
    words = (f"ablate {command} {typed(options.study)}", *flags, *typed_changes(options.changes), *only)
    return " ".join(words) + same_store(options.store)


def changed_since(home: Store, record: StudyRecord) -> str:
    """Say what has changed since a study was run, ablate or its components; "" where nothing has."""
    files = changed(record.sources)
    what = f"{listing(shown(file) for file in files)} changed since it was run" if files else ""
    if record.engine != RESULTS_VERSION:
        what = "it was run with a version of ablate that computes results differently"
    plan = f"ablate plan {typed(record.path)}{same_store(whole(home, record))}"
    plan = plan if record.has_file else "ablate.plan(study) in Python"
    return f"{record.name}: {what}; which runs are new: {plan}" if what else ""


def whole(home: Store, record: StudyRecord) -> Path:
    """Return the folder of the store that a study's record is in, or that the pilot's store is in."""
    return home.root.parent if record.changes.pilot else home.root


def study_to_run_again(store: Store, command: str) -> StudyRecord:
    """Return the record of the study run last, whose plugins a command may run, with the changes it was run with.

    Raises InputError as `study_run_last`, and where the changes name plugins that are not where the user works.
    """
    _, record = study_run_last(store, command, with_changes=True)
    if not record.has_file:
        raise InputError(
            f"{shown(store.root)}: the study run last, '{record.name}', has no file: it was run from Python\n"
            "  run it there again, or name a study file"
        )
    named = read_study(record.path).study.plugins
    for plugin in read_study(record.path, record.changes).study.plugins:
        if plugin not in named and not is_at_work(store, plugin):
            raise InputError(
                f"{shown(store.root)}: '{record.name}' was run last with {shown(plugin)}, which its file lacks\n"
                "  a store may be somebody else's: name study and plugins if you mean them: "
                f"{_named(store, record, command, with_changes=True)}"
            )
    return record


def is_at_work(store: Store, file: Path) -> bool:
    """Tell whether a file is in the working folder or below it, and not in the store; or one that ships with ablate."""
    place = file.resolve()
    near = place.is_relative_to(Path.cwd()) and not place.is_relative_to(store.root.resolve())
    return near or place.is_relative_to(shipped("studies").resolve())


def _named(store: Store, record: StudyRecord, command: str, with_changes: bool) -> str:
    """Return the command that names the study."""
    changes = typed_changes(record.changes) if with_changes else ()
    return " ".join([command, typed(record.path), *changes]) + same_store(store.root)
