"""What is about to run, recorded in the store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..store.recipes import written_digests
from ..store.sources import digest
from ..store.store import Store
from ..store.studies import StudyRecord, save_study, set_last, with_runs
from .git import git_state

if TYPE_CHECKING:
    from .study import LoadedStudy


def make_writable(study: LoadedStudy) -> None:
    """Create the store, or check that it can be written. Raises StoreError if it cannot."""
    store = Store(study.options.store)
    for home in (store, store.pilot) if study.study.pilot else (store,):
        home.make_writable()


def record(study: LoadedStudy) -> None:
    """Record what is about to run, with all variants, so that those `--only` leaves out show as new, not as outdated.

    The text recorded is the one that was read, even if the file has changed since.
    """
    file = study.reading.file
    made = replace(_without_runs(study), git=git_state(file.resolve()) if file else "")
    save_study(study.home, made, study.written, study.study, study.specs)
    set_last(Store(study.options.store), study.name, study.study.pilot)


def as_recorded(study: LoadedStudy) -> StudyRecord:
    """Return what would be recorded of a study were it run now: with the keys that its runs have now.

    Its results are then found whatever study made them, as `plan` finds them.
    """
    return with_runs(_without_runs(study), study.written, study.study, study.specs)


def _without_runs(study: LoadedStudy) -> StudyRecord:
    digests = written_digests(study.written)
    return StudyRecord(
        study.name,
        study.options.study.resolve(),
        study.reading.text,
        study.options.changes,
        walks={digests[name]: walk for name, walk in study.walks.items()},
        probes={digests[name]: probe for name, probe in study.probes.items()},
        sources={file: digest(content) for file, content in study.user_code().items()},
        has_file=study.reading.file is not None,
    )
